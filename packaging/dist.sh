#!/bin/sh
# Packs a folder that stage.sh made: polygraft-VERSION-linux-MACHINE.tar.xz, which can be unpacked
# anywhere, and polygraft_VERSION_ARCHITECTURE.deb, which installs below /usr.
#
#   STAGE=FOLDER OUT=FOLDER sh packaging/dist.sh
#
# The same files give the same bytes. Times are those of SOURCE_DATE_EPOCH, else of the last commit.
# LEVEL is xz's level of compression, MAINTAINER a name and an address for the .deb. MACHINE is the
# processor that the files are for, where it is not this one's, and OBJDUMP a tool that reads them.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
level=${LEVEL:-6}
machine=${MACHINE:-$(uname -m)}
maintainer=${MAINTAINER:-polygraft maintainers <maintainers@polygraft.invalid>}

fail() {
    echo "dist: $1" >&2
    exit 1
}

[ -f "$STAGE/share/polygraft/installed-files" ] || fail "$STAGE is not complete: run make stage"
stage=$(cd "$STAGE" && pwd)
pc=$(find "$stage" -name polygraft.pc)
version=$(sed -n 's/^Version: //p' "$pc")
description=$(sed -n 's/^Description: //p' "$pc")
library=$(find "$stage" -name "libpolygraft.so.$version")
soname=$(basename "$(find "$stage" -name 'libpolygraft.so.*' -type l)")

# The newest GLIBC_... that a file asks for: the oldest glibc that it runs on.
glibc() {
    "${OBJDUMP:-objdump}" -T "$@" | sed -n 's/.*GLIBC_\([0-9][0-9.]*\).*/\1/p' | sort -V | tail -n 1
}
floor=$(glibc "$library" "$stage/bin/polygraft")

date=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2> /dev/null || echo 0)}
export SOURCE_DATE_EPOCH="$date"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
umask 022
mkdir -p "$OUT"

archive() {
    name=polygraft-$version-linux-$machine
    tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$date" \
        --transform "flags=r;s|^\.|$name|" -cf - . | xz "-$level" > "$OUT/$name.tar.xz"
    echo "$OUT/$name.tar.xz"
}

debian() {
    if ! command -v dpkg-deb > /dev/null; then
        echo "dist: dpkg-deb is not there: no .deb is made" >&2
        return
    fi
    root=$scratch/root
    mkdir -p "$root/DEBIAN" "$root/usr"
    cp -R -P "$stage/." "$root/usr/"
    # dpkg knows what it installed, and zsh looks elsewhere on Debian.
    rm -r "$root/usr/share/polygraft"
    mv "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
    # What Debian calls the processor.
    case $machine in
        aarch64) architecture=arm64 ;;
        x86_64) architecture=amd64 ;;
        *) architecture=$(dpkg --print-architecture) ;;
    esac
    cat > "$root/DEBIAN/control" <<END
Package: polygraft
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Section: libs
Priority: optional
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: libc6 (>= $floor), libgcc-s1
Description: $description
 The shared and the static library, the headers for C and C++, and the command polygraft. ONNX
 Runtime 1.24 or newer is opened at run time and is not part of the package.
END
    echo "libpolygraft ${soname##*.} polygraft (>= $version)" > "$root/DEBIAN/shlibs"
    echo "activate-noawait ldconfig" > "$root/DEBIAN/triggers"
    find "$root" -exec touch -h -d "@$date" {} +
    file=$OUT/polygraft_${version}_$architecture.deb
    dpkg-deb --root-owner-group -Zxz "-z$level" --build "$root" "$file" > /dev/null
    echo "$file"
}

size() {
    echo "  $1: $(($(stat -L -c %s "$2") / 1000)) kB"
}

archive
debian
echo "  oldest glibc: $floor"
size "shared library" "$library"
size "static library" "$(dirname "$library")/libpolygraft.a"
size "command" "$stage/bin/polygraft"
