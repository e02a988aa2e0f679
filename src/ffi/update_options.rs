//! The options of an update, as C sees them.

use super::error::ErrorObject;
use super::gate::{Status, gate};
use super::model::{mode_from_c, mode_to_c};
use super::sized::{self, SizedStruct, count, flag};
use super::text::texts;
use crate::error::{Code, Error, Result};
use crate::language::Distance;
use crate::update::{
    Activation, BottleneckConfig, GateOptions, Kind, OptimizerOptions, Placement, Sharing,
    StrategyKind, UpdateOptions as Options, UrielOptions,
};
use std::ffi::c_char;

/// Train on the new examples alone.
pub const POLYGRAFT_STRATEGY_NAIVE: u32 = 0;
/// Mix the new examples with remembered ones of all languages.
pub const POLYGRAFT_STRATEGY_REPLAY: u32 = 1;
/// Give each language with new examples its own version and touch nobody else.
pub const POLYGRAFT_STRATEGY_PER_LANGUAGE: u32 = 2;
/// Share what the new examples teach by typological distance, and rehearse.
pub const POLYGRAFT_STRATEGY_URIEL: u32 = 3;

/// The strategies in the order of their numbers.
const STRATEGIES: [StrategyKind; 4] =
    [StrategyKind::Naive, StrategyKind::Replay, StrategyKind::PerLanguage, StrategyKind::Uriel];

/// The mean of the syntactic, genetic and geographic distances.
pub const POLYGRAFT_DISTANCE_MIXED: u32 = 0;
/// How differently sentences are built.
pub const POLYGRAFT_DISTANCE_SYNTACTIC: u32 = 1;
/// How far apart languages are spoken.
pub const POLYGRAFT_DISTANCE_GEOGRAPHIC: u32 = 2;
/// How few ancestors languages share.
pub const POLYGRAFT_DISTANCE_GENETIC: u32 = 3;
/// How differently sounds are put together.
pub const POLYGRAFT_DISTANCE_PHONOLOGICAL: u32 = 4;
/// How different the sets of sounds are.
pub const POLYGRAFT_DISTANCE_INVENTORY: u32 = 5;
/// All features in one.
pub const POLYGRAFT_DISTANCE_FEATURAL: u32 = 6;

/// The distances in the order of their numbers.
const DISTANCES: [Distance; 7] = [
    Distance::Mixed,
    Distance::Syntactic,
    Distance::Geographic,
    Distance::Genetic,
    Distance::Phonological,
    Distance::Inventory,
    Distance::Featural,
];

/// What was learnt is added up with weights after training.
pub const POLYGRAFT_SHARING_COMBINE: u32 = 0;
/// Examples are drawn with weights in training.
pub const POLYGRAFT_SHARING_SAMPLE: u32 = 1;

/// The forms of sharing in the order of their numbers.
const SHARINGS: [Sharing; 2] = [Sharing::Combine, Sharing::Sample];

/// A new adapter is a low-rank product beside each of some linear layers.
pub const POLYGRAFT_ADAPTER_LORA: u32 = 0;
/// A new adapter is a small network at the end of each sub-layer.
pub const POLYGRAFT_ADAPTER_BOTTLENECK: u32 = 1;
/// A new adapter is factors on what some linear layers make or read.
pub const POLYGRAFT_ADAPTER_IA3: u32 = 2;

/// The kinds of adapters in the order of their numbers.
const KINDS: [Kind; 3] = [Kind::Lora, Kind::Bottleneck, Kind::Ia3];

/// A bottleneck reads what its sub-layer makes (Houlsby); published for both sub-layers.
pub const POLYGRAFT_PLACEMENT_SEQUENTIAL: u32 = 0;
/// A bottleneck reads the normalised sum after its sub-layer (Pfeiffer); published for the
/// feed-forward.
pub const POLYGRAFT_PLACEMENT_AFTER_NORM: u32 = 1;
/// A bottleneck reads what the feed-forward reads, and stands nowhere else.
pub const POLYGRAFT_PLACEMENT_PARALLEL: u32 = 2;

/// The placements in the order of their numbers.
const PLACEMENTS: [Placement; 3] =
    [Placement::Sequential, Placement::AfterNorm, Placement::Parallel];

