"""Find a language that a near one answers for, and print both.

In: the command polygraft, the folder of a store, a task, and the languages to begin with. Out, one per
line: a tag that has no version of its own and is served by that of a near language, its name, and that
language. Status 1 when the store has no such version. Asked are the neighbours, by polygraft's own
table, of each language with an active version; those with observed features come first.
"""

import json
import subprocess
import sys


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, check=True, encoding="utf-8")
    return json.loads(done.stdout)


def main():
    polygraft, store, task, *first = sys.argv[1:]
    inside = ["--store", store, "--task", task, "--json"]
    versions = run(polygraft, "versions", *inside)["versions"]
    active = {one["language"] for one in versions if one["active"]} - {"mul"}
    for language in sorted(active, key=lambda language: (language not in first, language)):
        near = run(polygraft, "languages", "--explain", language, "--json")["nearest"]
        for other in sorted(near, key=lambda other: (not other["observed"], other["distance"])):
            tag = other["language"]
            for step in run(polygraft, "languages", "--explain", tag, *inside)["chain"]:
                if step["taken"] and step["kind"] == "nearest":
                    print(tag, other["name"], step["language"], sep="\n")
                    return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
