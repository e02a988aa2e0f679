"""Generate intent-classification examples in all languages of `home-assistant-intents`.

In: what `sentences.py` draws from.
Out: `FOLDER/{train,dev,test}/LANGUAGE.jsonl`, lines `{"lang", "text", "label"}`, and
`FOLDER/summary.json` with counts. The same packages give the same bytes.
"""

import sys
from pathlib import Path

from sentences import write_data_set


def entry(language, example):
    return {"lang": language, "text": example.text, "label": example.intent}


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: generate_intents.py FOLDER [CLDR_PACKAGE_FILE]")
    write_data_set(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else None, entry)
