"""Learning over weights stored in 32, 16, 8 and 4 bits: accuracy and memory, form by form.

For each form of the reference backbone it runs the ordinary commands, each in a process of its own:
a bundle is made, a first adapter is trained in eight languages, an update brings new sentences in
three of them, and the active versions answer the test sentences of all eight. Examples, seeds and
options are the same for all forms. While a process runs, its memory is read every 20 ms from
`/proc/PID/smaps_rollup`: private (anonymous) and file-backed pages, each at its own peak.

`make bench-quantised` prepares what it needs. It prints one row a form and mode and writes all of
them to target/quantised/results.json. Nothing is asserted.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FORMS = ("fp32", "fp16w", "int8", "q4")
LANGUAGES = ("en", "de", "fi", "hi", "sw", "tr", "hu", "el")
UPDATED = ("tr", "hu", "el")
# Sentences of a language for the first adapter: fewer where the update brings more.
BASE_COUNT, BASE_COUNT_UPDATED, NEW_COUNT = 120, 40, 200
EPOCHS = "3"
# A short update tells the memory of the other mode, without training to the end.
STEPS_OTHER_MODE = "12"
SAMPLE_SECONDS = 0.02


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polygraft", type=Path, default=ROOT / "target/release/polygraft")
    parser.add_argument("--backbones", type=Path, default=ROOT / ".cache/backbone",
                        help="folder with e5-small (fp32) and e5-small-FORM")
    parser.add_argument("--data", type=Path, default=ROOT / ".cache/data/intents")
    parser.add_argument("--out", type=Path, default=ROOT / "target/quantised")
    parser.add_argument("--form", action="append", choices=FORMS, help="all, where left out")
    parser.add_argument("--threads", default="2")
    return parser.parse_args()


def memory(pid):
    """(private, file-backed) megabytes of a process, or None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return None
    kilobytes = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    private = kilobytes.get("Anonymous:", 0)
    return private / 1000, (kilobytes.get("Rss:", 0) - private) / 1000


def run(command, may_keep=False):
    """Runs a command; gives its output, its seconds and its peaks of memory."""
    started = time.monotonic()
    command = [str(part) for part in command]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, text=True, **quiet)
    peaks = (0.0, 0.0)
    while process.poll() is None:
        now = memory(process.pid)
        if now is not None:
            peaks = tuple(max(pair) for pair in zip(peaks, now))
        time.sleep(SAMPLE_SECONDS)
    output = process.stdout.read()
    # Status 4 says that the gate kept an old version somewhere, which is a result too.
    if process.returncode != 0 and not (may_keep and process.returncode == 4):
        sys.exit(f"status {process.returncode} from: {' '.join(command)}\n{output}")
    return output, time.monotonic() - started, peaks


def lines(path, start=0, end=None):
    return path.read_text(encoding="utf-8").splitlines(keepends=True)[start:end]


def write_examples(data, out):
    base, new, test = [], [], []
    for language in LANGUAGES:
        train = data / "train" / f"{language}.jsonl"
        count = BASE_COUNT_UPDATED if language in UPDATED else BASE_COUNT
        base += lines(train, 0, count)
        if language in UPDATED:
            new += lines(train, BASE_COUNT_UPDATED, BASE_COUNT_UPDATED + NEW_COUNT)
        test += lines(data / "test" / f"{language}.jsonl")
    for name, chosen in (("base", base), ("new", new), ("test", test)):
        (out / f"{name}.jsonl").write_text("".join(chosen), encoding="utf-8")


def measure(options, form):
    """The rows of one form."""
    backbone = options.backbones / ("e5-small" if form == "fp32" else f"e5-small-{form}")
    bundle, out = options.out / f"bundle-{form}", options.out
    tool = options.polygraft
    run([tool, "bundle", "create", "--onnx", backbone / "model.onnx", "--tokenizer",
         backbone / "tokenizer.json", "--pooling", "mean", "--prefix", "query: ", "--out", bundle])
    rows = []
    for mode, steps in (("lean", "0"), ("fast", STEPS_OTHER_MODE)):
        store = out / f"store-{form}-{mode}"
        on_model = ["--bundle", bundle, "--store", store, "--task", "intent", "--mode", mode,
                    "--threads", options.threads]
        training = ["--epochs", EPOCHS, "--steps-max", steps, "--new-labels"]
        update = [tool, "update", *on_model, *training, "--examples"]
        run([*update, out / "base.jsonl"], may_keep=True)
        _, seconds, (private, file_backed) = run([*update, out / "new.jsonl"], may_keep=True)
        row = {"form": form, "mode": mode, "weights_mb": size_mb(bundle),
               "update_private_mb": private, "update_file_mb": file_backed}
        evaluate = [tool, "eval", *on_model, "--json", "--examples", out / "test.jsonl"]
        if steps == "0":
            text, _, (private, file_backed) = run(evaluate)
            languages = json.loads(text)["languages"]
            row |= accuracy(languages) | {"update_seconds": seconds}
        else:
            _, _, (private, file_backed) = run(evaluate)
        rows.append(row | {"predict_private_mb": private, "predict_file_mb": file_backed})
        print(line(rows[-1]), flush=True)
    return rows


def size_mb(bundle):
    files = (path for path in bundle.iterdir() if path.name.startswith(("model.", "backbone.")))
    return sum(path.stat().st_size for path in files) / 1e6


def accuracy(languages):
    """Over all test sentences, and over those of the languages with new ones."""
    def share(chosen):
        chosen = list(chosen)
        correct = sum(each["metrics"]["accuracy"] * each["examples"] for each in chosen)
        return 100 * correct / sum(each["examples"] for each in chosen)

    updated = (each for each in languages if each["language"] in UPDATED)
    examples = sum(each["examples"] for each in languages)
    return {"accuracy": share(languages), "accuracy_updated": share(updated), "test": examples}


def line(row):
    text = f"{row['form']:6} {row['mode']:5} weights {row['weights_mb']:4.0f} MB"
    text += f"; update {row['update_private_mb']:4.0f} MB private {row['update_file_mb']:4.0f} file"
    text += f"; predict {row['predict_private_mb']:4.0f} private {row['predict_file_mb']:4.0f} file"
    if "accuracy" in row:
        text += f"; {row['accuracy']:.2f} % of {row['test']} right"
        text += f" ({row['accuracy_updated']:.2f} % in {', '.join(UPDATED)})"
        text += f"; {row['update_seconds']:.0f} s"
    return text


def main():
    options = arguments()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    write_examples(options.data, options.out)
    rows = [row for form in options.form or FORMS for row in measure(options, form)]
    text = json.dumps(rows, indent=1) + "\n"
    (options.out / "results.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
