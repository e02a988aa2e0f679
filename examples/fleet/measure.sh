#!/bin/sh
# Measures rounds over 20 simulated devices, see docs/fleet.md; arguments go to simulate.py.
#
# It takes what `make bench-fleet` has prepared and writes target/fleet/fleet.json anew.
set -eu

cd "$(dirname "$0")/../.."
demo=$PWD/target/fleet
rm -rf "$demo"
. examples/fleet/environment.sh
"$python" examples/fleet/simulate.py --bundle "$bundle" --data "$data" --out "$demo/fleet.json" \
    --folder "$demo/stores" "$@"
