"""Progress of an update: what a callback is told, and a bar that draws it.

A callback runs on the thread that called `run`. It returns False to cancel; anything else, None
too, continues the run. What it raises cancels the run, which raises it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional, TextIO

from polygraft._callback import Callback
from polygraft._plain import optional
from polygraft.names import Phase

#: How many parts of the whole the bar shows.
BAR_STEPS = 1000


@dataclass(frozen=True)
class Progress:
    """How far an update is."""

    phase: Phase
    #: The steps done in this phase, and the steps that it has: optimiser steps in training,
    #: examples elsewhere.
    step: int
    steps_count: int
    #: The training examples processed so far, over all epochs.
    examples_seen: int
    elapsed_ms: int
    #: The mean loss of the last steps, in training.
    loss: float | None
    #: The estimated fraction of the whole run, from 0 to 1; it never decreases.
    fraction: float


ProgressCallback = Callable[[Progress], Optional[bool]]


def progress_callback(function: ProgressCallback | None) -> Callback:
    """A callback for a run. Without a function it only notices interrupts."""

    def report(progress: Any, _user: Any) -> int:
        if function is None:
            return 0
        return int(function(copy_progress(progress)) is False)

    return Callback("polygraft_progress_callback", report)


def copy_progress(progress: Any) -> Progress:
    return Progress(
        phase=Phase(progress.phase),
        step=progress.step,
        steps_count=progress.steps_count,
        examples_seen=progress.examples_seen,
        elapsed_ms=progress.elapsed_ms,
        loss=optional(progress.loss),
        fraction=progress.fraction,
    )


class ProgressBar:
    """Draws the progress of a run: with tqdm where it is installed, else as lines of text.

    It is a callback: `update.run(progress=ProgressBar())`.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file if file is not None else sys.stderr
        self._bar: Any = None
        self._phase: Phase | None = None
        try:
            import tqdm  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            return
        form = "{desc} {percentage:3.0f} % |{bar}| {elapsed}"
        self._bar = tqdm.tqdm(total=BAR_STEPS, file=self._file, bar_format=form)

    def __call__(self, progress: Progress) -> None:
        loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
        if self._bar is None:
            # One line for each phase: what reads a log wants no more.
            if progress.phase != self._phase:
                self._phase = progress.phase
                percent = f"{progress.fraction:4.0%}"
                print(f"{percent} {progress.phase.label}", file=self._file, flush=True)
            return
        self._bar.set_description(f"{progress.phase.label}{loss}", refresh=False)
        self._bar.update(int(progress.fraction * BAR_STEPS) - self._bar.n)
        if progress.fraction >= 1:
            self.close()

    def close(self) -> None:
        """Ends the bar, also of a run that was cancelled."""
        if self._bar is not None:
            self._bar.close()
