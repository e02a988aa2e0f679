//! The steps of one training run: batches, gradients, the optimiser, and checkpoints in between.
//!
//! Input: a session at the start of the run and the trainer's settings. Output: the session with
//! the trained tensors, and one loss per step in the checkpoint. The seed determines every step, so
//! a run that continues from a checkpoint takes the same ones. This module must never choose how
//! long a run is; the schedule does.

use super::checkpoint::{Checkpoint, Underway};
use super::optimizer::{Optimizer, Rule};
use super::progress::Reporter;
use super::schedule::Schedule;
use super::session::TrainingSession;
use super::strategy::TrainingRun;
use super::teacher::Teacher;
use super::trainer::Trainer;
use crate::adapter::Adapter;
use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};
use crate::example::Example;
use crate::inference::Predictor;
use crate::task::{Sample, Task};
use std::collections::HashMap;
use std::rc::Rc;

/// The number of batches that are sorted by length together: more save padding, fewer mix better.
const BATCHES_PER_BUCKET: usize = 16;

/// Why a training run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// It took its steps, or had converged, or had nothing to learn from.
    Finished,
    /// Its time was over.
    CutShort,
}

/// A training run at its position among all.
pub(super) struct PlannedRun<'a> {
    /// The run.
    pub run: &'a TrainingRun,
    /// Its position.
    pub index: usize,
    /// How each tensor is trained.
    pub rules: &'a [Rule],
    /// Gives rehearsed examples soft targets.
    pub teacher: Option<Teacher<'a>>,
}

/// A training run under way.
pub(super) struct RunInProgress<'a> {
    trainer: &'a Trainer<'a>,
    session: &'a mut TrainingSession,
    planned: PlannedRun<'a>,
    schedule: &'a Schedule,
    done: &'a mut Checkpoint,
    optimizer: Optimizer,
    samples: Samples<'a>,
    /// The steps so far, including those that a checkpoint already has.
    step: usize,
    /// The steps that a checkpoint already has; they are counted and not taken again.
    restored: usize,
    /// The number of losses of the runs before this one.
    losses_before: usize,
}

/// The examples of one pass in their batches.
struct Epoch {
    samples: Vec<Rc<Sample>>,
    is_rehearsed: Vec<bool>,
    /// Positions among the samples.
    batches: Vec<Vec<usize>>,
}

impl<'a> RunInProgress<'a> {
    /// Begins a run, or continues it where the checkpoint stopped.
    pub fn begin(
        trainer: &'a Trainer<'a>,
        session: &'a mut TrainingSession,
        planned: PlannedRun<'a>,
        schedule: &'a Schedule,
        done: &'a mut Checkpoint,
    ) -> Result<Self> {
        let steps_count = schedule.steps(planned.index);
        let options = trainer.options.optimizer.clone();
        let mut optimizer = Optimizer::new(options, steps_count, session.sizes());
        let mut restored = 0;
        if let Some(underway) = done.underway.take() {
            restored = underway.step;
            underway.restore(session, &mut optimizer)?;
        }
        let samples = Samples::new(trainer.predictor, trainer.task, session.adapter());
        let losses_before = done.losses.len() - restored;
        Ok(Self {
            trainer,
            session,
            planned,
            schedule,
            done,
            optimizer,
            samples,
            step: 0,
            restored,
            losses_before,
        })
    }

    /// Trains to the end of the run or to its deadline.
    pub fn train(mut self, reporter: &mut Reporter<'_>) -> Result<RunEnd> {
        let mut number = 0;
        loop {
            let first_loss = self.losses_before + self.step;
            if let Some(end) = self.epoch(number, reporter)? {
                return Ok(end);
            }
            let losses = &self.done.losses[first_loss..self.losses_before + self.step];
            number += 1;
            if self.schedule.has_converged(number, losses) {
                return Ok(RunEnd::Finished);
            }
        }
    }

    /// One pass over the examples; `None` when it is complete and the run may go on.
    fn epoch(&mut self, number: usize, reporter: &mut Reporter<'_>) -> Result<Option<RunEnd>> {
        let mut epoch = self.draw(number)?;
        if epoch.samples.is_empty() {
            return Ok(Some(RunEnd::Finished));
        }
        let steps_count = self.schedule.steps(self.planned.index);
        let deadline = self.schedule.deadline(self.planned.index);
        for batch in 0..epoch.batches.len() {
            if self.step == steps_count {
                return Ok(Some(RunEnd::Finished));
            }
            self.step += 1;
            if self.step <= self.restored {
                continue;
            }
            if deadline.is_some_and(|deadline| reporter.elapsed() >= deadline) {
                return Ok(Some(RunEnd::CutShort));
            }
            self.prepare_lower(&epoch, batch)?;
            self.teach(&mut epoch, batch)?;
            self.take_step(&epoch.batch(batch), reporter)?;
        }
        Ok(None)
    }

