#!/usr/bin/env bash
# Runs examples/c/update.c under valgrind: it learns, rolls back and closes everything, and nothing of
# it may be lost, read before it is written, or read after it is freed.
#
#   tools/valgrind.sh [FOLDER]
#
# FOLDER holds the libpolygraft.so of a development build; without it, target/debug. The bundle is the
# small one of tests/fixtures, because valgrind is thirty times slower than the processor.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
folder="$(cd "${1:-$root/target/debug}" && pwd)"
if ! command -v valgrind > /dev/null; then
  echo "valgrind.sh: skipped: needs valgrind"
  exit 0
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
ln -s "$folder/libpolygraft.so" "$work/libpolygraft.so"
ln -s "$folder/libpolygraft.so" "$work/libpolygraft.so.0"
# Three steps go through all that a hundred do.
sed 's/options.new_labels = 1;/& options.steps_max = 3;/' "$root/examples/c/update.c" > "$work/update.c"
"${CC:-cc}" -std=c11 -g -I "$root/include" "$work/update.c" -L "$work" \
  -Wl,-rpath,"$work" -lpolygraft -lm -o "$work/update"

# Two labels that a few words tell apart.
for number in 0 1 2 3 4 5 6 7 8 9; do
  printf 'de\tw1%d w4%d w50\ton\nde\tw2%d w4%d w51\toff\n' "$number" "$number" "$number" "$number"
done > "$work/examples.tsv"
export ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$root/.cache/onnxruntime/libonnxruntime.so}"
export ORT_DISABLE_TELEMETRY=1 POLYGRAFT_CACHE_DIR=
valgrind --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
  --error-exitcode=9 --num-callers=30 --suppressions="$root/tools/valgrind.supp" \
  "$work/update" "$root/tests/fixtures/written-by-0.1.0/encoder" "$work/store" \
  "$work/examples.tsv" de 'w14 w44 w50'
