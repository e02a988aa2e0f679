"""Adapters as files: what an import found and decided, and adapters made of others.

`Model.import_adapter` and `Model.export_adapter` exchange versions with PEFT, AdapterHub and ONNX
Runtime, and install base adapters.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from polygraft._declarations import ffi
from polygraft._library import call, encode_path, library, struct, text
from polygraft.errors import ArgumentInvalidError
from polygraft.names import AdapterFormat
from polygraft.report import LanguageReport, language_report


@dataclass(frozen=True)
class Imported:
    """A version that was imported."""

    #: The number of the version, which is in the store whether it became active or not.
    version: int
    activated: bool
    format: AdapterFormat
    #: What the gate decided; None if it was not asked.
    decision: LanguageReport | None
    #: Modules that were left out, and names that were matched with each other.
    notes: tuple[str, ...]


def combine_adapters(
    paths: Sequence[str | os.PathLike[str]],
    to_path: str | os.PathLike[str],
    weights: Sequence[float] | None = None,
) -> None:
    """Combines adapters side by side, each with a weight (1 by default), and writes the result.

    The adapters are files of polygraft. Their changes to the backbone are added up, and their heads
    are averaged. Import the result to use it.
    """
    if weights is not None and len(weights) != len(paths):
        raise ArgumentInvalidError(f"weights: expected {len(paths)}, found {len(weights)}")
    kept = [ffi.new("char[]", encode_path("paths", path)) for path in paths]
    files = ffi.new("const char *[]", kept)
    factors = ffi.NULL if weights is None else ffi.new("double[]", list(weights))
    to = encode_path("to_path", to_path)
    call(library().polygraft_adapters_combine, files, factors, len(kept), to)


def stack_adapters(
    lower: str | os.PathLike[str],
    upper: str | os.PathLike[str],
    to_path: str | os.PathLike[str],
) -> None:
    """Stacks an adapter on another one, for example a task's on a language's, and writes the
    result, which keeps the head of the upper one. Import the result to use it."""
    below, above = encode_path("lower", lower), encode_path("upper", upper)
    call(library().polygraft_adapters_stack, below, above, encode_path("to_path", to_path))


def copy_imported(imported: Any) -> Imported:
    lib = library()
    decision = None
    try:
        entry = struct("language_report")
        call(lib.polygraft_imported_decision, imported, entry)
        decision = language_report(entry)
    except ArgumentInvalidError:
        pass  # The gate was not asked.
    count = lib.polygraft_imported_notes_count(imported)
    return Imported(
        version=lib.polygraft_imported_version(imported),
        activated=bool(lib.polygraft_imported_activated(imported)),
        format=AdapterFormat(lib.polygraft_imported_format(imported)),
        decision=decision,
        notes=tuple(text(lib.polygraft_imported_note(imported, at)) for at in range(count)),
    )
