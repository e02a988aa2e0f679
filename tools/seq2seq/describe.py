"""Put the figures of the reference model into its page, docs/models.md.

In: the model's folder with `training.json` and `scores.json`; the page. Out: the page, with what
lies between its two comments `figures` written anew. Nothing else of it changes.
"""

import json
import sys
from pathlib import Path

BEGIN, END = "<!-- figures, by tools/seq2seq/describe.py -->\n", "<!-- end of figures -->\n"
LEMMA, PRONUNCIATION, TEST, NEW_LEMMA = "lemma", "pronunciation", "test", "new-lemma"
GOAL = 0.8
COLUMNS = 5


def per_cent(share):
    return f"{100 * share:.1f}"


def summary(scores):
    mean, languages = scores["mean"], scores["languages"]
    lines = [
        "| task | languages | unseen words | words of unseen lemmas |", "|---|---|---|---|",
        f"| lemma | {len(languages[LEMMA])} | {per_cent(mean[LEMMA][TEST])} % | "
        f"{per_cent(mean[LEMMA][NEW_LEMMA])} % |",
        f"| pronunciation | {len(languages[PRONUNCIATION])} | "
        f"{per_cent(mean[PRONUNCIATION][TEST])} % | |",
    ]
    reached = sum(row[TEST]["exact_match"] >= GOAL for row in languages[LEMMA].values())
    lines += ["", f"{reached} of {len(languages[LEMMA])} languages reach {per_cent(GOAL)} % on the "
              "lemmas of unseen words."]
    return lines


def table(rows, sides):
    """Several languages a line, the weakest first."""
    ordered = sorted(rows.items(), key=lambda item: (item[1][TEST]["exact_match"], item[0]))
    cells = []
    for language, row in ordered:
        figures = (per_cent(row[side]["exact_match"]) for side in sides if side in row)
        cells.append(f"`{language}` {' / '.join(figures)}")
    cells += [""] * (-len(cells) % COLUMNS)
    lines = ["|" + " |" * COLUMNS, "|---" * COLUMNS + "|"]
    for start in range(0, len(cells), COLUMNS):
        lines.append("| " + " | ".join(cells[start : start + COLUMNS]) + " |")
    return lines


def figures(folder):
    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    languages = scores["languages"]
    words = max(row[TEST]["words"] for rows in languages.values() for row in rows.values())
    size_bytes = sum(path.stat().st_size for path in folder.iterdir())
    lines = [
        f"{size_bytes / 1e6:.1f} MB. Trained for {training['seconds'] / 60:.0f} minutes of one "
        f"processor core, {training['step']:,} steps over",
        f"{training['pairs'] / 1e6:.2f} million pairs. Scored on up to {words} words of each "
        "language and side.", "",
        *summary(scores), "",
        "Lemmas, the weakest languages first: unseen words / words of unseen lemmas, per cent.", "",
        *table(languages[LEMMA], (TEST, NEW_LEMMA)), "",
        "Pronunciations of unseen words, per cent.", "",
        *table(languages[PRONUNCIATION], (TEST,)), "",
    ]
    return "\n".join(lines)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: describe.py MODEL_FOLDER PAGE")
    folder, page = Path(sys.argv[1]), Path(sys.argv[2])
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{page}: expected the two comments that figures stand between")
    page.write_text(before + begin + "\n" + figures(folder) + "\n" + end + after, encoding="utf-8")


if __name__ == "__main__":
    main()
