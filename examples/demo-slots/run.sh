#!/bin/sh
# The demo of intents and slots: a voice assistant finds the intent and its slots, in 13 languages
# and eleven scripts, and learns from new sentences in three of them.
#
# It takes what `make demo-slots` has prepared (the bundle, the data, a release build), starts a
# fresh store in target/demo-slots each time, and writes report.json and report.html there. Nothing
# else is touched.
set -eu

cd "$(dirname "$0")/../.."
polygraft=${POLYGRAFT:-target/release/polygraft}
bundle=${POLYGRAFT_BUNDLE:-.cache/bundle/e5-small}
data=${POLYGRAFT_DATA:-.cache/data}
demo=target/demo-slots
task=assistant

# Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, Thai, Han, Hangul: with spaces between words,
# and without.
languages="en fi ru ar he hi th zh-CN ko vi tr hu el"
# The languages that bring new sentences: three that the first adapter saw little of.
updated="tr hu el"
base_count=300
base_count_updated=60
new_count=300
test_count=60
threads=${POLYGRAFT_THREADS:-2}
# The modules that learn: every linear layer. Words need more room than intents alone.
targets=query,key,value,attention.output.dense,intermediate.dense,output.dense

for path in "$polygraft" "$bundle" "$data/spans/train"; do
    if [ ! -e "$path" ]; then
        echo "$path is missing; run 'make demo-slots', which prepares it" >&2
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
    train=$data/spans/train/$language.jsonl
    if is_updated "$language"; then
        head -n "$base_count_updated" "$train" >>"$demo/base.jsonl"
        tail -n +"$((base_count_updated + 1))" "$train" | head -n "$new_count" >>"$demo/new.jsonl"
    else
        head -n "$base_count" "$train" >>"$demo/base.jsonl"
    fi
    head -n "$test_count" "$data/spans/test/$language.jsonl" >>"$demo/test.jsonl"
done
# shellcheck disable=SC2086 # one argument for each language
python3 examples/demo-slots/questions.py "$data/spans/test" "$demo" $languages

on_model="--bundle $bundle --store $demo/store --task $task --threads $threads \
    --targets $targets"

measure() {
    # shellcheck disable=SC2086 # the options are meant to be split
    beating "test" "$polygraft" eval $on_model --examples "$demo/test.jsonl" --progress none
}

step "A first adapter from $(wc -l <"$demo/base.jsonl") sentences with intents and slots"
# shellcheck disable=SC2086
"$polygraft" update $on_model --examples "$demo/base.jsonl" --mode fast --epochs 4 --new-labels \
    --learning-rate 0.002 --lora-rank 16 --lora-alpha 32

step "How it does on test sentences that nothing was trained on"
measure

step "An update from $(wc -l <"$demo/new.jsonl") new sentences in: $updated"
# shellcheck disable=SC2086
"$polygraft" update $on_model --examples "$demo/new.jsonl" --mode fast --epochs 3 --new-labels \
    --learning-rate 0.002 --report "$demo/report.json" --html "$demo/report.html" \
    || nothing_activated

step "The same test sentences after the update and its gate"
measure

step "One test sentence of each language as it is written, with what was found in it"
for language in $languages; do
    # shellcheck disable=SC2086
    beating "$language" "$polygraft" predict $on_model --language "$language" --json - \
        <"$demo/questions-$language.txt" >>"$demo/answers.jsonl"
done
python3 examples/demo-slots/show.py "$demo/questions.jsonl" "$demo/answers.jsonl"

step "Done. Open $demo/report.html for the report with charts. Three commands worth trying next:"
cat <<END

  export ORT_DYLIB_PATH=${ORT_DYLIB_PATH#"$PWD"/}
  $polygraft predict --bundle $bundle --store $demo/store --task $task --language en \\
      'turn off the lamp in the kitchen'
  $polygraft predict --bundle $bundle --store $demo/store --task $task --language de --json \\
      'Schalte die Lampe in der Küche aus'
  $polygraft rollback --store $demo/store --task $task --language el
END
