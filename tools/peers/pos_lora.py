"""Part of speech with LoRA in PyTorch, on the backbone's own weights: what polygraft is held to.

In: the backbone's folder, `FOLDER/{train,test}/LANGUAGE.jsonl` with lines `{"lang", "words",
"tags"}`. Out: one JSON object, `{"peer", "version", "budget", "train", "accuracy", "mean"}`.

One adapter and one head for all languages, as polygraft's own base is trained: rank 8 and alpha 16
on query and value of every layer, AdamW with the defaults of `polygraft update`. The first piece of
a word carries its tag. A word whose first piece does not fit into the tokens counts as wrong.

It needs the environment of `make formats-peers`, for the package `tokenizers`.
"""

import argparse
import json
import math
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backbone"))

import onnx_file  # noqa: E402
import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from torch_encoder import Encoder  # noqa: E402

LAYERS, HEADS, RANK, ALPHA = 12, 12, 8, 16.0
PREFIX, PADDING = "query: ", 1
# The defaults of polygraft's updates (src/update/options.rs).
RATE, HEAD_RATE_FACTOR, BETAS, EPSILON = 1e-3, 10.0, (0.9, 0.999), 1e-8
WEIGHT_DECAY, WARM_UP_FRACTION, CLIP_NORM = 0.01, 0.06, 1.0
# Spread of a fresh head's weights.
HEAD_SPREAD = 0.02
IGNORED = -100
# A test sentence is cut only where the backbone ends.
TEST_TOKENS_MAX = 512


@dataclass
class Sentence:
    """Token ids, for each word the position of its first piece or None, and the words' tags."""

    language: str
    ids: list
    first_pieces: list
    tags: list


def encode(tokenizer, line, tokens_max):
    """Tokens of the words joined by spaces; a piece belongs to the word that it ends in."""
    text, owner = PREFIX, [None] * len(PREFIX)
    for index, word in enumerate(line["words"]):
        separator = " " if index else ""
        text += separator + word
        owner += [None] * len(separator) + [index] * len(word)
    encoding = tokenizer.encode(text)
    ids = encoding.ids
    if len(ids) > tokens_max:
        ids = ids[: tokens_max - 1] + ids[-1:]
    first_pieces = [None] * len(line["words"])
    for position, (start, end) in enumerate(encoding.offsets[: tokens_max - 1]):
        word = owner[end - 1] if end > start else None
        if word is not None and first_pieces[word] is None:
            first_pieces[word] = position
    return Sentence(line["lang"], ids, first_pieces, line["tags"])


def read(folder, split, tokenizer, count, tokens_max):
    """{language: the first `count` sentences}."""
    found = {}
    for path in sorted((folder / split).glob("*.jsonl")):
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line, _ in zip(file, range(count))]
        found[path.stem] = [encode(tokenizer, line, tokens_max) for line in lines]
    return found


def batch_inputs(sentences):
    width = max(len(sentence.ids) for sentence in sentences)
    ids = torch.full((len(sentences), width), PADDING)
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence.ids)] = torch.tensor(sentence.ids)
    mask = torch.zeros_like(ids)
    for row, sentence in enumerate(sentences):
        mask[row, : len(sentence.ids)] = 1
    return ids, mask


class Tagger:
    """The frozen encoder with one LoRA adapter and a linear head over each token."""

    def __init__(self, model_path, tags, seed):
        weights = onnx_file.read_weights(model_path)
        self.encoder = Encoder(weights, LAYERS, HEADS, fused_attention=True)
        self.tags = tags
        hidden = weights["embeddings.word_embeddings.weight"].shape[1]
        generator = torch.Generator().manual_seed(seed)
        self.lora, head = {}, torch.empty(hidden, len(tags))
        for layer in range(LAYERS):
            for part in ("query", "value"):
                site = f"encoder.layer.{layer}.attention.self.{part}"
                down = torch.empty(hidden, RANK)
                bound = 1 / math.sqrt(hidden)
                self.lora[site + ".lora_A"] = down.uniform_(-bound, bound, generator=generator)
                self.lora[site + ".lora_B"] = torch.zeros(RANK, hidden)
        self.head = {
            "weight": head.normal_(0, HEAD_SPREAD, generator=generator),
            "bias": torch.zeros(len(tags)),
        }
        for tensor in (*self.lora.values(), *self.head.values()):
            tensor.requires_grad_()

    def logits(self, sentences):
        """[sentences, tokens, tags]"""
        ids, mask = batch_inputs(sentences)
        scaled = {
            name: tensor * (ALPHA / RANK) if name.endswith("lora_B") else tensor
            for name, tensor in self.lora.items()
        }
        hidden = self.encoder.hidden(ids, mask, torch.zeros_like(ids), scaled)
        return hidden @ self.head["weight"] + self.head["bias"]

    def loss(self, sentences):
        """Mean cross-entropy over the words of the batch."""
        logits = self.logits(sentences)
        targets = torch.full(logits.shape[:2], IGNORED)
        for row, sentence in enumerate(sentences):
            for position, tag in zip(sentence.first_pieces, sentence.tags):
                if position is not None:
                    targets[row, position] = self.tags.index(tag)
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED
        )

    @torch.no_grad()
    def words_right(self, sentences):
        found = self.logits(sentences).argmax(-1).tolist()
        return sum(
            position is not None and self.tags[row[position]] == tag
            for row, sentence in zip(found, sentences)
            for position, tag in zip(sentence.first_pieces, sentence.tags)
        )


