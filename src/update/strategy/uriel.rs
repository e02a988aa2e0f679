//! `uriel`: languages learn from near ones; far ones are left alone.
//!
//! The idea is that of LAFT-URIEL (Badola, Dave and Talukdar, arXiv 2209.06767): balance what is
//! shared between languages against overfitting to the few that an update brings, by typological
//! distance. The formula is ours. For a language `l` and every language `t` with new examples,
//!
//! ```text
//! k(l, t) = exp(-(d(l, t) / temperature)^2)      the nearest `neighbours` of l only
//! w(l, t) = k(l, t) / max(1, sum over t of k(l, t))
//! w(l, l) = 1
//! ```
//!
//! where `d` is a distance of [`crate::language::Distance`] and `t` is another language than `l`.
//! What a language learns from others never adds up to more than one whole step, a language far
//! from all of them hardly moves, and what is learnt from its own examples it gets whole.
//!
//! There is one course per language with new examples, with rehearsal, so that what it teaches
//! harms the others least. [`Sharing::Combine`] gives `l` what it has plus the weighted sum of what
//! the courses taught. [`Sharing::Sample`] shares earlier: the course of `t` also draws the new
//! examples of others, and rehearses languages, with the chance `k`; `l` then gets the course of
//! its nearest `t` alone.

use super::{
    Body, Candidate, Course, Material, Part, Strategy, by_language, random, rehearse, round_robin,
};
use crate::example::Example;
use crate::language::{Distance, Language};
use crate::report::CandidateKind;
use std::collections::BTreeMap;

/// A language whose weights add up to less than this is left alone.
const WEIGHT_MIN: f64 = 0.05;

named! {
    /// Where languages share.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub enum Sharing: "sharing" {
        /// After training: what the courses taught is added up with weights.
        #[default]
        Combine = "combine",
        /// In training: examples are drawn with weights.
        Sample = "sample",
    }
}

/// How `uriel` shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UrielOptions {
    /// What near means.
    pub distance: Distance,
    /// The distance at which a language still gets 37 % of what another one learnt; more than 0.
    pub temperature: f64,
    /// From how many languages one learns at most, the nearest ones; 0 sets no limit.
    pub neighbours: usize,
    /// Whether trainings or examples are shared.
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

    /// `k`: 1 for the language itself, 0 where the distance is not known.
    fn nearness(&self, a: &Language, b: &Language) -> (f64, Option<f64>) {
        if a == b {
            return (1.0, Some(0.0));
        }
        let distance = self.options.distance.between(a, b);
        let nearness = |distance: f64| (-(distance / self.options.temperature).powi(2)).exp();
        (distance.map_or(0.0, nearness), distance)
    }

    /// The parts of what a language learns: `w`, nearest first.
    fn parts(&self, courses: &[Course], language: &Language) -> Vec<Part> {
        let part = |(course, other): (usize, &Course)| {
            let (weight, distance) = self.nearness(language, &other.language);
            Part { course, weight, distance }
        };
        let mut parts: Vec<Part> = courses.iter().enumerate().map(part).collect();
        let own = courses.iter().position(|course| course.language == *language);
        let own = own.map(|course| parts.remove(course));
        parts.retain(|part| part.weight > 0.0);
        parts.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.course.cmp(&b.course)));
        let neighbours_max = match (self.options.sharing, self.options.neighbours) {
            // Who has a course of its own has had its share of the others in it.
            (Sharing::Sample, _) => usize::from(own.is_none()),
            (Sharing::Combine, 0) => parts.len(),
            (Sharing::Combine, most) => most,
        };
        parts.truncate(neighbours_max);
        let total: f64 = parts.iter().map(|part| part.weight).sum();
        if total < WEIGHT_MIN {
            parts.clear();
        }
        parts.iter_mut().for_each(|part| part.weight /= total.max(1.0));
        parts.splice(..0, own);
        parts
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
    fn courses(&self, material: &Material<'_>) -> Vec<Course> {
        material.languages().into_iter().map(|language| Course { language }).collect()
    }

    fn epoch<'a>(
        &self,
        material: &Material<'a>,
        course: &Course,
        epoch: usize,
    ) -> Vec<&'a Example> {
        let random = &mut random(material, course, epoch);
        let own = material.new_in(&course.language);
        let (count, rehearsed) = (own.len(), material.rehearsed_count(own.len()));
        match self.options.sharing {
            Sharing::Combine => {
                own.into_iter().chain(rehearse(material, rehearsed, random)).collect()
            }
            Sharing::Sample => {
                let remembered = by_language(material.remembered);
                let target = &course.language;
                let mut chosen = self.draw(target, material.new_by_language(), count, random);
                chosen.extend(self.draw(target, remembered, rehearsed, random));
                chosen
            }
        }
    }

    fn candidates(&self, courses: &[Course], language: &Language) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let combined = self.parts(courses, language);
        if !combined.is_empty() {
            candidates.push(Candidate { kind: CandidateKind::Combined, body: Body::Sum(combined) });
        }
        if let Some(own) = courses.iter().position(|course| course.language == *language) {
            candidates.push(Candidate { kind: CandidateKind::Own, body: Body::Whole(own) });
        }
        let weight = 1.0 / courses.len() as f64;
        let part = |course| Part { course, weight, distance: None };
        let uniform = (0..courses.len()).map(part).collect();
        candidates.push(Candidate { kind: CandidateKind::Shared, body: Body::Sum(uniform) });
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courses(tags: &[&str]) -> Vec<Course> {
        let course = |tag: &&str| Course { language: Language::parse(tag).expect("a tag") };
        tags.iter().map(course).collect()
    }

    fn weights(options: UrielOptions, tag: &str) -> Vec<(usize, f64)> {
        let language = Language::parse(tag).expect("a tag");
        let parts = Uriel::new(options).parts(&courses(&["de", "hi", "fi"]), &language);
        parts.into_iter().map(|part| (part.course, part.weight)).collect()
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
            .candidates(&courses(&["de", "fi"]), &"und".parse().expect("a tag"));
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
