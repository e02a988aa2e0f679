//! The fallback chain of a language: its own version, a shorter tag's, a near language's, or
//! `mul`'s.
//!
//! [`Neighbours`] belong to one snapshot and remember the nearest language with an active version
//! for each language, because every prediction asks and the answer cannot change. It must never
//! choose a language that is too far away, and never compute the same distance again for the next
//! prediction.

use super::ActiveVersion;
use crate::language::{self, Distance, Language, SERVING_DISTANCE_MAX};
use serde::Serialize;
use std::sync::OnceLock;

/// One step of the chain that decides which version serves a language, as
/// [`Snapshot::explain`](super::Snapshot::explain) lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The language of the version.
    pub language: Language,
    /// The reason why this language is in the chain.
    pub kind: StepKind,
    /// The mixed typological distance to the requested language; `None` if there is none.
    pub distance: Option<f64>,
    /// The number of the language's active version.
    pub version: Option<u32>,
    /// Whether this version serves. At most one step of a chain does.
    pub taken: bool,
}

named! {
    /// The reason why a language is in a chain.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum StepKind {
        /// It is the requested language.
        Own = "own",
        /// Its tag is a prefix of the requested tag.
        Shorter = "shorter tag",
        /// It is the nearest language with an active version, within [`SERVING_DISTANCE_MAX`].
        Nearest = "nearest",
        /// It is the nearest language with an active version, but too far away to serve.
        TooFar = "too far",
        /// It is the shared language `mul`.
        Shared = "shared",
    }
}

impl StepKind {}

/// The nearest active languages of one task, each found on the first request.
///
/// The table of languages bounds its size: all spellings, scripts and regions of a language share
/// one position.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    nearest: OnceLock<Box<[OnceLock<Option<Language>>]>>,
}

impl Neighbours {
    /// The nearest of the `active` languages that may serve `language`. `active` must be the same
    /// for every call.
    pub fn serving<'a, A: Iterator<Item = &'a Language>>(
        &self,
        language: &Language,
        active: impl FnOnce() -> A,
    ) -> Option<&Language> {
        let row = language::typology_row(language)?;
        let rows = || language::languages().map(|_| OnceLock::new()).collect();
        let place = self.nearest.get_or_init(rows).get(row)?;
        let find = || {
            let (language, distance) = nearest(language, active())?;
            (distance <= SERVING_DISTANCE_MAX).then(|| language.clone())
        };
        place.get_or_init(find).as_ref()
    }
}

/// The nearest of the `active` languages, at any distance.
fn nearest<'a>(
    language: &Language,
    active: impl Iterator<Item = &'a Language>,
) -> Option<(&'a Language, f64)> {
    language::nearest(language, active, Distance::Mixed, 1).pop()
}

/// All steps for `language`. `active` are the languages with an active version, in order, and
/// `version` looks one up.
pub(super) fn explain<'a>(
    language: &Language,
    active: impl Iterator<Item = &'a Language>,
    version: impl Fn(&str) -> Option<ActiveVersion>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let chain: Vec<Language> = language.fallbacks().collect();
    for link in &chain {
        let kind = match link {
            link if link == language => StepKind::Own,
            link if link.is_shared() => StepKind::Shared,
            _ => StepKind::Shorter,
        };
        steps.push((link.clone(), kind));
    }
    // The tags of the chain come before it anyway.
    let others = active.filter(|other| !chain.contains(other));
    if let Some((other, distance)) = nearest(language, others) {
        let near = distance <= SERVING_DISTANCE_MAX;
        let kind = if near { StepKind::Nearest } else { StepKind::TooFar };
        let last = steps.iter().position(|(_, kind)| *kind == StepKind::Shared);
        steps.insert(last.unwrap_or(steps.len()), (other.clone(), kind));
    }
    let mut served = false;
    let step = |(link, kind): (Language, StepKind)| {
        let version = version(link.as_str()).map(|version| version.number);
        let taken = !served && version.is_some() && kind != StepKind::TooFar;
        served |= taken;
        let distance = Distance::Mixed.between(language, &link);
        Step { language: link, kind, distance, version, taken }
    };
    steps.into_iter().map(step).collect()
}
