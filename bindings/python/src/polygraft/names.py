"""The named values of the library: modes, strategies, phases, reasons and the like.

Each is an integer of the C interface. Its text is the name that the command and reports use, and
options take that name as well:

>>> str(Strategy.PER_LANGUAGE)
'per-language'
>>> Strategy.of("uriel")
<Strategy.URIEL: 3>

A newer library can give a value that this file does not know; it is named by its number:

>>> ReasonKind(200)
<ReasonKind.UNKNOWN_200: 200>
"""

from __future__ import annotations

import enum
from typing import TypeVar

Self = TypeVar("Self", bound="Named")


class Named(enum.IntEnum):
    """A named integer of the C interface."""

    @property
    def label(self) -> str:
        """The name as the command and reports write it."""
        return self.name.lower().replace("_", "-")

    def __str__(self) -> str:
        return self.label

    @classmethod
    def of(cls: type[Self], value: Self | str | int) -> Self:
        """The value with a name."""
        return cls(value)  # type: ignore[arg-type]

    @classmethod
    def _missing_(cls, value: object) -> Named:
        if isinstance(value, str):
            wanted = value.lower().replace("_", "-").replace(" ", "-")
            for member in cls:
                if member.label == wanted:
                    return member
            expected = ", ".join(member.label for member in cls)
            raise ValueError(f"{cls.__name__}: expected one of {expected}, found {value!r}")
        if not isinstance(value, int):
            raise TypeError(f"{cls.__name__}: expected a name, found {type(value).__name__}")
        unknown = int.__new__(cls, value)
        unknown._name_ = f"UNKNOWN_{value}"
        unknown._value_ = value
        return unknown


class Mode(Named):
    """How ONNX Runtime holds the weights."""

    #: The weights stay in clean, shared file pages. This takes the least private memory.
    LEAN = 0
    #: The weights are packed into private memory. This gives the fastest runs.
    FAST = 1


class Verify(Named):
    """What opening a model checks."""

    #: Opening checks the sizes of the bundle's files, and the hashes of the files that it reads
    #: whole. This takes milliseconds.
    QUICK = 0
    #: Opening checks the hash of every file of the bundle. This takes as long as reading the files.
    FULL = 1
    #: The default. Opening does what `FULL` does the first time it sees the weights, and what
    #: `QUICK` does as long as they have not been written to since. A small file remembers what was
    #: checked. It lies in the folder that the environment variable POLYGRAFT_CACHE_DIR names (an
    #: empty value switches it off), else in `polygraft` below XDG_CACHE_HOME or `~/.cache`.
    REMEMBERED = 2


class TaskKind(Named):
    """What a task predicts."""

    #: Classification: exactly one of several labels applies.
    CLASSIFICATION = 1
    #: Multi-label classification: any number of labels applies.
    MULTI_LABEL = 2
    #: Regression: a number.
    REGRESSION = 3
    #: Token classification: a tag for each word.
    TOKEN_CLASSIFICATION = 4
    #: Joint intent and slots: a label of the whole input and a tag for each word.
    INTENT_AND_SLOTS = 5
    #: Sequence to sequence: a generated text.
    SEQUENCE_TO_SEQUENCE = 6


class FinishReason(Named):
    """Why a generated text ended."""

    #: The prediction is not a generated text.
    NONE = 0
    #: The model generated an end token.
    END = 1
    #: The text reached the maximum number of tokens.
    LENGTH = 2
    #: The text reached a stop string, or the callback ended it.
    STOPPED = 3
    #: The cancel token was triggered; the prediction has the text as far as it was generated.
    CANCELLED = 4


class ReasonKind(Named):
    """Why the gate decided as it did."""

    #: The report has only the sentence, or a kind of reason that this version does not know.
    UNSTATED = 0
    #: Kept: the update had no candidate for the language.
    NO_CANDIDATE = 1
    #: Kept: the language is pinned to its version.
    PINNED = 2
    #: Kept: so few examples could hide a loss beyond the margin; `examples_needed` says how many
    #: more would do.
    TOO_FEW_EXAMPLES = 3
    #: Kept: the candidate is worse, with the gate's confidence.
    WORSE = 4
    #: Kept: a loss beyond the margin is possible, and more examples than are remembered would be
    #: needed to exclude it.
    UNCERTAIN = 5
    #: Activated: no version served the language before.
    FIRST_VERSION = 6
    #: Activated: the gate is off.
    GATE_OFF = 7
    #: Activated: the candidate is not worse by more than the margin, with the gate's confidence.
    NO_WORSE = 8
    #: Activated: the candidate is better, with the gate's confidence.
    BETTER = 9
    #: Kept: no candidate gives finite numbers for every example.
    NOT_FINITE = 10
    #: Kept: the candidate is no worse than the active version, but may be worse by more than the
    #: margin than an earlier version: small losses must not add up.
    BELOW_EARLIER = 11


class Decision(Named):
    """What the gate decided."""

    #: The language keeps the version it had.
    KEEP = 0
    #: The candidate becomes the language's active version.
    ACTIVATE = 1


class Candidate(Named):
    """The kind of a candidate version."""

    #: The update had no candidate for the language.
    NONE = 0
    #: The candidate was trained on the new data of all languages together.
    SHARED = 1
    #: The candidate was trained on the new data of the language itself.
    OWN = 2
    #: The candidate combines the deltas of near languages, weighted by typological distance.
    COMBINED = 3
    #: The candidate was imported from a file.
    IMPORTED = 4
    #: The candidate is the last version of the language that was better than what it replaced; it
    #: has nothing new.
    EARLIER = 5


