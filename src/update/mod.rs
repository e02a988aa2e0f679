//! The update: a transaction that trains on new examples and keeps every language from getting
//! worse.
//!
//! Input: labelled examples. Output: new versions and a report. [`Update::run`] splits off the
//! held-out examples, trains what the strategy plans, measures the active versions and every
//! candidate on the same held-out examples of every language, and applies the gate.
//! [`Update::commit`] then publishes and activates what the gate chose, in one atomic step. Before
//! the commit nothing on disk changes except an optional checkpoint; dropping the update aborts it.
//! This part must never write to the store's versions outside of the commit.

mod adopt;
mod background;
mod candidates;
mod checkpoint;
mod earlier;
mod footprint;
mod gate;
mod history;
mod import;
mod job;
mod judge;
mod local;
mod measure;
mod optimizer;
mod options;
mod outcome;
mod pending;
mod progress;
mod reason;
mod run;
mod schedule;
mod session;
mod start;
mod steps;
pub mod strategy;
mod teacher;
mod trainability;
mod trainer;
mod training;
mod wipe;

pub use adopt::{Adopted, adopt};
pub use candidates::{CandidateSpec, PlannedCandidate};
pub use gate::{CandidateEvidence, Comparison, Estimate, Evidence, Verdict};
pub use history::history;
pub use import::{Activation, ImportOptions, Imported, import};
pub use local::{LocalDelta, LocalTraining, train_locally};
pub use measure::Measured;
pub use optimizer::{Optimizer, Rule};
pub use options::{GateOptions, OptimizerOptions, UpdateOptions};
pub use progress::{Phase, Progress, ProgressCallback};
pub use reason::Reason;
pub use session::{MicroBatch, TrainingSession, training_model};
pub use strategy::{Sharing, StrategyKind, UrielOptions};
pub use trainability::{Trainability, trainability};
pub use wipe::{Wiped, wipe};

use crate::adapter::Adapter;
use crate::error::{Code, Error, Result, ResultExt};
use crate::example::Example;
use crate::inference::{LoadedAdapter, Predictor};
use crate::language::Language;
use crate::report::{Decision, LanguageReport, Report};
use crate::runtime::log::{self, Severity};
use crate::store::{self, NewVersion, Snapshot, Store};
use checkpoint::CheckpointFile;
use job::Job;
use outcome::Outcome;
use progress::Reporter;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A running update. One thread at a time may use it; predictions continue meanwhile.
pub struct Update {
    predictor: Arc<Predictor>,
    store: Arc<Store>,
    task: String,
    options: UpdateOptions,
    examples: Vec<Example>,
    outcome: Option<(Outcome, Report)>,
}

impl Update {
    /// Begins an update of `task`.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] for options out of range, [`Code::TaskName`].
    pub fn begin(
        predictor: Arc<Predictor>,
        store: Arc<Store>,
        task: &str,
        options: UpdateOptions,
    ) -> Result<Self> {
        options.validate()?;
        store::check_task_name(task)?;
        let task = task.to_owned();
        Ok(Self { predictor, store, task, options, examples: Vec::new(), outcome: None })
    }

