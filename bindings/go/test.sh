#!/usr/bin/env bash
# Tests the Go module against the library that `cargo build` made: its own tests with the race
# detector, a module outside the repository that links an installed and a vendored library, and the
# programs of examples/go.
#
#   bindings/go/test.sh [FOLDER] [go test flags]
#
# FOLDER holds libpolygraft.so and the command polygraft; without it, target/debug of this
# repository. The bundle and the data come from .cache, which `make bundle` fills.
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
if ! cmp --quiet "$root/include/polygraft.h" "$here/polygraft.h"; then
  echo "test.sh: bindings/go/polygraft.h is not include/polygraft.h: run make header" >&2
  exit 1
fi

work="$(mktemp -d)"
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
# The loader asks for the soname; cargo writes the plain name only.
links="$folder/go"
mkdir -p "$links/pkgconfig"
ln -sf ../libpolygraft.so "$links/libpolygraft.so"
ln -sf ../libpolygraft.so "$links/libpolygraft.so.0"
cat > "$links/pkgconfig/polygraft.pc" << END
Name: polygraft
Description: the library as cargo built it
Version: 0
Libs: -L$links -lpolygraft
END

export CGO_ENABLED=1
export ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$root/.cache/onnxruntime/libonnxruntime.so}"
export ORT_DISABLE_TELEMETRY=1
# Makes the bundle of the small model with a decoder.
export POLYGRAFT_COMMAND="$folder/polygraft"
# Nothing is downloaded: the package uses the standard library alone.
export GOFLAGS="-mod=mod" GOPROXY=off

cd "$here"
unformatted="$(gofmt -l . "$root/examples/go")"
if [[ -n $unformatted ]]; then
  echo "test.sh: not formatted by gofmt: $unformatted" >&2
  exit 1
fi

# The program opens the engine, the store and the model, and finds no version in the empty store.
check_program() {
  local said
  said="$(./classify "$root/.cache/bundle/e5-small" "$work/store" de 'Licht an' 2>&1 || true)"
  if [[ $said != *"the task has learnt nothing yet"*"[store.no_version]" ]]; then
    echo "test.sh: $PWD/classify said: $said" >&2
    exit 1
  fi
}

# A module elsewhere vendors this one, with the library in it.
copy="$work/module"
cp -R "$here" "$copy"
cp "$folder/libpolygraft.so" "$copy/native/linux_$(go env GOARCH)/libpolygraft.so.0"
mkdir "$work/outside"
cp "$root/examples/go/classify/main.go" "$work/outside/"
cat > "$work/outside/go.mod" << END
module example.com/outside

go 1.24

require github.com/polygraft/polygraft/bindings/go v0.0.0

replace github.com/polygraft/polygraft/bindings/go => $copy
END
cd "$work/outside"
go mod vendor
rm -rf "$copy"
GOFLAGS=-mod=vendor go build -tags polygraft_vendored -o classify .
check_program

# Everything else links by pkg-config where it can.
if command -v "${PKG_CONFIG:-pkg-config}" > /dev/null; then
  export PKG_CONFIG_PATH="$links/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
  # go's cache knows this variable, but not what pkg-config said the last time.
  export CGO_LDFLAGS="-Wl,-rpath,$links"
else
  echo "test.sh: linking by pkg-config was skipped: needs pkg-config"
  export CGO_LDFLAGS="-L$links -Wl,-rpath,$links"
  export GOFLAGS="$GOFLAGS -tags=polygraft_vendored"
fi
# The same program against an installed library, with the module in its place.
rm -r vendor
go mod edit -replace "github.com/polygraft/polygraft/bindings/go=$here"
go build -o classify .
check_program

cd "$here"
go vet ./...
go test -count=1 -race -coverprofile="$work/coverage" "$@" ./...
if [[ $# -eq 0 ]]; then
  # Lines of the profile are FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT.
  uncalled="$(awk '
    FILENAME == ARGV[1] { function_[$1] = 1; next }
    FILENAME == ARGV[2] {
      if (FNR > 1 && $NF > 0) {
        file = $1; sub(/:.*/, "", file); sub(/.*\//, "", file)
        span = $1; sub(/.*:/, "", span); split(span, at, "[.,]")
        for (line = at[1]; line <= at[3]; line++) ran[file, line] = 1
      }
      next
    }
    {
      file = FILENAME; sub(/.*\//, "", file); rest = $0
      while (match(rest, /C\.polygraft_[a-z_0-9]*\(/)) {
        name = substr(rest, RSTART + 2, RLENGTH - 3); rest = substr(rest, RSTART + RLENGTH)
        # Other names are conversions to a type.
        if (name in function_) called[name] += ((file, FNR) in ran)
      }
    }
    END { for (name in called) if (!called[name]) print name }
  ' "$root/docs/abi-symbols.txt" "$work/coverage" $(ls ./*.go | grep -v _test))"
  if [[ -n $uncalled ]]; then
    echo "test.sh: no test of the Go package calls" $uncalled >&2
    exit 1
  fi
  cd "$root/examples/go"
  go vet ./...
  go test -count=1 .
fi
