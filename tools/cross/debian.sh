#!/bin/sh
# A folder with a Debian of its own, which has compilers and standard libraries of Rust for other
# machines, and programs that run what they make. Nothing of the system outside is changed.
#
#   sh tools/cross/debian.sh make FOLDER PACKAGE...      makes the folder, or adds packages
#   sh tools/cross/debian.sh run FOLDER CACHE COMMAND... runs a command there, in this repository
#
# Needs debootstrap and the rights of a superuser. What is mounted for a command can be seen by that
# command alone and goes with it, so the folder can be removed at any time.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
# Rust that is new enough is in the suite that is always current, whose time stamps a mirror may keep
# for longer than they count. Signatures are checked all the same.
suite=sid
stale="-o Acquire::Check-Valid-Until=false"

fail() {
    echo "debian: $1" >&2
    exit 1
}

inside() {
    DEBIAN_FRONTEND=noninteractive chroot "$@"
}

make_folder() {
    folder=$1
    shift
    [ "$(id -u)" = 0 ] || fail "only a superuser can make $folder"
    if [ ! -f "$folder/made" ]; then
        command -v debootstrap > /dev/null || fail "needs debootstrap: apt-get install debootstrap"
        rm -rf "$folder"
        mkdir -p "$folder"
        debootstrap --variant=minbase "$suite" "$folder" > "$folder.log" 2>&1 ||
            fail "debootstrap failed: see $folder.log"
        inside "$folder" dpkg --add-architecture arm64
        # Its links lead out of the folder, in circles for whoever follows them, such as cargo. A
        # command has the devices of the system.
        rm -f "$folder/dev/fd" "$folder/dev/stdin" "$folder/dev/stdout" "$folder/dev/stderr"
        touch "$folder/made"
    fi
    # A stamp for each set of packages, so that a second call does nothing.
    stamp=$folder/made-$(echo "$*" | cksum | cut -d ' ' -f 1)
    [ -f "$stamp" ] && return
    inside "$folder" sh -c "apt-get $stale update && apt-get install -y --no-install-recommends $*" \
        > "$folder.log" 2>&1 || fail "apt-get failed: see $folder.log"
    inside "$folder" apt-get clean
    touch "$stamp"
}

run_inside() {
    folder=$(cd "$1" && pwd)
    cache=$(cd "$2" && pwd -P)
    shift 2
    registry=${CARGO_HOME:-$HOME/.cargo}/registry
    mkdir -p "$folder/cargo/registry" "$registry"
    export FOLDER="$folder" ROOT="$root" CACHED="$cache" REGISTRY="$registry"
    # The mounts are those of the new namespace.
    exec unshare --mount --propagation private sh -eu -c '
        for shared in proc sys dev; do
            mount --rbind "/$shared" "$FOLDER/$shared"
        done
        mkdir -p "$FOLDER$ROOT" "$FOLDER$CACHED"
        mount --bind "$ROOT" "$FOLDER$ROOT"
        mount --bind "$CACHED" "$FOLDER$CACHED"
        mount --bind "$REGISTRY" "$FOLDER/cargo/registry"
        exec chroot "$FOLDER" env HOME=/tmp CARGO_HOME=/cargo PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 \
            sh -eu -c "cd \"$ROOT\" && exec \"\$@\"" sh "$@"' sh "$@"
}

action=${1:-}
shift || true
case $action in
    make) make_folder "$@" ;;
    run) run_inside "$@" ;;
    *) fail "expected make or run, found '$action'" ;;
esac
