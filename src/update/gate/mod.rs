//! The gate: a language that would get worse keeps its version.
//!
//! Every candidate is compared with the active version on the same selection examples
//! ([`changes`]). Languages that got the same kind of candidate are judged together, because one
//! language alone has too few examples to show a change of a point ([`posterior`]). Languages with
//! new data and those without are two groups, each judged on its own, because new data changes its
//! own language more. The prior of the first group is what the second group predicts for one more
//! language, only wider.
//!
//! Of the candidates of a language that are almost certainly no loss, the one with the largest
//! expected change is chosen; if there are none, the one with the smallest chance of a loss. It is
//! activated if it is expected to gain, and its change is at least minus the margin with the gate's
//! confidence. Less evidence makes that bound lower, so there is no smallest number of examples.
//!
//! Small losses must not add up over updates. Where a candidate is an earlier version of the
//! language, every other one is compared with that version, too, and must pass both comparisons.
//! The earlier version itself is judged like any candidate, so the gate can return to it.
//!
//! Chances and bounds are those of the posterior, which draws a change that looks large by chance
//! towards the changes of the others. Choosing among several candidates therefore does not bias it
//! much (Gelman, Hill and Yajima, Journal of Research on Educational Effectiveness 5, 2012).
//!
//! A candidate with an output that is not finite is never activated, not even with the gate off.
//! The gate must never measure, and never see an example of the report split.

mod changes;
mod decision;
mod groups;
mod posterior;
#[cfg(test)]
mod tests;

use super::options::GateOptions;
use super::reason::Reason;
use crate::evaluation::ExampleScore;
use crate::report::{CandidateKind, Decision};
use groups::{Baseline, estimates};

/// What the gate knows about one language.
pub struct Evidence {
    /// Whether it is the shared adapter, which is measured on the examples of all languages.
    pub shared: bool,
    /// Whether the update has new examples in the language.
    pub updated: bool,
    /// Whether the language is pinned to its version.
    pub pinned: bool,
    /// The scores of the active version on the selection examples; `None` when nothing serves the
    /// language yet.
    pub before: Option<Vec<ExampleScore>>,
    /// The candidates, the strategy's first choice first.
    pub candidates: Vec<CandidateEvidence>,
}

/// What the gate knows about one candidate.
pub struct CandidateEvidence {
    /// What it is made of.
    pub kind: CandidateKind,
    /// The factor on the deltas.
    pub strength: f64,
    /// Its scores on the selection examples; not finite when an output is not.
    pub scores: Vec<ExampleScore>,
}

impl Evidence {
    /// The scores of an earlier version of the language.
    fn earlier(&self) -> Option<&[ExampleScore]> {
        let is_earlier = |one: &&CandidateEvidence| one.kind == CandidateKind::Earlier;
        let earlier = self.candidates.iter().find(is_earlier);
        earlier.filter(|one| one.is_finite()).map(|one| &one.scores[..])
    }
}

/// The comparison of a candidate with the active version.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// How many examples the candidate scores higher on.
    pub gained: usize,
    /// How many examples the active version scores higher on.
    pub lost: usize,
    /// What is known about the change; absent when there is nothing to compare.
    pub estimate: Option<Estimate>,
    /// The same relative to an earlier version; absent when there is none.
    pub beside_earlier: Option<Estimate>,
}

/// What is known about the change in score of a candidate, with the evidence of other languages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The expected change.
    pub change: f64,
    /// The change is larger than this with the gate's confidence.
    pub lower_bound: f64,
    /// The change is smaller than this with the same confidence.
    pub upper_bound: f64,
    /// The chance that the candidate is worse at all.
    pub loss_chance: f64,
    /// What the evidence of the other languages is worth, in examples of this language.
    pub examples_borrowed: f64,
    /// About how many more of the language's selection examples would show that the candidate is
    /// no worse, if it changes the score as expected, or by [`GAIN_MIN`](groups::GAIN_MIN).
    pub examples_missing: f64,
}

/// The gate's decision for one language.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// One comparison per candidate.
    pub comparisons: Vec<Comparison>,
    /// The best candidate; absent when there are none.
    pub chosen: Option<usize>,
    /// Whether it is activated.
    pub decision: Decision,
    /// The reason.
    pub reason: Reason,
}

/// Decides for all languages of an update together, in their order.
pub fn judge(options: &GateOptions, languages: &[Evidence]) -> Vec<Verdict> {
    let mut comparisons: Vec<Vec<Comparison>> = languages.iter().map(counted).collect();
    for (group, places) in groups::of(languages) {
        for (place, estimate) in estimates(options, languages, &places, Baseline::Active) {
            comparisons[place.language][place.candidate].estimate = Some(estimate);
        }
        let has_earlier = |place: &groups::Place| languages[place.language].earlier().is_some();
        if group.kind == CandidateKind::Earlier || !places.iter().any(has_earlier) {
            continue;
        }
        let beside_earlier = estimates(options, languages, &places, Baseline::Earlier);
        for (place, estimate) in beside_earlier.into_iter().filter(|one| has_earlier(&one.0)) {
            comparisons[place.language][place.candidate].beside_earlier = Some(estimate);
        }
    }
    let decided = languages.iter().zip(comparisons).map(|(one, comparisons)| {
        let (chosen, decision, reason) = decision::decide(options, one, &comparisons);
        Verdict { comparisons, chosen, decision, reason }
    });
    decided.collect()
}

impl CandidateEvidence {
    fn is_finite(&self) -> bool {
        self.scores.iter().all(ExampleScore::is_finite)
    }
}

/// The comparisons of a language's candidates, without estimates.
fn counted(language: &Evidence) -> Vec<Comparison> {
    let before = language.before.as_deref().unwrap_or_default();
    let count = |after: &[ExampleScore], is_better: fn(f32, f32) -> bool| {
        before.iter().zip(after).filter(|(b, a)| is_better(a.score, b.score)).count()
    };
    let compare = |candidate: &CandidateEvidence| match candidate.is_finite() {
        true => Comparison {
            gained: count(&candidate.scores, |after, before| after > before),
            lost: count(&candidate.scores, |after, before| after < before),
            ..Comparison::default()
        },
        false => Comparison::default(),
    };
    language.candidates.iter().map(compare).collect()
}

/// The rule in words, for reports.
pub fn describe(options: &GateOptions) -> String {
    if !options.enabled {
        return "off: the strategy's first candidate is activated everywhere".to_owned();
    }
    format!(
        "the safe candidate with the largest expected change, or the one with the smallest chance \
         of a loss, if it is expected to gain and the {:.0} % lower bound of its change is at \
         least {} points",
        options.confidence * 100.0,
        crate::report::points(Some(-options.margin)),
    )
}