/// Bottlenecks stand where those of their placement were published.
pub const POLYGRAFT_SUB_LAYERS_AS_PUBLISHED: u32 = 0;
/// A bottleneck stands in every attention.
pub const POLYGRAFT_SUB_LAYERS_ATTENTION: u32 = 1;
/// A bottleneck stands in every feed-forward.
pub const POLYGRAFT_SUB_LAYERS_FEED_FORWARD: u32 = 2;
/// A bottleneck stands in every attention and in every feed-forward.
pub const POLYGRAFT_SUB_LAYERS_BOTH: u32 = 3;

/// Attention and feed-forward by the numbers of the sub-layers; none is as published.
const SUB_LAYERS: [Option<(bool, bool)>; 4] =
    [None, Some((true, false)), Some((false, true)), Some((true, true))];

/// `max(x, 0)` between the layers of a bottleneck.
pub const POLYGRAFT_ACTIVATION_RELU: u32 = 0;
/// `x Phi(x)` between the layers of a bottleneck.
pub const POLYGRAFT_ACTIVATION_GELU: u32 = 1;
/// `x sigmoid(x)` between the layers of a bottleneck.
pub const POLYGRAFT_ACTIVATION_SILU: u32 = 2;

/// The activations in the order of their numbers.
const ACTIVATIONS: [Activation; 3] = [Activation::Relu, Activation::Gelu, Activation::Silu];

/// How to update. Set it up with `polygraft_update_options_init`, then change what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UpdateOptions {
    /// `sizeof(polygraft_update_options)`.
    pub struct_size: u32,
    /// How data is shared between languages, one of `POLYGRAFT_STRATEGY_*`.
    pub strategy: u32,
    /// The same seed with the same thread count gives the same bytes.
    pub seed: u64,
    /// How ONNX Runtime holds the weights for training, one of `POLYGRAFT_MODE_*`.
    pub mode: u32,
    /// Threads of a training step; 0 takes all cores.
    pub threads: u32,
    /// Examples of one optimiser step.
    pub batch_size: u32,
    /// Tokens, padding included, of one run of the training graph: it bounds the memory of a step.
    pub micro_batch_tokens_max: u32,
    /// 1 allows labels that the task did not have before, 0 refuses them.
    pub new_labels: u8,
    /// 1 scales adapters by alpha / sqrt(rank), 0 by alpha / rank.
    pub lora_rank_stabilized: u8,
    /// 1 activates only in languages that do not get worse, 0 activates everywhere.
    pub gate_enabled: u8,
    /// How many of 100 new examples are held out, 0 to 90; fixed once a task has examples.
    pub rehearsal_held_out_percent: u8,
    /// With fewer held-out examples than this, a language keeps what it has.
    pub gate_held_out_min: u32,
    /// Passes over the new examples, may be a fraction; 0 lets their number decide: four, or as
    /// many as make `steps_min` steps, ending before once there is nothing left to learn.
    pub epochs: f64,
    /// Rehearsed examples per new one, for strategies that rehearse.
    pub rehearsal_ratio: f64,
    /// The size of the rehearsal buffer on disk, shared fairly by the languages.
    pub rehearsal_bytes_max: u64,
    /// Rehearsed training examples per language, shared fairly by its labels.
    pub rehearsal_examples_per_language_max: u32,
    /// Held-out examples per language, shared fairly by its labels.
    pub rehearsal_held_out_per_language_max: u32,
    /// Stops after so many optimiser steps; 0 for no limit.
    pub steps_max: u64,
    /// The peak learning rate.
    pub learning_rate: f64,
    /// Factor on the learning rate of the head.
    pub head_rate_factor: f64,
    /// Decay of the optimiser's first moment.
    pub beta1: f64,
    /// Decay of the optimiser's second moment.
    pub beta2: f64,
    /// The optimiser's guard against division by zero.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The fraction of the steps in which the learning rate rises.
    pub warmup_fraction: f64,
    /// Gradients are scaled down to this norm; 0 does not clip.
    pub clip_norm: f64,
    /// The rank of a new adapter; an existing one keeps its own.
    pub lora_rank: u32,
    /// How many patterns `lora_targets` has; 0 for the default targets.
    pub lora_targets_count: u32,
    /// The scale of a new adapter, see `lora_rank_stabilized`.
    pub lora_alpha: f64,
    /// Patterns of the module names where adapters attach; read when the update begins.
    pub lora_targets: *const *const c_char,
    /// How much of its score a language may lose and still be activated.
    pub gate_margin: f64,
    /// The one-sided confidence of the gate's bound, 0.5 to less than 1.
    pub gate_confidence: f64,
    /// Ends training when the update has run for so many seconds; 0 for no limit.
    pub seconds_max: f64,
    /// Saves where training stands after every so many steps, so that the same update goes on from
    /// there after a crash or a cancellation; 0 does not.
    pub checkpoint_steps: u64,
    /// The distance at which the uriel strategy still shares 37 %, more than 0.
    pub uriel_temperature: f64,
    /// What near means to the uriel strategy, one of `POLYGRAFT_DISTANCE_*`.
    pub uriel_distance: u32,
    /// From how many languages one learns at most; 0 for no limit.
    pub uriel_neighbours: u32,
    /// Where the uriel strategy shares, one of `POLYGRAFT_SHARING_*`.
    pub uriel_sharing: u32,
    /// 1 trains at the lowest priority of the system, so that predictions come first; 0 does not.
    pub background: u32,
    /// Bytes of private memory that one run of the training graph may take, by estimate; 0 for no
    /// limit.
    pub memory_bytes_max: u64,
    /// What a new adapter is made of, one of `POLYGRAFT_ADAPTER_*`; an existing one keeps its own.
    /// `lora_targets` also names the layers whose output new factors multiply.
    pub adapter_kind: u32,
    /// What new bottlenecks read, one of `POLYGRAFT_PLACEMENT_*`.
    pub bottleneck_placement: u32,
    /// The function in new bottlenecks, one of `POLYGRAFT_ACTIVATION_*`.
    pub bottleneck_activation: u32,
    /// Where new bottlenecks stand, one of `POLYGRAFT_SUB_LAYERS_*`.
    pub bottleneck_sub_layers: u32,
    /// The size of the hidden states divided by that of new bottlenecks.
    pub bottleneck_reduction_factor: f64,
    /// The share of a target's probability that is spread evenly over all tokens, 0 to less than 1;
    /// only for answers that are texts.
    pub label_smoothing: f64,
    /// The least optimiser steps of a training while `epochs` is 0; a third of them where it starts
    /// from a version.
    pub steps_min: u64,
}

