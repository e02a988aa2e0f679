"""Time PyTorch's training step on the backbone's own weights, to compare polygraft with.

In: a `model.onnx` with external data, thread count. Out: one JSON object a line,
`{"peer", "version", "attention", "threads", "batch", "tokens", "median_ms", "minimum_ms", "runs"}`.

One step is forward, loss and backward with LoRA (rank 8) on query and value of every layer and a
classification head; only these get gradients, and the optimiser is not counted. That is the work
that polygraft's own step is timed on. Attention is timed both as separate operators and as
PyTorch's fused one, in turns; a fair comparison takes the faster.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backbone"))

import onnx_file  # noqa: E402
import torch  # noqa: E402
from torch_encoder import Encoder  # noqa: E402

LAYERS, HEADS, RANK, LABELS = 12, 12, 8, 42
SHAPES = ((16, 16), (16, 64), (1, 16))
WARM_UP_RUNS = 3


def trainable(hidden, random):
    sizes = {"head.weight": (hidden, LABELS), "head.bias": (LABELS,)}
    for layer in range(LAYERS):
        for part in ("query", "value"):
            site = f"encoder.layer.{layer}.attention.self.{part}"
            sizes[site + ".lora_A"], sizes[site + ".lora_B"] = (hidden, RANK), (RANK, hidden)
    return {
        name: torch.tensor(random.normal(0, 0.02, size), dtype=torch.float32, requires_grad=True)
        for name, size in sizes.items()
    }


def random_inputs(vocabulary, batch, tokens, random):
    shape = (batch, tokens)
    labels = random.integers(0, LABELS, batch)
    return {
        "input_ids": torch.from_numpy(random.integers(4, vocabulary, shape, dtype=np.int64)),
        "attention_mask": torch.ones(shape, dtype=torch.int64),
        "token_type_ids": torch.zeros(shape, dtype=torch.int64),
        "targets": torch.from_numpy(np.eye(LABELS, dtype=np.float32)[labels]),
    }


def step_ms(encoder, inputs, lora):
    for tensor in lora.values():
        tensor.grad = None
    started = time.perf_counter()
    encoder.loss(inputs, lora).backward()
    return 1000 * (time.perf_counter() - started)


def main():
    parser = argparse.ArgumentParser(description="Time PyTorch's training step.")
    parser.add_argument("model", help="the backbone's model.onnx")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    weights = onnx_file.read_weights(arguments.model)
    plain, fused = (Encoder(weights, LAYERS, HEADS, fused_attention=on) for on in (False, True))
    vocabulary, hidden = weights["embeddings.word_embeddings.weight"].shape
    random = np.random.default_rng(1)
    lora = trainable(hidden, random)
    for batch, tokens in SHAPES:
        inputs = random_inputs(vocabulary, batch, tokens, random)
        times = {"plain": [], "fused": []}
        for _ in range(WARM_UP_RUNS + arguments.runs):
            times["plain"].append(step_ms(plain, inputs, lora))
            times["fused"].append(step_ms(fused, inputs, lora))
        for attention, measured in times.items():
            timed = measured[WARM_UP_RUNS:]
            result = {
                "peer": "pytorch",
                "version": torch.__version__,
                "attention": attention,
                "threads": arguments.threads,
                "batch": batch,
                "tokens": tokens,
                "median_ms": round(statistics.median(timed), 3),
                "minimum_ms": round(min(timed), 3),
                "runs": len(timed),
            }
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
