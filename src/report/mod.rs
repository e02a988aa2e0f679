//! What an update did to each language: as data, as text and as JSON.
//!
//! The paper judges an update per language: how many improve, and how much the others lose. A
//! [`Report`] keeps both views: what the candidate would have done to every language, and what the
//! users of each language are served after the gate. This part only describes; it must never decide
//! (the gate in `update/` does) and never touch the store.

mod date;
#[cfg(feature = "html")]
pub mod html;
pub mod metric;
mod reason;
mod table;
mod text;

pub use date::utc;
pub use reason::ReasonKind;
pub use table::{Align, Table};
pub use text::{minus, percent, points};

use crate::language::Language;
use serde::{Deserialize, Serialize};

/// What the gate decided for one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The candidate becomes the language's active version.
    Activate,
    /// The language keeps the version it had.
    Keep,
}

named! {
    /// What a candidate was made of.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum CandidateKind {
        /// The deltas of all new data together.
        Shared = "shared",
        /// The delta of the new data of this language.
        Own = "own",
        /// The deltas of near languages, weighted by typological distance.
        Combined = "combined",
    }
}

/// The share that the delta of one language has in a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The language with new data; `mul` stands for all of it together.
    pub language: Language,
    /// Factor on the delta, 0 to 1.
    pub weight: f64,
    /// The typological distance that the weight came from; absent where none was asked for.
    pub distance: Option<f64>,
}

/// What the selection examples say about one candidate of a language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateReport {
    /// What it was made of.
    pub kind: CandidateKind,
    /// What went into it.
    pub shares: Vec<Share>,
    /// Selection examples that the candidate answers better.
    pub gained: usize,
    /// Selection examples that the active version answers better.
    pub lost: usize,
    /// Lower confidence bound of the change in score; absent when there is nothing to compare.
    pub lower_bound: Option<f64>,
}

/// One language of an update.
///
/// The held-out examples of a language are two disjoint sets: the gate chooses and decides by the
/// selection split (`selection_examples`, `candidates`), and the report split (`report_examples`,
/// `before`, `after`) never decides anything, so their scores are not flattered by the choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageReport {
    /// The language, or `mul` for the shared adapter that serves languages without a version.
    pub language: Language,
    /// Whether the update brought new training examples in this language.
    pub updated: bool,
    /// How many examples the selection split has, by which the gate chooses and decides.
    #[serde(rename = "choosing")]
    pub selection_examples: usize,
    /// How many examples the report split has, on which the scores are measured.
    #[serde(rename = "reporting")]
    pub report_examples: usize,
    /// Mean score of the version that was active, on the report split, 0 to 1; absent when
    /// nothing served the language or there are no such examples.
    pub before: Option<f64>,
    /// Mean score of the chosen candidate on the same examples.
    pub after: Option<f64>,
    /// Every candidate that was measured, the strategy's first choice first.
    pub candidates: Vec<CandidateReport>,
    /// The candidate that was the best by the selection split, whatever was decided about it;
    /// absent when the strategy had none for the language.
    pub chosen: Option<CandidateKind>,
    /// What the gate decided about it.
    pub decision: Decision,
    /// Why, as a kind that programs can match on.
    #[serde(default)]
    pub reason_kind: ReasonKind,
    /// Why, in one short sentence.
    pub reason: String,
    /// About how many more examples of the language would have given the gate enough to decide by;
    /// absent when it did not lack any, or when the options let no number of them do.
    #[serde(default)]
    pub examples_needed: Option<usize>,
    /// The version number that the commit gave the candidate in this language.
    pub version: Option<u32>,
}

impl LanguageReport {
    /// The change that the chosen candidate makes, in score; absent when there is nothing to
    /// compare.
    pub fn candidate_change(&self) -> Option<f64> {
        Some(self.after? - self.before?)
    }

    /// The change that users are served: zero where the gate kept the previous version.
    pub fn served_change(&self) -> Option<f64> {
        match self.decision {
            Decision::Activate => self.candidate_change(),
            Decision::Keep => self.before.map(|_| 0.0),
        }
    }

    /// The chosen candidate and what the gate knew about it.
    pub fn chosen_candidate(&self) -> Option<&CandidateReport> {
        self.candidates.iter().find(|candidate| Some(candidate.kind) == self.chosen)
    }
}

