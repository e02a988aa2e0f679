"""Inputs of a model: a text, a pair of texts, or words; and spans of a text.

A plain `str` is an input of one text. What the library refuses (an empty text, an empty word) it
refuses when the input is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Union

from polygraft._declarations import ffi
from polygraft._library import call, encode, library, owned, text_array
from polygraft.errors import ArgumentInvalidError


@dataclass(frozen=True)
class Pair:
    """Two texts that the model reads together and in this order, for example a premise and a
    hypothesis, or a sentence and its paraphrase."""

    first: str
    second: str


class Words(tuple[str, ...]):
    """A text that the caller has already split into words.

    >>> Words(["turn", "it", "off"]).text
    'turn it off'
    """

    def __new__(cls, words: Sequence[str]) -> Words:
        if isinstance(words, str):
            raise TypeError("words: expected a list of texts, found one text")
        return super().__new__(cls, words)

    @property
    def text(self) -> str:
        """The words joined by single spaces, which the offsets of a prediction refer to."""
        return " ".join(self)


Input = Union[str, Pair, Words]


class SpanLike(Protocol):
    """A span of a text: a `TextSpan`, or a `Span` of a prediction."""

    @property
    def kind(self) -> str: ...
    @property
    def char_start(self) -> int: ...
    @property
    def char_end(self) -> int: ...


@dataclass(frozen=True)
class TextSpan:
    """A span of a text with its kind. `text[char_start:char_end]` is what it covers."""

    kind: str
    char_start: int
    char_end: int


@contextlib.contextmanager
def opened(value: Input) -> Iterator[Any]:
    """The library's copy of an input, for one call."""
    lib = library()
    with owned("input") as place:
        if isinstance(value, str):
            call(lib.polygraft_input_text, encode("input", value), place)
        elif isinstance(value, Pair):
            first, second = encode("first", value.first), encode("second", value.second)
            call(lib.polygraft_input_pair, first, second, place)
        elif isinstance(value, Words):
            call(lib.polygraft_input_words, text_array("words", value), len(value), place)
        else:
            raise TypeError(f"input: expected str, Pair or Words, found {type(value).__name__}")
        yield place[0]


def span_array(text: str, spans: Sequence[SpanLike]) -> tuple[Any, list[Any]]:
    """An array of spans for the library, which counts bytes, and what it points to."""
    array = ffi.new("polygraft_text_span[]", len(spans))
    kept = []
    for at, span in enumerate(spans):
        start, end = span.char_start, span.char_end
        if not 0 <= start < end <= len(text):
            raise ArgumentInvalidError(
                f"span {at + 1}: expected 0 <= char_start < char_end <= {len(text)}, "
                f"found {start} and {end}"
            )
        kept.append(ffi.new("char[]", encode("kind", span.kind)))
        array[at].kind = kept[-1]
        array[at].byte_start = len(text[:start].encode())
        array[at].byte_end = len(text[:end].encode())
    return array, kept
