"""Exceptions of polygraft: one class for each stable name of a failure.

The names are those of the library, of its logs and of all other languages: `store.no_version` is
`StoreNoVersionError`, a `StoreError`, which is an `Error`. What Python has a word for is
that too: a bad argument is a `ValueError`, a missing file a `FileNotFoundError`. A newer library
can have names that this file does not know; they become the class of their group. Nothing here
calls the library.
"""

from __future__ import annotations


class LibraryNotFoundError(ImportError):
    """The library of polygraft cannot be loaded, or is another one than this package needs."""


class Error(Exception):
    """A failure of the library, with a stable name for programs and a message for people.

    >>> raise StoreNoVersionError("the task light has no version")
    Traceback (most recent call last):
    polygraft.errors.StoreNoVersionError: the task light has no version [store.no_version]
    """

    #: The stable name, for example `store.no_version`; it is never reused for something else.
    name: str = "internal"
    #: The whole message.
    message: str
    #: The parts of the message: the first says what was being done, the last what went wrong.
    causes: tuple[str, ...]

    def __init__(self, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.causes = causes or (message,)

    def __str__(self) -> str:
        return f"{self.message} [{self.name}]"

    @classmethod
    def named(cls, name: str, message: str, causes: tuple[str, ...]) -> Error:
        """The error of a stable name."""
        known = classes_by_name()
        group = name.split(".")[0]
        error = known.get(name, known.get(group, Error))(message, causes)
        error.name = name
        return error


def classes_by_name() -> dict[str, type[Error]]:
    """All classes by their stable names; the name of a group is what stands before the dot."""
    found: dict[str, type[Error]] = {}
    left: list[type[Error]] = [Error]
    while left:
        children = left.pop().__subclasses__()
        found.update((one.name, one) for one in children if "name" in vars(one))
        left += children
    return found


class InternalError(Error):
    """A defect in polygraft itself: an internal invariant does not hold."""

    name = "internal"


class InternalPanicError(InternalError):
    """A panic was caught at the C boundary; the handle that the call used must be closed."""

    name = "internal.panic"


class CancelledError(Error):
    """The operation was cancelled by its caller."""

    name = "cancelled"


class ArgumentError(Error, ValueError):
    """An argument that the library does not take."""

    name = "argument"


class ArgumentNullError(ArgumentError):
    """A required pointer was NULL."""

    name = "argument.null"


class ArgumentUtf8Error(ArgumentError):
    """A text was not valid UTF-8."""

    name = "argument.utf8"


class ArgumentInvalidError(ArgumentError):
    """An argument or an option has a value outside of its range."""

    name = "argument.invalid"


class IoError(Error, OSError):
    """A file could not be read or written."""

    name = "io"


class IoNotFoundError(IoError, FileNotFoundError):
    """A file or folder does not exist."""

    name = "io.not_found"


class IoReadError(IoError):
    """A file could not be read."""

    name = "io.read"


class IoWriteError(IoError):
    """A file could not be written."""

    name = "io.write"


class IoFullError(IoError):
    """The disk or the quota is full; nothing has changed."""

    name = "io.full"


class OnnxRuntimeError(Error, RuntimeError):
    """ONNX Runtime could not be opened, or failed."""

    name = "runtime"


class RuntimeNotFoundError(OnnxRuntimeError):
    """No ONNX Runtime library was found."""

    name = "runtime.not_found"


class RuntimeTooOldError(OnnxRuntimeError):
    """The ONNX Runtime library is older than polygraft needs."""

    name = "runtime.too_old"


class RuntimeFailedError(OnnxRuntimeError):
    """ONNX Runtime refused a model or a run."""

    name = "runtime.failed"


class RuntimeNotFiniteError(OnnxRuntimeError):
    """A model gave a number that is not finite, so there is no prediction."""

    name = "runtime.not_finite"


class GraphError(Error):
    """The graph of a model cannot be read or used."""

    name = "graph"


class GraphMalformedError(GraphError):
    """The bytes are not a valid ONNX model."""

    name = "graph.malformed"


class GraphUnsupportedError(GraphError):
    """An operator or a construct is not supported in this place of the graph."""

    name = "graph.unsupported"


class GraphExternalDataError(GraphError):
    """External weight data is missing, truncated or outside of the folder."""

    name = "graph.external_data"


class BundleError(Error):
    """A bundle cannot be read or used."""

    name = "bundle"


class BundleManifestError(BundleError):
    """The manifest of a bundle is missing, malformed or of an unknown version."""

    name = "bundle.manifest"


class BundleMismatchError(BundleError):
    """A file of a bundle does not have the content its manifest states."""

    name = "bundle.mismatch"


class BundleTokenizerError(BundleError):
    """The tokenizer cannot be read or does not fit the backbone."""

    name = "bundle.tokenizer"


class BundleUnusableError(BundleError):
    """The model of a bundle cannot be used for predictions or updates."""

    name = "bundle.unusable"


class AdapterError(Error):
    """An adapter cannot be read or used."""

    name = "adapter"


class AdapterMalformedError(AdapterError):
    """An adapter file is malformed."""

    name = "adapter.malformed"


class AdapterBaseMismatchError(AdapterError):
    """An adapter was trained on another backbone."""

    name = "adapter.base_mismatch"


class AdapterTensorsError(AdapterError):
    """Tensors of an adapter are missing, extra or misshapen."""

    name = "adapter.tensors"


class AdapterNoSiteError(AdapterError):
    """The backbone has no site that matches the adapter."""

    name = "adapter.no_site"


class AdapterUnsupportedError(AdapterError):
    """An adapter of another library uses a feature that polygraft does not support, or the
    reverse."""

    name = "adapter.unsupported"


class AdapterIdentityMismatchError(AdapterError):
    """An adapter was trained with another reading of texts than the bundle's, or does not state
    it."""

    name = "adapter.identity_mismatch"


class TaskError(Error):
    """An input or a target does not fit the task."""

    name = "task"


class TaskEmptyTextError(TaskError):
    """A text is empty."""

    name = "task.empty_text"


class TaskTooLongError(TaskError):
    """A text or label is longer than the stated limit."""

    name = "task.too_long"


class TaskUnknownLabelError(TaskError):
    """A label is not among the labels of the adapter."""

    name = "task.unknown_label"


class TaskNameError(TaskError):
    """A task name is malformed."""

    name = "task.name"


class TaskKindError(TaskError):
    """An input, a target or an adapter is of another kind than the task."""

    name = "task.kind"


class LanguageError(Error, ValueError):
    """A language tag names no language."""

    name = "language"


class LanguageMalformedError(LanguageError):
    """A language tag is not BCP 47."""

    name = "language.malformed"


class LanguageUnknownError(LanguageError):
    """A language tag is well-formed, but no such language is registered."""

    name = "language.unknown"


class StoreError(Error):
    """A store cannot be read or changed."""

    name = "store"


class StoreMalformedError(StoreError):
    """A store file is malformed or of an unknown version."""

    name = "store.malformed"


class StoreCorruptError(StoreError):
    """A stored file does not have the content its record states."""

    name = "store.corrupt"


class StoreNoVersionError(StoreError):
    """The store has no such version, or no version that serves the language."""

    name = "store.no_version"


class StoreLockedError(StoreError):
    """Another process or handle is writing to the store."""

    name = "store.locked"


class StorePinnedError(StoreError):
    """The language is pinned to a version."""

    name = "store.pinned"


class StoreChangedError(StoreError):
    """The store has changed since the caller read it."""

    name = "store.changed"


class RehearsalError(Error):
    """Remembered examples cannot be read."""

    name = "rehearsal"


class RehearsalMalformedError(RehearsalError):
    """A file of the rehearsal buffer is malformed."""

    name = "rehearsal.malformed"


class ExamplesError(Error):
    """A file of examples cannot be read."""

    name = "examples"


class ExamplesMalformedError(ExamplesError):
    """A line of an examples file is malformed."""

    name = "examples.malformed"


class UpdateError(Error):
    """An update cannot run or be committed."""

    name = "update"


class UpdateNoExamplesError(UpdateError):
    """An update has no training examples."""

    name = "update.no_examples"


class UpdateOneClassError(UpdateError):
    """An update has examples of one label only and the task has no others."""

    name = "update.one_class"


class UpdateStateError(UpdateError):
    """A function of the update was called in the wrong order."""

    name = "update.state"


class UpdateDivergedError(UpdateError):
    """The loss or a gradient is not a finite number."""

    name = "update.diverged"


class UpdateCheckpointError(UpdateError):
    """A checkpoint belongs to another update, or is damaged."""

    name = "update.checkpoint"


class RoundError(Error):
    """A round of many devices cannot be read or does not belong here."""

    name = "round"


class RoundMalformedError(RoundError):
    """The bytes of a round are damaged, or contain what is refused."""

    name = "round.malformed"


class RoundMismatchError(RoundError):
    """A round belongs to another bundle, task, message or base version."""

    name = "round.mismatch"
