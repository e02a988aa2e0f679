#!/usr/bin/env bash
# Builds the wheel around the library that `cargo build` made, installs it in a fresh virtual
# environment, and tests it there.
#
#   bindings/python/test.sh [FOLDER] [PART OF A TEST'S NAME]
#
# FOLDER holds libpolygraft.so and the command polygraft; without it, target/debug of this
# repository. Nothing is downloaded: the packages, the bundle and the data come from .cache, which
# `make bundle` fills.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
python="${PYTHON:-python3}"
folder="$root/target/debug"
if [[ $# -gt 0 && -d $1 ]]; then
  folder="$(cd "$1" && pwd)"
  shift
fi
for file in libpolygraft.so polygraft; do
  if [[ ! -f "$folder/$file" ]]; then
    echo "test.sh: $folder/$file is not there: run make test-python" >&2
    exit 1
  fi
done

if ! "$python" -m pip --python "$(command -v "$python")" --version > /dev/null 2>&1; then
  echo "test.sh: needs pip 22.3 or newer, found $("$python" -m pip --version)" >&2
  exit 1
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INDEX=1
POLYGRAFT_LIBRARY="$folder/libpolygraft.so" "$python" -m pip \
  --python "$root/.cache/venv-wheel/bin/python" wheel --quiet --no-deps --no-build-isolation \
  --wheel-dir "$work/wheel" "$here"

"$python" -m venv --without-pip "$work/venv"
"$python" -m pip --python "$work/venv/bin/python" install --quiet \
  --find-links "$root/.cache/downloads" "$work"/wheel/polygraft-*.whl

export ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$root/.cache/onnxruntime/libonnxruntime.so}"
export ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1
# Makes the bundle of the small model with a decoder.
export POLYGRAFT_COMMAND="$folder/polygraft"
unset POLYGRAFT_LIBRARY PYTHONPATH
# With the wheel alone, in a folder where nothing else is.
mkdir "$work/empty"
cd "$work/empty"
cp "$root/tests/install/learn.py" .
said="$("$work/venv/bin/python" learn.py \
  "$root/tests/fixtures/written-by-0.1.0/encoder" store)"
if [[ $said != $'on\nrolled back to None' ]]; then
  echo "test.sh: learn.py said: $said" >&2
  exit 1
fi
cd "$work"
"$work/venv/bin/python" "$here/tests" "$@"
