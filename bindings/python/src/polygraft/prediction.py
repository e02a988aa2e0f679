"""Predictions: the output of a task for one input, as plain Python values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from polygraft._library import library, text
from polygraft._plain import optional, plain
from polygraft.names import FinishReason, TaskKind


@dataclass(frozen=True)
class Label:
    """A label with its probability, from 0 to 1."""

    name: str
    probability: float


@dataclass(frozen=True)
class Word:
    """A word with its tag. `text[char_start:char_end]` is the word; bytes count its UTF-8."""

    #: Empty for a word beyond what the model reads.
    tag: str
    probability: float
    char_start: int
    char_end: int
    byte_start: int
    byte_end: int


@dataclass(frozen=True)
class Span:
    """Consecutive words that the tags mark as one thing, with offsets as those of a word."""

    #: The tags without `B-` and `I-`.
    kind: str
    #: That of the least certain word.
    probability: float
    char_start: int
    char_end: int
    byte_start: int
    byte_end: int
    #: The positions of the first and of the last word.
    word_first: int
    word_last: int


@dataclass(frozen=True)
class Prediction:
    """The output of a task for one input. What its kind does not have is empty or None."""

    kind: TaskKind
    #: The language whose version was used: the requested one, or the one it fell back to.
    language: str
    #: The number of the version that was used.
    version: int
    #: Whether the input was longer than the model reads and was therefore truncated.
    truncated: bool
    #: The labels, the most probable first. In classification the first one applies; in multi-label
    #: classification those with at least 0.5 do.
    labels: tuple[Label, ...]
    #: The number of a regression.
    number: float | None
    #: All words of the input with their tags.
    words: tuple[Word, ...]
    #: The spans that the tags mark, if they follow the scheme BIO.
    spans: tuple[Span, ...]
    #: The generated text, without its end token or stop string.
    text: str | None
    #: The sum of the log probabilities of the text's tokens.
    log_probability: float | None
    #: The number of the text's tokens, including the end token.
    tokens_count: int
    #: Why the text ended.
    finish_reason: FinishReason

    @property
    def label(self) -> str | None:
        """The most probable label."""
        return self.labels[0].name if self.labels else None

    @property
    def probability(self) -> float | None:
        """The probability of the most probable label."""
        return self.labels[0].probability if self.labels else None

    def to_dict(self) -> dict[str, Any]:
        """The prediction as values that JSON can hold."""
        return {name: plain(value) for name, value in dataclasses.asdict(self).items()}


def copy_predictions(predictions: Any) -> list[Prediction]:
    """Copies the predictions of a batch of the library."""
    lib = library()
    count = lib.polygraft_predictions_count(predictions)
    return [copy_prediction(lib.polygraft_predictions_get(predictions, at)) for at in range(count)]


def copy_prediction(prediction: Any) -> Prediction:
    """Copies a prediction of the library."""
    lib = library()
    kind = TaskKind(lib.polygraft_prediction_kind(prediction))
    is_text = kind == TaskKind.SEQUENCE_TO_SEQUENCE
    return Prediction(
        kind=kind,
        language=text(lib.polygraft_prediction_language(prediction)),
        version=lib.polygraft_prediction_version(prediction),
        truncated=bool(lib.polygraft_prediction_truncated(prediction)),
        labels=tuple(
            Label(
                text(lib.polygraft_prediction_label(prediction, at)),
                lib.polygraft_prediction_probability(prediction, at),
            )
            for at in range(lib.polygraft_prediction_labels_count(prediction))
        ),
        number=optional(lib.polygraft_prediction_number(prediction)),
        words=tuple(
            copy_word(lib.polygraft_prediction_word(prediction, at))
            for at in range(lib.polygraft_prediction_words_count(prediction))
        ),
        spans=tuple(
            copy_span(lib.polygraft_prediction_span(prediction, at))
            for at in range(lib.polygraft_prediction_spans_count(prediction))
        ),
        text=text(lib.polygraft_prediction_text(prediction)) if is_text else None,
        log_probability=optional(lib.polygraft_prediction_log_probability(prediction)),
        tokens_count=lib.polygraft_prediction_tokens_count(prediction),
        finish_reason=FinishReason(lib.polygraft_prediction_finish_reason(prediction)),
    )


def place(word: Any) -> dict[str, int]:
    return {
        "char_start": word.char_start,
        "char_end": word.char_end,
        "byte_start": word.byte_start,
        "byte_end": word.byte_end,
    }


def copy_word(word: Any) -> Word:
    return Word(tag=text(word.tag), probability=word.probability, **place(word))


def copy_span(span: Any) -> Span:
    return Span(
        kind=text(span.kind),
        probability=span.probability,
        word_first=span.word_first,
        word_last=span.word_last,
        **place(span),
    )
