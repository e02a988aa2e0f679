"""Compare the gradients of two machines.

    python3 tools/cross/gradients.py split FILE OUT     writes OUT/adapter, inputs and cotangent
    python3 tools/cross/gradients.py compare ONE OTHER  fails where they differ by more than 1e-5

FILE is a reference of PyTorch below tests/oracle/backbones; ONE and OTHER are what the command
`polygraft gradients` wrote. The difference is relative to the largest number of a tensor. Standard
library only.
"""

import json
import struct
import sys
from pathlib import Path

DIFFERENCE_MAX = 1e-5
# The groups of the reference that a run needs.
GROUPS = {"adapter": "lora/value/", "inputs": "input/", "cotangent": "cotangent"}


def read(path):
    """The tensors of a safetensors file, each as what its head says and its bytes."""
    data = Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    head = json.loads(data[8 : 8 + size])
    head.pop("__metadata__", None)
    tensors = {}
    for name, entry in head.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = (entry["dtype"], entry["shape"], data[begin:end])
    return tensors


def write(path, tensors):
    head, body = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        place = [len(body), len(body) + len(data)]
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": place}
        body += data
    text = json.dumps(head).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def split(source, out):
    tensors = read(source)
    for name, prefix in GROUPS.items():
        chosen = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
        write(Path(out) / name, chosen)


def floats(tensor):
    dtype, _, data = tensor
    if dtype != "F32":
        raise SystemExit(f"gradients: expected float32, found {dtype}")
    return struct.unpack(f"<{len(data) // 4}f", data)


def compare(one, other):
    one, other = read(one), read(other)
    if one.keys() != other.keys():
        raise SystemExit(f"gradients: expected {sorted(one)}, found {sorted(other)}")
    worst = 0.0
    for name in one:
        here, there = floats(one[name]), floats(other[name])
        if len(here) != len(there):
            raise SystemExit(f"gradients: {name}: expected {len(here)} numbers, found {len(there)}")
        largest = max(map(abs, here), default=0.0) or 1.0
        apart = max((abs(a - b) for a, b in zip(here, there)), default=0.0)
        # A number that is none compares as false.
        if not apart / largest <= DIFFERENCE_MAX:
            raise SystemExit(f"gradients: {name} differs by {apart / largest:.1e}")
        worst = max(worst, apart / largest)
    print(f"gradients: {len(one)} tensors differ by at most {worst:.1e} of their largest number")


{"split": split, "compare": compare}[sys.argv[1]](*sys.argv[2:])