/// Gains and losses added up over languages (the shared adapter `mul` is left out).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many languages improve.
    pub improved: usize,
    /// How many languages lose.
    pub lost: usize,
    /// Sum of the improvements, in score.
    pub gain_total: f64,
    /// Sum of the losses, in score, as a positive number.
    pub loss_total: f64,
}

impl Summary {
    /// Adds up changes in score.
    pub fn of(changes: impl IntoIterator<Item = f64>) -> Self {
        let mut summary = Self::default();
        for change in changes {
            if change > 0.0 {
                summary.improved += 1;
                summary.gain_total += change;
            } else if change < 0.0 {
                summary.lost += 1;
                summary.loss_total -= change;
            }
        }
        summary
    }
}

/// How the training of an update went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// New training examples.
    pub examples_new: usize,
    /// Examples drawn from the rehearsal buffer, per epoch.
    pub examples_rehearsed: usize,
    /// Trainings: one for all languages, or one per language with new data.
    #[serde(rename = "courses")]
    pub training_runs: usize,
    /// Optimiser steps taken.
    pub steps: usize,
    /// Mean loss of the first tenth of the steps.
    pub loss_first: f64,
    /// Mean loss of the last tenth of the steps.
    pub loss_last: f64,
    /// Whether the time budget ended training before its last step.
    pub cut_short: bool,
    /// Whether the loss of a training was still going down at its end, so that more steps may help.
    #[serde(default)]
    pub still_falling: bool,
    /// Wall-clock time of training and measuring, in milliseconds.
    pub elapsed_ms: u64,
}

/// Where a report comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The version of polygraft that measured.
    pub polygraft: String,
    /// When the measuring ended, in milliseconds since 1970 UTC by the clock of the machine.
    pub measured_unix_ms: u64,
    /// The name of the bundle's folder.
    pub bundle: String,
    /// The hash of the backbone, as adapters carry it.
    pub backbone: String,
}

/// The outcome of an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The task that was updated.
    pub task: String,
    /// Which update of the task this is: 1 for the one that starts it.
    pub stage: u32,
    /// The name of the strategy.
    pub strategy: String,
    /// The seed that, with the same thread count, gives the same bytes again.
    pub seed: u64,
    /// The gate's rule in words, with its margin and confidence.
    pub gate: String,
    /// One entry per language, sorted by tag; the shared adapter comes last.
    pub languages: Vec<LanguageReport>,
    /// What users are served after the gate.
    pub summary: Summary,
    /// What activating the candidate everywhere would have done.
    pub candidate_summary: Summary,
    /// How training went.
    pub training: Training,
    /// Where it comes from; absent in reports of polygraft 0.1.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// What the commit could not tidy up after the update had taken effect, as sentences. The next
    /// update of the task does it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report {
    /// The entry of one language.
    pub fn language(&self, language: &Language) -> Option<&LanguageReport> {
        self.languages.iter().find(|entry| entry.language == *language)
    }

    /// Whether nothing was activated, and a language with new data could not be judged for want of
    /// selection examples: what was brought is remembered, and more will do.
    pub fn lacks_examples(&self) -> bool {
        let is_kept = |entry: &LanguageReport| entry.decision == Decision::Keep;
        let lacks = |entry: &LanguageReport| {
            entry.updated && entry.reason_kind == ReasonKind::TooFewExamples
        };
        self.languages.iter().all(is_kept) && self.languages.iter().any(lacks)
    }

    /// Notes the numbers that the new versions of some languages got.
    pub(crate) fn take_numbers<'a>(&mut self, numbers: impl Iterator<Item = (&'a Language, u32)>) {
        for (language, number) in numbers {
            for entry in self.languages.iter_mut().filter(|entry| entry.language == *language) {
                entry.version = Some(number);
            }
        }
    }

    /// Adds up `languages` again, after entries or decisions changed.
    pub fn summarise(&mut self) {
        let languages = || self.languages.iter().filter(|entry| !entry.language.is_shared());
        let served = Summary::of(languages().filter_map(LanguageReport::served_change));
        let candidate = Summary::of(languages().filter_map(LanguageReport::candidate_change));
        self.summary = served;
        self.candidate_summary = candidate;
    }
}
