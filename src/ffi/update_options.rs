//! The options of an update in C.

use super::error::{ErrorObject, Status};
use super::input::owned;
use super::model::MODES;
use super::sized::{self, SizedStruct, count, flag, named, number, small};
use super::text::texts;
use crate::adapter::{Activation, BottleneckConfig, Kind, Placement};
use crate::error::Result;
use crate::language::Distance;
use crate::update::{
    GateOptions, OptimizerOptions, Sharing, StrategyKind, UpdateOptions as Options, UrielOptions,
};
use std::ffi::c_char;

/// The update trains on the new examples only.
pub const POLYGRAFT_STRATEGY_NAIVE: u32 = 0;
/// The update mixes the new examples with remembered examples of all languages.
pub const POLYGRAFT_STRATEGY_REPLAY: u32 = 1;
/// Each language with new examples gets a version of its own; other languages do not change.
pub const POLYGRAFT_STRATEGY_PER_LANGUAGE: u32 = 2;
/// Languages share deltas by typological distance, and remembered examples are rehearsed.
pub const POLYGRAFT_STRATEGY_URIEL: u32 = 3;

/// The mean of the syntactic, genetic and geographic distances.
pub const POLYGRAFT_DISTANCE_MIXED: u32 = 0;
/// The difference in syntax.
pub const POLYGRAFT_DISTANCE_SYNTACTIC: u32 = 1;
/// The distance between the regions where the languages are spoken.
pub const POLYGRAFT_DISTANCE_GEOGRAPHIC: u32 = 2;
/// The distance in the tree of language families.
pub const POLYGRAFT_DISTANCE_GENETIC: u32 = 3;
/// The difference in phonology.
pub const POLYGRAFT_DISTANCE_PHONOLOGICAL: u32 = 4;
/// The difference in the inventory of sounds.
pub const POLYGRAFT_DISTANCE_INVENTORY: u32 = 5;
/// The difference in all features together.
pub const POLYGRAFT_DISTANCE_FEATURAL: u32 = 6;

/// The deltas of several languages are added up with weights after training.
pub const POLYGRAFT_SHARING_COMBINE: u32 = 0;
/// Examples of several languages are drawn with weights during training.
pub const POLYGRAFT_SHARING_SAMPLE: u32 = 1;

/// LoRA: a new adapter adds a low-rank product to some linear layers.
pub const POLYGRAFT_ADAPTER_LORA: u32 = 0;
/// Bottleneck: a new adapter adds a small network to some sub-layers.
pub const POLYGRAFT_ADAPTER_BOTTLENECK: u32 = 1;
/// (IA)3: a new adapter multiplies the outputs or the inputs of some linear layers by factors.
pub const POLYGRAFT_ADAPTER_IA3: u32 = 2;

/// Houlsby: a bottleneck reads the output of its sub-layer. It was published for both sub-layers.
pub const POLYGRAFT_PLACEMENT_SEQUENTIAL: u32 = 0;
/// Pfeiffer: a bottleneck reads the normalised sum after its sub-layer. It was published for the
/// feed-forward sub-layer.
pub const POLYGRAFT_PLACEMENT_AFTER_NORM: u32 = 1;
/// Parallel: a bottleneck reads the input of the feed-forward sub-layer. It has no other sub-layer.
pub const POLYGRAFT_PLACEMENT_PARALLEL: u32 = 2;

/// Bottlenecks attach to the sub-layers that their placement was published for.
pub const POLYGRAFT_SUB_LAYERS_AS_PUBLISHED: u32 = 0;
/// A bottleneck attaches to every attention sub-layer.
pub const POLYGRAFT_SUB_LAYERS_ATTENTION: u32 = 1;
/// A bottleneck attaches to every feed-forward sub-layer.
pub const POLYGRAFT_SUB_LAYERS_FEED_FORWARD: u32 = 2;
/// A bottleneck attaches to every attention and every feed-forward sub-layer.
pub const POLYGRAFT_SUB_LAYERS_BOTH: u32 = 3;

