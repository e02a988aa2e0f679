#!/usr/bin/env bash
# Runs the programs of this folder after each other, as their readers would, and looks at what they
# say.
#
#   scenarios.sh PROGRAMS BUNDLE
#
# PROGRAMS is the folder of the built programs.
set -euo pipefail

programs="$1"
bundle="$2"
light="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/light.jsonl"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
store="$work/store"
adapter="$work/base.adapter"

# Runs a program and expects a text in what it prints.
run() {
  local expected="$1" program="$2" said
  shift 2
  said="$("$programs/$program" "$@" 2>&1 || true)"
  if [[ $said != *"$expected"* ]]; then
    echo "scenarios.sh: $program: expected '$expected', found: $said" >&2
    exit 1
  fi
}

# Interrupts an update as soon as it trains.
interrupt() {
  local said="$work/said" status=0
  : > "$said"
  "$programs/update" "$bundle" "$work/interrupted" "$light" 1000000 2> "$said" &
  local pid=$!
  until grep -q train "$said"; do
    kill -0 "$pid" || { cat "$said" >&2; exit 1; }
    sleep 0.1
  done
  kill -INT "$pid"
  wait "$pid" || status=$?
  if [[ $status != 1 ]] || ! grep -q 'interrupted: nothing has changed' "$said"; then
    echo "scenarios.sh: update: interrupted it ended with $status and said: $(cat "$said")" >&2
    exit 1
  fi
  run 'has learnt nothing yet' classify "$bundle" "$work/interrupted" de 'Licht an'
}

run 'has learnt nothing yet' classify "$bundle" "$store" de 'Licht an'
run 'version 1: first version' update "$bundle" "$store" "$light" 3
run '(de version 1)' classify "$bundle" "$store" de 'Licht an'
run 'version 2 answered' hotswap "$bundle" "$store" "$light" 2
run 'mul 1 active true' ship "$bundle" "$store" export mul "$adapter"
run 'version 1, active true' ship "$bundle" "${store}2" install "$adapter"
run '(mul version 1)' classify "$bundle" "${store}2" tr 'ışığı kapat'
run 'de is back on version 1' ship "$bundle" "$store" roll-back de
run 'versions are gone' ship "$bundle" "$store" wipe de
run 'usage: ship' ship "$bundle" "$store" wipe
run '[io.not_found]' classify "$work/nothing" "$store" de 'Licht an'
# The small bundle of the fixtures is trained before anybody can interrupt it.
if [[ $bundle == *e5-small ]]; then
  interrupt
fi
echo "scenarios.sh: the programs say what they should"
