//! The reply of a device: what it learnt in a round, clipped, and how that does on its held-out
//! examples. Making one must never activate a version.

use super::delta::Delta;
use super::envelope::{self, FileKind, malformed};
use super::message::RoundMessage;
use crate::adapter::Adapter;
use crate::error::{Code, Error, Result, ResultExt};
use crate::evaluation::ExampleScore;
use crate::example::Example;
use crate::inference::LoadedAdapter;
use crate::language::Language;
use crate::model::Model;
use crate::rehearsal::Rehearsal;
use crate::store::{ObjectHash, Store};
use crate::update::{LocalDelta, LocalTraining, ProgressCallback, train_locally};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The smallest probability whose logarithm counts in a loss, so that one example cannot make it
/// infinite.
const PROBABILITY_MIN: f64 = 1e-9;

/// What a device allows a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplyOptions {
    /// The largest number of optimiser steps, whatever the message asks for; 0 sets no limit of its
    /// own.
    pub steps_max: usize,
    /// Ends training after this many seconds; 0 sets no limit.
    pub seconds_max: f64,
    /// Threads of the training session; 0 takes all cores.
    pub threads: usize,
    /// Whether training runs at the lowest system priority.
    pub background: bool,
    /// The smallest noise multiplier that the device answers with; a message that states less is
    /// refused.
    pub noise_multiplier_min: f64,
    /// 64 hexadecimal digits from the system's source of randomness, never used before; required
    /// where the message asks for noise.
    pub noise_seed: Option<String>,
}

impl Default for ReplyOptions {
    fn default() -> Self {
        Self {
            steps_max: 0,
            seconds_max: 0.0,
            threads: 0,
            background: false,
            noise_multiplier_min: 0.0,
            noise_seed: None,
        }
    }
}

/// What a reply says of one language. With noise only the base and the number of examples are
/// stated, because everything else would tell more of the data than the noise allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyLanguage {
    /// The hash of the version that the delta starts from.
    pub base: ObjectHash,
    /// The number of examples that were trained on.
    pub examples: u64,
    /// The number of held-out examples.
    pub held_out: u64,
    /// The mean loss of the base on them: the negative logarithm of the target's probability.
    /// Absent without held-out examples, and for a task whose targets have no probability.
    pub loss_before: Option<f64>,
    /// The same after training.
    pub loss_after: Option<f64>,
    /// The mean score of the base on them, 0 to 1: the accuracy where a target is a label.
    pub accuracy_before: Option<f64>,
    /// The same after training.
    pub accuracy_after: Option<f64>,
    /// The norm of the delta before it was clipped.
    pub norm: Option<f64>,
    /// The norm of the delta after it was clipped.
    pub norm_clipped: Option<f64>,
}

/// The reply to a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundReply {
    /// The hash of the message, see [`RoundMessage::hash`].
    pub message: ObjectHash,
    /// The task of the message.
    pub task: String,
    /// The round of the message.
    pub round: u32,
    /// The identity of the device's bundle.
    pub identity: String,
    /// What was learnt in each language.
    pub languages: BTreeMap<Language, ReplyLanguage>,
    /// The delta of each language as a safetensors file.
    #[serde(skip)]
    pub deltas: BTreeMap<Language, Vec<u8>>,
}

impl RoundReply {
    /// Trains on `examples` and remembered ones, from the base versions of a message, and makes the
    /// reply. New examples are remembered, and nothing is activated.
    ///
    /// # Errors
    /// Nothing changes on any error. [`Code::RoundMalformed`] for a damaged message;
    /// [`Code::RoundMismatch`] for one of another bundle, for a base that neither the message nor
    /// the store has, and for less noise than the device demands; [`Code::ArgumentInvalid`] for
    /// noise without a seed; those of [`train_locally`].
    pub fn make(
        model: &Model,
        message: &[u8],
        examples: &[Example],
        options: &ReplyOptions,
        progress: ProgressCallback<'_>,
    ) -> Result<Self> {
        let message = RoundMessage::from_bytes(message)?;
        let hash = message.hash()?;
        message.check_identity(model)?;
        let seed = noise_seed(&message, options)?;
        let bases = loaded_bases(model, &message, examples)?;
        let mut update = message.training.options(message.seed);
        if options.steps_max > 0 {
            update.steps_max = update.steps_max.min(options.steps_max);
        }
        update.seconds_max = options.seconds_max;
        (update.threads, update.background) = (options.threads, options.background);
        let training = LocalTraining {
            task: &message.task,
            bases: &bases,
            examples,
            options: &update,
            down_frozen: message.training.down_frozen,
        };
        let deltas = train_locally(model.predictor(), model.store(), &training, progress);
        let deltas = deltas.context(|| format!("round {} of {:?}", message.round, message.task))?;
        let mut reply = Self {
            message: hash,
            task: message.task.clone(),
            round: message.round,
            identity: message.identity.clone(),
            languages: BTreeMap::new(),
            deltas: BTreeMap::new(),
        };
        for learnt in &deltas {
            reply.add(learnt, &message, seed.as_ref())?;
        }
        Ok(reply)
    }

