//! Reports progress to the caller, who may cancel.

use crate::error::{Code, Error, Result};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

named! {
    /// A phase of an update. The phases follow each other in the order of their numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    #[repr(u32)]
    pub enum Phase {
        /// Splitting and tokenizing examples, deriving and opening the training session.
        Prepare = "prepare",
        /// Training; steps are optimiser steps.
        Train = "train",
        /// Measuring the active versions on the held-out examples; steps are examples.
        MeasureBefore = "measure before",
        /// Measuring the candidates on the same examples; steps are examples.
        MeasureAfter = "measure after",
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
    /// The completed fraction of the whole run, from 0 to 1: an estimate that never falls, and is 1
    /// at the last step of the last phase.
    pub fraction: f64,
    /// The loss, averaged over the last steps; absent outside training.
    pub loss: Option<f64>,
    /// Training examples processed, over all epochs.
    pub examples_seen: usize,
    /// Time since the update began to run.
    pub elapsed: Duration,
}

/// The caller's callback for progress; breaking cancels the update.
pub type ProgressCallback<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// Passes progress on at a limited rate.
pub(super) struct Reporter<'a> {
    callback: ProgressCallback<'a>,
    started: Instant,
    examples_seen: usize,
    /// The loss, averaged over the last steps.
    loss: Option<f64>,
    last: Option<(Phase, Instant)>,
    /// The expected cost of each phase, by its number, in forward passes of one example.
    costs: [f64; Phase::ALL.len()],
    /// The largest fraction that was reported.
    fraction: f64,
}

/// The cost of an example in training, in forward passes: one forward, and about two for the
/// gradients of its activations and tensors. It only affects how evenly the fraction grows.
const TRAINED_COST: f64 = 3.0;

/// The weight of the newest loss in the reported running mean.
const LOSS_SMOOTHING: f64 = 0.1;

/// The shortest time between two reports of one phase.
const INTERVAL: Duration = Duration::from_millis(100);

impl<'a> Reporter<'a> {
    pub(super) fn new(callback: ProgressCallback<'a>) -> Self {
        Self {
            callback,
            started: Instant::now(),
            examples_seen: 0,
            loss: None,
            last: None,
            costs: [0.0; Phase::ALL.len()],
            fraction: 0.0,
        }
    }

    /// States how many examples a phase will process, as soon as that is known or known better.
    pub(super) fn expect(&mut self, phase: Phase, examples_count: usize) {
        let each = if phase == Phase::Train { TRAINED_COST } else { 1.0 };
        self.costs[phase as usize] = each * examples_count as f64;
    }

    /// The completed fraction of the whole run at a step.
    fn advance(&mut self, phase: Phase, step: usize, steps_count: usize) -> f64 {
        // A phase without steps is complete when it begins.
        let share = if steps_count == 0 { 1.0 } else { step as f64 / steps_count as f64 };
        let earlier: f64 = self.costs[..phase as usize].iter().sum();
        let later: f64 = self.costs[phase as usize + 1..].iter().sum();
        let whole = earlier + self.costs[phase as usize] + later;
        let done = earlier + self.costs[phase as usize] * share.clamp(0.0, 1.0);
        let is_end = phase == Phase::MeasureAfter && step >= steps_count;
        let fraction = if is_end { 1.0 } else { done / whole.max(1.0) };
        self.fraction = self.fraction.max(fraction.min(1.0));
        self.fraction
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts examples that training has processed.
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
    /// [`Code::Cancelled`] when the callback breaks.
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
        let fraction = self.advance(phase, step, steps_count);
        let (examples_seen, elapsed) = (self.examples_seen, self.elapsed());
        let progress =
            Progress { phase, step, steps_count, fraction, loss, examples_seen, elapsed };
        match (self.callback)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::new(
                Code::Cancelled,
                format!("cancelled while in phase {:?}; nothing was changed", phase.name()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fractions that are reported for these steps and costs.
    fn fractions(steps: &[(Phase, usize, usize)], expected: &[(Phase, usize)]) -> Vec<f64> {
        let mut told = Vec::new();
        let mut callback = |progress: &Progress| {
            told.push(progress.fraction);
            ControlFlow::Continue(())
        };
        let mut reporter = Reporter::new(&mut callback);
        for &(phase, count) in expected {
            reporter.expect(phase, count);
        }
        for &(phase, step, count) in steps {
            // Steps between the first and the last are limited by time.
            reporter.last = None;
            reporter.step(phase, step, count, None).unwrap();
        }
        told
    }

    #[test]
    fn the_fraction_weighs_phases_by_their_examples_and_ends_at_one() {
        use Phase::{MeasureAfter, MeasureBefore, Prepare, Train};
        // 10 examples trained at 3 forwards, 10 measured before, 20 after: 60 in all.
        let costs = [(Train, 10), (MeasureBefore, 10), (MeasureAfter, 20)];
        let steps = [
            (Prepare, 0, 1),
            (Train, 1, 2),
            (Train, 2, 2),
            (MeasureBefore, 5, 10),
            (MeasureAfter, 0, 20),
            (MeasureAfter, 20, 20),
        ];
        let expected = [0.0, 0.25, 0.5, 35.0 / 60.0, 40.0 / 60.0, 1.0];
        let told = fractions(&steps, &costs);
        for (told, expected) in told.iter().zip(expected) {
            assert!((told - expected).abs() < 1e-12, "{told}, expected {expected}");
        }
    }

    #[test]
    fn the_fraction_never_goes_back_and_needs_no_expectation() {
        let steps =
            [(Phase::MeasureBefore, 9, 10), (Phase::Train, 1, 10), (Phase::MeasureAfter, 0, 0)];
        let told = fractions(&steps, &[(Phase::Train, 100), (Phase::MeasureBefore, 10)]);
        assert_eq!(told[1], told[0], "a phase that comes again is not counted twice");
        assert_eq!(told[2], 1.0, "nothing to measure is the end as well");
        assert_eq!(fractions(&steps, &[]), [0.0, 0.0, 1.0]);
    }
}
