"""The update: add examples, train, measure every language before and after, and commit.

Nothing changes before the commit. A run that fails, is cancelled or is interrupted has changed
nothing, and can be run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polygraft._declarations import ffi
from polygraft._handle import Handle
from polygraft._library import call, encode, library, owned, text_array
from polygraft.engine import Cancel, handle_of
from polygraft.examples import Examples
from polygraft.inputs import Input, SpanLike, Words, opened, span_array
from polygraft.options import UpdateOptions, to_struct
from polygraft.progress import ProgressCallback, progress_callback
from polygraft.report import Report, copy_report


class Update(Handle):
    """An update that is not committed yet; `Model.begin_update` makes it. One thread at a time may
    use it. All examples have targets of one kind. Closing it aborts what was not committed."""

    _kind = "update"

    def add(self, language: str, input: Input, label: str) -> None:
        """Adds an example for classification: a text or a pair, and its label."""
        lib = library()
        tag, target = encode("language", language), encode("label", label)
        if isinstance(input, str):
            call(lib.polygraft_update_add, self._open(), tag, encode("input", input), target)
            return
        with opened(input) as asked:
            call(lib.polygraft_update_add_label, self._open(), tag, asked, target)

    def add_labels(self, language: str, input: Input, labels: Sequence[str]) -> None:
        """Adds an example for multi-label classification: all labels that apply, or none."""
        tag, names = encode("language", language), text_array("labels", labels)
        with opened(input) as asked:
            function = library().polygraft_update_add_labels
            call(function, self._open(), tag, asked, names, len(labels))

    def add_number(self, language: str, input: Input, number: float) -> None:
        """Adds an example for regression: a text or a pair, and a finite number."""
        tag = encode("language", language)
        with opened(input) as asked:
            call(library().polygraft_update_add_number, self._open(), tag, asked, number)

    def add_tags(self, language: str, words: Sequence[str], tags: Sequence[str]) -> None:
        """Adds an example for token classification: words and one tag for each. Tags of the scheme
        BIO (`B-place`, `I-place`, `O`) mark spans and must be valid; other tags may stand in any
        order."""
        tag, names = encode("language", language), text_array("tags", tags)
        with opened(Words(words)) as asked:
            call(library().polygraft_update_add_tags, self._open(), tag, asked, names, len(tags))

    def add_label_and_tags(
        self, language: str, words: Sequence[str], label: str, tags: Sequence[str]
    ) -> None:
        """Adds an example for joint intent and slots: a label, and one tag for each word."""
        tag, target = encode("language", language), encode("label", label)
        names = text_array("tags", tags)
        with opened(Words(words)) as asked:
            function = library().polygraft_update_add_label_and_tags
            call(function, self._open(), tag, asked, target, names, len(tags))

    def add_spans(
        self, language: str, text: str, spans: Sequence[SpanLike], label: str | None = None
    ) -> None:
        """Adds an example of a raw text and its spans, for token classification or, with a label,
        for joint intent and slots. Spans of a prediction can be given back as they are. A span that
        begins or ends within a word takes the whole word."""
        array, _kept = span_array(text, spans)
        target = ffi.NULL if label is None else encode("label", label)
        tag, sentence = encode("language", language), encode("text", text)
        function = library().polygraft_update_add_spans
        call(function, self._open(), tag, sentence, target, array, len(spans))

    def add_text(self, language: str, input: str, target: str) -> None:
        """Adds an example of a text and the text to generate for it; it needs a decoder."""
        tag, wanted = encode("language", language), encode("target", target)
        with opened(input) as asked:
            call(library().polygraft_update_add_text, self._open(), tag, asked, wanted)

    def add_examples(self, examples: Examples) -> None:
        """Adds all examples of a list. When one is refused, the ones before it have been added."""
        call(library().polygraft_update_add_examples, self._open(), examples._pointer)

    def run(
        self, progress: ProgressCallback | None = None, cancel: Cancel | None = None
    ) -> Report:
        """Trains on the examples and measures every language before and after.

        `progress` is called on this thread, at most ten times a second; it returns False to cancel,
        and what it raises, this call raises. Ctrl-C cancels the run, and this call raises
        `KeyboardInterrupt`. The report says what a commit would do.
        """
        return self._measured(library().polygraft_update_run, progress, cancel)

    def measure_again(
        self, progress: ProgressCallback | None = None, cancel: Cancel | None = None
    ) -> Report:
        """Measures the candidates of the last run against the versions that are active now. It
        trains nothing. Call it when `commit` raises `StoreChangedError`, then commit again."""
        return self._measured(library().polygraft_update_measure_again, progress, cancel)

    def judge(self, options: UpdateOptions | None = None) -> Report:
        """Lets the gate judge the last run again with the gate's fields of `options`. It trains and
        measures nothing."""
        kept: list[Any] = []
        settings = to_struct(UpdateOptions, options, kept)
        with owned("report") as place:
            call(library().polygraft_update_judge, self._open(), settings, place)
            return copy_report(place[0])

    def commit(self) -> Report:
        """Publishes what the gate accepted and activates it, for all languages in one step. The
        report has the new version numbers."""
        with owned("report") as place:
            call(library().polygraft_update_commit, self._open(), place)
            return copy_report(place[0])

    def _measured(
        self, function: Any, progress: ProgressCallback | None, cancel: Cancel | None
    ) -> Report:
        callback = progress_callback(progress)
        with owned("report") as place:
            failure = ffi.new("polygraft_error **")
            status = function(
                self._open(), handle_of(cancel), place, failure, callback.pointer, ffi.NULL
            )
            callback.raise_first(status, failure)
            return copy_report(place[0])
