"""What a store contains, who serves a language, and what is wrong: as plain Python values."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from typing import Any

from polygraft._declarations import ffi
from polygraft._library import call, defaults_of, encode_path, library, owned, struct, text
from polygraft._plain import optional
from polygraft.names import CheckState, Mode, StepKind, Verify


@dataclass(frozen=True)
class ChainStep:
    """A language that is asked for a version."""

    language: str
    #: Why the language is asked.
    kind: StepKind
    #: The typological distance to the requested language, 0 to 1.
    distance: float | None
    #: The number of the language's active version; 0 for none.
    version: int
    #: Whether this version serves the requested language.
    serves: bool


@dataclass(frozen=True)
class ExamplesStatistics:
    """What a store remembers of one language of a task."""

    language: str
    training_count: int
    held_out_count: int
    #: Training examples that wait for an update with enough examples to judge them.
    pending_count: int
    size_bytes: int
    #: The day on which the oldest example was added, if it is known.
    oldest: datetime.date | None


@dataclass(frozen=True)
class TaskStatistics:
    """What a store contains of one task."""

    task: str
    languages_count: int
    versions_count: int
    active_count: int
    pinned_count: int
    #: The size of the distinct contents of the versions.
    versions_size_bytes: int
    #: The updates that were committed.
    reports_count: int
    #: The languages that have remembered examples, the number of these and their size.
    examples_languages_count: int
    examples_count: int
    examples_size_bytes: int
    #: Whether there is a checkpoint of a stopped or running update.
    has_checkpoint: bool
    examples: tuple[ExamplesStatistics, ...]


@dataclass(frozen=True)
class StoreStatistics:
    """What a store contains."""

    #: Grows by one with every change.
    generation: int
    tasks_count: int
    versions_count: int
    #: The distinct contents of versions, which can share one, and their size.
    contents_count: int
    contents_size_bytes: int
    tasks: tuple[TaskStatistics, ...]


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    #: What was checked, for example `onnxruntime`, `bundle` or `store`.
    subject: str
    state: CheckState
    #: What was found, in lines.
    details: str
    #: The stable name of what is wrong, if it is one thing.
    error_name: str | None


@dataclass(frozen=True)
class Diagnosis:
    """The results of checks, in the order in which they were made. It is true if all is right."""

    checks: tuple[Check, ...]
    all_right: bool

    def __bool__(self) -> bool:
        return self.all_right

    def __str__(self) -> str:
        lines = [f"{one.state.label:<6} {one.subject}: {one.details}" for one in self.checks]
        return "\n".join(lines)


def diagnose(
    bundle: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    *,
    onnxruntime_path: str | os.PathLike[str] | None = None,
    mode: Mode | str = Mode.LEAN,
    verify: Verify | str = Verify.FULL,
) -> Diagnosis:
    """Checks this machine, ONNX Runtime, a bundle and a store, and changes nothing."""
    options = defaults_of("diagnose_options")
    paths = {"bundle_path": bundle, "store_path": store, "onnxruntime_path": onnxruntime_path}
    kept = []
    for name, path in paths.items():
        if path is not None:
            kept.append(ffi.new("char[]", encode_path(name, path)))
            setattr(options, name, kept[-1])
    options.mode, options.verify = Mode.of(mode), Verify.of(verify)
    with owned("checks") as place:
        call(library().polygraft_diagnose, options, place)
        return copy_checks(place[0])


def verify_bundle(path: str | os.PathLike[str]) -> None:
    """Compares every file of a bundle with its manifest. `BundleMismatchError` names the file."""
    call(library().polygraft_bundle_verify, encode_path("path", path))


def copy_checks(checks: Any) -> Diagnosis:
    lib = library()
    found = []
    for at in range(lib.polygraft_checks_count(checks)):
        entry = struct("check")
        call(lib.polygraft_checks_get, checks, at, entry)
        name = text(lib.polygraft_status_name(entry.status)) if entry.status else None
        state = CheckState(entry.state)
        found.append(Check(text(entry.subject), state, text(entry.details), name))
    return Diagnosis(tuple(found), bool(lib.polygraft_checks_all_right(checks)))


def copy_chain(chain: Any) -> list[ChainStep]:
    lib = library()
    steps = []
    for at in range(lib.polygraft_chain_count(chain)):
        entry = struct("chain_step")
        call(lib.polygraft_chain_get, chain, at, entry)
        steps.append(
            ChainStep(
                language=text(entry.language),
                kind=StepKind(entry.kind),
                distance=optional(entry.distance),
                version=entry.version,
                serves=bool(entry.serves),
            )
        )
    return steps


def copy_statistics(statistics: Any) -> StoreStatistics:
    lib = library()
    entry = struct("store_statistics")
    call(lib.polygraft_statistics_store, statistics, entry)
    count = lib.polygraft_statistics_tasks_count(statistics)
    return StoreStatistics(
        generation=entry.generation,
        tasks_count=entry.tasks_count,
        versions_count=entry.versions_count,
        contents_count=entry.contents_count,
        contents_size_bytes=entry.contents_size_bytes,
        tasks=tuple(copy_task_statistics(statistics, at) for at in range(count)),
    )


def copy_task_statistics(statistics: Any, task: int) -> TaskStatistics:
    entry = struct("task_statistics")
    call(library().polygraft_statistics_task, statistics, task, entry)
    languages = range(entry.examples_languages_count)
    return TaskStatistics(
        task=text(entry.task),
        languages_count=entry.languages_count,
        versions_count=entry.versions_count,
        active_count=entry.active_count,
        pinned_count=entry.pinned_count,
        versions_size_bytes=entry.versions_size_bytes,
        reports_count=entry.reports_count,
        examples_languages_count=entry.examples_languages_count,
        examples_count=entry.examples_count,
        examples_size_bytes=entry.examples_size_bytes,
        has_checkpoint=bool(entry.has_checkpoint),
        examples=tuple(copy_examples_statistics(statistics, task, at) for at in languages),
    )


def copy_examples_statistics(statistics: Any, task: int, at: int) -> ExamplesStatistics:
    entry = struct("examples_statistics")
    call(library().polygraft_statistics_examples, statistics, task, at, entry)
    oldest = None
    if entry.oldest_unix_ms:
        seconds = entry.oldest_unix_ms / 1000
        oldest = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date()
    return ExamplesStatistics(
        language=text(entry.language),
        training_count=entry.training_count,
        held_out_count=entry.held_out_count,
        pending_count=entry.pending_count,
        size_bytes=entry.size_bytes,
        oldest=oldest,
    )
