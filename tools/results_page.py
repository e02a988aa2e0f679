"""Collect the results of `polygraft-experiment`, and write the tables of languages in docs/results.md.

Input: folders that `polygraft-experiment --out` wrote; with none, the tables are written again.
Output, below `docs/`: `results/cml.json` and `results/details.json`, in which the results of the folders
replace older results of the same settings; and in `results.md`, between its two markers, one table for
each setting that compares strategies after one stage.
"""

import json
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- languages, by tools/results_page.py -->\n", "<!-- end of languages -->"
# Strategy and gate of each column, and how it is headed.
COLUMNS = ((("naive", False), "naive"), (("uriel", False), "uriel"), (("uriel", True), "served"))
BLOCKS = 2


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, rows):
    text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def collect(folders):
    """Merges the folders' results into those of the page, by the name of the setting."""
    for name, setting_of in (
        ("cml.json", lambda row: row["setting"]),
        ("details.json", lambda row: row["setting"]["name"]),
    ):
        rows = read(DOCS / "results" / name)
        for folder in folders:
            new = read(folder / name)
            replaced = {setting_of(row) for row in new}
            rows = [row for row in rows if setting_of(row) not in replaced] + new
        write(DOCS / "results" / name, rows)


def mean(values):
    return sum(values) / len(values)


def rows_of(details):
    """[(language, base, [change by column])], sorted by the first column, largest loss first."""
    updated = set(details["setting"]["stages"][0]["languages"])
    runs = {}
    for run in details["runs"]:
        runs.setdefault((run["strategy"], run["gate"]), []).append(run)
    rows = []
    for language in details["setting"]["languages"]:
        base = mean([run["base"][language] for run in details["runs"]])
        changes = []
        for column, _ in COLUMNS:
            after = [run["stages"][-1]["scores"][language] for run in runs[column]]
            changes.append(mean(after) - mean([run["base"][language] for run in runs[column]]))
        name = f"**{language}**" if language in updated else language
        rows.append((name, base, changes))
    return sorted(rows, key=lambda row: row[2][0])


def table(details):
    rows = rows_of(details)
    height = -(-len(rows) // BLOCKS)
    head = ["language", "before", *(title for _, title in COLUMNS)]
    lines = ["| " + " | | ".join([" | ".join(head)] * BLOCKS) + " |"]
    lines.append("|---" * ((len(head) + 1) * BLOCKS - 1) + "|")
    for line in range(height):
        blocks = []
        for row in rows[line::height]:
            name, base, changes = row
            # Adding zero takes the sign from what is rounded to it.
            points = (round(100 * change, 1) + 0.0 for change in changes)
            cells = [name, f"{100 * base:.1f}", *(f"{change:+.1f}" for change in points)]
            blocks.append(" | ".join(cells))
        blocks += [" | ".join([""] * len(head))] * (BLOCKS - len(blocks))
        lines.append("| " + " | | ".join(blocks) + " |")
    return lines


def has_columns(details):
    found = {(run["strategy"], run["gate"]) for run in details["runs"]}
    return len(details["setting"]["stages"]) == 1 and all(column in found for column, _ in COLUMNS)


def main():
    collect([Path(folder) for folder in sys.argv[1:]])
    page = DOCS / "results.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    lines = []
    for details in read(DOCS / "results" / "details.json"):
        if has_columns(details):
            setting, seeds = details["setting"], len(details["setting"]["seeds"])
            over = "seed" if seeds == 1 else "seeds"
            lines += [f"\n### `{setting['name']}`: {setting['dataset']}, {seeds} {over}\n"]
            lines += table(details)
    text = before + BEGIN + "\n".join(lines) + "\n\n" + END + after
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
