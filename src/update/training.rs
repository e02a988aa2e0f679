//! The trainer: runs the training runs of an update one after another in one session.
//!
//! The seed determines everything that a training run depends on, so training can stop after any
//! step and continue exactly from a [`Checkpoint`]. This module must never measure or decide.

use super::checkpoint::{Checkpoint, CheckpointFile, Underway};
use super::optimizer::{Optimizer, Rule};
use super::options::UpdateOptions;
use super::progress::{Phase, Reporter};
use super::schedule::{self, Schedule};
use super::session::{MicroBatch, TrainingSession};
use super::start::Start;
use super::strategy::{Strategy, TrainingData, TrainingRun};
use super::teacher::Teacher;
use crate::adapter::Adapter;
use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};
use crate::example::Example;
use crate::inference::{LowerStates, Predictor};
use crate::report::Training;
use crate::runtime::SessionOptions;
use crate::task::{Sample, Task};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// The number of batches that are sorted by length together: more save padding, fewer mix better.
const BATCHES_PER_BUCKET: usize = 16;

/// What one training run changed: the trained adapter minus its starting point.
pub struct Delta {
    /// The run.
    pub run: TrainingRun,
    /// Where it started.
    pub from: Adapter,
    /// Where it ended.
    pub to: Adapter,
}

/// A training run at its position among all.
struct Planned<'a> {
    run: &'a TrainingRun,
    index: usize,
    /// How each tensor is trained.
    rules: &'a [Rule],
    /// Gives rehearsed examples soft targets.
    teacher: Option<Teacher<'a>>,
}

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
    /// Trains every training run from its start to its end.
    ///
    /// # Errors
    /// [`Code::UpdateDiverged`] naming the step when the loss or gradients are no longer finite;
    /// [`Code::Cancelled`] from the reporter; those of reading and writing checkpoints.
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
            let planned = Planned { run, index, rules: &rules, teacher };
            cut_short |= self.train_run(session, planned, &schedule, &mut done, reporter)?;
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

    fn save(&self, done: &Checkpoint) -> Result<()> {
        self.checkpoints.map_or(Ok(()), |file| file.write(done))
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

    /// Trains one training run to its end or its deadline; returns whether it was cut short.
    fn train_run(
        &self,
        session: &mut TrainingSession,
        Planned { run, index, rules, teacher }: Planned<'_>,
        schedule: &Schedule,
        done: &mut Checkpoint,
        reporter: &mut Reporter<'_>,
    ) -> Result<bool> {
        let options = self.options;
        let steps_count = schedule.steps(index);
        let mut optimizer = Optimizer::new(options.optimizer.clone(), steps_count, session.sizes());
        let mut skipped = 0;
        if let Some(underway) = done.underway.take() {
            skipped = underway.step;
            underway.restore(session, &mut optimizer)?;
        }
        let mut samples = Samples {
            predictor: self.predictor,
            task: self.task,
            adapter: session.adapter(),
            samples: HashMap::new(),
        };
        let deadline = schedule.deadline(index);
        let before = done.losses.len() - skipped;
        let mut step = 0;
        for epoch in 0.. {
            let pass = before + step;
            let chosen = self.strategy.epoch(self.data, run, epoch);
            if chosen.is_empty() {
                return Ok(false);
            }
            let is_rehearsed: Vec<bool> = chosen.iter().map(|one| !self.data.is_new(one)).collect();
            let mut chosen =
                chosen.into_iter().map(|one| samples.get(one)).collect::<Result<Vec<_>>>()?;
            let mut random = fastrand::Rng::with_seed(options.seed.wrapping_add(epoch as u64));
            let batches = batches(&chosen, options.batch_size, &mut random);
            for (number, rows) in batches.iter().enumerate() {
                if step == steps_count {
                    return Ok(false);
                }
                step += 1;
                if step <= skipped {
                    continue;
                }
                if deadline.is_some_and(|deadline| reporter.elapsed() >= deadline) {
                    return Ok(true);
                }
                if let Some(lower) = session.lower() {
                    let ahead = batches[number..].iter().take(BATCHES_PER_BUCKET).flatten();
                    let ahead: Vec<&Encoding> =
                        ahead.map(|&row| &chosen[row].input.encoding).collect();
                    // Texts of many batches, among which more have the same length.
                    if !lower.has_all(&ahead[..rows.len()]) {
                        lower.prepare(&ahead)?;
                    }
                }
                if let Some(teacher) = &teacher {
                    let rehearsed = rows.iter().copied().filter(|&row| is_rehearsed[row]);
                    teacher.teach(&mut chosen, &rehearsed.collect::<Vec<_>>())?;
                }
                let batch: Vec<&Sample> = rows.iter().map(|&row| &*chosen[row]).collect();
                let (loss, mut gradients) =
                    session.gradients(self.predictor.bundle(), self.task, &batch)?;
                let norm = optimizer.step(&mut session.tensors_mut(), &mut gradients, rules);
                if !loss.is_finite() || !norm.is_finite() {
                    return Err(diverged(done.losses.len(), loss, norm));
                }
                done.losses.push(loss);
                reporter.add_examples(batch.len());
                let reported = reporter.loss(done.losses.len(), schedule.total(), loss);
                // The caller may continue after a cancellation, so the state is saved.
                if self.is_due(done.losses.len(), reported.is_err()) {
                    done.underway = Some(Underway::of(step, session, &optimizer));
                    self.save(done)?;
                }
                reported?;
            }
            if schedule.has_converged(epoch + 1, &done.losses[pass..before + step]) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Whether the state after `steps` steps is saved.
    fn is_due(&self, steps: usize, stopping: bool) -> bool {
        let every = self.options.checkpoint_steps;
        every > 0 && (stopping || steps.is_multiple_of(every))
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
    samples: HashMap<&'a Example, Rc<Sample>>,
}

impl<'a> Samples<'a> {
    fn get(&mut self, example: &'a Example) -> Result<Rc<Sample>> {
        if let Some(sample) = self.samples.get(example) {
            return Ok(sample.clone());
        }
        let bundle = self.predictor.bundle();
        let input = self.task.encode(bundle, &example.input)?;
        let target = self.task.target(bundle, &self.adapter, &input, &example.target)?;
        let sample = Rc::new(Sample { input, target, soft: None });
        self.samples.insert(example, sample.clone());
        Ok(sample)
    }
}
