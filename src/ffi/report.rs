//! The report of an update: what it does to each language.

use super::error::{ErrorObject, Status};
use super::object::{at, free, read, required};
use super::reason::number;
use super::sized::{self, SizedStruct};
use super::text::{StringView, Text};
use crate::report::{CandidateKind, Decision, LanguageReport, Report, Summary, Training};

/// The report of an update: its effect on each language, and the sums over languages.
pub struct ReportObject {
    task: Text,
    strategy: Text,
    gate: Text,
    /// Language and reason of each entry, in the order of the report.
    texts: Vec<(Text, Text)>,
    report: Report,
}

/// The texts that an entry views: its language and its reason.
pub(super) fn entry_texts(entry: &LanguageReport) -> (Text, Text) {
    (Text::new(entry.language.as_str()), Text::new(&entry.reason))
}

impl ReportObject {
    pub(super) fn new(report: Report) -> Self {
        Self {
            task: Text::new(&report.task),
            strategy: Text::new(&report.strategy),
            gate: Text::new(&report.gate),
            texts: report.languages.iter().map(entry_texts).collect(),
            report,
        }
    }

    #[cfg(feature = "html")]
    pub(super) fn report(&self) -> &Report {
        &self.report
    }
}

/// The language keeps the version it had.
pub const POLYGRAFT_DECISION_KEEP: u32 = 0;
/// The candidate becomes the language's active version.
pub const POLYGRAFT_DECISION_ACTIVATE: u32 = 1;

/// The update had no candidate for the language.
pub const POLYGRAFT_CANDIDATE_NONE: u32 = 0;
/// The candidate was trained on the new data of all languages together.
pub const POLYGRAFT_CANDIDATE_SHARED: u32 = 1;
/// The candidate was trained on the new data of the language itself.
pub const POLYGRAFT_CANDIDATE_OWN: u32 = 2;
/// The candidate combines the deltas of near languages, weighted by typological distance.
pub const POLYGRAFT_CANDIDATE_COMBINED: u32 = 3;
/// The candidate was imported from a file.
pub const POLYGRAFT_CANDIDATE_IMPORTED: u32 = 4;
/// The candidate is the last version of the language that was better than what it replaced; it has
/// nothing new.
pub const POLYGRAFT_CANDIDATE_EARLIER: u32 = 5;

/// The entry of one language in a report. Scores are measured on the examples held out for it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LanguageEntry {
    /// `sizeof(polygraft_language_report)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// The decision of the gate, one of `POLYGRAFT_DECISION_*`.
    pub decision: u32,
    /// The language, or `mul` for the shared adapter of the languages without a version.
    pub language: StringView,
    /// The reason of the decision, in one short sentence.
    pub reason: StringView,
    /// The score of the previously active version on the report split, from 0 to 1: the accuracy
    /// for classification, and the mean score of the examples for other kinds of tasks. NaN if no
    /// version served the language or the split is empty.
    pub before: f64,
    /// The score of the chosen candidate on the same examples.
    pub after: f64,
    /// The change in score is larger than this with the gate's confidence, by the selection splits
    /// of all languages together; NaN if there is nothing to compare.
    pub lower_bound: f64,
    /// The number of examples in the report split. They never decide anything.
    pub report_examples: u64,
    /// The number of examples in the selection split on which the candidate scores better.
    pub gained: u64,
    /// The number of examples in the selection split on which the previous version scores better.
    pub lost: u64,
    /// The version number that the commit gave the candidate; 0 before the commit and without a
    /// candidate.
    pub version: u32,
    /// 1 if the update has new training examples in this language, else 0.
    pub updated: u32,
    /// The number of examples in the selection split, which the gate decides by.
    pub selection_examples: u64,
    /// The kind of the chosen candidate, one of `POLYGRAFT_CANDIDATE_*`.
    pub candidate: u32,
    /// The kind of `reason`, one of `POLYGRAFT_REASON_*`.
    pub reason_kind: u32,
    /// The estimated number of further examples of the language that would give the gate enough to
    /// decide by. 0 if it has enough, or if no number would do with these options.
    pub examples_needed: u64,
    /// The expected change in score, by the same evidence as `lower_bound`; NaN where that is.
    pub change: f64,
    /// The change in score is smaller than this with the gate's confidence; NaN where `lower_bound`
    /// is.
    pub upper_bound: f64,
    /// The chance that the chosen candidate is worse than the previous version, from 0 to 1; NaN
    /// where `lower_bound` is.
    pub loss_chance: f64,
    /// What the evidence of the other languages is worth, in selection examples of this language.
    pub examples_borrowed: u64,
    /// The factor on the deltas in the chosen candidate, more than 0, at most 1.
    pub strength: f64,
}

