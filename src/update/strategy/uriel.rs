//! `uriel`: a language learns from near languages and not from far ones.
//!
//! The idea is that of LAFT-URIEL (Badola, Dave and Talukdar, arXiv 2209.06767): typological
//! distance balances sharing between languages against overfitting to the few languages of an
//! update. The formula is ours. For a language `l` and every language `t` with new examples,
//!
//! ```text
//! k(l, t) = exp(-(d(l, t) / temperature)^2)      the nearest `neighbours` of l only
//! w(l, t) = k(l, t) / max(1, sum over t of k(l, t))
//! w(l, l) = 1
//! ```
//!
//! where `d` is a distance of [`crate::language::Distance`] and `t` is another language than `l`.
//! The weights of other languages never add up to more than 1, a language far from all of them
//! hardly changes, and a language always gets the whole delta of its own examples.
//!
//! There is one training run per language with new examples, with rehearsal, so that its delta does
//! little harm to the others. [`Sharing::Combine`] adds the weighted sum of the deltas to the
//! version of `l`. [`Sharing::Sample`] shares earlier: the training run of `t` also draws new
//! examples of other languages, and rehearses languages, with probability `k`; `l` then gets only
//! the training run of its nearest `t`.

use super::plan::{
    Body, Candidate, DeltaShare, Strategy, TrainingData, TrainingRun, by_language, random,
    rehearse, round_robin,
};
use crate::example::Example;
use crate::language::{Distance, Language};
use crate::report::CandidateKind;
use std::collections::BTreeMap;

/// A language for which the sum of the weights is smaller learns nothing from other languages.
const WEIGHT_MIN: f64 = 0.05;

/// The strength of the weaker candidate of a language: where sharing gains little, a quarter of the
/// change keeps most of the gain and harms a third as much (docs/results.md).
const WEAK: f64 = 0.25;

named! {
    /// When languages share.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub enum Sharing: "sharing" {
        /// After training: weighted deltas are added.
        #[default]
        Combine = "combine",
        /// In training: weighted examples are drawn.
        Sample = "sample",
    }
}

/// The options of `uriel`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UrielOptions {
    /// The kind of distance.
    pub distance: Distance,
    /// The distance at which a language still gets 37 % of the delta of another one; more than 0.
    pub temperature: f64,
    /// The largest number of languages, the nearest ones, that a language learns from; 0 sets no
    /// limit.
    pub neighbours: usize,
    /// Whether deltas or examples are shared.
    pub sharing: Sharing,
}

impl Default for UrielOptions {
    fn default() -> Self {
        Self {
            distance: Distance::default(),
            temperature: 0.35,
            neighbours: 3,
            sharing: Sharing::default(),
        }
    }
}

/// Sharing by typological distance.
pub struct Uriel {
    options: UrielOptions,
}

impl Uriel {
    /// The strategy with its options.
    pub fn new(options: UrielOptions) -> Self {
        Self { options }
    }

    /// `k`: 1 for the language itself, 0 if the distance is unknown.
    fn nearness(&self, a: &Language, b: &Language) -> (f64, Option<f64>) {
        if a == b {
            return (1.0, Some(0.0));
        }
        let distance = self.options.distance.between(a, b);
        let nearness = |distance: f64| (-(distance / self.options.temperature).powi(2)).exp();
        (distance.map_or(0.0, nearness), distance)
    }

    /// The weighted shares `w` of a language, nearest first.
    fn shares(&self, runs: &[TrainingRun], language: &Language) -> Vec<DeltaShare> {
        let share = |(run, other): (usize, &TrainingRun)| {
            let (weight, distance) = self.nearness(language, &other.language);
            DeltaShare { run, weight, distance }
        };
        let mut shares: Vec<DeltaShare> = runs.iter().enumerate().map(share).collect();
        let own = runs.iter().position(|run| run.language == *language);
        let own = own.map(|run| shares.remove(run));
        shares.retain(|share| share.weight > 0.0);
        shares.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.run.cmp(&b.run)));
        let neighbours_max = match (self.options.sharing, self.options.neighbours) {
            // A language with a training run of its own has already shared in its examples.
            (Sharing::Sample, _) => usize::from(own.is_none()),
            (Sharing::Combine, 0) => shares.len(),
            (Sharing::Combine, most) => most,
        };
        shares.truncate(neighbours_max);
        let total: f64 = shares.iter().map(|share| share.weight).sum();
        if total < WEIGHT_MIN {
            shares.clear();
        }
        shares.iter_mut().for_each(|share| share.weight /= total.max(1.0));
        shares.splice(..0, own);
        shares
    }

    /// Draws `wanted` examples, from each language in proportion to its nearness to `target`.
    fn draw<'a>(
        &self,
        target: &Language,
        mut languages: BTreeMap<&Language, Vec<&'a Example>>,
        wanted: usize,
        random: &mut fastrand::Rng,
    ) -> Vec<&'a Example> {
        let nearness: Vec<f64> =
            languages.keys().map(|language| self.nearness(language, target).0).collect();
        let total: f64 = nearness.iter().sum();
        for (examples, nearness) in languages.values_mut().zip(&nearness) {
            random.shuffle(examples);
            let share = wanted as f64 * nearness / total.max(f64::MIN_POSITIVE);
            examples.truncate(share.round() as usize);
        }
        round_robin(languages.values(), wanted)
    }
}

