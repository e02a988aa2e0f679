"""Reports of updates: the effect on each language, as plain Python values.

A score is from 0 to 1; None means that there was nothing to measure. `columns` gives what plots
and tables take, `to_dict` what JSON can hold.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from polygraft._library import call, library, struct, text
from polygraft._plain import optional, plain
from polygraft.names import Candidate, Decision, ReasonKind


@dataclass(frozen=True)
class LanguageReport:
    """The entry of one language. Scores are measured on the examples held out for it."""

    #: The language, or `mul` for the shared adapter of the languages without a version.
    language: str
    #: What the gate decided, and why: in one short sentence, and as a kind for programs.
    decision: Decision
    reason: str
    reason_kind: ReasonKind
    #: The scores of the previous version and of the chosen candidate on the report split.
    before: float | None
    after: float | None
    #: The expected change in score by the selection splits of all languages together, and what it
    #: is larger and smaller than with the gate's confidence.
    change: float | None
    lower_bound: float | None
    upper_bound: float | None
    #: The chance that the candidate is worse than the previous version.
    loss_chance: float | None
    #: The examples in the report split, which decide nothing, and in the selection split, which the
    #: gate decides by.
    report_examples: int
    selection_examples: int
    #: The examples of the selection split on which the candidate, and the previous version, is
    #: better.
    gained: int
    lost: int
    #: What the evidence of the other languages is worth, in examples of this language.
    examples_borrowed: int
    #: About how many further examples would give the gate enough to decide by; 0 if it has enough.
    examples_needed: int
    #: The number that the commit gave the candidate; 0 before the commit and without a candidate.
    version: int
    #: Whether the update has new training examples in this language.
    updated: bool
    candidate: Candidate
    #: The factor on the deltas, more than 0, at most 1.
    strength: float

    @property
    def activated(self) -> bool:
        """Whether the candidate becomes the language's version."""
        return self.decision == Decision.ACTIVATE


@dataclass(frozen=True)
class Summary:
    """Gains and losses over languages; the shared adapter `mul` is not counted."""

    improved: int
    lost: int
    gain_total: float
    loss_total: float


@dataclass(frozen=True)
class Training:
    """The training of an update in figures."""

    examples_new: int
    #: The remembered examples per epoch.
    examples_rehearsed: int
    training_runs: int
    steps: int
    elapsed_ms: int
    #: The mean losses of the first and of the last tenth of the steps.
    loss_first: float | None
    loss_last: float | None
    #: Whether the time budget ended training before its last step.
    cut_short: bool
    #: Whether the loss was still falling at the end, so that more steps may help.
    still_falling: bool


@dataclass(frozen=True)
class Report:
    """The effect of an update. `print(report)` shows it as a table."""

    task: str
    strategy: str
    #: The rule of the gate in words.
    gate: str
    #: Sorted by tag; the shared adapter `mul` comes last.
    languages: tuple[LanguageReport, ...]
    #: What users are served after the gate.
    summary: Summary
    #: What they would be served without it.
    candidate_summary: Summary
    training: Training

    @property
    def activated(self) -> list[str]:
        """The languages whose candidate becomes their version."""
        return [entry.language for entry in self.languages if entry.activated]

    def __getitem__(self, language: str) -> LanguageReport:
        """The entry of a language."""
        for entry in self.languages:
            if entry.language == language:
                return entry
        raise KeyError(language)

    def to_dict(self) -> dict[str, Any]:
        """The report as values that JSON can hold."""
        return {name: plain(value) for name, value in dataclasses.asdict(self).items()}

    def columns(self) -> dict[str, list[Any]]:
        """The languages as columns of equal length, for a plot or a data frame."""
        names = [field.name for field in dataclasses.fields(LanguageReport)]
        return {name: [plain(getattr(one, name)) for one in self.languages] for name in names}

    def __str__(self) -> str:
        rows = [("language", "before", "after", "decision")]
        for entry in self.languages:
            version = f" version {entry.version}" if entry.version else ""
            decision = f"{entry.decision.label}{version}: {entry.reason}"
            rows.append((entry.language, percent(entry.before), percent(entry.after), decision))
        width = max(len(row[0]) for row in rows)
        lines = [f"{name:<{width}} {before:>8} {after:>8}  {decision}"
                 for name, before, after, decision in rows]
        summary = self.summary
        lines.append(f"{summary.improved} languages improve, {summary.lost} lose")
        return "\n".join(lines)


def percent(score: float | None) -> str:
    return "-" if score is None else f"{score:.1%}"


def copy_report(report: Any) -> Report:
    """Copies a report of the library."""
    lib = library()
    count = lib.polygraft_report_languages_count(report)
    return Report(
        task=text(lib.polygraft_report_task(report)),
        strategy=text(lib.polygraft_report_strategy(report)),
        gate=text(lib.polygraft_report_gate(report)),
        languages=tuple(copy_language(report, at) for at in range(count)),
        summary=copy_summary(lib.polygraft_report_summary, report),
        candidate_summary=copy_summary(lib.polygraft_report_candidate_summary, report),
        training=copy_training(report),
    )


def copy_language(report: Any, at: int) -> LanguageReport:
    entry = struct("language_report")
    call(library().polygraft_report_language, report, at, entry)
    return language_report(entry)


def language_report(entry: Any) -> LanguageReport:
    """Copies an entry that the library has filled."""
    return LanguageReport(
        language=text(entry.language),
        decision=Decision(entry.decision),
        reason=text(entry.reason),
        reason_kind=ReasonKind(entry.reason_kind),
        before=optional(entry.before),
        after=optional(entry.after),
        change=optional(entry.change),
        lower_bound=optional(entry.lower_bound),
        upper_bound=optional(entry.upper_bound),
        loss_chance=optional(entry.loss_chance),
        report_examples=entry.report_examples,
        selection_examples=entry.selection_examples,
        gained=entry.gained,
        lost=entry.lost,
        examples_borrowed=entry.examples_borrowed,
        examples_needed=entry.examples_needed,
        version=entry.version,
        updated=bool(entry.updated),
        candidate=Candidate(entry.candidate),
        strength=entry.strength,
    )


def copy_summary(function: Any, report: Any) -> Summary:
    summary = struct("summary")
    call(function, report, summary)
    return Summary(
        improved=summary.improved,
        lost=summary.lost,
        gain_total=summary.gain_total,
        loss_total=summary.loss_total,
    )


def copy_training(report: Any) -> Training:
    training = struct("training")
    call(library().polygraft_report_training, report, training)
    return Training(
        examples_new=training.examples_new,
        examples_rehearsed=training.examples_rehearsed,
        training_runs=training.training_runs,
        steps=training.steps,
        elapsed_ms=training.elapsed_ms,
        loss_first=optional(training.loss_first),
        loss_last=optional(training.loss_last),
        cut_short=bool(training.cut_short),
        still_falling=bool(training.still_falling),
    )
