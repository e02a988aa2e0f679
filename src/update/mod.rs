//! Under construction.
use crate::error::Result;
use crate::rehearsal::Example;
use crate::report::Report;
use std::ops::ControlFlow;
use std::time::Duration;

/// How new data is shared between languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strategy { Naive, #[default] Replay }

#[derive(Clone, Debug)]
pub struct UpdateOptions {
    pub strategy: Strategy,
    pub seed: u64,
    pub threads: usize,
    pub fast: bool,
    pub epochs: f64,
    pub steps_max: Option<usize>,
    pub batch_size: usize,
    pub micro_batch_tokens_max: usize,
    pub new_labels: bool,
    pub optimizer: OptimizerOptions,
    pub lora: LoraOptions,
    pub gate: GateOptions,
}
#[derive(Clone, Debug)]
pub struct OptimizerOptions { pub learning_rate: f64, pub beta1: f64, pub beta2: f64, pub epsilon: f64, pub weight_decay: f64, pub warmup_fraction: f64, pub clip_norm: f64 }
#[derive(Clone, Debug)]
pub struct LoraOptions { pub rank: usize, pub alpha: f64, pub rank_stabilized: bool, pub targets: Vec<String> }
#[derive(Clone, Debug)]
pub struct GateOptions { pub enabled: bool, pub margin: f64, pub confidence: f64, pub held_out_min: usize }

/// Where an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase { Prepare = 0, MeasureBefore = 1, Train = 2, MeasureAfter = 3, Publish = 4 }

/// At most ten a second.
#[derive(Clone, Copy, Debug)]
pub struct Progress { pub phase: Phase, pub step: usize, pub steps_count: usize, pub loss: Option<f32>, pub examples_seen: usize, pub elapsed: Duration }

/// The transaction: add examples, run, then commit or drop it (abort).
pub struct Update { _p: () }
impl Update {
    pub fn add(&mut self, example: Example) -> Result<()> { todo!() }
    pub fn run(&mut self, progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Result<&Report> { todo!() }
    pub fn report(&self) -> Option<&Report> { todo!() }
    /// Publishes and activates what the gate accepted; the report has the new version numbers.
    pub fn commit(self) -> Result<Report> { todo!() }
    pub fn abort(self) {}
}