/// Attention and feed-forward in the order of the numbers of the sub-layers; none is as published.
const SUB_LAYERS: [Option<(bool, bool)>; 4] =
    [None, Some((true, false)), Some((false, true)), Some((true, true))];

/// The function between the layers of a bottleneck is `max(x, 0)`.
pub const POLYGRAFT_ACTIVATION_RELU: u32 = 0;
/// The function between the layers of a bottleneck is `x Phi(x)`.
pub const POLYGRAFT_ACTIVATION_GELU: u32 = 1;
/// The function between the layers of a bottleneck is `x sigmoid(x)`.
pub const POLYGRAFT_ACTIVATION_SILU: u32 = 2;

/// How to update. `polygraft_update_options_init` fills it with the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UpdateOptions {
    /// `sizeof(polygraft_update_options)`.
    pub struct_size: u32,
    /// How languages share data, one of `POLYGRAFT_STRATEGY_*`.
    pub strategy: u32,
    /// The seed of all random choices. The same seed, thread count and examples give the same
    /// bytes.
    pub seed: u64,
    /// How ONNX Runtime holds the weights for training, one of `POLYGRAFT_MODE_*`.
    pub mode: u32,
    /// The number of threads of a training step; 0 takes all cores.
    pub threads: u32,
    /// The number of examples of one optimiser step.
    pub batch_size: u32,
    /// The maximum number of tokens, padding included, of one run of the training graph. It bounds
    /// the memory of a step.
    pub micro_batch_tokens_max: u32,
    /// 1 allows labels that the task did not have before; 0 refuses them.
    pub new_labels: u8,
    /// 1 scales LoRA by alpha / sqrt(rank); 0 scales it by alpha / rank.
    pub lora_rank_stabilized: u8,
    /// 1 activates only in languages that do not get worse; 0 activates in all languages.
    pub gate_enabled: u8,
    /// The percentage of new examples that is held out, 0 to 90. It is fixed once a task has
    /// examples.
    pub rehearsal_held_out_percent: u8,
    /// 0.
    pub reserved: u32,
    /// The number of passes over the new examples, which may be fractional. 0 derives it from the
    /// number of examples: four passes, or as many as make `steps_min` steps; training ends earlier
    /// when nothing is left to learn.
    pub epochs: f64,
    /// The number of rehearsed examples per new example, for strategies that rehearse.
    pub rehearsal_ratio: f64,
    /// The maximum size of the rehearsal buffer on disk, in bytes. Languages share it evenly.
    pub rehearsal_bytes_max: u64,
    /// The maximum number of remembered training examples per language. Labels share it evenly.
    pub rehearsal_examples_per_language_max: u32,
    /// The maximum number of held-out examples per language. Labels share it evenly.
    pub rehearsal_held_out_per_language_max: u32,
    /// The maximum number of optimiser steps; 0 for no limit.
    pub steps_max: u64,
    /// The peak learning rate.
    pub learning_rate: f64,
    /// The factor on the learning rate of a new head, and of a head with new labels.
    pub head_rate_factor: f64,
    /// The decay of the optimiser's first moment.
    pub beta1: f64,
    /// The decay of the optimiser's second moment.
    pub beta2: f64,
    /// The term in the optimiser's denominator that prevents division by zero.
    pub epsilon: f64,
    /// The decoupled weight decay.
    pub weight_decay: f64,
    /// The fraction of the steps during which the learning rate rises.
    pub warmup_fraction: f64,
    /// The maximum norm of the gradients, which are scaled down to it; 0 does not clip.
    pub clip_norm: f64,
    /// The LoRA rank of a new adapter; an existing adapter keeps its rank.
    pub lora_rank: u32,
    /// The number of patterns in `lora_targets`; 0 for the default targets.
    pub lora_targets_count: u32,
    /// The LoRA alpha of a new adapter; `lora_rank_stabilized` says how it scales.
    pub lora_alpha: f64,
    /// Patterns of the module names where adapters attach. They are read when the update begins.
    pub lora_targets: *const *const c_char,
    /// The gate's margin: the loss in score that a candidate may have and still be activated.
    pub gate_margin: f64,
    /// The one-sided confidence of the gate's bound, from 0.5 to less than 1.
    pub gate_confidence: f64,
    /// The time budget in seconds, after which training ends; 0 for no limit.
    pub seconds_max: f64,
    /// The number of optimiser steps between checkpoints, from which the same update continues
    /// after a crash or a cancellation; 0 writes no checkpoints.
    pub checkpoint_steps: u64,
    /// The distance at which the uriel strategy shares with a weight of 1/e (37 %); more than 0.
    pub uriel_temperature: f64,
    /// The distance that the uriel strategy uses, one of `POLYGRAFT_DISTANCE_*`.
    pub uriel_distance: u32,
    /// The maximum number of languages that one language learns from; 0 for no limit.
    pub uriel_neighbours: u32,
    /// What the uriel strategy shares, one of `POLYGRAFT_SHARING_*`.
    pub uriel_sharing: u32,
    /// 1 trains at the lowest priority of the system, so that predictions come first; 0 trains at
    /// normal priority.
    pub background: u32,
    /// The maximum private memory of one run of the training graph, in bytes, by estimate; 0 for no
    /// limit.
    pub memory_bytes_max: u64,
    /// The kind of a new adapter, one of `POLYGRAFT_ADAPTER_*`; an existing adapter keeps its kind.
    /// `lora_targets` also names the layers that new (IA)3 factors multiply.
    pub adapter_kind: u32,
    /// The placement of new bottlenecks, one of `POLYGRAFT_PLACEMENT_*`.
    pub bottleneck_placement: u32,
    /// The activation function of new bottlenecks, one of `POLYGRAFT_ACTIVATION_*`.
    pub bottleneck_activation: u32,
    /// The sub-layers of new bottlenecks, one of `POLYGRAFT_SUB_LAYERS_*`.
    pub bottleneck_sub_layers: u32,
    /// The size of the hidden states divided by the size of new bottlenecks.
    pub bottleneck_reduction_factor: f64,
    /// The share of a target's probability that is spread evenly over all tokens, from 0 to less
    /// than 1. It applies to sequence-to-sequence tasks only.
    pub label_smoothing: f64,
    /// The minimum number of optimiser steps of a training run while `epochs` is 0. A run that
    /// starts from a version takes a third of it.
    pub steps_min: u64,
    /// How much the outputs of the version that a training run starts from count in the targets of
    /// rehearsed examples, beside their labels, from 0 to 1. It does not apply to
    /// sequence-to-sequence tasks.
    pub distillation: f64,
    /// The number of layers, from the end of the backbone, that a new adapter attaches to; 0 for
    /// all. What lies below them is computed once for each text of an update. Bottlenecks attach to
    /// all.
    pub layers_top: u64,
    /// The maximum size of hidden states below the lowest adapter that an update keeps in memory,
    /// in bytes; others are in a file while the update runs. With 0 none are kept, and all layers
    /// run in every step.
    pub lower_states_bytes_max: u64,
}

