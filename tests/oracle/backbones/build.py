"""Writes the fixtures and oracles of the backbone matrix.

In: `architectures.py`, the table of models. Out, for each architecture:
  tests/fixtures/backbones/NAME/EXPORTER-OPSET.onnx, and `weights.data`, which all of them share
  tests/oracle/backbones/NAME.safetensors: inputs, a cotangent for the output, and for each kind of
  adapter its tensors, the output with it, the gradient of sum(output x cotangent) with respect to
  every tensor, and every tensor after one step of AdamW

Every model written was run by ONNX Runtime and agrees with PyTorch; one that does not is left out
and named. The same releases (`requirements.txt`) write the same graphs.

Optimum needs an older transformers, hence an environment of its own: run first `build.py` in that
of `requirements.txt`, then `build.py --optimum` in that of `requirements-optimum.txt`.
`quantised.py` then rounds the weights of some of these files.
"""

import argparse
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import transformers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))

import adapters  # noqa: E402
import exporters  # noqa: E402
import model_file  # noqa: E402
import safetensors_file  # noqa: E402
from architectures import LENGTHS, architectures, forward_of, inputs_of, whole_model  # noqa: E402

FIXTURES = ROOT / "tests" / "fixtures" / "backbones"
ORACLES = ROOT / "tests" / "oracle" / "backbones"
ERROR_MAX = 2e-5


def write_oracle(architecture):
    module, forward = forward_of(architecture, whole_model(architecture, "eager"))
    inputs = inputs_of(architecture, LENGTHS, seed=1)
    result = {f"input/{name}": value for name, value in inputs.items()}
    with torch.no_grad():
        result["output"] = forward(module, *inputs.values())
    for kind in adapters.KINDS:
        result |= adapters.reference(kind, architecture, module, forward, inputs)
    metadata = {"output": architecture.output, "torch": torch.__version__,
                "transformers": transformers.__version__}
    arrays = {name: value.detach().numpy() for name, value in result.items()}
    safetensors_file.write(ORACLES / f"{architecture.name}.safetensors", arrays, metadata)


def read_oracle(name):
    from safetensors.numpy import load_file

    return load_file(ORACLES / f"{name}.safetensors")


def disagreement(path, oracle, output):
    """The largest difference between ONNX Runtime's and PyTorch's output, where it matters."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {one.name: oracle[f"input/{one.name}"] for one in session.get_inputs()}
    found = session.run([output], inputs)[0]
    expected = oracle["output"]
    if found.shape != expected.shape:
        raise ValueError(f"shape {found.shape}, expected {expected.shape}")
    counts = np.abs(oracle["cotangent"]) > 0
    return np.abs(found - expected)[counts].max()


def wanted(architecture):
    """(exporter, opset) of every file: what differs between opsets, and not much twice.

    At opset 11, Min takes no integers, which models with buckets of relative positions are written
    with all the same. The dynamo exporter of this release writes RotaryEmbedding (opset 23) with
    tables for a batch of one, which ONNX Runtime refuses for larger ones.
    """
    name = architecture.name
    buckets = name.startswith(("mpnet", "deberta", "t5", "mt5", "byt5"))
    rotary = name in ("modernbert", "nomic-bert")
    files = [("torchscript", 17), ("dynamo", 18), ("dynamo", 20 if rotary else 23)]
    if not buckets:
        files.append(("torchscript", 11))
    if buckets or name in ("bert", "mbart-encoder", "mbart-decoder"):
        files.append(("torchscript", 14))
    files += [("optimum", 18), ("optimum-o2", 17)]
    if name in ("bert", "roberta", "distilbert", "modernbert"):
        files.append(("optimum", 11))
    if name in ("bert", "t5-encoder", "t5-decoder", "mbart-encoder", "marian-encoder"):
        files.append(("optimum", 14))
    if name in ("bert", "deberta-v2", "t5-encoder", "marian-decoder"):
        files.append(("optimum-o1", 17))
    return files


def exported(architecture, exporter, opset):
    """The model as one exporter writes it."""
    if exporter == "torchscript":
        # The fused attention of PyTorch has an ONNX form from opset 14 on.
        attention = "sdpa" if opset >= 14 else "eager"
        return exporters.torchscript(architecture, opset, attention)
    if exporter == "dynamo":
        # PyTorch 2.15 cannot decompose the fused attention of T5's.
        attention = "eager" if "T5" in architecture.model else "sdpa"
        return exporters.dynamo(architecture, opset, attention)
    level = exporter.removeprefix("optimum").removeprefix("-").upper()
    return exporters.optimum(architecture, opset, "eager", level or None)


def build(architecture, files, only):
    folder = FIXTURES / architecture.name
    folder.mkdir(parents=True, exist_ok=True)
    weights = model_file.SharedWeights.read(folder)
    oracle = read_oracle(architecture.name)
    for exporter, opset in files:
        name = f"{exporter}-{opset}"
        if only and not any(name.startswith(one) for one in only):
            continue
        path = folder / f"{name}.onnx"
        try:
            model = exported(architecture, exporter, opset)
            model_file.write(model, path, weights)
            error = disagreement(path, oracle, architecture.output)
            if not error <= ERROR_MAX * np.abs(oracle["output"]).max():
                raise ValueError(f"differs from PyTorch by {error:.2e}")
        except Exception as cause:  # Exporters fail in many ways; the table continues.
            path.unlink(missing_ok=True)
            text = str(cause).strip().splitlines()
            print(f"{architecture.name} {name}: LEFT OUT: {type(cause).__name__}: "
                  f"{text[0][:200] if text else ''}", flush=True)
            if only:
                traceback.print_exc()
            continue
        print(f"{architecture.name} {name}: {path.stat().st_size} bytes, error {error:.1e}",
              flush=True)
    weights.sweep(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimum", action="store_true", help="only the exports by Optimum")
    parser.add_argument("--only", nargs="*", default=[], help="architectures, by name")
    parser.add_argument("--files", nargs="*", default=[], help="files, by how their names begin")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for architecture in architectures():
        if arguments.only and architecture.name not in arguments.only:
            continue
        if not hasattr(transformers, architecture.model):
            print(f"{architecture.name}: not in transformers {transformers.__version__}")
            continue
        if not arguments.optimum:
            write_oracle(architecture)
        files = [file for file in wanted(architecture)
                 if file[0].startswith("optimum") == arguments.optimum]
        build(architecture, files, arguments.files)


if __name__ == "__main__":
    main()
