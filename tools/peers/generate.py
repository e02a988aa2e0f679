"""Time greedy generation with `transformers` on the reference model of sequence-to-sequence tasks.

In: the folder of the exported model, a file of lines `{"text"}`, thread count. Out: one JSON object
a line, `{"peer", "version", "transformers", "attention", "threads", "batch", "texts", "tokens",
"median_s", "tokens_per_second", "runs"}`.

The weights are read out of the ONNX files, so both sides compute with the same numbers. Texts are
taken in the file's order, `batch` at a time; the tokens counted are those given, ends included and
padding not. Both attention implementations of `transformers` are timed, in turns; a fair comparison
takes the faster.

It needs the environment of `make formats-peers`.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import torch
import transformers
from onnx import numpy_helper

PADDING, END, BYTES_FIRST = 0, 1, 3
TOKENS_MAX = 64
BATCHES = (1, 8)
WARM_UP_RUNS = 1
# The exporter takes the encoder out of the model, so its names begin within it.
GRAPHS = {"encoder_model.onnx": "model.encoder.", "decoder_model.onnx": ""}
# One table serves both sides and the output layer.
TABLE = "model.shared.weight"


def read_weights(folder):
    """{name in PyTorch: tensor}; the exporter keeps matrices transposed, under names of its own."""
    found = {}
    for file, prefix in GRAPHS.items():
        graph = onnx.load(folder / file).graph
        stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in stored:
                stored[node.output[0]] = stored[node.input[0]].astype(np.float32)
        for node in graph.node:
            if node.op_type == "MatMul" and node.input[1] in stored:
                module = node.name.strip("/").replace("/", ".")[: -len(".MatMul")]
                found[f"{prefix}{module}.weight"] = stored[node.input[1]].T
        for name, values in stored.items():
            if name.endswith((".weight", ".bias")):
                found[name if name == TABLE else prefix + name] = values
    return {name: torch.from_numpy(np.array(values)) for name, values in found.items()}


def read_model(folder, attention):
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config, attn_implementation=attention)
    missing, unexpected = model.load_state_dict(read_weights(folder), strict=False)
    tied = {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}
    missing = sorted(set(missing) - tied)
    if missing or unexpected:
        sys.exit(f"weights of {folder}: {missing} are missing, {unexpected} are not known")
    return model.eval()


def rows_of(texts):
    return [[byte + BYTES_FIRST for byte in text.encode()] + [END] for text in texts]


@torch.no_grad()
def generate(model, rows):
    """The generated ids of each row, up to the end and with it."""
    width = max(map(len, rows))
    inputs = torch.tensor([row + [PADDING] * (width - len(row)) for row in rows])
    mask = (inputs != PADDING).long()
    found = model.generate(
        inputs, attention_mask=mask, do_sample=False, num_beams=1, max_new_tokens=TOKENS_MAX
    )
    given = [row[1:] for row in found.tolist()]
    return [row[: row.index(END) + 1] if END in row else row for row in given]


def pass_over(model, rows, batch):
    """(tokens given, seconds) of one pass over all rows."""
    started = time.perf_counter()
    given = [generate(model, rows[at : at + batch]) for at in range(0, len(rows), batch)]
    seconds = time.perf_counter() - started
    return sum(len(row) for part in given for row in part), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with open(arguments.texts, encoding="utf-8") as file:
        rows = rows_of(json.loads(line)["text"] for line in file)
    models = {name: read_model(arguments.model, name) for name in ("eager", "sdpa")}
    for batch in BATCHES:
        passes = {name: [] for name in models}
        for _ in range(WARM_UP_RUNS + arguments.runs):
            for name, model in models.items():
                passes[name].append(pass_over(model, rows, batch))
        for name, timed in passes.items():
            median = statistics.median(seconds for _, seconds in timed[WARM_UP_RUNS:])
            tokens = timed[0][0]
            print(json.dumps({
                "peer": "pytorch",
                "version": torch.__version__,
                "transformers": transformers.__version__,
                "attention": name,
                "threads": arguments.threads,
                "batch": batch,
                "texts": len(rows),
                "tokens": tokens,
                "median_s": round(median, 4),
                "tokens_per_second": round(tokens / median, 1),
                "runs": arguments.runs,
            }), flush=True)


if __name__ == "__main__":
    main()
