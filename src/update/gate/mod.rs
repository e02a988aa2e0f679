//! The gate: a language that would get worse keeps its version.
//!
//! Every candidate is compared with the active version on the same selection examples
//! ([`evidence`]). Languages that got the same kind of candidate are judged together, because one
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

mod evidence;
mod posterior;
#[cfg(test)]
mod tests;

use super::options::GateOptions;
use super::reason::{Expected, Reason, Uncertainty};
use crate::evaluation::ExampleScore;
use crate::report::{CandidateKind, Decision};
use evidence::Pair;
use posterior::{Measurement, Posterior, Prior};
use std::collections::BTreeMap;

/// What is assumed before any evidence: a change is within about 10 points of nothing, and
/// languages are within about 4 points of each other.
const PRIOR: Prior = Prior { mean: 0.0, mean_deviation: 0.05, spread_scale: 0.02 };

/// A chance of a loss up to this makes a candidate safe.
const SAFE: f64 = 0.02;

/// The smallest gain that the number of missing examples is estimated for.
const GAIN_MIN: f64 = 0.01;

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

    /// The scores that candidates are compared with.
    fn baseline(&self, baseline: Baseline) -> &[ExampleScore] {
        let active = self.before.as_deref().unwrap_or_default();
        match baseline {
            Baseline::Active => active,
            Baseline::Earlier => self.earlier().unwrap_or(active),
        }
    }
}

/// What candidates are compared with.
#[derive(Clone, Copy)]
enum Baseline {
    Active,
    /// An earlier version where there is one, else the active one.
    Earlier,
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
    /// no worse, if it changes the score as expected, or by [`GAIN_MIN`].
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
    for (group, places) in groups(languages) {
        for ((language, index), estimate) in judged(options, languages, &places, Baseline::Active) {
            comparisons[language][index].estimate = Some(estimate);
        }
        let has_earlier = |(language, _): &Place| languages[*language].earlier().is_some();
        if group.1 == CandidateKind::Earlier || !places.iter().any(has_earlier) {
            continue;
        }
        let beside_earlier = judged(options, languages, &places, Baseline::Earlier);
        for (place, estimate) in beside_earlier.into_iter().filter(|one| has_earlier(&one.0)) {
            comparisons[place.0][place.1].beside_earlier = Some(estimate);
        }
    }
    let decided = languages.iter().zip(comparisons).map(|(one, comparisons)| {
        let (chosen, decision, reason) = decide(options, one, &comparisons);
        Verdict { comparisons, chosen, decision, reason }
    });
    decided.collect()
}

/// The positions of a language and of one of its candidates.
type Place = (usize, usize);

/// What is known about each candidate of a group.
fn judged(
    options: &GateOptions,
    languages: &[Evidence],
    all: &[Place],
    baseline: Baseline,
) -> Vec<(Place, Estimate)> {
    let scores = |&(language, index): &Place| -> Pair<'_> {
        let one = &languages[language];
        (one.baseline(baseline), &one.candidates[index].scores[..])
    };
    let measured = |places: &[Place]| -> Vec<Measurement> {
        evidence::measurements(&places.iter().map(scores).collect::<Vec<_>>())
    };
    let is_updated = |(language, _): &Place| languages[*language].updated;
    let others: Vec<Place> = all.iter().copied().filter(|place| !is_updated(place)).collect();
    let of_others = measured(&others);
    let start = posterior::unmeasured(&of_others, PRIOR);
    let mean_deviation = start.deviation().hypot(PRIOR.mean_deviation);
    let prior_of_updated = Prior { mean: start.mean(), mean_deviation, ..PRIOR };
    // The temperature of the candidates is estimated on all languages.
    let (updated, of_updated): (Vec<Place>, Vec<Measurement>) =
        all.iter().copied().zip(measured(all)).filter(|(place, _)| is_updated(place)).unzip();

    let mut judged = Vec::with_capacity(all.len());
    for (places, measured, prior) in
        [(updated, of_updated, prior_of_updated), (others, of_others, PRIOR)]
    {
        let posteriors = posterior::posteriors(&measured, prior);
        for ((place, own), posterior) in places.into_iter().zip(&measured).zip(&posteriors) {
            let own = (scores(&place).0.len() as f64, own.variance);
            judged.push((place, Estimate::new(options, posterior, own)));
        }
    }
    judged
}

/// What the candidates of a group have in common: whether they are for the shared adapter, their
/// kind, and the bits of their strength.
type Group = (bool, CandidateKind, u64);

