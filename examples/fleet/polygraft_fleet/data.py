"""Examples for a fleet: every device has its own sentences, in one language and mostly of its own
kinds of request, as the devices of one household and of another do."""

from __future__ import annotations

import json
import random
from pathlib import Path

#: How unlike the devices of one language are: the smaller, the more each has intents of its own.
CONCENTRATION = 0.5


def read(folder: Path, split: str, language: str) -> list[dict]:
    with open(folder / split / f"{language}.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def split_among(rows: list[dict], devices: int, count: int, seed: str) -> list[list[dict]]:
    """Gives each device `count` rows: the intents of a language are shared out by a Dirichlet
    distribution, so that no two devices have the same mixture."""
    chance = random.Random(seed)
    by_label: dict[str, list[dict]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row)
    taken: list[list[dict]] = [[] for _ in range(devices)]
    for label in sorted(by_label):
        weights = [chance.gammavariate(CONCENTRATION, 1.0) for _ in range(devices)]
        for row in by_label[label]:
            taken[chance.choices(range(devices), weights)[0]].append(row)
    for rows_of_device in taken:
        chance.shuffle(rows_of_device)
    return [rows_of_device[:count] for rows_of_device in taken]


def lines(rows: list[dict]) -> str:
    """Rows as JSON Lines."""
    fields = ("lang", "text", "label")
    return "\n".join(json.dumps({key: row[key] for key in fields}, ensure_ascii=False)
                     for row in rows)
