//! What all runs of one setting share: the model, the cache, and how this machine runs them.

use crate::settings::Setting;
use polygraft::inference::Predictor;
use polygraft::runtime::Mode;
use polygraft::task::Task;
use polygraft::update::UpdateOptions;
use std::path::Path;
use std::sync::Arc;

/// The task that the stores of an experiment hold.
pub const TASK: &str = "bench";

/// What all runs of one setting share.
pub struct Experiment<'a> {
    pub setting: &'a Setting,
    pub predictor: Arc<Predictor>,
    /// The task of the data.
    pub task: Task,
    pub cache: &'a Path,
    /// The hash of this program.
    pub program: blake3::Hash,
    pub fresh: bool,
    /// The folder for the scores of single examples, if they are wanted.
    pub evidence: Option<&'a Path>,
    pub threads: usize,
    pub mode: Mode,
}

impl Experiment<'_> {
    /// Sets the options that depend on this machine.
    pub fn equip(&self, options: UpdateOptions) -> UpdateOptions {
        UpdateOptions { threads: self.threads, mode: self.mode, ..options }
    }
}
