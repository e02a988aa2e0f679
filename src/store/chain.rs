//! Who serves a language: its own version, else one of a shorter tag, a near language, or `mul`.
//!
//! A [`Chain`] belongs to one snapshot and remembers which language with an active version lies
//! nearest to which, because a prediction asks each time and the answer cannot change. What flows
//! in are the languages that are active; what flows out is one of them. It must never take a
//! language that lies too far away, and never compute the same distance twice for one prediction
//! after another.

use super::ActiveVersion;
use crate::language::{self, Distance, Language, SERVING_DISTANCE_MAX};
use serde::Serialize;
use std::sync::OnceLock;

/// One link of the chain that decides who serves a language, as
/// [`Snapshot::explain`](super::Snapshot::explain) lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Whose version is looked for.
    pub language: Language,
    /// How this language comes into the chain.
    pub kind: StepKind,
    /// The mixed typological distance to the language asked for; `None` where there is none.
    pub distance: Option<f64>,
    /// The number of the language's active version.
    pub version: Option<u32>,
    /// Whether this version serves. At most one step of a chain is taken.
    pub taken: bool,
}

/// How a language comes into a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// It is the language asked for.
    Own,
    /// Its tag is a prefix of the one asked for.
    Shorter,
    /// Of the languages with an active version it lies nearest, within [`SERVING_DISTANCE_MAX`].
    Nearest,
    /// Of the languages with an active version it lies nearest, and yet too far away to serve.
    TooFar,
    /// It is the shared language `mul`.
    Shared,
}

impl StepKind {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shorter => "shorter tag",
            Self::Nearest => "nearest",
            Self::TooFar => "too far",
            Self::Shared => "shared",
        }
    }
}

/// The nearest active languages of one task, found when they are first asked for.
///
/// Bounded by the table of languages: all spellings, scripts and regions of one have one place.
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

/// The nearest of the `active` languages, however far away.
fn nearest<'a>(
    language: &Language,
    active: impl Iterator<Item = &'a Language>,
) -> Option<(&'a Language, f64)> {
    language::nearest(language, active, Distance::Mixed, 1).pop()
}

/// Every step for `language`, given who is active in order and how to look up a version.
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
    // Tags of the chain come before it anyhow.
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