// SAFETY: repr(C); integers, floats and a raw pointer only; `struct_size` first.
unsafe impl SizedStruct for UpdateOptions {
    const NAME: &'static str = "polygraft_update_options";
}

impl UpdateOptions {
    fn defaults() -> Self {
        let options = Options::default();
        let Options { optimizer, lora, bottleneck, gate, rehearsal, uriel, .. } = &options;
        Self {
            struct_size: size_of::<Self>() as u32,
            strategy: number(StrategyKind::ALL, options.strategy),
            seed: options.seed,
            mode: number(&MODES, options.mode),
            threads: small(options.threads),
            batch_size: small(options.batch_size),
            micro_batch_tokens_max: small(options.micro_batch_tokens_max),
            new_labels: options.new_labels.into(),
            lora_rank_stabilized: lora.rank_stabilized.into(),
            gate_enabled: gate.enabled.into(),
            rehearsal_held_out_percent: rehearsal.held_out_percent,
            reserved: 0,
            epochs: options.epochs,
            rehearsal_ratio: options.rehearsal_ratio,
            rehearsal_bytes_max: rehearsal.bytes_max,
            rehearsal_examples_per_language_max: small(rehearsal.examples_per_language_max),
            rehearsal_held_out_per_language_max: small(rehearsal.held_out_per_language_max),
            steps_max: options.steps_max as u64,
            learning_rate: optimizer.learning_rate,
            head_rate_factor: optimizer.head_rate_factor,
            beta1: optimizer.beta1,
            beta2: optimizer.beta2,
            epsilon: optimizer.epsilon,
            weight_decay: optimizer.weight_decay,
            warmup_fraction: optimizer.warmup_fraction,
            clip_norm: optimizer.clip_norm,
            lora_rank: small(lora.rank),
            lora_targets_count: 0,
            lora_alpha: lora.alpha,
            lora_targets: std::ptr::null(),
            gate_margin: gate.margin,
            gate_confidence: gate.confidence,
            seconds_max: options.seconds_max,
            checkpoint_steps: options.checkpoint_steps as u64,
            uriel_temperature: uriel.temperature,
            uriel_distance: number(Distance::ALL, uriel.distance),
            uriel_neighbours: small(uriel.neighbours),
            uriel_sharing: number(Sharing::ALL, uriel.sharing),
            background: options.background.into(),
            memory_bytes_max: options.memory_bytes_max,
            adapter_kind: number(Kind::ALL, options.kind),
            bottleneck_placement: number(Placement::ALL, bottleneck.placement),
            bottleneck_activation: number(Activation::ALL, bottleneck.activation),
            bottleneck_sub_layers: POLYGRAFT_SUB_LAYERS_AS_PUBLISHED,
            bottleneck_reduction_factor: bottleneck.reduction_factor,
            label_smoothing: options.label_smoothing,
            steps_min: options.steps_min as u64,
            distillation: options.distillation,
            layers_top: options.layers_top as u64,
            lower_states_bytes_max: options.lower_states_bytes_max,
        }
    }