/// The candidates of the same kind.
fn groups(languages: &[Evidence]) -> BTreeMap<Group, Vec<Place>> {
    let mut groups = BTreeMap::<Group, Vec<Place>>::new();
    for (language, one) in languages.iter().enumerate().filter(|(_, one)| one.before.is_some()) {
        for (index, candidate) in one.candidates.iter().enumerate() {
            if candidate.is_finite() {
                let strength = candidate.strength.to_bits();
                let group = (one.shared, candidate.kind, strength);
                groups.entry(group).or_default().push((language, index));
            }
        }
    }
    groups
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

impl Comparison {
    /// The chance that the candidate is worse than the active version, or than an earlier one if
    /// that is larger; 1 when nothing is known.
    fn loss_chance(&self) -> f64 {
        let chance = |estimate: Option<Estimate>| estimate.map(|one| one.loss_chance);
        chance(self.estimate).unwrap_or(1.0).max(chance(self.beside_earlier).unwrap_or(0.0))
    }
}

impl Expected {
    fn by(estimate: &Estimate) -> Self {
        Self { change: estimate.change, loss_chance: estimate.loss_chance }
    }
}

impl Estimate {
    /// `own` is the number of examples of the language and the variance of their mean.
    fn new(options: &GateOptions, posterior: &Posterior, own: (f64, f64)) -> Self {
        let (count, variance) = own;
        let (change, deviation) = (posterior.mean(), posterior.deviation());
        let lower_bound = posterior.quantile(1.0 - options.confidence);
        // The variance of one example, and how many examples would show as much as is known.
        let one = if variance.is_finite() { count * variance } else { evidence::ASSUMED_VARIANCE };
        let worth = one / deviation.powi(2);
        let deviations = (change - lower_bound) / deviation;
        let gain = change.max(GAIN_MIN) + options.margin;
        let needed = one * (deviations / gain).powi(2);
        Self {
            change,
            lower_bound,
            upper_bound: posterior.quantile(options.confidence),
            loss_chance: posterior.chance_below(0.0),
            examples_borrowed: (worth - count).max(0.0),
            examples_missing: (needed - worth).max(1.0),
        }
    }
}

fn decide(
    options: &GateOptions,
    language: &Evidence,
    comparisons: &[Comparison],
) -> (Option<usize>, Decision, Reason) {
    let keep = |chosen, reason| (chosen, Decision::Keep, reason);
    if comparisons.is_empty() {
        return keep(None, Reason::NoCandidate);
    }
    if language.pinned {
        return keep(Some(0), Reason::Pinned);
    }
    let finite = language.candidates.iter().position(CandidateEvidence::is_finite);
    let Some(first) = finite else { return keep(Some(0), Reason::NotFinite) };
    let Some(before) = &language.before else {
        return (Some(first), Decision::Activate, Reason::FirstVersion);
    };
    if !options.enabled {
        return (Some(first), Decision::Activate, Reason::GateOff);
    }
    let Some((best, estimate)) = choose(comparisons) else {
        return keep(Some(first), Reason::NotFinite);
    };
    let expected = Expected::by(&estimate);
    let Estimate { change, lower_bound, upper_bound, .. } = estimate;
    let beside_earlier = comparisons[best].beside_earlier;
    // An import was asked for by its user, so it need not gain.
    let is_wanted = change > 0.0 || language.candidates[best].kind == CandidateKind::Imported;
    if is_wanted && lower_bound >= -options.margin {
        let reason = match beside_earlier.filter(|one| one.lower_bound < -options.margin) {
            Some(earlier) => return keep(Some(best), Reason::BelowEarlier(Expected::by(&earlier))),
            None if lower_bound > 0.0 => Reason::Better(expected),
            None => Reason::NoWorse(expected),
        };
        return (Some(best), Decision::Activate, reason);
    }
    if upper_bound < 0.0 {
        return keep(Some(best), Reason::Worse(expected));
    }
    let uncertainty = Uncertainty {
        found: before.len(),
        missing: estimate.examples_missing.ceil() as usize,
        any_language: language.shared,
    };
    keep(Some(best), Reason::Uncertain(expected, uncertainty))
}

/// The best candidate of a language. Of equals, the first one is taken: a strategy lists its better
/// guesses first.
fn choose(comparisons: &[Comparison]) -> Option<(usize, Estimate)> {
    let estimate = |(index, one): (usize, &Comparison)| Some((index, one.estimate?));
    let estimates = comparisons.iter().enumerate().filter_map(estimate);
    let loss_chance = |index: usize| comparisons[index].loss_chance();
    let safe = estimates.clone().filter(|(index, _)| loss_chance(*index) <= SAFE);
    // The last of equals is the maximum, the first is the minimum.
    let largest = safe.rev().max_by(|(_, a), (_, b)| a.change.total_cmp(&b.change));
    largest
        .or_else(|| estimates.min_by(|(a, _), (b, _)| loss_chance(*a).total_cmp(&loss_chance(*b))))
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
