//! Averaging replies: checks each one and adds the mean deltas to the base versions.
//!
//! The mean of the factors of low-rank products is not the mean of the products: `(A1 + A2)(B1 +
//! B2) / 4` has terms of two devices that neither learnt. [`Averaging::Product`] therefore averages
//! the products themselves and takes the best approximation of the base's rank. Where a round keeps
//! the first factors, both are the same, and the factors are averaged. This module must never let a
//! reply that fails a check change the average.

use super::aggregate::{AggregateLanguage, RoundAggregate};
use super::delta::Delta;
use super::message::RoundMessage;
use super::reply::{RoundReply, base_adapters};
use crate::adapter::{Adapter, WeightedDelta, add_deltas};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use crate::report::CandidateKind;
use crate::store::{ObjectHash, Store};
use crate::update::StrategyKind;
use crate::update::UrielOptions;
use crate::update::strategy::{Body, TrainingRun};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

named! {
    /// How the deltas of a language are averaged.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub enum Averaging: "averaging" {
        /// The products of low-rank factors are averaged and compressed to the rank of the base.
        #[default]
        Product = "product",
        /// The factors are averaged one by one. With trained first factors this is not the average
        /// of what the devices learnt; it exists for comparison.
        Factors = "factors",
    }
}

named! {
    /// Whether languages learn from the devices of others.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub enum Sharing: "sharing between the languages of a round" {
        /// A language gets what its own devices learnt.
        #[default]
        None = "none",
        /// A language also gets what its neighbours' devices learnt, weighted by typological
        /// distance as the strategy `uriel` weights them.
        Uriel = "uriel",
    }
}

/// How replies are averaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AverageOptions {
    /// The name of an [`Averaging`].
    pub averaging: String,
    /// The name of a [`Sharing`].
    pub sharing: String,
    /// The languages to make adapters for, because a device needs its own ones only; empty for all.
    pub languages: Vec<Language>,
    /// The largest number of examples of a language that a reply counts with, so that a device
    /// cannot outvote the others by stating many; at least 1.
    pub examples_max: u64,
    /// The smallest number of devices whose deltas of a language are used; at least 1.
    pub devices_min: u64,
}

impl Default for AverageOptions {
    fn default() -> Self {
        Self {
            averaging: Averaging::default().name().to_owned(),
            sharing: Sharing::default().name().to_owned(),
            languages: Vec::new(),
            examples_max: 1_000,
            devices_min: 1,
        }
    }
}

impl AverageOptions {
    fn check_counts(&self) -> Result<()> {
        for (field, found) in
            [("examples_max", self.examples_max), ("devices_min", self.devices_min)]
        {
            if found == 0 {
                let what = format!("{field}: expected at least 1, found 0");
                return Err(Error::new(Code::ArgumentInvalid, what));
            }
        }
        Ok(())
    }
}

/// A reply that was not averaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedReply {
    /// Its position among the replies, from 0.
    pub reply: usize,
    /// The name of the error's code.
    pub code: String,
    /// What is wrong with it.
    pub message: String,
}

/// What averaging gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Averaged {
    /// The aggregate; without languages if no reply was usable.
    pub aggregate: RoundAggregate,
    /// The replies that were refused.
    pub refused: Vec<RefusedReply>,
}

/// One usable delta of a language.
struct Vote {
    delta: Delta,
    examples: u64,
}

/// Averages the replies to a message. The base versions come from the message or from `store`.
///
/// A reply with one thing wrong is refused as a whole and listed; two equal ones count once.
///
/// # Errors
/// [`Code::RoundMalformed`] for a damaged message, [`Code::RoundMismatch`] for a base that is
/// nowhere, [`Code::ArgumentInvalid`] for options out of range.
pub fn average(
    store: &Store,
    message: &[u8],
    replies: &[&[u8]],
    options: &AverageOptions,
) -> Result<Averaged> {
    let averaging: Averaging = options.averaging.parse()?;
    let sharing: Sharing = options.sharing.parse()?;
    options.check_counts()?;
    let message = RoundMessage::from_bytes(message)?;
    let hash = message.hash()?;
    let bases = base_adapters(store, &message)?;
    let (mut votes, refused) = votes(&message, hash, replies, &bases, options.examples_max);
    votes.retain(|_, votes| votes.len() as u64 >= options.devices_min);
    let by_factors = averaging == Averaging::Factors || message.training.down_frozen;
    let mut aggregate = RoundAggregate {
        message: hash,
        task: message.task.clone(),
        round: message.round,
        identity: message.identity.clone(),
        averaging: if by_factors { Averaging::Factors } else { averaging }.name().to_owned(),
        replies: (replies.len() - refused.len()) as u64,
        refused: refused.len() as u64,
        languages: BTreeMap::new(),
        adapters: BTreeMap::new(),
    };
    let asked =
        |language: &Language| options.languages.is_empty() || options.languages.contains(language);
    for (language, base_hash) in message.bases.iter().filter(|(one, _)| asked(one)) {
        let shares = shares(&votes, language, sharing);
        let Some(base) = bases.get(base_hash).filter(|_| !shares.is_empty()) else { continue };
        let parts = weighted(&message, &bases, &votes, &shares);
        let adapter = match by_factors {
            true => add_factors(base, &parts),
            false => add_products(base, &parts)?,
        };
        let bytes = adapter.to_bytes()?;
        let own = votes.get(language).map_or(&[][..], Vec::as_slice);
        let shares = shares.into_iter().map(|(other, weight)| (other.clone(), weight));
        let entry = AggregateLanguage {
            base: *base_hash,
            hash: ObjectHash::of(&bytes),
            devices: own.len() as u64,
            examples: own.iter().map(|vote| vote.examples).sum(),
            shares: shares.collect(),
        };
        aggregate.languages.insert(language.clone(), entry);
        aggregate.adapters.insert(language.clone(), bytes);
    }
    Ok(Averaged { aggregate, refused })
}

