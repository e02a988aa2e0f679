#!/bin/sh
# The sequence-to-sequence demo: a byte-level model, which was trained on lemmas and pronunciations,
# learns to write dates as people do in ten languages, and then more in three.
#
# It takes what `make demo-seq2seq` has prepared (the bundle, the data, a release build), starts a
# fresh store in target/demo-seq2seq each time, and writes report.json and report.html there.
# Nothing else is touched.
set -eu

cd "$(dirname "$0")/../.."
polygraft=${POLYGRAFT:-target/release/polygraft}
bundle=${POLYGRAFT_BUNDLE:-.cache/bundle/lemma-bytes}
data=${POLYGRAFT_DATA:-.cache/data/dates}
demo=target/demo-seq2seq
task=dates

# Germanic, Romance, Slavic, Hellenic, Finnic, Turkic, Armenian, Cyrillic and Greek letters.
languages="de en es fr ru uk el fi tr hy"
# The languages that bring new dates: three that the first adapter saw little of.
updated="el fi tr"
base_count=300
base_count_updated=60
new_count=400
test_count=60
shown_count=4
threads=${POLYGRAFT_THREADS:-2}
# The modules of the decoder and the encoder that learn: attention and feed-forward.
targets=${POLYGRAFT_TARGETS:-q_proj,v_proj,fc1,fc2}
epochs=${POLYGRAFT_EPOCHS:-8}

for path in "$polygraft" "$bundle" "$data/train"; do
    if [ ! -e "$path" ]; then
        echo "$path is missing; run 'make demo-seq2seq', which prepares it" >&2
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
: >"$demo/shown.jsonl"
for language in $languages; do
    train=$data/train/$language.jsonl
    if is_updated "$language"; then
        head -n "$base_count_updated" "$train" >>"$demo/base.jsonl"
        tail -n +"$((base_count_updated + 1))" "$train" | head -n "$new_count" >>"$demo/new.jsonl"
    else
        head -n "$base_count" "$train" >>"$demo/base.jsonl"
    fi
    head -n "$test_count" "$data/test/$language.jsonl" >>"$demo/test.jsonl"
    head -n "$shown_count" "$data/test/$language.jsonl" >>"$demo/shown.jsonl"
done

on_model="--bundle $bundle --store $demo/store --task $task --threads $threads --targets $targets"

measure() {
    # shellcheck disable=SC2086 # the options are meant to be split
    beating "test" "$polygraft" eval $on_model --examples "$demo/test.jsonl" --progress none
}

step "A first adapter from $(wc -l <"$demo/base.jsonl") dates and how they are written"
# shellcheck disable=SC2086
"$polygraft" update $on_model --examples "$demo/base.jsonl" --mode fast --epochs "$epochs" \
    --learning-rate 0.002 --lora-rank 16 --lora-alpha 32

step "How it does on test dates that nothing was trained on"
measure

step "An update from $(wc -l <"$demo/new.jsonl") new dates in: $updated"
# shellcheck disable=SC2086
"$polygraft" update $on_model --examples "$demo/new.jsonl" --mode fast --epochs "$epochs" \
    --learning-rate 0.002 --report "$demo/report.json" --html "$demo/report.html" \
    || nothing_activated

step "The same test dates after the update and its gate"
measure

step "Test dates of each language, as they are answered now"
# shellcheck disable=SC2086
beating "test dates" "$polygraft" predict $on_model --examples "$demo/shown.jsonl"

step "Done. Open $demo/report.html for the report with charts. Three commands worth trying next:"
cat <<END

  export ORT_DYLIB_PATH=${ORT_DYLIB_PATH#"$PWD"/}
  $polygraft predict --bundle $bundle --store $demo/store --task $task --language de \\
      --stream 'de@ 1889-04-16'
  $polygraft predict --bundle $bundle --store $demo/store --task $task --language tr \\
      --beams 4 'tr@ 1923-10-29'
  $polygraft rollback --store $demo/store --task $task --language el
END
