"""Write a small encoder in the operators that Optimum and onnx-community publish quantised embedders
in, and the vectors that its weights give.

Out: `tests/fixtures/embedders/blocks/q4.onnx` and `int8.onnx`, with 4 and 8 bits, and `vectors.json`.
The operators are those of `com.microsoft`: GatherBlockQuantized, MatMulNBits, RotaryEmbedding,
GroupQueryAttention (four heads of queries, two of keys), SkipSimplifiedLayerNormalization, and
SimplifiedLayerNormalization. The vectors are computed here with NumPy from the dequantised weights.

It needs the packages numpy and onnx. The tokenizer is that of `make.py`.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "embedders" / "blocks"
WORDS, WIDTH, INNER, HEADS, KEY_HEADS, SIZE, BLOCK, TOKENS = 15, 32, 64, 4, 2, 8, 16, 24
EPSILON = 1e-6
# Words of `tokenizer.json`.
TEXTS = ["turn on the light", "off", "turn off the light in the kitchen and wait a minute"]


class Encoder:
    """The graph, and the values that its weights have."""

    def __init__(self, bits):
        self.bits, self.random = bits, np.random.default_rng(5)
        self.nodes, self.initializers, self.values = [], [], {}

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator, inputs, output, domain="", outputs=None, **attributes):
        made = outputs or [output]
        self.nodes.append(helper.make_node(
            operator, inputs, made, name=f"/{output}", domain=domain, **attributes
        ))
        return output

    def blocks(self, name, rows, columns):
        """Random quantised rows in blocks; gives the packed bytes and the scales."""
        middle, top = 1 << (self.bits - 1), 1 << self.bits
        numbers = self.random.integers(0, top, (rows, columns // BLOCK, BLOCK))
        scales = self.random.uniform(0.5, 1.5, (rows, columns // BLOCK)) / (middle * columns**0.5)
        scales = (2 * scales).astype(np.float32)
        values = (numbers - middle) * scales[:, :, None]
        self.values[name] = values.reshape(rows, columns)
        packed = numbers.astype(np.uint8)
        if self.bits == 4:
            packed = packed[..., ::2] | packed[..., 1::2] << 4
        return packed, scales

    def table(self):
        packed, scales = self.blocks("embed", WORDS, WIDTH)
        scales *= 8
        self.values["embed"] *= 8
        names = [self.constant("embed.weight", packed.reshape(WORDS, -1)), "input_ids",
                 self.constant("embed.scales", scales)]
        middle = 8 | 8 << 4 if self.bits == 4 else 128
        width = scales.shape[1] // (2 if self.bits == 4 else 1)
        names.append(self.constant("embed.middle", np.full((WORDS, width), middle, np.uint8)))
        return self.node("GatherBlockQuantized", names, "embedded", "com.microsoft",
                         bits=self.bits, block_size=BLOCK, gather_axis=0, quantize_axis=1)

    def linear(self, name, source, inputs, outputs):
        packed, scales = self.blocks(name, outputs, inputs)
        names = [source, self.constant(f"{name}.weight", packed),
                 self.constant(f"{name}.scales", scales.reshape(-1))]
        return self.node("MatMulNBits", names, name, "com.microsoft",
                         K=inputs, N=outputs, bits=self.bits, block_size=BLOCK)

    def gain(self, name):
        self.values[name] = self.random.uniform(0.5, 1.5, WIDTH).astype(np.float32)
        return self.constant(name, self.values[name])

    def norm(self, name, source):
        return self.node("SimplifiedLayerNormalization", [source, self.gain(f"{name}.weight")], name,
                         axis=-1, epsilon=EPSILON)

    def build(self):
        angles = np.arange(TOKENS)[:, None] / 100 ** (np.arange(SIZE // 2) / (SIZE // 2))
        self.values["angles"] = angles
        tables = [self.constant("cosines", np.cos(angles).astype(np.float32)),
                  self.constant("sines", np.sin(angles).astype(np.float32))]
        ints = lambda name, values: self.constant(name, np.array(values, np.int64))
        one = ints("one", [1])
        self.node("ReduceSum", ["attention_mask", one], "count", keepdims=0)
        self.node("Sub", ["count", one], "last")
        self.node("Cast", ["last"], "lengths", to=TensorProto.INT32)
        self.node("Shape", ["input_ids"], "sizes")
        self.node("Slice", ["sizes", one, ints("two", [2])], "tokens")
        self.node("Cast", ["tokens"], "total", to=TensorProto.INT32)
        x = self.table()
        normed = self.norm("input_norm", x)
        turned = []
        for name, heads in (("query", HEADS), ("key", KEY_HEADS)):
            projected = self.linear(f"attn.{name}", normed, WIDTH, heads * SIZE)
            turned.append(self.node(
                "RotaryEmbedding", [projected, ints(f"{name}.start", [0]), *tables],
                f"{name}.turned", "com.microsoft", num_heads=heads, rotary_embedding_dim=SIZE,
            ))
        value = self.linear("attn.value", normed, WIDTH, KEY_HEADS * SIZE)
        self.node("GroupQueryAttention", [*turned, value, "", "", "lengths", "total"], "attended",
                  "com.microsoft", ["attended", "present.key", "present.value"],
                  num_heads=HEADS, kv_num_heads=KEY_HEADS)
        output = self.linear("attn.output", "attended", HEADS * SIZE, WIDTH)
        self.node("SkipSimplifiedLayerNormalization", [x, output, self.gain("skip.weight")], "skip",
                  "com.microsoft", ["skip", "", "", "sum"], epsilon=EPSILON)
        up = self.linear("mlp.up", "skip", WIDTH, INNER)
        self.node("Sigmoid", [up], "gate")
        self.node("Mul", [up, "gate"], "active")
        self.node("Add", ["sum", self.linear("mlp.down", "active", INNER, WIDTH)], "added")
        self.norm("last_hidden_state", "added")
        sizes = ["batch", "tokens"]
        graph = helper.make_graph(
            self.nodes, "blocks",
            [helper.make_tensor_value_info(name, TensorProto.INT64, sizes)
             for name in ("input_ids", "attention_mask")],
            [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*sizes, WIDTH])],
            self.initializers,
        )
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)

    def vector(self, ids):
        """The mean of the hidden states of one text."""
        values, count = self.values, len(ids)

        def norm(x, name):
            return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * values[name]

        def heads(x, number):
            return x.reshape(count, number, SIZE).transpose(1, 0, 2)

        def turn(x):
            first, second = x[..., :SIZE // 2], x[..., SIZE // 2:]
            cosine, sine = np.cos(values["angles"][:count]), np.sin(values["angles"][:count])
            return np.concatenate(
                [first * cosine - second * sine, second * cosine + first * sine], -1
            )

        x = values["embed"][ids]
        normed = norm(x, "input_norm.weight")
        linear = lambda x, name: x @ values[name].T
        query = turn(heads(linear(normed, "attn.query"), HEADS))
        key, value = (
            np.repeat(one, HEADS // KEY_HEADS, 0) for one in (
                turn(heads(linear(normed, "attn.key"), KEY_HEADS)),
                heads(linear(normed, "attn.value"), KEY_HEADS),
            )
        )
        scores = query @ key.transpose(0, 2, 1) / SIZE**0.5
        scores = np.where(np.tril(np.ones((count, count))) > 0, scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        attended = (shares @ value).transpose(1, 0, 2).reshape(count, WIDTH)
        x = x + linear(attended, "attn.output")
        up = linear(norm(x, "skip.weight"), "mlp.up")
        x = x + linear(up / (1 + np.exp(-up)), "mlp.down")
        return norm(x, "last_hidden_state.weight").mean(0)


def main():
    tokenizer = json.loads((OUT.parent / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    known = lambda word: vocabulary.get(word, vocabulary[tokenizer["model"]["unk_token"]])
    framed = [part for part in tokenizer["post_processor"]["single"]]
    document = {"texts": TEXTS, "vectors": {}}
    OUT.mkdir(exist_ok=True)
    for name, bits in (("q4", 4), ("int8", 8)):
        encoder = Encoder(bits)
        onnx.save(encoder.build(), OUT / f"{name}.onnx")
        vectors = []
        for text in TEXTS:
            ids = []
            for part in framed:
                ids += ([known(part["SpecialToken"]["id"])] if "SpecialToken" in part
                        else [known(word) for word in text.split()])
            vectors.append([round(float(number), 7) for number in encoder.vector(ids)])
        document["vectors"][name] = vectors
    (OUT / "vectors.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