def rate_factor(step, steps):
    """Linear up over the warm-up, linear down to 0."""
    warm_up = math.ceil(WARM_UP_FRACTION * steps)
    if step < warm_up:
        return (step + 1) / warm_up
    return (steps - step) / max(steps - warm_up, 1)


def train(tagger, sentences, arguments):
    """Gives the number of steps and the seconds they took."""
    order = random.Random(arguments.seed)
    batches = []
    for _ in range(arguments.epochs):
        shuffled = order.sample(sentences, len(sentences))
        size = arguments.batch
        batches += [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    groups = [
        {"params": list(tagger.lora.values()), "factor": 1.0, "weight_decay": WEIGHT_DECAY},
        {"params": [tagger.head["weight"]], "factor": HEAD_RATE_FACTOR,
         "weight_decay": WEIGHT_DECAY},
        {"params": [tagger.head["bias"]], "factor": HEAD_RATE_FACTOR, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS, eps=EPSILON)
    tensors = [tensor for group in groups for tensor in group["params"]]
    started = time.monotonic()
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = RATE * group["factor"] * rate_factor(step, len(batches))
        loss = tagger.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tensors, CLIP_NORM)
        optimizer.step()
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - started
            print(f"step {step + 1} of {len(batches)}, loss {loss.item():.3f}, {seconds:.0f} s",
                  file=sys.stderr, flush=True)
    return len(batches), time.monotonic() - started


def accuracy(tagger, sentences):
    """The share of words with the right tag; sentences of like length share a batch."""
    ordered = sorted(sentences, key=lambda sentence: len(sentence.ids))
    right = sum(tagger.words_right(ordered[start : start + 16])
                for start in range(0, len(ordered), 16))
    return right / sum(len(sentence.tags) for sentence in sentences)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone", type=Path, help="folder with model.onnx and tokenizer.json")
    parser.add_argument("data", type=Path)
    parser.add_argument("--languages", nargs="*", help="all by default")
    parser.add_argument("--train-sentences", type=int, default=100, help="of each language")
    parser.add_argument("--test-sentences", type=int, default=200, help="of each language, at most")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens-max", type=int, default=128, help="of a training sentence")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tokenizer = Tokenizer.from_file(str(arguments.backbone / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    limits = {
        "train": (arguments.train_sentences, arguments.tokens_max),
        "test": (arguments.test_sentences, TEST_TOKENS_MAX),
    }
    splits = {split: read(arguments.data, split, tokenizer, *limit)
              for split, limit in limits.items()}
    languages = arguments.languages or sorted(splits["train"].keys() & splits["test"].keys())
    sentences = [sentence for language in languages for sentence in splits["train"][language]]
    tags = sorted({tag for sentence in sentences for tag in sentence.tags})
    tagger = Tagger(arguments.backbone / "model.onnx", tags, arguments.seed)
    steps, seconds = train(tagger, sentences, arguments)
    scores = {language: accuracy(tagger, splits["test"][language]) for language in languages}
    result = {
        "peer": "pytorch",
        "version": torch.__version__,
        "budget": {name: getattr(arguments, name) for name in (
            "train_sentences", "test_sentences", "epochs", "batch", "tokens_max", "seed")},
        "train": {"sentences": len(sentences), "steps": steps, "seconds": round(seconds, 1)},
        "accuracy": {language: round(score, 4) for language, score in scores.items()},
        "mean": round(float(np.mean(list(scores.values()))), 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
