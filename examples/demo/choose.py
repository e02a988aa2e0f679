"""Choose the sentence that the demo asks three times.

In: two files of `polygraft predict --json`, from before and after the update, over the same test
sentences, and the languages that brought new data. Out, one per line: language, text, label of the
sentence, answer before with its probability, and who gave it. Chosen is the first sentence in one of
these languages, in the order of the files, that the old version got wrong and the new one gets right;
nothing is chosen by hand. It exits with 1 when there is no such sentence.
"""

import json
import sys


def predictions(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def best(prediction):
    return prediction["labels"][0]


def main():
    before_path, after_path, *languages = sys.argv[1:]
    for before, after in zip(predictions(before_path), predictions(after_path), strict=True):
        if before["lang"] not in languages:
            continue
        expected = before["expected"]
        if best(before)["label"] != expected and best(after)["label"] == expected:
            answer = best(before)
            served = before["answered_by"]
            print(before["lang"])
            print(before["text"])
            print(expected)
            probability = f"{100 * answer['probability']:.1f} %"
            print(f"{answer['label']}  {probability:>7}")
            print(f"answered by {served['language']} version {served['version']}")
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
