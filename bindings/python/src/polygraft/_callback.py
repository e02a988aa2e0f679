"""Callbacks of the library as Python functions. Nothing that they raise crosses the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polygraft._declarations import ffi
from polygraft._library import check, library


class Callback:
    """A callback for the library that keeps what is raised in it, until the call has returned.

    An interrupt arrives at the first instruction of Python code that runs after it, which is the
    entry of the callback, before any `try`. cffi hands that to `onerror` as well, so that Ctrl-C
    is never lost.
    """

    def __init__(self, signature: str, function: Callable[..., int]) -> None:
        self.raised: BaseException | None = None
        self.pointer = ffi.callback(signature, function, error=1, onerror=self._keep)

    def _keep(self, kind: Any, error: BaseException, traceback: Any) -> None:
        if self.raised is None:
            self.raised = error.with_traceback(traceback)

    def raise_first(self, status: int, failure: Any) -> None:
        """Raises what was raised in the callback, else the error of the call that it was for."""
        raised, self.raised = self.raised, None
        if raised is None:
            check(status, failure)
            return
        library().polygraft_error_free(failure)
        try:
            raise raised
        finally:
            # The traceback refers to this frame, which must not refer to the error.
            del raised
