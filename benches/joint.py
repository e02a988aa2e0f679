"""Intents and slots in one pass: train on the device in all languages, then answer the test split.

It draws the training sentences of the Home Assistant data (the same ones each time), trains one
shared adapter on the reference bundle with `polygraft update`, answers every test sentence with
`polygraft eval`, and prints a table of languages, the worst ones first. The figures go to
docs/results/joint.json with `--save`. Nothing is asserted.

About an hour on one core.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES_PER_LANGUAGE_MAX = 1000
SEED = 2
# LoRA at every linear layer: many languages at once need more room than query and value have.
TARGETS = "query,key,value,attention.output.dense,intermediate.dense,output.dense"
TRAINING = (
    "--mode fast --threads 1 --seed 1 --epochs 3 --batch-size 32 --micro-batch-tokens-max 2048 "
    f"--targets {TARGETS} --lora-rank 16 --held-out-percent 1 --held-out-max 1 --remember-max 200 "
    "--checkpoint-steps 400"
).split()
WORST_COUNT = 10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polygraft", type=Path, default=ROOT / "target/release/polygraft")
    parser.add_argument("--bundle", type=Path, default=ROOT / ".cache/bundle/e5-small")
    parser.add_argument("--data", type=Path, default=ROOT / ".cache/data/spans")
    parser.add_argument("--out", type=Path, default=ROOT / "target/joint")
    parser.add_argument("--evaluate-only", action="store_true", help="the store is trained already")
    parser.add_argument("--save", type=Path, help="where to write the figures as JSON")
    return parser.parse_args()


def draw(data, path):
    """Writes the training sentences; returns how many."""
    generator = random.Random()
    generator.seed(SEED)
    count = 0
    with path.open("w", encoding="utf-8") as out:
        for file in sorted(data.glob("train/*.jsonl")):
            lines = file.read_text(encoding="utf-8").splitlines()
            generator.shuffle(lines)
            for line in lines[:EXAMPLES_PER_LANGUAGE_MAX]:
                out.write(line + "\n")
                count += 1
    return count


def main():
    options = arguments()
    base = ["--bundle", options.bundle, "--store", options.out / "store", "--task", "joint"]
    if not options.evaluate_only:
        shutil.rmtree(options.out, ignore_errors=True)
        options.out.mkdir(parents=True)
        examples = options.out / "train.jsonl"
        print(f"{draw(options.data, examples)} training sentences")
        command = [options.polygraft, "update", *base, "--examples", examples, *TRAINING]
        subprocess.run(command, check=True, env=os.environ)
    tests = sorted(options.data.glob("test/*.jsonl"))
    command = [options.polygraft, "eval", *base, "--mode", "fast", "--json", "--examples", *tests]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ).stdout
    result = json.loads(output)
    rows = [{"language": row["language"], "examples": row["examples"], **row["metrics"]}
            for row in result["languages"]]
    rows.sort(key=lambda row: row["label_accuracy"] + row["span_f1"])
    print(f"{'language':10} {'examples':>8} {'intents':>8} {'slots F1':>9} {'words':>8}")
    for row in rows:
        print(f"{row['language']:10} {row['examples']:8} {100 * row['label_accuracy']:7.1f} % "
              f"{100 * row['span_f1']:7.1f} % {100 * row['word_accuracy']:6.1f} %")
    means = {name: sum(row[name] for row in rows) / len(rows)
             for name in ("label_accuracy", "span_f1", "word_accuracy")}
    print("mean over languages:", ", ".join(f"{name} {100 * value:.2f} %"
                                            for name, value in means.items()))
    print("worst:", ", ".join(row["language"] for row in rows[:WORST_COUNT]))
    if options.save:
        text = json.dumps({"means": means, "languages": rows}, indent=1) + "\n"
        options.save.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
