//! What an update did to each language: as data, as text and as JSON.
//!
//! Updates are judged per language: how many languages improve, and how much the others lose. A
//! [`Report`] has both views: what the candidate would have done to every language, and what the
//! users of each language are served after the gate. Input: the measurements of an update. Output:
//! a report, as data, text, JSON or HTML. This part must never decide anything (the gate in
//! `update/` does) and never touch the store.

mod date;
#[cfg(feature = "html")]
pub mod html;
pub mod metric;
mod reason;
mod size;
mod table;
mod text;

pub use date::utc;
pub use reason::ReasonKind;
pub use size::size;
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
        /// The delta of all new data together.
        Shared = "shared",
        /// The delta of the new data of this language.
        Own = "own",
        /// The deltas of near languages, weighted by typological distance.
        Combined = "combined",
        /// An adapter that was made elsewhere and imported.
        Imported = "imported",
        /// The last version of the language that was better than what it replaced; nothing new.
        Earlier = "earlier",
    }
}

/// The share that the delta of one language has in a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The language with new data; `mul` stands for all new data together.
    pub language: Language,
    /// The factor on the delta, 0 to 1.
    pub weight: f64,
    /// The typological distance that the weight was computed from; absent when none was used.
    pub distance: Option<f64>,
}

/// The result of one candidate of a language on the selection split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateReport {
    /// What it was made of.
    pub kind: CandidateKind,
    /// The factor on the deltas, more than 0, at most 1.
    #[serde(default = "whole")]
    pub strength: f64,
    /// The deltas that were added, with their weights.
    pub shares: Vec<Share>,
    /// Selection examples that the candidate answers better.
    pub gained: usize,
    /// Selection examples that the active version answers better.
    pub lost: usize,
    /// Expected change in score by the evidence of all languages together; like the figures below,
    /// absent when there is no version to compare with.
    #[serde(default)]
    pub change: Option<f64>,
    /// The change is larger than this with the gate's confidence.
    pub lower_bound: Option<f64>,
    /// The change is smaller than this with the same confidence.
    #[serde(default)]
    pub upper_bound: Option<f64>,
    /// The chance that the candidate is worse than the active version, 0 to 1.
    #[serde(default)]
    pub loss_chance: Option<f64>,
    /// What the evidence of the other languages is worth, in selection examples of this language.
    #[serde(default)]
    pub examples_borrowed: Option<usize>,
}

/// The strength of candidates in reports that do not state it.
fn whole() -> f64 {
    1.0
}

impl CandidateReport {
    /// Its kind and, if it is not 1, its strength: `combined × 0.5`.
    pub fn name(&self) -> String {
        candidate_name(self.kind, self.strength)
    }
}

fn candidate_name(kind: CandidateKind, strength: f64) -> String {
    if strength == 1.0 { kind.name().to_owned() } else { format!("{} × {strength}", kind.name()) }
}

/// One language of an update.
///
/// The held-out examples of a language are two disjoint sets. The gate chooses and decides by the
/// selection split (`selection_examples`, `candidates`). The report split (`report_examples`,
/// `before`, `after`) never decides anything, so the choice does not bias its scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageReport {
    /// The language, or `mul` for the shared adapter that serves languages without a version.
    pub language: Language,
    /// Whether the update brought new training examples in this language.
    pub updated: bool,
    /// How many examples the selection split has.
    #[serde(rename = "choosing")]
    pub selection_examples: usize,
    /// How many examples the report split has.
    #[serde(rename = "reporting")]
    pub report_examples: usize,
    /// Mean score of the previously active version on the report split, 0 to 1; absent when nothing
    /// served the language or the split is empty.
    pub before: Option<f64>,
    /// Mean score of the chosen candidate on the same examples.
    pub after: Option<f64>,
    /// Every candidate that was measured, the strategy's first choice first.
    pub candidates: Vec<CandidateReport>,
    /// The best candidate by the selection split, whatever was decided about it; absent when the
    /// strategy had none for the language.
    pub chosen: Option<CandidateKind>,
    /// The strength of that candidate.
    #[serde(default = "whole")]
    pub chosen_strength: f64,
    /// The gate's decision about it.
    pub decision: Decision,
    /// The kind of the reason, for programs.
    #[serde(default)]
    pub reason_kind: ReasonKind,
    /// The reason in one short sentence.
    pub reason: String,
    /// About how many more examples of the language the gate would have needed to decide; absent
    /// when it had enough, or when no number of them is enough with these options.
    #[serde(default)]
    pub examples_needed: Option<usize>,
    /// The hash of the version that served the language when it was measured; absent when there
    /// was none, and in reports of polygraft 0.1.
    #[serde(default)]
    pub serving: Option<String>,
    /// The number of the version that the commit published for the language.
    pub version: Option<u32>,
}

