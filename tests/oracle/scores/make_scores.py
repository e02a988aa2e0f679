"""Writes scores.json: answers, and what scikit-learn, scipy, seqeval, rapidfuzz and sacrebleu
make of them.

Usage: pip install -r tests/oracle/scores/requirements.txt
       python tests/oracle/scores/make_scores.py

Where a package prints 0 for a figure that nothing can be said about, null is written.
"""

import json
import math
import pathlib
import random
import warnings

import numpy
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics import CHRF
from scipy.stats import spearmanr
from seqeval.metrics import accuracy_score as tag_accuracy
from seqeval.metrics import f1_score as span_f1
from seqeval.metrics import precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, mean_absolute_error
from sklearn.preprocessing import MultiLabelBinarizer

warnings.filterwarnings("ignore")
draw = random.Random(20)


def labels_case(name, expected, given):
    return {
        "name": name,
        "expected": expected,
        "given": given,
        "accuracy": float(accuracy_score(expected, given)),
        "macro_f1": float(f1_score(expected, given, average="macro", zero_division=0)),
    }


def labels():
    names = ["on", "off", "ışık", "灯", "a b"]
    rare = ["on"] * 18 + ["off"] * 2
    yield labels_case("one class, all right", ["on"] * 3, ["on"] * 3)
    yield labels_case("one class, all wrong", ["on"] * 3, ["off"] * 3)
    yield labels_case("one example", ["on"], ["on"])
    yield labels_case("a label that is never expected", ["on", "off"], ["on", "灯"])
    yield labels_case("the rare class is never given", rare, ["on"] * 20)
    for count in (7, 40, 300):
        expected = draw.choices(names, [5, 3, 2, 1, 1], k=count)
        given = [one if draw.random() < 0.7 else draw.choice(names) for one in expected]
        yield labels_case(f"{count} drawn", expected, given)


def sets_case(name, expected, given):
    binarizer = MultiLabelBinarizer().fit(expected + given)
    left, right = binarizer.transform(expected), binarizer.transform(given)
    return {
        "name": name,
        "expected": [sorted(one) for one in expected],
        "given": [sorted(one) for one in given],
        "jaccard": float(jaccard_score(left, right, average="samples", zero_division=1.0)),
        "macro_f1": float(f1_score(left, right, average="macro", zero_division=0)),
    }


def sets():
    yield sets_case("both empty beside others", [[], ["a", "b"]], [[], ["a"]])
    yield sets_case("nothing given", [["a", "b"], ["c"]], [[], []])
    yield sets_case("nothing expected", [[], []], [["a"], ["a", "b"]])
    yield sets_case("half of it", [["a", "b"]], [["b", "c"]])
    for count in (5, 60):
        some = lambda: draw.sample(["joy", "fear", "anger", "愛", "none"], draw.randint(0, 3))
        expected = [some() for _ in range(count)]
        given = [one if draw.random() < 0.5 else some() for one in expected]
        yield sets_case(f"{count} drawn", expected, given)


def numbers_case(name, expected, given):
    rho = float(spearmanr(expected, given).statistic)
    return {
        "name": name,
        "expected": expected,
        "given": given,
        "spearman": None if math.isnan(rho) else rho,
        "mean_error": float(mean_absolute_error(expected, given)),
    }


def numbers():
    yield numbers_case("ties on both sides", [1, 2, 2, 3, 3, 3], [2, 1, 2, 2, 5, 5])
    yield numbers_case("all expected are the same", [1.5, 1.5, 1.5], [1, 2, 3])
    yield numbers_case("all given are the same", [1, 2, 3], [0.25, 0.25, 0.25])
    yield numbers_case("reversed", [1, 2, 3, 4], [4, 3, 2, 1])
    yield numbers_case("signs and zeros", [-0.0, 0.0, -1e300, 1e300, 1e-300], [0, 1, -2, 3, 2])
    yield numbers_case("two", [1, 2], [0.5, 7])
    for count in (10, 200):
        expected = [round(draw.uniform(0, 5), 1) for _ in range(count)]
        given = [one + draw.gauss(0, 1) for one in expected]
        yield numbers_case(f"{count} drawn", expected, given)


def is_valid(tags):
    before = "O"
    for tag in tags:
        if tag.startswith("I-") and before[2:] != tag[2:]:
            return False
        before = tag
    return True


def figures(expected, given, **scheme):
    spans = get_entities(expected), get_entities(given)
    some = lambda score, *needed: float(score(expected, given, **scheme)) if any(needed) else None
    return {
        "precision": some(precision_score, spans[1]),
        "recall": some(recall_score, spans[0]),
        "f1": some(span_f1, *spans),
    }


