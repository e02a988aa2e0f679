//! The update: a transaction that teaches new examples and harms no language.
//!
//! Labelled examples flow in. [`Update::run`] splits off the held-out ones, trains a candidate
//! adapter, measures the active versions and the candidate on the same held-out examples of every
//! language, and asks the gate. [`Update::commit`] then publishes and activates, in one atomic
//! step, what the gate accepted. Until the commit nothing on disk changes; dropping the update
//! aborts it. This part must never write to the store outside the commit.

mod gate;
mod measure;
mod optimizer;
mod options;
mod progress;
mod start;
pub mod strategy;
mod train;
mod trainer;

pub use gate::{Evidence, Verdict, judge, lower_bound};
pub use optimizer::Optimizer;
pub use options::{GateOptions, OptimizerOptions, UpdateOptions};
pub use progress::{Phase, Progress, ProgressCallback};
pub use strategy::StrategyKind;
pub use trainer::{Sample, Trainer, training_model};

use crate::adapter::Adapter;
use crate::error::{Code, Error, Result, ResultExt};
use crate::language::Language;
use crate::rehearsal::{Example, Rehearsal, Split};
use crate::report::{Decision, LanguageReport, Report, Summary};
use crate::store::{Candidate, ObjectHash, Snapshot, Store};
use crate::task::sentence::{Classifier, LoadedAdapter};
use measure::{Exam, Outcomes};
use progress::Reporter;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A running update. Belongs to one thread at a time; predictions go on beside it.
pub struct Update {
    classifier: Arc<Classifier>,
    store: Arc<Store>,
    task: String,
    options: UpdateOptions,
    examples: Vec<Example>,
    outcome: Option<Outcome>,
}

/// What a run leaves for the commit.
struct Outcome {
    report: Report,
    candidate: Arc<[u8]>,
    rehearsal: Rehearsal,
    /// The store as it was measured.
    generation: u64,
}

impl Update {
    /// Begins an update of `task`.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] for options out of range, [`Code::TaskName`].
    pub fn begin(
        classifier: Arc<Classifier>,
        store: Arc<Store>,
        task: &str,
        options: UpdateOptions,
    ) -> Result<Self> {
        options.validate()?;
        crate::store::check_task_name(task)?;
        let task = task.to_owned();
        Ok(Self { classifier, store, task, options, examples: Vec::new(), outcome: None })
    }

