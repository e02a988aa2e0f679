//! How many optimiser steps each training run takes, when it may end early, and whether more steps
//! would have helped.
//!
//! With [`UpdateOptions::epochs`] at 0 the number of passes is chosen here: as many as give
//! [`UpdateOptions::steps_min`] steps, at least [`PASSES_MIN`], and no more once the loss of a
//! whole pass is nearly 0. For a training run that starts from a version, which already knows the
//! task, a third of those steps is the minimum. The schedule depends only on options and losses, so
//! a stopped training continues exactly. Held-out examples must never affect it: the gate decides
//! by them, and stopping where their scores are best would bias its evidence.

use super::options::UpdateOptions;
use std::time::Duration;

/// The number of passes over the examples, unless more are needed for enough steps.
pub const PASSES_MIN: f64 = 4.0;

/// The divisor of the smallest number of steps for a training run that starts from a version.
const FEWER_FROM_VERSION: usize = 3;

/// A pass with at most this mean loss has nothing left to learn from: for labels, right answers
/// have 99.5 % of the probability. At 0.02 the examples of the README are answered right, too, but
/// similar sentences are answered worse than after more steps.
const LOSS_CONVERGED: f64 = 0.005;

/// More steps are not recommended if the loss is at most this.
const LOSS_WORTH_MORE: f64 = 0.05;

/// The loss is falling if it falls by at least this share from one third of the steps to the next.
const FALL_MIN: f64 = 0.05;

/// The length of each training run.
pub struct Schedule {
    /// The number of steps of each training run.
    steps: Vec<usize>,
    may_end_early: bool,
    seconds_max: f64,
}

impl Schedule {
    /// Plans training runs with these numbers of batches per pass, which start `from_version` or
    /// from nothing. With `steps_max`, all training runs are shortened by the same factor.
    pub fn plan(
        options: &UpdateOptions,
        from_version: bool,
        batches: impl Iterator<Item = usize>,
    ) -> Self {
        let may_end_early = options.epochs == 0.0;
        let fewer = if from_version { FEWER_FROM_VERSION } else { 1 };
        let steps_min = if may_end_early { options.steps_min.div_ceil(fewer) } else { 1 };
        let planned = |batches: usize| {
            let passes = if may_end_early { PASSES_MIN } else { options.epochs };
            let steps = (passes * batches as f64).ceil() as usize;
            steps.max(steps_min).max(1)
        };
        let mut steps: Vec<usize> = batches.map(planned).collect();
        let total: usize = steps.iter().sum();
        if options.steps_max > 0 && total > options.steps_max {
            let shorten = |steps: usize| (steps * options.steps_max / total).max(1);
            steps.iter_mut().for_each(|steps| *steps = shorten(*steps));
        }
        Self { steps, may_end_early, seconds_max: options.seconds_max }
    }

    /// The steps of a training run.
    pub fn steps(&self, run: usize) -> usize {
        self.steps.get(run).copied().unwrap_or(0)
    }

    /// The steps of all training runs.
    pub fn total(&self) -> usize {
        self.steps.iter().sum()
    }

    /// Records that a training run ended after `steps`, so that the total stays exact.
    pub fn ended(&mut self, run: usize, steps: usize) {
        if let Some(planned) = self.steps.get_mut(run) {
            *planned = steps;
        }
    }

    /// Whether a training run has nothing left to learn after `passes` passes; `last` are the
    /// losses of the last one.
    pub fn has_converged(&self, passes: usize, last: &[f64]) -> bool {
        self.may_end_early && passes as f64 >= PASSES_MIN && mean(last) <= LOSS_CONVERGED
    }

    /// When a training run must end: every training run gets its share of the remaining time.
    pub fn deadline(&self, run: usize) -> Option<Duration> {
        if self.seconds_max <= 0.0 {
            return None;
        }
        let until: usize = self.steps.iter().take(run + 1).sum();
        let share = until as f64 / self.total().max(1) as f64;
        Some(Duration::from_secs_f64(self.seconds_max * share))
    }
}

/// Whether the losses of a training run were still falling when it ended: the mean of the last
/// third of the steps is significantly lower than that of the third before, and the last tenth
/// shows that there is something left to learn.
pub fn is_falling(losses: &[f64]) -> bool {
    let third = losses.len() / 3;
    let (rest, last) = losses.split_at(losses.len() - third);
    let before = &rest[rest.len() - third.min(rest.len())..];
    let fall = mean(before) - mean(last);
    third > 0
        && mean(&losses[losses.len() - losses.len().div_ceil(10)..]) > LOSS_WORTH_MORE
        && fall > FALL_MIN * mean(before)
        && fall > (squared_error(before) + squared_error(last)).sqrt()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The squared standard error of the mean; 0 for a single value.
fn squared_error(values: &[f64]) -> f64 {
    let (mean, count) = (mean(values), values.len() as f64);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    squares / (count * (count - 1.0).max(1.0)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(options: &UpdateOptions, batches: &[usize]) -> Vec<usize> {
        Schedule::plan(options, false, batches.iter().copied()).steps
    }

    #[test]
    fn small_data_takes_more_passes_and_large_data_four() {
        let automatic = UpdateOptions { steps_min: 100, ..UpdateOptions::default() };
        assert_eq!(steps(&automatic, &[1, 2, 25, 60]), [100, 100, 100, 240]);
        let later = Schedule::plan(&automatic, true, [1, 8, 9].into_iter());
        assert_eq!(later.steps, [34, 34, 36]);
        let shortened = UpdateOptions { steps_max: 44, ..automatic };
        assert_eq!(steps(&shortened, &[1, 2, 60]), [10, 10, 24]);
    }

    #[test]
    fn what_the_caller_says_is_obeyed() {
        let stated = UpdateOptions { epochs: 4.0, ..UpdateOptions::default() };
        assert_eq!(steps(&stated, &[1, 2, 25]), [4, 8, 100]);
        let fraction = UpdateOptions { epochs: 0.1, ..UpdateOptions::default() };
        assert_eq!(steps(&fraction, &[1, 25]), [1, 3]);
        let schedule = Schedule::plan(&stated, false, [2].into_iter());
        assert!(!schedule.has_converged(100, &[0.0]));
    }

    #[test]
    fn a_run_ends_early_only_after_four_passes_that_left_nothing_to_learn() {
        let mut schedule = Schedule::plan(&UpdateOptions::default(), false, [2, 2].into_iter());
        assert!(!schedule.has_converged(3, &[0.001, 0.002]));
        assert!(!schedule.has_converged(4, &[0.001, 0.2]));
        assert!(schedule.has_converged(4, &[0.001, 0.002]));
        let planned = schedule.total();
        schedule.ended(0, 8);
        assert_eq!(schedule.total(), planned / 2 + 8);
    }

    #[test]
    fn a_loss_that_falls_is_told_from_one_that_is_level_or_converged() {
        let losses = |loss: fn(usize) -> f64| (0..24).map(loss).collect::<Vec<f64>>();
        assert!(is_falling(&losses(|step| 0.7 - 0.01 * step as f64)));
        assert!(!is_falling(&losses(|_| 0.7)));
        assert!(!is_falling(&losses(|step| 0.5 + 0.2 * (step % 2) as f64)));
        assert!(!is_falling(&losses(|step| 0.5 + 0.01 * step as f64)));
        assert!(!is_falling(&losses(|step| 0.7_f64.powi(step as i32))));
        assert!(!is_falling(&[0.5, 0.4]) && !is_falling(&[]));
    }
}
