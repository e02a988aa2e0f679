//! What can be chosen about an update, with defaults that work.

use super::strategy::{Sharing, StrategyKind, UrielOptions};
use crate::adapter::{BottleneckConfig, Component, Ia3Config, Kind, LoraConfig};
use crate::error::{Code, Error, Result};
use crate::rehearsal::Limits;
use crate::runtime::Mode;

/// Options of an update.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateOptions {
    /// How new data is shared between languages.
    pub strategy: StrategyKind,
    /// How the strategy `uriel` shares.
    pub uriel: UrielOptions,
    /// With the same seed and thread count, the same examples give the same bytes.
    pub seed: u64,
    /// Threads of the training session; 0 takes all cores.
    pub threads: usize,
    /// How ONNX Runtime holds the weights for training.
    pub mode: Mode,
    /// Passes over the new examples; 0 lets their number decide: four, or as many as make
    /// [`steps_min`](Self::steps_min) steps, ending before once there is nothing left to learn.
    pub epochs: f64,
    /// The least optimiser steps of a training run while `epochs` is 0, a third of them where it
    /// starts from a version: a few dozen examples in four passes are a handful of steps, which
    /// teach next to nothing.
    pub steps_min: usize,
    /// Ends training after this many optimiser steps; 0 sets no limit. All training runs of a
    /// strategy are shortened alike.
    pub steps_max: usize,
    /// Ends training when the update has run for so many seconds, and goes on with what was trained
    /// so far; 0 sets no limit. Measuring comes on top.
    pub seconds_max: f64,
    /// Saves where training stands after every so many steps, so that the same update goes on from
    /// there after a crash or a cancellation; 0 does not.
    pub checkpoint_steps: usize,
    /// Trains at the lowest priority of the system, so that live predictions come first. Has an
    /// effect on Linux.
    pub background: bool,
    /// Examples of one optimiser step.
    pub batch_size: usize,
    /// Tokens, padding included, of one run of the training graph. A batch with more is cut and its
    /// gradients are added up, so this bounds memory: about 0.25 GB at 512 on a 12 x 384 encoder.
    pub micro_batch_tokens_max: usize,
    /// Bytes of private memory that one run of the training graph may take, by estimate; cuts
    /// `micro_batch_tokens_max` further where that needs more; 0 sets no limit. A single text is
    /// always run whole.
    pub memory_bytes_max: u64,
    /// The share of every target token's weight that goes to all tokens alike, 0 to less than 1:
    /// label smoothing. Only answers that are texts know it.
    pub label_smoothing: f64,
    /// Rehearsed examples per new one, for strategies that rehearse.
    pub rehearsal_ratio: f64,
    /// Accepts labels that the task has not had before.
    pub new_labels: bool,
    /// AdamW and its schedule.
    pub optimizer: OptimizerOptions,
    /// What a new adapter is made of; an existing one keeps its own.
    pub kind: Kind,
    /// The shape of a new low-rank adapter.
    pub lora: LoraConfig,
    /// The shape of new bottlenecks.
    pub bottleneck: BottleneckConfig,
    /// The sites of new factors.
    pub ia3: Ia3Config,
    /// The gate.
    pub gate: GateOptions,
    /// The bounds of the rehearsal buffer.
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
            new_labels: false,
            optimizer: OptimizerOptions::default(),
            kind: Kind::default(),
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
    /// Factor on the learning rate of the head: it is linear and starts from nothing, while LoRA
    /// bends a backbone that already works.
    pub head_rate_factor: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; biases have none.
    pub weight_decay: f64,
    /// Component of all steps in which the learning rate rises, 0 to 1.
    pub warmup_fraction: f64,
    /// Largest norm of the gradient over all tensors; 0 does not clip.
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
    /// Off activates the candidate everywhere except in pinned languages.
    pub enabled: bool,
    /// The loss of accuracy that still counts as no worse, 0 to 1.
    pub margin: f64,
    /// One-sided confidence of the bound that is compared with the margin, 0.5 to 1 (exclusive).
    pub confidence: f64,
    /// A language with fewer held-out examples keeps its version.
    pub held_out_min: usize,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self { enabled: true, margin: 0.02, confidence: 0.8, held_out_min: 10 }
    }
}

impl UpdateOptions {
    /// The options that training depends on, one a line such as `epochs: 4.0`. The gate, budgets of
    /// time and what only says how training is run are left out.
    pub(super) fn identity(&self) -> Vec<String> {
        let mut same = self.clone();
        same.gate = GateOptions::default();
        same.rehearsal = Limits::default();
        if same.uriel.sharing == Sharing::Combine {
            // What is shared after training can be shared in another way without training again.
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

    /// The one component of a new adapter.
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
