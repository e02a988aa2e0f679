"""Write words of lemmas that the reference model was never trained on, as examples to learn from.

In: the unpacked package `simplemma`. Out: `FOLDER/{train,dev,test}/LANGUAGE.jsonl`, lines
`{"lang", "text", "target"}` such as `{"lang": "de", "text": "de> Häuser", "target": "Haus"}`, and
`FOLDER/summary.json` with counts. The same package gives the same bytes.

All words of a lemma are in one split. This is what a device meets: new vocabulary in languages that
the model knows.
"""

import json
import sys
from pathlib import Path

import data

EXAMPLES_MAX = {"train": 1000, "dev": 200, "test": 300}


def split_of(language, lemma):
    """6 in 10 train, 1.5 dev, 2.5 test."""
    place = data.draw("update", language, lemma)
    return "train" if place < 6_000 else "dev" if place < 7_500 else "test"


def language_examples(language, pairs):
    """{split: [line]}, at most `EXAMPLES_MAX` each, in the order of a hash."""
    kept_back = {}
    for word, lemma in pairs:
        if lemma not in kept_back:
            kept_back[lemma] = data.is_kept_back(language, lemma)
    found = {split: [] for split in EXAMPLES_MAX}
    words = [(word, lemma) for word, lemma in pairs if kept_back[lemma] and word]
    words.sort(key=lambda pair: (data.draw("order", language, pair[0]), pair))
    for word, lemma in words:
        text = data.source(data.LEMMA, language, word)
        split = split_of(language, lemma)
        if data.fits(text, lemma) and len(found[split]) < EXAMPLES_MAX[split]:
            found[split].append({"lang": language, "text": text, "target": lemma})
    return found


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: write_lemmas.py SIMPLEMMA_FOLDER FOLDER")
    folder = Path(sys.argv[2])
    counts = {}
    for language, pairs in data.lemmas(sys.argv[1]):
        for split, examples in language_examples(language, pairs).items():
            path = folder / split / f"{language}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
            path.write_text("".join(lines), encoding="utf-8")
            counts.setdefault(language, {})[split] = len(examples)
        if len(counts) % 10 == 0:
            print(f"  {len(counts)} languages", flush=True)
    text = json.dumps({"examples": counts}, indent=1, sort_keys=True) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
