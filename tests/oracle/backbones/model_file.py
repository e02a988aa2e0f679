"""Writes a model so that little has to be stored for it.

Weights lie in one file per architecture that all of its models share: equal bytes once, whatever
exporter wrote them. What exporters write for people (stack traces, inferred shapes, documentation)
is dropped; names and name scopes stay, because sites are found by them.
"""

import numpy as np
import onnx
from onnx import numpy_helper

WEIGHTS_FILE = "weights.data"
INLINE_BYTES_MAX = 255
ALIGNMENT = 64
SCOPES = ("pkg.torch.onnx.name_scopes",)


class SharedWeights:
    """The weights file of one architecture: bytes, and where each tensor lies."""

    def __init__(self):
        self.bytes = bytearray()
        self.offsets = {}

    @classmethod
    def read(cls, folder):
        """The weights that the models in `folder` use already."""
        weights = cls()
        path = folder / WEIGHTS_FILE
        if path.exists():
            old = path.read_bytes()
            for tensor in external_tensors(folder):
                offset, length = extent(tensor)
                weights.offsets[old[offset : offset + length]] = offset
            weights.bytes = bytearray(old)
        return weights

    def sweep(self, folder):
        """Writes the file with only what the models in `folder` use, and moves them over."""
        kept = SharedWeights()
        for path in sorted(folder.glob("*.onnx")):
            model = onnx.load(path, load_external_data=False)
            for tensor in model.graph.initializer:
                if tensor.data_location == onnx.TensorProto.EXTERNAL:
                    offset, length = extent(tensor)
                    point(tensor, kept.place(bytes(self.bytes[offset : offset + length])), length)
            path.write_bytes(model.SerializeToString(deterministic=True))
        self.bytes, self.offsets = kept.bytes, kept.offsets
        (folder / WEIGHTS_FILE).write_bytes(self.bytes)

    def place(self, content):
        if content not in self.offsets:
            self.bytes.extend(b"\0" * (-len(self.bytes) % ALIGNMENT))
            self.offsets[content] = len(self.bytes)
            self.bytes.extend(content)
        return self.offsets[content]


def external_tensors(folder):
    for path in sorted(folder.glob("*.onnx")):
        for tensor in onnx.load(path, load_external_data=False).graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                yield tensor


def extent(tensor):
    entries = {entry.key: entry.value for entry in tensor.external_data}
    return int(entries["offset"]), int(entries["length"])


def point(tensor, offset, length):
    """Makes `tensor` lie in the shared file."""
    for field in ("raw_data", "float_data"):
        tensor.ClearField(field)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", WEIGHTS_FILE), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def slim(model):
    """Drops what serves reading only."""
    model.doc_string = ""
    model.graph.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for graph in graphs(model):
        del graph.value_info[:]
        for value in [*graph.input, *graph.output]:
            del value.metadata_props[:]
        for tensor in graph.initializer:
            del tensor.metadata_props[:]
            tensor.doc_string = ""
        slim_nodes(graph.node)


def slim_nodes(nodes):
    for node in nodes:
        node.doc_string = ""
        kept = [(entry.key, entry.value) for entry in node.metadata_props if entry.key in SCOPES]
        del node.metadata_props[:]
        for key, value in kept:
            node.metadata_props.add(key=key, value=value)


def graphs(model):
    yield model.graph
    for function in model.functions:
        slim_nodes(function.node)


def write(model, path, weights):
    """Writes `model` to `path` with its larger weights in `weights`."""
    slim(model)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.nbytes <= INLINE_BYTES_MAX:
            continue
        point(tensor, weights.place(array.tobytes()), array.nbytes)
    (path.parent / WEIGHTS_FILE).write_bytes(weights.bytes)
    path.write_bytes(model.SerializeToString(deterministic=True))
