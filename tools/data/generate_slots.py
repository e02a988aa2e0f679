"""Generate joint examples of intents and slots: the sentences of the intents data, word by word.

In: what `sentences.py` draws from.
Out: `FOLDER/{train,dev,test}/LANGUAGE.jsonl`, lines `{"lang", "words", "tags", "label"}`, and
`FOLDER/summary.json` with counts. The same packages give the same bytes.

The tags are exact by construction: every character knows which gap of its template it filled. A
word is tagged `B-SLOT` where a slot begins in it, `I-SLOT` where the slot goes on, and else `O`. A
sentence in which one word holds two slots ("5h30") has no exact tags and is left out.
"""

import sys
import unicodedata
from pathlib import Path

from sentences import write_data_set

# Written without spaces between words: a word is a character, or a run of ASCII ones.
LANGUAGES_WITHOUT_SPACES = {"ja", "th", "zh-CN", "zh-HK", "zh-TW"}
# Slots that mean the same: a kind of device ("the curtains", "all lights").
SAME_SLOTS = {"domain": "device_class"}


def characters(pieces):
    """[(character, index of the piece it came from)]."""
    return [(character, index) for index, piece in enumerate(pieces) for character in piece.text]


def is_split(previous, character):
    """Whether a word ends between two characters, in a language without spaces."""
    if unicodedata.category(character).startswith("M"):
        return False
    return not (previous.isascii() and character.isascii())


def words_of(language, pieces):
    """The sentence's words, each as [(character, index of its piece)]."""
    words, word = [], []
    for character, index in characters(pieces):
        is_space = character.isspace()
        if word and (
            is_space
            or language in LANGUAGES_WITHOUT_SPACES and is_split(word[-1][0], character)
        ):
            words.append(word)
            word = []
        if not is_space:
            word.append((character, index))
    return words + [word] if word else words


def tag(pieces, word, last_index):
    """(tag, index of the piece that fills the slot); None where the word holds two slots."""
    indexes = sorted({index for _, index in word if pieces[index].slot is not None})
    if len(indexes) > 1:
        return None
    if not indexes:
        return "O", None
    index = indexes[0]
    slot = SAME_SLOTS.get(pieces[index].slot, pieces[index].slot)
    return ("I-" if index == last_index else "B-") + slot, index


def entry(language, example):
    words = words_of(language, example.pieces)
    tags, last_index = [], None
    for word in words:
        found = tag(example.pieces, word, last_index)
        if found is None:
            return None
        tags.append(found[0])
        last_index = found[1]
    texts = ["".join(character for character, _ in word) for word in words]
    return {"lang": language, "words": texts, "tags": tags, "label": example.intent}


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: generate_slots.py FOLDER [CLDR_PACKAGE_FILE]")
    write_data_set(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else None, entry)
