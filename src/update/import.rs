//! Publishes an adapter that was made elsewhere as a version, and lets the gate decide whether it
//! becomes active.
//!
//! The gate judges it as it judges a candidate of an update: on the held-out examples that are
//! remembered for the language, against the version that serves the language now. For the shared
//! adapter these are the examples of all languages. This module must never train.

use super::candidates::{CandidateSpec, PlannedCandidate};
use super::judge;
use super::measure::{self, Measured};
use super::options::{GateOptions, UpdateOptions};
use crate::adapter::Adapter;
use crate::error::{Code, Error, Result, ResultExt};
use crate::evaluation::{EvaluationSet, ExampleScore};
use crate::inference::{LoadedAdapter, Predictor};
use crate::language::Language;
use crate::rehearsal::{Limits, Rehearsal};
use crate::report::{CandidateKind, Decision, LanguageReport};
use crate::runtime::Cancel;
use crate::store::{self, NewVersion, ObjectHash, Snapshot, Store, VersionId, VersionInfo};
use crate::task::Task;
use serde_json::json;
use std::sync::Arc;

/// The fields of an imported version's evidence.
const IMPORTED_FROM: &str = "imported_from";
const LEARNT_UNIX_MS: &str = "learnt_unix_ms";

named! {
    /// Whether an imported version becomes active.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub enum Activation: "activation" {
        /// It never becomes active by itself.
        Never = "never",
        /// It becomes active if the gate finds it no worse than what serves the language now, or
        /// if nothing serves the language.
        #[default]
        Gated = "gated",
        /// It becomes active without being measured, unless the language is pinned.
        Always = "always",
    }
}

/// How an adapter is imported.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Whether it becomes active.
    pub activation: Activation,
    /// The gate, for [`Activation::Gated`].
    pub gate: GateOptions,
    /// Ends the measuring from another thread.
    pub cancel: Option<Cancel>,
}

/// The version that an import published.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The version.
    pub version: VersionId,
    /// What the gate decided; absent if it was not asked.
    pub report: Option<LanguageReport>,
}

/// Publishes `adapter` as a version of `language`; `origin` says in its evidence where it comes
/// from.
///
/// # Errors
/// Nothing is published on any error. [`Code::AdapterTensors`] for an adapter without a head and
/// those of loading one, [`Code::TaskName`], [`Code::TaskKind`] for an adapter of another kind than
/// the versions of the task, [`Code::StoreChanged`] when what serves the language changes
/// meanwhile, [`Code::Cancelled`], those of a run and of [`Store::publish`].
pub fn import(
    predictor: &Predictor,
    store: &Arc<Store>,
    (task, language): (&str, &Language),
    (adapter, origin): (Adapter, &str),
    options: &ImportOptions,
) -> Result<Imported> {
    store::check_task_name(task)?;
    UpdateOptions { gate: options.gate.clone(), ..UpdateOptions::default() }.validate()?;
    let bytes: Arc<[u8]> = adapter.to_bytes()?.into();
    let importing = || format!("importing a version of {language} for the task {task:?}");
    // This tries it on the model, so that a version which cannot serve is never published.
    let loaded = Arc::new(predictor.load(adapter).context(importing)?);
    let snapshot = store.snapshot()?;
    let import = Import { predictor, store, task, language, snapshot: &snapshot };
    import.check_kind(&loaded).context(importing)?;
    let rehearsal = match options.activation {
        Activation::Gated => Some(Rehearsal::open_saved(store, task).context(importing)?),
        Activation::Never | Activation::Always => None,
    };
    let report = rehearsal.as_ref().map(|memory| import.judge(&loaded, memory, options));
    let report = report.transpose().context(importing)?;
    let activate = match &report {
        Some(report) => report.decision == Decision::Activate,
        None => options.activation == Activation::Always,
    };
    let mut evidence = json!({IMPORTED_FROM: origin, "gate": report});
    if let Some(time) = learnt_unix_ms(&snapshot, ObjectHash::of(&bytes))? {
        evidence[LEARNT_UNIX_MS] = json!(time);
    }
    let mut versions = vec![NewVersion { language: language.clone(), bytes, activate, evidence }];
    if let (Some(rehearsal), true) = (&rehearsal, activate) {
        versions.extend(import.kept(rehearsal).context(importing)?);
    }
    let unchanged = |newest: &Snapshot| match rehearsal {
        Some(_) => import.check_unchanged(newest, &versions),
        None => Ok(()),
    };
    let published = store.publish_with(task, &versions, unchanged, |_| Ok(None))?;
    if let Some(doubt) = published.doubt {
        return Err(doubt.context("the version is published, but"));
    }
    let version = published.versions.into_iter().next();
    let version = version.ok_or_else(|| Error::new(Code::Internal, "no version was published"))?;
    let report = report.map(|one| LanguageReport { version: Some(version.number), ..one });
    Ok(Imported { version, report })
}

/// When an update of this store published this content, if it comes from here: it may have been
/// exported and have learnt from examples that are wiped later.
fn learnt_unix_ms(snapshot: &Snapshot, hash: ObjectHash) -> Result<Option<u64>> {
    let versions = snapshot.versions(None)?;
    let same = versions.iter().filter(|version| version.hash == hash);
    Ok(same.filter_map(published_by_update_unix_ms).min())
}

/// When an update published the content of a version; `None` for one that came from elsewhere.
pub(super) fn published_by_update_unix_ms(version: &VersionInfo) -> Option<u64> {
    match version.evidence.get(IMPORTED_FROM) {
        None => Some(version.created_unix_ms),
        Some(_) => version.evidence.get(LEARNT_UNIX_MS)?.as_u64(),
    }
}

