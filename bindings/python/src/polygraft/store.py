"""The store: adapter versions on disk, which of them are active, and the reports of updates."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polygraft._declarations import ffi
from polygraft._handle import Handle
from polygraft._library import call, encode, encode_path, library, owned, struct, text, text_array
from polygraft.report import Report, copy_report


@dataclass(frozen=True)
class Version:
    """One version of one language's adapter for one task."""

    task: str
    #: The language, or `mul` for the shared adapter of the languages without a version.
    language: str
    #: The first version of a language is 1.
    number: int
    #: The BLAKE3 hash of the content, in hexadecimal.
    hash: str
    size_bytes: int
    #: The time of publication.
    created: datetime.datetime
    #: The number of the version that was active then; 0 for none.
    parent: int
    active: bool
    #: Whether the version is active and pinned.
    pinned: bool

    def to_dict(self) -> dict[str, Any]:
        """The version as values that JSON can hold."""
        return {**dataclasses.asdict(self), "created": self.created.isoformat()}


class Store(Handle):
    """The versions of all tasks and languages in a folder.

    The folder is created if it is absent. Several processes and threads may use one store.
    """

    _kind = "store"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        place = ffi.new("polygraft_store **")
        call(library().polygraft_store_open, encode_path("path", path), place)
        super().__init__(place[0], repr(os.fspath(path)))

    def versions(self, task: str | None = None) -> list[Version]:
        """The versions of a task, or of all tasks, by task, language and number."""
        lib = library()
        name = ffi.NULL if task is None else encode("task", task)
        with owned("versions") as place:
            call(lib.polygraft_store_versions, self._open(), name, place)
            count = lib.polygraft_versions_count(place[0])
            return [copy_version(place[0], at) for at in range(count)]

    def activate(self, task: str, versions: Mapping[str, int]) -> None:
        """Makes `versions[language]` the active version of each language, all in one step."""
        languages = text_array("language", list(versions))
        numbers = ffi.new("uint32_t[]", list(versions.values()))
        call(
            library().polygraft_store_activate,
            self._open(), encode("task", task), languages, numbers, len(versions),
        )

    def roll_back(self, task: str, language: str) -> int | None:
        """Activates the version that was active before the present one, and gives its number, or
        None if no version is active now. Each further call goes back one more step."""
        return self._number(library().polygraft_store_roll_back, task, language) or None

    def pin(self, task: str, language: str) -> int:
        """Keeps a language on its active version until `unpin`, and gives its number."""
        return self._number(library().polygraft_store_pin, task, language)

    def unpin(self, task: str, language: str) -> None:
        """Lets the version of a language change again."""
        tag = encode("language", language)
        call(library().polygraft_store_unpin, self._open(), encode("task", task), tag)

    def reports(self, task: str) -> list[Report]:
        """The reports of all committed updates of a task, the oldest first."""
        lib = library()
        with owned("reports") as place:
            call(lib.polygraft_store_reports, self._open(), encode("task", task), place)
            count = lib.polygraft_reports_count(place[0])
            return [copy_report(lib.polygraft_reports_get(place[0], at)) for at in range(count)]

    def reports_html(self, task: str) -> str:
        """The same reports as one self-contained HTML page with charts."""
        lib = library()
        with owned("reports") as place:
            call(lib.polygraft_store_reports, self._open(), encode("task", task), place)
            return text(lib.polygraft_reports_html(place[0]))

    def discard_checkpoint(self, task: str) -> None:
        """Removes the checkpoint of a stopped update, if any, so that another can begin."""
        name = encode("task", task)
        call(library().polygraft_store_discard_checkpoint, self._open(), name)

    def _number(self, function: Any, task: str, language: str) -> int:
        number = ffi.new("uint32_t *")
        call(function, self._open(), encode("task", task), encode("language", language), number)
        return int(number[0])


def copy_version(versions: Any, at: int) -> Version:
    entry = struct("version")
    call(library().polygraft_versions_get, versions, at, entry)
    seconds = entry.created_unix_ms / 1000
    return Version(
        task=text(entry.task),
        language=text(entry.language),
        number=entry.number,
        hash=text(entry.hash),
        size_bytes=entry.size_bytes,
        created=datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc),
        parent=entry.parent,
        active=bool(entry.active),
        pinned=bool(entry.pinned),
    )
