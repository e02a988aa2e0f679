#!/usr/bin/env bash
# Builds the Swift package without a warning, runs its tests, and runs the programs of
# examples/swift. It needs Swift 6.0 or newer and downloads nothing.
#
#   bindings/swift/test.sh [FOLDER] [swift test flags]
#
# FOLDER holds libpolygraft.so; without it, `lib` of this folder where `make swift-kit` wrote it,
# else target/debug of this repository. ONNX Runtime is ORT_DYLIB_PATH, else what is beside the
# library, else what is in .cache.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/target/debug"
if [[ -d "$root/lib" ]]; then
  folder="$root/lib"
fi
if [[ $# -gt 0 && -d $1 ]]; then
  folder="$(cd "$1" && pwd)"
  shift
fi
if ! command -v swift > /dev/null; then
  echo "test.sh: swift is not on the PATH" >&2
  exit 1
fi
if [[ ! -f "$folder/libpolygraft.so" ]]; then
  echo "test.sh: $folder/libpolygraft.so is not there: run make test-swift" >&2
  exit 1
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
# The loader asks for the soname; cargo writes the plain name only.
mkdir -p "$work/lib/pkgconfig"
ln -s "$folder/libpolygraft.so" "$work/lib/libpolygraft.so"
ln -s "$folder/libpolygraft.so" "$work/lib/libpolygraft.so.0"
cat > "$work/lib/pkgconfig/polygraft.pc" << END
Name: polygraft
Description: the library that is tested
Version: 0
Libs: -L$work/lib -lpolygraft
END
export PKG_CONFIG_PATH="$work/lib/pkgconfig"
export LD_LIBRARY_PATH="$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
for library in "$folder/libonnxruntime.so" "$root/.cache/onnxruntime/libonnxruntime.so"; do
  if [[ -z ${ORT_DYLIB_PATH:-} && -f $library ]]; then
    export ORT_DYLIB_PATH="$library"
  fi
done
export ORT_DISABLE_TELEMETRY=1

# The same folder each time, so that only what has changed is compiled again.
build=(--scratch-path "$here/.build" -Xswiftc -warnings-as-errors)
cd "$root"
swift build "${build[@]}"
swift test "${build[@]}" "$@"
if [[ $# -eq 0 ]]; then
  cd "$root/examples/swift"
  swift build "${build[@]:2}" --scratch-path "$here/.build/examples"
  bundle="$root/.cache/bundle/e5-small"
  if [[ ! -d $bundle ]]; then
    bundle="$root/tests/fixtures/written-by-0.1.0/encoder"
  fi
  bash scenarios.sh "$(swift build --scratch-path "$here/.build/examples" --show-bin-path)" "$bundle"
fi
