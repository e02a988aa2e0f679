//! What an update did to each language: as data, as text and as JSON.
//!
//! The paper judges an update per language: how many improve, and how much the others lose. A
//! [`Report`] keeps both views: what the candidate would have done to every language, and what the
//! users of each language are served after the gate. This part only describes; it must never decide
//! (the gate in `update/` does) and never touch the store.

mod table;
mod text;

pub use table::{Align, Table};
pub use text::{percent, points};

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

/// One language of an update, measured on its held-out examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageReport {
    /// The language, or `mul` for the shared adapter that serves languages without a version.
    pub language: Language,
    /// Whether the update brought new training examples in this language.
    pub updated: bool,
    /// Accuracy of the version that was active, 0 to 1; absent when nothing served the language.
    pub before: Option<f64>,
    /// Accuracy of the candidate on the same examples; absent without held-out examples.
    pub after: Option<f64>,
    /// How many held-out examples both were measured on.
    pub held_out: usize,
    /// Examples that only the candidate gets right.
    pub gained: usize,
    /// Examples that only the previous version gets right.
    pub lost: usize,
    /// Lower confidence bound of `after - before`; absent when there is nothing to compare.
    pub lower_bound: Option<f64>,
    /// What the gate decided.
    pub decision: Decision,
    /// Why, in one short sentence.
    pub reason: String,
    /// The version number that the commit gave the candidate in this language.
    pub version: Option<u32>,
}

impl LanguageReport {
    /// The change that the candidate makes, in accuracy; absent when there is nothing to compare.
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
}

/// Gains and losses added up over languages (the shared adapter `mul` is left out).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many languages improve.
    pub improved: usize,
    /// How many languages lose.
    pub lost: usize,
    /// Sum of the improvements, in accuracy.
    pub gain_total: f64,
    /// Sum of the losses, in accuracy, as a positive number.
    pub loss_total: f64,
}

impl Summary {
    /// Adds up changes in accuracy.
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
    /// Optimiser steps taken.
    pub steps: usize,
    /// Mean loss of the first tenth of the steps.
    pub loss_first: f64,
    /// Mean loss of the last tenth of the steps.
    pub loss_last: f64,
    /// Wall-clock time of training and measuring, in milliseconds.
    pub elapsed_ms: u64,
}

/// The outcome of an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The task that was updated.
    pub task: String,
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
}

impl Report {
    /// Adds up `languages` again, after entries or decisions changed.
    pub fn summarise(&mut self) {
        let languages = || self.languages.iter().filter(|entry| !entry.language.is_shared());
        let served = Summary::of(languages().filter_map(LanguageReport::served_change));
        let candidate = Summary::of(languages().filter_map(LanguageReport::candidate_change));
        self.summary = served;
        self.candidate_summary = candidate;
    }
}