impl Strategy for Uriel {
    fn runs(&self, data: &TrainingData<'_>) -> Vec<TrainingRun> {
        data.languages().into_iter().map(|language| TrainingRun { language }).collect()
    }

    fn epoch<'a>(
        &self,
        data: &TrainingData<'a>,
        run: &TrainingRun,
        epoch: usize,
    ) -> Vec<&'a Example> {
        let random = &mut random(data, run, epoch);
        let own = data.new_in(&run.language);
        let (count, rehearsed) = (own.len(), data.rehearsed_count(own.len()));
        match self.options.sharing {
            Sharing::Combine => own.into_iter().chain(rehearse(data, rehearsed, random)).collect(),
            Sharing::Sample => {
                let remembered = by_language(data.remembered);
                let target = &run.language;
                let mut chosen = self.draw(target, data.new_by_language(), count, random);
                chosen.extend(self.draw(target, remembered, rehearsed, random));
                chosen
            }
        }
    }

    fn candidates(&self, runs: &[TrainingRun], language: &Language) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let combined = self.shares(runs, language);
        if !combined.is_empty() {
            let whole = Candidate::whole(CandidateKind::Combined, Body::Sum(combined));
            let weak = whole.scaled(WEAK);
            candidates.extend([whole, weak]);
        }
        let weight = 1.0 / runs.len() as f64;
        let share = |run| DeltaShare { run, weight, distance: None };
        let uniform = Body::Sum((0..runs.len()).map(share).collect());
        candidates.push(Candidate::whole(CandidateKind::Shared, uniform));
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(tags: &[&str]) -> Vec<TrainingRun> {
        let run = |tag: &&str| TrainingRun { language: Language::parse(tag).expect("a tag") };
        tags.iter().map(run).collect()
    }

    fn weights(options: UrielOptions, tag: &str) -> Vec<(usize, f64)> {
        let language = Language::parse(tag).expect("a tag");
        let shares = Uriel::new(options).shares(&runs(&["de", "hi", "fi"]), &language);
        shares.into_iter().map(|share| (share.run, share.weight)).collect()
    }

    #[test]
    fn a_language_learns_most_from_itself_then_from_its_kin() {
        let own = weights(UrielOptions::default(), "de");
        assert_eq!(own[0].0, 0);
        assert!(own.iter().skip(1).all(|(_, weight)| *weight < own[0].1), "{own:?}");
        assert_eq!(own[0].1, 1.0);
        assert_eq!(weights(UrielOptions::default(), "nl")[0].0, 0);
        assert_eq!(weights(UrielOptions::default(), "et")[0].0, 2);
        assert_eq!(weights(UrielOptions::default(), "mr")[0].0, 1);
    }

    #[test]
    fn without_typology_nothing_is_shared() {
        assert_eq!(weights(UrielOptions::default(), "x-invented"), []);
        let candidates = Uriel::new(UrielOptions::default())
            .candidates(&runs(&["de", "fi"]), &"und".parse().expect("a tag"));
        let kinds: Vec<_> = candidates.iter().map(|candidate| candidate.kind).collect();
        assert_eq!(kinds, [CandidateKind::Shared]);
    }

    #[test]
    fn a_low_temperature_leaves_the_others_alone() {
        let options = UrielOptions { temperature: 0.01, ..UrielOptions::default() };
        assert_eq!(weights(options, "nl"), []);
        assert_eq!(weights(options, "de"), [(0, 1.0)]);
    }
}
