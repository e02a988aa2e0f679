//! The options of an update, with their defaults.

use super::strategy::{Sharing, StrategyKind, UrielOptions};
use crate::adapter::{BottleneckConfig, Component, Ia3Config, Kind, LoraConfig};
use crate::error::{Code, Error, Result};
use crate::rehearsal::Limits;
use crate::runtime::Mode;

/// Options of an update.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateOptions {
    /// How languages share new data.
    pub strategy: StrategyKind,
    /// Options of the strategy `uriel`.
    pub uriel: UrielOptions,
    /// The same seed, thread count and examples give the same bytes.
    pub seed: u64,
    /// Threads of the training session; 0 takes all cores.
    pub threads: usize,
    /// How ONNX Runtime holds the weights for training.
    pub mode: Mode,
    /// Passes over the new examples. With 0 their number decides: four, or as many as give
    /// [`steps_min`](Self::steps_min) steps, and fewer if there is nothing left to learn.
    pub epochs: f64,
    /// The smallest number of optimiser steps of a training run while `epochs` is 0, and a third of
    /// it for a run that starts from a version: four passes over a few dozen examples are too few
    /// steps to learn much.
    pub steps_min: usize,
    /// Ends training after this many optimiser steps; 0 sets no limit. All training runs of a
    /// strategy are shortened by the same factor.
    pub steps_max: usize,
    /// Ends training when the update has run for this many seconds, and continues with the trained
    /// state; 0 sets no limit. The time of measuring is not included.
    pub seconds_max: f64,
    /// Saves the state of training every so many steps, so that the same update continues from
    /// there after a crash or a cancellation; 0 saves nothing.
    pub checkpoint_steps: usize,
    /// Trains at the lowest system priority, so that predictions come first. Has an effect on Linux
    /// only.
    pub background: bool,
    /// Examples of one optimiser step.
    pub batch_size: usize,
    /// Tokens of one run of the training graph, padding included. A larger batch is split and its
    /// gradients are added, so this bounds memory: about 0.25 GB at 512 on a 12 x 384 encoder.
    pub micro_batch_tokens_max: usize,
    /// Estimated bytes of private memory that one run of the training graph may use; reduces
    /// `micro_batch_tokens_max` if necessary; 0 sets no limit. A single text is never split.
    pub memory_bytes_max: u64,
    /// Label smoothing: the share of every target token's weight that is spread over all tokens, 0
    /// to less than 1. It has an effect only on targets that are texts.
    pub label_smoothing: f64,
    /// Rehearsed examples per new example, for strategies that rehearse.
    pub rehearsal_ratio: f64,
    /// How much the outputs of the version that a training run starts from count in the targets of
    /// rehearsed examples, beside their labels, 0 to 1. It keeps what the version answers about
    /// them. It has no effect on targets that are texts.
    pub distillation: f64,
    /// Accepts labels that the task does not have yet.
    pub new_labels: bool,
    /// AdamW and its schedule.
    pub optimizer: OptimizerOptions,
    /// The kind of a new adapter; an existing one keeps its own.
    pub kind: Kind,
    /// The number of layers, from the end of the backbone, that a new adapter attaches to; 0 for
    /// all. What lies below them is then computed once for each text of an update.
    pub layers_top: usize,
    /// Bytes of hidden states below the lowest adapter that an update keeps in memory; what does
    /// not fit is kept in a file while the update runs. With 0 nothing is kept, and all layers run
    /// in every step.
    pub lower_states_bytes_max: u64,
    /// The shape of a new low-rank adapter.
    pub lora: LoraConfig,
    /// The shape of new bottlenecks.
    pub bottleneck: BottleneckConfig,
    /// The sites of new factors.
    pub ia3: Ia3Config,
    /// The gate.
    pub gate: GateOptions,
    /// The limits of the rehearsal buffer.
    pub rehearsal: Limits,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        Self {
            strategy: StrategyKind::default(),
            uriel: UrielOptions::default(),
            seed: 0,
            threads: 0,
            mode: Mode::default(),
            epochs: 0.0,
            steps_min: 100,
            steps_max: 0,
            seconds_max: 0.0,
            checkpoint_steps: 0,
            background: false,
            batch_size: 16,
            micro_batch_tokens_max: 512,
            memory_bytes_max: 0,
            label_smoothing: 0.0,
            rehearsal_ratio: 1.0,
            distillation: 0.5,
            new_labels: false,
            optimizer: OptimizerOptions::default(),
            kind: Kind::default(),
            layers_top: 0,
            lower_states_bytes_max: 256 << 20,
            lora: LoraConfig::default(),
            bottleneck: BottleneckConfig::default(),
            ia3: Ia3Config::default(),
            gate: GateOptions::default(),
            rehearsal: Limits::default(),
        }
    }
}

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101) with linear warm-up and linear decay to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerOptions {
    /// Highest learning rate, reached after warm-up.
    pub learning_rate: f64,
    /// The factor on the learning rate of a new head and of one with new labels, which are
    /// untrained, while LoRA changes a backbone that already works. A trained head has none.
    pub head_rate_factor: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; biases have none.
    pub weight_decay: f64,
    /// The fraction of all steps in which the learning rate rises, 0 to 1.
    pub warmup_fraction: f64,
    /// The largest norm of the gradient over all tensors; 0 does not clip.
    pub clip_norm: f64,
}