    /// Reads a caller's options; NULL means the defaults.
    ///
    /// # Safety
    /// `options` is NULL or points to a struct that states its size truly and whose pointers are
    /// valid.
    pub(super) unsafe fn read(options: *const Self) -> Result<Options> {
        // SAFETY: the same promise.
        let c = unsafe { sized::read(options, Self::defaults()) }?;
        // SAFETY: the same promise.
        let targets =
            unsafe { texts("lora_targets", c.lora_targets, c.lora_targets_count as usize) }?;
        let Options { mut lora, mut ia3, mut rehearsal, .. } = Options::default();
        lora.rank = c.lora_rank as usize;
        lora.alpha = c.lora_alpha;
        lora.rank_stabilized = flag("lora_rank_stabilized", c.lora_rank_stabilized)?;
        if !targets.is_empty() {
            lora.targets = owned(targets);
            ia3.targets.clone_from(&lora.targets);
        }
        rehearsal.bytes_max = c.rehearsal_bytes_max;
        rehearsal.examples_per_language_max = c.rehearsal_examples_per_language_max as usize;
        rehearsal.held_out_per_language_max = c.rehearsal_held_out_per_language_max as usize;
        rehearsal.held_out_percent = c.rehearsal_held_out_percent;
        Ok(Options {
            strategy: named("strategy", StrategyKind::ALL, c.strategy)?,
            uriel: UrielOptions {
                distance: named("uriel_distance", Distance::ALL, c.uriel_distance)?,
                temperature: c.uriel_temperature,
                neighbours: c.uriel_neighbours as usize,
                sharing: named("uriel_sharing", Sharing::ALL, c.uriel_sharing)?,
            },
            seed: c.seed,
            mode: named("mode", &MODES, c.mode)?,
            threads: c.threads as usize,
            epochs: c.epochs,
            steps_min: count("steps_min", c.steps_min)?,
            steps_max: count("steps_max", c.steps_max)?,
            seconds_max: c.seconds_max,
            memory_bytes_max: c.memory_bytes_max,
            layers_top: count("layers_top", c.layers_top)?,
            lower_states_bytes_max: c.lower_states_bytes_max,
            checkpoint_steps: count("checkpoint_steps", c.checkpoint_steps)?,
            background: named("background", &[false, true], c.background)?,
            batch_size: c.batch_size as usize,
            micro_batch_tokens_max: c.micro_batch_tokens_max as usize,
            label_smoothing: c.label_smoothing,
            rehearsal_ratio: c.rehearsal_ratio,
            distillation: c.distillation,
            new_labels: flag("new_labels", c.new_labels)?,
            optimizer: c.optimizer(),
            kind: named("adapter_kind", Kind::ALL, c.adapter_kind)?,
            lora,
            bottleneck: c.bottleneck()?,
            ia3,
            gate: GateOptions {
                enabled: flag("gate_enabled", c.gate_enabled)?,
                margin: c.gate_margin,
                confidence: c.gate_confidence,
            },
            rehearsal,
        })
    }

