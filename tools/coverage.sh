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
# One build serves the reference bundle and the tests: cargo-llvm-cov only sets the variables by
# which Cargo instruments this crate, and reads what the runs wrote.
cov="$cache/programs/cargo-llvm-cov llvm-cov"
export CARGO_TARGET_DIR="$PWD/target/coverage"
eval "$($cov show-env --sh)"
$cov clean --profraw-only
make bundle-dev
# Tests that count memory may fail here, since the counters take some; lines are counted all the
# same.
cargo test --features experiment --no-fail-fast || true
# Tests that kill processes leave some files that are cut off.
$cov report --failure-mode all --summary-only
