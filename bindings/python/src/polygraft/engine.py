"""The engine: ONNX Runtime, found and opened; and tokens that cancel calls.

The library of the Python package `onnxruntime` is found without importing that package. Nothing is
downloaded.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from pathlib import Path

from polygraft._declarations import ffi
from polygraft._handle import Handle
from polygraft._library import call, defaults_of, encode_path, library, text
from polygraft._log import LogCallback, log_callback
from polygraft.errors import RuntimeNotFoundError
from polygraft.names import LogSeverity

ONNXRUNTIME_VARIABLE = "ORT_DYLIB_PATH"
ONNXRUNTIME_PATTERNS = {"darwin": "libonnxruntime*.dylib", "win32": "onnxruntime.dll"}


class Engine(Handle):
    """The opened ONNX Runtime library. One engine per process is enough.

    ONNX Runtime is taken from `onnxruntime_path`, else from the environment variable
    `ORT_DYLIB_PATH`, else from the installed package `onnxruntime`, else from beside the library of
    polygraft, else from where the system's loader looks. Its telemetry is switched off before it
    is opened: the first engine sets `ORT_DISABLE_TELEMETRY=1` for the C library of this process.

    A program that has loaded ONNX Runtime itself hands in the address that its `OrtGetApiBase`
    returned as `ort_api_base` instead. `log`, a `logging.Logger` or a function, receives what ONNX
    Runtime and polygraft log at and above `log_severity`, on any thread, until the engine is
    closed.
    """

    _kind = "engine"

    def __init__(
        self,
        onnxruntime_path: str | os.PathLike[str] | None = None,
        *,
        ort_api_base: int | None = None,
        log: logging.Logger | LogCallback | None = None,
        log_severity: LogSeverity | str = LogSeverity.WARNING,
    ) -> None:
        lib = library()
        given = onnxruntime_path
        is_searched = given is None and ort_api_base is None
        if is_searched and not os.environ.get(ONNXRUNTIME_VARIABLE):
            given = packaged_onnxruntime()
        options = defaults_of("engine_options")
        path = None if given is None else ffi.new("char[]", encode_path("onnxruntime_path", given))
        options.onnxruntime_path = ffi.NULL if path is None else path
        options.ort_api_base = ffi.cast("void *", ort_api_base or 0)
        # The library calls it until the engine is closed.
        self._log = log_callback(log) if log is not None else ffi.NULL
        options.log, options.log_severity = self._log, LogSeverity.of(log_severity)
        place = ffi.new("polygraft_engine **")
        try:
            call(lib.polygraft_engine_open, options, place)
        except RuntimeNotFoundError as error:
            if not is_searched or given is not None:
                raise
            tried = "tried the Python package onnxruntime: it is not installed"
            message = f"{error.message}\n  {tried}"
            raise RuntimeNotFoundError(message, (*error.causes, tried)) from None
        view = ffi.new("polygraft_string_view *")
        call(lib.polygraft_engine_onnxruntime_version, place[0], view)
        self._version = text(view)
        super().__init__(place[0], f"ONNX Runtime {self._version}")

    @property
    def onnxruntime_version(self) -> str:
        """The version of the opened ONNX Runtime, for example `1.28.0`."""
        return self._version


def packaged_onnxruntime() -> Path | None:
    """The library in the installed package `onnxruntime`, if there is one."""
    try:
        found = importlib.util.find_spec("onnxruntime")
    except (ImportError, ValueError):
        return None
    pattern = ONNXRUNTIME_PATTERNS.get(sys.platform, "libonnxruntime.so*")
    for folder in (found.submodule_search_locations or []) if found else []:
        libraries = sorted(Path(folder, "capi").glob(pattern))
        if libraries:
            return libraries[-1]
    return None


class Cancel(Handle):
    """A token that cancels the predictions and updates it is given to, from any thread.

    A cancelled token stays cancelled. A call that was cancelled raises `CancelledError` and has
    changed nothing; a text that is being generated ends where it is.
    """

    _kind = "cancel"

    def __init__(self) -> None:
        place = ffi.new("polygraft_cancel **")
        call(library().polygraft_cancel_open, place)
        super().__init__(place[0], "token")

    def trigger(self) -> None:
        """Cancels every call that runs with this token, now and later."""
        call(library().polygraft_cancel_trigger, self._open())


def handle_of(cancel: Cancel | None) -> object:
    """The handle of a token that may be None."""
    return ffi.NULL if cancel is None else cancel._open()