    fn bottleneck(&self) -> Result<BottleneckConfig> {
        let placement = named("bottleneck_placement", Placement::ALL, self.bottleneck_placement)?;
        let published = BottleneckConfig::of(placement);
        let sub_layers = named("bottleneck_sub_layers", &SUB_LAYERS, self.bottleneck_sub_layers)?;
        let (attention, feed_forward) =
            sub_layers.unwrap_or((published.attention, published.feed_forward));
        Ok(BottleneckConfig {
            activation: named(
                "bottleneck_activation",
                Activation::ALL,
                self.bottleneck_activation,
            )?,
            reduction_factor: self.bottleneck_reduction_factor,
            attention,
            feed_forward,
            ..published
        })
    }

    fn optimizer(&self) -> OptimizerOptions {
        OptimizerOptions {
            learning_rate: self.learning_rate,
            head_rate_factor: self.head_rate_factor,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            warmup_fraction: self.warmup_fraction,
            clip_norm: self.clip_norm,
        }
    }
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_update_options)` as `struct_size`.
///
/// Ownership: the function writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_options_init(
    options: *mut UpdateOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { sized::init(error, options, struct_size, UpdateOptions::defaults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_the_positions_of_their_values() {
        let strategies = [StrategyKind::Replay, StrategyKind::PerLanguage, StrategyKind::Uriel];
        assert_eq!(strategies.map(|strategy| number(StrategyKind::ALL, strategy)), [1, 2, 3]);
        assert_eq!(number(Distance::ALL, Distance::Genetic), POLYGRAFT_DISTANCE_GENETIC);
        assert_eq!(number(Distance::ALL, Distance::Featural), POLYGRAFT_DISTANCE_FEATURAL);
        assert_eq!(number(Sharing::ALL, Sharing::Sample), POLYGRAFT_SHARING_SAMPLE);
        assert_eq!(number(Kind::ALL, Kind::Bottleneck), POLYGRAFT_ADAPTER_BOTTLENECK);
        assert_eq!(number(Kind::ALL, Kind::Ia3), POLYGRAFT_ADAPTER_IA3);
        assert_eq!(number(Placement::ALL, Placement::AfterNorm), POLYGRAFT_PLACEMENT_AFTER_NORM);
        assert_eq!(number(Placement::ALL, Placement::Parallel), POLYGRAFT_PLACEMENT_PARALLEL);
        assert_eq!(number(Activation::ALL, Activation::Gelu), POLYGRAFT_ACTIVATION_GELU);
        assert_eq!(number(Activation::ALL, Activation::Silu), POLYGRAFT_ACTIVATION_SILU);
    }
}
