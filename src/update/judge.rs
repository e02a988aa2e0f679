//! Makes the reports of the languages: the gate judges the scores of the selection split, and the
//! reports show those of the report split.

use super::candidates::PlannedCandidate;
use super::gate::{self, CandidateEvidence, Comparison, Evidence, Verdict};
use super::measure::Measured;
use super::options::GateOptions;
use crate::evaluation::ExampleScore;
use crate::rehearsal::Limits;
use crate::report::{CandidateReport, LanguageReport};
use crate::task::mean;

/// The reports of all languages; `limits` determine how many examples would make a selection split
/// large enough.
pub(super) fn languages(
    measured: &[Measured],
    options: &GateOptions,
    limits: &Limits,
) -> Vec<LanguageReport> {
    let evidence: Vec<Evidence> = measured.iter().map(evidence).collect();
    let verdicts = gate::judge(options, &evidence);
    measured.iter().zip(verdicts).map(|(one, verdict)| language(one, &verdict, limits)).collect()
}

/// What the gate may see of a language.
fn evidence(measured: &Measured) -> Evidence {
    let candidate = |(planned, scores): &(PlannedCandidate, Vec<ExampleScore>)| CandidateEvidence {
        kind: planned.kind,
        strength: planned.strength,
        scores: match is_finite(scores) {
            true => selection_split(measured, scores),
            // Also if the output is in the report split, which the gate must not see.
            false => vec![ExampleScore::NOT_FINITE],
        },
    };
    Evidence {
        shared: measured.language.is_shared(),
        updated: measured.updated,
        pinned: measured.pinned,
        before: measured.before.as_deref().map(|scores| selection_split(measured, scores)),
        candidates: measured.candidates.iter().map(candidate).collect(),
    }
}

fn is_finite(scores: &[ExampleScore]) -> bool {
    scores.iter().all(ExampleScore::is_finite)
}

/// The scores that the gate may see.
fn selection_split(measured: &Measured, scores: &[ExampleScore]) -> Vec<ExampleScore> {
    split(measured, scores, |in_report_split| !in_report_split)
}

/// The scores that reports show.
fn report_split(measured: &Measured, scores: &[ExampleScore]) -> Vec<ExampleScore> {
    split(measured, scores, |in_report_split| in_report_split)
}

fn split(
    measured: &Measured,
    scores: &[ExampleScore],
    is_wanted: fn(bool) -> bool,
) -> Vec<ExampleScore> {
    let pairs = scores.iter().zip(&measured.in_report_split);
    pairs.filter(|(_, in_report)| is_wanted(**in_report)).map(|(score, _)| *score).collect()
}

fn language(measured: &Measured, verdict: &Verdict, limits: &Limits) -> LanguageReport {
    let reported = |scores: &[ExampleScore]| {
        mean(report_split(measured, scores).into_iter().map(|one| f64::from(one.score)))
    };
    let chosen = verdict.chosen.and_then(|index| measured.candidates.get(index));
    let after = chosen.filter(|(_, scores)| is_finite(scores));
    let report_examples = measured.in_report_split.iter().filter(|is| **is).count();
    let candidates = measured.candidates.iter().zip(&verdict.comparisons);
    LanguageReport {
        language: measured.language.clone(),
        updated: measured.updated,
        selection_examples: measured.in_report_split.len() - report_examples,
        report_examples,
        before: measured.before.as_deref().and_then(reported),
        after: after.and_then(|(_, scores)| reported(scores)),
        candidates: candidates.map(|((planned, _), one)| candidate(planned, one)).collect(),
        chosen: chosen.map(|(planned, _)| planned.kind),
        chosen_strength: chosen.map_or(1.0, |(planned, _)| planned.strength),
        decision: verdict.decision,
        reason_kind: verdict.reason.kind(limits),
        reason: verdict.reason.text(&measured.language, limits),
        examples_needed: verdict.reason.examples_needed(limits),
        serving: measured.serving.map(|hash| hash.to_string()),
        version: None,
    }
}

fn candidate(planned: &PlannedCandidate, comparison: &Comparison) -> CandidateReport {
    let estimate = comparison.estimate;
    CandidateReport {
        kind: planned.kind,
        strength: planned.strength,
        shares: planned.shares.clone(),
        gained: comparison.gained,
        lost: comparison.lost,
        change: estimate.map(|one| one.change),
        lower_bound: estimate.map(|one| one.lower_bound),
        upper_bound: estimate.map(|one| one.upper_bound),
        loss_chance: estimate.map(|one| one.loss_chance),
        examples_borrowed: estimate.map(|one| one.examples_borrowed.round() as usize),
    }
}
