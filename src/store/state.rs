//! The pointer file `state.json`: every version's record and which versions are active.
//!
//! The file is JSON and carries the hash of its own content, so a flipped byte is found. Its bytes
//! are hostile until [`State::decode`] has checked them: the hash, the structure, and that every
//! pointer points at a version that exists.

use super::hash::ObjectHash;
use crate::error::{Code, Error, Result};
use crate::language::Language;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;

/// The format version that this build reads and writes.
pub(super) const FORMAT_VERSION: u32 = 1;

/// How many former activations of a language are remembered for rolling back.
pub(super) const HISTORY_COUNT_MAX: usize = 256;

/// Everything a store knows, at one generation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Grows by one with every change.
    pub generation: u64,
    pub tasks: BTreeMap<String, BTreeMap<Language, Lineage>>,
}

/// The versions of one language for one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lineage {
    /// The version that serves the language, if any.
    pub active: Option<u32>,
    /// While set, `active` does not move.
    pub pinned: bool,
    /// What was active before, oldest first; `None` stands for no version at all.
    pub history: Vec<Option<u32>>,
    /// In ascending order of their numbers.
    pub versions: Vec<Version>,
}

/// The record of one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Version {
    pub number: u32,
    pub object: ObjectHash,
    pub size_bytes: u64,
    pub created_unix_ms: u64,
    /// The version that was active when this one was published.
    pub parent: Option<u32>,
    /// JSON as text: numbers keep every digit however often the file is rewritten.
    pub evidence: String,
}

impl Lineage {
    pub fn version(&self, number: u32) -> Option<&Version> {
        let at = self.versions.binary_search_by_key(&number, |version| version.number).ok()?;
        self.versions.get(at)
    }

    /// Makes `number` active and remembers what was.
    pub fn activate(&mut self, number: u32) {
        if self.active == Some(number) {
            return;
        }
        self.history.push(self.active);
        if self.history.len() > HISTORY_COUNT_MAX {
            self.history.remove(0);
        }
        self.active = Some(number);
    }

    fn check(&self) -> std::result::Result<(), String> {
        let ascending = self.versions.windows(2).all(|pair| pair[0].number < pair[1].number);
        if !ascending || self.versions.first().is_some_and(|first| first.number == 0) {
            return Err("version numbers do not ascend from 1".into());
        }
        let pointers = self.history.iter().chain([&self.active]).flatten();
        for number in pointers {
            if self.version(*number).is_none() {
                return Err(format!("version {number} is pointed at but has no record"));
            }
        }
        if self.pinned && self.active.is_none() {
            return Err("it is pinned but no version is active".into());
        }
        if self.history.len() > HISTORY_COUNT_MAX {
            return Err(format!("its history has {} entries", self.history.len()));
        }
        for version in &self.versions {
            if version.parent.is_some_and(|parent| parent >= version.number) {
                return Err(format!("version {} is not younger than its parent", version.number));
            }
        }
        Ok(())
    }
}

/// What stands before the format version, the hash and the content.
const OPENING: &str = "{\"format\":\"polygraft-store\",\"version\":";
const BEFORE_HASH: &str = ",\"blake3\":\"";
const BEFORE_STATE: &str = "\",\"state\":\n";
const CLOSING: &str = "\n}\n";

impl State {
    /// The bytes of `state.json`: one JSON object whose `blake3` is over the exact bytes of the
    /// value of `state`.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let state = self.encode_content()?;
        let hash = ObjectHash::of(&state);
        let mut bytes =
            format!("{OPENING}{FORMAT_VERSION}{BEFORE_HASH}{hash}{BEFORE_STATE}").into_bytes();
        bytes.extend_from_slice(&state);
        bytes.extend_from_slice(CLOSING.as_bytes());
        Ok(bytes)
    }

    fn encode_content(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(Code::Internal, format!("writing the state: {cause}")))
    }

    /// Reads and checks the bytes of `state.json`; `name` is how errors call the file.
    pub fn decode(bytes: &[u8], name: &dyn Display) -> Result<Self> {
        let malformed = |what: String| Error::new(Code::StoreMalformed, format!("{name}: {what}"));
        let rest = bytes
            .strip_prefix(OPENING.as_bytes())
            .ok_or_else(|| malformed(format!("expected a file that begins with {OPENING}")))?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (version, rest) = rest.split_at(digits);
        if version != FORMAT_VERSION.to_string().as_bytes() {
            let found: String = version.iter().take(20).map(|byte| char::from(*byte)).collect();
            return Err(malformed(format!(
                "its format version is {found:?}, this polygraft reads version {FORMAT_VERSION}"
            )));
        }
        let (stated, state) = split_envelope(rest)
            .ok_or_else(|| malformed("the frame around the state is damaged or cut".into()))?;
        let found = ObjectHash::of(state).to_string();
        if stated != found.as_bytes() {
            let stated = String::from_utf8_lossy(stated);
            let what = format!("the hash of its state is {found}, expected {stated}");
            return Err(Error::new(Code::StoreCorrupt, format!("{name}: {what}")));
        }
        let decoded: Self =
            serde_json::from_slice(state).map_err(|cause| malformed(cause.to_string()))?;
        decoded.check().map_err(malformed)?;
        // One spelling only: a key given twice or a tag in another case would read as something
        // else than what is written.
        if decoded.encode_content()? != state {
            return Err(malformed("the state is not spelled as polygraft writes it".into()));
        }
        Ok(decoded)
    }

    fn check(&self) -> std::result::Result<(), String> {
        for (task, languages) in &self.tasks {
            super::check_task_name(task).map_err(|error| error.to_string())?;
            for (language, lineage) in languages {
                lineage.check().map_err(|what| format!("task {task}, {language}: {what}"))?;
            }
        }
        Ok(())
    }
}

/// The stated hash and the exact bytes of the state.
fn split_envelope(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = rest.strip_prefix(BEFORE_HASH.as_bytes())?;
    let (stated, rest) = rest.split_at_checked(64)?;
    let state = rest.strip_prefix(BEFORE_STATE.as_bytes())?.strip_suffix(CLOSING.as_bytes())?;
    Some((stated, state))
}
