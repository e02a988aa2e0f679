"""Generate dates as people write them in many languages: a task that the reference model never saw.

In: the installed package `babel`, which holds the locales of Unicode CLDR.
Out: `FOLDER/{train,dev,test}/LANGUAGE.jsonl`, lines `{"lang", "text", "target"}` such as
`{"lang": "de", "text": "de@ 1987-03-14", "target": "14. März 1987"}`, and `FOLDER/summary.json`
with counts. The same package gives the same bytes.

A date is in one split in all languages, by its hash: no language is tested on a date that another
one was trained on.
"""

import datetime
import hashlib
import json
import sys
from pathlib import Path

from babel.dates import format_date

# Tag of polygraft -> locale of CLDR, where they differ.
LOCALES = {"zh-CN": "zh_Hans", "zh-TW": "zh_Hant"}
LANGUAGES = (
    "af", "am", "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "es",
    "et", "eu", "fa", "fi", "fo", "fr", "ga", "gl", "gu", "he", "hi", "hr", "hu", "hy", "id", "is",
    "it", "ja", "ka", "kk", "ko", "ky", "lb", "lt", "lv", "mk", "mn", "mr", "ms", "mt", "nb", "ne",
    "nl", "nn", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "sw", "ta", "th", "tr", "uk",
    "ur", "uz", "vi", "zh-CN", "zh-TW", "zu",
)
# The mark of the task, as in tools/seq2seq/data.py.
MARK = "@ "
EXAMPLES_MAX = {"train": 1000, "dev": 200, "test": 300}
# What the reference model was trained to write at most.
BYTES_MAX = 62
YEARS = range(1900, 2100)


def draw(date):
    digest = hashlib.blake2b(f"polygraft date {date}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def split_of(date):
    """7 in 10 train, 1 dev, 2 test."""
    place = draw(date) % 10
    return "train" if place < 7 else "dev" if place == 7 else "test"


def dates():
    """All dates in a fixed order that the hash decides."""
    first, end = datetime.date(YEARS.start, 1, 1), datetime.date(YEARS.stop, 1, 1)
    days = (first + datetime.timedelta(days=day) for day in range((end - first).days))
    return sorted(days, key=draw)


def language_examples(language, order):
    """{split: [line]}"""
    locale = LOCALES.get(language, language)
    found = {split: [] for split in EXAMPLES_MAX}
    for date in order:
        examples = found[split_of(date)]
        if len(examples) == EXAMPLES_MAX[split_of(date)]:
            if all(len(found[split]) == most for split, most in EXAMPLES_MAX.items()):
                break
            continue
        target = format_date(date, "long", locale=locale)
        if len(target.encode()) <= BYTES_MAX:
            examples.append({"lang": language, "text": f"{language}{MARK}{date}", "target": target})
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: generate_dates.py FOLDER")
    folder, order = Path(sys.argv[1]), dates()
    counts = {}
    for language in LANGUAGES:
        for split, examples in language_examples(language, order).items():
            path = folder / split / f"{language}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
            path.write_text("".join(lines), encoding="utf-8")
            counts.setdefault(language, {})[split] = len(examples)
    text = json.dumps({"examples": counts}, indent=1, sort_keys=True) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
