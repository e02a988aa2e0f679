"""Interpret an ONNX graph of an encoder in PyTorch: the oracle for gradients of quantised graphs.

In: a model and its inputs. Out: every value of the graph by name, differentiable. 16-bit floats are
computed in float32. Rounding to codes is differentiated as the identity (straight-through), and the
range that a dynamic quantisation finds is taken as given. It shares no code with polygraft.
"""

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def constant(tensor):
    """An initializer as a tensor, 16-bit floats upcast and codes as int64."""
    array = numpy_helper.to_array(tensor)
    if tensor.data_type in FLOATS:
        return torch.from_numpy(array.astype(np.float32))
    return torch.from_numpy(array.astype(np.int64))


def straight_through(exact, rounded):
    return exact + (rounded - exact).detach()


def along(vector, axis, rank):
    """A scale or zero point, shaped to lie along one axis."""
    if vector is None or vector.numel() == 1:
        return 0 if vector is None else vector.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return vector.reshape(shape)


def nibbles(packed):
    """Two 4-bit codes of every byte, the low half first."""
    return torch.stack([packed & 15, packed >> 4], -1).flatten(-2)


class Interpreter:
    """Runs the nodes of one model; `lora` maps the name of a value to what adds to it."""

    def __init__(self, model, after):
        self.model, self.after = model, after
        self.kinds = {each.name: each.data_type for each in model.graph.initializer}

    def run(self, inputs):
        self.values = {each.name: constant(each) for each in self.model.graph.initializer}
        self.values |= inputs
        for node in self.model.graph.node:
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            given = [self.values.get(name) for name in node.input]
            results = getattr(self, node.op_type)(node, attributes, *given)
            results = results if isinstance(results, tuple) else (results,)
            for name, result in zip(node.output, results):
                if name in self.after:
                    result = self.after[name](self, node, result)
                self.values[name] = result
        return self.values

    # ---- Arithmetic ----------------------------------------------------------------------------

    def Add(self, node, attributes, left, right):
        return left + right

    def Sub(self, node, attributes, left, right):
        return left - right

    def Mul(self, node, attributes, left, right):
        return left * right

    def Div(self, node, attributes, left, right):
        return left / right

    def Erf(self, node, attributes, value):
        return torch.erf(value)

    def MatMul(self, node, attributes, left, right):
        return left @ right

    def Softmax(self, node, attributes, value):
        return value.softmax(attributes["axis"])

    def LayerNormalization(self, node, attributes, value, weight, bias):
        epsilon = attributes["epsilon"]
        return torch.nn.functional.layer_norm(value, weight.shape, weight, bias, epsilon)

    def Cast(self, node, attributes, value):
        return value.float() if attributes["to"] in FLOATS else value

    # ---- Moving --------------------------------------------------------------------------------

    def Identity(self, node, attributes, value):
        return value

    def Constant(self, node, attributes):
        return constant(attributes["value"])

    def Shape(self, node, attributes, value):
        return torch.tensor(value.shape)

    def Gather(self, node, attributes, table, indices):
        return table[indices]

    def Slice(self, node, attributes, value, starts, ends, axes):
        (start,), (end,), (axis,) = starts.tolist(), ends.tolist(), axes.tolist()
        return value.narrow(axis, start, end - start)

    def Reshape(self, node, attributes, value, shape):
        sizes = enumerate(shape.tolist())
        return value.reshape([value.shape[axis] if size == 0 else size for axis, size in sizes])

    def Transpose(self, node, attributes, value):
        return value.permute(attributes["perm"])

    def Unsqueeze(self, node, attributes, value, axes):
        for axis in axes.tolist():
            value = value.unsqueeze(axis)
        return value

    def Concat(self, node, attributes, *values):
        return torch.cat(values, attributes["axis"])

    def BitwiseAnd(self, node, attributes, left, right):
        return left & right

    def BitShift(self, node, attributes, left, right):
        return left >> right

    # ---- Quantisation --------------------------------------------------------------------------

    def code_range(self, name):
        kind = self.kinds.get(name, TensorProto.UINT8)
        return (-128, 127) if kind == TensorProto.INT8 else (0, 255)

    def DynamicQuantizeLinear(self, node, attributes, value):
        low, high = value.min().clamp(max=0), value.max().clamp(min=0)
        scale = ((high - low) / 255).detach()
        zero_point = torch.clamp(torch.round(-low / scale), 0, 255).detach()
        codes = torch.clamp(torch.round(value / scale) + zero_point, 0, 255)
        return straight_through(value / scale + zero_point, codes), scale, zero_point

    def QuantizeLinear(self, node, attributes, value, scale, zero_point=None):
        axis = attributes.get("axis", 1)
        scale, zero = (along(each, axis, value.dim()) for each in (scale, zero_point))
        codes = torch.clamp(torch.round(value / scale) + zero, *self.code_range(node.input[2]))
        return straight_through(value / scale + zero, codes)

    def DequantizeLinear(self, node, attributes, codes, scale, zero_point=None):
        axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
        if block:
            repeated = scale.repeat_interleave(block, axis).narrow(axis, 0, codes.shape[axis])
            zero = 0
            if zero_point is not None:
                zero = zero_point.repeat_interleave(block, axis).narrow(axis, 0, codes.shape[axis])
            return (codes - zero) * repeated
        scale, zero = (along(each, axis, codes.dim()) for each in (scale, zero_point))
        return (codes - zero) * scale

    def MatMulInteger(self, node, attributes, left, right, left_zero=0, right_zero=0):
        return (left - left_zero) @ (right - right_zero).float()

    def MatMulNBits(self, node, attributes, value, packed, scales, zero_points=None):
        rows, bits, block = attributes["N"], attributes["bits"], attributes["block_size"]
        blocks = -(-attributes["K"] // block)
        unpack = nibbles if bits == 4 else (lambda stored: stored)
        codes = unpack(packed).reshape(rows, blocks, block)
        zero = 1 << (bits - 1)
        if zero_points is not None:
            zero = unpack(zero_points.reshape(rows, -1))[:, :blocks].unsqueeze(-1)
        weight = (codes - zero) * scales.reshape(rows, blocks, 1)
        return value @ weight.reshape(rows, -1)[:, : attributes["K"]].T
