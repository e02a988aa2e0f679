//! The scores of single examples, for studies of the gate: what held-out examples say about every
//! candidate, and what the test says.
//!
//! Input: an update that has run. Output: a file per run and stage, for `tools/evidence.py`.
//! This module must never change what is decided.

use crate::cache;
use crate::experiment::Experiment;
use crate::test_set::{Serving, TestSet};
use polygraft::evaluation::ExampleScore;
use polygraft::inference::LoadedAdapter;
use polygraft::language::Language;
use polygraft::report::CandidateKind;
use polygraft::update::{Measured, Update};
use polygraft::{Code, Error, Result};
use serde::Serialize;
use std::path::Path;

/// The scores of one language.
#[derive(Serialize)]
struct LanguageEvidence {
    language: Language,
    updated: bool,
    /// Which held-out examples are of the report split.
    in_report_split: Vec<bool>,
    /// The version that serves the language.
    before: Scores,
    candidates: Vec<CandidateEvidence>,
}

#[derive(Serialize)]
struct CandidateEvidence {
    kind: CandidateKind,
    strength: f64,
    #[serde(flatten)]
    scores: Scores,
}

/// The score of each example and, where the task has one, the probability of its target.
#[derive(Serialize)]
struct Scores {
    held_out: Vec<(f32, Option<f32>)>,
    test: Vec<(f32, Option<f32>)>,
}

/// Writes the evidence of one stage.
pub fn write(
    experiment: &Experiment<'_>,
    test_set: &TestSet,
    update: &Update,
    serving: &Serving,
    path: &Path,
) -> Result<()> {
    let mut all = Vec::new();
    for one in update.measured() {
        // The setting's languages are served and tested; `mul` is neither.
        let Some((_, served)) = serving.get(&one.language) else { continue };
        all.push(language(experiment, test_set, update, one, served)?);
    }
    cache::save(path, &all)
}

fn language(
    experiment: &Experiment<'_>,
    test_set: &TestSet,
    update: &Update,
    one: &Measured,
    served: &LoadedAdapter,
) -> Result<LanguageEvidence> {
    let scores = |held_out: &[ExampleScore], adapter: &LoadedAdapter| {
        let test = test_set.example_scores(experiment, adapter, &one.language)?;
        Ok::<Scores, Error>(Scores { held_out: pairs(held_out), test: pairs(&test) })
    };
    let mut candidates = Vec::new();
    for (planned, held_out) in &one.candidates {
        let adapter = update.candidate(planned)?;
        let scores = scores(held_out, &adapter)?;
        let (kind, strength) = (planned.kind, planned.strength);
        candidates.push(CandidateEvidence { kind, strength, scores });
    }
    let unserved = || Error::new(Code::Internal, format!("{} was not served", one.language));
    let before = one.before.as_deref().ok_or_else(unserved)?;
    Ok(LanguageEvidence {
        language: one.language.clone(),
        updated: one.updated,
        in_report_split: one.in_report_split.clone(),
        before: scores(before, served)?,
        candidates,
    })
}

fn pairs(scores: &[ExampleScore]) -> Vec<(f32, Option<f32>)> {
    scores.iter().map(|one| (one.score, one.probability)).collect()
}
