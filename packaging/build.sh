#!/bin/sh
# Builds the libraries and the command as they are published, and copies them to a folder.
#
#   TARGET=FOLDER [GLIBC=2.28 CACHE=FOLDER] sh packaging/build.sh OUT
#
# A linker binds to the newest names of the glibc that it finds, and a program then runs on no older
# system. With GLIBC, Zig's linker takes the names of that version. It comes with Python packages,
# which `tools/setup.py --linker` has put below CACHE. Without GLIBC, cargo links as always.
set -eu

out=$1
if [ -n "${GLIBC:-}" ]; then
    environment=$CACHE/venv-linker
    for folder in "$environment/bin" "$environment"/lib/python3.*/site-packages/bin; do
        [ -d "$folder" ] || {
            echo "build: $folder is not there: run python3 tools/setup.py --linker" >&2
            exit 1
        }
        PATH=$folder:$PATH
    done
    host=$(rustc --version --verbose | sed -n 's/^host: //p')
    built=$TARGET/$host/release
    "${CARGO:-cargo}" zigbuild --release --locked --lib --bin polygraft --target "$host.$GLIBC"
else
    built=$TARGET/release
    "${CARGO:-cargo}" build --release --locked --lib --bin polygraft
fi
mkdir -p "$out"
cp "$built/libpolygraft.so" "$built/libpolygraft.a" "$built/polygraft" "$out"
