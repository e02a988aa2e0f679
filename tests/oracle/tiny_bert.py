"""Write the tiny encoder in four graph forms, and PyTorch's gradients for one training step on it.

Out: `tests/fixtures/tiny-bert-{fused,decomposed}-{erf,op}/model.onnx` and
`tests/oracle/tiny_bert_gradients.safetensors`. Random weights from fixed seeds: running it again
gives the same graphs; the gradients may differ in the last bits on another processor.

Run it in the environment that `make peers` builds: `.cache/venv-peers/bin/python`.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools" / "backbone"), str(ROOT / "tools" / "peers")]

import onnx_file  # noqa: E402
import safetensors_file  # noqa: E402
import torch  # noqa: E402
from bert_graph import EncoderSizes, write_encoder  # noqa: E402
from torch_encoder import Encoder, gradients  # noqa: E402

SIZES = EncoderSizes(
    layers=2, hidden=32, heads=4, feed_forward=64, vocabulary=100, positions=64, token_types=2,
    norm_epsilon=1e-5,
)
LABELS, RANK = 5, 3
LENGTHS = (7, 4, 9, 1)


class SeededWeights:
    """Weights by name; each name is drawn once, in the order first asked for."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.drawn = {}

    def __call__(self, name):
        if name not in self.drawn:
            self.drawn[name] = self.draw(name).astype(np.float32)
        return self.drawn[name]

    def draw(self, name):
        hidden, wide = SIZES.hidden, SIZES.feed_forward
        rows = {
            "word_embeddings": SIZES.vocabulary,
            "position_embeddings": SIZES.positions,
            "token_type_embeddings": SIZES.token_types,
        }
        part = name.split(".")[-2]
        if part in rows:
            return self.random.normal(0, 0.5, (rows[part], hidden))
        if part == "LayerNorm":
            centre = 1.0 if name.endswith("weight") else 0.0
            return self.random.normal(centre, 0.2, hidden)
        into, out = hidden, hidden
        if ".intermediate." in name:
            out = wide
        elif ".attention." not in name:
            into = wide
        if name.endswith("bias"):
            return self.random.normal(0, 0.1, out)
        return self.random.normal(0, 0.25, (into, out))


def batch(random):
    """A padded batch; padding uses id 1, as the reference tokenizer does."""
    shape = (len(LENGTHS), max(LENGTHS))
    mask = (np.arange(shape[1])[None] < np.array(LENGTHS)[:, None]).astype(np.int64)
    ids = random.integers(2, SIZES.vocabulary, shape, dtype=np.int64)
    labels = random.integers(0, LABELS, shape[0])
    return {
        "input_ids": np.where(mask == 1, ids, 1),
        "attention_mask": mask,
        "token_type_ids": random.integers(0, 2, shape, dtype=np.int64) * mask,
        "targets": np.eye(LABELS, dtype=np.float32)[labels],
    }


def trainable(random):
    tensors = {
        "head.weight": random.normal(0, 0.3, (SIZES.hidden, LABELS)),
        "head.bias": random.normal(0, 0.1, LABELS),
    }
    for layer in range(SIZES.layers):
        for part in ("query", "value"):
            site = f"encoder.layer.{layer}.attention.self.{part}"
            tensors[site + ".lora_A"] = random.normal(0, 0.3, (SIZES.hidden, RANK))
            tensors[site + ".lora_B"] = random.normal(0, 0.3, (RANK, SIZES.hidden))
    return {name: array.astype(np.float32) for name, array in tensors.items()}


def main():
    torch.set_num_threads(1)
    weights = SeededWeights(7)
    folder = None
    for layer_norm in ("fused", "decomposed"):
        for gelu in ("erf", "op"):
            folder = ROOT / "tests" / "fixtures" / f"tiny-bert-{layer_norm}-{gelu}"
            folder.mkdir(parents=True, exist_ok=True)
            metadata = {"source": "tests/oracle/tiny_bert.py"}
            write_encoder(folder, SIZES, weights, metadata, layer_norm, gelu)
    random = np.random.default_rng(11)
    inputs, tensors = batch(random), trainable(random)
    stored = onnx_file.read_weights(folder / "model.onnx")
    encoder = Encoder(stored, SIZES.layers, SIZES.heads, SIZES.norm_epsilon)
    loss, grads = gradients(encoder, inputs, tensors)
    result = {"loss": np.float32(loss)} | tensors
    result |= {f"input.{name}": array for name, array in inputs.items()}
    result |= {f"grad.{name}": array for name, array in grads.items()}
    path = ROOT / "tests" / "oracle" / "tiny_bert_gradients.safetensors"
    safetensors_file.write(path, result, {"torch": torch.__version__})
    print(f"loss {loss:.6f}, {len(grads)} gradients written to {path.name}")


if __name__ == "__main__":
    main()
