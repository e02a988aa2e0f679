//! The result of a run: the deltas and the measurements, from which the gate makes a report any
//! number of times and chooses the specs to commit. This module must never train, measure or write.

use super::candidates::{CandidateSpec, PlannedCandidate};
use super::job::Job;
use super::measure::{Measured, Plan};
use super::options::GateOptions;
use super::training::Delta;
use super::{gate, judge};
use crate::error::{Code, Error, Result};
use crate::example::Example;
use crate::language::Language;
use crate::rehearsal::Rehearsal;
use crate::report::{Decision, LanguageReport, Origin, Report, Summary, Training};
use crate::store::Snapshot;
use std::collections::BTreeMap;

/// The result of a run, for the gate and the commit.
pub(super) struct Outcome {
    pub deltas: Vec<Delta>,
    pub measured: Vec<Measured>,
    pub rehearsal: Rehearsal,
    /// The training examples that were new: the added ones and the pending ones.
    pub trained_on: Vec<Example>,
    /// The candidates, independent of what serves the languages.
    pub plan: Plan,
    pub stage: u32,
    pub training: Training,
    pub measured_unix_ms: u64,
}

impl Outcome {
    /// Checks that every language is still served as it was when it was measured.
    ///
    /// # Errors
    /// [`Code::StoreChanged`] naming the first language that is not.
    pub fn check_unchanged(&self, snapshot: &Snapshot, task: &str) -> Result<()> {
        for one in &self.measured {
            let serving = snapshot.resolve(task, &one.language).map(|(_, version)| version.hash);
            let pinned = snapshot.is_pinned(task, &one.language);
            if serving == one.serving && pinned == one.pinned {
                continue;
            }
            let what = if serving == one.serving { "pinned or unpinned" } else { "served anew" };
            let message = format!(
                "{} was {what} since the update was measured; the deltas are kept: measure again, \
                 then commit",
                one.language
            );
            return Err(Error::new(Code::StoreChanged, message));
        }
        Ok(())
    }

    /// Applies the gate to every language.
    pub fn judge(&self, job: &Job<'_>, gate: &GateOptions) -> Report {
        let limits = &job.options.rehearsal;
        let mut report = Report {
            task: job.task.to_owned(),
            stage: self.stage,
            strategy: job.options.strategy.name().to_owned(),
            seed: job.options.seed,
            gate: gate::describe(gate),
            languages: judge::languages(&self.measured, gate, limits),
            summary: Summary::default(),
            candidate_summary: Summary::default(),
            training: self.training.clone(),
            origin: Some(self.origin(job)),
            warnings: Vec::new(),
        };
        report.summarise();
        report
    }

    fn origin(&self, job: &Job<'_>) -> Origin {
        let bundle = job.predictor.bundle();
        let name = bundle.folder().file_name().unwrap_or_default();
        Origin {
            polygraft: env!("CARGO_PKG_VERSION").to_owned(),
            measured_unix_ms: self.measured_unix_ms,
            bundle: name.to_string_lossy().into_owned(),
            backbone: bundle.backbone_hash().to_owned(),
        }
    }

    /// The spec of each language that the gate activates in `report`.
    pub fn chosen<'a>(&'a self, report: &Report) -> Vec<(&'a Language, &'a CandidateSpec)> {
        let activated: BTreeMap<&Language, &LanguageReport> = report
            .languages
            .iter()
            .filter(|entry| entry.decision == Decision::Activate)
            .map(|entry| (&entry.language, entry))
            .collect();
        let spec = |one: &'a Measured| {
            let entry = activated.get(&one.language)?;
            let is_chosen = |planned: &PlannedCandidate| {
                Some(planned.kind) == entry.chosen && planned.strength == entry.chosen_strength
            };
            let (planned, _) = one.candidates.iter().find(|(planned, _)| is_chosen(planned))?;
            Some((&one.language, &planned.spec))
        };
        self.measured.iter().filter_map(spec).collect()
    }
}
