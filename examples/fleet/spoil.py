"""What broken or hostile devices of a simulated fleet send. No honest device uses it."""

from __future__ import annotations

import json
import struct

import numpy
from blake3 import blake3


def spoilt(kind: str, reply: bytes, earlier: bytes | None) -> bytes | None:
    """What a device sends that is broken or means harm; None sends nothing."""
    if kind == "silent":
        return None
    if kind == "stale":
        return earlier if earlier is not None else reply[:-1]
    if kind == "nan":
        damaged = bytearray(reply)
        struct.pack_into("<f", damaged, len(damaged) - 36, float("nan"))
        return sealed(damaged)
    if kind == "huge":
        return sealed(scaled(reply, 1e6))
    return reply


def sealed(data: bytearray) -> bytes:
    """The bytes with a hash that fits them."""
    data[-32:] = blake3(bytes(data[:-32])).digest()
    return bytes(data)


def scaled(reply: bytes, factor: float) -> bytearray:
    """All values of all deltas times a factor."""
    data = bytearray(reply)
    header = int.from_bytes(data[8:16], "little")
    at = 16 + header
    for length in json.loads(data[16:at])["sections"].values():
        start = at + 8 + int.from_bytes(data[at:at + 8], "little")
        values = numpy.frombuffer(bytes(data[start:at + length]), "<f4") * numpy.float32(factor)
        data[start:at + length] = values.astype("<f4").tobytes()
        at += length
    return data


def poisoned(rows: list[dict]) -> list[dict]:
    """The sentences of a device that teaches what is wrong: each label is the next one."""
    labels = sorted({row["label"] for row in rows})
    after = dict(zip(labels, labels[1:] + labels[:1]))
    return [{**row, "label": after[row["label"]]} for row in rows]