impl Default for OptimizerOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            head_rate_factor: 10.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            warmup_fraction: 0.06,
            clip_norm: 1.0,
        }
    }
}

/// The rule that decides, language by language, whether the candidate is activated.
#[derive(Clone, Debug, PartialEq)]
pub struct GateOptions {
    /// If false, the candidate is activated in every language that is not pinned.
    pub enabled: bool,
    /// The loss of accuracy that still counts as not worse, 0 to 1. A candidate of an
    /// update must also be expected to gain.
    pub margin: f64,
    /// One-sided confidence of the bound that is compared with the margin, 0.5 to 1 (exclusive).
    pub confidence: f64,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self { enabled: true, margin: 0.002, confidence: 0.8 }
    }
}

impl UpdateOptions {
    /// The options that training depends on, one per line, such as `epochs: 4.0`. The gate, time
    /// budgets and options that do not change the result are left out.
    pub(super) fn identity(&self) -> Vec<String> {
        let mut same = self.clone();
        same.gate = GateOptions::default();
        same.rehearsal = Limits::default();
        if same.uriel.sharing == Sharing::Combine {
            // Deltas can be shared in another way after training without training again.
            same.uriel = UrielOptions::default();
        }
        (same.seconds_max, same.checkpoint_steps, same.background) = (0.0, 0, false);
        format!("{same:#?}").lines().map(|line| line.trim().to_owned()).collect()
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] naming the field, its range and what was found.
    pub fn validate(&self) -> Result<()> {
        let Self { optimizer, gate, .. } = self;
        let above = |field, found: f64, most: f64| (field, found, found > 0.0 && found <= most);
        let within = |field, found: f64, most: f64| (field, found, (0.0..=most).contains(&found));
        let below_one = |field, found: f64, least| (field, found, (least..1.0).contains(&found));
        let ranges = [
            (within("epochs", self.epochs, 1e4), "0 to 10000"),
            (below_one("label_smoothing", self.label_smoothing, 0.0), "0 to less than 1"),
            (within("rehearsal_ratio", self.rehearsal_ratio, 100.0), "0 to 100"),
            (within("distillation", self.distillation, 1.0), "0 to 1"),
            (within("seconds_max", self.seconds_max, 1e9), "0 to 1000000000"),
            (above("uriel.temperature", self.uriel.temperature, 1e3), "more than 0 to 1000"),
            (above("learning_rate", optimizer.learning_rate, 1.0), "more than 0, at most 1"),
            (above("head_rate_factor", optimizer.head_rate_factor, 1e3), "more than 0 to 1000"),
            (below_one("beta1", optimizer.beta1, 0.0), "0 to less than 1"),
            (below_one("beta2", optimizer.beta2, 0.0), "0 to less than 1"),
            (above("epsilon", optimizer.epsilon, 1.0), "more than 0, at most 1"),
            (within("weight_decay", optimizer.weight_decay, 1.0), "0 to 1"),
            (within("warmup_fraction", optimizer.warmup_fraction, 1.0), "0 to 1"),
            (within("clip_norm", optimizer.clip_norm, 1e6), "0 to 1000000"),
            (within("gate.margin", gate.margin, 1.0), "0 to 1"),
            (below_one("gate.confidence", gate.confidence, 0.5), "0.5 to less than 1"),
        ];
        for ((field, found, valid), expected) in ranges {
            if !valid {
                return Err(invalid(field, expected, &found.to_string()));
            }
        }
        let counts = [
            ("batch_size", self.batch_size, 1, 4_096),
            ("micro_batch_tokens_max", self.micro_batch_tokens_max, 1, 1 << 20),
            ("threads", self.threads, 0, 1_024),
            ("steps_min", self.steps_min, 0, 1_000_000),
        ];
        for (field, found, least, most) in counts {
            if found < least || found > most {
                return Err(invalid(field, &format!("{least} to {most}"), &found.to_string()));
            }
        }
        self.component().validate()
    }

    /// The component of a new adapter.
    pub fn component(&self) -> Component {
        match self.kind {
            Kind::Lora => Component::Lora(self.lora.clone()),
            Kind::Bottleneck => Component::Bottleneck(self.bottleneck.clone()),
            Kind::Ia3 => Component::Ia3(self.ia3.clone()),
        }
    }
}

fn invalid(field: &str, expected: &str, found: &str) -> Error {
    Error::new(Code::ArgumentInvalid, format!("{field}: expected {expected}, found {found}"))
}
