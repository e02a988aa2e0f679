"""How the large weights of an encoder are stored: the word embeddings and the linear layers.

In: weights by name, matrices `[in, out]`, tables `[rows, hidden]`. Out: initializers and the nodes
that read them; what those give is float32 in every form. Biases, normalization, positions and
segments are small and stay float32.

Each form has `opset`, the oldest that has its operators; `table` and `rows`, which store the word
embeddings and look rows up; and `product`, which stores a matrix and multiplies by it.
"""

import numpy as np
from onnx_file import FLOAT

BLOCK = 32


class Float32:
    """Plain float32 weights."""

    opset = 17

    def table(self, writer, name, weight):
        return writer.tensor(name, np.asarray(weight(name), np.float32))

    def rows(self, writer, table, ids, path):
        return writer.node("Gather", [table, ids], path + "Gather", axis=0)

    def product(self, writer, value, name, weight, path):
        stored = writer.tensor(name, np.asarray(weight(name), np.float32))
        return writer.node("MatMul", [value, stored], path + "MatMul")


class Float16:
    """Float16 weights, upcast where they are used."""

    opset = 17

    def table(self, writer, name, weight):
        return writer.tensor(name, weight(name).astype(np.float16))

    def rows(self, writer, table, ids, path):
        rows = writer.node("Gather", [table, ids], path + "Gather", axis=0)
        return writer.node("Cast", [rows], path + "Cast", to=FLOAT)

    def product(self, writer, value, name, weight, path):
        stored = writer.tensor(name, weight(name).astype(np.float16))
        wide = writer.node("Cast", [stored], path + "Cast", to=FLOAT)
        return writer.node("MatMul", [value, wide], path + "MatMul")


class Int8Dynamic:
    """Int8 weights and activations quantised as they come, as ONNX Runtime's `quantize_dynamic`
    writes them: one scale per column of a matrix and one for the table, zero points of zero."""

    opset = 17

    def table(self, writer, name, weight):
        rows = weight(name)
        # Half the table at a time: float copies of all of it would be most of a gigabyte.
        scale = np.float32(max(rows.max(), -rows.min()) / 127)
        codes = np.empty(rows.shape, np.int8)
        for start in range(0, len(rows), 1 << 14):
            part = slice(start, start + (1 << 14))
            codes[part] = np.clip(np.rint(rows[part] / scale), -127, 127)
        writer.tensor(name + "_scale", scale)
        writer.tensor(name + "_zero_point", np.int8(0))
        writer.tensor(name + "_quantized", codes)
        return name

    def rows(self, writer, table, ids, path):
        codes = writer.node("Gather", [table + "_quantized", ids], path + "Gather", axis=0)
        inputs = [codes, table + "_scale", table + "_zero_point"]
        return writer.node("DequantizeLinear", inputs, path + "DequantizeLinear")

    def product(self, writer, value, name, weight, path):
        matrix = np.asarray(weight(name), np.float32)
        scale = (np.abs(matrix).max(axis=0) / np.float32(127)).astype(np.float32)
        scale[scale == 0] = 1
        codes = np.clip(np.rint(matrix / scale), -127, 127).astype(np.int8)
        stored = writer.tensor(name + "_quantized", codes)
        scale = writer.tensor(name + "_scale", scale)
        zero_point = writer.tensor(name + "_zero_point", np.zeros(codes.shape[1], np.int8))
        # One quantisation serves all products of the same value.
        outputs = [value + suffix for suffix in ("_quantized", "_scale", "_zero_point")]
        if value not in writer.quantised:
            writer.quantised.add(value)
            writer.node_of("DynamicQuantizeLinear", [value], value + "_QuantizeLinear", outputs, {})
        inputs = [outputs[0], stored, outputs[2], zero_point]
        sums = writer.node("MatMulInteger", inputs, path + "MatMul_quant")
        sums = writer.node("Cast", [sums], path + "MatMul_output_0_cast", to=FLOAT)
        scales = writer.node("Mul", [outputs[1], scale], path + "MatMul_quant_scales_mul")
        return writer.node("Mul", [sums, scales], path + "MatMul_quant_output_scale_mul")


class Blocks4:
    """4-bit weights in blocks of 32 of one scale each, along the inputs of a layer.

    `blocks` gives for a name the codes, uint8 0 to 15 of `[out, in]`, and their scales, float16 of
    `[out, in / 32]`; a weight is `(code - 8) * scale`. A matrix is stored as the UINT4 that
    `DequantizeLinear` reads. No lookup of rows reads UINT4, so the table is stored as bytes: the
    codes j and j + 16 of a block share one.
    """

    opset = 21

    def __init__(self, blocks):
        self.blocks = blocks

    def table(self, writer, name, weight):
        codes, scales = self.blocks(name)
        halves = codes.reshape(len(codes), -1, 2, BLOCK // 2)
        writer.tensor(name + "_quantized", halves[:, :, 0] | halves[:, :, 1] << 4)
        writer.tensor(name + "_scale", scales)
        return name

    def rows(self, writer, table, ids, path):
        node = writer.node
        packed = node("Gather", [table + "_quantized", ids], path + "Gather", axis=0)
        scales = node("Gather", [table + "_scale", ids], path + "Gather_1", axis=0)
        fifteen = writer.tensor("low_half", np.uint8(15))
        four = writer.tensor("half_bits", np.uint8(4))
        low = node("BitwiseAnd", [packed, fifteen], path + "BitwiseAnd")
        high = node("BitShift", [packed, four], path + "BitShift", direction="RIGHT")
        codes = node("Concat", [low, high], path + "Concat", axis=-1)
        codes = node("Cast", [codes], path + "Cast", to=FLOAT)
        codes = node("Sub", [codes, writer.tensor("code_of_zero", np.float32(8))], path + "Sub")
        scales = node("Cast", [scales], path + "Cast_1", to=FLOAT)
        last = writer.tensor("axes_last", np.asarray([-1], np.int64))
        scales = node("Unsqueeze", [scales, last], path + "Unsqueeze")
        blocks = node("Mul", [codes, scales], path + "Mul")
        joined = writer.tensor("shape_rows", np.asarray([0, 0, -1], np.int64))
        return node("Reshape", [blocks, joined], path + "Reshape")

    def product(self, writer, value, name, weight, path):
        codes, scales = self.blocks(name)
        stored = writer.nibbles(name + "_quantized", codes.T)
        scale = writer.tensor(name + "_scale", scales.T.astype(np.float32))
        zero_point = writer.nibbles(name + "_zero_point", np.full(scales.T.shape, 8, np.uint8))
        wide = writer.node("DequantizeLinear", [stored, scale, zero_point],
                           path + "DequantizeLinear", output=name, axis=0, block_size=BLOCK)
        return writer.node("MatMul", [value, wide], path + "MatMul")
