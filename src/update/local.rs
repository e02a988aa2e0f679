//! Training from stated versions, for a round that many devices take part in: deltas and the scores
//! before and after, without candidates, gate or commit.
//!
//! All training examples of a language in the round count as new, remembered ones too, because
//! other devices learn from them through this delta alone; examples of other languages are
//! rehearsed. This module must never publish or activate a version. What it writes is the memory of
//! examples, so that the gate can later judge with those that are held out.

use super::background;
use super::job::Job;
use super::measure::{self, scores_of};
use super::options::UpdateOptions;
use super::progress::{Phase, ProgressCallback, Reporter};
use super::start::{self, Initialiser, Names, Start};
use super::strategy::{StrategyKind, TrainingData};
use super::trainer::Trainer;
use super::training::Delta;
use crate::adapter::Adapter;
use crate::error::{Code, Error, Result};
use crate::evaluation::{EvaluationSet, ExampleScore};
use crate::example::Example;
use crate::inference::{LoadedAdapter, Predictor};
use crate::language::Language;
use crate::rehearsal::{Rehearsal, Split};
use crate::store::Store;
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is trained from what.
pub struct LocalTraining<'a> {
    /// The task.
    pub task: &'a str,
    /// The version that each language of the round starts from; all of one kind of task.
    pub bases: &'a BTreeMap<Language, Arc<LoadedAdapter>>,
    /// New examples, in any language; empty to train on remembered ones alone.
    pub examples: &'a [Example],
    /// The options of training; strategy, gate and checkpoints have no effect.
    pub options: &'a UpdateOptions,
    /// Whether the first factors of low-rank products keep their values.
    pub down_frozen: bool,
}

/// What training changed in one language.
pub struct LocalDelta {
    /// The language.
    pub language: Language,
    /// Where it started.
    pub from: Adapter,
    /// Where it ended.
    pub to: Adapter,
    /// How many examples of the language it was trained on.
    pub examples_count: usize,
    /// The score of the start on each held-out example of the language.
    pub before: Vec<ExampleScore>,
    /// The score of the end on the same examples.
    pub after: Vec<ExampleScore>,
}

/// Trains every language of `training` that has examples and remembers the new ones.
///
/// # Errors
/// Nothing is remembered on any error. [`Code::UpdateNoExamples`] when no language has a training
/// example, [`Code::TaskUnknownLabel`] for a new example with a label that no base has,
/// [`Code::TaskKind`], [`Code::UpdateDiverged`], [`Code::StoreLocked`] while an update of the task
/// is running, [`Code::Cancelled`] when the callback breaks; those of a run.
pub fn train_locally(
    predictor: &Predictor,
    store: &Arc<Store>,
    training: &LocalTraining<'_>,
    progress: ProgressCallback<'_>,
) -> Result<Vec<LocalDelta>> {
    training.options.validate()?;
    let run = |progress: ProgressCallback<'_>| {
        train_and_remember(predictor, store, training, &mut Reporter::new(progress))
    };
    if training.options.background { background::run(progress, run) } else { run(progress) }
}

