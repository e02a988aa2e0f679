#!/usr/bin/env python3
"""Hold the Swift sources against the header of the library. It needs no Swift compiler.

Every function, every constant and every field of every struct of include/polygraft.h is used by
Sources/Polygraft, or is on a list below with the reason why not. docs/abi-symbols.txt, which names
what the library exports, is the second witness for the functions. Ends with status 1 and one line
for each thing that is missing.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

FUNCTION = re.compile(r"\b(polygraft_\w+)\(")
CONSTANT = re.compile(r"^(?:#define |  )(POLYGRAFT_\w+) (?:= )?\d+,?$", re.MULTILINE)
STRUCT = re.compile(r"typedef struct \{(.*?)\n\} polygraft_(\w+);", re.DOTALL)
FIELD = re.compile(r"^  [\w *]*?(\w+)(?:\[\d\])?;$", re.MULTILINE)

# Functions that the package does not offer, each with its reason.
NOT_OFFERED = {}

# Constants that the package does not use, each with its reason.
NOT_USED = {
    "POLYGRAFT_VERSION_MAJOR": "Library.version is what was loaded, not what was compiled",
    "POLYGRAFT_VERSION_MINOR": "as POLYGRAFT_VERSION_MAJOR",
    "POLYGRAFT_VERSION_PATCH": "as POLYGRAFT_VERSION_MAJOR",
    "POLYGRAFT_DECISION_ACTIVATE": "LanguageReport.isActivated is what is not kept",
}

# Fields that carry no value of their own, or that Swift has otherwise.
NOT_READ = {
    "reserved": "0",
    "log_reserved": "0",
    "tasks_count": "the length of StoreStatistics.tasks",
}


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def sources():
    """The code of the package, without its comments."""
    files = sorted((HERE / "Sources" / "Polygraft").glob("*.swift"))
    return "\n".join(without_comments(path.read_text(encoding="utf-8")) for path in files)


def missing(swift, header, exported):
    """What is not used, one line for each."""
    declared = set(FUNCTION.findall(header))
    for name in sorted(declared ^ exported):
        yield f"{name}: only one of include/polygraft.h and docs/abi-symbols.txt has it"
    called = set(FUNCTION.findall(swift))
    for name in sorted(declared - called - set(NOT_OFFERED)):
        yield f"{name}: no Swift file calls it"
    for name in sorted(set(NOT_OFFERED) & called):
        yield f"{name}: is called, so NOT_OFFERED must not have it"
    words = set(re.findall(r"\w+", swift))
    constants = set(CONSTANT.findall(header))
    for name in sorted(constants - words - set(NOT_USED)):
        yield f"{name}: no Swift file uses it"
    members = set(re.findall(r"\.(\w+)", swift)) | set(re.findall(r"\b(\w+):", swift))
    for body, struct in STRUCT.findall(header):
        for field in FIELD.findall(body):
            if field not in members and field not in NOT_READ:
                yield f"polygraft_{struct}.{field}: no Swift file reads or writes it"


def main():
    header = without_comments((ROOT / "include" / "polygraft.h").read_text(encoding="utf-8"))
    exported = set((ROOT / "docs" / "abi-symbols.txt").read_text(encoding="utf-8").split())
    if len(exported) < 100 or len(CONSTANT.findall(header)) < 100:
        sys.exit("check_interface: the header or docs/abi-symbols.txt was not understood")
    found = list(missing(sources(), header, exported))
    if found:
        sys.exit("check_interface:\n  " + "\n  ".join(found))
    print(f"Polygraft: {len(exported) - len(NOT_OFFERED)} of {len(exported)} functions are offered")


if __name__ == "__main__":
    main()
