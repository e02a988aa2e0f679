"""Draw the example sentences of all languages, for every data set that is made of them.

In: the installed packages `home-assistant-intents` and `hassil`; optionally the package file of
`cldr-annotations-full` for the names of things.
Out: {split: shuffled [Example]} of a language, or such examples as the lines of a data set's files.
The same packages give the same sentences, in the same order, to every data set.

A template belongs to one split, by hash, so that no test sentence is a refill of a training
template. Intents or languages with few templates are split by sentence instead.
"""

import collections
import hashlib
import json
import multiprocessing
import os
import random
from dataclasses import dataclass
from pathlib import Path

import home_assistant_intents
from hassil.parser import ParseError

from names import read_annotations, words_from_annotations, words_from_lists
from templates import Sampler, TemplateError, plain

SENTENCES_PER_INTENT = 130
EXAMPLES_MAX = {"train": 2000, "dev": 500, "test": 500}
TEMPLATES_PER_INTENT_MIN = 6
TEMPLATES_PER_LANGUAGE_MIN = 100
TEXT_CHARACTERS_MAX = 160


@dataclass(frozen=True)
class Example:
    """A sentence with its intent; `pieces` say which of its text fills which slot."""

    text: str
    pieces: tuple
    intent: str


def split_of(key):
    """8 in 10 train, 1 dev, 1 test."""
    bucket = int(hashlib.sha1(key.encode()).hexdigest()[:8], 16) % 10
    return {8: "dev", 9: "test"}.get(bucket, "train")


def intent_templates(intent):
    return [(block, template) for block in intent["data"] for template in block["sentences"]]


def draw_intent(sampler, templates, seen):
    """Yields (template, pieces, text); blocks take turns, so that every combination is seen."""
    blocks = collections.defaultdict(list)
    for block, template in templates:
        blocks[id(block)].append((block, template))
    turns = list(blocks.values())
    drawn = 0
    for attempt in range(1, 4 * SENTENCES_PER_INTENT + 1):
        if drawn == SENTENCES_PER_INTENT:
            return
        block, template = sampler.random.choice(turns[attempt % len(turns)])
        try:
            pieces = sampler.pieces(template, block)
        except (ParseError, TemplateError):
            continue  # A broken upstream template is skipped; the others of its intent remain.
        text = plain(pieces)
        folded = text.casefold()
        if not text or len(text) > TEXT_CHARACTERS_MAX or folded in seen:
            continue
        seen.add(folded)
        drawn += 1
        yield template, tuple(pieces), text


def read_language(language):
    path = Path(home_assistant_intents.__file__).parent / "data" / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def listed_words(sampler):
    return words_from_lists(sampler.file["lists"], lambda text: sampler.sentence(text, {}))


def language_examples(language, annotations):
    """{split: shuffled [Example]} of one language."""
    language_file = read_language(language)
    generator = random.Random(f"polygraft-intents-{language}")
    sampler = Sampler(language_file, generator)
    if annotations:
        sampler.words = words_from_annotations(annotations, language)
    else:
        english = Sampler(read_language("en"), generator)
        sampler.words = listed_words(sampler) or listed_words(english)
    intents = {name: intent_templates(intent) for name, intent in language_file["intents"].items()}
    large = sum(map(len, intents.values())) >= TEMPLATES_PER_LANGUAGE_MIN
    found = {split: collections.defaultdict(list) for split in EXAMPLES_MAX}
    seen = set()
    for name, templates in intents.items():
        if not templates:
            continue
        by_template = large and len(templates) >= TEMPLATES_PER_INTENT_MIN
        for template, pieces, text in draw_intent(sampler, templates, seen):
            key = f"{language}|{name}|{template}" if by_template else f"{language}|{text}"
            found[split_of(key)][name].append(Example(text, pieces, name))
    chosen = {}
    for split, limit in EXAMPLES_MAX.items():
        chosen[split] = balanced(found[split], limit)
        generator.shuffle(chosen[split])
    return chosen


def balanced(by_intent, limit):
    """At most `limit` examples, one of each intent in turn."""
    chosen = []
    queues = {intent: list(examples) for intent, examples in by_intent.items()}
    while queues and len(chosen) < limit:
        for intent in list(queues):
            if len(chosen) < limit:
                chosen.append(queues[intent].pop())
            if not queues[intent]:
                del queues[intent]
    return chosen


def write_language(task):
    folder, language, annotations, entry = task
    counts = {}
    for split, examples in language_examples(language, annotations).items():
        entries = [entry(language, example) for example in examples]
        lines = [json.dumps(found, ensure_ascii=False) for found in entries if found is not None]
        path = folder / split / f"{language}.jsonl"
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        counts[split] = len(lines)
    return language, counts


def write_data_set(folder, cldr_package_file, entry):
    """Writes `folder/SPLIT/LANGUAGE.jsonl` and `folder/summary.json` with counts.

    `entry(language, example)` gives the object of one line, or None to leave the example out.
    """
    languages = sorted(home_assistant_intents.LANGUAGES)
    annotations = read_annotations(cldr_package_file, languages) if cldr_package_file else None
    for split in EXAMPLES_MAX:
        (folder / split).mkdir(parents=True, exist_ok=True)
    counts = {}
    tasks = [(folder, language, annotations, entry) for language in languages]
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for language, found in pool.imap(write_language, tasks):
            counts[language] = found
            if len(counts) % 5 == 0 or len(counts) == len(languages):
                print(f"  {len(counts)} of {len(languages)} languages", flush=True)
    summary = {"names": "cldr" if annotations else "templates", "examples": counts}
    text = json.dumps(summary, indent=1, sort_keys=True) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")
