"""Write PyTorch's gradients for one training step on the real 12-layer backbone.

In: `.cache/backbone/e5-small/model.onnx` (made by `make setup`), four real sentences.
Out: `tests/oracle/e5_gradients.safetensors`: inputs, loss, and the gradients of layers 0, 5 and 11
and of the head. To stay small it holds no LoRA tensors: they follow from a formula,

    tensor number t, flat index i:  0.02 * sin(0.37 * i + 1.3 * t), in double, rounded to float32
    t = 4 * layer + (0 query.lora_A, 1 query.lora_B, 2 value.lora_A, 3 value.lora_B)
    t = 48 head.weight, t = 49 head.bias

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
from torch_encoder import Encoder, gradients  # noqa: E402

LAYERS, HEADS, HIDDEN, RANK, LABELS = 12, 12, 384, 8, 4
STORED_LAYERS = (0, 5, 11)
PADDING_ID = 1
# Token ids as the backbone's tokenizer gives them, and the label of each sentence.
SENTENCES = (
    ("query: turn on the kitchen light", [0, 41, 1294, 12, 15504, 98, 70, 98483, 22729, 2], 0),
    ("query: mach das Licht im Wohnzimmer aus",
     [0, 41, 1294, 12, 38388, 381, 49300, 566, 214539, 1312, 2],
     1),
    ("query: zima taa zote jikoni", [0, 41, 1294, 12, 132512, 308, 11, 48955, 890, 51785, 2], 1),
    ("query: 電気を消して", [0, 41, 1294, 12, 6, 150283, 251, 21353, 1691, 2], 3),
)


def formula(number, shape):
    index = np.arange(np.prod(shape), dtype=np.float64)
    return (0.02 * np.sin(0.37 * index + 1.3 * number)).astype(np.float32).reshape(shape)


def trainable():
    tensors = {
        "head.weight": formula(4 * LAYERS, (HIDDEN, LABELS)),
        "head.bias": formula(4 * LAYERS + 1, (LABELS,)),
    }
    for layer in range(LAYERS):
        for order, part in enumerate(("query", "value")):
            site = f"encoder.layer.{layer}.attention.self.{part}"
            number = 4 * layer + 2 * order
            tensors[site + ".lora_A"] = formula(number, (HIDDEN, RANK))
            tensors[site + ".lora_B"] = formula(number + 1, (RANK, HIDDEN))
    return tensors


def batch():
    longest = max(len(ids) for _, ids, _ in SENTENCES)
    rows = [ids + [PADDING_ID] * (longest - len(ids)) for _, ids, _ in SENTENCES]
    mask = [[1] * len(ids) + [0] * (longest - len(ids)) for _, ids, _ in SENTENCES]
    labels = [label for _, _, label in SENTENCES]
    return {
        "input_ids": np.array(rows, np.int64),
        "attention_mask": np.array(mask, np.int64),
        "token_type_ids": np.zeros((len(rows), longest), np.int64),
        "targets": np.eye(LABELS, dtype=np.float32)[labels],
    }


def stored(name):
    return name.startswith("head.") or int(name.split(".")[2]) in STORED_LAYERS


def main():
    torch.set_num_threads(1)
    weights = onnx_file.read_weights(ROOT / ".cache" / "backbone" / "e5-small" / "model.onnx")
    inputs = batch()
    loss, grads = gradients(Encoder(weights, LAYERS, HEADS), inputs, trainable())
    result = {"loss": np.float32(loss)}
    result |= {f"input.{name}": array for name, array in inputs.items()}
    result |= {f"grad.{name}": array for name, array in grads.items() if stored(name)}
    path = ROOT / "tests" / "oracle" / "e5_gradients.safetensors"
    texts = " | ".join(text for text, _, _ in SENTENCES)
    safetensors_file.write(path, result, {"torch": torch.__version__, "texts": texts})
    print(f"loss {loss:.6f}, {len(result)} tensors written to {path.name}")


if __name__ == "__main__":
    main()
