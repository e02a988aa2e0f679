"""Options: what may be chosen when a model is opened, when it predicts and when it is updated.

Every field that is None takes the library's default, which `defaults()` shows. Fields have the
names of the C structs, so that the header's documentation holds for them.

>>> UpdateOptions(strategy="per-language", seed=7).strategy
<Strategy.PER_LANGUAGE: 2>
>>> UpdateOptions(strategy="best")
Traceback (most recent call last):
ValueError: Strategy: expected one of naive, replay, per-language, uriel, found 'best'
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from polygraft._declarations import ffi
from polygraft._library import defaults_of, encode, text_array
from polygraft.names import (
    Activation,
    AdapterFormat,
    AdapterKind,
    Distance,
    ImportActivation,
    Mode,
    Named,
    Placement,
    Sharing,
    Strategy,
    SubLayers,
    Verify,
)

#: The fields that hold a named value, with its type.
NAMED: dict[str, type[Named]] = {
    "activation": ImportActivation,
    "format": AdapterFormat,
    "mode": Mode,
    "verify": Verify,
    "strategy": Strategy,
    "uriel_distance": Distance,
    "uriel_sharing": Sharing,
    "adapter_kind": AdapterKind,
    "bottleneck_placement": Placement,
    "bottleneck_activation": Activation,
    "bottleneck_sub_layers": SubLayers,
}

#: The fields that hold a list of texts; each has a field with the length in C.
LISTS = ("targets", "stop_strings", "lora_targets", "labels")

Self = TypeVar("Self", bound="Options")


class Options:
    """Options that become a struct of the library."""

    _kind: ClassVar[str]

    def __post_init__(self) -> None:
        for name, value in given(self):
            if name in NAMED:
                object.__setattr__(self, name, NAMED[name].of(value))

    @classmethod
    def defaults(cls: type[Self]) -> Self:
        """The library's defaults, as numbers and names."""
        filled = defaults_of(cls._kind)
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            value = getattr(filled, field.name)
            if isinstance(value, ffi.CData):
                # The defaults of lists and tokens are none.
                continue
            is_flag = field.type == "bool | None"  # annotations are texts in this file
            values[field.name] = bool(value) if is_flag else value
        return cls(**values)


def given(options: Options) -> list[tuple[str, Any]]:
    """The fields that are not None."""
    names = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
    return [(name, getattr(options, name)) for name in names if getattr(options, name) is not None]


def to_struct(kind: type[Options], options: Options | None, kept: list[Any]) -> Any:
    """The struct of options for a call; `kept` gets what it points to."""
    filled = defaults_of(kind._kind)
    if options is not None and not isinstance(options, kind):
        raise TypeError(f"options: expected {kind.__name__}, found {type(options).__name__}")
    for name, value in given(options) if options is not None else []:
        if name in LISTS:
            array = text_array(name, value)
            kept.append(array)
            setattr(filled, f"{name}_count", len(value))
            value = array
        elif isinstance(value, str):
            value = ffi.new("char[]", encode(name, value))
            kept.append(value)
        try:
            setattr(filled, name, value)
        except (TypeError, OverflowError) as error:
            raise type(error)(f"{name}: {error}") from None
    return filled


@dataclass(frozen=True)
class ModelOptions(Options):
    """How to open a model."""

    _kind: ClassVar[str] = "model_options"

    #: How ONNX Runtime holds the weights.
    mode: Mode | str | None = None
    #: The number of threads of one prediction; 0 takes all cores.
    threads: int | None = None
    #: What opening checks.
    verify: Verify | str | None = None
    #: Patterns of the module names where adapters may attach. They are read during the call.
    targets: Sequence[str] | None = None


