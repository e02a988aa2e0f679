//! The decision about one language, given what is known about each of its candidates. This module
//! must never see scores of single examples.

use super::{CandidateEvidence, Comparison, Estimate, Evidence};
use crate::report::{CandidateKind, Decision};
use crate::update::options::GateOptions;
use crate::update::reason::{Expected, Reason, Uncertainty};

/// A chance of a loss up to this makes a candidate safe.
const SAFE: f64 = 0.02;

/// The candidate that was chosen, whether it is activated, and why.
pub(super) fn decide(
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
