"""Choose the sentences that the demo of slots asks: one of each language.

In: the folder of the data, a folder to write to, and languages. Out: questions.jsonl with the
language, the sentence as it is written, and the words, tags and label that are expected; and for
each language a file of its sentence alone. Chosen is the first test sentence that has at least two
spans, or one where no sentence has two; nothing is chosen by hand. The sentences come from the test
split of the intents, their words and tags from that of the slots.
"""

import json
import pathlib
import sys


def lines(path):
    with open(path, encoding="utf-8") as source:
        return [json.loads(line) for line in source]


def squeezed(text):
    return "".join(text.split())


def question(data, language):
    name = f"{language}.jsonl"
    tagged = {squeezed("".join(one["words"])): one for one in lines(data / "slots/test" / name)}
    for least in (2, 1, 0):
        for line in lines(data / "intents/test" / name):
            one = tagged.get(squeezed(line["text"]))
            spans = sum(tag.startswith("B-") for tag in one["tags"]) if one else -1
            if spans >= least:
                return {**one, "text": line["text"]}
    raise SystemExit(f"{language}: no sentence of the intents is among the slots")


def main():
    data, demo = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    chosen = [question(data, language) for language in sys.argv[3:]]
    for one in chosen:
        (demo / f"questions-{one['lang']}.txt").write_text(one["text"] + "\n", encoding="utf-8")
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in chosen)
    (demo / "questions.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