    /// Adds a labelled example. Adding after a run discards that run's outcome.
    ///
    /// # Errors
    /// [`Code::TaskEmptyText`], [`Code::TaskTooLong`], [`Code::ArgumentInvalid`] for an empty label
    /// or the language `mul`, which no text is written in.
    pub fn add(&mut self, example: Example) -> Result<()> {
        example.check()?;
        if example.language.is_shared() {
            let message = format!("no example can be in the language {}", example.language);
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        self.outcome = None;
        self.examples.push(example);
        Ok(())
    }

    /// Trains, measures and asks the gate. Nothing on disk changes.
    ///
    /// # Errors
    /// [`Code::UpdateNoExamples`], [`Code::UpdateOneClass`], [`Code::TaskUnknownLabel`],
    /// [`Code::UpdateDiverged`]; [`Code::Cancelled`] when the callback breaks. After any of them
    /// the update can be run again or dropped.
    pub fn run(&mut self, progress: ProgressCallback<'_>) -> Result<&Report> {
        self.outcome = None;
        let outcome = self
            .execute(&mut Reporter::new(progress))
            .context(|| format!("updating the task {:?}", self.task))?;
        Ok(&self.outcome.insert(outcome).report)
    }

    /// The report of the last run that ended well.
    pub fn report(&self) -> Option<&Report> {
        self.outcome.as_ref().map(|outcome| &outcome.report)
    }

    /// Publishes the candidate in the languages that the gate accepted and activates it there, in
    /// one atomic step; and saves the examples to the rehearsal buffer. The report that comes back
    /// has the new version numbers. Afterwards the update is empty and can take new examples.
    ///
    /// # Errors
    /// [`Code::UpdateState`] when the update has not run, [`Code::StoreChanged`] when the store has
    /// changed since: what was measured is no longer what would be replaced. Errors leave the
    /// outcome in place, so a commit that found the disk full or the store locked can be tried
    /// again.
    pub fn commit(&mut self) -> Result<Report> {
        let Some(outcome) = &mut self.outcome else {
            return Err(Error::new(Code::UpdateState, "commit before a successful run"));
        };
        let committing = || format!("committing the update of the task {:?}", self.task);
        self.store.snapshot()?.check_generation(outcome.generation).context(committing)?;
        // The examples go first: without the version they only await the next update, while a
        // version without its examples would be forgotten by it.
        outcome.rehearsal.save()?;
        publish(&self.store, &self.task, outcome).context(committing)?;
        let report = outcome.report.clone();
        self.outcome = None;
        self.examples.clear();
        Ok(report)
    }

    /// Drops the update; nothing has changed.
    pub fn abort(self) {}

    fn execute(&self, reporter: &mut Reporter<'_>) -> Result<Outcome> {
        reporter.step(Phase::Prepare, 0, 1, None)?;
        let snapshot = self.store.snapshot()?;
        let mut rehearsal = Rehearsal::open(self.store.path(), &self.task, self.options.rehearsal)?;
        rehearsal.add(&self.examples, self.options.seed)?;
        let trained = |example: &&Example| rehearsal.split(example) == Split::Training;
        let new: Vec<Example> = self.examples.iter().filter(trained).cloned().collect();
        let added: BTreeSet<&Example> = new.iter().collect();
        let remembered: Vec<Example> =
            rehearsal.training().filter(|example| !added.contains(example)).cloned().collect();
        let active = match snapshot.resolve(&self.task, &Language::shared()) {
            Some((_, version)) => Some(self.load(&version.hash)?),
            None => None,
        };
        let previous = active.as_deref().map(LoadedAdapter::adapter);
        let adapter =
            start::adapter(&self.classifier, previous, &self.examples, &new, &self.options)?;
        let held_out = rehearsal.languages().flat_map(|language| rehearsal.held_out(language));
        let exam = Exam::new(&self.classifier, held_out)?;

        let before =
            exam.take(&self.classifier, Phase::MeasureBefore, reporter, &mut |language| {
                let version = snapshot.resolve(&self.task, language);
                version.map(|(_, version)| self.load(&version.hash)).transpose()
            })?;
        let (candidate, mut training) = self.train(adapter, &new, &remembered, reporter)?;
        let bytes: Arc<[u8]> = candidate.to_bytes()?.into();
        let loaded = Arc::new(self.classifier.load(candidate)?);
        let after = exam.take(&self.classifier, Phase::MeasureAfter, reporter, &mut |_| {
            Ok(Some(loaded.clone()))
        })?;

        training.elapsed_ms = reporter.elapsed().as_millis() as u64;
        let languages = self.judge_all(&snapshot, &before, &after)?;
        let mut report = Report {
            task: self.task.clone(),
            strategy: self.options.strategy.name().to_owned(),
            seed: self.options.seed,
            gate: gate::describe(&self.options.gate),
            languages,
            summary: Summary::default(),
            candidate_summary: Summary::default(),
            training,
        };
        report.summarise();
        Ok(Outcome { report, candidate: bytes, rehearsal, generation: snapshot.generation() })
    }

    fn load(&self, hash: &ObjectHash) -> Result<Arc<LoadedAdapter>> {
        self.classifier.load_cached(hash.as_bytes(), || self.store.read_object(hash))
    }

    fn train(
        &self,
        adapter: Adapter,
        new: &[Example],
        remembered: &[Example],
        reporter: &mut Reporter<'_>,
    ) -> Result<(Adapter, crate::report::Training)> {
        let options = &self.options;
        let mut trainer = Trainer::open(
            self.classifier.runtime(),
            self.classifier.bundle(),
            adapter,
            options.mode,
            options.threads,
            options.micro_batch_tokens_max,
        )?;
        let material = strategy::Material {
            new,
            remembered,
            rehearsal_ratio: options.rehearsal_ratio,
            seed: options.seed,
        };
        let strategy = options.strategy.strategy();
        let training = train::train(
            &mut trainer,
            &self.classifier,
            strategy.as_ref(),
            &material,
            options,
            reporter,
        )?;
        Ok((trainer.adapter(), training))
    }

    /// One entry per language that has held-out examples, a version or new data, then `mul`.
    fn judge_all(
        &self,
        snapshot: &Snapshot,
        before: &Outcomes,
        after: &Outcomes,
    ) -> Result<Vec<LanguageReport>> {
        let updated: BTreeSet<&Language> = self.examples.iter().map(|one| &one.language).collect();
        let mut languages: BTreeSet<Language> = snapshot.languages(&self.task).cloned().collect();
        languages.extend(after.keys().cloned());
        languages.extend(updated.iter().map(|language| (*language).clone()));
        languages.remove(&Language::shared());
        let mut entries = Vec::with_capacity(languages.len() + 1);
        for language in languages {
            let served = snapshot.resolve(&self.task, &language).is_some();
            let empty = || served.then(Vec::new);
            let before = before.get(&language).cloned().unwrap_or_else(empty);
            let after = after.get(&language).cloned().flatten().unwrap_or_default();
            let was_updated = updated.contains(&language);
            entries.push(self.entry(snapshot, language, was_updated, before, after));
        }
        let shared = Language::shared();
        let before = match snapshot.active(&self.task, &shared) {
            // The shared adapter answered only where a language has no version of its own; the
            // pooled answers of what serves each language are what it has to keep up with.
            Some(_) => measure::pooled(before),
            None => None,
        };
        let after = measure::pooled(after).ok_or_else(|| measure::unanswered(&shared))?;
        entries.push(self.entry(snapshot, shared, false, before, after));
        Ok(entries)
    }

    fn entry(
        &self,
        snapshot: &Snapshot,
        language: Language,
        updated: bool,
        before: Option<Vec<bool>>,
        after: Vec<bool>,
    ) -> LanguageReport {
        let pinned = snapshot.is_pinned(&self.task, &language);
        let evidence = Evidence { before: before.as_deref(), after: &after, pinned };
        let verdict = judge(&self.options.gate, &evidence);
        LanguageReport {
            language,
            updated,
            before: before.as_deref().and_then(measure::accuracy),
            after: measure::accuracy(&after),
            held_out: after.len(),
            gained: verdict.gained,
            lost: verdict.lost,
            lower_bound: verdict.lower_bound,
            decision: verdict.decision,
            reason: verdict.reason,
            version: None,
        }
    }
}

/// Publishes the accepted languages in one step and writes their numbers into the report.
fn publish(store: &Store, task: &str, outcome: &mut Outcome) -> Result<()> {
    let Outcome { report, candidate, generation, .. } = outcome;
    let mut candidates = Vec::new();
    for entry in report.languages.iter().filter(|entry| entry.decision == Decision::Activate) {
        let evidence = serde_json::to_value(entry)
            .map_err(|cause| Error::new(Code::Internal, format!("writing evidence: {cause}")))?;
        candidates.push(Candidate {
            language: entry.language.clone(),
            bytes: candidate.clone(),
            activate: true,
            evidence,
        });
    }
    if candidates.is_empty() {
        return Ok(());
    }
    let published = store.publish_if_unchanged(*generation, task, &candidates)?;
    for version in published {
        let entry = report.languages.iter_mut().find(|entry| entry.language == version.language);
        if let Some(entry) = entry {
            entry.version = Some(version.number);
        }
    }
    Ok(())
}
