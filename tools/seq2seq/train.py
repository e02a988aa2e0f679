"""Train the reference model of sequence-to-sequence tasks: lemmas and pronunciations from bytes.

In: the unpacked packages (see `data.py`) and a budget of processor time. Out: a folder with the
weights, the configuration, and `training.json` with steps, pairs seen and seconds.

The budget is processor time, not steps: the rate of learning stays level for two fifths of it and
then falls to zero just when it is used up, on any machine. An interrupted training goes on where
its last checkpoint was. Needs 5 GB of memory.
"""

import argparse
import json
import os
import random
import time
from pathlib import Path

import data
import model as reference
import torch

BATCH_TOKENS = 3_000
# Pairs that are drawn at once and sorted by length, so that batches need little padding.
PAIRS_DRAWN = 8_192
RATE, WARM_UP_STEPS, WEIGHT_DECAY, CLIP_NORM = 1.5e-3, 200, 0.01, 1.0
FALLING_FRACTION = 0.6
CHECKPOINT_SECONDS = 120
# A task's share of the pairs; within it, every language comes up equally often.
SHARES = {data.LEMMA: 0.85, data.PRONUNCIATION: 0.15}
IGNORED = -100


class Batches:
    """Batches of pairs of like length."""

    def __init__(self, pairs, seed):
        self.random = random.Random(seed)
        self.tasks = {}
        for (task, _), sides in pairs.items():
            if sides[data.TRAINING]:
                self.tasks.setdefault(task, []).append(sides[data.TRAINING])
        self.ready = []

    def draw(self):
        task = self.random.choices(list(SHARES), list(SHARES.values()))[0]
        return self.random.choice(self.random.choice(self.tasks[task]))

    def next(self):
        if not self.ready:
            drawn = (self.draw() for _ in range(PAIRS_DRAWN))
            rows = [(reference.ids(source), reference.ids(target)) for source, target in drawn]
            rows.sort(key=lambda pair: (len(pair[0]), len(pair[1])))
            batch, longest = [], 0
            for row in rows:
                longest = max(longest, len(row[0]) + len(row[1]))
                batch.append(row)
                if len(batch) * longest >= BATCH_TOKENS:
                    self.ready.append(batch)
                    batch, longest = [], 0
            self.random.shuffle(self.ready)
        return self.ready.pop()


def loss_of(model, batch):
    inputs = reference.padded([source for source, _ in batch])
    labels = reference.padded([target for _, target in batch], IGNORED)
    mask = (inputs != reference.PADDING).long()
    with torch.autocast("cpu", torch.bfloat16):
        return model(input_ids=inputs, attention_mask=mask, labels=labels).loss


def rate(state, seconds_max):
    rest = 1 - state["seconds"] / seconds_max
    warm_up = min(1.0, (state["step"] + 1) / WARM_UP_STEPS)
    return RATE * warm_up * min(1.0, max(rest, 0.0) / FALLING_FRACTION)


def train(model, pairs, arguments):
    """Trains until the budget is used up; gives {"step", "pairs", "seconds"}."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY, fused=True
    )
    state = {"step": 0, "seconds": 0.0, "pairs": 0}
    checkpoint = arguments.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state = saved["state"]
    batches = Batches(pairs, arguments.seed + state["step"])
    start, saved_at, level = time.process_time() - state["seconds"], time.time(), None
    while state["seconds"] < arguments.seconds:
        for group in optimizer.param_groups:
            group["lr"] = rate(state, arguments.seconds)
        batch = batches.next()
        loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        state["step"] += 1
        state["pairs"] += len(batch)
        state["seconds"] = time.process_time() - start
        level = loss.item() if level is None else 0.99 * level + 0.01 * loss.item()
        if state["step"] % 100 == 0:
            print(f"{state['step']} steps, {state['seconds']:.0f} s, {state['pairs']} pairs, "
                  f"loss {level:.4f}", flush=True)
        if time.time() - saved_at > CHECKPOINT_SECONDS:
            saved_at = time.time()
            save(checkpoint, model, optimizer, state)
    # A larger budget goes on from here.
    save(checkpoint, model, optimizer, state)
    return state


def save(checkpoint, model, optimizer, state):
    """Under another name first, so that an interruption leaves the checkpoint before."""
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state}
    partial = checkpoint.with_suffix(".part")
    torch.save(content, partial)
    os.replace(partial, checkpoint)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simplemma", type=Path, required=True, help="folder, unpacked")
    parser.add_argument("--gruut", type=Path, required=True, help="folder of unpacked packages")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=14_000, help="processor time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    pairs = data.read(arguments.simplemma, arguments.gruut)
    model = reference.new_model()
    state = train(model, pairs, arguments)
    model.save_pretrained(arguments.out)
    state["threads"] = arguments.threads
    (arguments.out / "training.json").write_text(json.dumps(state, indent=1) + "\n")


if __name__ == "__main__":
    main()
