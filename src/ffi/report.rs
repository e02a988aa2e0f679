//! The report of an update: what it does to each language.

use super::error::ErrorObject;
use super::gate::{Status, free, gate, gate_value, object, required};
use super::reason::number;
use super::sized::{self, SizedStruct};
use super::text::{StringView, Text};
use crate::error::{Code, Error, Result};
use crate::report::{CandidateKind, Decision, LanguageReport, Report, Summary};

/// What an update does to each language, and what it adds up to.
pub struct ReportObject {
    task: Text,
    strategy: Text,
    gate: Text,
    /// Language, reason and the rest of each entry, in the order of the report.
    languages: Vec<(Text, Text, LanguageReport)>,
    report: Report,
}

impl ReportObject {
    pub(super) fn new(report: Report) -> Self {
        let entry = |entry: &LanguageReport| {
            (Text::new(entry.language.as_str()), Text::new(&entry.reason), entry.clone())
        };
        Self {
            task: Text::new(&report.task),
            strategy: Text::new(&report.strategy),
            gate: Text::new(&report.gate),
            languages: report.languages.iter().map(entry).collect(),
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

/// There was no candidate for the language.
pub const POLYGRAFT_CANDIDATE_NONE: u32 = 0;
/// What was learnt from all new data together.
pub const POLYGRAFT_CANDIDATE_SHARED: u32 = 1;
/// What was learnt from the new data of the language itself.
pub const POLYGRAFT_CANDIDATE_OWN: u32 = 2;
/// What was learnt from near languages, weighted by typological distance.
pub const POLYGRAFT_CANDIDATE_COMBINED: u32 = 3;

/// One language of a report, measured on the examples held out for it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LanguageEntry {
    /// `sizeof(polygraft_language_report)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// What the gate decided, one of `POLYGRAFT_DECISION_*`.
    pub decision: u32,
    /// The language, or `mul` for the shared adapter of the languages without a version.
    pub language: StringView,
    /// Why the gate decided so, in one short sentence.
    pub reason: StringView,
    /// Score of the version that was active on the reporting examples, 0 to 1: accuracy for labels,
    /// and for other kinds of answers the mean of how good each is. NaN when nothing served the
    /// language or without such examples.
    pub before: f64,
    /// Score of the chosen candidate on the same examples.
    pub after: f64,
    /// Lower confidence bound of the change in score on the choosing examples; NaN when there is
    /// nothing to compare.
    pub lower_bound: f64,
    /// How many held-out examples the scores are reported on; they never decide anything.
    pub reporting: u64,
    /// Choosing examples that the candidate answers better.
    pub gained: u64,
    /// Choosing examples that the previous version answers better.
    pub lost: u64,
    /// The version number that the commit gave the candidate; 0 before the commit or without one.
    pub version: u32,
    /// 1 if the update brought new training examples in this language, else 0.
    pub updated: u32,
    /// How many other held-out examples the gate chose and decided by.
    pub choosing: u64,
    /// What the chosen candidate was made of, one of `POLYGRAFT_CANDIDATE_*`.
    pub candidate: u32,
    /// What kind of reason `reason` is, one of `POLYGRAFT_REASON_*`.
    pub reason_kind: u32,
    /// About how many more examples of the language would have given the gate enough to choose by;
    /// 0 when it did not lack any, or when the options let no number of them do.
    pub examples_needed: u64,
}

/// Gains and losses added up over languages; the shared adapter `mul` is left out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SummaryEntry {
    /// `sizeof(polygraft_summary)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// How many languages improve.
    pub improved: u64,
    /// How many languages lose.
    pub lost: u64,
    /// Sum of the improvements, in score.
    pub gain_total: f64,
    /// Sum of the losses, in score, as a positive number.
    pub loss_total: f64,
}

/// How the training of an update went.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TrainingEntry {
    /// `sizeof(polygraft_training)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// 1 if the time budget ended training before its last step, else 0.
    pub cut_short: u32,
    /// New training examples.
    pub examples_new: u64,
    /// Examples drawn from the rehearsal buffer, per epoch.
    pub examples_rehearsed: u64,
    /// Optimiser steps taken.
    pub steps: u64,
    /// Wall-clock time of training and measuring, in milliseconds.
    pub elapsed_ms: u64,
    /// Mean loss of the first tenth of the steps.
    pub loss_first: f64,
    /// Mean loss of the last tenth of the steps.
    pub loss_last: f64,
    /// Trainings: one for all languages, or one per language with new data.
    pub courses: u64,
    /// 1 if the loss of a training was still going down at its end, so that more steps may help,
    /// else 0.
    pub still_falling: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C); integers, floats and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for LanguageEntry {
    const NAME: &'static str = "polygraft_language_report";
    const SIZE_FIRST: usize = size_of::<Self>();
}

// SAFETY: repr(C); integers and floats only; `struct_size` first.
unsafe impl SizedStruct for SummaryEntry {
    const NAME: &'static str = "polygraft_summary";
    const SIZE_FIRST: usize = size_of::<Self>();
}

// SAFETY: repr(C); integers and floats only; `struct_size` first.
unsafe impl SizedStruct for TrainingEntry {
    const NAME: &'static str = "polygraft_training";
    const SIZE_FIRST: usize = size_of::<Self>();
}

/// A measurement that may be absent, as C sees it.
fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