    /// Adds a labelled example. Adding after a run discards that run's outcome.
    ///
    /// # Errors
    /// Those of [`Example::check`]; [`Code::TaskKind`] for another kind of target than that of
    /// earlier examples; [`Code::ArgumentInvalid`] for the language `mul`, because no text is
    /// written in it.
    pub fn add(&mut self, example: Example) -> Result<()> {
        example.check()?;
        if let Some(first) = self.examples.first() {
            let (expected, found) = (first.target.kind(), example.target.kind());
            if expected != found {
                let message = format!(
                    "an update has examples of one task: expected {expected}, found {found}"
                );
                return Err(Error::new(Code::TaskKind, message));
            }
        }
        if example.language.is_shared() {
            let message = format!("no example can be in the language {}", example.language);
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        self.outcome = None;
        self.examples.push(example);
        Ok(())
    }

    /// Trains, measures and applies the gate. Nothing on disk changes except the checkpoint.
    ///
    /// With [`UpdateOptions::checkpoint_steps`], an update with the same examples, options and
    /// store continues where the last one stopped, and ends with the same bytes as one that was not
    /// stopped.
    ///
    /// # Errors
    /// [`Code::UpdateNoExamples`], [`Code::UpdateOneClass`], [`Code::TaskUnknownLabel`],
    /// [`Code::UpdateDiverged`]; [`Code::UpdateCheckpoint`] when there is a checkpoint of another
    /// update; [`Code::Cancelled`] when the callback breaks. After any of them the update can be
    /// run again or dropped.
    pub fn run(&mut self, progress: ProgressCallback<'_>) -> Result<&Report> {
        self.outcome = None;
        let job = self.job();
        let outcome = if self.options.background {
            background::run(progress, |progress| job.run(&mut Reporter::new(progress)))
        } else {
            job.run(&mut Reporter::new(progress))
        };
        let outcome = outcome.context(|| format!("updating the task {:?}", self.task))?;
        let report = outcome.judge(&job, &self.options.gate);
        Ok(&self.outcome.insert((outcome, report)).1)
    }

    /// Applies the gate again with other options, without training again.
    ///
    /// # Errors
    /// [`Code::UpdateState`] when the update has not run, [`Code::ArgumentInvalid`] for options out
    /// of range.
    pub fn judge(&mut self, gate: GateOptions) -> Result<&Report> {
        let options = UpdateOptions { gate, ..self.options.clone() };
        options.validate()?;
        let Some((outcome, _)) = self.outcome.take() else { return Err(not_run("judge")) };
        self.options = options;
        let report = outcome.judge(&self.job(), &self.options.gate);
        Ok(&self.outcome.insert((outcome, report)).1)
    }

    /// The report of the last successful run.
    pub fn report(&self) -> Option<&Report> {
        self.outcome.as_ref().map(|(_, report)| report)
    }

    /// The scores on the held-out examples that the report is made of: those of the version that
    /// serves each language and of its candidates. Empty before a successful run.
    pub fn measured(&self) -> &[Measured] {
        self.outcome.as_ref().map_or(&[], |(outcome, _)| &outcome.measured)
    }

    /// Makes a candidate of [`Update::measured`] again.
    ///
    /// # Errors
    /// [`Code::UpdateState`] when the update has not run.
    pub fn candidate(&self, planned: &PlannedCandidate) -> Result<Arc<LoadedAdapter>> {
        let Some((outcome, _)) = &self.outcome else { return Err(not_run("candidate")) };
        let made = self.job().make(&planned.spec, &outcome.deltas)?;
        self.predictor.load(made).map(Arc::new)
    }

    /// The adapters that a commit would activate now, each with the languages that would get it.
    ///
    /// # Errors
    /// [`Code::UpdateState`] when the update has not run.
    pub fn chosen(&self) -> Result<Vec<(Arc<LoadedAdapter>, Vec<Language>)>> {
        let made = self.make_chosen(&mut |adapter| self.predictor.load(adapter).map(Arc::new))?;
        Ok(made.into_values().collect())
    }

    /// Measures the candidates of the last run against the versions that serve the languages now,
    /// and applies the gate again. Nothing is trained. This is the remedy for
    /// [`Code::StoreChanged`] of a commit: another process or thread has activated, rolled back or
    /// pinned something in the task meanwhile.
    ///
    /// # Errors
    /// [`Code::UpdateState`] when the update has not run, [`Code::Cancelled`] when the callback
    /// breaks. The deltas are kept in any case.
    pub fn measure_again(&mut self, progress: ProgressCallback<'_>) -> Result<&Report> {
        let Some((mut outcome, report)) = self.outcome.take() else {
            return Err(not_run("measure_again"));
        };
        let job = self.job();
        let measure = |progress: ProgressCallback<'_>| {
            job.measure_again(&outcome, &mut Reporter::new(progress))
        };
        let measured = if self.options.background {
            background::run(progress, measure)
        } else {
            measure(progress)
        };
        let measured = measured.context(|| format!("updating the task {:?}", self.task));
        match measured {
            Ok(measured) => {
                outcome.measured = measured;
                let report = outcome.judge(&job, &self.options.gate);
                Ok(&self.outcome.insert((outcome, report)).1)
            }
            Err(error) => {
                self.outcome = Some((outcome, report));
                Err(error)
            }
        }
    }

    /// Publishes and activates what the gate chose. The remembered examples and the report belong
    /// to the same atomic step: after a crash at any moment, either all of it is there or nothing.
    /// The returned report has the new version numbers. Afterwards the update is empty and can take
    /// new examples.
    ///
    /// Once the versions are active, the commit succeeds. [`Report::warnings`] lists what could not
    /// be cleaned up afterwards; the next update does it.
    ///
    /// # Errors
    /// [`Code::UpdateState`] when the update has not run, [`Code::StoreChanged`] when a language is
    /// no longer served by the version that it was measured with: then call
    /// [`Update::measure_again`]. An error leaves the outcome in place, so a commit can be tried
    /// again after a full disk or a locked store.
    pub fn commit(&mut self) -> Result<Report> {
        let task = self.task.clone();
        let committing = || format!("committing the update of the task {task:?}");
        // This check saves work before anything is written; the check under the lock is the one
        // that counts.
        let Some((outcome, _)) = &self.outcome else { return Err(not_run("commit")) };
        let snapshot = self.store.snapshot()?;
        outcome.check_unchanged(&snapshot, &task).context(committing)?;
        let candidates = self.candidates().context(committing)?;
        let Some((outcome, report)) = &mut self.outcome else { return Err(not_run("commit")) };
        pending::note(&mut outcome.rehearsal, report, &outcome.trained_on)?;
        let examples = outcome.rehearsal.stage().context(committing)?;
        let mut report = report.clone();
        let mut staged = None;
        let unchanged = |newest: &Snapshot| outcome.check_unchanged(newest, &task);
        let published = self.store.publish_with(&task, &candidates, unchanged, |versions| {
            report.take_numbers(versions.iter().map(|one| (&one.language, one.number)));
            let record = history::stage(&self.store, &report)?;
            staged = Some(record);
            Ok(Some(store::Decision { report: record, examples }))
        });
        let doubt = published.context(committing)?.doubt;
        // The commit has taken effect. The rest only cleans up, so it cannot fail the commit.
        let mut settled = vec![doubt.map_or(Ok(()), Err)];
        settled.extend(staged.map(|record| history::settle(&self.store, &task, &record)));
        settled.push(CheckpointFile::discard(&self.store, &task));
        // This is last, because it releases the lock of the task.
        settled.push(outcome.rehearsal.settle(examples));
        let undone = settled.into_iter().filter_map(Result::err);
        report.warnings.extend(undone.map(|error| error.to_string()));
        for warning in &report.warnings {
            log::log(Severity::Warning, "polygraft", || format!("task {task:?}: {warning}"));
        }
        self.outcome = None;
        self.examples.clear();
        Ok(report)
    }

