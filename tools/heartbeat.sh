#!/bin/sh
# Run a command, and say every eight seconds that it is still at work.
#
#   sh tools/heartbeat.sh WHAT COMMAND [ARGUMENT...]
#
# It speaks on standard error and ends with the status of the command.
set -eu

what=$1
shift
# What sleeps holds no pipe open: whoever reads our output is not kept waiting for it.
(
    seconds=0
    while sleep 8 </dev/null >/dev/null 2>&1 && kill -0 "$$" 2>/dev/null; do
        seconds=$((seconds + 8))
        printf '%s: %d s so far\n' "$what" "$seconds" >&2
    done
) &
beat=$!
trap 'kill "$beat" 2>/dev/null' EXIT
trap 'exit 130' INT TERM
"$@"
