"""Train an adapter with `transformers`' Trainer and PEFT, to compare a whole update with.

In: the backbone's folder, files of labelled examples `{"lang", "text", "label"}` to train and to
test on. Out: one JSON object, `{"peer", "versions", "train_seconds",
"test_seconds", "accuracy", "resident_mb_max"}`; whoever starts the process measures its time as a whole.

The settings are polygraft's defaults: LoRA of rank 8 and alpha 16 on query and value of every
layer, the mean of the tokens, a linear head, AdamW. The head learns ten times as fast, as in an
update that starts a task. Everything else is as `Trainer` does it: batches drawn at random and
padded to their longest text.

It needs the environment of `make formats-peers`.
"""

import argparse
import contextlib
import json
import random
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backbone"))

import onnx_file  # noqa: E402
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

PREFIX, PADDING, TOKENS_MAX = "query: ", 1, 512
RANK, ALPHA = 8, 16
# The defaults of polygraft's updates (src/update/options.rs).
RATE, HEAD_RATE_FACTOR, WEIGHT_DECAY, WARM_UP_FRACTION, CLIP_NORM = 1e-3, 10.0, 0.01, 0.06, 1.0
HEAD_SPREAD = 0.02


def encoder(path):
    """`transformers`' own BERT with the backbone's weights."""
    weights = onnx_file.read_weights(path)
    vocabulary, hidden = weights["embeddings.word_embeddings.weight"].shape
    config = transformers.BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=weights["encoder.layer.0.intermediate.dense.weight"].shape[1],
        max_position_embeddings=weights["embeddings.position_embeddings.weight"].shape[0],
        type_vocab_size=weights["embeddings.token_type_embeddings.weight"].shape[0],
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = transformers.BertModel(config, add_pooling_layer=False)
    state = {}
    for name in model.state_dict():
        tensor = torch.from_numpy(weights[name].copy())
        is_linear = name.startswith("encoder.") and tensor.dim() == 2
        state[name] = tensor.T.contiguous() if is_linear else tensor
    model.load_state_dict(state)
    return model


class Classifier(torch.nn.Module):
    """The encoder with LoRA, the mean over the tokens of a text, and a head."""

    def __init__(self, path, labels):
        super().__init__()
        config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["query", "value"])
        self.encoder = peft.get_peft_model(encoder(path), config)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, labels)
        torch.nn.init.normal_(self.head.weight, std=HEAD_SPREAD)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, input_ids, attention_mask, labels=None):
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        mask = attention_mask[:, :, None].to(hidden.dtype)
        logits = self.head((hidden * mask).sum(1) / mask.sum(1))
        if labels is None:
            return {"logits": logits}
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def collate(examples):
    width = max(len(example["ids"]) for example in examples)
    ids = torch.full((len(examples), width), PADDING)
    mask = torch.zeros_like(ids)
    for row, example in enumerate(examples):
        ids[row, : len(example["ids"])] = torch.tensor(example["ids"])
        mask[row, : len(example["ids"])] = 1
    labels = torch.tensor([example["label"] for example in examples])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def read(path, tokenizer):
    with open(path, encoding="utf-8") as file:
        examples = [json.loads(line) for line in file]
    for example in examples:
        ids = tokenizer.encode(PREFIX + example["text"]).ids
        example["ids"] = ids if len(ids) <= TOKENS_MAX else ids[: TOKENS_MAX - 1] + ids[-1:]
    return examples


def train(model, samples, arguments):
    head = list(model.head.parameters())
    adapter = [one for name, one in model.encoder.named_parameters() if "lora_" in name]
    groups = [{"params": adapter}, {"params": head, "lr": RATE * HEAD_RATE_FACTOR}]
    optimiser = torch.optim.AdamW(groups, lr=RATE, weight_decay=WEIGHT_DECAY)
    steps = -(-len(samples) // arguments.batch_size) * arguments.epochs
    schedule = transformers.get_linear_schedule_with_warmup(
        optimiser, round(WARM_UP_FRACTION * steps), steps
    )
    settings = transformers.TrainingArguments(
        output_dir=str(arguments.work),
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=arguments.batch_size,
        max_grad_norm=CLIP_NORM,
        seed=arguments.seed,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    trainer = transformers.Trainer(
        model=model,
        args=settings,
        train_dataset=samples,
        data_collator=collate,
        optimizers=(optimiser, schedule),
    )
    started = time.monotonic()
    # Trainer prints a summary; the output is the result alone.
    with contextlib.redirect_stdout(sys.stderr):
        trainer.train()
    return time.monotonic() - started


@torch.no_grad()
def accuracy(model, samples, batch_size=64):
    """The mean over languages."""
    model.eval()
    samples = sorted(samples, key=lambda sample: len(sample["ids"]))
    right = {sample["lang"]: [] for sample in samples}
    for start in range(0, len(samples), batch_size):
        batch = samples[start : start + batch_size]
        found = model(**collate(batch))["logits"].argmax(-1).tolist()
        for sample, label in zip(batch, found):
            right[sample["lang"]].append(label == sample["label"])
    return statistics.mean(statistics.mean(one) for one in right.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone", type=Path, help="the folder of model.onnx and tokenizer.json")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="a folder for what Trainer writes")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    random.seed(arguments.seed)
    tokenizer = Tokenizer.from_file(str(arguments.backbone / "tokenizer.json"))
    examples, tests = read(arguments.train, tokenizer), read(arguments.test, tokenizer)
    labels = sorted({example["label"] for example in examples})
    for example in [*examples, *tests]:
        example["label"] = labels.index(example["label"])
    model = Classifier(arguments.backbone / "model.onnx", len(labels))
    seconds = train(model, examples, arguments)
    versions = {one.__name__: one.__version__ for one in (torch, transformers, peft)}
    resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    started = time.monotonic()
    right = accuracy(model, tests)
    result = {
        "peer": "trainer",
        "versions": versions,
        "train_seconds": round(seconds, 2),
        "test_seconds": round(time.monotonic() - started, 2),
        "accuracy": round(right, 4),
        "resident_mb_max": round(resident_mb),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
