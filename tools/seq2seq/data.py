"""Words with their lemmas and pronunciations, each on one side: trained on, or kept back.

In: the dictionaries of the package `simplemma` (word -> lemma, 54 languages) and the lexicons of
the packages `gruut-lang-*` (word -> pronunciation, 14 languages), both unpacked.
Out: pairs of source and target texts by task, language and side.

A word is on the side that its hash says, so nothing depends on the order of files. Lemmas have a
fourth side: words of lemmas that are never trained on in any form. What the reference model was
never trained on is told from this file alone, so it must not change while that model is shipped.
"""

import hashlib
import sqlite3
import sys
from pathlib import Path

LEMMA, PRONUNCIATION = "lemma", "pronunciation"
# The language and the task stand before the word: `de> Häuser` asks for the lemma, `de/ Häuser`
# for the pronunciation.
MARKS = {LEMMA: "> ", PRONUNCIATION: "/ "}
TRAINING, DEVELOPMENT, TEST, NEW_LEMMA = "train", "dev", "test", "new-lemma"
# Longer texts are left out, on either side of a pair.
BYTES_MAX = 62
# Some dictionaries have millions of words; of those a share is taken that is about this many.
PAIRS_CONSIDERED = 150_000
TRAINING_PAIRS_MAX, OTHER_PAIRS_MAX = 100_000, 500
DRAWS = 10_000


def draw(kind, language, text):
    """A number from 0 to `DRAWS` - 1 that only the arguments decide."""
    key = f"polygraft {kind} {language} {text}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") % DRAWS


def is_kept_back(language, lemma):
    """2 % of the lemmas are never trained on."""
    return draw("lemma", language, lemma) < 200


def side(language, word, lemma=None):
    """Which side a word is on; `lemma` is None where the target is not a lemma."""
    if lemma is not None and is_kept_back(language, lemma):
        return NEW_LEMMA
    place = draw("word", language, word)
    return TEST if place < 200 else DEVELOPMENT if place < 300 else TRAINING


def source(task, language, word):
    return f"{language}{MARKS[task]}{word}"


def fits(text, target):
    return 0 < len(text.encode()) <= BYTES_MAX and 0 < len(target.encode()) <= BYTES_MAX


def lemmas(folder):
    """Yields (language, sorted [(word, lemma)]) of the dictionaries in an unpacked `simplemma`."""
    sys.path.insert(0, str(folder))
    from simplemma.strategies.dictionaries import dictionary_factory

    for language in sorted(dictionary_factory.SUPPORTED_LANGUAGES):
        entries = dictionary_factory._load_dictionary_from_disk(language)
        yield language, sorted((word.decode(), lemma.decode()) for word, lemma in entries.items())


def pronunciations(folder):
    """The same of the lexicons; a word's first pronunciation counts, without its spaces."""
    for path in sorted(Path(folder).glob("*/gruut_lang_*/lexicon.db")):
        language = path.parent.name[len("gruut_lang_") :]
        database = sqlite3.connect(path)
        rows = database.execute("SELECT word, phonemes FROM word_phonemes ORDER BY id DESC")
        first = dict(rows)
        database.close()
        pairs = ((word, sounds.replace(" ", "")) for word, sounds in first.items())
        # A number in brackets after a word tells its readings apart.
        yield language, sorted((word, sounds) for word, sounds in pairs if "(" not in word)


def sides(task, language, pairs):
    """{side: [(source, target)]}, each in the order of a hash and of bounded size."""
    chosen = {TRAINING: [], DEVELOPMENT: [], TEST: [], NEW_LEMMA: []}
    share = DRAWS * PAIRS_CONSIDERED // max(len(pairs), 1)
    pairs = [pair for pair in pairs if draw("share", language, pair[0]) < share]
    for word, target in sorted(pairs, key=lambda pair: draw("order", language, pair[0])):
        text = source(task, language, word)
        if not word or not fits(text, target):
            continue
        name = side(language, word, target if task == LEMMA else None)
        limit = TRAINING_PAIRS_MAX if name == TRAINING else OTHER_PAIRS_MAX
        if len(chosen[name]) < limit:
            chosen[name].append((text, target))
    return chosen


def read(simplemma, gruut):
    """{(task, language): {side: pairs}} of everything; takes two minutes and 5 GB of memory."""
    found = {}
    for task, languages in ((LEMMA, lemmas(simplemma)), (PRONUNCIATION, pronunciations(gruut))):
        for language, pairs in languages:
            found[task, language] = sides(task, language, pairs)
    return found
