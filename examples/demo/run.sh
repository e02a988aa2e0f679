#!/bin/sh
# The demo: a voice assistant in 14 languages learns from new sentences in three of them.
#
# It takes what `make demo` has prepared (the bundle, the data, a release build), starts a fresh
# store in target/demo each time, and writes report.json and report.html there. Nothing else is
# touched.
set -eu

cd "$(dirname "$0")/../.."
polygraft=${POLYGRAFT:-target/release/polygraft}
bundle=${POLYGRAFT_BUNDLE:-.cache/bundle/e5-small}
data=${POLYGRAFT_DATA:-.cache/data/intents}
demo=target/demo
task=intent

# One language for each way a language can be built: Germanic, Finnic, Indo-Aryan, Semitic,
# Sinitic, Japonic, Turkic, Bantu, Koreanic, Vietic, Slavic, Hellenic, Ugric, Malayic, and their
# eleven scripts.
languages="en fi hi ar zh-CN ja tr sw ko vi ru el hu id"
# The languages that bring new sentences: three that the first adapter saw little of.
updated="tr hu el"
base_count=300
base_count_updated=60
new_count=500
threads=${POLYGRAFT_THREADS:-2}

for path in "$polygraft" "$bundle" "$data/train"; do
    if [ ! -e "$path" ]; then
        echo "$path is missing; run 'make demo', which prepares it" >&2
        exit 1
    fi
done
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$PWD/.cache/onnxruntime/libonnxruntime.so}
ORT_DISABLE_TELEMETRY=1
export ORT_DYLIB_PATH ORT_DISABLE_TELEMETRY

rm -rf "$demo"
mkdir -p "$demo"
started=$(date +%s)

step() {
    printf '\n[%3d s] %s\n' "$(($(date +%s) - started))" "$1"
}

is_updated() {
    case " $updated " in
        *" $1 "*) return 0 ;;
        *) return 1 ;;
    esac
}

# Every file of examples is in random order already, so its beginning is a fair sample.
: >"$demo/base.jsonl"
: >"$demo/new.jsonl"
for language in $languages; do
    train=$data/train/$language.jsonl
    if is_updated "$language"; then
        head -n "$base_count_updated" "$train" >>"$demo/base.jsonl"
        tail -n +"$((base_count_updated + 1))" "$train" | head -n "$new_count" >>"$demo/new.jsonl"
    else
        head -n "$base_count" "$train" >>"$demo/base.jsonl"
    fi
done

on_model="--bundle $bundle --store $demo/store --task $task --threads $threads"

step "A first adapter from $(wc -l <"$demo/base.jsonl") sentences in all languages"
# shellcheck disable=SC2086 # the options are meant to be split
"$polygraft" update $on_model --examples "$demo/base.jsonl" --mode fast --epochs 4 --new-labels

step "The first adapter answers test sentences in: $updated"
for language in $updated; do
    head -n 60 "$data/test/$language.jsonl"
done >"$demo/questions.jsonl"
# shellcheck disable=SC2086
"$polygraft" predict $on_model --examples "$demo/questions.jsonl" --json >"$demo/before.jsonl"

step "An update from $(wc -l <"$demo/new.jsonl") new sentences in: $updated"
# shellcheck disable=SC2086
"$polygraft" update $on_model --examples "$demo/new.jsonl" --mode fast --epochs 3 --new-labels \
    --report "$demo/report.json" --html "$demo/report.html" || [ $? -eq 4 ]
# shellcheck disable=SC2086
"$polygraft" predict $on_model --examples "$demo/questions.jsonl" --json >"$demo/after.jsonl"

step "One test sentence before the update, after it, and after a rollback"
say() {
    printf '  %-12s %-48s %s\n' "$1" "$2" "$3"
}
ask() {
    # shellcheck disable=SC2086
    answer=$("$polygraft" predict $on_model --language "$language" --top-k 1 -- "$text" \
        2>"$demo/answered_by.txt")
    say "$1" "$answer" "$(tail -n 1 "$demo/answered_by.txt")"
}

if python3 examples/demo/choose.py "$demo/before.jsonl" "$demo/after.jsonl" \
    >"$demo/sentence.txt"; then
    {
        read -r language
        read -r text
        read -r expected
        read -r answer
        read -r answered_by
    } <"$demo/sentence.txt"
    on_language="--store $demo/store --task $task --language $language"
    say "$language" "$text" ""
    say "labelled" "$expected" ""
    say "before" "$answer" "$answered_by"
    ask "after"
    newest=$(sed 's/.* version //' "$demo/answered_by.txt")
    # shellcheck disable=SC2086
    "$polygraft" rollback $on_language >"$demo/switched.txt"
    ask "rolled back"
    # shellcheck disable=SC2086
    "$polygraft" activate $on_language --version "$newest" >"$demo/switched.txt"
else
    echo "  The update corrected no test sentence of: $updated."
fi

step "Done. Open $demo/report.html for the report with charts. Three commands worth trying next:"
cat <<END

  export ORT_DYLIB_PATH=${ORT_DYLIB_PATH#"$PWD"/}
  $polygraft predict --bundle $bundle --store $demo/store --task $task --language de 'Licht an'
  $polygraft languages --explain lb --store $demo/store --task $task
  $polygraft doctor --bundle $bundle --store $demo/store
END
