"""Compile a C module map with libclang, as a Swift package manager would before importing it.

In: the module map's path, the module's name. Out: nothing; ends with status 1 and clang's messages
when the module does not compile without a warning, or when importing it declares no function of
polygraft. It runs in the tools' environment, which has libclang but none of clang's own headers:
those come from the C compiler of the machine.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from clang.cindex import CursorKind, Index

PREFIX = "polygraft_"


def compiler_include_folder():
    """Where the machine's C compiler keeps stddef.h and its like."""
    query = ["cc", "-print-file-name=include"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()


def import_module(module_map, module, cache):
    """The translation unit of a source file that imports the module and nothing else."""
    source = Path(cache) / "import.m"
    source.write_text(f"@import {module};\n", encoding="utf-8")
    arguments = ["-fsyntax-only", "-Weverything", "-fmodules", "-std=c11"]
    arguments += [f"-fmodules-cache-path={cache}", f"-fmodule-map-file={module_map}"]
    arguments += ["-isystem", compiler_include_folder()]
    return Index.create().parse(str(source), args=arguments)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: check_module_map.py MODULE_MAP MODULE")
    module_map, module = Path(sys.argv[1]).resolve(), sys.argv[2]
    with tempfile.TemporaryDirectory() as cache:
        unit = import_module(module_map, module, cache)
        problems = [str(diagnostic) for diagnostic in unit.diagnostics]
        functions = [
            cursor.spelling
            for cursor in unit.cursor.get_children()
            if cursor.kind == CursorKind.FUNCTION_DECL and cursor.spelling.startswith(PREFIX)
        ]
    if problems or not functions:
        sys.exit("\n".join([f"{module_map}: {len(functions)} functions of polygraft", *problems]))
    print(f"{module}: {len(functions)} functions")


if __name__ == "__main__":
    main()
