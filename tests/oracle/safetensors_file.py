"""Write a safetensors file: u64 header length, JSON header, tensor bytes, all little endian."""

import json
import struct

import numpy as np

DTYPE_NAMES = {np.dtype("float32"): "F32", np.dtype("int64"): "I64", np.dtype("uint8"): "U8"}


def write(path, tensors, metadata):
    """`tensors` maps names to arrays, `metadata` strings to strings; names are sorted."""
    header, bodies, offset = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors):
        array = np.asarray(tensors[name], order="C")
        body = array.tobytes()
        header[name] = {
            "dtype": DTYPE_NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(body)],
        }
        bodies.append(body)
        offset += len(body)
    encoded = json.dumps(header, sort_keys=True).encode()
    encoded += b" " * (-len(encoded) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded + b"".join(bodies))
