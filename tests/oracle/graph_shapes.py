"""Writes graph_shapes.onnx: one graph with every operator whose shapes polygraft infers.

`value_info` holds what onnx's own shape inference (with data propagation) says, so the test can
drop it, infer, and compare. Run: python tests/oracle/graph_shapes.py (needs onnx 1.23).
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

nodes, initializers, inputs = [], [], []
count = 0


def value(name, dims, kind=T.FLOAT):
    inputs.append(helper.make_tensor_value_info(name, kind, dims))
    return name


def constant(array):
    global count
    count += 1
    name = f"constant_{count}"
    initializers.append(numpy_helper.from_array(np.asarray(array), name))
    return name


def ints(*values):
    return constant(np.array(values, dtype=np.int64))


def op(kind, *operands, outputs=1, domain="", **attributes):
    global count
    count += 1
    names = [f"{kind}_{count}_{index}" for index in range(outputs)]
    nodes.append(helper.make_node(kind, list(operands), names, domain=domain, **attributes))
    return names[0] if outputs == 1 else names


x = value("x", ["batch", "sequence", 384])
y = value("y", ["batch", "sequence", 384])
row = value("row", [384])
ids = value("ids", ["batch", "sequence"], T.INT64)
mask = value("mask", ["batch", "sequence"], T.INT64)
fixed = value("fixed", [2, 3, 4, 5])
scores = value("scores", ["batch", 7])
labels = value("labels", ["batch"], T.INT64)
bytes_ = value("bytes", ["batch", 6], T.UINT8)
open_rank = value("open_rank", None)

for kind in """Identity Abs Neg Sign Ceil Floor Round Sqrt Reciprocal Exp Log Erf Tanh Sin Cos
               Sigmoid
               HardSigmoid Relu LeakyRelu Elu Celu Selu Gelu Mish Softplus Softsign Softmax
               LogSoftmax Hardmax Clip HardSwish""".split():
    op(kind, x)
for kind in "Add Sub Mul Div Pow Mod".split():
    op(kind, x, y, **({"fmod": 1} if kind == "Mod" else {}))
    op(kind, x, row, **({"fmod": 1} if kind == "Mod" else {}))
    op(kind, row, x, **({"fmod": 1} if kind == "Mod" else {}))
for kind in "Max Min Sum Mean".split():
    op(kind, x, y, row)
for kind in "Equal Greater GreaterOrEqual Less LessOrEqual".split():
    op(kind, x, row)
flags = op("Greater", x, row)
op("Not", flags), op("And", flags, flags), op("Or", flags, flags), op("Xor", flags, flags)
op("IsNaN", x), op("IsInf", x)
op("Where", flags, x, row)
op("Cast", x, to=T.FLOAT16), op("CastLike", ids, x)
op("Dropout", x, outputs=2)
op("LayerNormalization", x, row, row, axis=-1, outputs=3)
op("CumSum", x, constant(np.int64(1))), op("Trilu", fixed)

weight = constant(np.zeros((384, 16), np.float32))
op("MatMul", x, weight), op("MatMul", row, weight), op("MatMul", x, row)
op("MatMul", x, op("Transpose", y, perm=[0, 2, 1]))
op("MatMul", fixed, value("fixed_right", [3, 5, 6]))
op("MatMulInteger", bytes_, value("bytes_right", [6, 8], T.UINT8))
narrow = value("narrow", ["batch", 384])
op("Gemm", narrow, weight)
op("Gemm", narrow, value("weight_t", [16, 384]), value("bias", [16]), transB=1)
op("Gemm", value("narrow_t", [384, "batch"]), weight, transA=1)

for kind in """ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare
               ReduceLogSum ReduceLogSumExp""".split():
    op(kind, x, ints(-1)), op(kind, x, ints(1), keepdims=0), op(kind, x)
    op(kind, x, keepdims=0), op(kind, x, noop_with_empty_axes=1)
op("ArgMax", x, axis=-1, keepdims=0), op("ArgMin", x, axis=1)
op("SoftmaxCrossEntropyLoss", scores, labels, outputs=2)
op("SoftmaxCrossEntropyLoss", scores, labels, reduction="none")

op("Size", x), op("Shape", x, start=1), op("Shape", x, start=-2, end=-1), op("Shape", open_rank)
op("ConstantOfShape", ints(2, 3)), op("ConstantOfShape", op("Shape", ids))
op("Constant", value=numpy_helper.from_array(np.zeros((2, 5), np.float32)))
op("Constant", value_int=3), op("Constant", value_ints=[1, 2, 3])
op("Constant", value_float=3.0), op("Constant", value_floats=[1.0, 2.0])
op("Transpose", x, perm=[1, 0, 2]), op("Transpose", x)
op("Flatten", fixed, axis=2), op("Flatten", fixed, axis=4), op("Flatten", x)
op("Unsqueeze", mask, ints(1, 2)), op("Unsqueeze", mask, ints(-1))
op("Squeeze", value("ones", [1, "batch", 1]), ints(0, 2))
op("Squeeze", value("known_ones", [1, 4, 1]))
op("Expand", row, ints(2, 1, 384)), op("Expand", op("Unsqueeze", mask, ints(1)), ints(1, 5, 1))
op("Tile", fixed, ints(1, 2, 3, 4))
op("Slice", fixed, ints(1), ints(3), ints(3))
op("Slice", fixed, ints(-1), ints(-9), ints(3), ints(-2))
op("Slice", x, ints(0), ints(2**62), ints(1)), op("Slice", fixed, ints(0, 1), ints(2, -1))
op("Split", fixed, axis=3, num_outputs=2, outputs=2)
op("Split", fixed, ints(1, 3), axis=2, outputs=2)
op("Split", x, axis=-1, num_outputs=3, outputs=3)
op("Concat", x, y, axis=-1), op("Concat", fixed, fixed, axis=0)
table = constant(np.zeros((50, 384), np.float32))
op("Gather", table, ids), op("Gather", x, constant(np.int64(0)), axis=1)
op("Gather", x, ints(0, 3), axis=2)
op("GatherElements", fixed, constant(np.zeros((1, 2, 3, 4), np.int64)), axis=1)
op("NonZero", mask), op("OneHot", labels, constant(np.int64(9)), constant(np.zeros(2, np.float32)))
scale, zero = constant(np.float32(0.1)), constant(np.uint8(3))
op("DequantizeLinear", op("QuantizeLinear", x, scale, zero), scale, zero)
op("DynamicQuantizeLinear", x, outputs=3)
op("ScatterND", fixed, ints(0), value("updates", [3, 4, 5]))
op("Range", constant(np.int64(0)), constant(np.int64(7)), constant(np.int64(2)))

# Shapes computed as the exporters do it: attention heads, masks, positions.
shape = op("Shape", x)
batch = op("Gather", shape, constant(np.int64(0)))
sequence = op("Gather", shape, constant(np.int64(1)))
column = lambda scalar: op("Unsqueeze", scalar, ints(0))
heads = op("Concat", column(batch), column(sequence), ints(12), ints(32), axis=0)
split_heads = op("Reshape", x, heads)
op("Reshape", op("Transpose", split_heads, perm=[0, 2, 1, 3]), ints(0, 0, -1, 32))
op("Reshape", split_heads, ints(0, 0, -1))
op("Reshape", fixed, ints(6, -1)), op("Reshape", fixed, ints(-1))
op("Reshape", fixed, ints(0, 0, 20))
op("Reshape", x, op("Cast", op("Cast", shape, to=T.INT32), to=T.INT64))
op("Reshape", fixed, op("Mul", op("Slice", op("Shape", fixed), ints(0), ints(2)), ints(2, 10)))
square = op("Concat", column(batch), ints(1), column(sequence), column(sequence), axis=0)
op("Expand", op("Unsqueeze", mask, ints(1, 2)), square)

graph = helper.make_graph(nodes, "shapes", inputs, [], initializers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
# The values of large weights say nothing here; without them the file stays small.
for tensor in model.graph.initializer:
    if len(tensor.raw_data) > 1000:
        tensor.raw_data = b""
target = pathlib.Path(__file__).with_suffix(".onnx")
target.write_bytes(model.SerializeToString(deterministic=True))
print(target.name, target.stat().st_size, "bytes,", len(model.graph.value_info), "of",
      sum(len(node.output) for node in nodes), "values typed")