fn train_and_remember(
    predictor: &Predictor,
    store: &Arc<Store>,
    training: &LocalTraining<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<Vec<LocalDelta>> {
    reporter.step(Phase::Prepare, 0, 1, None)?;
    let LocalTraining { task, examples, options, .. } = *training;
    let mut rehearsal = Rehearsal::open_in(store, task, options.rehearsal)?;
    rehearsal.add(examples, options.seed)?;
    let job = Job { predictor, store, task, options, examples };
    let deltas = train(&job, training, &rehearsal, reporter)?;
    remember(&mut rehearsal, examples)?;
    Ok(deltas)
}

fn train(
    job: &Job<'_>,
    training: &LocalTraining<'_>,
    rehearsal: &Rehearsal,
    reporter: &mut Reporter<'_>,
) -> Result<Vec<LocalDelta>> {
    let Some(any) = training.bases.values().next() else {
        return Err(Error::new(
            Code::UpdateNoExamples,
            "no language of the round has a training example on this device",
        ));
    };
    let task = Task::of(any.adapter().task);
    let mut known = Names::default();
    for base in training.bases.values() {
        start::check_kind(task, base.adapter())?;
        known.add_adapter(base.adapter());
    }
    if !training.examples.is_empty() {
        start::check_labels(task, training.examples, &known, false)?;
    }
    let (new, remembered) = split(training, rehearsal);
    if new.is_empty() {
        let message = "no language of the round has a training example on this device";
        return Err(Error::new(Code::UpdateNoExamples, message));
    }
    let data = TrainingData {
        new: &new,
        remembered: &remembered,
        rehearsal_ratio: job.options.rehearsal_ratio,
        seed: job.options.seed,
    };
    // One training run per language, on its own examples and rehearsed ones.
    let strategy = StrategyKind::Uriel.strategy(job.options.uriel);
    let runs = strategy.runs(&data);
    let initialiser = Initialiser { predictor: job.predictor, task, options: job.options };
    let start = |language: &Language| {
        let base = training.bases.get(language).cloned();
        initialiser.start(base, &Names::default(), data.new)
    };
    let starts: Vec<Start> = runs.iter().map(|run| start(&run.language)).collect::<Result<_>>()?;
    let lower = job.lower_states(task, &starts)?.map(Arc::new);
    let mut held_out = measure::held_out(job.predictor.bundle(), task, rehearsal)?;
    held_out.start_from(lower.clone());
    let trainer = Trainer {
        predictor: job.predictor,
        task,
        strategy: strategy.as_ref(),
        data: &data,
        options: job.options,
        from_version: true,
        checkpoints: None,
        lower,
        down_frozen: training.down_frozen,
    };
    let (deltas, _) = trainer.train(runs, starts, reporter)?;
    let asked: usize = deltas.iter().map(|one| held_out.examples_count(&one.run.language)).sum();
    let mut scorer = Scorer { job, held_out: &held_out, reporter, done: 0, total: 2 * asked };
    let deltas = deltas.into_iter();
    deltas.map(|delta| scorer.measured(delta, training, &new)).collect()
}

/// The training examples to learn, and those to rehearse. Examples with a label that the base does
/// not have cannot be trained on and are left out.
fn split(training: &LocalTraining<'_>, rehearsal: &Rehearsal) -> (Vec<Example>, Vec<Example>) {
    let is_known = |example: &&Example, base: &Arc<LoadedAdapter>| {
        let (adapter, target) = (base.adapter(), &example.target);
        target.labels().iter().all(|label| adapter.labels.contains(label))
            && target.tags().iter().all(|tag| adapter.tags.contains(tag))
            && target.kind() == adapter.task
    };
    let mut seen = BTreeSet::new();
    // Of a repeated example the last one counts, as in the rehearsal buffer.
    let brought = training.examples.iter().rev();
    let brought = brought.filter(|one| rehearsal.split(one) == Split::Training);
    let all = brought.chain(rehearsal.training());
    let mut distinct: Vec<&Example> =
        all.filter(|one| seen.insert((&one.language, &one.input))).collect();
    // The same examples give the same delta, whether they were brought or remembered.
    distinct.sort_by(|a, b| (&a.language, &a.input).cmp(&(&b.language, &b.input)));
    let (mut new, mut remembered) = (Vec::new(), Vec::new());
    for example in distinct {
        match training.bases.get(&example.language) {
            Some(base) if is_known(&example, base) => new.push(example.clone()),
            Some(_) => {}
            None if training.bases.values().all(|base| is_known(&example, base)) => {
                remembered.push(example.clone());
            }
            None => {}
        }
    }
    (new, remembered)
}

/// Saves the new examples. No version has learnt from them yet, so they stay pending for the next
/// update of this device.
fn remember(rehearsal: &mut Rehearsal, examples: &[Example]) -> Result<()> {
    let languages: BTreeSet<&Language> = examples.iter().map(|one| &one.language).collect();
    for language in languages {
        let of_language = examples.iter().filter(|one| one.language == *language);
        let mut waiting: Vec<Example> = rehearsal.pending(language).cloned().collect();
        waiting.extend(of_language.cloned());
        rehearsal.set_pending(language, &waiting)?;
    }
    rehearsal.save()
}

/// Scores the two ends of each delta.
struct Scorer<'a, 'b> {
    job: &'a Job<'a>,
    held_out: &'a EvaluationSet,
    reporter: &'a mut Reporter<'b>,
    done: usize,
    total: usize,
}

impl Scorer<'_, '_> {
    fn measured(
        &mut self,
        delta: Delta,
        training: &LocalTraining<'_>,
        new: &[Example],
    ) -> Result<LocalDelta> {
        let Delta { run, from, to } = delta;
        let language = run.language;
        let before = match training.bases.get(&language) {
            Some(base) => self.scores(base, &language)?,
            None => Vec::new(),
        };
        let after = self.scores(&self.job.predictor.load(to.clone())?, &language)?;
        let examples_count = new.iter().filter(|one| one.language == language).count();
        Ok(LocalDelta { language, from, to, examples_count, before, after })
    }

    fn scores(
        &mut self,
        adapter: &LoadedAdapter,
        language: &Language,
    ) -> Result<Vec<ExampleScore>> {
        if self.held_out.examples_count(language) == 0 {
            return Ok(Vec::new());
        }
        let (done, total) = (self.done, self.total);
        let reporter = &mut *self.reporter;
        let progress = &mut |scored| reporter.step(Phase::MeasureAfter, done + scored, total, None);
        let found = scores_of(self.held_out, self.job.predictor, adapter, language, progress)?;
        self.done += found.len();
        Ok(found)
    }
}