class Strategy(Named):
    """How languages share data."""

    #: The update trains on the new examples only.
    NAIVE = 0
    #: The update mixes the new examples with remembered examples of all languages.
    REPLAY = 1
    #: Each language with new examples gets a version of its own; other languages do not change.
    PER_LANGUAGE = 2
    #: Languages share deltas by typological distance, and remembered examples are rehearsed.
    URIEL = 3


class Distance(Named):
    """The distance between languages that the strategy `uriel` uses."""

    #: The mean of the syntactic, genetic and geographic distances.
    MIXED = 0
    #: The difference in syntax.
    SYNTACTIC = 1
    #: The distance between the regions where the languages are spoken.
    GEOGRAPHIC = 2
    #: The distance in the tree of language families.
    GENETIC = 3
    #: The difference in phonology.
    PHONOLOGICAL = 4
    #: The difference in the inventory of sounds.
    INVENTORY = 5
    #: The difference in all features together.
    FEATURAL = 6


class Sharing(Named):
    """What the strategy `uriel` shares."""

    #: The deltas of several languages are added up with weights after training.
    COMBINE = 0
    #: Examples of several languages are drawn with weights during training.
    SAMPLE = 1


class AdapterKind(Named):
    """The kind of a new adapter."""

    #: LoRA: a new adapter adds a low-rank product to some linear layers.
    LORA = 0
    #: Bottleneck: a new adapter adds a small network to some sub-layers.
    BOTTLENECK = 1
    #: (IA)3: a new adapter multiplies the outputs or the inputs of some linear layers by factors.
    IA3 = 2


class Placement(Named):
    """What a new bottleneck reads."""

    #: Houlsby: a bottleneck reads the output of its sub-layer. It was published for both sub-
    #: layers.
    SEQUENTIAL = 0
    #: Pfeiffer: a bottleneck reads the normalised sum after its sub-layer. It was published for the
    #: feed-forward sub-layer.
    AFTER_NORM = 1
    #: Parallel: a bottleneck reads the input of the feed-forward sub-layer. It has no other sub-
    #: layer.
    PARALLEL = 2


class SubLayers(Named):
    """The sub-layers that new bottlenecks attach to."""

    #: Bottlenecks attach to the sub-layers that their placement was published for.
    AS_PUBLISHED = 0
    #: A bottleneck attaches to every attention sub-layer.
    ATTENTION = 1
    #: A bottleneck attaches to every feed-forward sub-layer.
    FEED_FORWARD = 2
    #: A bottleneck attaches to every attention and every feed-forward sub-layer.
    BOTH = 3


class Activation(Named):
    """The function between the layers of a bottleneck."""

    #: The function between the layers of a bottleneck is `max(x, 0)`.
    RELU = 0
    #: The function between the layers of a bottleneck is `x Phi(x)`.
    GELU = 1
    #: The function between the layers of a bottleneck is `x sigmoid(x)`.
    SILU = 2


class Phase(Named):
    """What an update is doing. Phases follow each other in the order of their numbers."""

    #: The update splits and tokenizes the examples and opens the training session.
    PREPARE = 0
    #: The update trains the candidates. Steps are optimiser steps.
    TRAIN = 1
    #: The update measures the active versions. Steps are examples.
    MEASURE_BEFORE = 2
    #: The update measures the candidates. Steps are examples. Phases follow each other in the order
    #: of their numbers.
    MEASURE_AFTER = 3


class LogSeverity(Named):
    """How severe a line of a log is."""

    #: Details of what ONNX Runtime does to a graph.
    VERBOSE = 0
    #: What is normal, for example that something was opened.
    INFO = 1
    #: Something is suspicious, and the call continues.
    WARNING = 2
    #: A call fails; its error says the same.
    ERROR = 3
    #: A fatal failure.
    FATAL = 4


class ImportActivation(Named):
    """Whether an imported version becomes active."""

    #: The imported version is published and does not become active.
    NEVER = 0
    #: The default. It becomes active if the gate finds it no worse than the version that serves the
    #: language, on the held-out examples that are remembered, or if nothing serves the language.
    GATED = 1
    #: It becomes active without being measured, unless the language is pinned.
    ALWAYS = 2


class AdapterFormat(Named):
    """The format of an adapter in files."""

    #: polygraft's own file.
    OWN = 0
    #: A folder of the library PEFT.
    PEFT = 1
    #: A file of ONNX Runtime, `.onnx_adapter`.
    ONNX_ADAPTER = 2
    #: A folder of the library `adapters` of AdapterHub.
    ADAPTERHUB = 3


class StepKind(Named):
    """Why a language is asked for a version."""

    #: It is the requested language.
    OWN = 0
    #: Its tag is a prefix of the requested tag.
    SHORTER_TAG = 1
    #: It is the nearest language with an active version.
    NEAREST = 2
    #: It is the nearest language with an active version, but too far away to serve.
    TOO_FAR = 3
    #: It is the shared adapter, `mul`.
    SHARED = 4


class CheckState(Named):
    """The outcome of a check."""

    #: Nothing is wrong.
    OK = 0
    #: Worth knowing, and nothing is wrong.
    NOTE = 1
    #: Something is wrong.
    WRONG = 2
