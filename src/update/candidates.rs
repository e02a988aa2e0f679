//! The candidate adapters of a language, made of the deltas of the training runs.
//!
//! A [`CandidateSpec`] is small and determines an adapter exactly, so that dozens of candidates
//! need no memory: each is made for its measurement, dropped, and made again bit for bit if it is
//! published.

use super::strategy::{Body, Candidate, DeltaShare, Strategy, TrainingRun};
use super::training::Delta;
use crate::adapter::{Adapter, WeightedDelta, add_deltas};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use crate::report::{CandidateKind, Share};
use crate::store::ObjectHash;

/// How to make an adapter. Equal specs make equal adapters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CandidateSpec {
    /// A version of the store.
    Stored(ObjectHash),
    /// The adapter that a training run ended with.
    Whole(usize),
    /// A stored version plus shares of the deltas of training runs.
    Sum {
        /// The hash of the version.
        onto: ObjectHash,
        /// The position of each training run and the bits of its weight, which can be ordered and
        /// compared exactly.
        shares: Vec<(usize, u64)>,
    },
}

/// A candidate of one language with its spec.
pub struct PlannedCandidate {
    /// Its kind in reports.
    pub kind: CandidateKind,
    /// The factor on the deltas, in reports.
    pub strength: f64,
    /// The shares of deltas in it, for reports.
    pub shares: Vec<Share>,
    /// How to make it.
    pub spec: CandidateSpec,
}

/// The distinct candidates of a language that `serving` serves. `starts` are the versions that the
/// training runs started from.
pub fn plan(
    strategy: &dyn Strategy,
    runs: &[TrainingRun],
    starts: &[Option<ObjectHash>],
    language: &Language,
    serving: Option<ObjectHash>,
) -> Vec<PlannedCandidate> {
    let mut planned: Vec<PlannedCandidate> = Vec::new();
    for candidate in strategy.candidates(runs, language) {
        let spec = match &candidate.body {
            Body::Whole(run) => CandidateSpec::Whole(*run),
            Body::Sum(shares) => match sum(shares, starts, serving) {
                Some(spec) => spec,
                // There is no version to add to.
                None => continue,
            },
        };
        if planned.iter().all(|other| other.spec != spec) {
            let Candidate { kind, strength, .. } = candidate;
            let shares = shares(&candidate.body, runs);
            planned.push(PlannedCandidate { kind, strength, shares, spec });
        }
    }
    planned
}

impl PlannedCandidate {
    /// An earlier version of the language.
    pub fn earlier(hash: ObjectHash) -> Self {
        let spec = CandidateSpec::Stored(hash);
        Self { kind: CandidateKind::Earlier, strength: 1.0, shares: Vec::new(), spec }
    }
}

fn sum(
    shares: &[DeltaShare],
    starts: &[Option<ObjectHash>],
    serving: Option<ObjectHash>,
) -> Option<CandidateSpec> {
    let onto = serving?;
    match shares {
        // The whole delta added to its own start is the end of the training run.
        [only] if only.weight == 1.0 && starts.get(only.run) == Some(&Some(onto)) => {
            Some(CandidateSpec::Whole(only.run))
        }
        shares => {
            let shares = shares.iter().map(|share| (share.run, share.weight.to_bits())).collect();
            Some(CandidateSpec::Sum { onto, shares })
        }
    }
}

fn shares(body: &Body, runs: &[TrainingRun]) -> Vec<Share> {
    let share = |run: usize, weight, distance| {
        let language = runs.get(run).map_or_else(Language::shared, |one| one.language.clone());
        Share { language, weight, distance }
    };
    match body {
        Body::Whole(run) => vec![share(*run, 1.0, None)],
        Body::Sum(shares) => {
            shares.iter().map(|part| share(part.run, part.weight, part.distance)).collect()
        }
    }
}

/// Makes the adapter of a spec; `load` loads a stored version.
pub fn make(
    spec: &CandidateSpec,
    deltas: &[Delta],
    load: &mut dyn FnMut(&ObjectHash) -> Result<Adapter>,
) -> Result<Adapter> {
    let run = |index: usize| {
        let missing = || Error::new(Code::Internal, format!("there is no training run {index}"));
        deltas.get(index).ok_or_else(missing)
    };
    match spec {
        CandidateSpec::Stored(hash) => load(hash),
        CandidateSpec::Whole(index) => Ok(run(*index)?.to.clone()),
        CandidateSpec::Sum { onto, shares } => {
            let mut weighted = Vec::with_capacity(shares.len());
            for (index, weight) in shares {
                let Delta { from, to, .. } = run(*index)?;
                weighted.push(WeightedDelta { from, to, weight: f64::from_bits(*weight) });
            }
            add_deltas(&load(onto)?, &weighted)
        }
    }
}
