//! The pointer file `state.json`: the last changes, and the names of the segments with the rest.
//!
//! The file is JSON and contains the hash of its own content, so a flipped byte is detected. It
//! names its segments by their hashes, so a flipped byte in a segment is detected as well. Its
//! bytes are hostile until [`State::decode`] has checked the hash, the structure, and that every
//! pointer refers to an existing version. This module must never touch the disk.

use super::hash::ObjectHash;
use super::records::{Records, TaskRecord, Tasks};
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;

/// The format version that this build writes.
pub(super) const FORMAT_VERSION: u32 = 2;

/// The format version of polygraft 0.1, which this build reads as well. It has all records in one
/// file and no records of tasks as a whole.
const FORMAT_VERSION_FLAT: u32 = 1;

/// The maximum number of segments of a store; merging keeps them to a few dozen.
const SEGMENTS_COUNT_MAX: usize = 64;

/// The content of the pointer file at one generation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    /// The format version of the file that it was read from or will be written to.
    pub version: u32,
    /// The generation, which grows by one with every change.
    pub generation: u64,
    /// The segments with the records of earlier changes, oldest first.
    pub segments: Vec<SegmentRecord>,
    /// The records of the last changes. They override the segments' records of the same language or
    /// task.
    pub recent: Records,
}

/// The name of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentRecord {
    pub hash: ObjectHash,
    pub size_bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    generation: u64,
    segments: Vec<SegmentRecord>,
    tasks: Tasks,
    updates: BTreeMap<String, TaskRecord>,
}

/// The content of the file in version 1 of the format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FlatContent {
    generation: u64,
    tasks: Tasks,
}

/// The text before the format version.
const OPENING: &str = "{\"format\":\"polygraft-store\",\"version\":";
const BEFORE_HASH: &str = ",\"blake3\":\"";
const BEFORE_STATE: &str = "\",\"state\":\n";
const CLOSING: &str = "\n}\n";

impl Default for State {
    fn default() -> Self {
        Self {
            version: FORMAT_VERSION,
            generation: 0,
            segments: Vec::new(),
            recent: Records::default(),
        }
    }
}

impl State {
    /// Whether polygraft 0.1 wrote the file. The next change writes it in the present format.
    pub fn is_flat(&self) -> bool {
        self.version == FORMAT_VERSION_FLAT
    }

    /// The bytes of `state.json`: one JSON object whose `blake3` is the hash of the exact bytes of
    /// the value of `state`.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let content = Content {
            generation: self.generation,
            segments: self.segments.clone(),
            tasks: self.recent.tasks.clone(),
            updates: self.recent.updates.clone(),
        };
        let state = pretty(&content)?;
        let hash = ObjectHash::of(&state);
        let mut bytes =
            format!("{OPENING}{FORMAT_VERSION}{BEFORE_HASH}{hash}{BEFORE_STATE}").into_bytes();
        bytes.extend_from_slice(&state);
        bytes.extend_from_slice(CLOSING.as_bytes());
        Ok(bytes)
    }

    /// Reads and checks the bytes of `state.json`; `name` is the name of the file in errors.
    pub fn decode(bytes: &[u8], name: &dyn Display) -> Result<Self> {
        let malformed = |what: String| Error::new(Code::StoreMalformed, format!("{name}: {what}"));
        let rest = bytes
            .strip_prefix(OPENING.as_bytes())
            .ok_or_else(|| malformed(format!("expected a file that begins with {OPENING}")))?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (version, rest) = rest.split_at(digits);
        let known = [FORMAT_VERSION_FLAT, FORMAT_VERSION];
        let known = known.into_iter().find(|one| one.to_string().as_bytes() == version);
        let Some(known) = known else {
            let found: String = version.iter().take(20).map(|byte| char::from(*byte)).collect();
            return Err(malformed(format!(
                "its format version is {found:?}, this polygraft reads version \
                 {FORMAT_VERSION_FLAT} and {FORMAT_VERSION}"
            )));
        };
        let (stated, state) = split_envelope(rest)
            .ok_or_else(|| malformed("the frame around the state is damaged or cut".into()))?;
        let found = ObjectHash::of(state).to_string();
        if stated != found.as_bytes() {
            let stated = String::from_utf8_lossy(stated);
            let what = format!("the hash of its state is {found}, expected {stated}");
            return Err(Error::new(Code::StoreCorrupt, format!("{name}: {what}")));
        }
        let decoded = Self::decode_content(known, state).map_err(malformed)?;
        decoded.recent.check().map_err(malformed)?;
        if decoded.segments.len() > SEGMENTS_COUNT_MAX {
            let (found, limit) = (decoded.segments.len(), SEGMENTS_COUNT_MAX);
            return Err(malformed(format!("it has {found} segments, at most {limit} expected")));
        }
        Ok(decoded)
    }

    fn decode_content(version: u32, state: &[u8]) -> Result<Self, String> {
        let said = |cause: serde_json::Error| cause.to_string();
        let (decoded, spelled) = if version == FORMAT_VERSION_FLAT {
            let flat: FlatContent = serde_json::from_slice(state).map_err(said)?;
            let spelled = pretty(&flat);
            let recent = Records { tasks: flat.tasks, updates: BTreeMap::new() };
            let generation = flat.generation;
            (Self { version, generation, segments: Vec::new(), recent }, spelled)
        } else {
            let content: Content = serde_json::from_slice(state).map_err(said)?;
            let spelled = pretty(&content);
            let Content { generation, segments, tasks, updates } = content;
            (Self { version, generation, segments, recent: Records { tasks, updates } }, spelled)
        };
        // Only one spelling is accepted: a duplicate key or a tag in another case would be read as
        // something else than what is written.
        if spelled.map_err(|error| error.to_string())? != state {
            return Err("the state is not spelled as polygraft writes it".into());
        }
        Ok(decoded)
    }
}

fn pretty(content: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(content)
        .map_err(|cause| Error::new(Code::Internal, format!("writing the state: {cause}")))
}

/// The stated hash and the exact bytes of the state.
fn split_envelope(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = rest.strip_prefix(BEFORE_HASH.as_bytes())?;
    let (stated, rest) = rest.split_at_checked(64)?;
    let state = rest.strip_prefix(BEFORE_STATE.as_bytes())?.strip_suffix(CLOSING.as_bytes())?;
    Some((stated, state))
}
