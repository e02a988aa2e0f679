"""What a few sentences give: accuracy and training time of a first version, by sentences a language.

Draws N sentences in each of five languages, starts a task with them by the command's defaults, and
lets it answer sentences of the test split, which are made from other templates and which nothing
is trained or chosen by. Every seed draws other sentences and trains with itself as the seed. Prints a
table of means over seeds, each with the lowest and the highest. Nothing is asserted.

Needs `make bundle`, which also brings the data. About 15 minutes on 2 cores.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"

# Five families, four scripts.
LANGUAGES = ["de", "fi", "hi", "tr", "zh-CN"]
SIZES = [5, 10, 20, 40, 80, 160]
SEEDS = [0, 1, 2]
# A small assistant: the intents with the most sentences, counted over all languages.
INTENTS_COUNT = 10
TESTED = 100


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polygraft", type=Path, default=ROOT / "target/release/polygraft")
    parser.add_argument("--bundle", type=Path, default=CACHE / "bundle/e5-small")
    parser.add_argument("--data", type=Path, default=CACHE / "data/intents")
    parser.add_argument("--out", type=Path, default=ROOT / "target/small-data")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--update", nargs=argparse.REMAINDER, default=[],
                        help="further flags of `polygraft update`, to compare with the defaults")
    return parser.parse_args()


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path, examples):
    lines = (json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
    path.write_text("".join(lines), encoding="utf-8")


def load(data):
    """{language: training sentences} and the sentences to test, of the most frequent intents."""
    train = {language: read(data / "train" / f"{language}.jsonl") for language in LANGUAGES}
    counts = Counter(one["label"] for examples in train.values() for one in examples)
    intents = {label for label, _ in counts.most_common(INTENTS_COUNT)}
    kept = {language: [one for one in examples if one["label"] in intents]
            for language, examples in train.items()}
    test = []
    for language in LANGUAGES:
        sentences = read(data / "test" / f"{language}.jsonl")
        test += [one for one in sentences if one["label"] in intents][:TESTED]
    return kept, test


def draw(train, size, seed):
    """So many sentences of every language, the labels in turn, as a person would write them."""
    drawn = []
    for place, (language, examples) in enumerate(sorted(train.items())):
        source = random.Random(f"{seed} {language}")
        by_label = {}
        for one in source.sample(examples, len(examples)):
            by_label.setdefault(one["label"], []).append(one)
        labels = sorted(by_label)
        # Every language begins with other labels, so that five sentences are not the same five.
        turn = (place * size + seed) % len(labels)
        labels = labels[turn:] + labels[:turn]
        taken = []
        while len(taken) < size and any(by_label.values()):
            for label in labels:
                if by_label[label] and len(taken) < size:
                    taken.append(by_label[label].pop())
        drawn += taken
    return drawn


def measure(options, folder, examples, seed):
    """Accuracy on the test sentences, seconds of the update, and its steps."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write(folder / "examples.jsonl", examples)
    model = ["--bundle", options.bundle, "--store", folder / "store", "--task", "intent"]
    quiet = ["--json", "--progress", "none"]
    update = [options.polygraft, "update", *model, "--examples", folder / "examples.jsonl",
              "--seed", str(seed), *quiet, *options.update]
    report = json.loads(subprocess.run(update, check=True, stdout=subprocess.PIPE).stdout)
    predict = [options.polygraft, "predict", *model, "--examples", options.out / "test.jsonl",
               "--top-k", "1", *quiet]
    answers = subprocess.run(predict, check=True, stdout=subprocess.PIPE).stdout
    answers = [json.loads(line) for line in answers.splitlines()]
    right = sum(one["labels"][0]["label"] == one["expected"] for one in answers)
    training = report["training"]
    return {"accuracy": right / len(answers), "seconds": training["elapsed_ms"] / 1000,
            "steps": training["steps"], "still_falling": training["still_falling"]}


def spread(values, form):
    return f"{form % statistics.mean(values)} ({form % min(values)} to {form % max(values)})"


def main():
    options = arguments()
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("ORT_DYLIB_PATH", str(CACHE / "onnxruntime/libonnxruntime.so"))
    train, test = load(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    write(options.out / "test.jsonl", test)
    print(f"{len(LANGUAGES)} languages ({', '.join(LANGUAGES)}), {INTENTS_COUNT} intents, "
          f"{len(test)} test sentences, {len(options.seeds)} seeds\n")
    print("| sentences a language | accuracy | steps | seconds, with measuring |")
    print("|---|---|---|---|")
    for size in options.sizes:
        found = [measure(options, options.out / "run", draw(train, size, seed), seed)
                 for seed in options.seeds]
        column = lambda name: [one[name] for one in found]
        percents = [100 * accuracy for accuracy in column("accuracy")]
        print(f"| {size} | {spread(percents, '%.1f')} | {spread(column('steps'), '%.0f')} "
              f"| {spread(column('seconds'), '%.1f')} |", flush=True)


if __name__ == "__main__":
    main()
