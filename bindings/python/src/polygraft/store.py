"""The store: adapter versions on disk, which of them are active, and the reports of updates."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polygraft._declarations import ffi
from polygraft._handle import Handle
from polygraft._library import (
    call,
    defaults_of,
    encode,
    encode_path,
    library,
    owned,
    struct,
    text,
    text_array,
)
from polygraft.inspection import (
    ChainStep,
    Diagnosis,
    StoreStatistics,
    copy_chain,
    copy_checks,
    copy_statistics,
)
from polygraft.report import Report, copy_report
from polygraft.rounds import Round, copy_round, settings as round_settings


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


@dataclass(frozen=True)
class Wiped:
    """What a wipe did."""

    #: The number of wiped examples of each language.
    examples: dict[str, int]
    #: The versions that may have learnt from them, as they were before.
    versions: tuple[Version, ...]
    #: Whether these versions were removed.
    retired: bool


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
            return copy_versions(place[0])

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

    def remove_versions(
        self, task: str, language: str | None = None, *, keep_last: int
    ) -> list[Version]:
        """Removes old versions, of one language or of all, and gives what was removed. The active
        version and the `keep_last` newest ones of each language stay."""
        lib = library()
        tag = ffi.NULL if language is None else encode("language", language)
        with owned("versions") as place:
            function, name = lib.polygraft_store_remove_versions, encode("task", task)
            call(function, self._open(), name, tag, keep_last, place)
            return copy_versions(place[0])

    def round_average(
        self,
        message: bytes,
        replies: Sequence[bytes],
        options: Mapping[str, Any] | None = None,
    ) -> Round:
        """Averages replies to a message. A reply with anything wrong changes nothing and is listed
        under `refused`. Base versions that the message does not carry come from this store."""
        kept = [ffi.from_buffer("uint8_t[]", reply) for reply in replies]
        array = ffi.new("const uint8_t *[]", kept)
        sizes = ffi.new("size_t[]", [len(reply) for reply in replies])
        function, asked = library().polygraft_round_average, round_settings(options)
        with owned("round") as place:
            call(
                function,
                self._open(), message, len(message), array, sizes, len(kept), asked, place,
            )
            return copy_round(place[0])

    def wipe(
        self,
        task: str,
        *,
        language: str | None = None,
        label: str | None = None,
        added_before: datetime.datetime | None = None,
        retire: bool = False,
    ) -> Wiped:
        """Wipes remembered examples from memory and disk: those that meet all conditions, else all
        of the task. It names the versions that may have learnt from them, and removes these with
        `retire`. Days are not divided: all examples of the day of `added_before` are wiped."""
        options = defaults_of("wipe_options")
        kept = []
        for field, value in (("language", language), ("label", label)):
            if value is not None:
                kept.append(ffi.new("char[]", encode(field, value)))
                setattr(options, field, kept[-1])
        if added_before is not None:
            options.added_before_unix_ms = int(added_before.timestamp() * 1000)
        options.retire = int(retire)
        with owned("wiped") as place:
            function = library().polygraft_store_wipe
            call(function, self._open(), encode("task", task), options, place)
            return copy_wiped(place[0])

    def explain(self, task: str, language: str) -> list[ChainStep]:
        """The languages that are asked for a version, in order, and which of them serves."""
        tag = encode("language", language)
        with owned("chain") as place:
            function = library().polygraft_store_explain
            call(function, self._open(), encode("task", task), tag, place)
            return copy_chain(place[0])

    def statistics(self) -> StoreStatistics:
        """Counts versions, reports and remembered examples of every task."""
        with owned("statistics") as place:
            call(library().polygraft_store_count, self._open(), place)
            return copy_statistics(place[0])

    def verify(self) -> Diagnosis:
        """Compares every version with its hash: one check for each file that is not right."""
        with owned("checks") as place:
            call(library().polygraft_store_verify, self._open(), place)
            return copy_checks(place[0])

    def _number(self, function: Any, task: str, language: str) -> int:
        number = ffi.new("uint32_t *")
        call(function, self._open(), encode("task", task), encode("language", language), number)
        return int(number[0])


def copy_versions(versions: Any) -> list[Version]:
    count = library().polygraft_versions_count(versions)
    return [copy_version(versions, at) for at in range(count)]


def copy_wiped(wiped: Any) -> Wiped:
    lib = library()
    examples = {}
    for at in range(lib.polygraft_wiped_languages_count(wiped)):
        entry = struct("wiped_language")
        call(lib.polygraft_wiped_get, wiped, at, entry)
        examples[text(entry.language)] = int(entry.examples_count)
    versions = tuple(copy_versions(lib.polygraft_wiped_versions(wiped)))
    return Wiped(examples, versions, bool(lib.polygraft_wiped_retired(wiped)))


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
