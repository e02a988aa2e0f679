"""Choose the sentences that the demo of slots asks: one of each language.

In: a file of examples for each language, and a folder to write to. Out: questions.jsonl with the
examples, and for each language a file with the text alone. Chosen is the first example that has at
least two spans, or one where no example has two; nothing is chosen by hand.
"""

import json
import pathlib
import sys


def question(path):
    with open(path, encoding="utf-8") as source:
        examples = [json.loads(line) for line in source]
    most = min(2, max(len(one["spans"]) for one in examples))
    return next(one for one in examples if len(one["spans"]) >= most)


def main():
    data, demo = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    chosen = [question(data / f"{language}.jsonl") for language in sys.argv[3:]]
    for one in chosen:
        (demo / f"questions-{one['lang']}.txt").write_text(one["text"] + "\n", encoding="utf-8")
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in chosen)
    (demo / "questions.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
