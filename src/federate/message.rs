//! The message of a round: what a server asks devices to train, from which versions, and how.

use super::envelope::{self, FileKind, malformed};
use crate::error::{Code, Error, Result, ResultExt};
use crate::language::Language;
use crate::model::Model;
use crate::store::{self, ObjectHash};
use crate::update::UpdateOptions;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How devices train in a round. All devices train alike, so the server decides it; each bounds
/// what it spends by its own [`ReplyOptions`](super::ReplyOptions).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundTraining {
    /// The largest number of optimiser steps, over all languages of a device; 1 to 100000.
    pub steps_max: usize,
    /// The highest learning rate; more than 0, at most 1.
    pub learning_rate: f64,
    /// Rehearsed examples of other languages per example to learn, 0 to 100.
    pub rehearsal_ratio: f64,
    /// Whether the first factors of low-rank products keep their values. Then the average of the
    /// second factors is the average of the products, and a reply is smaller.
    pub down_frozen: bool,
    /// The largest norm of a delta; more than 0, at most 1000000. A device scales a longer one down
    /// to it.
    pub clip_norm: f64,
    /// The deviation of the Gaussian noise that a device adds to each value of a delta, as a
    /// multiple of `clip_norm`; 0 to 1000. 0 adds none.
    pub noise_multiplier: f64,
}

impl Default for RoundTraining {
    fn default() -> Self {
        Self {
            steps_max: 20,
            learning_rate: 1e-3,
            rehearsal_ratio: 1.0,
            down_frozen: false,
            clip_norm: 10.0,
            noise_multiplier: 0.0,
        }
    }
}

impl RoundTraining {
    fn check(&self) -> Result<()> {
        let above = |found: f64, most: f64| found > 0.0 && found <= most;
        let within = |found: f64, most: f64| (0.0..=most).contains(&found);
        let ranges = [
            ("steps_max", self.steps_max as f64, (1..=100_000).contains(&self.steps_max)),
            ("learning_rate", self.learning_rate, above(self.learning_rate, 1.0)),
            ("rehearsal_ratio", self.rehearsal_ratio, within(self.rehearsal_ratio, 100.0)),
            ("clip_norm", self.clip_norm, above(self.clip_norm, 1e6)),
            ("noise_multiplier", self.noise_multiplier, within(self.noise_multiplier, 1e3)),
        ];
        match ranges.iter().find(|(_, _, is_valid)| !is_valid) {
            None => Ok(()),
            Some((field, found, _)) => {
                let message = format!("training.{field} is out of its range: found {found}");
                Err(Error::new(Code::ArgumentInvalid, message))
            }
        }
    }

    /// The options of the training on a device.
    pub(super) fn options(&self, seed: u64) -> UpdateOptions {
        let mut options = UpdateOptions {
            seed,
            steps_max: self.steps_max,
            rehearsal_ratio: self.rehearsal_ratio,
            ..UpdateOptions::default()
        };
        options.optimizer.learning_rate = self.learning_rate;
        options
    }
}

/// What a server asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AskOptions {
    /// The languages of the round; at least one, and not `mul`.
    pub languages: Vec<Language>,
    /// The number of the round.
    pub round: u32,
    /// The seed of everything random but the noise.
    pub seed: u64,
    /// Whether the message carries the base versions, for devices whose stores lack them.
    pub with_bases: bool,
    /// How devices train.
    pub training: RoundTraining,
}

impl Default for AskOptions {
    fn default() -> Self {
        let training = RoundTraining::default();
        Self { languages: Vec::new(), round: 1, seed: 0, with_bases: true, training }
    }
}

/// The message of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundMessage {
    /// The task.
    pub task: String,
    /// The number of the round.
    pub round: u32,
    /// The identity of the bundle: its backbone with its reading.
    pub identity: String,
    /// The seed of everything random but the noise.
    pub seed: u64,
    /// The hash of the version that each language starts from.
    pub bases: BTreeMap<Language, ObjectHash>,
    /// How devices train.
    pub training: RoundTraining,
    /// The base versions that the message carries, by hash: the bytes of adapter files.
    #[serde(skip)]
    pub adapters: BTreeMap<ObjectHash, Arc<[u8]>>,
}

