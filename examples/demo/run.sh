#!/bin/sh
# The demo: a voice assistant in 14 languages learns from new sentences in three of them, and plain
# finetuning on the same sentences stands beside it.
#
# It takes what `make demo` has prepared (the bundle, the data, a release build), starts fresh stores
# in target/demo each time, and writes report.json and report.html there. Nothing else is touched.
# POLYGRAFT, POLYGRAFT_BUNDLE, POLYGRAFT_DATA and POLYGRAFT_THREADS name another command, bundle,
# folder of data and number of threads.
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
base_count=400
base_count_updated=80
new_count=500
# Test sentences of each language, which no update sees.
test_count=100
# The percentage of examples that is held out: the selection split and the report split.
held_out_percent=25
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

# Says that a command without progress of its own is still at work.
beating() {
    sh tools/heartbeat.sh "$@"
}

# Whether the previous command failed only because the gate kept every language.
nothing_activated() {
    case $? in
        4 | 5) return 0 ;;
        *) return 1 ;;
    esac
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
: >"$demo/test.jsonl"
for language in $languages; do
    train=$data/train/$language.jsonl
    if is_updated "$language"; then
        head -n "$base_count_updated" "$train" >>"$demo/base.jsonl"
        tail -n +"$((base_count_updated + 1))" "$train" | head -n "$new_count" >>"$demo/new.jsonl"
    else
        head -n "$base_count" "$train" >>"$demo/base.jsonl"
    fi
    head -n "$test_count" "$data/test/$language.jsonl" >>"$demo/test.jsonl"
done

on_task="--bundle $bundle --task $task --threads $threads --mode fast"
on_model="$on_task --store $demo/store"
learning="--new-labels --held-out-percent $held_out_percent"

# Lets a store answer the test sentences.
answer() {
    # shellcheck disable=SC2086 # the options are meant to be split
    beating "test sentences" "$polygraft" predict $on_task --store "$1" \
        --examples "$demo/test.jsonl" --json
}

step "A first adapter from $(wc -l <"$demo/base.jsonl") sentences in all languages"
# shellcheck disable=SC2086
"$polygraft" update $on_model $learning --examples "$demo/base.jsonl" --epochs 4

step "The first adapter answers $test_count test sentences of each language"
answer "$demo/store" >"$demo/before.jsonl"
cp -R "$demo/store" "$demo/naive-store"

step "An update from $(wc -l <"$demo/new.jsonl") new sentences in: $updated"
# shellcheck disable=SC2086
"$polygraft" update $on_model $learning --examples "$demo/new.jsonl" --epochs 3 \
    --report "$demo/report.json" --html "$demo/report.html" \
    || nothing_activated
answer "$demo/store" >"$demo/after.jsonl"

step "The same sentences by plain finetuning without a gate, in a store that nothing else uses"
# shellcheck disable=SC2086
"$polygraft" update $on_task --store "$demo/naive-store" $learning --examples "$demo/new.jsonl" \
    --epochs 3 --strategy naive --no-gate >"$demo/naive.txt"
answer "$demo/naive-store" >"$demo/naive.jsonl"

step "What each of the two did to every language"
# shellcheck disable=SC2086 # one argument for each language
python3 examples/demo/compare.py "$demo/before.jsonl" "$demo/after.jsonl" "$demo/naive.jsonl" \
    $updated

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

# shellcheck disable=SC2086 # one argument for each language
if python3 examples/demo/choose.py "$demo/before.jsonl" "$demo/after.jsonl" $updated \
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

step "Done. Open $demo/report.html for the report with charts. Worth trying next:"
cat <<END

  export ORT_DYLIB_PATH=${ORT_DYLIB_PATH#"$PWD"/}

Nothing was trained on German; the shared adapter answers:
  $polygraft predict --bundle $bundle --store $demo/store --task $task --language de 'Licht an'
END
# shellcheck disable=SC2086 # one argument for each language
if python3 examples/demo/neighbour.py "$polygraft" "$demo/store" "$task" $updated \
    >"$demo/neighbour.txt"; then
    {
        read -r tag
        read -r name
        read -r near
    } <"$demo/neighbour.txt"
    cat <<END
$name ($tag) has no version of its own; that of $near, which is near, stands in for it:
  $polygraft languages --explain $tag --store $demo/store --task $task
END
fi
cat <<END
What is on this machine, and whether anything is wrong with it:
  $polygraft doctor --bundle $bundle --store $demo/store
END
