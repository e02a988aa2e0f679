#!/bin/sh
# Type-checks the library and the command for systems that nothing here can run: the standard library
# is checked from its sources first, because a registry has it for few systems.
#
#   CACHE=FOLDER sh tools/cross/check.sh TARGET...
#
# A target is a name of rustc's, such as aarch64-apple-ios. Without a C compiler for the system, the
# hashes are computed by code in Rust, which is what `blake3/pure` stands for. It needs a superuser
# and debootstrap.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tools/cross
debian=$CACHE/debian

sh "$here/debian.sh" make "$debian" rustc cargo rust-src gcc libc6-dev ca-certificates
# What is not there yet is fetched outside, where the network is known.
"${CARGO:-cargo}" fetch --quiet --locked
for library in "$debian"/usr/src/rustc-*/library; do
    RUSTC_BOOTSTRAP=1 "${CARGO:-cargo}" fetch --quiet --locked --manifest-path "$library/Cargo.toml"
done
failed=""
for target in "$@"; do
    # Parts of the standard library that are not stable are needed to compile it.
    if sh "$here/debian.sh" run "$debian" "$CACHE" env CARGO_NET_OFFLINE=true RUSTC_BOOTSTRAP=1 \
        RUSTFLAGS=-Dwarnings \
        CARGO_TARGET_DIR="$root/target/check" cargo check --quiet --locked \
        -Zbuild-std=std,panic_unwind --target "$target" --lib --bin polygraft \
        --features blake3/pure; then
        echo "$target: checked"
    else
        failed="$failed $target"
    fi
done
[ -z "$failed" ] || {
    echo "check: failed for$failed" >&2
    exit 1
}
