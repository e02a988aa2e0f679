//! The trainer: runs the training runs of an update one after another in one session.
//!
//! Training can stop after any step and continue exactly from a [`Checkpoint`]. This module must
//! never measure or decide.

use super::checkpoint::Checkpoint;
use super::progress::{Phase, Reporter};
use super::schedule::{self, Schedule};
use super::session::{MicroBatch, TrainingSession};
use super::start::Start;
use super::steps::{PlannedRun, RunEnd, RunInProgress};
use super::strategy::TrainingRun;
use super::teacher::Teacher;
use super::trainer::Trainer;
use crate::adapter::Adapter;
use crate::error::Result;
use crate::report::Training;
use crate::runtime::SessionOptions;

/// What one training run changed: the trained adapter minus its starting point.
pub struct Delta {
    /// The run.
    pub run: TrainingRun,
    /// Where it started.
    pub from: Adapter,
    /// Where it ended.
    pub to: Adapter,
}

impl Trainer<'_> {
    /// Trains every training run from its start to its end.
    ///
    /// # Errors
    /// [`Code::UpdateDiverged`] naming the step when the loss or gradients are no longer finite;
    /// [`Code::Cancelled`] from the reporter; those of reading and writing checkpoints.
    ///
    /// [`Code::UpdateDiverged`]: crate::Code::UpdateDiverged
    /// [`Code::Cancelled`]: crate::Code::Cancelled
    pub fn train(
        &self,
        runs: Vec<TrainingRun>,
        starts: Vec<Start>,
        reporter: &mut Reporter<'_>,
    ) -> Result<(Vec<Delta>, Training)> {
        let mut schedule = self.schedule(&runs);
        reporter.expect(Phase::Train, schedule.total() * self.options.batch_size);
        let mut done = match self.checkpoints {
            Some(file) => file.read()?.unwrap_or_default(),
            None => Checkpoint::default(),
        };
        done.check(starts.iter().map(|start| &start.adapter))?;
        let mut cut_short = false;
        let mut session: Option<TrainingSession> = None;
        for (index, (run, start)) in runs.iter().zip(&starts).enumerate() {
            if let Some(steps) = done.steps.get(index) {
                schedule.ended(index, *steps);
                continue;
            }
            let session = match &mut session {
                Some(session) if session.fits(&start.adapter) => {
                    session.restart(start.adapter.clone());
                    session
                }
                other => other.insert(self.open_session(&start.adapter)?),
            };
            let mut rules = session.rules(self.head_rate_factor(start));
            if self.down_frozen {
                session.freeze_down(&mut rules);
            }
            let teacher = self.teacher(start);
            let planned = PlannedRun { run, index, rules: &rules, teacher };
            let run = RunInProgress::begin(self, session, planned, &schedule, &mut done)?;
            cut_short |= run.train(reporter)? == RunEnd::CutShort;
            done.finish(session.adapter().tensors);
            schedule.ended(index, done.steps[index]);
            self.save(&done)?;
        }
        let training = self.summary(&runs, &done, cut_short);
        let deltas = runs.into_iter().zip(starts).zip(done.finished);
        let deltas = deltas.map(|((run, start), tensors)| {
            let from = start.adapter;
            let to = Adapter { tensors, ..from.clone() };
            Delta { run, from, to }
        });
        Ok((deltas.collect(), training))
    }

    fn open_session(&self, start: &Adapter) -> Result<TrainingSession> {
        let options = self.options;
        TrainingSession::open(
            self.predictor.engine(),
            self.predictor.bundle(),
            self.task,
            start.clone(),
            SessionOptions {
                mode: options.mode,
                threads: options.threads,
                operators: self.predictor.operators(),
                ..SessionOptions::default()
            },
            MicroBatch {
                tokens_max: options.micro_batch_tokens_max,
                bytes_max: options.memory_bytes_max,
                smoothing: options.label_smoothing as f32,
            },
            self.lower.clone(),
        )
    }

    /// The factor on the learning rate of the heads. A head that has been trained learns at the
    /// rate of the adapter: at that of a new one, a few examples damage it (docs/results.md).
    fn head_rate_factor(&self, start: &Start) -> f64 {
        if start.is_head_new { self.options.optimizer.head_rate_factor } else { 1.0 }
    }

    /// The teacher of a training run. A task that generates text has none, because a run gives no
    /// probabilities of its texts.
    fn teacher<'a>(&'a self, start: &'a Start) -> Option<Teacher<'a>> {
        let (predictor, task, share) = (self.predictor, self.task, self.options.distillation);
        let version = start.version.as_deref()?;
        let is_used = share > 0.0 && !task.heads().is_empty();
        let (share, lower) = (share as f32, self.lower.as_deref());
        is_used.then_some(Teacher { predictor, task, version, share, lower })
    }

    fn schedule(&self, runs: &[TrainingRun]) -> Schedule {
        let batches = runs.iter().map(|run| {
            let examples = self.strategy.epoch(self.data, run, 0).len();
            examples.div_ceil(self.options.batch_size)
        });
        Schedule::plan(self.options, self.from_version, batches)
    }

    fn summary(&self, runs: &[TrainingRun], done: &Checkpoint, cut_short: bool) -> Training {
        let losses = &done.losses;
        let tenth = losses.len().div_ceil(10);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
        let per_epoch: usize =
            runs.iter().map(|run| self.strategy.epoch(self.data, run, 0).len()).sum();
        Training {
            examples_new: self.data.new.len(),
            examples_rehearsed: per_epoch.saturating_sub(self.data.new.len()),
            training_runs: runs.len(),
            steps: losses.len(),
            loss_first: mean(&losses[..tenth]),
            loss_last: mean(&losses[losses.len() - tenth..]),
            cut_short,
            still_falling: done.by_run().any(schedule::is_falling),
            elapsed_ms: 0,
        }
    }
}