/// Where an adapter is imported to.
struct Import<'a> {
    predictor: &'a Predictor,
    store: &'a Arc<Store>,
    task: &'a str,
    language: &'a Language,
    snapshot: &'a Snapshot,
}

impl Import<'_> {
    /// Refuses an adapter of another kind than the versions that the task has.
    fn check_kind(&self, adapter: &LoadedAdapter) -> Result<()> {
        let known = self.snapshot.languages(self.task);
        let active = known.filter_map(|one| self.snapshot.active(self.task, one)).next();
        let Some(active) = active else { return Ok(()) };
        let read = || self.store.read_object(&active.hash);
        let known = self.predictor.load_cached(active.hash.as_bytes(), read)?;
        let (expected, found) = (known.adapter().task, adapter.adapter().task);
        if expected == found {
            return Ok(());
        }
        let message = format!("the task is {expected}, the adapter is of {found}");
        Err(Error::new(Code::TaskKind, message))
    }

    /// Refuses to publish by a measurement that no longer holds.
    fn check_unchanged(&self, newest: &Snapshot, versions: &[NewVersion]) -> Result<()> {
        let serving = |snapshot: &Snapshot, language: &Language| {
            let version = snapshot.resolve(self.task, language).map(|(_, one)| one.hash);
            (version, snapshot.is_pinned(self.task, language))
        };
        let is_changed =
            |language: &&Language| serving(newest, language) != serving(self.snapshot, language);
        match versions.iter().map(|version| &version.language).find(is_changed) {
            None => Ok(()),
            Some(language) => {
                let message = format!(
                    "what serves {language} has changed since it was measured; import again"
                );
                Err(Error::new(Code::StoreChanged, message))
            }
        }
    }

    /// A language with held-out examples that borrows the version of another one gets it as its
    /// own. Otherwise the imported version, which was not measured on its examples, could be the
    /// next to serve it.
    fn kept(&self, rehearsal: &Rehearsal) -> Result<Vec<NewVersion>> {
        let is_other = |one: &&Language| *one != self.language && !one.is_shared();
        let borrows = |one: &&Language| self.snapshot.active(self.task, one).is_none();
        let measured = |one: &&Language| rehearsal.held_out(one).next().is_some();
        // The shared adapter was measured on the examples of all languages.
        let others = rehearsal.languages().filter(|_| !self.language.is_shared());
        let mut kept = Vec::new();
        for language in others.filter(is_other).filter(borrows).filter(measured) {
            let Some((owner, version)) = self.snapshot.resolve(self.task, language) else {
                continue;
            };
            kept.push(NewVersion {
                language: language.clone(),
                bytes: self.store.read_object(&version.hash)?.into(),
                activate: true,
                evidence: json!({"kept_from": {"language": owner, "number": version.number}}),
            });
        }
        Ok(kept)
    }

    /// Measures the adapter and what serves the language on the same examples; the gate decides.
    fn judge(
        &self,
        adapter: &LoadedAdapter,
        rehearsal: &Rehearsal,
        options: &ImportOptions,
    ) -> Result<LanguageReport> {
        let (language, snapshot) = (self.language, self.snapshot);
        let task = Task::of(adapter.adapter().task);
        let held_out = measure::held_out(self.predictor.bundle(), task, rehearsal)?;
        let serving = snapshot.resolve(self.task, language).map(|(_, version)| version.hash);
        let score = |one: &LoadedAdapter| self.scores(&held_out, one, options.cancel.as_ref());
        let before = match serving {
            None => None,
            Some(hash) => {
                let read = || self.store.read_object(&hash);
                let known = self.predictor.load_cached(hash.as_bytes(), read)?;
                let scores = score(&known)?.into_iter();
                // A version whose outputs are not finite has no right answers.
                let finite = |one: ExampleScore| if one.is_finite() { one } else { <_>::default() };
                Some(scores.map(finite).collect())
            }
        };
        let planned = PlannedCandidate {
            kind: CandidateKind::Imported,
            strength: 1.0,
            shares: Vec::new(),
            spec: CandidateSpec::Whole(0),
        };
        let asked = self.asked(&held_out);
        let measured = Measured {
            language: language.clone(),
            updated: false,
            pinned: snapshot.is_pinned(self.task, language),
            serving,
            before,
            candidates: vec![(planned, score(adapter)?)],
            in_report_split: asked
                .iter()
                .flat_map(|language| held_out.is_in_report_split(language))
                .copied()
                .collect(),
        };
        let reports = judge::languages(&[measured], &options.gate, &Limits::default());
        let report = reports.into_iter().next();
        report.ok_or_else(|| Error::new(Code::Internal, "the gate decided nothing"))
    }

    /// The languages of the examples: the language itself, or all of them for the shared adapter.
    fn asked<'a>(&'a self, held_out: &'a EvaluationSet) -> Vec<&'a Language> {
        match self.language.is_shared() {
            true => held_out.languages().collect(),
            false => vec![self.language],
        }
    }

    /// The scores of an adapter on these examples.
    fn scores(
        &self,
        held_out: &EvaluationSet,
        adapter: &LoadedAdapter,
        cancel: Option<&Cancel>,
    ) -> Result<Vec<ExampleScore>> {
        let proceed = &mut |_| match cancel {
            Some(cancel) if cancel.is_cancelled() => {
                Err(Error::new(Code::Cancelled, "the import was cancelled"))
            }
            _ => Ok(()),
        };
        let mut all = Vec::new();
        for language in self.asked(held_out) {
            all.extend(measure::scores_of(held_out, self.predictor, adapter, language, proceed)?);
        }
        Ok(all)
    }
}
