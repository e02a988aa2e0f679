//! What is known about each candidate: languages that got the same kind of candidate are judged
//! together. This module must never decide about a language.

use super::changes::{self, ASSUMED_VARIANCE, Pair};
use super::posterior::{self, Measurement, Posterior, Prior};
use super::{Estimate, Evidence};
use crate::report::CandidateKind;
use crate::update::options::GateOptions;
use std::collections::BTreeMap;

/// What is assumed before any evidence: a change is within about 10 points of nothing, and
/// languages are within about 4 points of each other.
const PRIOR: Prior = Prior { mean: 0.0, mean_deviation: 0.05, spread_scale: 0.02 };

/// The smallest gain that the number of missing examples is estimated for.
pub const GAIN_MIN: f64 = 0.01;

/// What the candidates of a group have in common.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    /// Whether they are for the shared adapter.
    pub shared: bool,
    /// What they are made of.
    pub kind: CandidateKind,
    /// The bits of the factor on their deltas.
    strength_bits: u64,
}

/// The positions of a language and of one of its candidates.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub language: usize,
    pub candidate: usize,
}

/// What candidates are compared with.
#[derive(Clone, Copy)]
pub(super) enum Baseline {
    /// The active version.
    Active,
    /// An earlier version where there is one, else the active one.
    Earlier,
}

/// The candidates that are judged together. Those with an output that is not finite, and those of
/// languages that nothing serves yet, are in no group.
pub(super) fn of(languages: &[Evidence]) -> BTreeMap<Group, Vec<Place>> {
    let mut groups = BTreeMap::<Group, Vec<Place>>::new();
    for (language, one) in languages.iter().enumerate().filter(|(_, one)| one.before.is_some()) {
        for (index, candidate) in one.candidates.iter().enumerate() {
            if candidate.is_finite() {
                let (shared, kind) = (one.shared, candidate.kind);
                let group = Group { shared, kind, strength_bits: candidate.strength.to_bits() };
                groups.entry(group).or_default().push(Place { language, candidate: index });
            }
        }
    }
    groups
}

/// What is known about each candidate of a group. Languages with new data and those without are
/// judged apart.
pub(super) fn estimates(
    options: &GateOptions,
    languages: &[Evidence],
    all: &[Place],
    baseline: Baseline,
) -> Vec<(Place, Estimate)> {
    let measured = |places: &[Place]| -> Vec<Measurement> {
        let pair = |place: &Place| pair(languages, *place, baseline);
        changes::measurements(&places.iter().map(pair).collect::<Vec<_>>())
    };
    let is_updated = |place: &Place| languages[place.language].updated;
    let others: Vec<Place> = all.iter().copied().filter(|place| !is_updated(place)).collect();
    let of_others = measured(&others);
    // The few languages with new data alone would not show how much sharper the candidates are.
    let (updated, of_updated): (Vec<Place>, Vec<Measurement>) =
        all.iter().copied().zip(measured(all)).filter(|(place, _)| is_updated(place)).unzip();
    let prior_of_updated = prior_of_updated(&of_others);

    let mut estimates = Vec::with_capacity(all.len());
    for (places, measured, prior) in
        [(updated, of_updated, prior_of_updated), (others, of_others, PRIOR)]
    {
        let posteriors = posterior::posteriors(&measured, prior);
        for ((place, own), posterior) in places.into_iter().zip(&measured).zip(&posteriors) {
            let examples = pair(languages, place, baseline).0.len();
            estimates.push((place, Estimate::new(options, posterior, own, examples)));
        }
    }
    estimates
}

/// The scores of a candidate and of what it is compared with.
fn pair(languages: &[Evidence], place: Place, baseline: Baseline) -> Pair<'_> {
    let language = &languages[place.language];
    let active = language.before.as_deref().unwrap_or_default();
    let before = match baseline {
        Baseline::Active => active,
        Baseline::Earlier => language.earlier().unwrap_or(active),
    };
    (before, &language.candidates[place.candidate].scores)
}

/// What the other languages predict for one more language, only wider: new data changes a language
/// more than it changes others.
fn prior_of_updated(of_others: &[Measurement]) -> Prior {
    let predicted = posterior::unmeasured(of_others, PRIOR);
    let mean_deviation = predicted.deviation().hypot(PRIOR.mean_deviation);
    Prior { mean: predicted.mean(), mean_deviation, ..PRIOR }
}

impl Estimate {
    /// `own` is what `examples` selection examples of the language alone say.
    fn new(
        options: &GateOptions,
        posterior: &Posterior,
        own: &Measurement,
        examples: usize,
    ) -> Self {
        let examples = examples as f64;
        let (change, deviation) = (posterior.mean(), posterior.deviation());
        let lower_bound = posterior.quantile(1.0 - options.confidence);
        let variance_of_one = match own.variance.is_finite() {
            true => examples * own.variance,
            false => ASSUMED_VARIANCE,
        };
        // How many examples of the language alone would show as much as is known.
        let worth = variance_of_one / deviation.powi(2);
        let deviations = (change - lower_bound) / deviation;
        let gain = change.max(GAIN_MIN) + options.margin;
        let needed = variance_of_one * (deviations / gain).powi(2);
        Self {
            change,
            lower_bound,
            upper_bound: posterior.quantile(options.confidence),
            loss_chance: posterior.chance_below(0.0),
            examples_borrowed: (worth - examples).max(0.0),
            examples_missing: (needed - worth).max(1.0),
        }
    }
}