    /// The examples of a pass, as the strategy and the seed choose them.
    fn draw(&mut self, number: usize) -> Result<Epoch> {
        let Trainer { strategy, data, options, .. } = self.trainer;
        let examples = strategy.epoch(data, self.planned.run, number);
        let is_rehearsed = examples.iter().map(|one| !data.is_new(one)).collect();
        let samples: Vec<_> =
            examples.into_iter().map(|one| self.samples.get(one)).collect::<Result<_>>()?;
        let mut random = fastrand::Rng::with_seed(options.seed.wrapping_add(number as u64));
        let batches = batches(&samples, options.batch_size, &mut random);
        Ok(Epoch { samples, is_rehearsed, batches })
    }

    /// Computes the hidden states below the adapter that the batch needs, unless they are kept. It
    /// looks ahead to the next batches, because among more texts more have the same length.
    fn prepare_lower(&self, epoch: &Epoch, batch: usize) -> Result<()> {
        let Some(lower) = self.session.lower() else { return Ok(()) };
        let ahead = epoch.batches[batch..].iter().take(BATCHES_PER_BUCKET).flatten();
        let ahead: Vec<&Encoding> = ahead.map(|&row| &epoch.samples[row].input.encoding).collect();
        let of_batch = &ahead[..epoch.batches[batch].len()];
        if lower.has_all(of_batch) { Ok(()) } else { lower.prepare(&ahead) }
    }

    /// Gives the rehearsed samples of the batch soft targets.
    fn teach(&self, epoch: &mut Epoch, batch: usize) -> Result<()> {
        let Some(teacher) = &self.planned.teacher else { return Ok(()) };
        let rows = epoch.batches[batch].iter().copied();
        let rehearsed: Vec<usize> = rows.filter(|&row| epoch.is_rehearsed[row]).collect();
        teacher.teach(&mut epoch.samples, &rehearsed)
    }

    /// One step of the optimiser.
    fn take_step(&mut self, batch: &[&Sample], reporter: &mut Reporter<'_>) -> Result<()> {
        let (bundle, task) = (self.trainer.predictor.bundle(), self.trainer.task);
        let (loss, mut gradients) = self.session.gradients(bundle, task, batch)?;
        let mut tensors = self.session.tensors_mut();
        let norm = self.optimizer.step(&mut tensors, &mut gradients, self.planned.rules);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(diverged(self.done.losses.len(), loss, norm));
        }
        self.done.losses.push(loss);
        reporter.add_examples(batch.len());
        let steps_done = self.done.losses.len();
        let reported = reporter.loss(steps_done, self.schedule.total(), loss);
        // The caller may continue after a cancellation, so the state is saved then, too.
        if self.trainer.is_due(steps_done, reported.is_err()) {
            let underway = Underway::of(self.step, self.session, &self.optimizer);
            self.done.underway = Some(underway);
            self.trainer.save(self.done)?;
        }
        reported
    }
}

impl Epoch {
    /// The samples of a batch.
    fn batch(&self, number: usize) -> Vec<&Sample> {
        self.batches[number].iter().map(|&row| &*self.samples[row]).collect()
    }
}

/// Shuffles the samples, sorts groups of some batches by length, and shuffles the batches.
fn batches(samples: &[Rc<Sample>], size: usize, random: &mut fastrand::Rng) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    random.shuffle(&mut order);
    let mut batches = Vec::new();
    for bucket in order.chunks_mut(size * BATCHES_PER_BUCKET) {
        bucket.sort_by_key(|&index| samples[index].tokens_count());
        batches.extend(bucket.chunks(size).map(<[usize]>::to_vec));
    }
    random.shuffle(&mut batches);
    batches
}

fn diverged(step: usize, loss: f64, norm: f64) -> Error {
    Error::new(
        Code::UpdateDiverged,
        format!(
            "training diverged at step {step}: loss {loss}, gradient norm {norm}; a lower \
             learning rate may help"
        ),
    )
}

/// Tokenizes each input once for all epochs.
struct Samples<'a> {
    predictor: &'a Predictor,
    task: Task,
    adapter: Adapter,
    known: HashMap<&'a Example, Rc<Sample>>,
}

impl<'a> Samples<'a> {
    fn new(predictor: &'a Predictor, task: Task, adapter: Adapter) -> Self {
        Self { predictor, task, adapter, known: HashMap::new() }
    }

    fn get(&mut self, example: &'a Example) -> Result<Rc<Sample>> {
        if let Some(sample) = self.known.get(example) {
            return Ok(sample.clone());
        }
        let bundle = self.predictor.bundle();
        let input = self.task.encode(bundle, &example.input)?;
        let target = self.task.target(bundle, &self.adapter, &input, &example.target)?;
        let sample = Rc::new(Sample { input, target, soft: None });
        self.known.insert(example, sample.clone());
        Ok(sample)
    }
}