    /// Drops the update without any change.
    pub fn abort(self) {}

    /// Whether there is a checkpoint of an update of `task`, stopped or running.
    ///
    /// # Errors
    /// [`Code::TaskName`], [`Code::IoRead`].
    pub fn has_checkpoint(store: &Store, task: &str) -> Result<bool> {
        store::check_task_name(task)?;
        CheckpointFile::is_there(store, task)
    }

    /// Removes the checkpoint of a stopped update of `task`, if there is one.
    ///
    /// # Errors
    /// [`Code::TaskName`], [`Code::IoWrite`]; [`Code::StoreLocked`] while an update of the task is
    /// running.
    pub fn discard_checkpoint(store: &Store, task: &str) -> Result<()> {
        store::check_task_name(task)?;
        if !CheckpointFile::is_there(store, task)? {
            return Ok(());
        }
        let _lock = store.lock_task(task)?;
        CheckpointFile::discard(store, task)
    }

    fn job(&self) -> Job<'_> {
        Job {
            predictor: &self.predictor,
            store: &self.store,
            task: &self.task,
            options: &self.options,
            examples: &self.examples,
        }
    }

    /// Makes each chosen adapter once and passes it to `keep`.
    fn make_chosen<T>(
        &self,
        keep: &mut dyn FnMut(Adapter) -> Result<T>,
    ) -> Result<BTreeMap<CandidateSpec, (T, Vec<Language>)>> {
        let Some((outcome, report)) = &self.outcome else { return Err(not_run("commit")) };
        let mut made = BTreeMap::<CandidateSpec, (T, Vec<Language>)>::new();
        for (language, spec) in outcome.chosen(report) {
            if let Some((_, languages)) = made.get_mut(spec) {
                languages.push(language.clone());
                continue;
            }
            let kept = keep(self.job().make(spec, &outcome.deltas)?)?;
            made.insert(spec.clone(), (kept, vec![language.clone()]));
        }
        Ok(made)
    }

    /// The new versions for the store: the chosen adapters as bytes, with the gate's evidence.
    fn candidates(&self) -> Result<Vec<NewVersion>> {
        let made = self.make_chosen(&mut |adapter| Ok(Arc::<[u8]>::from(adapter.to_bytes()?)))?;
        let mut candidates = Vec::new();
        for (bytes, languages) in made.into_values() {
            for language in languages {
                let entry = self.report().and_then(|report| report.language(&language));
                let unmeasured = || format!("{language} was not measured");
                let entry = entry.ok_or_else(|| Error::new(Code::Internal, unmeasured()))?;
                let (bytes, evidence) = (bytes.clone(), evidence(entry)?);
                candidates.push(NewVersion { language, bytes, activate: true, evidence });
            }
        }
        if !candidates.is_empty() {
            self.keep_borrowed(&mut candidates)?;
        }
        Ok(candidates)
    }

    /// A measured language that is served by another language's version and keeps it gets that
    /// version as its own. Otherwise it would silently be served by the other language's next
    /// version.
    fn keep_borrowed(&self, candidates: &mut Vec<NewVersion>) -> Result<()> {
        let Some((_, report)) = &self.outcome else { return Err(not_run("commit")) };
        let snapshot = self.store.snapshot()?;
        for entry in report.languages.iter().filter(|entry| entry.decision == Decision::Keep) {
            let borrows = snapshot.active(&self.task, &entry.language).is_none();
            let serving = snapshot.resolve(&self.task, &entry.language);
            if let (true, Some((_, version))) = (borrows, serving) {
                candidates.push(NewVersion {
                    language: entry.language.clone(),
                    bytes: self.store.read_object(&version.hash)?.into(),
                    activate: true,
                    evidence: evidence(entry)?,
                });
            }
        }
        Ok(())
    }
}

/// The evidence that a version stores.
fn evidence(entry: &LanguageReport) -> Result<serde_json::Value> {
    serde_json::to_value(entry)
        .map_err(|cause| Error::new(Code::Internal, format!("writing evidence: {cause}")))
}

fn not_run(what: &str) -> Error {
    Error::new(Code::UpdateState, format!("{what} before a successful run"))
}
