#!/bin/sh
# Builds polygraft for Linux on aarch64 on another machine, and runs or packs what was built.
#
#   CACHE=FOLDER GLIBC=2.28 sh tools/cross/aarch64.sh test [POLYGRAFT]
#   CACHE=FOLDER GLIBC=2.28 sh tools/cross/aarch64.sh dist
#
# `test` runs tests of the library and the example in C under an emulator, on the small bundle of
# the repository, and compares gradients with those of POLYGRAFT, the command for this machine.
# `dist` writes packages into target/dist. Each ends after LIMIT_S seconds, an hour, most of which is
# building.
#
# What builds and runs lies in a Debian of its own below CACHE; `tools/setup.py --linker` has put the
# linker beside it. This needs a superuser and debootstrap.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tools/cross
cache=$(cd "$CACHE" && pwd -P)
glibc=${GLIBC:-2.28}
debian=$cache/debian
work=$root/target/aarch64
target=aarch64-unknown-linux-gnu
# `neon` and the products of small numbers are there, as on phones and servers since 2018. Without a
# model the emulator takes everything that it knows, which ONNX Runtime then tries out.
emulator="qemu-aarch64 -cpu cortex-a76 -L /usr/aarch64-linux-gnu"

say() {
    echo "aarch64: $1"
}

prepare() {
    sh "$here/debian.sh" make "$debian" rustc cargo libstd-rust-dev:arm64 gcc \
        gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross qemu-user xz-utils
    mkdir -p "$work"
    # What is not there yet is fetched outside, where the network is known.
    "${CARGO:-cargo}" fetch --quiet --locked
    python3 "$here/onnxruntime.py" aarch64 "$cache" "$work/onnxruntime"
}

inside() {
    sh "$here/debian.sh" run "$debian" "$cache" env CACHE="$cache" GLIBC="$glibc" \
        CARGO_NET_OFFLINE=true \
        SOURCE_DATE_EPOCH="$(git -C "$root" log -1 --format=%ct)" \
        timeout --kill-after 10 "${LIMIT_S:-3600}" sh tools/cross/aarch64.sh "$@"
}

# Below here: what runs inside.

tools() {
    environment=$cache/venv-linker
    PATH=$environment/bin:$(echo "$environment"/lib/python3.*/site-packages/bin):$PATH
    CARGO_ZIGBUILD_ZIG_PATH=$(echo "$environment"/lib/python3.*/site-packages/ziglang/zig)
    export PATH CARGO_ZIGBUILD_ZIG_PATH
    export ORT_DYLIB_PATH="$work/onnxruntime/libonnxruntime.so" ORT_DISABLE_TELEMETRY=1
}

# The tests of kernels compare each with the standard form of the operator; a test that starts
# itself again is left out, since the system cannot start programs for another processor.
build_and_test() {
    tools
    # Optimised, because emulated code is slow, and not across crates, because that takes long.
    export CARGO_TARGET_DIR="$work/build" CARGO_PROFILE_RELEASE_LTO=off POLYGRAFT_SET_UP=1
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$emulator"
    cargo-zigbuild zigbuild --release --locked --target "$target.$glibc" --lib --bin polygraft \
        --test kernels --test gradients
    cargo-zigbuild test --release --locked --target "$target.$glibc" --test kernels \
        --test gradients -- --skip first_sessions
    example
    $emulator "$work/build/$target/release/polygraft" gradients \
        --onnx tests/fixtures/backbones/bert/torchscript-17.onnx --output last_hidden_state \
        --adapter "$work/adapter" --inputs "$work/inputs" --cotangent "$work/cotangent" \
        --out "$work/gradients-aarch64"
}

# Learns, answers and rolls back through the C interface.
example() {
    built=$work/build/$target/release
    aarch64-linux-gnu-nm --dynamic --defined-only --format=posix "$built/libpolygraft.so" |
        sed 's/ .*//' | LC_ALL=C sort > "$work/symbols"
    LC_ALL=C sort docs/abi-symbols.txt | diff - "$work/symbols" ||
        { say "the library exports other names than docs/abi-symbols.txt"; exit 1; }
    say "the library exports the names of docs/abi-symbols.txt"
    ln -sf "$built/libpolygraft.so" "$work/libpolygraft.so"
    ln -sf "$built/libpolygraft.so" "$work/libpolygraft.so.0"
    aarch64-linux-gnu-gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -I include \
        examples/c/update.c -o "$work/update" -L "$work" -Wl,-rpath,"$work" -lpolygraft -lm
    # Two words tell the two labels apart.
    awk 'BEGIN { for (index_ = 0; index_ < 240; index_++) {
        first = index_ % 2 ? 20 : 10
        printf "de\tw%d w%d w%d\t%s\n", first + index_ % 10, 40 + int(index_ / 36),
            40 + index_ % 36, index_ % 2 ? "off" : "on" } }' > "$work/examples.tsv"
    rm -rf "$work/store"
    $emulator "$work/update" tests/fixtures/written-by-0.1.0/encoder "$work/store" \
        "$work/examples.tsv" de "w14 w66" > "$work/update.txt" 2> "$work/progress.txt" ||
        { tail -n 3 "$work/progress.txt"; exit 1; }
    grep -E '^(de|mul|before|after|rolled back)' "$work/update.txt"
    grep -q '^after: o[nf]* .*(version 1 of de)' "$work/update.txt"
    grep -q '^rolled back: .*has no version' "$work/update.txt"
}

build_and_pack() {
    tools
    dist=$root/target/dist/aarch64
    TARGET="$work/dist" MACHINE=aarch64 sh packaging/build.sh "$dist/built"
    tool=aarch64-linux-gnu
    LIBRARIES="$dist/built" COMMAND="$dist/built/polygraft" OUT="$dist/stage" \
        STRIP=$tool-strip LD=$tool-ld OBJCOPY=$tool-objcopy AR=$tool-ar NM=$tool-nm \
        RUNNER="$emulator" sh packaging/stage.sh
    STAGE="$dist/stage" OUT="$root/target/dist" MACHINE=aarch64 OBJDUMP=$tool-objdump \
        sh packaging/dist.sh
}

case ${1:-} in
    test)
        prepare
        python3 "$here/gradients.py" split tests/oracle/backbones/bert.safetensors "$work"
        inside build-and-test
        "$2" gradients --onnx tests/fixtures/backbones/bert/torchscript-17.onnx \
            --output last_hidden_state --adapter "$work/adapter" --inputs "$work/inputs" \
            --cotangent "$work/cotangent" --out "$work/gradients-here" > /dev/null
        python3 "$here/gradients.py" compare "$work/gradients-here" "$work/gradients-aarch64"
        ;;
    dist)
        prepare
        inside build-and-pack
        ;;
    build-and-test) build_and_test ;;
    build-and-pack) build_and_pack ;;
    *)
        echo "aarch64: expected test or dist, found '${1:-}'" >&2
        exit 2
        ;;
esac