    fn add(
        &mut self,
        learnt: &LocalDelta,
        message: &RoundMessage,
        seed: Option<&[u8; 32]>,
    ) -> Result<()> {
        let LocalDelta { language, from, to, before, after, examples_count } = learnt;
        let Some(base) = message.bases.get(language) else { return Ok(()) };
        let mut delta = Delta::between(from, to, message.training.down_frozen)?;
        let norm = delta.clip(message.training.clip_norm);
        let mut entry = ReplyLanguage {
            base: *base,
            examples: *examples_count as u64,
            held_out: before.len() as u64,
            loss_before: loss(before),
            loss_after: loss(after),
            accuracy_before: accuracy(before),
            accuracy_after: accuracy(after),
            norm: Some(norm),
            norm_clipped: Some(norm.min(message.training.clip_norm)),
        };
        if let Some(seed) = seed {
            let deviation = message.training.clip_norm * message.training.noise_multiplier;
            delta.add_noise(deviation, seed, language.as_str());
            entry = ReplyLanguage {
                held_out: 0,
                loss_before: None,
                loss_after: None,
                accuracy_before: None,
                accuracy_after: None,
                norm: None,
                norm_clipped: None,
                ..entry
            };
        }
        self.deltas.insert(language.clone(), delta.to_bytes(&base.to_string())?);
        self.languages.insert(language.clone(), entry);
        Ok(())
    }

    /// Serialises the reply.
    ///
    /// # Errors
    /// [`Code::RoundMalformed`] for what JSON cannot hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let sections = self.deltas.iter();
        let sections = sections.map(|(language, bytes)| (language.to_string(), &**bytes));
        envelope::write(FileKind::Reply, self, &sections.collect())
    }

    /// Reads a reply. [`average`](super::average()) checks its deltas against the bases.
    ///
    /// # Errors
    /// [`Code::RoundMalformed`] naming the field, what was expected and what was found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (mut reply, sections): (Self, _) = envelope::read(FileKind::Reply, bytes)?;
        for (language, entry) in &reply.languages {
            let numbers = [entry.loss_before, entry.loss_after, entry.norm, entry.norm_clipped];
            let shares = [entry.accuracy_before, entry.accuracy_after];
            let is_number = |value: &f64| value.is_finite() && *value >= 0.0;
            let is_valid = numbers.iter().flatten().all(is_number)
                && shares.iter().flatten().all(|share| (0.0..=1.0).contains(share));
            if !is_valid || entry.examples == 0 {
                return Err(malformed(format!("{language}: a number is out of its range")));
            }
            let section = sections.get(language.as_str());
            let section =
                section.ok_or_else(|| malformed(format!("{language}: it has no delta")))?;
            reply.deltas.insert(language.clone(), section.to_vec());
        }
        if sections.len() != reply.languages.len() || sections.is_empty() {
            let (languages, found) = (reply.languages.len(), sections.len());
            return Err(malformed(format!("{languages} languages and {found} deltas")));
        }
        Ok(reply)
    }

    /// Checks that the reply answers this message, and reads its deltas.
    ///
    /// # Errors
    /// [`Code::RoundMismatch`] for a reply to another message or with another base;
    /// [`Code::RoundMalformed`] for a delta that does not fit its base, is not finite or is longer
    /// than the message allows.
    pub(super) fn checked(
        &self,
        message: &RoundMessage,
        hash: ObjectHash,
        bases: &BTreeMap<ObjectHash, Adapter>,
    ) -> Result<BTreeMap<Language, Delta>> {
        let same = self.message == hash
            && (&self.task, self.round, &self.identity)
                == (&message.task, message.round, &message.identity);
        if !same {
            let found = self.message;
            let what = format!("the reply is to another message: expected {hash}, found {found}");
            return Err(Error::new(Code::RoundMismatch, what));
        }
        let mut deltas = BTreeMap::new();
        for (language, entry) in &self.languages {
            let base = message.bases.get(language).filter(|base| **base == entry.base);
            let adapter = base.and_then(|base| bases.get(base)).ok_or_else(|| {
                let found = entry.base;
                let what = format!("{language}: the round has no base {found} for it");
                Error::new(Code::RoundMismatch, what)
            })?;
            let bytes = self.deltas.get(language).map_or(&[][..], Vec::as_slice);
            let delta = Delta::from_bytes(bytes, adapter, message.training.down_frozen)
                .context(|| format!("the delta of {language}"))?;
            let most = norm_max(message, delta.values_count());
            let norm = delta.norm();
            if norm > most {
                let what = format!("{language}: expected a norm of at most {most}, found {norm}");
                return Err(malformed(what));
            }
            deltas.insert(language.clone(), delta);
        }
        Ok(deltas)
    }
}