// SAFETY: repr(C); integers, floats and a raw pointer only; `struct_size` first.
unsafe impl SizedStruct for UpdateOptions {
    const NAME: &'static str = "polygraft_update_options";
    const SIZE_FIRST: usize = size_of::<Self>();
}

/// A default as a C field; defaults are small, so the cap is never met.
fn small(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The number that stands for `value`: its position among all values.
fn number<T: PartialEq>(all: &[T], value: T) -> u32 {
    small(all.iter().position(|one| *one == value).unwrap_or(0))
}

/// The value that a number stands for.
fn named<T: Copy>(field: &str, all: &[T], number: u32) -> Result<T> {
    all.get(number as usize).copied().ok_or_else(|| {
        let message = format!("`{field}` is {number}, expected 0 to {}", all.len() - 1);
        Error::new(Code::ArgumentInvalid, message)
    })
}

impl UpdateOptions {
    /// The defaults of the Rust API.
    fn defaults() -> Self {
        let options = Options::default();
        let Options { optimizer, lora, bottleneck, gate, rehearsal, uriel, .. } = &options;
        Self {
            struct_size: size_of::<Self>() as u32,
            strategy: number(&STRATEGIES, options.strategy),
            seed: options.seed,
            mode: mode_to_c(options.mode),
            threads: small(options.threads),
            batch_size: small(options.batch_size),
            micro_batch_tokens_max: small(options.micro_batch_tokens_max),
            new_labels: options.new_labels.into(),
            lora_rank_stabilized: lora.rank_stabilized.into(),
            gate_enabled: gate.enabled.into(),
            rehearsal_held_out_percent: rehearsal.held_out_percent,
            gate_held_out_min: small(gate.held_out_min),
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
            uriel_distance: number(&DISTANCES, uriel.distance),
            uriel_neighbours: small(uriel.neighbours),
            uriel_sharing: number(&SHARINGS, uriel.sharing),
            background: options.background.into(),
            memory_bytes_max: options.memory_bytes_max,
            adapter_kind: number(&KINDS, options.kind),
            bottleneck_placement: number(&PLACEMENTS, bottleneck.placement),
            bottleneck_activation: number(&ACTIVATIONS, bottleneck.activation),
            bottleneck_sub_layers: POLYGRAFT_SUB_LAYERS_AS_PUBLISHED,
            bottleneck_reduction_factor: bottleneck.reduction_factor,
            label_smoothing: options.label_smoothing,
            steps_min: options.steps_min as u64,
        }
    }

    /// Reads a caller's options; NULL means the defaults. Ranges are the Rust API's to check.
    ///
    /// # Safety
    /// `options` is NULL or points to a struct that states its size truly and whose pointers hold.
    pub(super) unsafe fn read(options: *const Self) -> Result<Options> {
        // SAFETY: the same promise, passed on.
        let c = unsafe { sized::read(options, Self::defaults()) }?;
        // SAFETY: the same promise, passed on.
        let targets =
            unsafe { texts("lora_targets", c.lora_targets, c.lora_targets_count as usize) }?;
        let Options { mut lora, mut ia3, mut rehearsal, .. } = Options::default();
        lora.rank = c.lora_rank as usize;
        lora.alpha = c.lora_alpha;
        lora.rank_stabilized = flag("lora_rank_stabilized", c.lora_rank_stabilized)?;
        if !targets.is_empty() {
            lora.targets = targets.into_iter().map(String::from).collect();
            ia3.targets.clone_from(&lora.targets);
        }
        rehearsal.bytes_max = c.rehearsal_bytes_max;
        rehearsal.examples_per_language_max = c.rehearsal_examples_per_language_max as usize;
        rehearsal.held_out_per_language_max = c.rehearsal_held_out_per_language_max as usize;
        rehearsal.held_out_percent = c.rehearsal_held_out_percent;
        Ok(Options {
            strategy: named("strategy", &STRATEGIES, c.strategy)?,
            uriel: UrielOptions {
                distance: named("uriel_distance", &DISTANCES, c.uriel_distance)?,
                temperature: c.uriel_temperature,
                neighbours: c.uriel_neighbours as usize,
                sharing: named("uriel_sharing", &SHARINGS, c.uriel_sharing)?,
            },
            seed: c.seed,
            mode: mode_from_c(c.mode)?,
            threads: c.threads as usize,
            epochs: c.epochs,
            steps_min: count("steps_min", c.steps_min)?,
            steps_max: count("steps_max", c.steps_max)?,
            seconds_max: c.seconds_max,
            memory_bytes_max: c.memory_bytes_max,
            checkpoint_steps: count("checkpoint_steps", c.checkpoint_steps)?,
            background: named("background", &[false, true], c.background)?,
            batch_size: c.batch_size as usize,
            micro_batch_tokens_max: c.micro_batch_tokens_max as usize,
            label_smoothing: c.label_smoothing,
            rehearsal_ratio: c.rehearsal_ratio,
            new_labels: flag("new_labels", c.new_labels)?,
            optimizer: c.optimizer(),
            kind: named("adapter_kind", &KINDS, c.adapter_kind)?,
            lora,
            bottleneck: c.bottleneck()?,
            ia3,
            gate: GateOptions {
                enabled: flag("gate_enabled", c.gate_enabled)?,
                margin: c.gate_margin,
                confidence: c.gate_confidence,
                held_out_min: c.gate_held_out_min as usize,
            },
            rehearsal,
        })
    }

    fn bottleneck(&self) -> Result<BottleneckConfig> {
        let placement = named("bottleneck_placement", &PLACEMENTS, self.bottleneck_placement)?;
        let published = BottleneckConfig::of(placement);
        let sub_layers = named("bottleneck_sub_layers", &SUB_LAYERS, self.bottleneck_sub_layers)?;
        let (attention, feed_forward) =
            sub_layers.unwrap_or((published.attention, published.feed_forward));
        Ok(BottleneckConfig {
            activation: named("bottleneck_activation", &ACTIVATIONS, self.bottleneck_activation)?,
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
/// Ownership: writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_options_init(
    options: *mut UpdateOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe {
        gate(error, || sized::init("options", options, struct_size, &UpdateOptions::defaults()))
    }
}