@dataclass(frozen=True)
class PredictOptions(Options):
    """How to predict. All fields but `top_k` are about generated texts."""

    _kind: ClassVar[str] = "predict_options"

    #: The number of labels to give, the most probable first; 0 gives all.
    top_k: int | None = None
    #: Generation: the number of beams. The default, 1, is greedy decoding.
    num_beams: int | None = None
    #: Generation: the maximum number of new tokens, including the end token; 0 takes the limit of
    #: the bundle.
    max_new_tokens: int | None = None
    #: Generation: the exponent of the length in the score of a finished hypothesis, which is its
    #: log probability / tokens ^ `length_penalty`. The default is 1; values above 0 favour longer
    #: texts, values below 0 shorter ones. It has no effect with one beam.
    length_penalty: float | None = None
    #: Generation: strings that end a text. The text is cut before the first of them. They are read
    #: during the call.
    stop_strings: Sequence[str] | None = None
    #: Generation: the id of the first token, which selects the language in some models; -1 takes
    #: what the bundle says.
    forced_bos_token_id: int | None = None
    #: Generation: the minimum number of new tokens. Before it is reached, only a string of
    #: `stop_strings` ends a text.
    min_new_tokens: int | None = None
    #: Generation: no sequence of this many tokens occurs twice; 0 switches the rule off.
    no_repeat_ngram_size: int | None = None
    #: Generation: the penalty on tokens that occurred before. Their logits are divided by it if
    #: positive and multiplied by it if negative. The default is 1, which changes nothing; values
    #: above 1 make repetition less probable.
    repetition_penalty: float | None = None


@dataclass(frozen=True)
class UpdateOptions(Options):
    """How to update."""

    _kind: ClassVar[str] = "update_options"

    #: How languages share data.
    strategy: Strategy | str | None = None
    #: The seed of all random choices. The same seed, thread count and examples give the same bytes.
    seed: int | None = None
    #: How ONNX Runtime holds the weights for training.
    mode: Mode | str | None = None
    #: The number of threads of a training step; 0 takes all cores.
    threads: int | None = None
    #: The number of examples of one optimiser step.
    batch_size: int | None = None
    #: The maximum number of tokens, padding included, of one run of the training graph. It bounds
    #: the memory of a step.
    micro_batch_tokens_max: int | None = None
    #: True allows labels that the task did not have before; False refuses them.
    new_labels: bool | None = None
    #: True scales LoRA by alpha / sqrt(rank); False scales it by alpha / rank.
    lora_rank_stabilized: bool | None = None
    #: True activates only in languages that do not get worse; False activates in all languages.
    gate_enabled: bool | None = None
    #: The percentage of new examples that is held out, 0 to 90. It is fixed once a task has
    #: examples.
    rehearsal_held_out_percent: int | None = None
    #: The number of passes over the new examples, which may be fractional. 0 derives it from the
    #: number of examples: four passes, or as many as make `steps_min` steps; training ends earlier
    #: when nothing is left to learn.
    epochs: float | None = None
    #: The number of rehearsed examples per new example, for strategies that rehearse.
    rehearsal_ratio: float | None = None
    #: The maximum size of the rehearsal buffer on disk, in bytes. Languages share it evenly.
    rehearsal_bytes_max: int | None = None
    #: The maximum number of remembered training examples per language. Labels share it evenly.
    rehearsal_examples_per_language_max: int | None = None
    #: The maximum number of held-out examples per language. Labels share it evenly.
    rehearsal_held_out_per_language_max: int | None = None
    #: The maximum number of optimiser steps; 0 for no limit.
    steps_max: int | None = None
    #: The peak learning rate.
    learning_rate: float | None = None
    #: The factor on the learning rate of a new head, and of a head with new labels.
    head_rate_factor: float | None = None
    #: The decay of the optimiser's first moment.
    beta1: float | None = None
    #: The decay of the optimiser's second moment.
    beta2: float | None = None
    #: The term in the optimiser's denominator that prevents division by zero.
    epsilon: float | None = None
    #: The decoupled weight decay.
    weight_decay: float | None = None
    #: The fraction of the steps during which the learning rate rises.
    warmup_fraction: float | None = None
    #: The maximum norm of the gradients, which are scaled down to it; 0 does not clip.
    clip_norm: float | None = None
    #: The LoRA rank of a new adapter; an existing adapter keeps its rank.
    lora_rank: int | None = None
    #: The LoRA alpha of a new adapter; `lora_rank_stabilized` says how it scales.
    lora_alpha: float | None = None
    #: Patterns of the module names where adapters attach. They are read when the update begins.
    lora_targets: Sequence[str] | None = None
    #: The gate's margin: the loss in score that a candidate may have and still be activated.
    gate_margin: float | None = None
    #: The one-sided confidence of the gate's bound, from 0.5 to less than 1.
    gate_confidence: float | None = None
    #: The time budget in seconds, after which training ends; 0 for no limit.
    seconds_max: float | None = None
    #: The number of optimiser steps between checkpoints, from which the same update continues after
    #: a crash or a cancellation; 0 writes no checkpoints.
    checkpoint_steps: int | None = None
    #: The distance at which the uriel strategy shares with a weight of 1/e (37 %); more than 0.
    uriel_temperature: float | None = None
    #: The distance that the uriel strategy uses.
    uriel_distance: Distance | str | None = None
    #: The maximum number of languages that one language learns from; 0 for no limit.
    uriel_neighbours: int | None = None
    #: What the uriel strategy shares.
    uriel_sharing: Sharing | str | None = None
    #: True trains at the lowest priority of the system, so that predictions come first; False
    #: trains at normal priority.
    background: bool | None = None
    #: The maximum private memory of one run of the training graph, in bytes, by estimate; 0 for no
    #: limit.
    memory_bytes_max: int | None = None
    #: The kind of a new adapter; an existing adapter keeps its kind. `lora_targets` also names the
    #: layers that new (IA)3 factors multiply.
    adapter_kind: AdapterKind | str | None = None
    #: The placement of new bottlenecks.
    bottleneck_placement: Placement | str | None = None
    #: The activation function of new bottlenecks.
    bottleneck_activation: Activation | str | None = None
    #: The sub-layers of new bottlenecks.
    bottleneck_sub_layers: SubLayers | str | None = None
    #: The size of the hidden states divided by the size of new bottlenecks.
    bottleneck_reduction_factor: float | None = None
    #: The share of a target's probability that is spread evenly over all tokens, from 0 to less
    #: than 1. It applies to sequence-to-sequence tasks only.
    label_smoothing: float | None = None
    #: The minimum number of optimiser steps of a training run while `epochs` is 0. A run that
    #: starts from a version takes a third of it.
    steps_min: int | None = None
    #: How much the outputs of the version that a training run starts from count in the targets of
    #: rehearsed examples, beside their labels, from 0 to 1. It does not apply to
    #: sequence-to-sequence tasks.
    distillation: float | None = None
    #: The number of layers, from the end of the backbone, that a new adapter attaches to; 0 for
    #: all. What lies below them is computed once for each text of an update. Bottlenecks attach to
    #: all.
    layers_top: int | None = None
    #: The maximum size of hidden states below the lowest adapter that an update keeps in memory,
    #: in bytes; others are in a file while the update runs. With 0 none are kept, and all layers
    #: run in every step.
    lower_states_bytes_max: int | None = None