impl LanguageReport {
    /// The change in score that the chosen candidate makes; absent when there is nothing to
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

    /// The report of the chosen candidate.
    pub fn chosen_candidate(&self) -> Option<&CandidateReport> {
        self.candidates.iter().find(|candidate| self.is_chosen(candidate))
    }

    /// Whether a candidate is the chosen one.
    pub fn is_chosen(&self, candidate: &CandidateReport) -> bool {
        Some(candidate.kind) == self.chosen && candidate.strength == self.chosen_strength
    }

    /// The kind and strength of the chosen candidate: `combined × 0.5`.
    pub fn chosen_name(&self) -> Option<String> {
        self.chosen.map(|kind| candidate_name(kind, self.chosen_strength))
    }
}

/// Sums of gains and losses over languages, without the shared adapter `mul`.
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
    /// Sums changes in score.
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

/// The numbers of an update's training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// New training examples.
    pub examples_new: usize,
    /// Examples drawn from the rehearsal buffer per epoch.
    pub examples_rehearsed: usize,
    /// Training runs: one for all languages, or one per language with new data.
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
    /// Whether the loss of a training run was still falling at its end, so that more steps may
    /// help.
    #[serde(default)]
    pub still_falling: bool,
    /// Wall-clock time of training and measuring, in milliseconds.
    pub elapsed_ms: u64,
}

/// The origin of a report.
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
    /// The number of this update of the task, from 1.
    pub stage: u32,
    /// The name of the strategy.
    pub strategy: String,
    /// The seed; with the same number of threads it gives the same bytes again.
    pub seed: u64,
    /// The gate's rule in words, with margin and confidence.
    pub gate: String,
    /// One entry per language, sorted by tag; the shared adapter comes last.
    pub languages: Vec<LanguageReport>,
    /// The changes that users are served after the gate.
    pub summary: Summary,
    /// The changes if every chosen candidate had been activated.
    pub candidate_summary: Summary,
    /// The numbers of the training.
    pub training: Training,
    /// The origin of the report; absent in reports of polygraft 0.1.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// What the commit could not clean up after the update had taken effect, as sentences. The next
    /// update of the task does it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report {
    /// The entry of one language.
    pub fn language(&self, language: &Language) -> Option<&LanguageReport> {
        self.languages.iter().find(|entry| entry.language == *language)
    }

    /// Whether nothing was activated and a language with new data had too few selection examples to
    /// be judged. Its examples are remembered, and more examples help.
    pub fn lacks_examples(&self) -> bool {
        let is_kept = |entry: &LanguageReport| entry.decision == Decision::Keep;
        let lacks = |entry: &LanguageReport| {
            entry.updated && entry.reason_kind == ReasonKind::TooFewExamples
        };
        self.languages.iter().all(is_kept) && self.languages.iter().any(lacks)
    }

    /// Records the version numbers that some languages got.
    pub(crate) fn take_numbers<'a>(&mut self, numbers: impl Iterator<Item = (&'a Language, u32)>) {
        for (language, number) in numbers {
            for entry in self.languages.iter_mut().filter(|entry| entry.language == *language) {
                entry.version = Some(number);
            }
        }
    }

    /// Computes both summaries again, after entries or decisions changed.
    pub fn summarise(&mut self) {
        let languages = || self.languages.iter().filter(|entry| !entry.language.is_shared());
        let served = Summary::of(languages().filter_map(LanguageReport::served_change));
        let candidate = Summary::of(languages().filter_map(LanguageReport::candidate_change));
        self.summary = served;
        self.candidate_summary = candidate;
    }
}