/// The largest norm that an honest delta has: the one it is clipped to, and that of its noise. The
/// norm of `count` normal values exceeds `sqrt(count) + 6` deviations with a probability below
/// `exp(-18)`.
fn norm_max(message: &RoundMessage, count: usize) -> f64 {
    let clip = message.training.clip_norm;
    let noise = message.training.noise_multiplier * clip;
    // The values are rounded to float32.
    clip * 1.001 + noise * ((count as f64).sqrt() + 6.0)
}

/// The seed of the noise, if the message asks for noise.
fn noise_seed(message: &RoundMessage, options: &ReplyOptions) -> Result<Option<[u8; 32]>> {
    let asked = message.training.noise_multiplier;
    // A demand that is not a number cannot be met.
    let is_enough = options.noise_multiplier_min <= asked;
    if !is_enough {
        let least = options.noise_multiplier_min;
        let what = format!("noise_multiplier: the device demands {least}, the round has {asked}");
        return Err(Error::new(Code::RoundMismatch, what));
    }
    if asked == 0.0 {
        return Ok(None);
    }
    let parse = |text: &String| ObjectHash::parse(text).ok().map(|hash| *hash.as_bytes());
    options.noise_seed.as_ref().and_then(parse).map(Some).ok_or_else(|| {
        let what = "noise_seed: expected 64 lower-case hexadecimal digits, fresh ones each time";
        Error::new(Code::ArgumentInvalid, what)
    })
}

/// The base versions of the languages that this device has examples of, each tried on the model.
/// Others are not looked for, because nobody needs them here.
fn loaded_bases(
    model: &Model,
    message: &RoundMessage,
    examples: &[Example],
) -> Result<BTreeMap<Language, Arc<LoadedAdapter>>> {
    let memory = Rehearsal::open_saved(model.store(), &message.task)?;
    let has_examples = |language: &Language| {
        examples.iter().any(|one| one.language == *language)
            || memory.training_in(language).next().is_some()
    };
    let mut loaded = BTreeMap::new();
    for (language, hash) in message.bases.iter().filter(|(one, _)| has_examples(one)) {
        let read = || message.base(model.store(), hash);
        let base = model.predictor().load_cached(hash.as_bytes(), read);
        let base = base.context(|| format!("loading the base version of {language}"))?;
        loaded.insert(language.clone(), base);
    }
    Ok(loaded)
}

/// The base adapters of a message, by hash.
pub(super) fn base_adapters(
    store: &Store,
    message: &RoundMessage,
) -> Result<BTreeMap<ObjectHash, Adapter>> {
    let mut adapters = BTreeMap::new();
    for hash in message.bases.values() {
        if !adapters.contains_key(hash) {
            adapters.insert(*hash, Adapter::from_bytes(&message.base(store, hash)?)?);
        }
    }
    Ok(adapters)
}

/// The mean of the finite scores; `None` without any.
fn accuracy(scores: &[ExampleScore]) -> Option<f64> {
    let right = |one: &ExampleScore| if one.is_finite() { f64::from(one.score) } else { 0.0 };
    mean(scores.iter().map(right))
}

/// The mean loss; `None` where a target has no probability.
fn loss(scores: &[ExampleScore]) -> Option<f64> {
    let of = |one: &ExampleScore| {
        let probability = f64::from(one.probability?);
        let probability = if probability.is_finite() { probability } else { 0.0 };
        Some(-probability.max(PROBABILITY_MIN).ln())
    };
    let losses: Option<Vec<f64>> = scores.iter().map(of).collect();
    mean(losses?.into_iter()).map(|mean| mean.max(0.0))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}
