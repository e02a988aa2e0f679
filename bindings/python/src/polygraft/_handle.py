"""Handles of the library as Python objects: closed once, by hand, by `with` or by the collector.

A handle is a number in a table of the library, so a call with a closed one is an error and never
a crash. This file adds what Python expects: closing twice does nothing, use after closing is a
`ValueError`, and what was never closed is closed with a `ResourceWarning`.
"""

from __future__ import annotations

import warnings
import weakref
from types import TracebackType
from typing import Any, TypeVar

from polygraft._declarations import ffi
from polygraft._library import library
from polygraft.errors import ArgumentInvalidError

Self = TypeVar("Self", bound="Handle")


class Handle:
    """An object of the library that is closed. It can be used in a `with` statement."""

    _kind: str

    def __init__(self, pointer: Any, described: str) -> None:
        self._handle = pointer
        self._described = described
        self._finalizer = weakref.finalize(self, forgotten, self._kind, pointer, described)
        # At the end of the process the system takes everything back; waiting for the calls of
        # threads that are still at work could take minutes.
        self._finalizer.atexit = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Closes the object. It waits until the calls of other threads have ended, except inside
        a callback. Closing twice does nothing."""
        if self._finalizer.detach():
            close(self._kind, self._handle)

    def _open(self) -> Any:
        """The handle, for a call."""
        if self.closed:
            raise ArgumentInvalidError(f"the {self._kind} is closed")
        return self._handle

    def __enter__(self: Self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<polygraft.{type(self).__name__} {self._described}, {state}>"


def close(kind: str, pointer: Any) -> None:
    getattr(library(), f"polygraft_{kind}_close")(ffi.new(f"polygraft_{kind} **", pointer))


def forgotten(kind: str, pointer: Any, described: str) -> None:
    """Closes what was not closed by hand, on whichever thread the collector runs."""
    warnings.warn(f"unclosed {kind} {described}", ResourceWarning, stacklevel=2)
    close(kind, pointer)
