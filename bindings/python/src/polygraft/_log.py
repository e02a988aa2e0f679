"""What the library logs, for a logger of Python or for a function.

Lines come on any thread, also on threads that Python did not start. What a function raises while it
receives one cannot reach a caller, so it goes to `sys.unraisablehook`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from polygraft._declarations import ffi
from polygraft._library import text
from polygraft.names import LogSeverity

#: The levels of Python's loggers.
LEVELS = {
    LogSeverity.VERBOSE: logging.DEBUG,
    LogSeverity.INFO: logging.INFO,
    LogSeverity.WARNING: logging.WARNING,
    LogSeverity.ERROR: logging.ERROR,
    LogSeverity.FATAL: logging.CRITICAL,
}


@dataclass(frozen=True)
class LogLine:
    """One line of a log."""

    severity: LogSeverity
    #: `onnxruntime` or `polygraft`.
    source: str
    message: str


LogCallback = Callable[[LogLine], None]


def log_callback(log: logging.Logger | LogCallback) -> Any:
    """A callback for the library. The caller keeps it until the engine is closed."""

    def hear(line: LogLine) -> None:
        if isinstance(log, logging.Logger):
            level = LEVELS.get(line.severity, logging.CRITICAL)
            log.log(level, "%s: %s", line.source, line.message)
        else:
            log(line)

    def receive(severity: int, source: Any, message: Any, _user: Any) -> None:
        hear(LogLine(LogSeverity(severity), text(source), text(message)))

    def lost(kind: Any, error: BaseException, traceback: Any) -> None:
        place = "in a log callback of polygraft"
        sys.unraisablehook(
            SimpleNamespace(
                exc_type=kind, exc_value=error, exc_traceback=traceback, err_msg=place, object=log
            )
        )

    return ffi.callback("polygraft_log_callback", receive, onerror=lost)
