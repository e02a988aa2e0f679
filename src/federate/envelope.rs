//! The envelope of the three files of a round (`docs/formats.md`, "Rounds").
//!
//! Eight bytes of magic, the length of the header as a little-endian 64-bit number, the header as
//! JSON, the sections one after another, and the BLAKE3 hash of all that. This module must never
//! allocate by a length that it has not compared with the bytes it was given.

use crate::error::{Code, Error, Result};
use crate::store::ObjectHash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version of the format that is written and read.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"PGROUND\n";
const HASH_BYTES: usize = 32;
/// The largest file of a round, in bytes.
const FILE_BYTES_MAX: usize = 1 << 30;
/// The largest header, in bytes.
const HEADER_BYTES_MAX: usize = 1 << 20;
/// The largest number of sections, so of languages.
const SECTIONS_MAX: usize = 1_024;

named! {
    /// What a file of a round is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum FileKind: "kind of round file" {
        /// What a server asks of devices.
        Message = "message",
        /// What a device answers.
        Reply = "reply",
        /// What the server makes of the answers.
        Aggregate = "aggregate",
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    kind: String,
    body: Value,
    /// The length in bytes of each section, in the order in which they follow.
    sections: BTreeMap<String, u64>,
}

/// The sections of a file by name.
pub(super) type Sections<'a> = BTreeMap<String, &'a [u8]>;

/// An error about bytes that no file of a round has.
pub(super) fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::RoundMalformed, format!("malformed round: {cause}"))
}

/// Writes a file. Equal contents give equal bytes.
pub(super) fn write<B: Serialize>(
    kind: FileKind,
    body: &B,
    sections: &BTreeMap<String, &[u8]>,
) -> Result<Vec<u8>> {
    let lengths = sections.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64));
    let header = Header {
        version: FORMAT_VERSION,
        kind: kind.name().to_owned(),
        body: serde_json::to_value(body).map_err(malformed)?,
        sections: lengths.collect(),
    };
    let header = serde_json::to_vec(&header).map_err(malformed)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    sections.values().for_each(|section| bytes.extend_from_slice(section));
    bytes.extend(ObjectHash::of(&bytes).as_bytes());
    Ok(bytes)
}

/// Reads a file of one kind: its body and its sections.
///
/// # Errors
/// [`Code::RoundMalformed`] naming what was expected and what was found.
pub(super) fn read<B: DeserializeOwned>(kind: FileKind, bytes: &[u8]) -> Result<(B, Sections<'_>)> {
    let (header, rest) = open(bytes)?;
    if header.kind != kind.name() {
        let found: String = header.kind.chars().take(40).collect();
        return Err(malformed(format!("kind: expected {:?}, found {found:?}", kind.name())));
    }
    let body = serde_json::from_value(header.body);
    let body = body.map_err(|cause| malformed(format!("{kind}: {cause}")))?;
    let mut sections = BTreeMap::new();
    let mut rest = rest;
    for (name, length) in header.sections {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let left = rest.len();
        let (section, after) = rest.split_at_checked(length).ok_or_else(|| {
            malformed(format!("section {name:.80?}: expected {length} bytes, found {left}"))
        })?;
        sections.insert(name, section);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(malformed(format!("{} bytes belong to no section", rest.len())));
    }
    Ok((body, sections))
}

/// Describes a file of a round as JSON: its kind, its version, its hash, its size and what its
/// header says, without the tensors.
///
/// # Errors
/// [`Code::RoundMalformed`] as for reading it, but the fields of the body are not checked.
pub fn describe(bytes: &[u8]) -> Result<Value> {
    let (header, _) = open(bytes)?;
    Ok(json!({
        "kind": header.kind,
        "version": header.version,
        "hash": ObjectHash::of(bytes),
        "size_bytes": bytes.len(),
        "body": header.body,
        "sections": header.sections,
    }))
}

/// Checks magic, sizes, hash and version; returns the header and the bytes of the sections.
fn open(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let size = bytes.len();
    if size > FILE_BYTES_MAX {
        return Err(malformed(format!("expected at most {FILE_BYTES_MAX} bytes, found {size}")));
    }
    let short = || malformed(format!("it is cut short: {size} bytes"));
    let (magic, after) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    if *magic != MAGIC {
        return Err(malformed(format!("magic: expected {MAGIC:?}, found {magic:?}")));
    }
    let content = size.checked_sub(HASH_BYTES).and_then(|end| bytes.split_at_checked(end));
    let (content, hash) = content.ok_or_else(short)?;
    let found = ObjectHash::of(content);
    if found.as_bytes() != hash {
        return Err(malformed(format!("hash: the bytes are damaged, they give {found}")));
    }
    let (length, _) = after.split_first_chunk::<8>().ok_or_else(short)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > HEADER_BYTES_MAX {
        return Err(malformed(format!("header: expected at most {HEADER_BYTES_MAX} bytes")));
    }
    let body = content.get(16..).ok_or_else(short)?;
    let (text, rest) = body.split_at_checked(length).ok_or_else(short)?;
    let value: Value = serde_json::from_slice(text).map_err(malformed)?;
    let version = value.get("version").and_then(Value::as_u64);
    if version != Some(u64::from(FORMAT_VERSION)) {
        let found = version.map_or("none".to_owned(), |version| version.to_string());
        return Err(malformed(format!("version: expected {FORMAT_VERSION}, found {found}")));
    }
    let header: Header = serde_json::from_value(value).map_err(malformed)?;
    if header.sections.len() > SECTIONS_MAX {
        let count = header.sections.len();
        return Err(malformed(format!("sections: expected at most {SECTIONS_MAX}, found {count}")));
    }
    Ok((header, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file() -> Vec<u8> {
        let sections = BTreeMap::from([("de".to_owned(), &b"abc"[..]), ("tr".to_owned(), b"")]);
        write(FileKind::Reply, &json!({"task": "light"}), &sections).expect("a file")
    }

    /// The bytes with their hash recomputed, as an attacker would send them.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len().saturating_sub(HASH_BYTES));
        let hash = ObjectHash::of(&bytes);
        bytes.extend(hash.as_bytes());
        bytes
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = file();
        let (body, sections) = read::<Value>(FileKind::Reply, &bytes).expect("the file");
        assert_eq!((body["task"].as_str(), sections["de"]), (Some("light"), &b"abc"[..]));
        assert_eq!(describe(&bytes).expect("its header")["kind"], "reply");
        let other = read::<Value>(FileKind::Message, &bytes).map(|_| ());
        assert_eq!(other.map_err(|error| error.code()), Err(Code::RoundMalformed));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_found(at in any::<prop::sample::Index>(), with in 1u8..) {
            let mut bytes = file();
            let at = at.index(bytes.len());
            bytes[at] ^= with;
            prop_assert!(read::<Value>(FileKind::Reply, &bytes).is_err());
        }

        #[test]
        fn hostile_bytes_with_a_fitting_hash_are_an_error_or_a_file(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            length in any::<prop::sample::Index>(),
        ) {
            let mut bytes = file();
            for (at, with) in changes {
                let at = at.index(bytes.len());
                bytes[at] = with;
            }
            bytes.truncate(length.index(bytes.len()) + 1);
            let bytes = sealed(bytes);
            if let Err(error) = read::<Value>(FileKind::Reply, &bytes) {
                prop_assert_eq!(error.code(), Code::RoundMalformed);
            }
        }
    }
}
