"""Print what an update did to each language, beside what plain finetuning would have done.

In: three files of `polygraft predict --json` over the same test sentences (before the update, after
it, and after plain finetuning on the same data without a gate), and the languages that brought new
data. Out: a table, the sums below it, and what the columns mean. A sentence counts as right when the
most probable label is the expected one, so a label that an adapter does not know is a miss.
"""

import json
import sys

COLUMNS = ("language", "new data", "before", "after", "change", "naive", "its change", "sentences")
MINUS = "\N{MINUS SIGN}"
LEGEND = """\
  after      what polygraft serves now: near languages share their deltas, and the gate keeps
             the old version where the new one is not shown to be as good
  naive      the same sentences, the same start, plain finetuning of the one shared adapter without
             a gate, in a store of its own that nothing else uses
  change     percentage points against before
  sentences  of the test split, which no update sees; before, after and naive answer the same ones"""


def scores(path):
    """Share of right answers and number of sentences by language."""
    right = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            answer = json.loads(line)
            is_right = answer["labels"][0]["label"] == answer["expected"]
            right.setdefault(answer["lang"], []).append(is_right)
    return {language: (sum(hits) / len(hits), len(hits)) for language, hits in right.items()}


def points(change):
    """Signed percentage points with one decimal; nothing has no sign."""
    text = f"{abs(100 * change):.1f}"
    if text == "0.0":
        return text
    return ("+" if change > 0 else MINUS) + text


def sums(name, changes):
    gains = [change for change in changes if points(change).startswith("+")]
    losses = [change for change in changes if points(change).startswith(MINUS)]
    return (
        f"  {name:<10} {len(gains)} better ({points(sum(gains))} points in all),"
        f" {len(losses)} worse ({points(sum(losses))} points in all)"
    )


def main():
    before, after, naive = (scores(path) for path in sys.argv[1:4])
    updated = sys.argv[4:]
    rows = []
    changes = {"polygraft": [], "naive": []}
    for language in sorted(before, key=lambda language: (language not in updated, language)):
        start, count = before[language]
        served, plain = after[language][0], naive[language][0]
        changes["polygraft"].append(served - start)
        changes["naive"].append(plain - start)
        new = "yes" if language in updated else ""
        shown = [f"{100 * start:.1f} %", f"{100 * served:.1f} %", points(served - start)]
        shown += [f"{100 * plain:.1f} %", points(plain - start), str(count)]
        rows.append((language, new, *shown))
    widths = [max(len(row[column]) for row in (COLUMNS, *rows)) for column in range(len(COLUMNS))]
    for row in (COLUMNS, *rows):
        words = [f"{cell:<{width}}" for cell, width in zip(row[:2], widths[:2])]
        numbers = [f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:])]
        print("  " + "  ".join(words + numbers))
    print()
    for name, values in changes.items():
        print(sums(name, values))
    print(LEGEND)


if __name__ == "__main__":
    main()
