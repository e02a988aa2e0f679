"""The library of polygraft: where it is found, and how its functions are called.

In: the file in the wheel, or one that the user names. Out: `lib` with all functions of the header,
and the conversions of texts and errors that every call needs. It never opens ONNX Runtime and
knows no object of the library.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from polygraft._declarations import ffi
from polygraft.errors import ArgumentInvalidError, Error, LibraryNotFoundError

LIBRARY_VARIABLE = "POLYGRAFT_LIBRARY"
LOADED_NAMES = {"darwin": "libpolygraft.0.dylib", "win32": "polygraft.dll"}
LOADED_NAME = LOADED_NAMES.get(sys.platform, "libpolygraft.so.0")


def candidates() -> list[tuple[str, str]]:
    """The libraries to try, in order: each with where it is named."""
    given = os.environ.get(LIBRARY_VARIABLE)
    if given:
        return [(LIBRARY_VARIABLE, given)]
    packaged = Path(__file__).parent / "_native" / LOADED_NAME
    return [("this package", str(packaged)), ("the system's loader", LOADED_NAME)]


@functools.lru_cache(maxsize=None)
def library() -> Any:
    """The loaded library. It is opened at the first use and stays open."""
    tried = []
    for place, name in candidates():
        try:
            return checked(ffi.dlopen(name), name)
        except OSError as error:
            tried.append(f"{place}: {error}")
    raise LibraryNotFoundError(
        f"the library of polygraft was not found; set {LIBRARY_VARIABLE} to its path. Tried:\n  "
        + "\n  ".join(tried)
    )


def checked(lib: Any, name: str) -> Any:
    """Refuses a library that does not have what this package was made for."""
    missing = [function for function in dir(lib) if not has(lib, function)]
    if "polygraft_abi_version" in missing:
        raise LibraryNotFoundError(f"{name} is no library of polygraft")
    version = text(lib.polygraft_version_string())
    found, expected = lib.polygraft_abi_version(), lib.POLYGRAFT_ABI_VERSION
    if found != expected:
        raise LibraryNotFoundError(
            f"{name} (version {version}): expected version {expected} of the binary interface, "
            f"found {found}"
        )
    if missing:
        raise LibraryNotFoundError(
            f"{name} (version {version}) is older than this package: it has no {missing[0]}"
        )
    return lib


def has(lib: Any, function: str) -> bool:
    try:
        getattr(lib, function)
    except (AttributeError, ffi.error):
        return False
    return True


def text(view: Any) -> str:
    """Copies a view of the library."""
    return str(ffi.unpack(view.ptr, view.len), "utf-8")


def encode(name: str, value: str) -> bytes:
    """A text for the library, which reads it up to the first NUL."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected str, found {type(value).__name__}")
    return without_nul(name, value.encode())


def encode_path(name: str, value: str | os.PathLike[str]) -> bytes:
    """A path for the library: the bytes of its name in the file system."""
    return without_nul(name, os.fsencode(value))


def without_nul(name: str, value: bytes) -> bytes:
    if b"\0" in value:
        raise ArgumentInvalidError(f"{name} contains a NUL character")
    return value


def text_array(name: str, values: Sequence[str]) -> Any:
    """An array of texts for the library. The caller keeps it until the call has returned."""
    if isinstance(values, str):
        raise TypeError(f"{name}: expected a list of texts, found one text")
    texts = [ffi.new("char[]", encode(f"{name}[{at}]", one)) for at, one in enumerate(values)]
    array = ffi.new("const char *[]", texts)
    _TEXTS_OF[array] = texts
    return array


# cffi does not keep what the elements of an array point to.
_TEXTS_OF: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()


def call(function: Any, *arguments: Any) -> None:
    """Calls a function whose last parameter is the error."""
    failure = ffi.new("polygraft_error **")
    check(function(*arguments, failure), failure)


def check(status: int, failure: Any) -> None:
    """Raises the error of a failed call, and frees the library's."""
    if status == 0:
        return
    lib = library()
    try:
        error = failure[0]
        count = lib.polygraft_error_causes_count(error)
        causes = tuple(text(lib.polygraft_error_cause(error, at)) for at in range(count))
        name = text(lib.polygraft_error_name(error))
        message = text(lib.polygraft_error_message(error))
    finally:
        lib.polygraft_error_free(failure)
    raise Error.named(name, message, causes)


@contextlib.contextmanager
def owned(kind: str) -> Iterator[Any]:
    """A place for an object that a call returns; it is freed in the end, whatever happens."""
    place = ffi.new(f"polygraft_{kind} **")
    try:
        yield place
    finally:
        getattr(library(), f"polygraft_{kind}_free")(place)


def struct(kind: str) -> Any:
    """A struct for the library to fill, with its size set."""
    made = ffi.new(f"polygraft_{kind} *")
    made.struct_size = ffi.sizeof(made[0])
    return made


def defaults_of(kind: str) -> Any:
    """The struct of some options, filled with the defaults."""
    made = ffi.new(f"polygraft_{kind} *")
    call(getattr(library(), f"polygraft_{kind}_init"), made, ffi.sizeof(made[0]))
    return made


def version() -> str:
    """The version of the loaded library."""
    return text(library().polygraft_version_string())


def build_info() -> str:
    """The version, build kind and platform of the loaded library in one line, for logs."""
    return text(library().polygraft_build_info())
