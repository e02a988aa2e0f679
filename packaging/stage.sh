#!/bin/sh
# Lays out everything that is installed below one folder, as it will lie below the prefix. Every
# file that names another does so relative to itself, so the folder can be moved or copied anywhere.
#
#   LIBRARIES=FOLDER COMMAND=FILE OUT=FOLDER [LIBDIR=lib] sh packaging/stage.sh
#
# LIBRARIES holds libpolygraft.so and libpolygraft.a as cargo wrote them, COMMAND is the program
# `polygraft`. OUT is made anew. LIBDIR is the folder of the libraries below the prefix, for example
# lib/x86_64-linux-gnu. STRIP, LD, OBJCOPY and AR name other tools than the usual ones, NM and RUNNER
# the tool that lists names and a program that runs COMMAND where that is for another processor.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
libdir=${LIBDIR:-lib}

fail() {
    echo "stage: $1" >&2
    exit 1
}

case $(uname -s) in
    Linux) ;;
    *) fail "only Linux is supported, this is $(uname -s): link target/release/libpolygraft.* yourself" ;;
esac
case $libdir in
    /* | *..* | "") fail "LIBDIR is a folder below PREFIX, such as lib64, found '$libdir'" ;;
esac
for file in "$LIBRARIES/libpolygraft.so" "$LIBRARIES/libpolygraft.a" "$COMMAND"; do
    [ -f "$file" ] || fail "$file is not there: run cargo build --release"
done

# The one value of `name = "value"` in the section [package] of Cargo.toml.
package() {
    value=$(sed -n "/^\[package\]/,/^\[/s/^$1 = \"\(.*\)\"\$/\1/p" "$root/Cargo.toml")
    [ -n "$value" ] || fail "Cargo.toml has no $1"
    echo "$value"
}

version=$(package version)
description=$(package description)
abi=$(sed -n 's/^#define POLYGRAFT_ABI_VERSION \([0-9]*\)$/\1/p' "$root/include/polygraft.h")
[ -n "$abi" ] || fail "include/polygraft.h has no POLYGRAFT_ABI_VERSION"

# What a program has to link beside the static library: what Rust's standard library needs. The
# compiler says it for an empty library as for ours, because no dependency links anything else.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
native=$(echo | "${RUSTC:-rustc}" --crate-type staticlib --crate-name empty \
    --print native-static-libs -o "$scratch/empty.a" - 2>&1 |
    sed -n 's/^note: native-static-libs: //p')
[ -n "$native" ] || fail "${RUSTC:-rustc} does not say which libraries it links"

# Fills a template. LIBDIR may have several parts; UP leads from it to the prefix.
fill() {
    up=$(echo "$libdir" | sed 's/[^/][^/]*/../g')
    sed -e "s|@VERSION@|$version|g" -e "s|@DESCRIPTION@|$description|g" \
        -e "s|@MAJOR@|${version%%.*}|g" \
        -e "s|@MINOR@|$(echo "$version" | cut -d. -f2)|g" -e "s|@ABI@|$abi|g" \
        -e "s|@LIBDIR@|$libdir|g" -e "s|@UP@|$up|g" -e "s|@NATIVE_LIBRARIES@|$native|g" \
        -e "s|@NATIVE_LIBRARIES_CMAKE@|$(echo "$native" | sed 's/^-l//; s/ -l/;/g')|g" \
        -e "s|@POINTER_SIZE@|$(($(getconf LONG_BIT) / 8))|g" "$here/$1.in" > "$2"
    chmod 644 "$2"
}

headers() {
    mkdir -p "$OUT/include/polygraft"
    install -m 644 "$root/include/polygraft.h" "$root/include/polygraft.hpp" "$OUT/include"
    install -m 644 "$root"/include/polygraft/*.hpp "$OUT/include/polygraft"
}

libraries() {
    shared=libpolygraft.so.$version
    mkdir -p "$OUT/$libdir"
    install -m 755 "$LIBRARIES/libpolygraft.so" "$OUT/$libdir/$shared"
    "${STRIP:-strip}" --strip-unneeded "$OUT/$libdir/$shared"
    ln -s "$shared" "$OUT/$libdir/libpolygraft.so.$abi"
    ln -s "libpolygraft.so.$abi" "$OUT/$libdir/libpolygraft.so"
    sh "$here/static.sh" "$LIBRARIES/libpolygraft.a" "$LIBRARIES/libpolygraft.so" \
        "$OUT/$libdir/libpolygraft.a"
}

find_files() {
    mkdir -p "$OUT/$libdir/pkgconfig" "$OUT/$libdir/cmake/polygraft"
    fill polygraft.pc "$OUT/$libdir/pkgconfig/polygraft.pc"
    fill polygraft-static.pc "$OUT/$libdir/pkgconfig/polygraft-static.pc"
    for name in polygraft-config.cmake polygraft-config-version.cmake; do
        fill "$name" "$OUT/$libdir/cmake/polygraft/$name"
    done
}

command_line() {
    bash=$OUT/share/bash-completion/completions
    zsh=$OUT/share/zsh/site-functions
    fish=$OUT/share/fish/vendor_completions.d
    mkdir -p "$OUT/bin" "$OUT/share/man/man1" "$bash" "$zsh" "$fish"
    install -m 755 "$COMMAND" "$OUT/bin/polygraft"
    "${STRIP:-strip}" --strip-unneeded "$OUT/bin/polygraft"
    ${RUNNER:-} "$COMMAND" manual "$OUT/share/man/man1" 2> "$scratch/notes" || fail "$(cat "$scratch/notes")"
    ${RUNNER:-} "$COMMAND" completions bash > "$bash/polygraft"
    ${RUNNER:-} "$COMMAND" completions zsh > "$zsh/_polygraft"
    ${RUNNER:-} "$COMMAND" completions fish > "$fish/polygraft.fish"
}

documents() {
    mkdir -p "$OUT/share/doc/polygraft"
    for name in CHANGELOG.md LICENSE-APACHE LICENSE-MIT THIRD_PARTY_NOTICES.md; do
        install -m 644 "$root/$name" "$OUT/share/doc/polygraft"
    done
}

rm -rf "$OUT"
umask 022
headers
libraries
find_files
command_line
documents
# What `make uninstall` removes, this list included.
list=share/polygraft/installed-files
mkdir -p "$OUT/share/polygraft"
: > "$OUT/$list"
(cd "$OUT" && find . ! -type d | sed 's|^\./||' | LC_ALL=C sort) > "$scratch/list"
install -m 644 "$scratch/list" "$OUT/$list"
