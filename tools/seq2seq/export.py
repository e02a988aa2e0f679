"""Export the reference model of sequence-to-sequence tasks through Optimum, its weights in halves.

In: the folder that `train.py` wrote. Out: a folder in the layout of Optimum: `encoder_model.onnx`,
`decoder_model.onnx`, `decoder_with_past_model.onnx`, their weights in `weights.data`, the
configuration, and `training.json` as it came.

The weights are rounded to float16 before the export, and every graph upcasts them to float32 where
it uses them: what any runtime computes with is the rounded model, and that is what is measured.
Equal weights of the three graphs are stored once, each at a multiple of 4096 bytes, so that they
can be mapped.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from optimum.exporters.onnx import onnx_export_from_model
from transformers import M2M100ForConditionalGeneration

OPSET = 18
GRAPHS = ("encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx")
CONFIGURATION = ("config.json", "generation_config.json")
WEIGHTS, PAGE_BYTES = "weights.data", 4096
# Smaller tensors, biases and norms among them, stay in the graphs and in float32.
HALVED_VALUES_MIN = 4096


def rounded(folder):
    """The model, with what will be stored in halves rounded to them."""
    model = M2M100ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() >= HALVED_VALUES_MIN:
                parameter.copy_(parameter.half().float())
    return model.eval()


class Weights:
    """The bytes of the weights, equal ones once."""

    def __init__(self):
        self.bytes, self.offsets = bytearray(), {}

    def place(self, content):
        if content not in self.offsets:
            self.bytes.extend(b"\0" * (-len(self.bytes) % PAGE_BYTES))
            self.offsets[content] = len(self.bytes)
            self.bytes.extend(content)
        return self.offsets[content]


def is_exact_in_halves(array):
    """True for what `rounded` rounded, false for what the exporter computed on its own."""
    return bool((array.astype(np.float16).astype(np.float32) == array).all())


def set_external(tensor, content, weights):
    offset = weights.place(content)
    for field in ("raw_data", "float_data"):
        tensor.ClearField(field)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", WEIGHTS), ("offset", offset), ("length", len(content))):
        tensor.external_data.add(key=key, value=str(value))


def halve(model, weights):
    """Moves the large weights out, in float16 with a Cast behind them where nothing is lost."""
    casts = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < HALVED_VALUES_MIN:
            continue
        if is_exact_in_halves(array):
            name = tensor.name
            tensor.name, tensor.data_type = name + ".float16", onnx.TensorProto.FLOAT16
            array = array.astype(np.float16)
            casts.append(onnx.helper.make_node(
                "Cast", [tensor.name], [name], name=name + "/Cast", to=onnx.TensorProto.FLOAT
            ))
        set_external(tensor, array.tobytes(), weights)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def describe_nothing(model):
    """Drops what the exporter wrote for people: stack traces, inferred shapes, documentation."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]


def export(source, folder):
    model = rounded(source)
    folder.mkdir(parents=True, exist_ok=True)
    weights = Weights()
    with tempfile.TemporaryDirectory() as made:
        made = Path(made)
        onnx_export_from_model(
            model, output=made, opset=OPSET, do_validation=False,
            task="text2text-generation-with-past",
        )
        for name in GRAPHS:
            graph = onnx.load(made / name)
            describe_nothing(graph)
            halve(graph, weights)
            (folder / name).write_bytes(graph.SerializeToString(deterministic=True))
        for name in CONFIGURATION:
            shutil.copy(made / name, folder / name)
    (folder / WEIGHTS).write_bytes(weights.bytes)
    # All that is to be said about the tokens of a byte-level model.
    tokenizer = {"tokenizer_class": "ByT5Tokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer) + "\n")
    shutil.copy(source / "training.json", folder / "training.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    export(arguments.model, arguments.folder)
    for path in sorted(arguments.folder.iterdir()):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
