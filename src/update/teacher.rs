//! The teacher of a training run: the version that the run starts from.
//!
//! Its outputs are a part of the targets of rehearsed examples. Training then keeps what the
//! version answers about them, not only its right answers, wherever the new examples say nothing
//! else (dark experience replay, Buzzega et al., arXiv 2004.07211). The labels of new examples
//! stand alone.
//!
//! The outputs are computed anew for every batch, so that they depend on nothing but the batch: a
//! training that continues from a checkpoint gives the same bytes. This module must never train.

use crate::bundle::Encoding;
use crate::error::Result;
use crate::inference::{LoadedAdapter, LowerStates, Predictor, RunOptions};
use crate::task::{Encoded, Sample, Task};
use std::ops::ControlFlow;
use std::rc::Rc;

/// Gives samples soft targets.
pub struct Teacher<'a> {
    /// Runs the version.
    pub predictor: &'a Predictor,
    /// The task of the version.
    pub task: Task,
    /// The version.
    pub version: &'a LoadedAdapter,
    /// How much its outputs count beside the labels, 0 to 1.
    pub share: f32,
    /// Kept hidden states of the samples.
    pub lower: Option<&'a LowerStates>,
}

impl Teacher<'_> {
    /// Makes the outputs of the version a part of the targets of the samples at these positions.
    ///
    /// # Errors
    /// The errors of a run.
    pub fn teach(&self, samples: &mut [Rc<Sample>], positions: &[usize]) -> Result<()> {
        let encoding = |&position: &usize| &samples[position].input.encoding;
        let encodings: Vec<&Encoding> = positions.iter().map(encoding).collect();
        for indices in self.predictor.batches(&encodings) {
            let chosen = || indices.iter().map(|&index| positions[index]);
            let inputs: Vec<&Encoded> = chosen().map(|position| &samples[position].input).collect();
            let encodings: Vec<&Encoding> = inputs.iter().map(|input| &input.encoding).collect();
            let options = RunOptions { lower: self.lower, ..RunOptions::default() };
            let request = self.task.request();
            let ignore = &mut |_: usize, _: &str| ControlFlow::Continue(());
            let raw = self.predictor.run(&encodings, self.version, request, &options, ignore)?;
            let adapter = self.version.adapter();
            let soft = self.task.soft_targets(adapter, &inputs, &raw, self.share)?;
            for (position, soft) in chosen().zip(soft) {
                Rc::make_mut(&mut samples[position]).soft = Some(soft);
            }
        }
        Ok(())
    }
}