impl LanguageEntry {
    fn new(language: &Text, reason: &Text, entry: &LanguageReport) -> Self {
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
            reporting: entry.reporting as u64,
            gained: chosen.map_or(0, |chosen| chosen.gained as u64),
            lost: chosen.map_or(0, |chosen| chosen.lost as u64),
            version: entry.version.unwrap_or(0),
            updated: entry.updated.into(),
            choosing: entry.choosing as u64,
            candidate: match entry.chosen {
                None => POLYGRAFT_CANDIDATE_NONE,
                Some(CandidateKind::Shared) => POLYGRAFT_CANDIDATE_SHARED,
                Some(CandidateKind::Own) => POLYGRAFT_CANDIDATE_OWN,
                Some(CandidateKind::Combined) => POLYGRAFT_CANDIDATE_COMBINED,
            },
            reason_kind: number(entry.reason_kind),
            examples_needed: entry.examples_needed.unwrap_or(0) as u64,
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

/// The task that was updated; empty for NULL.
///
/// Ownership: the view is valid until `report` is freed.
/// Threads: may be called concurrently on one report.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_task(report: *const ReportObject) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or a report of this library that is not freed.
        unsafe { object(report) }.map_or(StringView::EMPTY, |report| report.task.view())
    })
}

/// The name of the strategy, for example `replay`; empty for NULL.
///
/// Ownership: the view is valid until `report` is freed.
/// Threads: may be called concurrently on one report.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_strategy(report: *const ReportObject) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or a report of this library that is not freed.
        unsafe { object(report) }.map_or(StringView::EMPTY, |report| report.strategy.view())
    })
}

/// The gate's rule in words, with its margin and confidence; empty for NULL.
///
/// Ownership: the view is valid until `report` is freed.
/// Threads: may be called concurrently on one report.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_gate(report: *const ReportObject) -> StringView {
    gate_value(StringView::EMPTY, || {
        // SAFETY: the caller passes NULL or a report of this library that is not freed.
        unsafe { object(report) }.map_or(StringView::EMPTY, |report| report.gate.view())
    })
}

/// How many languages a report has; 0 for NULL.
///
/// Ownership: borrows `report`.
/// Threads: may be called concurrently on one report.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_languages_count(report: *const ReportObject) -> usize {
    // SAFETY: the caller passes NULL or a report of this library that is not freed.
    gate_value(0, || unsafe { object(report) }.map_or(0, |report| report.languages.len()))
}

/// Fills `entry` with one language of a report; they are sorted by tag, and the shared adapter
/// comes last. Set `entry->struct_size` before.
///
/// Ownership: the views in `*entry` are valid until `report` is freed.
/// Threads: may be called concurrently on one report.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
/// Since: 0.1.0
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
        gate(error, || {
            let size = sized::check("entry", entry)?;
            let report = required("report", report)?;
            let (language, reason, source) = at(&report.languages, index)?;
            sized::write(entry, size, &LanguageEntry::new(language, reason, source));
            Ok(())
        })
    }
}

/// Fills `summary` with what users are served after the gate. Set `summary->struct_size` before.
///
/// Ownership: writes `*summary`, which stays the caller's.
/// Threads: may be called concurrently on one report.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_summary(
    report: *const ReportObject,
    summary: *mut SummaryEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_report_language`.
    unsafe {
        gate(error, || {
            let size = sized::check("summary", summary)?;
            let source = &required("report", report)?.report.summary;
            sized::write(summary, size, &SummaryEntry::from(source));
            Ok(())
        })
    }
}

/// Fills `summary` with what activating the candidate in every language would have done. Set
/// `summary->struct_size` before.
///
/// Ownership: writes `*summary`, which stays the caller's.
/// Threads: may be called concurrently on one report.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_candidate_summary(
    report: *const ReportObject,
    summary: *mut SummaryEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_report_language`.
    unsafe {
        gate(error, || {
            let size = sized::check("summary", summary)?;
            let source = &required("report", report)?.report.candidate_summary;
            sized::write(summary, size, &SummaryEntry::from(source));
            Ok(())
        })
    }
}

/// Fills `training` with how the training went. Set `training->struct_size` before.
///
/// Ownership: writes `*training`, which stays the caller's.
/// Threads: may be called concurrently on one report.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_training(
    report: *const ReportObject,
    training: *mut TrainingEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_report_language`.
    unsafe {
        gate(error, || {
            let size = sized::check("training", training)?;
            let source = &required("report", report)?.report.training;
            let value = TrainingEntry {
                struct_size: size_of::<TrainingEntry>() as u32,
                cut_short: source.cut_short.into(),
                examples_new: source.examples_new as u64,
                examples_rehearsed: source.examples_rehearsed as u64,
                steps: source.steps as u64,
                elapsed_ms: source.elapsed_ms,
                loss_first: source.loss_first,
                loss_last: source.loss_last,
                courses: source.courses as u64,
                still_falling: source.still_falling.into(),
                reserved: 0,
            };
            sized::write(training, size, &value);
            Ok(())
        })
    }
}

/// Frees a report and sets `*report` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*report`; every view into it ends.
/// Threads: exclusive: no other thread may be using this report.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_report_free(report: *mut *mut ReportObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a report it owns.
    unsafe { free(report) }
}

/// One entry of a list, or an error that names the index.
pub(super) fn at<T>(entries: &[T], index: usize) -> Result<&T> {
    entries.get(index).ok_or_else(|| {
        Error::new(
            Code::ArgumentInvalid,
            format!("`index` is {index}, expected less than {}", entries.len()),
        )
    })
}
