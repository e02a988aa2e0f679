"""Compute src/language/typology.bin: which languages there are, and how far they lie apart.

    make typology
    .cache/venv/bin/python tools/typology/build.py LANG2VEC_WHEEL [OUTPUT]

In: the wheel of the package lang2vec (vectors of URIEL, CC BY-SA 4.0) and `languages.csv` beside
this file. Out: one file, the same bytes on every machine. Needs numpy, which only reads the arrays:
vectors are zeros and ones, so all sums are exact integers.

Distances, each from 0 to 1:
  syntactic, phonological, inventory, featural
      the angle between two vectors over a right angle: 2 * acos(cosine) / pi. The vectors are
      those that lang2vec completed by nearest neighbours; featural takes all three together.
  geographic
      the largest difference between the distances of the two languages to 299 fixed points, in
      units of half the circumference of the Earth: nearly the great-circle distance.
  genetic
      1 - (ancestors that both have) / (ancestors of the one that has more + 1).

The table `languages.csv` says by hand what the vectors cannot:
  tag        primary subtag by BCP 47
  iso639_3   code by ISO 639-3, of the macrolanguage where the tag means one
  name       in English
  vectors    the code that lang2vec has the features under; of a macrolanguage and its members, the
             one with more observed features
  ancestors  the code whose ancestors are taken instead, where lang2vec has none or only the root
  aliases    other tags of the same language: ISO 639-2/B, withdrawn codes, members that the
             macrolanguage's tag usually means

Format: a line `polygraft typology 1 LANGUAGES VECTORS`; one line per language, in the order of the
tags: tag, ISO 639-3, name, family, `observed` or `predicted`, index of its vector, aliases separated
by blanks, joined by tabs; an empty line; then per kind of distance, in the order above, one byte for
each pair of vectors i < j, pairs ordered by i and then j: the distance times 255, rounded.
"""

import csv
import io
import math
import sys
import zipfile
from pathlib import Path

import numpy

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent.parent / "src" / "language" / "typology.bin"
KINDS = ("syntactic", "geographic", "genetic", "phonological", "inventory", "featural")
FEATURE_PREFIXES = {"syntactic": "S_", "phonological": "P_", "inventory": "INV_", "featural": ""}
# Below this many observed features of 289, the vector is mostly a guess from its neighbours.
OBSERVED_FEATURES_MIN = 30
ISOLATE = "Isolate"


class Vectors:
    """One array of the package: a row of values per language code."""

    def __init__(self, wheel, name):
        with wheel.open(f"lang2vec/data/{name}.npz") as file:
            # No pickles: the package is data, not code.
            arrays = numpy.load(io.BytesIO(file.read()), allow_pickle=False)
            self.features = [str(feature) for feature in arrays["feats"]]
            self.row = {str(code): row for row, code in enumerate(arrays["langs"])}
            self.data = arrays["data"][:, :, 0]

    def of(self, code):
        return self.data[self.row[code]]


class Typology:
    """What is computed from the package."""

    def __init__(self, wheel_path):
        with zipfile.ZipFile(wheel_path) as wheel:
            self.completed = Vectors(wheel, "feature_predictions")
            self.averages = Vectors(wheel, "feature_averages")
            self.places = Vectors(wheel, "geocoord_features")
            self.families = Vectors(wheel, "family_features")
        self.members = self.families.data.sum(axis=0)

    def ancestors(self, code):
        """Indices of the families that the language is in."""
        return frozenset(numpy.nonzero(self.families.of(code))[0].tolist())

    def top_family(self, ancestors):
        """The root of the tree: of the families of one language, the one with most members."""
        if not ancestors:
            return ISOLATE
        name_of = self.families.features
        root = min(ancestors, key=lambda family: (-self.members[family], name_of[family]))
        return name_of[root].removeprefix("F_")

    def is_observed(self, code):
        return int((self.averages.of(code) >= 0).sum()) >= OBSERVED_FEATURES_MIN

    def features(self, code, prefix):
        """The set of features that the language has, of those whose name begins so."""
        chosen = zip(self.completed.features, self.completed.of(code).tolist())
        return frozenset(name for name, value in chosen if value == 1 and name.startswith(prefix))


def angle(one, other):
    """The angle of two vectors of zeros and ones, given as sets, over a right angle."""
    if one == other:
        return 0.0
    if not one or not other:
        return 1.0
    cosine = len(one & other) / math.sqrt(len(one) * len(other))
    return 2 * math.acos(min(cosine, 1.0)) / math.pi


def genetic(one, other):
    return 1 - len(one & other) / (max(len(one), len(other)) + 1)


def matrices(typology, vectors):
    """Per kind, the distances of all pairs of the (vector code, ancestors) in `vectors`."""
    codes = [code for code, _ in vectors]
    lineages = [ancestors for _, ancestors in vectors]
    places = [typology.places.of(code).astype(float) for code in codes]
    measures = {
        "geographic": lambda i, j: float(abs(places[i] - places[j]).max()),
        "genetic": lambda i, j: genetic(lineages[i], lineages[j]),
    }
    for kind, prefix in FEATURE_PREFIXES.items():
        sets = [typology.features(code, prefix) for code in codes]
        measures[kind] = lambda i, j, sets=sets: angle(sets[i], sets[j])
    pairs = [(i, j) for i in range(len(codes)) for j in range(i + 1, len(codes))]
    return {kind: [measures[kind](i, j) for i, j in pairs] for kind in KINDS}


def read_table():
    with open(HERE / "languages.csv", encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["tag"])
    names = [row["tag"] for row in rows]
    for row in rows:
        spelled = row["aliases"].split()
        # Every language is also found by its ISO 639-3 code.
        if row["iso639_3"] not in (row["tag"], *spelled):
            spelled.append(row["iso639_3"])
        row["aliases"] = sorted(spelled)
        names += spelled
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        sys.exit(f"languages.csv: tags or aliases of two languages: {', '.join(sorted(twice))}")
    return rows


def build(wheel_path):
    """The bytes of the file."""
    typology = Typology(wheel_path)
    rows = read_table()
    vectors = []
    lines = []
    for row in rows:
        code = row["vectors"]
        ancestors = typology.ancestors(row["ancestors"] or code)
        if (code, ancestors) not in vectors:
            vectors.append((code, ancestors))
        fields = [row["tag"], row["iso639_3"], row["name"], typology.top_family(ancestors)]
        fields.append("observed" if typology.is_observed(code) else "predicted")
        fields += [str(vectors.index((code, ancestors))), " ".join(row["aliases"])]
        lines.append("\t".join(fields))
    distances = matrices(typology, vectors)
    head = [f"polygraft typology 1 {len(rows)} {len(vectors)}", *lines, "", ""]
    body = bytes(math.floor(255 * value + 0.5) for kind in KINDS for value in distances[kind])
    return "\n".join(head).encode() + body


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    output = Path(sys.argv[2]) if len(sys.argv) == 3 else OUTPUT
    data = build(sys.argv[1])
    output.write_bytes(data)
    print(f"typology: {len(data)} bytes: {data.splitlines()[0].decode()}")


if __name__ == "__main__":
    main()