@dataclass(frozen=True)
class ImportOptions(Options):
    """How to import an adapter."""

    _kind: ClassVar[str] = "import_options"

    #: Whether the version becomes active.
    activation: ImportActivation | str | None = None
    #: The loss of accuracy that the gate still counts as not worse, 0 to 1.
    gate_margin: float | None = None
    #: The confidence of the gate, 0.5 to less than 1.
    gate_confidence: float | None = None
    #: The labels of the head in the order of its outputs, instead of those that the file states. An
    #: adapter without a head gets a new one of zeros for them.
    labels: Sequence[str] | None = None
    #: True if the head reads the pooled hidden states of the bundle, whatever the file names.
    head_on_pooled: bool | None = None
    #: The prefix of the layers in the other library's model, for example `bert`, or an empty text;
    #: otherwise it is found from the names.
    encoder: str | None = None
    #: The prefix of the same layers in the bundle, if several fit.
    within: str | None = None


@dataclass(frozen=True)
class ExportOptions(Options):
    """How to export a version."""

    _kind: ClassVar[str] = "export_options"

    #: The format; the default is polygraft's own.
    format: AdapterFormat | str | None = None
    #: The name of the encoder in the other library's model, for example `bert`.
    encoder: str | None = None
    #: The prefix of the layers in the bundle that is not written.
    within: str | None = None
    #: The module of the head in PEFT's model; `classifier` by default.
    head_module: str | None = None
    #: The name of the adapter in AdapterHub; `polygraft` by default.
    name: str | None = None
    #: The name of the architecture in AdapterHub, for example `xlm-roberta`; as `encoder` by
    #: default.
    model_type: str | None = None
    #: True to leave the head out.
    without_head: bool | None = None
