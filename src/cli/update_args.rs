//! The options of an update as long flags. An omitted flag keeps the library's default.

use polygraft::adapter::{Activation, BottleneckConfig, Kind, Placement};
use polygraft::console::by_name;
use polygraft::language::Distance;
use polygraft::update::{Sharing, StrategyKind, UpdateOptions};
use std::str::FromStr;

#[derive(clap::Args)]
#[command(next_help_heading = "Training (a flag left out keeps the default in docs/cli.md)")]
pub struct TrainingArgs {
    /// How languages share new data
    #[arg(long, value_name = "NAME", value_parser = by_name(StrategyKind::ALL, StrategyKind::name))]
    strategy: Option<StrategyKind>,
    /// The same seed and thread count give the same bytes
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Passes over the new examples; 0 takes four, or as many as --steps-min needs
    #[arg(long, value_name = "X")]
    epochs: Option<f64>,
    /// The smallest number of steps of a training run from scratch when --epochs is not given
    #[arg(long, value_name = "N")]
    steps_min: Option<usize>,
    /// End training after this many steps; 0 sets no limit
    #[arg(long, value_name = "N")]
    steps_max: Option<usize>,
    /// Examples per optimiser step
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Tokens of one run of the training graph: limits memory, about 0.25 GB at 512
    #[arg(long, value_name = "N")]
    micro_batch_tokens_max: Option<usize>,
    /// Estimated megabytes that a run of the training graph may use; 0 sets no limit
    #[arg(long, value_name = "N")]
    memory_mb_max: Option<u64>,
    /// Megabytes of hidden states below the lowest adapter that are kept in memory, others in a
    /// file; 0 keeps none
    #[arg(long, value_name = "N")]
    lower_states_mb_max: Option<u64>,
    /// Remembered examples per new example
    #[arg(long, value_name = "X")]
    rehearsal_ratio: Option<f64>,
    /// How much the outputs of the starting version count for remembered examples, beside their
    /// labels
    #[arg(long, value_name = "X")]
    distillation: Option<f64>,
    /// The share of a target token's weight that is spread over all tokens; for target texts
    #[arg(long, value_name = "X")]
    label_smoothing: Option<f64>,
    /// Accept labels that the task does not have yet
    #[arg(long)]
    new_labels: bool,
    /// End training when the update has run for this many seconds; 0 sets no limit
    #[arg(long, value_name = "X")]
    seconds_max: Option<f64>,
    /// Train at the lowest system priority (Linux)
    #[arg(long)]
    background: bool,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Rehearsal buffer")]
pub struct RehearsalArgs {
    /// Training examples that are remembered per language
    #[arg(long, value_name = "N")]
    remember_max: Option<usize>,
    /// Held-out examples that are remembered per language
    #[arg(long, value_name = "N")]
    held_out_max: Option<usize>,
    /// The percentage of examples that is held out; fixed once a task has examples
    #[arg(long, value_name = "N")]
    held_out_percent: Option<u8>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Strategy uriel")]
pub struct UrielArgs {
    /// The kind of distance
    #[arg(long, value_name = "KIND", value_parser = by_name(Distance::ALL, Distance::name))]
    uriel_distance: Option<Distance>,
    /// The distance at which a language still gets 37 % of the delta of another one
    #[arg(long, value_name = "X")]
    uriel_temperature: Option<f64>,
    /// The largest number of languages that one language learns from; 0 sets no limit
    #[arg(long, value_name = "N")]
    uriel_neighbours: Option<usize>,
    /// Share deltas (combine) or examples (sample)
    #[arg(long, value_name = "FORM", value_parser = by_name(Sharing::ALL, Sharing::name))]
    uriel_sharing: Option<Sharing>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Optimiser (AdamW)")]
pub struct OptimizerArgs {
    /// Highest learning rate
    #[arg(long, value_name = "X")]
    learning_rate: Option<f64>,
    /// Factor on the learning rate of a new head, and of a head with new labels
    #[arg(long, value_name = "X")]
    head_rate_factor: Option<f64>,
    /// Decay of the first moment
    #[arg(long, value_name = "X")]
    beta1: Option<f64>,
    /// Decay of the second moment
    #[arg(long, value_name = "X")]
    beta2: Option<f64>,
    /// Added to the root of the second moment
    #[arg(long, value_name = "X")]
    epsilon: Option<f64>,
    /// Decoupled weight decay
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// The fraction of all steps in which the learning rate rises
    #[arg(long, value_name = "X")]
    warmup_fraction: Option<f64>,
    /// The largest norm of the gradient; 0 does not clip
    #[arg(long, value_name = "X")]
    clip_norm: Option<f64>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Adapter (of a new task; an existing one keeps its shape)")]
pub struct AdapterArgs {
    /// The kind of adapter
    #[arg(long = "adapter", value_name = "KIND", value_parser = by_name(Kind::ALL, Kind::name))]
    kind: Option<Kind>,
    /// Attach to the last N layers of the backbone only; 0 for all
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Rank of the low-rank product
    #[arg(long, value_name = "N")]
    lora_rank: Option<usize>,
    /// Numerator of the scale
    #[arg(long, value_name = "X")]
    lora_alpha: Option<f64>,
    /// Divide alpha by the square root of the rank instead of the rank (rsLoRA)
    #[arg(long)]
    lora_rank_stabilized: bool,
    /// Another rank for modules whose path ends in NAME
    #[arg(long, value_name = "NAME=N", value_delimiter = ',', value_parser = pair::<usize>)]
    lora_rank_pattern: Vec<(String, usize)>,
    /// Another numerator of the scale for modules whose path ends in NAME
    #[arg(long, value_name = "NAME=X", value_delimiter = ',', value_parser = pair::<f64>)]
    lora_alpha_pattern: Vec<(String, f64)>,
    /// What a bottleneck reads
    #[arg(long, value_name = "NAME", value_parser = by_name(Placement::ALL, Placement::name))]
    bottleneck_placement: Option<Placement>,
    /// The sub-layers with a bottleneck; if left out, those for which the placement was published
    #[arg(long, value_name = "NAME", value_parser = ["attention", "feed_forward", "both"])]
    bottleneck_sub_layers: Option<String>,
    /// The function between the layers of a bottleneck
    #[arg(long, value_name = "NAME", value_parser = by_name(Activation::ALL, Activation::name))]
    bottleneck_activation: Option<Activation>,
    /// The hidden size divided by the width of a bottleneck
    #[arg(long, value_name = "X")]
    bottleneck_reduction_factor: Option<f64>,
    /// Modules whose input (IA)3 multiplies, separated by commas; those of --targets are multiplied
    /// at the output
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    ia3_feed_forward_targets: Option<Vec<String>>,
}

/// Reads `NAME=VALUE`.
fn pair<T: FromStr>(text: &str) -> Result<(String, T), String> {
    let read = || {
        let (name, value) = text.rsplit_once('=')?;
        Some((name.to_owned(), value.parse().ok()?)).filter(|(name, _)| !name.is_empty())
    };
    read().ok_or_else(|| "expected a module's name, an equals sign and a number".to_owned())
}

impl AdapterArgs {
    fn apply(&self, options: &mut UpdateOptions) {
        set(&mut options.kind, &self.kind);
        set(&mut options.layers_top, &self.layers);
        let lora = &mut options.lora;
        set(&mut lora.rank, &self.lora_rank);
        set(&mut lora.alpha, &self.lora_alpha);
        lora.rank_stabilized |= self.lora_rank_stabilized;
        lora.rank_pattern.extend(self.lora_rank_pattern.iter().cloned());
        lora.alpha_pattern.extend(self.lora_alpha_pattern.iter().cloned());
        let bottleneck = &mut options.bottleneck;
        if let Some(placement) = self.bottleneck_placement {
            *bottleneck = BottleneckConfig::of(placement);
        }
        if let Some(name) = &self.bottleneck_sub_layers {
            bottleneck.attention = name != "feed_forward";
            bottleneck.feed_forward = name != "attention";
        }
        set(&mut bottleneck.activation, &self.bottleneck_activation);
        set(&mut bottleneck.reduction_factor, &self.bottleneck_reduction_factor);
        set(&mut options.ia3.feed_forward_targets, &self.ia3_feed_forward_targets);
    }
}

#[derive(clap::Args)]
#[command(next_help_heading = "Gate")]
pub struct GateArgs {
    /// Activate the candidate in every language, even if it makes the language worse
    #[arg(long)]
    no_gate: bool,
    /// The loss of score that still counts as not worse, 0 to 1
    #[arg(long, value_name = "X")]
    gate_margin: Option<f64>,
    /// One-sided confidence of the bound that is compared with the margin
    #[arg(long, value_name = "X")]
    gate_confidence: Option<f64>,
}

/// All options of an update.
#[derive(clap::Args)]
pub struct OptionArgs {
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    rehearsal: RehearsalArgs,
    #[command(flatten)]
    uriel: UrielArgs,
    #[command(flatten)]
    optimizer: OptimizerArgs,
    #[command(flatten)]
    adapter: AdapterArgs,
    #[command(flatten)]
    gate: GateArgs,
}

/// Replaces a default if a flag was given.
fn set<T: Clone>(option: &mut T, flag: &Option<T>) {
    if let Some(value) = flag {
        option.clone_from(value);
    }
}

impl OptionArgs {
    /// The library's options with the given flags.
    pub fn to_options(&self) -> UpdateOptions {
        let mut options = UpdateOptions::default();
        let training = &self.training;
        set(&mut options.strategy, &training.strategy);
        set(&mut options.seed, &training.seed);
        set(&mut options.epochs, &training.epochs);
        set(&mut options.steps_min, &training.steps_min);
        set(&mut options.steps_max, &training.steps_max);
        set(&mut options.batch_size, &training.batch_size);
        set(&mut options.micro_batch_tokens_max, &training.micro_batch_tokens_max);
        let memory_bytes_max =
            training.memory_mb_max.map(|megabytes| megabytes.saturating_mul(1 << 20));
        set(&mut options.memory_bytes_max, &memory_bytes_max);
        let lower = training.lower_states_mb_max.map(|megabytes| megabytes.saturating_mul(1 << 20));
        set(&mut options.lower_states_bytes_max, &lower);
        set(&mut options.rehearsal_ratio, &training.rehearsal_ratio);
        set(&mut options.distillation, &training.distillation);
        set(&mut options.label_smoothing, &training.label_smoothing);
        options.new_labels |= training.new_labels;
        set(&mut options.seconds_max, &training.seconds_max);
        options.background |= training.background;
        set(&mut options.rehearsal.examples_per_language_max, &self.rehearsal.remember_max);
        set(&mut options.rehearsal.held_out_per_language_max, &self.rehearsal.held_out_max);
        set(&mut options.rehearsal.held_out_percent, &self.rehearsal.held_out_percent);
        set(&mut options.uriel.distance, &self.uriel.uriel_distance);
        set(&mut options.uriel.temperature, &self.uriel.uriel_temperature);
        set(&mut options.uriel.neighbours, &self.uriel.uriel_neighbours);
        set(&mut options.uriel.sharing, &self.uriel.uriel_sharing);
        let (optimizer, flags) = (&mut options.optimizer, &self.optimizer);
        set(&mut optimizer.learning_rate, &flags.learning_rate);
        set(&mut optimizer.head_rate_factor, &flags.head_rate_factor);
        set(&mut optimizer.beta1, &flags.beta1);
        set(&mut optimizer.beta2, &flags.beta2);
        set(&mut optimizer.epsilon, &flags.epsilon);
        set(&mut optimizer.weight_decay, &flags.weight_decay);
        set(&mut optimizer.warmup_fraction, &flags.warmup_fraction);
        set(&mut optimizer.clip_norm, &flags.clip_norm);
        self.adapter.apply(&mut options);
        options.gate.enabled &= !self.gate.no_gate;
        set(&mut options.gate.margin, &self.gate.gate_margin);
        set(&mut options.gate.confidence, &self.gate.gate_confidence);
        options
    }
}
