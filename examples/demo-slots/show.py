"""Print sentences with the spans that were found in them, beside those that were expected.

In: the file of questions.py, and the answers of `polygraft predict --json` in the same order. Out:
for each sentence the text with its spans in brackets, the intent with its probability and who
answered, and a line with what was expected where it was not that.
"""

import json
import sys


def lines(path):
    with open(path, encoding="utf-8") as source:
        return [json.loads(line) for line in source]


def marked(text, spans):
    """`turn off the [lamp|name]`; spans are (first, behind the last, kind), by characters."""
    parts, at = [], 0
    for start, end, kind in spans:
        parts += [text[at:start], f"[{text[start:end]}|{kind}]"]
        at = end
    return "".join(parts) + text[at:]


def places(spans):
    return [(one["char_start"], one["char_end"], one["kind"]) for one in spans]


def main():
    right = 0
    questions = lines(sys.argv[1])
    for question, answer in zip(questions, lines(sys.argv[2]), strict=True):
        best = answer["labels"][0]
        found, wanted, text = places(answer["spans"]), places(question["spans"]), question["text"]
        intent = f"{best['label']} {100 * best['probability']:.0f} %"
        by = answer["answered_by"]
        print(f"  {question['lang']:<6} {marked(text, found)}")
        print(f"         {intent}, answered by {by['language']} version {by['version']}")
        if found != wanted:
            print(f"         expected {marked(text, wanted)}")
        if best["label"] != question["label"]:
            print(f"         expected {question['label']}")
        right += found == wanted and best["label"] == question["label"]
    print(f"\n  {right} of {len(questions)} sentences with the right intent and the right spans")


if __name__ == "__main__":
    main()
