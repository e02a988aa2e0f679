"""Write and read the small part of the ONNX format that the converter needs.

In: nodes, constants and weights, one call each, in graph order.
Out: `model.onnx` (protocol-buffer bytes, encoded here) and one external data file whose tensors
start at page boundaries, so that a reader can map them instead of copying them.

Why not the `onnx` package: it would bring three compiled packages to every machine that runs the
set-up, for a few dozen lines of encoding. It must never hold all weights in memory: each weight is
appended to the data file as soon as it is given.
"""

import os
import struct
from pathlib import Path

import numpy as np

FLOAT, UINT8, INT8, INT64, FLOAT16, UINT4 = 1, 2, 3, 7, 10, 21
PAGE_BYTES = 4096
# Smaller tensors stay inside the graph file: a page for each would be mostly padding.
INLINE_BYTES_MAX = 1023

DTYPE_CODES = {
    np.dtype("float32"): FLOAT,
    np.dtype("uint8"): UINT8,
    np.dtype("int8"): INT8,
    np.dtype("int64"): INT64,
    np.dtype("float16"): FLOAT16,
}
DTYPES_BY_CODE = {code: dtype for dtype, code in DTYPE_CODES.items()}
WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32 = 0, 1, 2, 5


class OnnxFormatError(Exception):
    """The bytes are not an ONNX model of the form written here."""


# ---------------------------------------------------------------- protocol-buffer encoding


def varint(value):
    """A non-negative integer below 2**64; negative int64 values in two's complement."""
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def integer(field, value):
    return varint(field << 3 | WIRE_VARINT) + varint(value)


def real(field, value):
    return varint(field << 3 | WIRE_FIXED32) + struct.pack("<f", value)


def data(field, content):
    if isinstance(content, str):
        content = content.encode()
    return varint(field << 3 | WIRE_BYTES) + varint(len(content)) + content


def attribute(name, value):
    """AttributeProto for an integer, a float, a text or a list of integers."""
    if isinstance(value, str):
        return data(1, name) + data(4, value) + integer(20, 3)
    if isinstance(value, int):
        return data(1, name) + integer(3, value) + integer(20, 2)
    if isinstance(value, float):
        return data(1, name) + real(2, value) + integer(20, 1)
    if isinstance(value, list):
        return data(1, name) + b"".join(integer(8, item) for item in value) + integer(20, 7)
    raise TypeError(f"attribute {name}: expected int, float, text or ints, found {value!r}")


def value_info(name, dtype, dimensions):
    """ValueInfoProto; a dimension is a size or the name of a size known only at run time."""
    shape = b"".join(
        data(1, integer(1, size) if isinstance(size, int) else data(2, size))
        for size in dimensions
    )
    tensor_type = integer(1, dtype) + data(2, shape)
    return data(1, name) + data(2, data(1, tensor_type))


def key_value(key, value):
    return data(1, key) + data(2, str(value))


# ---------------------------------------------------------------- writing


