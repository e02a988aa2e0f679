#!/bin/sh
# Measure which lines of src/ the tests run, with a build of its own below target/.
#
#   sh tools/coverage.sh CACHE
#
# The data can only be read by the LLVM that rustc was built with: the component llvm-tools of
# rustup, or programs of the system such as llvm-cov-22 (`apt install llvm-22`).
set -eu

cache=$1
python3 tools/setup.py --cache "$cache" --programs
llvm=$(rustc --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
if [ ! -x "$(rustc --print target-libdir)/../bin/llvm-profdata" ]; then
    if ! command -v "llvm-profdata-$llvm" > /dev/null; then
        echo "coverage: install the component llvm-tools of rustup, or the package llvm-$llvm" >&2
        exit 1
    fi
    LLVM_COV=$(command -v "llvm-cov-$llvm")
    LLVM_PROFDATA=$(command -v "llvm-profdata-$llvm")
    export LLVM_COV LLVM_PROFDATA
fi
# Tests that count memory fail here, since the counters take some; lines are counted all the same.
"$cache/programs/cargo-llvm-cov" llvm-cov --features experiment --ignore-run-fail --summary-only