impl RoundMessage {
    /// Asks for a round from the versions that serve the languages in the store of `model`.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] for no language, for `mul` and for training options out of range;
    /// [`Code::TaskName`]; [`Code::StoreNoVersion`] for a language that nothing serves.
    pub fn ask(model: &Model, task: &str, options: &AskOptions) -> Result<Self> {
        let snapshot = model.store().snapshot()?;
        let mut bases = BTreeMap::new();
        let mut adapters = BTreeMap::new();
        for language in &options.languages {
            let (_, version) = snapshot.resolve(task, language).ok_or_else(|| {
                let message = format!("task {task}, {language}: no version to start a round from");
                Error::new(Code::StoreNoVersion, message)
            })?;
            bases.insert(language.clone(), version.hash);
            if options.with_bases && !adapters.contains_key(&version.hash) {
                adapters.insert(version.hash, model.store().read_object(&version.hash)?.into());
            }
        }
        let message = Self {
            task: task.to_owned(),
            round: options.round,
            identity: model.predictor().bundle().identity(),
            seed: options.seed,
            bases,
            training: options.training.clone(),
            adapters,
        };
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<()> {
        store::check_task_name(&self.task)?;
        if self.bases.is_empty() || self.bases.keys().any(Language::is_shared) {
            let message = "languages: expected at least one, and not `mul`, which no text is in";
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        self.training.check()
    }

    /// The hash that replies state: that of the message without the base versions, so that it is
    /// the same for a device that needs them and for one that has them.
    ///
    /// # Errors
    /// As [`RoundMessage::to_bytes`].
    pub fn hash(&self) -> Result<ObjectHash> {
        let bare = Self { adapters: BTreeMap::new(), ..self.clone() };
        Ok(ObjectHash::of(&bare.to_bytes()?))
    }

    /// Serialises the message.
    ///
    /// # Errors
    /// [`Code::RoundMalformed`] for what JSON cannot hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let sections = self.adapters.iter().map(|(hash, bytes)| (hash.to_string(), &**bytes));
        envelope::write(FileKind::Message, self, &sections.collect())
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`Code::RoundMalformed`] naming the field, what was expected and what was found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (mut message, sections): (Self, _) = envelope::read(FileKind::Message, bytes)?;
        message.check().map_err(|error| malformed(error.message()))?;
        for (name, bytes) in sections {
            let hash = ObjectHash::of(bytes);
            if hash.to_string() != name || !message.bases.values().any(|base| *base == hash) {
                return Err(malformed(format!("section {name:.80?}: it is no base of the round")));
            }
            message.adapters.insert(hash, bytes.into());
        }
        Ok(message)
    }

    /// Refuses a message for another bundle.
    pub(super) fn check_identity(&self, model: &Model) -> Result<()> {
        check_identity(&self.identity, model)
    }

    /// The bytes of a base version: from the message, or else from the store.
    ///
    /// # Errors
    /// [`Code::RoundMismatch`] when neither has it.
    pub(super) fn base(&self, store: &store::Store, hash: &ObjectHash) -> Result<Vec<u8>> {
        if let Some(bytes) = self.adapters.get(hash) {
            return Ok(bytes.to_vec());
        }
        if !store.snapshot()?.has_object(hash) {
            let message = format!(
                "neither the message nor the store has the base version {hash}; a message with \
                 bases has it"
            );
            return Err(Error::new(Code::RoundMismatch, message));
        }
        store.read_object(hash).context(|| format!("reading the base version {hash}"))
    }
}

/// Refuses what was made for another bundle.
pub(super) fn check_identity(found: &str, model: &Model) -> Result<()> {
    let expected = model.predictor().bundle().identity();
    if found == expected {
        return Ok(());
    }
    let message = format!("the round is of another bundle: expected {expected}, found {found:.80}");
    Err(Error::new(Code::RoundMismatch, message))
}