class GraphWriter:
    """Collects one graph; weights go to the data file at once. Use as a context manager."""

    def __init__(self, folder, opset):
        self.folder = Path(folder)
        self.opset = opset
        self.nodes = []
        self.initializers = []
        self.names = set()
        self.quantised = set()
        self.data_name = "model.onnx.data"
        self.data_file = open(self.folder / self.data_name, "wb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.data_file.close()

    def tensor(self, name, array):
        """Adds an initializer and returns its name; the same name again is the same tensor."""
        if name in self.names:
            return name
        array = np.asarray(array, order="C")
        raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
        return self.add(name, array.shape, DTYPE_CODES[array.dtype], raw)

    def nibbles(self, name, array):
        """Adds an initializer of unsigned 4-bit numbers, given as uint8 of even count."""
        if name in self.names:
            return name
        flat = np.asarray(array, np.uint8).reshape(-1)
        return self.add(name, array.shape, UINT4, (flat[0::2] | flat[1::2] << 4).tobytes())

    def add(self, name, shape, code, raw):
        self.names.add(name)
        head = b"".join(integer(1, size) for size in shape) + integer(2, code)
        if len(raw) <= INLINE_BYTES_MAX:
            self.initializers.append(head + data(8, name) + data(9, raw))
            return name
        self.data_file.write(bytes(-self.data_file.tell() % PAGE_BYTES))
        entries = (
            ("location", self.data_name),
            ("offset", self.data_file.tell()),
            ("length", len(raw)),
        )
        external = b"".join(data(13, key_value(*entry)) for entry in entries)
        self.data_file.write(raw)
        self.initializers.append(head + data(8, name) + external + integer(14, 1))
        return name

    def node(self, operator, inputs, name, output=None, **attributes):
        """Adds a node with one output and returns the output's name."""
        return self.node_of(operator, inputs, name, [output or name + "_output_0"],
                                  attributes)[0]

    def node_of(self, operator, inputs, name, outputs, attributes):
        """Adds a node and returns the names of its outputs."""
        encoded = b"".join(data(1, each) for each in inputs)
        encoded += b"".join(data(2, each) for each in outputs)
        encoded += data(3, name) + data(4, operator)
        for key, value in attributes.items():
            encoded += data(5, attribute(key, value))
        self.nodes.append(encoded)
        return outputs

    def save(self, inputs, outputs, metadata):
        """Writes `model.onnx`; `inputs` and `outputs` are lists of `value_info` bytes."""
        self.data_file.flush()
        os.fsync(self.data_file.fileno())
        graph = b"".join(data(1, each) for each in self.nodes) + data(2, "main_graph")
        graph += b"".join(data(5, each) for each in self.initializers)
        graph += b"".join(data(11, each) for each in inputs)
        graph += b"".join(data(12, each) for each in outputs)
        # The oldest file version that may carry each operator set.
        ir_version = 10 if self.opset >= 21 else 9 if self.opset >= 20 else 8
        model = integer(1, ir_version) + data(2, "polygraft") + data(7, graph)
        model += data(8, data(1, "") + integer(2, self.opset))
        model += b"".join(data(14, key_value(*item)) for item in metadata.items())
        (self.folder / "model.onnx").write_bytes(model)


# ---------------------------------------------------------------- reading weights back


def fields(message):
    """(field number, value) pairs of one message; value is an int or bytes."""
    position = 0
    while position < len(message):
        key, position = read_varint(message, position)
        wire = key & 7
        if wire == WIRE_VARINT:
            value, position = read_varint(message, position)
        elif wire == WIRE_BYTES:
            size, position = read_varint(message, position)
            value = message[position : position + size]
            if len(value) != size:
                raise OnnxFormatError(f"field {key >> 3} is cut short at byte {position}")
            position += size
        elif wire in (WIRE_FIXED32, WIRE_FIXED64):
            size = 4 if wire == WIRE_FIXED32 else 8
            value = message[position : position + size]
            position += size
        else:
            raise OnnxFormatError(f"wire type {wire} at byte {position} is not known")
        yield key >> 3, value


def read_varint(message, position):
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise OnnxFormatError(f"broken integer at byte {position}")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def read_weights(model_path):
    """{name: array} of all initializers; external ones are read-only maps of the data file."""
    model_path = Path(model_path)
    weights = {}
    for graph in (value for field, value in fields(model_path.read_bytes()) if field == 7):
        for tensor in (value for field, value in fields(graph) if field == 5):
            name, array = read_tensor(tensor, model_path.parent)
            weights[name] = array
    return weights


def read_tensor(tensor, folder):
    name, dimensions, dtype, raw, external = "", [], None, b"", {}
    for field, value in fields(tensor):
        if field == 1:
            dimensions.append(value)
        elif field == 2:
            dtype = DTYPES_BY_CODE.get(value)
        elif field == 8:
            name = value.decode()
        elif field == 9:
            raw = value
        elif field == 13:
            entry = dict(fields(value))
            external[entry[1].decode()] = entry[2].decode()
    if dtype is None:
        raise OnnxFormatError(f"tensor {name}: expected whole-byte numbers")
    if not external:
        return name, np.frombuffer(raw, dtype).reshape(dimensions)
    location = external["location"]
    if Path(location).name != location:
        raise OnnxFormatError(f"tensor {name}: data file {location!r} is outside the folder")
    offset_bytes = int(external["offset"])
    shape = tuple(dimensions)
    return name, np.memmap(folder / location, dtype, "r", offset_bytes, shape)
