//! The key of an example, its split, and its priority in the sample.
//!
//! All three are hashes, so they need no state, do not depend on the order of examples, and are the
//! same in every process and on every machine.

use super::Split;
use crate::example::Example;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The hash of the language and the normalised text of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub fn of(example: &Example) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("polygraft rehearsal 1: example key");
        hasher.update(example.language.as_str().as_bytes());
        // Neither a tag nor a normalised text contains this byte, so different pairs give different
        // bytes.
        hasher.update(b"\0");
        hasher.update(normalised(&example.input.text()).as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// Whether a held-out example is of the report split, which never takes part in a choice.
    pub fn reports(&self, reporting_percent: u8) -> bool {
        // These bits differ from those of the held-out split, so the two are independent.
        let [_, second @ ..] = self.0.as_chunks::<8>().0 else { return false };
        let number = second.first().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        number % 100 < u64::from(reporting_percent)
    }

    pub fn split(&self, held_out_percent: u8) -> Split {
        if number(&self.0) % 100 < u64::from(held_out_percent) {
            Split::HeldOut
        } else {
            Split::Training
        }
    }
}

/// Lower case and single spaces: two spellings of one sentence must not be in both splits.
fn normalised(text: &str) -> String {
    let lower = text.to_lowercase().replace('\0', " ");
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The priority of keeping an example. Keeping the lowest is reservoir sampling without a state. It
/// is drawn once, when an example is first added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Priority(u64);

impl Priority {
    pub fn of(key: &Key, seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("polygraft rehearsal 1: priority");
        hasher.update(&seed.to_le_bytes());
        hasher.update(&key.0);
        Self(number(hasher.finalize().as_bytes()))
    }
}

/// The first eight bytes of a hash as a number.
fn number(hash: &[u8; 32]) -> u64 {
    hash[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Sixteen hexadecimal digits, because JSON numbers of other tools lose bits above 2^53.
impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        let plain =
            text.len() == 16 && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        let expected = "a priority has 16 lower-case hexadecimal digits";
        let parsed = plain.then(|| u64::from_str_radix(&text, 16).ok()).flatten();
        parsed.map(Self).ok_or_else(|| serde::de::Error::custom(expected))
    }
}
