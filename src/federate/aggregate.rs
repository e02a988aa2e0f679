//! The aggregate of a round: for each language an adapter that devices may take over, and what it
//! was made of. It is a proposal; each device's own gate decides.

use super::envelope::{self, FileKind, malformed};
use crate::error::Result;
use crate::language::Language;
use crate::store::{self, ObjectHash};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an aggregate says of one language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateLanguage {
    /// The hash of the version that the deltas were added to.
    pub base: ObjectHash,
    /// The hash of the adapter's bytes.
    pub hash: ObjectHash,
    /// The number of replies with a delta of the language itself.
    pub devices: u64,
    /// The number of examples that these were trained on, as they count.
    pub examples: u64,
    /// The weight of what each language learnt; the language itself is among them if it learnt.
    pub shares: BTreeMap<Language, f64>,
}

/// The aggregate of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundAggregate {
    /// The hash of the message that was answered, see
    /// [`RoundMessage::hash`](super::RoundMessage::hash).
    pub message: ObjectHash,
    /// The task.
    pub task: String,
    /// The number of the round.
    pub round: u32,
    /// The identity of the bundle.
    pub identity: String,
    /// How replies were averaged, a name of [`Averaging`](super::Averaging).
    pub averaging: String,
    /// The number of replies that were averaged.
    pub replies: u64,
    /// The number of replies that were refused.
    pub refused: u64,
    /// What was made for each language.
    pub languages: BTreeMap<Language, AggregateLanguage>,
    /// The bytes of each language's adapter file.
    #[serde(skip)]
    pub adapters: BTreeMap<Language, Vec<u8>>,
}

impl RoundAggregate {
    /// Serialises the aggregate.
    ///
    /// # Errors
    /// [`Code::RoundMalformed`](crate::Code::RoundMalformed) for what JSON cannot hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let sections = self.adapters.iter();
        let sections = sections.map(|(language, bytes)| (language.to_string(), &**bytes));
        envelope::write(FileKind::Aggregate, self, &sections.collect())
    }

    /// Reads an aggregate.
    ///
    /// # Errors
    /// [`Code::RoundMalformed`](crate::Code::RoundMalformed) naming the field, what was expected
    /// and what was found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (mut aggregate, sections): (Self, _) = envelope::read(FileKind::Aggregate, bytes)?;
        store::check_task_name(&aggregate.task).map_err(|error| malformed(error.message()))?;
        for (language, entry) in &aggregate.languages {
            let section = sections.get(language.as_str());
            let section =
                section.ok_or_else(|| malformed(format!("{language}: it has no adapter")))?;
            let found = ObjectHash::of(section);
            if found != entry.hash || language.is_shared() {
                let expected = entry.hash;
                let what = format!("{language}: expected the adapter {expected}, found {found}");
                return Err(malformed(what));
            }
            aggregate.adapters.insert(language.clone(), section.to_vec());
        }
        if sections.len() != aggregate.languages.len() {
            let (languages, found) = (aggregate.languages.len(), sections.len());
            return Err(malformed(format!("{languages} languages and {found} adapters")));
        }
        Ok(aggregate)
    }
}
