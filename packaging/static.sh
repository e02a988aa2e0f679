#!/bin/sh
# Makes the static library that is installed: one object in which only the functions of the C
# interface can be seen.
#
#   sh packaging/static.sh ARCHIVE SHARED OUT
#
# ARCHIVE is libpolygraft.a as cargo wrote it: the library, all that it depends on and Rust's
# standard library, each with names that everything in a program can see. A program that also links
# BLAKE3's C library, or another static library written in Rust, would define names twice, or call
# the wrong functions. So the linker puts together what the interface needs, and all other names
# become local. SHARED is the shared library, whose exported names are the interface.
set -eu

archive=$1
shared=$2
out=$3

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${NM:-nm}" --dynamic --defined-only --format=posix "$shared" | sed 's/ .*//' > "$scratch/names"
[ -s "$scratch/names" ] || {
    echo "static: $shared exports nothing" >&2
    exit 1
}
sed 's/^/--undefined=/' "$scratch/names" > "$scratch/roots"
# Sections stay apart, so that a program's own linker can still drop what the program does not use.
"${LD:-ld}" --relocatable --force-group-allocation @"$scratch/roots" "$archive" \
    -o "$scratch/polygraft.o"
# The standard library's objects bring LLVM's bitcode, which older tools stumble over.
"${OBJCOPY:-objcopy}" --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd \
    --keep-global-symbols="$scratch/names" "$scratch/polygraft.o"
rm -f "$out"
# D: without times and owners, so that the same input gives the same bytes.
"${AR:-ar}" rcsD "$out" "$scratch/polygraft.o"
chmod 644 "$out"
