#!/bin/sh
# Builds the libraries and the command as they are published, and copies them to a folder.
#
#   TARGET=FOLDER [GLIBC=2.28 CACHE=FOLDER] [MACHINE=aarch64] sh packaging/build.sh OUT
#
# A linker binds to the newest names of the glibc that it finds, and a program then runs on no older
# system. With GLIBC, Zig's linker takes the names of that version. It comes with Python packages,
# which `tools/setup.py --linker` has put below CACHE. Without GLIBC, cargo links as always. MACHINE
# is another processor than that of this machine; its standard library of Rust must be there.
set -eu

out=$1
cargo=${CARGO:-cargo}
host=$(rustc --version --verbose | sed -n 's/^host: //p')
target=${MACHINE:-${host%%-*}}-${host#*-}
if [ -n "${GLIBC:-}" ]; then
    environment=$CACHE/venv-linker
    for folder in "$environment/bin" "$environment"/lib/python3.*/site-packages/bin; do
        [ -d "$folder" ] || {
            echo "build: $folder is not there: run python3 tools/setup.py --linker" >&2
            exit 1
        }
        PATH=$folder:$PATH
    done
    # Found without the Python of that environment, too.
    for zig in "$environment"/lib/python3.*/site-packages/ziglang/zig; do
        export CARGO_ZIGBUILD_ZIG_PATH="$zig"
    done
    built=$TARGET/$target/release
    build="cargo-zigbuild zigbuild --target $target.$GLIBC"
elif [ "$target" = "$host" ]; then
    built=$TARGET/release
    build="$cargo build"
else
    built=$TARGET/$target/release
    build="$cargo build --target $target"
fi
export CARGO_TARGET_DIR="$TARGET"
$build --release --locked --lib --bin polygraft
mkdir -p "$out"
cp "$built/libpolygraft.so" "$built/libpolygraft.a" "$built/polygraft" "$out"
