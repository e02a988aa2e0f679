"""Turn an archive of a public benchmark into the JSON Lines that `polygraft bench` reads.

In: a `.tar.xz` with `SPLIT/LANGUAGE.jsonl` below any folder; `train`, `dev` and `test`.
Out: `FOLDER/SPLIT/LANGUAGE.jsonl`, one object a line:
  tags      {"lang", "words", "tags"}    from {"lang", "tokens", "tags"}
  target    {"lang", "text", "target"}   from {"lang", "source", "target"}
  sounds    as target, of words with their pronunciations: the text gets the mark that asks the
            reference model for one (`cy/ llyn`), the target loses its spaces

Left out are lines without an answer, pronunciations longer than that model's, and files without
lines; order and text stay. The archive is read, never unpacked, and only names of that form are
looked at. Counts go to standard output as JSON.
"""

import argparse
import collections
import json
import re
import tarfile
from pathlib import Path

MEMBER = re.compile(r"(?:.*/)?(train|dev|test)/([A-Za-z0-9-]+)\.jsonl")
# What the reference model was trained to read and write at most, see tools/seq2seq/data.py.
BYTES_MAX = 62


def tags_entry(line):
    words, tags = line["tokens"], line["tags"]
    if len(words) != len(tags):
        raise ValueError(f"{len(words)} words, but {len(tags)} tags")
    return {"words": words, "tags": tags} if words else None


def target_entry(line):
    text, target = line["source"], line["target"]
    return {"text": text, "target": target} if text and target else None


def sounds_entry(line):
    text, target = f"{line['lang']}/ {line['source']}", line["target"].replace(" ", "")
    fits = max(len(text.encode()), len(target.encode())) <= BYTES_MAX
    return {"text": text, "target": target} if line["source"] and target and fits else None


ENTRIES = {"tags": tags_entry, "target": target_entry, "sounds": sounds_entry}


def convert(archive_path, folder, entry):
    """Writes the files; gives {split: {language: lines}}."""
    counts = collections.defaultdict(dict)
    with tarfile.open(archive_path, "r:xz") as archive:
        for member in archive:
            match = MEMBER.fullmatch(member.name)
            if match is None or not member.isfile():
                continue
            split, language = match.groups()
            found = (entry(json.loads(line)) for line in archive.extractfile(member))
            lines = [
                json.dumps({"lang": language, **values}, ensure_ascii=False) + "\n"
                for values in found if values is not None
            ]
            if not lines:
                continue
            path = folder / split / f"{language}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(lines), encoding="utf-8")
            counts[split][language] = len(lines)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--answer", choices=sorted(ENTRIES), required=True)
    arguments = parser.parse_args()
    counts = convert(arguments.archive, arguments.folder, ENTRIES[arguments.answer])
    print(json.dumps(counts, sort_keys=True))


if __name__ == "__main__":
    main()