/// The sums of gains and losses over languages. The shared adapter `mul` is not counted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SummaryEntry {
    /// `sizeof(polygraft_summary)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The number of languages that improve.
    pub improved: u64,
    /// The number of languages that get worse.
    pub lost: u64,
    /// The sum of the improvements, in score.
    pub gain_total: f64,
    /// The sum of the losses, in score, as a positive number.
    pub loss_total: f64,
}

/// The training of an update in figures.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TrainingEntry {
    /// `sizeof(polygraft_training)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// 1 if the time budget ended training before its last step, else 0.
    pub cut_short: u32,
    /// The number of new training examples.
    pub examples_new: u64,
    /// The number of examples drawn from the rehearsal buffer per epoch.
    pub examples_rehearsed: u64,
    /// The number of optimiser steps.
    pub steps: u64,
    /// The wall-clock time of training and measuring, in milliseconds.
    pub elapsed_ms: u64,
    /// The mean loss of the first tenth of the steps.
    pub loss_first: f64,
    /// The mean loss of the last tenth of the steps.
    pub loss_last: f64,
    /// The number of training runs: one for all languages, or one per language with new data.
    pub training_runs: u64,
    /// 1 if the loss of a training run was still falling at its end, so that more steps may help,
    /// else 0.
    pub still_falling: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C); integers, floats and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for LanguageEntry {
    const NAME: &'static str = "polygraft_language_report";
}

// SAFETY: repr(C); integers and floats only; `struct_size` first.
unsafe impl SizedStruct for SummaryEntry {
    const NAME: &'static str = "polygraft_summary";
}

// SAFETY: repr(C); integers and floats only; `struct_size` first.
unsafe impl SizedStruct for TrainingEntry {
    const NAME: &'static str = "polygraft_training";
}

fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

impl LanguageEntry {
    pub(super) fn new((language, reason): &(Text, Text), entry: &LanguageReport) -> Self {
        let chosen = entry.chosen_candidate();
        Self {
            struct_size: size_of::<Self>() as u32,
            decision: match entry.decision {
                Decision::Keep => POLYGRAFT_DECISION_KEEP,
                Decision::Activate => POLYGRAFT_DECISION_ACTIVATE,
            },
            language: language.view(),
            reason: reason.view(),
            before: or_nan(entry.before),
            after: or_nan(entry.after),
            lower_bound: or_nan(chosen.and_then(|chosen| chosen.lower_bound)),
            report_examples: entry.report_examples as u64,
            gained: chosen.map_or(0, |chosen| chosen.gained as u64),
            lost: chosen.map_or(0, |chosen| chosen.lost as u64),
            version: entry.version.unwrap_or(0),
            updated: entry.updated.into(),
            selection_examples: entry.selection_examples as u64,
            candidate: match entry.chosen {
                None => POLYGRAFT_CANDIDATE_NONE,
                Some(CandidateKind::Shared) => POLYGRAFT_CANDIDATE_SHARED,
                Some(CandidateKind::Own) => POLYGRAFT_CANDIDATE_OWN,
                Some(CandidateKind::Combined) => POLYGRAFT_CANDIDATE_COMBINED,
                Some(CandidateKind::Imported) => POLYGRAFT_CANDIDATE_IMPORTED,
                Some(CandidateKind::Earlier) => POLYGRAFT_CANDIDATE_EARLIER,
            },
            reason_kind: number(entry.reason_kind),
            examples_needed: entry.examples_needed.unwrap_or(0) as u64,
            change: or_nan(chosen.and_then(|chosen| chosen.change)),
            upper_bound: or_nan(chosen.and_then(|chosen| chosen.upper_bound)),
            loss_chance: or_nan(chosen.and_then(|chosen| chosen.loss_chance)),
            examples_borrowed: chosen.and_then(|chosen| chosen.examples_borrowed).unwrap_or(0)
                as u64,
            strength: entry.chosen_strength,
        }
    }
}

impl From<&Summary> for SummaryEntry {
    fn from(summary: &Summary) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            improved: summary.improved as u64,
            lost: summary.lost as u64,
            gain_total: summary.gain_total,
            loss_total: summary.loss_total,
        }
    }
}

