"""Scores of an evaluation: how well the versions that serve do on labelled examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from polygraft._callback import Callback
from polygraft._library import call, library, struct, text
from polygraft._plain import plain

#: Is told the number of examples done and of all; returns False to cancel.
StepCallback = Callable[[int, int], Optional[bool]]


@dataclass(frozen=True)
class Score:
    """How well the version that serves a language does on the examples in it."""

    #: The language of the examples, and the one whose version served; empty in a mean.
    language: str
    served_by: str
    #: The number of the version; 0 in a mean.
    version: int
    examples_count: int
    #: The mean score of the examples, from 0 to 1: what the gate compares.
    score: float
    #: Metrics such as `accuracy` and `macro_f1`, the most informative first.
    metrics: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """The scores of the languages, sorted by tag, and their mean."""

    languages: tuple[Score, ...]
    #: Languages count the same however many examples they have.
    mean: Score

    def to_dict(self) -> dict[str, Any]:
        """The scores as values that JSON can hold."""
        return {name: plain(value) for name, value in dataclasses.asdict(self).items()}


def copy_evaluation(scores: Any) -> Evaluation:
    lib = library()
    languages = []
    for at in range(lib.polygraft_scores_count(scores)):
        entry = struct("score")
        call(lib.polygraft_scores_get, scores, at, entry)
        found = range(entry.metrics_count)
        metrics = [lib.polygraft_scores_metric(scores, at, index) for index in found]
        languages.append(copy_score(entry, metrics))
    entry = struct("score")
    call(lib.polygraft_scores_mean, scores, entry)
    found = range(entry.metrics_count)
    mean = [lib.polygraft_scores_mean_metric(scores, index) for index in found]
    return Evaluation(tuple(languages), copy_score(entry, mean))


def copy_score(entry: Any, metrics: list[Any]) -> Score:
    return Score(
        language=text(entry.language),
        served_by=text(entry.served_by),
        version=entry.version,
        examples_count=entry.examples_count,
        score=entry.score,
        metrics={text(metric.name): metric.value for metric in metrics},
    )


def step_callback(function: StepCallback | None) -> Callback:
    """A callback for an evaluation. Without a function it only notices interrupts."""

    def report(step: int, steps_count: int, _user: Any) -> int:
        return int(function is not None and function(step, steps_count) is False)

    return Callback("polygraft_step_callback", report)
