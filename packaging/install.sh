#!/bin/sh
# Copies a folder that stage.sh made below a prefix, or removes what was copied.
#
#   STAGE=FOLDER PREFIX=/usr/local [DESTDIR=FOLDER] sh packaging/install.sh install
#                PREFIX=/usr/local [DESTDIR=FOLDER] sh packaging/install.sh uninstall
#
# DESTDIR is put before PREFIX, for packages that are made in one place and unpacked in another.
set -eu

list=share/polygraft/installed-files
target=${DESTDIR:-}$PREFIX

fail() {
    echo "$1" >&2
    exit 1
}

case $PREFIX in
    /*) ;;
    *) fail "PREFIX is a full path, such as /usr/local, found '$PREFIX'" ;;
esac

# Removes the files of a list, then the folders that only they used.
remove() {
    while IFS= read -r file; do
        case $file in
            /* | *..*) fail "$target/$list names '$file', which is not below $PREFIX" ;;
        esac
        rm -f "$target/$file"
    done < "$1"
    while IFS= read -r file; do
        folder=$(dirname "$file")
        # rmdir leaves a folder in which something else lies.
        while [ "$folder" != . ] && rmdir "$target/$folder" 2> /dev/null; do
            folder=$(dirname "$folder")
        done
    done < "$1"
}

scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT
case $1 in
    install)
        [ -f "$STAGE/$list" ] || fail "install: $STAGE is not complete: run make stage"
        # Files of an older version that this one does not have must not stay.
        if [ -f "$target/$list" ]; then
            grep -Fxv -f "$STAGE/$list" "$target/$list" > "$scratch" || true
            remove "$scratch"
        fi
        umask 022
        mkdir -p "$target"
        # A running program keeps the library that it has, so none is written to in its place.
        cp -R -P --remove-destination "$STAGE/." "$target/"
        echo "installed polygraft below $target"
        ;;
    uninstall)
        [ -f "$target/$list" ] || fail "uninstall: $target/$list is not there: nothing to remove"
        cp "$target/$list" "$scratch"
        remove "$scratch"
        echo "removed polygraft from $target"
        ;;
    *) fail "install.sh: expected install or uninstall, found '$1'" ;;
esac
