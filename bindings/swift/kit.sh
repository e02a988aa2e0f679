#!/usr/bin/env bash
# Writes a folder with everything that builds and tests the Swift package on a machine that has Swift
# and nothing else: no Rust, no network.
#
#   bindings/swift/kit.sh LIBRARIES OUT
#
# LIBRARIES holds libpolygraft.so as cargo wrote it; it runs where glibc is not older than here. OUT
# is made anew and may be moved. ONNX Runtime is copied from ORT_DYLIB_PATH, else from .cache; if it
# is in neither place, the kit's README.md says where it is expected.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
library="$1/libpolygraft.so"
out="$2"
if [[ ! -f $library ]]; then
  echo "kit.sh: $library is not there: run make swift-kit" >&2
  exit 1
fi
if [[ -e $out && ! -f $out/swift-kit ]]; then
  echo "kit.sh: $out is there and is no kit" >&2
  exit 1
fi
rm -rf "$out"
mkdir -p "$out"
: > "$out/swift-kit"

# The package, in the places that its files name.
copy() {
  mkdir -p "$out/$(dirname "$1")"
  cp -R "$root/$1" "$out/$1"
}
copy Package.swift
copy include/polygraft.h
for part in README.md Sources Tests test.sh; do
  copy "bindings/swift/$part"
done
copy examples/light.jsonl
copy examples/swift/Package.swift
copy examples/swift/Sources
copy examples/swift/scenarios.sh
for part in encoder encoder-store decoder decoder-store examples answers.json; do
  copy "tests/fixtures/written-by-0.1.0/$part"
done
copy LICENSE-APACHE
copy LICENSE-MIT

# The library with the name that the loader asks for, the name that it is linked by, and the file
# that the package manager looks for.
mkdir -p "$out/lib/pkgconfig"
cp "$library" "$out/lib/libpolygraft.so.0"
"${STRIP:-strip}" --strip-unneeded "$out/lib/libpolygraft.so.0"
ln -s libpolygraft.so.0 "$out/lib/libpolygraft.so"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)"
sed -e 's|@UP@|..|' -e 's|@LIBDIR@|lib|' -e "s|@VERSION@|$version|" -e 's|@NATIVE_LIBRARIES@||' \
  -e 's|@DESCRIPTION@|multilingual models that keep learning after they ship|' \
  "$root/packaging/polygraft.pc.in" > "$out/lib/pkgconfig/polygraft.pc"

runtime="${ORT_DYLIB_PATH:-$root/.cache/onnxruntime/libonnxruntime.so}"
if [[ -f $runtime ]]; then
  cp -L "$runtime" "$out/lib/libonnxruntime.so"
  said="ONNX Runtime is \`lib/libonnxruntime.so\`."
else
  said="ONNX Runtime is missing: put it at \`lib/libonnxruntime.so\`, or name it in ORT_DYLIB_PATH."
fi
cat > "$out/README.md" << END
# The Swift package of polygraft $version, to be built and tested

This folder needs Swift 6.0 or newer and nothing else, and may be anywhere. $said

    bash bindings/swift/test.sh

builds the package without a warning, runs its tests, and builds and runs the programs of
\`examples/swift\`. By hand it is, in this folder,

    PKG_CONFIG_PATH=\$PWD/lib/pkgconfig LD_LIBRARY_PATH=\$PWD/lib swift test
END
echo "kit.sh: $out: $said"
