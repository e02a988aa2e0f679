"""Threshold: find out from held-out examples how sure an answer must be, and give none below that.

    python threshold.py BUNDLE STORE HELD_OUT

The store has the task `light`, which update.py trains. A line of HELD_OUT is an example as for
update.py; a text that no label of the task fits has the label `none`.
"""

import json
import sys

from polygraft import Engine, Model, Store


def choose(answers, share_wanted):
    """The lowest threshold at which so large a share of the given answers is right."""
    answers = sorted(answers, reverse=True)
    right, threshold = 0, None
    for count, (probability, is_right) in enumerate(answers, 1):
        right += is_right
        # Answers of the same probability are given together, or not at all.
        ends = count == len(answers) or answers[count][0] < probability
        if ends and right >= share_wanted * count:
            threshold = probability
    return threshold


def ask(model, language, text, threshold):
    """The label of a text, or None where the model is not sure enough."""
    prediction = model.predict("light", language, text, top_k=1)
    sure = prediction.probability >= threshold and prediction.label != "none"
    return prediction.label if sure else None


def main(bundle, folder, held_out):
    with Engine() as engine, Store(folder) as store, Model(engine, bundle, store) as model:
        answers = []
        with open(held_out, encoding="utf-8") as file:
            examples = [json.loads(line) for line in file]
        for one in examples:
            found = model.predict("light", one["lang"], one["text"], top_k=1)
            if found.label != "none":
                answers.append((found.probability, found.label == one["label"]))
        for share in (0.8, 0.9, 0.95):
            threshold = choose(answers, share)
            if threshold is None:
                print(f"{share:.0%} right: at no threshold")
                continue
            given = [ask(model, one["lang"], one["text"], threshold) for one in examples]
            count = sum(label is not None for label in given)
            print(f"{share:.0%} right: from {threshold:.3f} on, {count} of {len(given)} answered")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
