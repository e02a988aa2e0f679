"""Write src/language/codes.txt and names.txt: which languages are registered, and their names.

    make typology
    .cache/venv/bin/python tools/typology/registry.py ISO639_WHEEL LANGCODES_WHEEL [FOLDER]

In: the wheel of the package python-iso639 (the tables of ISO 639-3 as its registration authority
publishes them, with ISO 639-2/B and withdrawn codes), the wheel of langcodes (the registry of
subtags of BCP 47, which adds the groups of languages of ISO 639-5), the package babel (names of
languages by Unicode CLDR in English, in themselves and in the twelve languages below), and
`words.csv` beside this file for what no table knows. Out: the same bytes on every machine.

codes.txt: one line per code, in the order of the bytes: code, name in English, and where the code
is withdrawn or has a shorter or newer form, the tag that takes its place, or `-` if none does;
joined by tabs.
names.txt: one line per other name by which people call a language, in small letters and in the
order of the bytes: the name, a tab, the tag that is probably meant. A name that is itself a code is
left out, and so is a name of several languages unless a better source settles it. Codes of
countries that are no codes of languages are there with the language that most of the country
speaks: `jp` for `ja`.
"""

import csv
import io
import re
import sys
import unicodedata
import zipfile
from pathlib import Path

from babel import Locale
from babel.core import UnknownLocaleError, get_global

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "src" / "language"
ISO_TABLES = "iso639/_data/"
BCP47_REGISTRY = "langcodes/data/language-subtag-registry.txt"
NAMED_IN = "de fr es it pt nl pl ru tr zh ja ar".split()
WITHDRAWN = "-"
PRIVATE_USE = re.compile("q[a-t][a-z]")
# Likely subtags leave out the countries of their default, which is English.
ENGLISH_COUNTRIES = "us gb au nz ca ie".split()


def iso_table(wheel_path, name):
    with zipfile.ZipFile(wheel_path) as wheel, wheel.open(ISO_TABLES + name) as file:
        text = io.TextIOWrapper(file, encoding="utf-8")
        return list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))


def bcp47_records(wheel_path):
    """The records of the registry: names of fields to lists of values."""
    with zipfile.ZipFile(wheel_path) as wheel:
        text = wheel.read(BCP47_REGISTRY).decode("utf-8")
    for record in text.replace("\n  ", " ").split("%%\n"):
        fields = {}
        for line in record.splitlines():
            name, value = line.split(": ", 1)
            fields.setdefault(name, []).append(value)
        yield fields


class Codes:
    """Every registered code with its English name and its replacement."""

    def __init__(self, iso_wheel, bcp47_wheel):
        self.name, self.replacement, self.others = {}, {}, []
        self.shortest = {}
        languages = iso_table(iso_wheel, "iso-639-3.tab")
        for row in languages:
            self.shortest[row["Id"]] = row["Part1"] or row["Id"]
        for row in languages:
            short = self.shortest[row["Id"]]
            for code in {row["Id"], row["Part2b"], row["Part2t"], row["Part1"]} - {""}:
                self.name[code] = row["Ref_Name"]
                if code != short:
                    self.replacement[code] = short
        for row in iso_table(iso_wheel, "iso-639-3_Retirements.tab"):
            self.name.setdefault(row["Id"], row["Ref_Name"])
            successor = row["Change_To"]
            self.replacement[row["Id"]] = self.shortest[successor] if successor else WITHDRAWN
        for row in iso_table(iso_wheel, "iso-639-3_Name_Index.tab"):
            code = self.shortest[row["Id"]]
            self.others.append((row["Print_Name"], code))
        for record in bcp47_records(bcp47_wheel):
            if record.get("Type") != ["language"] or ".." in record["Subtag"][0]:
                continue
            (code,) = record["Subtag"]
            self.name.setdefault(code, record["Description"][0])
            self.others += [(name, code) for name in record["Description"]]
            if "Preferred-Value" in record:
                (self.replacement[code],) = record["Preferred-Value"]
        for code, name in locale("en").languages.items():
            if code in self.name and code not in self.replacement:
                self.name[code] = name
        private = [code for code in self.name if PRIVATE_USE.fullmatch(code)]
        assert not private, private

    def current(self, code):
        """The tag in its newest and shortest form."""
        newer = self.replacement.get(code, code)
        return code if newer == WITHDRAWN else newer


def locale(tag):
    return Locale.parse(tag, sep="_")


def autonyms():
    """Names of languages in themselves."""
    for tag in sorted(get_global("likely_subtags")):
        try:
            yield locale(tag).languages[tag], tag
        except (UnknownLocaleError, ValueError, KeyError):
            continue


def countries(codes):
    likely = get_global("likely_subtags")
    for tag, language in sorted(likely.items()):
        country = tag.removeprefix("und_").lower()
        if tag.startswith("und_") and len(country) == 2 and country not in codes.name:
            yield country, language.split("_")[0]
    for country in ENGLISH_COUNTRIES:
        if country not in codes.name:
            yield country, "en"


def plain(name):
    """Small letters; words joined by one blank."""
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


def spellings(name):
    """The name, and as it is typed where accents are hard to type."""
    name = plain(unicodedata.normalize("NFC", name))
    bare = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return {name, bare} if bare.isascii() else {name}


def tag_of(code):
    return code.replace("_", "-")


def names(codes):
    """Words to tags, the best source first; a name that one source gives twice is nobody's."""
    with open(HERE / "words.csv", encoding="utf-8", newline="") as file:
        by_hand = [(row["word"], row["tag"]) for row in csv.DictReader(file)]
    with open(HERE / "languages.csv", encoding="utf-8", newline="") as file:
        table = [(row["name"], row["tag"]) for row in csv.DictReader(file)]
    in_english = [(name, code) for code, name in locale("en").languages.items()]
    sources = [by_hand, table, in_english, autonyms(), codes.others]
    known = {tag for _, tag in table}
    for tag in NAMED_IN:
        named = locale(tag).languages.items()
        sources.append([(name, code) for code, name in named if len(code) == 2 or code in known])
    sources += [countries(codes)]
    chosen = {}
    for source in sources:
        found = {}
        for name, code in source:
            first = code.split("_")[0].split("-")[0]
            if first not in codes.name:
                continue
            for spelling in spellings(name):
                found.setdefault(spelling, set()).add(codes.current(tag_of(code)))
        for spelling, tags in found.items():
            if spelling not in codes.name and len(tags) == 1 and len(spelling.encode()) <= 64:
                chosen.setdefault(spelling, *tags)
    # The names in codes.txt need not stand here again.
    return {name: tag for name, tag in chosen.items() if plain(codes.name.get(tag, "")) != name}


def write(path, lines):
    text = "".join(f"{line}\n" for line in sorted(lines, key=str.encode))
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"registry: {path.name}: {text.count(chr(10))} lines, {len(text.encode())} bytes")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    folder = Path(sys.argv[3]) if len(sys.argv) == 4 else FOLDER
    codes = Codes(*sys.argv[1:3])
    write(
        folder / "codes.txt",
        ["\t".join([code, name, *([codes.replacement[code]] if code in codes.replacement else [])])
         for code, name in codes.name.items()],
    )
    write(folder / "names.txt", [f"{name}\t{tag}" for name, tag in names(codes).items()])


if __name__ == "__main__":
    main()
