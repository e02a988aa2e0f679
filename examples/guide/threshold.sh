#!/bin/sh
# Measures thresholds for the guide: a task that has learnt `on` and `off` alone, and the same task
# with sentences of the label `none`. It takes the bundle and the program `threshold` of a build:
#
#   cargo build --release --examples --bin polygraft && examples/guide/threshold.sh target/release
set -eu

built=${1:-target/release}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for kind in without with; do
    examples=examples/light.jsonl
    [ $kind = without ] || examples="$examples examples/guide/none.jsonl"
    # shellcheck disable=SC2086  # two files
    "$built/polygraft" update --bundle .cache/bundle/e5-small --store "$folder/$kind" --task light \
        --progress none --examples $examples > /dev/null
    echo "$kind examples of the label none:"
    "$built/examples/threshold" .cache/bundle/e5-small "$folder/$kind" light \
        examples/guide/held-out.jsonl
done
