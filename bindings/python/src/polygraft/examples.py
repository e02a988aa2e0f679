"""Labelled examples of a file, a text or a list, to learn from or to evaluate on.

>>> len(Examples.parse('{"lang": "de", "text": "Licht an", "label": "on"}'))
1
>>> Examples.parse('{"lang": "de", "text": "Licht an"}')
Traceback (most recent call last):
polygraft.errors.ExamplesMalformedError: ...
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from polygraft._declarations import ffi
from polygraft._library import call, encode, encode_path, library, text_array


class Examples:
    """Labelled examples of one kind of task, in one or several languages. They never change, belong
    to the process and need no closing."""

    def __init__(self, place: Any) -> None:
        self._pointer = ffi.gc(place[0], release)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Examples:
        """Reads a file of JSON Lines; docs/tasks.md has all fields. An error names file, line and
        field."""
        place = ffi.new("polygraft_examples **")
        call(library().polygraft_examples_read, encode_path("path", path), place)
        return cls(place)

    @classmethod
    def parse(cls, json_lines: str) -> Examples:
        """Reads a text of JSON Lines."""
        place = ffi.new("polygraft_examples **")
        call(library().polygraft_examples_parse, encode("json_lines", json_lines), place)
        return cls(place)

    @classmethod
    def labelled(cls, rows: Iterable[tuple[str, str, str]]) -> Examples:
        """Makes examples of rows of language, text and label."""
        listed = list(rows)
        columns = [
            text_array(name, [row[at] for row in listed])
            for at, name in enumerate(("languages", "texts", "labels"))
        ]
        place = ffi.new("polygraft_examples **")
        call(library().polygraft_examples_labelled, *columns, len(listed), place)
        return cls(place)

    def __len__(self) -> int:
        return int(library().polygraft_examples_count(self._pointer))


def release(pointer: Any) -> None:
    library().polygraft_examples_free(ffi.new("polygraft_examples **", pointer))
