"""Find a language that a near one answers for, and print its tag and theirs.

In: how to call polygraft's `languages` with a store (the words of the command, as arguments). Out: a
tag that has no version of its own and is served by that of a near language, and that language; none
and status 1 when the store has no such version. Asked are the languages of polygraft's own table, in
its order.
"""

import json
import subprocess
import sys


def run(arguments):
    done = subprocess.run(arguments, capture_output=True, check=True, encoding="utf-8")
    return json.loads(done.stdout)


def versions(command, store):
    listed = run([command, "versions", *store, "--json"])
    return {one["language"] for one in listed["versions"] if one["active"]} - {"mul"}


def main():
    command, *store = sys.argv[1:]
    for language in sorted(versions(command, store)):
        near = run([command, "languages", "--explain", language, "--json"])["nearest"]
        for other in near:
            tag = other["language"]
            chain = run([command, "languages", "--explain", tag, *store, "--json"])["chain"]
            for step in chain:
                if step["taken"] and step["kind"] == "nearest":
                    print(tag, step["language"])
                    return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
