//! What the training runs of an update have in common: the backbone, the data, the options and the
//! checkpoint file. `training` runs them, `steps` takes their steps. This module must never train.

use super::checkpoint::{Checkpoint, CheckpointFile};
use super::options::UpdateOptions;
use super::strategy::{Strategy, TrainingData};
use crate::error::Result;
use crate::inference::{LowerStates, Predictor};
use crate::task::Task;
use std::sync::Arc;

/// Everything that training needs besides the adapters to start from.
pub struct Trainer<'a> {
    /// Provides the bundle and its engine.
    pub predictor: &'a Predictor,
    /// Encodes inputs and targets, and provides the loss.
    pub task: Task,
    /// Selects the examples.
    pub strategy: &'a dyn Strategy,
    /// The examples to select from.
    pub data: &'a TrainingData<'a>,
    /// The training options.
    pub options: &'a UpdateOptions,
    /// Whether every training run starts from a version, not from nothing.
    pub from_version: bool,
    /// The file that progress is saved to, if any.
    pub checkpoints: Option<&'a CheckpointFile<'a>>,
    /// Kept hidden states of examples.
    pub lower: Option<Arc<LowerStates>>,
    /// Whether the first factors of low-rank products keep their values.
    pub down_frozen: bool,
}

impl Trainer<'_> {
    /// Saves the state of training, if there is a file for it.
    ///
    /// # Errors
    /// Those of writing the file.
    pub fn save(&self, done: &Checkpoint) -> Result<()> {
        self.checkpoints.map_or(Ok(()), |file| file.write(done))
    }

    /// Whether the state after `steps` steps is saved.
    pub fn is_due(&self, steps: usize, stopping: bool) -> bool {
        let every = self.options.checkpoint_steps;
        every > 0 && (stopping || steps.is_multiple_of(every))
    }
}
