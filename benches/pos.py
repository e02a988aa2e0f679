"""Part of speech on Universal Dependencies: polygraft beside a LoRA of PyTorch, same budget.

Both train one adapter (rank 8 on query and value) and one head for all languages from the same
sentences, as many epochs, the same batch size and rates, on the same frozen weights; then both tag
the same test sentences. Prints the share of words with the right tag, language by language, and
writes all with `--save`. Nothing is asserted.

The data is a folder `{train,test}/LANGUAGE.jsonl` of lines `{"lang", "words", "tags"}`, such as
`tools/data/read_archive.py` makes of a packed treebank; it is not part of `make setup`. The peer
needs `make formats-peers`. About 20 minutes on 2 cores.
"""

import argparse
import json
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--polygraft", type=Path, default=ROOT / "target/release/polygraft")
    parser.add_argument("--bundle", type=Path, default=CACHE / "bundle/e5-small")
    parser.add_argument("--backbone", type=Path, default=CACHE / "backbone/e5-small")
    parser.add_argument("--python", type=Path, default=CACHE / "venv-formats/bin/python")
    parser.add_argument("--out", type=Path, default=ROOT / "target/pos")
    parser.add_argument("--train", type=int, default=60, help="sentences of a language")
    parser.add_argument("--test", type=int, default=100, help="sentences of a language")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--save", type=Path, help="where to write the figures as JSON")
    return parser.parse_args()


def first_lines(data, split, count, path):
    """The first sentences of every language, in one file; as many as the peer reads."""
    with path.open("w", encoding="utf-8") as out:
        for file in sorted((data / split).glob("*.jsonl")):
            for line in file.read_text(encoding="utf-8").splitlines()[:count]:
                out.write(line + "\n")
    return path


def own_accuracy(options):
    """{language: accuracy} by polygraft."""
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    train = first_lines(options.data, "train", options.train, options.out / "train.jsonl")
    test = first_lines(options.data, "test", options.test, options.out / "test.jsonl")
    base = ["--bundle", options.bundle, "--store", options.out / "store", "--task", "pos",
            "--mode", "fast", "--threads", options.threads]
    training = ["--epochs", str(options.epochs), "--held-out-percent", "0", "--seed", "1",
                "--micro-batch-tokens-max", "2048"]
    command = [options.polygraft, "update", *base, "--examples", train, *training]
    subprocess.run(command, check=True, env=os.environ)
    command = [options.polygraft, "eval", *base, "--json", "--examples", test]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ).stdout
    return {row["language"]: row["metrics"]["word_accuracy"]
            for row in json.loads(output)["languages"]}


def peer_accuracy(options):
    """{language: accuracy} by PyTorch, and what it says about itself."""
    command = [options.python, ROOT / "tools/peers/pos_lora.py", options.backbone, options.data,
               "--train-sentences", str(options.train), "--test-sentences", str(options.test),
               "--epochs", str(options.epochs), "--threads", options.threads]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    found = json.loads(output)
    return found.pop("accuracy"), found


def main():
    options = arguments()
    own = own_accuracy(options)
    peer, about = peer_accuracy(options)
    # The peer names languages by their files.
    files = {json.loads(path.read_text(encoding="utf-8").split("\n", 1)[0])["lang"]: path.stem
             for path in sorted((options.data / "test").glob("*.jsonl"))}
    spelled = {tag.lower(): name for tag, name in files.items()}
    rows = [{"language": tag, "polygraft": value, "peer": peer[spelled[tag.lower()]]}
            for tag, value in sorted(own.items())]
    print(f"{'language':10} {'polygraft':>10} {'PyTorch':>9}")
    for row in rows:
        print(f"{row['language']:10} {100 * row['polygraft']:8.1f} % {100 * row['peer']:7.1f} %")
    means = {name: sum(row[name] for row in rows) / len(rows) for name in ("polygraft", "peer")}
    print(f"mean of {len(rows)}  {100 * means['polygraft']:8.2f} % {100 * means['peer']:7.2f} %")
    if options.save:
        result = {"means": means, "languages": rows, "peer": about}
        options.save.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
