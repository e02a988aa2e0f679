#!/usr/bin/env bash
# Tests the Go package against the library that `cargo build` made.
#
#   bindings/go/test.sh [FOLDER] [go test flags]
#
# FOLDER holds libpolygraft.so and the command polygraft; without it, target/debug of this repository. The bundle and the data
# come from .cache, which `make bundle` fills.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/target/debug"
if [[ $# -gt 0 && -d $1 ]]; then
  folder="$(cd "$1" && pwd)"
  shift
fi
for file in libpolygraft.so polygraft; do
  if [[ ! -f "$folder/$file" ]]; then
    echo "test.sh: $folder/$file is not there: run make test-go" >&2
    exit 1
  fi
done

# The loader asks for the soname; cargo writes the plain name only.
links="$(mktemp -d)"
trap 'rm -rf "$links"' EXIT
ln -s "$folder/libpolygraft.so" "$links/libpolygraft.so"
ln -s "$folder/libpolygraft.so" "$links/libpolygraft.so.0"

export CGO_ENABLED=1
export CGO_LDFLAGS="-L$links -Wl,-rpath,$links"
export ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$root/.cache/onnxruntime/libonnxruntime.so}"
export ORT_DISABLE_TELEMETRY=1
# Makes the bundle of the small model with a decoder.
export POLYGRAFT_COMMAND="$folder/polygraft"
# Nothing is downloaded: the package uses the standard library alone.
export GOFLAGS="-mod=mod" GOPROXY=off

cd "$here"
unformatted="$(gofmt -l .)"
if [[ -n $unformatted ]]; then
  echo "test.sh: not formatted by gofmt: $unformatted" >&2
  exit 1
fi
go vet ./...
go test -count=1 "$@" ./...
