"""Build a BERT-style encoder as an ONNX graph, named the way people's exports name it.

In: sizes, a function that gives each weight by its Hugging Face name (matrices `[in, out]`), and
how the large ones are stored (`storage.py`).
Out: a graph with inputs `input_ids`, `attention_mask`, `token_type_ids` (int64 `[batch, sequence]`)
and output `last_hidden_state` (float32 `[batch, sequence, hidden]`).

LayerNorm and GELU can each be written in both forms that exporters produce, so that tests read
the same mathematics from four different graphs. It knows nothing of where weights come from.
"""

import math
from dataclasses import dataclass

import numpy as np
from onnx_file import FLOAT, INT64, GraphWriter, value_info
from storage import Float32


@dataclass(frozen=True)
class EncoderSizes:
    """The dimensions of an encoder; `heads` divides `hidden`."""

    layers: int
    hidden: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    norm_epsilon: float


class EncoderGraph:
    """One encoder being written; `layer_norm` is fused|decomposed, `gelu` is erf|op."""

    def __init__(self, writer, sizes, weight, storage, layer_norm="fused", gelu="erf"):
        self.writer = writer
        self.sizes = sizes
        self.weight = weight
        self.storage = storage
        self.fused_norm = layer_norm == "fused"
        self.gelu_operator = gelu == "op"

    def ints(self, name, values):
        return self.writer.tensor(name, np.asarray(values, np.int64))

    def scalar(self, name, value):
        return self.writer.tensor(name, np.asarray(value, np.float32))

    def named_weight(self, name):
        return self.writer.tensor(name, np.asarray(self.weight(name), np.float32))

    def build(self):
        hidden = self.embeddings()
        mask = self.attention_bias()
        for layer in range(self.sizes.layers):
            last = layer == self.sizes.layers - 1
            hidden = self.layer(layer, hidden, mask, "last_hidden_state" if last else None)
        return hidden

    def embeddings(self):
        node, prefix = self.writer.node, "/embeddings/"
        words_name = "embeddings.word_embeddings.weight"
        words_table = self.storage.table(self.writer, words_name, self.weight)
        weights = {
            kind: self.named_weight(f"embeddings.{kind}_embeddings.weight")
            for kind in ("position", "token_type")
        }
        positions = np.arange(self.sizes.positions, dtype=np.int64)[None]
        position_ids = self.writer.tensor("embeddings.position_ids", positions)
        zero, one = self.ints("axes_0", [0]), self.ints("axes_1", [1])
        words = self.storage.rows(self.writer, words_table, "input_ids",
                                  prefix + "word_embeddings/")
        shape = node("Shape", ["input_ids"], prefix + "Shape")
        length = node("Gather", [shape, one], prefix + "Gather", axis=0)
        used = node("Slice", [position_ids, zero, length, one], prefix + "Slice")
        types = node("Gather", [weights["token_type"], "token_type_ids"],
                     prefix + "token_type_embeddings/Gather", axis=0)
        total = node("Add", [words, types], prefix + "Add")
        places = node("Gather", [weights["position"], used],
                      prefix + "position_embeddings/Gather", axis=0)
        total = node("Add", [total, places], prefix + "Add_1")
        return self.layer_norm(total, "embeddings.LayerNorm", prefix + "LayerNorm/")

    def attention_bias(self):
        """0 where a token may be seen and the lowest float elsewhere: `[batch, 1, 1, sequence]`."""
        node = self.writer.node
        mask = node("Unsqueeze", ["attention_mask", self.ints("axes_12", [1, 2])], "/Unsqueeze")
        mask = node("Cast", [mask], "/Cast", to=FLOAT)
        mask = node("Sub", [self.scalar("one", 1.0), mask], "/Sub")
        lowest = self.scalar("lowest", np.finfo(np.float32).min)
        return node("Mul", [mask, lowest], "/Mul")

    def layer_norm(self, value, name, path, output=None):
        node = self.writer.node
        weight, bias = self.named_weight(name + ".weight"), self.named_weight(name + ".bias")
        if self.fused_norm:
            return node("LayerNormalization", [value, weight, bias], path + "LayerNormalization",
                        output, axis=-1, epsilon=self.sizes.norm_epsilon)
        mean = self.mean(value, path + "ReduceMean")
        centred = node("Sub", [value, mean], path + "Sub")
        squares = node("Pow", [centred, self.scalar("two", 2.0)], path + "Pow")
        variance = self.mean(squares, path + "ReduceMean_1")
        epsilon = self.scalar("epsilon", self.sizes.norm_epsilon)
        variance = node("Add", [variance, epsilon], path + "Add")
        deviation = node("Sqrt", [variance], path + "Sqrt")
        scaled = node("Div", [centred, deviation], path + "Div")
        scaled = node("Mul", [scaled, weight], path + "Mul")
        return node("Add", [scaled, bias], path + "Add_1", output)

    def mean(self, value, path):
        if self.writer.opset < 18:
            return self.writer.node("ReduceMean", [value], path, axes=[-1], keepdims=1)
        axes = self.ints("axes_last", [-1])
        return self.writer.node("ReduceMean", [value, axes], path, keepdims=1)

    def linear(self, value, name, path):
        product = self.storage.product(self.writer, value, name + ".weight", self.weight, path)
        bias = self.named_weight(name + ".bias")
        return self.writer.node("Add", [bias, product], path + "Add")

    def layer(self, index, hidden, mask, output):
        node = self.writer.node
        name, path = f"encoder.layer.{index}.", f"/encoder/layer.{index}/"
        context = self.attention(hidden, mask, name + "attention.self.", path + "attention/self/")
        merged = self.linear(context, name + "attention.output.dense",
                             path + "attention/output/dense/")
        merged = node("Add", [merged, hidden], path + "attention/output/Add")
        attended = self.layer_norm(merged, name + "attention.output.LayerNorm",
                                   path + "attention/output/LayerNorm/")
        wide = self.linear(attended, name + "intermediate.dense", path + "intermediate/dense/")
        wide = self.gelu(wide, path + "intermediate/intermediate_act_fn/")
        narrow = self.linear(wide, name + "output.dense", path + "output/dense/")
        merged = node("Add", [narrow, attended], path + "output/Add")
        return self.layer_norm(merged, name + "output.LayerNorm", path + "output/LayerNorm/",
                               output)

    def attention(self, hidden, mask, name, path):
        node, sizes = self.writer.node, self.sizes
        head_size = sizes.hidden // sizes.heads
        split = self.ints("shape_heads", [0, 0, sizes.heads, head_size])
        parts = {}
        # Keys are transposed to [batch, heads, head size, sequence], ready for the product.
        for order, (part, axes) in enumerate(
            (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        ):
            flat = self.linear(hidden, name + part, f"{path}{part}/")
            heads = node("Reshape", [flat, split], f"{path}Reshape_{order}")
            parts[part] = node("Transpose", [heads], f"{path}Transpose_{order}", perm=axes)
        scores = node("MatMul", [parts["query"], parts["key"]], path + "MatMul")
        root = self.scalar("sqrt_head_size", math.sqrt(head_size))
        scores = node("Div", [scores, root], path + "Div")
        scores = node("Add", [scores, mask], path + "Add")
        shares = node("Softmax", [scores], path + "Softmax", axis=-1)
        context = node("MatMul", [shares, parts["value"]], path + "MatMul_1")
        context = node("Transpose", [context], path + "Transpose_3", perm=[0, 2, 1, 3])
        joined = self.ints("shape_hidden", [0, 0, sizes.hidden])
        return node("Reshape", [context, joined], path + "Reshape_3")

    def gelu(self, value, path):
        node = self.writer.node
        if self.gelu_operator:
            return node("Gelu", [value], path + "Gelu")
        ratio = node("Div", [value, self.scalar("sqrt_two", math.sqrt(2.0))], path + "Div")
        error = node("Erf", [ratio], path + "Erf")
        error = node("Add", [error, self.scalar("one", 1.0)], path + "Add")
        product = node("Mul", [value, error], path + "Mul")
        return node("Mul", [product, self.scalar("half", 0.5)], path + "Mul_1")


def write_encoder(
    folder, sizes, weight, metadata, layer_norm="fused", gelu="erf", storage=Float32()
):
    """Writes `model.onnx` and `model.onnx.data` into the existing `folder`."""
    opset = max(20 if gelu == "op" else 17, storage.opset)
    with GraphWriter(folder, opset) as writer:
        EncoderGraph(writer, sizes, weight, storage, layer_norm, gelu).build()
        ids = ("input_ids", "attention_mask", "token_type_ids")
        inputs = [value_info(name, INT64, ["batch", "sequence"]) for name in ids]
        hidden = value_info("last_hidden_state", FLOAT, ["batch", "sequence", sizes.hidden])
        writer.save(inputs, [hidden], metadata)
