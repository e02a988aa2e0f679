//! The adapters that a language may get, made of what the courses taught.
//!
//! Input: a strategy's [`Candidate`](super::strategy::Candidate)s and the version that serves a
//! language. Output: recipes. A [`Recipe`] is small and says exactly how to make an adapter, so
//! that dozens of candidates need no memory: each is made to be measured, dropped, and made again,
//! the same to the last bit, if it is published.

use super::courses::Learnt;
use super::strategy::{Body, Course, Part, Strategy};
use crate::adapter::{Adapter, Delta, add_deltas};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use crate::report::{CandidateKind, Share};
use crate::store::ObjectHash;

/// How to make an adapter. Equal recipes make equal adapters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recipe {
    /// The adapter that a course ended with.
    Whole(usize),
    /// A stored version plus parts of what courses taught.
    Sum {
        /// The version.
        onto: ObjectHash,
        /// The position of each course and the bits of its weight, which order and compare exactly.
        parts: Vec<(usize, u64)>,
    },
}

/// A candidate of one language with its recipe.
pub struct Planned {
    /// What it is called in reports.
    pub kind: CandidateKind,
    /// What goes into it, for reports.
    pub shares: Vec<Share>,
    /// How to make it.
    pub recipe: Recipe,
}

/// The candidates of a language that `serving` serves, without doubles. `starts` are the versions
/// that the courses started from.
pub fn plan(
    strategy: &dyn Strategy,
    courses: &[Course],
    starts: &[Option<ObjectHash>],
    language: &Language,
    serving: Option<ObjectHash>,
) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    for candidate in strategy.candidates(courses, language) {
        let recipe = match &candidate.body {
            Body::Whole(course) => Recipe::Whole(*course),
            Body::Sum(parts) => match (sum(parts, starts, serving), serving) {
                (Some(recipe), _) => recipe,
                // There is nothing to add to.
                (None, _) => continue,
            },
        };
        if planned.iter().all(|other| other.recipe != recipe) {
            let shares = shares(&candidate.body, courses);
            planned.push(Planned { kind: candidate.kind, shares, recipe });
        }
    }
    planned
}

fn sum(
    parts: &[Part],
    starts: &[Option<ObjectHash>],
    serving: Option<ObjectHash>,
) -> Option<Recipe> {
    let onto = serving?;
    match parts {
        // All of what was learnt from here is where the course ended.
        [only] if only.weight == 1.0 && starts.get(only.course) == Some(&Some(onto)) => {
            Some(Recipe::Whole(only.course))
        }
        parts => {
            let parts = parts.iter().map(|part| (part.course, part.weight.to_bits())).collect();
            Some(Recipe::Sum { onto, parts })
        }
    }
}

fn shares(body: &Body, courses: &[Course]) -> Vec<Share> {
    let share = |course: usize, weight, distance| {
        let language =
            courses.get(course).map_or_else(Language::shared, |one| one.language.clone());
        Share { language, weight, distance }
    };
    match body {
        Body::Whole(course) => vec![share(*course, 1.0, None)],
        Body::Sum(parts) => {
            parts.iter().map(|part| share(part.course, part.weight, part.distance)).collect()
        }
    }
}

/// Makes the adapter of a recipe; `load` reads a stored version.
pub fn make(
    recipe: &Recipe,
    learnt: &[Learnt],
    load: &mut dyn FnMut(&ObjectHash) -> Result<Adapter>,
) -> Result<Adapter> {
    let course = |index: usize| {
        let missing = || Error::new(Code::Internal, format!("there is no course {index}"));
        learnt.get(index).ok_or_else(missing)
    };
    match recipe {
        Recipe::Whole(index) => Ok(course(*index)?.to.clone()),
        Recipe::Sum { onto, parts } => {
            let mut deltas = Vec::with_capacity(parts.len());
            for (index, weight) in parts {
                let Learnt { from, to, .. } = course(*index)?;
                deltas.push(Delta { from, to, weight: f64::from_bits(*weight) });
            }
            add_deltas(&load(onto)?, &deltas)
        }
    }
}
