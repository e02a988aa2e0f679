"""A whole update beside `transformers`' Trainer with PEFT: time, memory and accuracy.

Both train a first version of the intents of spoken commands on the same sentences in six
languages, with the same number of passes, batches, rank and learning rate (see
tools/peers/trainer.py), and score the same test sentences. Each run is a process of its own, whose
wall time and largest resident memory are measured from outside, loading included; runs of the two
take turns. With `--layers N`, adapters are in the top N layers only, and the states below them are
computed once. Nothing is asserted.

Needs `make bundle formats-peers` and a release build of the command.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
LANGUAGES = ["de", "en", "fi", "hi", "tr", "zh-CN"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polygraft", type=Path, default=ROOT / "target/release/polygraft")
    parser.add_argument("--bundle", type=Path, default=CACHE / "bundle/e5-small")
    parser.add_argument("--backbone", type=Path, default=CACHE / "backbone/e5-small")
    parser.add_argument("--python", type=Path, default=CACHE / "venv-formats/bin/python")
    parser.add_argument("--data", type=Path, default=CACHE / "data/intents")
    parser.add_argument("--out", type=Path, default=ROOT / "target/trainer")
    parser.add_argument("--sentences", type=int, default=100, help="to train on, a language")
    parser.add_argument("--tested", type=int, default=200, help="sentences a language")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, nargs="*", default=[4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    return parser.parse_args()


def gather(options):
    """The two files: sentences to train on, and test sentences whose labels are among them."""
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    known, files = None, []
    for split, count in [("train", options.sentences), ("test", options.tested)]:
        lines = []
        for language in LANGUAGES:
            path = options.data / split / f"{language}.jsonl"
            lines += path.read_text(encoding="utf-8").splitlines()[:count]
        known = known or {json.loads(line)["label"] for line in lines}
        lines = [line for line in lines if json.loads(line)["label"] in known]
        files.append(options.out / f"{split}.jsonl")
        files[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files


def run(command):
    """What the process printed as JSON, its wall time in seconds, its resident memory in MB."""
    started = time.monotonic()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    if status != 0:
        raise SystemExit(f"{command[0]} ended with status {status}: {printed.decode()}")
    return json.loads(printed), wall, usage.ru_maxrss / 1000


def polygraft(options, train, test, seed, mode, layers):
    store = options.out / "store"
    shutil.rmtree(store, ignore_errors=True)
    place = ["--bundle", options.bundle, "--store", store, "--task", "intents", "--mode", mode]
    shape = ["--layers", layers] if layers else []
    learn = ["update", *place, "--threads", options.threads, "--examples", train, "--no-gate"]
    learn += ["--strategy", "naive", "--held-out-percent", 0, "--seed", seed, *shape]
    learn += ["--epochs", options.epochs, "--batch-size", options.batch_size]
    start = [options.polygraft, "--json", "--progress", "none"]
    _, wall, resident = run([*start, *learn])
    found, *_ = run([*start, "eval", *place, "--examples", test])
    return wall, resident, found["metrics_mean"]["accuracy"]


def trainer(options, train, test, seed):
    """The peer scores in the same process; that time is not counted."""
    command = [options.python, ROOT / "tools/peers/trainer.py", options.backbone]
    command += ["--train", train, "--test", test, "--work", options.out / "work"]
    command += ["--threads", options.threads, "--seed", seed, "--epochs", options.epochs]
    found, wall, _ = run([*command, "--batch-size", options.batch_size])
    return wall - found["test_seconds"], found["resident_mb_max"], found["accuracy"]


def main():
    options = arguments()
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    train, test = gather(options)
    shapes = [(f"{mode}, top {layers or 12} layers", mode, layers)
              for layers in [0, *options.layers] for mode in ["fast", "lean"]]
    runs = {"Trainer and PEFT": []} | {name: [] for name, *_ in shapes}
    for seed in options.seeds:
        runs["Trainer and PEFT"].append(trainer(options, train, test, seed))
        for name, mode, layers in shapes:
            runs[name].append(polygraft(options, train, test, seed, mode, layers))
    print("| | seconds | Trainer's time / this | resident MB | accuracy of each seed | mean |")
    print("|---|---|---|---|---|---|")
    peer = statistics.median(wall for wall, *_ in runs["Trainer and PEFT"])
    for name, measured in runs.items():
        walls, residents, scores = zip(*measured)
        wall, each = statistics.median(walls), ", ".join(f"{100 * one:.1f}" for one in scores)
        print(f"| {name} | {wall:.1f} | {peer / wall:.2f} | {max(residents):.0f} | {each} "
              f"| {100 * statistics.mean(scores):.1f} |", flush=True)


if __name__ == "__main__":
    main()