def tags_case(name, expected, given):
    """Figures of seqeval's default mode, which counts as conlleval; where all tags are valid BIO
    its strict mode must say the same."""
    found = figures(expected, given)
    if all(map(is_valid, expected + given)) and found["f1"] is not None:
        strict = figures(expected, given, mode="strict", scheme=IOB2)
        assert strict == found, (name, strict, found)
    each = [figures([left], [right])["f1"] for left, right in zip(expected, given)]
    accuracy = float(tag_accuracy(expected, given))
    return {"name": name, "expected": expected, "given": given, "accuracy": accuracy, **found,
            "f1_of_each": each}


def tags():
    split = lambda *texts: [text.split() for text in texts]
    yield tags_case("all right", split("B-a I-a O B-b"), split("B-a I-a O B-b"))
    yield tags_case("no spans", split("O O"), split("O O"))
    yield tags_case("nothing given", split("B-a O"), split("O O"))
    yield tags_case("nothing expected", split("O O"), split("B-a I-a"))
    yield tags_case("I- after O", split("O I-a I-a O"), split("O B-a I-a O"))
    yield tags_case("I- at the start", split("I-a I-a"), split("B-a I-a"))
    yield tags_case("I-x after B-y", split("B-b I-a I-a"), split("B-b B-a I-a"))
    yield tags_case("I-x after I-y", split("B-b I-b I-a"), split("B-b I-b B-a"))
    yield tags_case("one long, two short", split("B-a I-a I-a"), split("B-a B-a I-a"))
    yield tags_case("right words, other kind", split("B-a I-a"), split("B-b I-b"))
    yield tags_case("a kind with hyphens", split("B-time-of-day I-time-of-day"),
                    split("B-time-of-day I-time"))
    yield tags_case("spans do not cross texts", split("B-a", "I-a O"), split("B-a", "B-a O"))
    yield tags_case("unicode kinds", split("B-地点 I-地点 O"), split("B-地点 I-地点 B-ort"))
    names = ["O", "O", "B-a", "I-a", "B-b", "I-b"]
    for count in (20, 120):
        expected = [draw.choices(names, k=draw.randint(1, 9)) for _ in range(count)]
        change = lambda tag: tag if draw.random() < 0.8 else draw.choice(names)
        given = [[change(tag) for tag in text] for text in expected]
        yield tags_case(f"{count} drawn, mostly malformed", expected, given)


def texts_case(name, expected, given):
    chrf = CHRF()
    edits = [Levenshtein.distance(left, right) for left, right in zip(expected, given)]
    return {
        "name": name,
        "expected": expected,
        "given": given,
        "exact_match": float(numpy.mean([l == r for l, r in zip(expected, given)])),
        "edits": edits,
        "characters": sum(map(len, expected)),
        "chrf": chrf.corpus_score(given, [expected]).score / 100,
        "chrf_of_each": [chrf.sentence_score(right, [left]).score / 100
                         for left, right in zip(expected, given)],
    }


def texts():
    yield texts_case("equal", ["gehen", "Häuser"], ["gehen", "Häuser"])
    yield texts_case("nothing given", ["gehen"], [""])
    yield texts_case("nothing expected", [""], ["gehen"])
    yield texts_case("nothing at all", [""], [""])
    yield texts_case("shorter than six", ["go"], ["got"])
    yield texts_case("one letter", ["a"], ["a"])
    yield texts_case("one other letter", ["a"], ["b"])
    yield texts_case("a long one beside a short one", ["internationalisation", "a"],
                     ["internationalization", "abcdefg"])
    yield texts_case("kitten", ["kitten"], ["sitting"])
    yield texts_case("common ends overlap", ["aaa"], ["aaaaa"])
    yield texts_case("white space", ["turn on\u2003the light\x1c!\u0085"],
                     ["turn  on the\tlight\u001f!"])
    yield texts_case("scripts", ["開燈", "ışığı kapat", "เปิดไฟ", "बत्ती जलाओ", "👩‍👩‍👧‍👦 ok"],
                     ["关灯", "ışığı aç", "ปิดไฟ", "बत्ती बुझाओ", "👩‍👩‍👦 ok"])
    yield texts_case("composed or not", ["café"], ["cafe\u0301"])
    yield texts_case("much too long", ["ja"], ["ja" * 50])
    letters = "abcdeé ш灯"
    for count in (8, 30):
        some = lambda: "".join(draw.choices(letters, k=draw.randint(0, 14)))
        change = lambda letter: letter if draw.random() < 0.8 else draw.choice(letters) * 2
        expected = [some() for _ in range(count)]
        given = ["".join(map(change, one)) for one in expected]
        yield texts_case(f"{count} drawn", expected, given)


def main():
    families = {"labels": labels, "sets": sets, "numbers": numbers, "tags": tags, "texts": texts}
    lines = []
    for family, cases in families.items():
        one = lambda case: json.dumps(case, ensure_ascii=True, allow_nan=False)
        lines.append(f"{json.dumps(family)}: [\n" + ",\n".join(map(one, cases())) + "\n]")
    path = pathlib.Path(__file__).with_name("scores.json")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")


if __name__ == "__main__":
    main()
