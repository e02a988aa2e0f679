"""Adapters in the top N layers: accuracy and time of an update, for three tasks.

For each task and N, makes a first version in six languages, then updates it with new sentences in
two of them, on the reference bundle, and scores all languages on the test split. The tasks are the
intents of spoken commands, intents with slots, and the set of the kinds of slots that a command
has. Times are those of the two updates alone: wall time and processor time of the process, reading
the bundle included. N = 12 is every layer; with `--without` the second row of an N keeps no hidden
states. Nothing is asserted.

Needs `make bundle`, which also brings the data.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
LANGUAGES = ["de", "en", "fi", "hi", "tr", "zh-CN"]
UPDATED = ["de", "fi"]
TASKS = ["intents", "slots", "kinds"]
LAYERS = [12, 8, 6, 4, 3]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polygraft", type=Path, default=ROOT / "target/release/polygraft")
    parser.add_argument("--bundle", type=Path, default=CACHE / "bundle/e5-small")
    parser.add_argument("--data", type=Path, default=CACHE / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "target/layers")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--layers", type=int, nargs="+", default=LAYERS)
    parser.add_argument("--base", type=int, default=300, help="sentences a language")
    parser.add_argument("--new", type=int, default=300, help="sentences an updated language")
    parser.add_argument("--tested", type=int, default=200, help="sentences a language")
    parser.add_argument("--without", action="store_true", help="also without kept states")
    return parser.parse_args()


def kinds(line):
    """The kinds of slots of a command as a set of labels."""
    one = json.loads(line)
    labels = sorted({span["kind"] for span in one["spans"]})
    return json.dumps({"lang": one["lang"], "text": one["text"], "labels": labels})


def gather(task, options, split, languages, start, count, path):
    data = options.data / ("spans" if task == "kinds" else task)
    convert = kinds if task == "kinds" else str
    lines = []
    for language in languages:
        text = (data / split / f"{language}.jsonl").read_text(encoding="utf-8")
        lines += map(convert, text.splitlines()[start : start + count])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def names(line):
    """The labels and tags of an example."""
    one = json.loads(line)
    return {one.get("label"), *one.get("labels", []), *one.get("tags", [])}


def keep_known(test, trained):
    """Leaves out the examples with a label or tag that no version can know."""
    known = set().union(*map(names, trained.read_text(encoding="utf-8").splitlines()))
    kept = [one for one in test.read_text(encoding="utf-8").splitlines() if names(one) <= known]
    test.write_text("\n".join(kept) + "\n", encoding="utf-8")


def run(options, *words):
    """The answer of a command, its wall time and its processor time, in seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [options.polygraft, "--json", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), wall, busy


def measure(options, task, layers, extra):
    folder = options.out / task
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make = partial(gather, task, options)
    base = make("train", LANGUAGES, 0, options.base, folder / "base.jsonl")
    new = make("train", UPDATED, options.base, options.new, folder / "new.jsonl")
    test = make("test", LANGUAGES, 0, options.tested, folder / "test.jsonl")
    keep_known(test, base)
    place = ["--bundle", options.bundle, "--store", folder / "store", "--task", task]
    shape = [] if layers == 12 else ["--layers", layers]
    learn = ["update", *place, "--new-labels", "--no-gate", *shape, *extra]
    _, *first = run(options, *learn, "--examples", base)
    _, *second = run(options, *learn, "--examples", new)
    found, *_ = run(options, "eval", *place, "--examples", test)
    return first, second, found


def main():
    options = arguments()
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    print("| task | N | kept | first: wall s | cpu s | update: wall s | cpu s | metrics |")
    print("|---|---|---|---|---|---|---|---|")
    for task in options.tasks:
        for layers in options.layers:
            without = options.without and layers < 12
            for extra in [[], ["--lower-states-mb-max", 0]][: 1 + without]:
                first, second, found = measure(options, task, layers, extra)
                times = " | ".join(f"{value:.1f}" for value in [*first, *second])
                kept = "no" if extra or layers == 12 else "yes"
                print(f"| {task} | {layers} | {kept} | {times} | {scores(found)} |", flush=True)


def scores(found):
    """The metrics, as the mean over languages."""
    return ", ".join(f"{name} {value:.4f}" for name, value in found["metrics_mean"].items())


if __name__ == "__main__":
    main()
