#!/usr/bin/env bash
# Measures how long the service of examples/go/serve takes to answer, without and with an update.
#
#   benches/serve.sh [FOLDER] [flags of examples/go/load]
#
# FOLDER holds the libpolygraft.so of a release build; without it, target/release. SERVE names
# another program than the Go service, such as that of examples/cpp/serve. An update learns SENTENCES
# sentences, 50 by default, in each of four languages. BUNDLE is another bundle than the reference.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
folder="$root/target/release"
if [[ $# -gt 0 && -d $1 ]]; then
  folder="$(cd "$1" && pwd)"
  shift
fi
if [[ ! -f "$folder/libpolygraft.so" ]]; then
  echo "serve.sh: $folder/libpolygraft.so is not there: run make bench-serve" >&2
  exit 1
fi

work="$(mktemp -d)"
service=
trap '[[ -z $service ]] || kill "$service"; rm -rf "$work"' EXIT
ln -s "$folder/libpolygraft.so" "$work/libpolygraft.so"
ln -s "$folder/libpolygraft.so" "$work/libpolygraft.so.0"
export ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$root/.cache/onnxruntime/libonnxruntime.so}"
export ORT_DISABLE_TELEMETRY=1 LD_LIBRARY_PATH="$work${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# The example's own module, linked to the library as it lies there.
cd "$root/examples/go"
GOFLAGS="-mod=mod -tags=polygraft_vendored" GOPROXY=off CGO_LDFLAGS="-L$work" \
  go build -o "$work/" ./serve ./load

for language in de fi hi tr; do
  head -n "${SENTENCES:-50}" "$root/.cache/data/intents/train/$language.jsonl"
done > "$work/feedback.jsonl"

: > "$work/said"
"${SERVE:-$work/serve}" --address localhost:0 "${BUNDLE:-$root/.cache/bundle/e5-small}" "$work/store" \
  2> "$work/said" &
service=$!
until grep -q '^listening on ' "$work/said"; do
  kill -0 "$service" || { cat "$work/said" >&2; exit 1; }
  sleep 0.1
done
address="$(sed -n 's/^listening on //p' "$work/said")"
"$work/load" "$@" "http://$address" "$work/feedback.jsonl"
kill "$service"
wait "$service"
service=
