#!/bin/sh
# What everything here needs, for scripts to read with `.` from the root of the repository, `demo` set
# to a folder that it may fill: Flower in a virtual environment, the Python package as it lies in the
# repository, and the settings that keep Flower, Ray and ONNX Runtime from sending or installing
# anything. It takes what `make bundle` and a release build of the library have prepared.
set -eu

root=$PWD
bundle=${POLYGRAFT_BUNDLE:-$root/.cache/bundle/e5-small}
data=${POLYGRAFT_DATA:-$root/.cache/data/intents}
library=${POLYGRAFT_LIBRARY:-$root/target/release/libpolygraft.so}
venv=${POLYGRAFT_FLEET_VENV:-$root/.cache/venv-fleet}
python=$venv/bin/python
for path in "$bundle/manifest.json" "$data/train" "$library"; do
    if [ ! -e "$path" ]; then
        echo "$path is missing; run 'make demo-fleet', which prepares it" >&2
        exit 1
    fi
done
if ! "$python" -c 'import flwr, dp_accounting, cffi, blake3' 2> /dev/null; then
    echo "fleet: installs Flower and what it needs in $venv (once)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    sh tools/heartbeat.sh packages "$venv/bin/pip" install --quiet --disable-pip-version-check \
        -r examples/fleet/requirements.txt
fi

mkdir -p "$demo/package"
# The Python package as it lies in the repository, with its declarations.
cp -R bindings/python/src/polygraft "$demo/package/"
(cd bindings/python && "$python" -c \
    'import sys, declarations; declarations.write(sys.argv[1])' "$demo/package/polygraft/_declarations.py")

export FLWR_HOME="$demo/flower" FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1
export FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1 RAY_USAGE_STATS_ENABLED=0
export ORT_DISABLE_TELEMETRY=1 POLYGRAFT_LIBRARY="$library" PYTHONDONTWRITEBYTECODE=1
export ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$root/.cache/onnxruntime/libonnxruntime.so}"
export PYTHONPATH="$demo/package:$root/examples/fleet" PATH="$venv/bin:$PATH"
