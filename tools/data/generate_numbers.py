"""Generate numbers with their names in many languages: a task that the reference model never saw.

In: the installed package `unicode-rbnf`, which holds the rules of Unicode CLDR.
Out: `FOLDER/{train,dev,test}/LANGUAGE.jsonl`, lines `{"lang", "text", "target"}` such as
`{"lang": "de", "text": "de# 47", "target": "siebenundvierzig"}`, and `FOLDER/summary.json` with
counts. The same package gives the same bytes.

A number is in one split in all languages, by its hash: no language is tested on a number whose name
another one was trained on. Half of the numbers have four digits, the other half fewer.
"""

import hashlib
import json
import sys
from pathlib import Path

from unicode_rbnf import RbnfEngine

# Tag of polygraft -> locale of the rules, where they differ.
LOCALES = {"nb": "no"}
LANGUAGES = (
    "af", "ar", "az", "be", "bg", "ca", "cs", "cy", "da", "de", "el", "en", "eo", "es", "et", "fa",
    "fi", "fo", "fr", "ga", "he", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk", "ko", "ky",
    "lb", "lt", "lv", "mk", "ms", "mt", "nb", "nl", "nn", "pl", "pt", "ro", "ru", "sk", "sl", "sq",
    "sr", "sv", "sw", "tr", "uk", "vi", "zu",
)
# The mark of the task, as in tools/seq2seq/data.py.
MARK = "# "
EXAMPLES_MAX = {"train": 1000, "dev": 200, "test": 300}
# What the reference model was trained to write at most.
BYTES_MAX = 62
SMALL_MAX, LARGE_MAX = 999, 9_999


def draw(number):
    digest = hashlib.blake2b(f"polygraft number {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def split_of(number):
    """7 in 10 train, 1 dev, 2 test."""
    place = draw(number) % 10
    return "train" if place < 7 else "dev" if place == 7 else "test"


def numbers():
    """All numbers in a fixed order; small and large ones take turns while there are small ones."""
    small = sorted(range(SMALL_MAX + 1), key=draw)
    large = sorted(range(SMALL_MAX + 1, LARGE_MAX + 1), key=draw)
    turns = [number for pair in zip(small, large) for number in pair]
    return turns + large[len(small) :]


def name_of(engine, number):
    """The plain name, or None where the rules have none."""
    found = engine.format_number(number).text_by_ruleset
    for ruleset in ("spellout-numbering", "spellout-cardinal"):
        if ruleset in found:
            # Soft hyphens and zero-width spaces mark where a line may break; they are no text.
            return found[ruleset].replace("\u00ad", "").replace("\u200b", "")
    return None


def language_examples(language):
    """{split: [line]}"""
    engine = RbnfEngine.for_language(LOCALES.get(language, language))
    found = {split: [] for split in EXAMPLES_MAX}
    for number in numbers():
        examples = found[split_of(number)]
        if len(examples) == EXAMPLES_MAX[split_of(number)]:
            continue
        name = name_of(engine, number)
        if name and len(name.encode()) <= BYTES_MAX:
            text = f"{language}{MARK}{number}"
            examples.append({"lang": language, "text": text, "target": name})
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: generate_numbers.py FOLDER")
    folder = Path(sys.argv[1])
    counts = {}
    for language in LANGUAGES:
        for split, examples in language_examples(language).items():
            path = folder / split / f"{language}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
            path.write_text("".join(lines), encoding="utf-8")
            counts.setdefault(language, {})[split] = len(examples)
    text = json.dumps({"examples": counts}, indent=1, sort_keys=True) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