/// The usable deltas of each language, and the replies that are refused.
fn votes(
    message: &RoundMessage,
    hash: ObjectHash,
    replies: &[&[u8]],
    bases: &BTreeMap<ObjectHash, Adapter>,
    examples_max: u64,
) -> (BTreeMap<Language, Vec<Vote>>, Vec<RefusedReply>) {
    let mut votes = BTreeMap::<Language, Vec<Vote>>::new();
    let (mut refused, mut seen) = (Vec::new(), BTreeSet::new());
    for (position, bytes) in replies.iter().enumerate() {
        let read = if seen.insert(ObjectHash::of(bytes)) {
            read(message, hash, bytes, bases)
        } else {
            Err(Error::new(Code::RoundMismatch, "the same reply came before"))
        };
        match read {
            Ok((reply, deltas)) => {
                for (language, delta) in deltas {
                    let stated = reply.languages.get(&language).map_or(0, |entry| entry.examples);
                    let examples = stated.min(examples_max);
                    votes.entry(language).or_default().push(Vote { delta, examples });
                }
            }
            Err(error) => refused.push(RefusedReply {
                reply: position,
                code: error.code().name().to_owned(),
                message: error.to_string(),
            }),
        }
    }
    (votes, refused)
}

/// Reads one reply and checks it against the message.
fn read(
    message: &RoundMessage,
    hash: ObjectHash,
    bytes: &[u8],
    bases: &BTreeMap<ObjectHash, Adapter>,
) -> Result<(RoundReply, BTreeMap<Language, Delta>)> {
    let reply = RoundReply::from_bytes(bytes)?;
    let deltas = reply.checked(message, hash, bases)?;
    Ok((reply, deltas))
}

/// The weight of the mean delta of each language for one language.
fn shares<'a>(
    votes: &'a BTreeMap<Language, Vec<Vote>>,
    language: &Language,
    sharing: Sharing,
) -> Vec<(&'a Language, f64)> {
    match sharing {
        Sharing::None => {
            votes.get_key_value(language).map(|(own, _)| (own, 1.0)).into_iter().collect()
        }
        Sharing::Uriel => {
            let learnt: Vec<&Language> = votes.keys().collect();
            let run = |language: &&Language| TrainingRun { language: (*language).clone() };
            let runs: Vec<TrainingRun> = learnt.iter().map(run).collect();
            if runs.is_empty() {
                return Vec::new();
            }
            let strategy = StrategyKind::Uriel.strategy(UrielOptions::default());
            let candidates = strategy.candidates(&runs, language).into_iter();
            let combined = candidates.map(|candidate| (candidate.kind, candidate.body));
            let whole = combined.into_iter().find_map(|(kind, body)| match body {
                Body::Sum(shares) if kind == CandidateKind::Combined => Some(shares),
                _ => None,
            });
            let whole = whole.unwrap_or_default().into_iter();
            whole.filter_map(|share| Some((*learnt.get(share.run)?, share.weight))).collect()
        }
    }
}

/// A delta with its weight and the base that it starts from.
struct Part<'a> {
    delta: &'a Delta,
    weight: f64,
    base: &'a Adapter,
}

/// The deltas of all shares. Within a language they are weighted by examples.
fn weighted<'a>(
    message: &RoundMessage,
    bases: &'a BTreeMap<ObjectHash, Adapter>,
    votes: &'a BTreeMap<Language, Vec<Vote>>,
    shares: &[(&Language, f64)],
) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for (language, share) in shares {
        let own = votes.get(*language).map_or(&[][..], Vec::as_slice);
        let total: u64 = own.iter().map(|vote| vote.examples).sum();
        let base = message.bases.get(*language).and_then(|base| bases.get(base));
        let Some(base) = base else { continue };
        for vote in own {
            let weight = share * vote.examples as f64 / total.max(1) as f64;
            parts.push(Part { delta: &vote.delta, weight, base });
        }
    }
    parts
}

/// Adds the factors of the parts to those of `onto`.
fn add_factors(onto: &Adapter, parts: &[Part<'_>]) -> Adapter {
    parts.iter().fold(onto.clone(), |sum, part| part.delta.add_to(&sum, part.weight))
}

/// Adds the products of the parts to `onto`.
fn add_products(onto: &Adapter, parts: &[Part<'_>]) -> Result<Adapter> {
    let ends: Vec<Adapter> = parts.iter().map(|part| part.delta.add_to(part.base, 1.0)).collect();
    let pairs = parts.iter().zip(&ends);
    let deltas: Vec<WeightedDelta<'_>> = pairs
        .map(|(part, to)| WeightedDelta { from: part.base, to, weight: part.weight })
        .collect();
    add_deltas(onto, &deltas)
}
