"""What held-out examples say about the test, for each kind of evidence that a gate could go by.

Reads the files that `polygraft-experiment --evidence DIR` writes and prints, for every kind of
candidate, over its languages and runs:

- the mean change on held-out and on test examples, and the mean change of the test score;
- the mean standard error of a language's change, and the mean |t|;
- the rank correlation of a language's held-out change with the change of its test score, and how
  often the two have the same sign.

The kinds of evidence are the score (right or wrong), the probability of the target, its logarithm,
and the calibrated probability, as in src/update/gate/changes.rs. Only selection examples count.
"""

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path
from statistics import fmean, pstdev

LOG_ODDS_MAX = 12.0
PROBABILITY_MIN = 1e-3
SHARPNESS_EXAMPLES = 20


def log_odds(probability):
    if probability <= 0.0:
        return -LOG_ODDS_MAX
    if probability >= 1.0:
        return LOG_ODDS_MAX
    found = math.log(probability) - math.log1p(-probability)
    return max(-LOG_ODDS_MAX, min(LOG_ODDS_MAX, found))


def logistic(log_odds):
    return 1.0 / (1.0 + math.exp(-log_odds))


def sharper(pairs):
    """How much sharper the candidate's log-odds are than those of the active version."""
    before = [abs(log_odds(b[1])) for b, _ in pairs]
    after = [abs(log_odds(a[1])) for _, a in pairs]
    assumed = SHARPNESS_EXAMPLES * fmean(before)
    return (sum(after) + assumed) / (sum(before) + assumed)


def evidence(pairs, temperature):
    """The changes of one language by kind of evidence; a pair is (score, probability) twice."""
    kinds = {"score": [a[0] - b[0] for b, a in pairs]}
    if pairs and pairs[0][0][1] is not None:
        log = lambda p: math.log(max(p, PROBABILITY_MIN))
        kinds["probability"] = [a[1] - b[1] for b, a in pairs]
        kinds["log-probability"] = [log(a[1]) - log(b[1]) for b, a in pairs]
        kinds["calibrated"] = [
            logistic(log_odds(a[1]) / temperature) - logistic(log_odds(b[1])) for b, a in pairs
        ]
    return kinds


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for index in order[start:end + 1]:
            found[index] = (start + end) / 2
        start = end + 1
    return found


def correlation(left, right):
    left, right = ranks(left), ranks(right)
    a, b = fmean(left), fmean(right)
    product = sum((x - a) * (y - b) for x, y in zip(left, right))
    scale = math.sqrt(sum((x - a) ** 2 for x in left) * sum((y - b) ** 2 for y in right))
    return product / scale if scale > 0 else math.nan


def groups(path):
    """{(strategy, kind and strength, updated): [(held-out pairs, test pairs) of each language]}"""
    strategy = path.stem.rsplit("-", 2)[0].rsplit("-", 1)[-1]
    found = defaultdict(list)
    for language in json.loads(path.read_text(encoding="utf-8")):
        before, reports = language["before"], language["in_report_split"]
        for candidate in language["candidates"]:
            held = zip(before["held_out"], candidate["held_out"], reports)
            pairs = [(b, a) for b, a, is_report in held if not is_report]
            test = list(zip(before["test"], candidate["test"]))
            name = f"{candidate['kind']} x {candidate['strength']:g}"
            found[strategy, name, language["updated"]].append((pairs, test))
    return found


def measure(languages):
    """Rows of (kind of evidence, held-out changes, errors, test changes, test scores' changes)."""
    held = sharper([p for pairs, _ in languages for p in pairs]) if has_odds(languages) else 1.0
    tested = sharper([p for _, test in languages for p in test]) if has_odds(languages) else 1.0
    rows = defaultdict(lambda: ([], [], [], []))
    for pairs, test in languages:
        of_test = evidence(test, tested)
        for kind, changes in evidence(pairs, held).items():
            row = rows[kind]
            row[0].append(fmean(changes))
            row[1].append(pstdev(changes) / math.sqrt(len(changes)))
            row[2].append(fmean(of_test[kind]))
            row[3].append(fmean(of_test["score"]))
    return rows


def has_odds(languages):
    return languages[0][0][0][0][1] is not None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of --evidence")
    parser.add_argument("--only", default="", help="only files whose names begin with this")
    args = parser.parse_args()
    collected = defaultdict(lambda: defaultdict(lambda: ([], [], [], [])))
    for path in sorted(args.folder.glob(f"{args.only}*.json")):
        for group, languages in groups(path).items():
            for kind, row in measure(languages).items():
                for all_runs, this_run in zip(collected[group][kind], row):
                    all_runs.extend(this_run)
    print("| strategy | candidate | languages | evidence | held-out | test | test score | error | "
          "mean abs(t) | rank correlation | same sign |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for (strategy, name, updated), kinds in sorted(collected.items(), reverse=True):
        for kind, (held, errors, test, scores) in kinds.items():
            t = fmean(abs(h) / e if e > 0 else 0.0 for h, e in zip(held, errors))
            signs = [(h > 0) == (s > 0) for h, s in zip(held, scores) if s != 0.0]
            print(f"| {strategy} | {name} | {'new data' if updated else 'others'}, {len(held)} "
                  f"| {kind} | {100 * fmean(held):+.2f} | {100 * fmean(test):+.2f} "
                  f"| {100 * fmean(scores):+.2f} | {100 * fmean(errors):.2f} | {t:.1f} "
                  f"| {correlation(held, scores):+.2f} | {100 * fmean(signs) if signs else 0:.0f} % |")


if __name__ == "__main__":
    main()
