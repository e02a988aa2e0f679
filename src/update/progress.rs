//! Telling the caller how far an update is, and hearing that it should stop.

use crate::error::{Code, Error, Result};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Where an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// Splitting and tokenizing examples, deriving and opening the training session.
    Prepare = 0,
    /// Measuring the active versions on the held-out examples; steps are examples.
    MeasureBefore = 1,
    /// Training; steps are optimiser steps.
    Train = 2,
    /// Measuring the candidate; steps are examples.
    MeasureAfter = 3,
}

impl Phase {
    /// A short name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::MeasureBefore => "measure before",
            Self::Train => "train",
            Self::MeasureAfter => "measure after",
        }
    }
}

/// A report of progress: the first and last step of a phase, and at most ten a second between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The current phase.
    pub phase: Phase,
    /// Steps done in this phase.
    pub step: usize,
    /// Steps of this phase.
    pub steps_count: usize,
    /// The loss, averaged over the last steps; absent outside training.
    pub loss: Option<f64>,
    /// Training examples seen, over all epochs.
    pub examples_seen: usize,
    /// Time since the update began to run.
    pub elapsed: Duration,
}

/// What a caller passes in to hear progress; breaking cancels.
pub type ProgressCallback<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// Passes progress on, thinned out.
pub(super) struct Reporter<'a> {
    callback: ProgressCallback<'a>,
    started: Instant,
    examples_seen: usize,
    /// The loss, averaged over the last steps.
    loss: Option<f64>,
    last: Option<(Phase, Instant)>,
}

/// Weight of the newest loss in the running mean that is shown.
const LOSS_SMOOTHING: f64 = 0.1;

/// Least time between two reports of one phase.
const INTERVAL: Duration = Duration::from_millis(100);

impl<'a> Reporter<'a> {
    pub(super) fn new(callback: ProgressCallback<'a>) -> Self {
        Self { callback, started: Instant::now(), examples_seen: 0, loss: None, last: None }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts examples that training has seen.
    pub(super) fn add_examples(&mut self, count: usize) {
        self.examples_seen += count;
    }

    /// Reports a step of training and its loss.
    ///
    /// # Errors
    /// As [`Reporter::step`].
    pub(super) fn loss(&mut self, step: usize, steps_count: usize, loss: f64) -> Result<()> {
        let mean = self.loss.map_or(loss, |mean| mean + LOSS_SMOOTHING * (loss - mean));
        self.loss = Some(mean);
        self.step(Phase::Train, step, steps_count, self.loss)
    }

    /// Reports a step.
    ///
    /// # Errors
    /// [`Code::Cancelled`] when the caller wants to stop.
    pub(super) fn step(
        &mut self,
        phase: Phase,
        step: usize,
        steps_count: usize,
        loss: Option<f64>,
    ) -> Result<()> {
        let recent = self.last.is_some_and(|(last, at)| last == phase && at.elapsed() < INTERVAL);
        if recent && step < steps_count {
            return Ok(());
        }
        self.last = Some((phase, Instant::now()));
        let (examples_seen, elapsed) = (self.examples_seen, self.elapsed());
        let progress = Progress { phase, step, steps_count, loss, examples_seen, elapsed };
        match (self.callback)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::new(
                Code::Cancelled,
                format!("cancelled while in phase {:?}; nothing was changed", phase.name()),
            )),
        }
    }
}
