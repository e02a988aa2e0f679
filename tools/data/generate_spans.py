"""Generate joint examples of intents and slots: the sentences of the intents data, as written.

In: what `sentences.py` draws from.
Out: `FOLDER/{train,dev,test}/LANGUAGE.jsonl`, lines `{"lang", "text", "spans", "label"}`, each span
`{"kind", "char_start", "char_end"}`, and `FOLDER/summary.json` with counts. The same packages give
the same bytes.

The spans are exact by construction: every character knows which gap of its template it filled. What
is a word is for polygraft to say; where two slots might share one ("5h30", "5:30"), the sentence is
left out.
"""

import sys
import unicodedata
from pathlib import Path

from generate_slots import LANGUAGES_WITHOUT_SPACES, SAME_SLOTS, characters
from sentences import write_data_set


def written(pieces):
    """The sentence with single spaces: [(character, index of its piece)]."""
    sentence = []
    for character, index in characters(pieces):
        if not character.isspace():
            sentence.append((character, index))
        elif sentence and sentence[-1][0] != " ":
            sentence.append((" ", None))
    return sentence[:-1] if sentence and sentence[-1][0] == " " else sentence


def holds_border(language, between):
    """Whether two words are sure to end and begin in this text: at a space, or at a letter of a
    script without spaces.
    """
    borders = {"Zs", "Lo"} if language in LANGUAGES_WITHOUT_SPACES else {"Zs"}
    return any(unicodedata.category(one) in borders for one in between)


def entry(language, example):
    sentence = written(example.pieces)
    text = "".join(character for character, _ in sentence)
    assert text == example.text, (text, example.text)
    spans = []
    for place, (_, index) in enumerate(sentence):
        if index is None or example.pieces[index].slot is None:
            continue
        if spans and spans[-1]["piece"] == index:
            spans[-1]["char_end"] = place + 1
            continue
        if spans and not holds_border(language, text[spans[-1]["char_end"] - 1 : place + 1]):
            return None
        slot = example.pieces[index].slot
        spans.append({"kind": SAME_SLOTS.get(slot, slot), "char_start": place,
                      "char_end": place + 1, "piece": index})
    for span in spans:
        del span["piece"]
    return {"lang": language, "text": text, "spans": spans, "label": example.intent}


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: generate_spans.py FOLDER [CLDR_PACKAGE_FILE]")
    write_data_set(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else None, entry)
