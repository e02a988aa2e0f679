"""Give adapters back to the libraries that they came from, and compare what their models compute.

In: the `polygraft` command and the fixtures of `make_fixtures.py`. Each adapter is imported into
polygraft's own file, exported again, and loaded by its library into a fresh model; every adapter
is also exported for ONNX Runtime and run by its Python package on the graph that `polygraft adapter
graph` writes. Out: a line for each adapter with the largest difference; status 1 when one is over
the tolerance.

Run it by `make test-formats`.
"""

import argparse
import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from adapters import BertAdapterModel
from peft import PeftModel
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import tiny_model  # noqa: E402

FOLDER = HERE.parents[1] / "fixtures" / "adapters"
TOLERANCE = 1e-4


class Command:
    """The `polygraft` command over two bundles of the tiny backbone."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        for pooling in ("mean", "cls"):
            self.run("bundle", "create", "--onnx", FOLDER / "backbone.onnx", "--tokenizer",
                     FOLDER / "tokenizer.json", "--pooling", pooling, "--out", folder / pooling)

    def run(self, *arguments):
        command = [str(self.program), "--progress", "none", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"status {done.returncode} from {' '.join(command)}\n{done.stderr}")

    def bundle(self, name):
        # AdapterHub's heads read the first token.
        return self.folder / ("cls" if name.startswith("hub-") else "mean")

    def convert(self, name, form, *options):
        """The path of a fixture that went through polygraft into this format."""
        bundle, own = self.bundle(name), self.folder / f"{name}.own"
        if not own.exists():
            self.run("adapter", "import", "--bundle", bundle, "--from", FOLDER / name,
                     "--out", own)
        out = self.folder / f"{name}.{form}"
        self.run("adapter", "export", "--bundle", bundle, "--from", own, "--to", form,
                 "--out", out, *options)
        return out

    def graph(self, name):
        out = self.folder / f"{name}.graph"
        self.run("adapter", "graph", "--bundle", self.bundle(name), "--from",
                 self.folder / f"{name}.own", "--out", out)
        return out / "model.onnx"


def with_peft(command, name, inputs):
    has_head = name.endswith("-head")
    folder = command.convert(name, "peft", *(("--encoder", "bert") if has_head else ()))
    encoder = tiny_model.encoder()
    base = tiny_model.TextClassifier(encoder) if has_head else encoder
    loaded = PeftModel.from_pretrained(base, str(folder)).eval()
    bert = loaded.base_model.model.bert if has_head else loaded
    result = {"hidden": bert(**inputs).last_hidden_state}
    if has_head:
        result["logits"] = loaded(**inputs)
    return result


def with_adapterhub(command, name, inputs):
    folder = command.convert(name, "adapterhub", "--encoder", "bert", "--name", "back")
    model = BertAdapterModel(tiny_model.config())
    model.bert.load_state_dict(tiny_model.encoder().state_dict(), strict=False)
    loading = {}
    model.load_adapter(
        str(folder), with_head=True, set_active=True, use_safetensors=True, loading_info=loading
    )
    left = {key: value for key, value in loading.items() if value}
    if left:
        sys.exit(f"{name}: AdapterHub says {left}")
    model.eval()
    labels = model.heads["back"].config["label2id"]
    if labels != {label: number for number, label in enumerate(tiny_model.LABELS)}:
        sys.exit(f"{name}: the labels came back as {labels}")
    hidden = model.bert(**inputs).last_hidden_state
    return {"hidden": hidden, "logits": model(**inputs, head="back").logits}


def quiet_options():
    options = onnxruntime.SessionOptions()
    # Inputs with defaults are what this is about; ONNX Runtime warns about each of them.
    options.log_severity_level = 3
    return options


def with_onnx_runtime(command, name, inputs):
    path = command.convert(name, "onnx-adapter")
    # The reader and writer of the Python package, then the one that feeds a session.
    read = onnxruntime.AdapterFormat.read_adapter(str(path))
    again = path.with_suffix(".again")
    read.export_adapter(str(again))
    session = onnxruntime.InferenceSession(str(command.graph(name)), quiet_options())
    feeds = {key: tensor.numpy() for key, tensor in inputs.items()}
    outputs = [output.name for output in session.get_outputs()]
    results = []
    for file in (path, again):
        adapter = onnxruntime.LoraAdapter()
        adapter.Load(str(file))
        options = onnxruntime.RunOptions()
        options.add_active_adapter(adapter)
        results.append(session.run(outputs, feeds, options))
    for first, second in zip(*results):
        np.testing.assert_array_equal(first, second)
    found = dict(zip(outputs, results[0]))
    named = {"last_hidden_state": "hidden", "polygraft.logits": "logits"}
    return {named[key]: value for key, value in found.items() if key in named}


def difference(found, expected, name):
    largest = 0.0
    for key, value in found.items():
        wanted = expected[f"{name}.{key}"]
        largest = max(largest, float(np.abs(np.asarray(value) - wanted).max()))
    return largest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polygraft", type=Path, required=True, help="the built command")
    program = parser.parse_args().polygraft.resolve()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    expected = load_file(FOLDER / "outputs.safetensors")
    inputs = tiny_model.inputs()
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        command = Command(program, Path(folder))
        names = sorted(path.name for path in [*FOLDER.glob("peft-*"), *FOLDER.glob("hub-*")])
        for name in names:
            library = with_adapterhub if name.startswith("hub-") else with_peft
            for peer in (library, with_onnx_runtime):
                found = peer(command, name, inputs)
                largest = difference(found, expected, name)
                worst = max(worst, largest)
                print(f"{name:20} {peer.__name__:18} {'+'.join(found):14} {largest:.2e}")
    print(f"largest difference {worst:.2e}, tolerance {TOLERANCE:.0e}")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