impl From<&Training> for TrainingEntry {
    fn from(training: &Training) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            cut_short: training.cut_short.into(),
            examples_new: training.examples_new as u64,
            examples_rehearsed: training.examples_rehearsed as u64,
            steps: training.steps as u64,
            elapsed_ms: training.elapsed_ms,
            loss_first: training.loss_first,
            loss_last: training.loss_last,
            training_runs: training.training_runs as u64,
            still_falling: training.still_falling.into(),
            reserved: 0,
        }
    }
}

/// Returns the task that was updated; an empty text for NULL.
///
/// Ownership: the view is valid until `report` is freed.
/// Threads: may be called concurrently on one report.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_task(report: *const ReportObject) -> StringView {
    // SAFETY: the caller passes NULL or a report of this library that is not freed.
    unsafe { read(report, StringView::EMPTY, |report| report.task.view()) }
}

/// Returns the name of the strategy, for example `replay`; an empty text for NULL.
///
/// Ownership: the view is valid until `report` is freed.
/// Threads: may be called concurrently on one report.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_strategy(report: *const ReportObject) -> StringView {
    // SAFETY: the caller passes NULL or a report of this library that is not freed.
    unsafe { read(report, StringView::EMPTY, |report| report.strategy.view()) }
}

/// Returns the rule of the gate in words, with its margin and confidence; an empty text for NULL.
///
/// Ownership: the view is valid until `report` is freed.
/// Threads: may be called concurrently on one report.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_gate(report: *const ReportObject) -> StringView {
    // SAFETY: the caller passes NULL or a report of this library that is not freed.
    unsafe { read(report, StringView::EMPTY, |report| report.gate.view()) }
}

/// Returns the number of languages in a report; 0 for NULL.
///
/// Ownership: the caller keeps `report`.
/// Threads: may be called concurrently on one report.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_languages_count(report: *const ReportObject) -> usize {
    // SAFETY: the caller passes NULL or a report of this library that is not freed.
    unsafe { read(report, 0, |report| report.report.languages.len()) }
}

/// Fills `entry` with one language of a report. Languages are sorted by tag, and the shared adapter
/// comes last. The caller sets `entry->struct_size` before.
///
/// Ownership: the views in `*entry` are valid until `report` is freed.
/// Threads: may be called concurrently on one report.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_language(
    report: *const ReportObject,
    index: usize,
    entry: *mut LanguageEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or a report that is not freed, and NULL or a struct that
    // states its size truly.
    unsafe {
        sized::fill(error, "entry", entry, || {
            let ReportObject { texts, report, .. } = required("report", report)?;
            Ok(LanguageEntry::new(at(texts, index)?, at(&report.languages, index)?))
        })
    }
}

/// Fills `summary` with the summary of what users are served after the gate. The caller sets
/// `summary->struct_size` before.
///
/// Ownership: the function writes `*summary`, which stays the caller's.
/// Threads: may be called concurrently on one report.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_summary(
    report: *const ReportObject,
    summary: *mut SummaryEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_report_language`.
    unsafe {
        sized::fill(error, "summary", summary, || {
            Ok(SummaryEntry::from(&required("report", report)?.report.summary))
        })
    }
}

/// Fills `summary` with the summary of activating the candidate in every language. The caller sets
/// `summary->struct_size` before.
///
/// Ownership: the function writes `*summary`, which stays the caller's.
/// Threads: may be called concurrently on one report.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_candidate_summary(
    report: *const ReportObject,
    summary: *mut SummaryEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_report_language`.
    unsafe {
        sized::fill(error, "summary", summary, || {
            Ok(SummaryEntry::from(&required("report", report)?.report.candidate_summary))
        })
    }
}

/// Fills `training` with the figures of the training. The caller sets
/// `training->struct_size` before.
///
/// Ownership: the function writes `*training`, which stays the caller's.
/// Threads: may be called concurrently on one report.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_training(
    report: *const ReportObject,
    training: *mut TrainingEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_report_language`.
    unsafe {
        sized::fill(error, "training", training, || {
            Ok(TrainingEntry::from(&required("report", report)?.report.training))
        })
    }
}

/// Frees a report and sets `*report` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*report`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this report.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_free(report: *mut *mut ReportObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a report it owns.
    unsafe { free(report) }
}
