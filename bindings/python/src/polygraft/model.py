"""The model: a bundle with the adapters of a store. It predicts, embeds and begins updates."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from polygraft._declarations import ffi
from polygraft._callback import Callback
from polygraft._handle import Handle
from polygraft._library import call, encode, encode_path, library, owned, text, text_array
from polygraft.engine import Cancel, Engine, handle_of
from polygraft.evaluation import Evaluation, StepCallback, copy_evaluation, step_callback
from polygraft.examples import Examples
from polygraft.exchange import Imported, copy_imported
from polygraft.inputs import Input, opened
from polygraft.options import (
    ExportOptions,
    ImportOptions,
    ModelOptions,
    PredictOptions,
    UpdateOptions,
    to_struct,
)
from polygraft.prediction import Prediction, copy_prediction, copy_predictions
from polygraft.rounds import Round, copy_applied, copy_round, settings as round_settings
from polygraft.store import Store
from polygraft.update import Update

if TYPE_CHECKING:
    import numpy
    import numpy.typing

ChunkCallback = Callable[[str], Optional[bool]]


class Model(Handle):
    """A backbone with the adapters of a store. Many threads may predict with one model.

    The model keeps the engine and the store open. A prediction uses the version that is active when
    it starts; activating another one meanwhile does not touch it.
    """

    _kind = "model"

    def __init__(
        self,
        engine: Engine,
        bundle: str | os.PathLike[str],
        store: Store,
        options: ModelOptions | None = None,
    ) -> None:
        kept: list[Any] = []
        settings = to_struct(ModelOptions, options, kept)
        folder = encode_path("bundle", bundle)
        place = ffi.new("polygraft_model **")
        call(
            library().polygraft_model_open,
            engine._open(), folder, store._open(), settings, place,
        )
        super().__init__(place[0], repr(os.fspath(bundle)))

    def predict(
        self,
        task: str,
        language: str,
        input: Input,
        *,
        top_k: int | None = None,
        options: PredictOptions | None = None,
        cancel: Cancel | None = None,
    ) -> Prediction:
        """Predicts for one input with the version that serves the language.

        `top_k` gives the most probable labels only. A language without a version is served by the
        nearest one that has a version and is near enough, else by the shared adapter; if there is
        neither, the call raises `StoreNoVersionError`.
        """
        lib = library()
        kept: list[Any] = []
        settings = predict_settings(options, top_k, cancel, kept)
        handle, name, tag = self._open(), encode("task", task), encode("language", language)
        with owned("prediction") as place:
            if isinstance(input, str):
                sentence = encode("input", input)
                call(lib.polygraft_model_predict, handle, name, tag, sentence, settings, place)
            else:
                with opened(input) as asked:
                    function = lib.polygraft_model_predict_input
                    call(function, handle, name, tag, asked, settings, place)
            return copy_prediction(place[0])

    def predict_batch(
        self,
        task: str,
        language: str,
        inputs: Sequence[Input],
        *,
        top_k: int | None = None,
        options: PredictOptions | None = None,
        cancel: Cancel | None = None,
    ) -> list[Prediction]:
        """Predicts for several inputs in one language, in less time than one call per input. One
        bad input fails the whole call, and the message names it."""
        lib = library()
        if isinstance(inputs, str):
            raise TypeError("inputs: expected a list of inputs, found one text")
        kept: list[Any] = []
        settings = predict_settings(options, top_k, cancel, kept)
        handle, name, tag = self._open(), encode("task", task), encode("language", language)
        with owned("predictions") as place, contextlib.ExitStack() as stack:
            if all(isinstance(one, str) for one in inputs):
                function = lib.polygraft_model_predict_batch
                asked = text_array("inputs", [str(one) for one in inputs])
            else:
                function = lib.polygraft_model_predict_inputs
                copies = [stack.enter_context(opened(one)) for one in inputs]
                asked = ffi.new("const polygraft_input *[]", copies)
            call(function, handle, name, tag, asked, len(inputs), settings, place)
            return copy_predictions(place[0])

    def predict_many(
        self,
        task: str,
        inputs: Sequence[tuple[str, Input]],
        *,
        top_k: int | None = None,
        options: PredictOptions | None = None,
        cancel: Cancel | None = None,
    ) -> list[Prediction]:
        """Predicts for inputs in many languages, in less time than one call per input.

        Each element is a language and an input. The version that serves the language when the call
        begins answers; the prediction tells which it was. One bad input fails the whole call, and
        the message names it."""
        lib = library()
        kept: list[Any] = []
        settings = predict_settings(options, top_k, cancel, kept)
        handle, name = self._open(), encode("task", task)
        tags = text_array("languages", [language for language, _ in inputs])
        with owned("predictions") as place, contextlib.ExitStack() as stack:
            copies = [stack.enter_context(opened(one)) for _, one in inputs]
            asked = ffi.new("const polygraft_input *[]", copies)
            function, count = lib.polygraft_model_predict_many, len(inputs)
            call(function, handle, name, tags, asked, count, settings, place)
            return copy_predictions(place[0])

    def generate(
        self,
        task: str,
        language: str,
        text: str,
        *,
        on_chunk: ChunkCallback | None = None,
        options: PredictOptions | None = None,
        cancel: Cancel | None = None,
    ) -> Prediction:
        """Generates a text, and passes each new chunk of it to `on_chunk` on this thread.

        A chunk consists of whole characters. `on_chunk` returns False to end the text there; what
        it raises, this call raises. With several beams the whole text comes at the end.
        """
        callback = chunk_callback(on_chunk)
        kept: list[Any] = []
        settings = predict_settings(options, None, cancel, kept)
        sentence = encode("text", text)
        with owned("prediction") as place:
            failure = ffi.new("polygraft_error **")
            status = library().polygraft_model_generate(
                self._open(), encode("task", task), encode("language", language), sentence,
                settings, place, failure, callback.pointer, ffi.NULL,
            )
            callback.raise_first(status, failure)
            return copy_prediction(place[0])

    def embed(
        self,
        texts: Sequence[str],
        *,
        task: str | None = None,
        language: str | None = None,
        normalise: bool = True,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """One vector for each text, as rows of an array of float32.

        Without a task the bare backbone is used; with one, the version that serves the language.
        Normalised vectors have length 1, so that their dot product is their cosine. Vectors of
        different versions cannot be compared.
        """
        import numpy

        lib = library()
        if (task is None) != (language is None):
            raise TypeError("task and language: expected both or neither")
        name = ffi.NULL if task is None else encode("task", task)
        tag = ffi.NULL if language is None else encode("language", language)
        asked = text_array("texts", texts)
        with owned("vectors") as place:
            function, count = lib.polygraft_model_embed, len(texts)
            call(function, self._open(), name, tag, asked, count, int(normalise), place)
            shape = (lib.polygraft_vectors_count(place[0]), lib.polygraft_vectors_size(place[0]))
            made = numpy.empty(shape, dtype=numpy.float32)
            if made.size:
                values = lib.polygraft_vectors_get(place[0], 0)
                ffi.memmove(ffi.from_buffer(made), values, made.nbytes)
            return made

    def evaluate(
        self,
        task: str,
        examples: Examples,
        progress: StepCallback | None = None,
        cancel: Cancel | None = None,
    ) -> Evaluation:
        """Evaluates the versions that serve the languages of some examples on them. It trains and
        changes nothing. `progress` is told the number of examples done and of all."""
        callback = step_callback(progress)
        with owned("scores") as place:
            failure = ffi.new("polygraft_error **")
            status = library().polygraft_model_evaluate(
                self._open(), encode("task", task), examples._pointer, handle_of(cancel), place,
                failure, callback.pointer, ffi.NULL,
            )
            callback.raise_first(status, failure)
            return copy_evaluation(place[0])

    def import_adapter(
        self,
        task: str,
        language: str,
        path: str | os.PathLike[str],
        options: ImportOptions | None = None,
        cancel: Cancel | None = None,
    ) -> Imported:
        """Imports an adapter as a new version: a file of polygraft or ONNX Runtime, or a folder of
        PEFT or AdapterHub. Import it for the language `mul` to install a base adapter, which serves
        every language without a version of its own. By default the gate decides whether it becomes
        active."""
        kept: list[Any] = []
        settings = to_struct(ImportOptions, options, kept)
        settings.cancel = handle_of(cancel)
        tag, source = encode("language", language), encode_path("path", path)
        with owned("imported") as place:
            function, name = library().polygraft_model_import, encode("task", task)
            call(function, self._open(), name, tag, source, settings, place)
            return copy_imported(place[0])

    def export_adapter(
        self,
        task: str,
        language: str,
        path: str | os.PathLike[str],
        number: int | None = None,
        options: ExportOptions | None = None,
    ) -> None:
        """Writes a version to a path where nothing is yet; without a number, the active one."""
        kept: list[Any] = []
        settings = to_struct(ExportOptions, options, kept)
        tag, target = encode("language", language), encode_path("path", path)
        function, name = library().polygraft_model_export, encode("task", task)
        call(function, self._open(), name, tag, number or 0, target, settings)

    def round_ask(self, task: str, options: Mapping[str, Any]) -> Round:
        """Asks for a round: makes the message for devices, from the versions that serve the
        languages here, as in `{"languages": ["de", "tr"]}`."""
        name, asked = encode("task", task), round_settings(options)
        with owned("round") as place:
            call(library().polygraft_round_ask, self._open(), name, asked, place)
            return copy_round(place[0])

    def round_reply(
        self,
        message: bytes,
        examples: Examples | None = None,
        options: Mapping[str, Any] | None = None,
        cancel: Cancel | None = None,
    ) -> Round:
        """Answers a message: trains on `examples` and on remembered ones, and makes the reply. New
        examples are remembered; nothing is published or activated."""
        new = ffi.NULL if examples is None else examples._pointer
        asked, token = round_settings(options), handle_of(cancel)
        function, size = library().polygraft_round_reply, len(message)
        with owned("round") as place:
            call(function, self._open(), message, size, new, asked, token, place)
            return copy_round(place[0])

    def round_apply(
        self, aggregate: bytes, options: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Publishes the adapters of an aggregate as versions, each of which becomes active only if
        the gate of this device lets it. Each entry has `language`, `version`, `activated` and the
        gate's `report`."""
        asked, size = round_settings(options), len(aggregate)
        with owned("round") as place:
            call(library().polygraft_round_apply, self._open(), aggregate, size, asked, place)
            return copy_applied(place[0])

    def begin_update(self, task: str, options: UpdateOptions | None = None) -> Update:
        """Begins an update of a task. Predictions and the store do not change before its commit."""
        kept: list[Any] = []
        settings = to_struct(UpdateOptions, options, kept)
        place = ffi.new("polygraft_update **")
        name = encode("task", task)
        call(library().polygraft_update_begin, self._open(), name, settings, place)
        return Update(place[0], repr(task))


def predict_settings(
    options: PredictOptions | None, top_k: int | None, cancel: Cancel | None, kept: list[Any]
) -> Any:
    """The options of a prediction, with what the call itself names."""
    if top_k is not None:
        options = replace(options or PredictOptions(), top_k=top_k)
    settings = to_struct(PredictOptions, options, kept)
    settings.cancel = handle_of(cancel)
    return settings


def chunk_callback(function: ChunkCallback | None) -> Callback:
    """A callback for a generation. Without a function it only notices interrupts."""

    def receive(chunk: Any, _user: Any) -> int:
        return int(function is not None and function(text(chunk)) is False)

    return Callback("polygraft_chunk_callback", receive)
