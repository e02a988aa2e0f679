//! Makes the report of one language: the gate judges the scores of the selection split, and the
//! report shows those of the report split.

use super::candidates::PlannedCandidate;
use super::gate::{self, Evidence, is_finite};
use super::measure::Measured;
use super::options::GateOptions;
use crate::rehearsal::Limits;
use crate::report::{CandidateReport, LanguageReport};
use crate::task::mean;

/// The report of one language; `limits` determine how many examples would make the selection split
/// large enough.
pub(super) fn language(
    measured: &Measured,
    options: &GateOptions,
    limits: &Limits,
) -> LanguageReport {
    let part = |scores: &[f32], in_report_split: bool| -> Vec<f32> {
        let chosen =
            scores.iter().zip(&measured.in_report_split).filter(|(_, is)| **is == in_report_split);
        chosen.map(|(score, _)| *score).collect()
    };
    let reported = |answers: &[f32]| mean(part(answers, true).into_iter().map(f64::from));
    let before = measured.before.as_deref().map(|answers| part(answers, false));
    let selected = |(_, answers): &(PlannedCandidate, Vec<f32>)| match is_finite(answers) {
        true => part(answers, false),
        // Also when the selection split is empty, or does not show it.
        false => vec![f32::NAN; part(answers, false).len().max(1)],
    };
    let candidates: Vec<Vec<f32>> = measured.candidates.iter().map(selected).collect();
    let verdict = gate::judge(
        options,
        &Evidence { before: before.as_deref(), candidates: &candidates, pinned: measured.pinned },
    );
    let chosen = verdict.chosen.and_then(|index| measured.candidates.get(index));
    let reports = measured.candidates.iter().zip(&verdict.comparisons);
    let report_examples = measured.in_report_split.iter().filter(|is| **is).count();
    LanguageReport {
        language: measured.language.clone(),
        updated: measured.updated,
        selection_examples: measured.in_report_split.len() - report_examples,
        report_examples,
        before: measured.before.as_deref().and_then(reported),
        after: chosen
            .filter(|(_, answers)| is_finite(answers))
            .and_then(|(_, answers)| reported(answers)),
        candidates: reports
            .map(|((planned, _), comparison)| CandidateReport {
                kind: planned.kind,
                shares: planned.shares.clone(),
                gained: comparison.gained,
                lost: comparison.lost,
                lower_bound: comparison.lower_bound,
            })
            .collect(),
        chosen: chosen.map(|(planned, _)| planned.kind),
        decision: verdict.decision,
        reason_kind: verdict.reason.kind(),
        reason: verdict.reason.text(&measured.language, limits),
        examples_needed: verdict.reason.examples_needed(&measured.language, limits),
        version: None,
    }
}
