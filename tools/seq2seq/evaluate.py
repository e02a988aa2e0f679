"""Score the reference model of sequence-to-sequence tasks, language by language.

In: the folder that `train.py` wrote, the unpacked packages, the folder that `export.py` made. Out:
`scores.json` in the latter, and `examples.jsonl` with a few words of every language and what the
model answers.

The model is scored as it is shipped, its weights rounded to float16. A word counts when the
likeliest bytes, one after another, are exactly its target.
"""

import argparse
import json
from pathlib import Path

import data
import export
import model as reference
import torch

BATCH = 250
EXAMPLES = 3


@torch.no_grad()
def answers(model, sources):
    """The texts that the model gives, in the order of the sources."""
    order = sorted(range(len(sources)), key=lambda index: len(sources[index].encode()))
    found = [""] * len(sources)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        inputs = reference.padded([reference.ids(sources[index]) for index in part])
        rows = model.generate(
            inputs, attention_mask=(inputs != reference.PADDING).long(), do_sample=False,
            num_beams=1, max_new_tokens=data.BYTES_MAX + 2,
        )
        for index, row in zip(part, rows.tolist()):
            found[index] = reference.text_of(row)
    return found


def exact_match(model, pairs):
    found = answers(model, [source for source, _ in pairs])
    return sum(text == target for text, (_, target) in zip(found, pairs)) / len(pairs)


def scores(model, pairs, sides, words_max):
    """{task: {language: {side: {"words", "exact_match"}}}} of sides with any words."""
    found = {}
    for (task, language), of_side in pairs.items():
        rows = found.setdefault(task, {}).setdefault(language, {})
        for side in sides:
            words = of_side[side][:words_max]
            if words:
                score = round(exact_match(model, words), 4)
                rows[side] = {"words": len(words), "exact_match": score}
        print(f"{task} {language} {rows}", flush=True)
    return found


def examples(model, pairs):
    """Lines `{"lang", "text", "target", "answer"}` of words that were not trained on."""
    for (_, language), of_side in pairs.items():
        chosen = of_side[data.TEST][:EXAMPLES]
        for (text, target), answer in zip(chosen, answers(model, [text for text, _ in chosen])):
            line = {"lang": language, "text": text, "target": target, "answer": answer}
            yield json.dumps(line, ensure_ascii=False) + "\n"


def mean(rows, side):
    """Every language counts the same."""
    values = [row[side]["exact_match"] for row in rows.values() if side in row]
    return round(sum(values) / len(values), 4) if values else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--simplemma", type=Path, required=True)
    parser.add_argument("--gruut", type=Path, required=True)
    parser.add_argument("--words-max", type=int, default=500, help="of a language and side")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pairs = data.read(arguments.simplemma, arguments.gruut)
    sides = (data.TEST, data.NEW_LEMMA)
    model = export.rounded(arguments.model)
    lines = "".join(examples(model, pairs))
    (arguments.folder / "examples.jsonl").write_text(lines, encoding="utf-8")
    found = scores(model, pairs, sides, arguments.words_max)
    means = {
        task: {side: mean(rows, side) for side in sides}
        for task, rows in found.items()
    }
    text = json.dumps({"mean": means, "languages": found}, indent=1, sort_keys=True) + "\n"
    (arguments.folder / "scores.json").write_text(text, encoding="utf-8")
    print(json.dumps(means))


if __name__ == "__main__":
    main()
