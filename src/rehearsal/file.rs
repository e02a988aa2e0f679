//! The file of a rehearsal buffer: JSON lines, each with a checksum of its own.
//!
//! The first line describes the file and has the hash of all others; every other line is one
//! example. This detects a lost, repeated or swapped line, and a damaged line is named by its
//! number. This module must never return entries of a file that has any error.

use super::key::{Key, Priority};
use super::sample::{Entries, Entry};
use super::{HELD_OUT_PERCENT_MAX, Split};
use crate::error::{Code, Error, Result, ResultExt};
use crate::example::{Example, Fields};
use crate::language::Language;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The space reserved for the first line. Its longest part, the task's name, has at most 64 bytes.
pub(super) const HEADER_SIZE_BYTES_MAX: u64 = 384;

const FORMAT: &str = "polygraft-rehearsal";
const FORMAT_VERSION: u32 = 1;

/// The checksum of a line is this many hexadecimal digits of its hash.
const CHECK_DIGITS_COUNT: usize = 16;
const BEFORE_CHECK: &str = ",\"check\":\"";
const AFTER_CHECK: &str = "\"}";

/// The fields of the first line that every version of the format has.
#[derive(Deserialize)]
struct Format {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    task: String,
    held_out_percent: u8,
    examples: usize,
    /// The hash of all bytes after the first line.
    blake3: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    language: Language,
    #[serde(flatten)]
    fields: Fields,
    priority: Priority,
    /// Absent in most lines, and in files older than the field.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    /// Absent in files older than the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added_day: Option<u32>,
    /// Fields that this version does not know; must be empty.
    #[serde(flatten, skip_serializing)]
    unknown: BTreeMap<String, serde_json::Value>,
}

/// Serialises a JSON object as a line that ends in its checksum.
fn sealed<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)
        .map_err(|cause| Error::new(Code::Internal, format!("writing a line: {cause}")))?;
    line.pop();
    let check = check_of(&line);
    line.extend_from_slice(format!("{BEFORE_CHECK}{check}{AFTER_CHECK}\n").as_bytes());
    Ok(line)
}

fn check_of(opened: &[u8]) -> String {
    blake3::hash(opened).to_hex()[..CHECK_DIGITS_COUNT].to_owned()
}

/// Parses a line after checking its checksum; `line` has no end of line.
fn unsealed<T: DeserializeOwned>(line: &[u8]) -> Result<T> {
    let malformed = |what: String| Error::new(Code::RehearsalMalformed, what);
    let end_size = BEFORE_CHECK.len() + CHECK_DIGITS_COUNT + AFTER_CHECK.len();
    let split = line.len().checked_sub(end_size).and_then(|at| line.split_at_checked(at));
    let (opened, end) = split.ok_or_else(|| malformed("it is cut".into()))?;
    let found = format!("{BEFORE_CHECK}{}{AFTER_CHECK}", check_of(opened));
    if end != found.as_bytes() {
        let stated = String::from_utf8_lossy(end);
        return Err(malformed(format!("it ends in {stated:?}, expected {found:?}")));
    }
    let object = [opened, b"}"].concat();
    serde_json::from_slice(&object).map_err(|cause| malformed(cause.to_string()))
}

/// Serialises an example as a line. The length does not depend on the priority.
pub(super) fn line(
    example: &Example,
    priority: Priority,
    pending: bool,
    added_day: Option<u32>,
) -> Result<Vec<u8>> {
    let (language, fields) = (example.language.clone(), Fields::of(example));
    sealed(&Line { language, fields, priority, pending, added_day, unknown: BTreeMap::new() })
}

/// The bytes of the file; the same entries always give the same bytes.
pub(super) fn encode(
    task: &str,
    held_out_percent: u8,
    languages: &BTreeMap<Language, Entries>,
) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in languages.values().flat_map(BTreeMap::values) {
        let Entry { example, priority, pending, added_day, .. } = entry;
        lines.extend_from_slice(&line(example, *priority, *pending, *added_day)?);
    }
    let mut bytes = sealed(&Header {
        format: FORMAT.into(),
        version: FORMAT_VERSION,
        task: task.to_owned(),
        held_out_percent,
        examples: languages.values().map(BTreeMap::len).sum(),
        blake3: blake3::hash(&lines).to_hex().to_string(),
    })?;
    bytes.extend_from_slice(&lines);
    Ok(bytes)
}

/// Parses and checks the bytes of a file: the held-out percentage and the entries.
pub(super) fn decode(bytes: &[u8], task: &str) -> Result<(u8, BTreeMap<Language, Entries>)> {
    let at = |number: usize| move || format!("line {number}");
    let malformed = |what: String| Error::new(Code::RehearsalMalformed, what);
    let (first, lines) =
        split_line(bytes).ok_or_else(|| malformed("it has no end".into())).context(at(1))?;
    let header = read_header(first, task).context(at(1))?;
    let mut languages: BTreeMap<Language, Entries> = BTreeMap::new();
    let mut rest = lines;
    let mut number = 1;
    while !rest.is_empty() {
        number += 1;
        let (line, after) = split_line(rest)
            .ok_or_else(|| malformed("it has no end".into()))
            .context(at(number))?;
        rest = after;
        let read = read_entry(line, header.held_out_percent).context(at(number))?;
        let Some((key, entry)) = read else { continue };
        let entries = languages.entry(entry.example.language.clone()).or_default();
        if entries.insert(key, entry).is_some() {
            return Err(malformed(format!("line {number}: it repeats an earlier example")));
        }
    }
    if number - 1 != header.examples {
        let (found, expected) = (number - 1, header.examples);
        return Err(malformed(format!(
            "line {number}: the file ends after {found} examples, expected {expected}"
        )));
    }
    let found = blake3::hash(lines).to_hex();
    if *found != *header.blake3 {
        let expected = header.blake3;
        return Err(malformed(format!(
            "line 1: the hash of the other lines is {found}, expected {expected}"
        )));
    }
    Ok((header.held_out_percent, languages))
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn read_header(line: &[u8], task: &str) -> Result<Header> {
    let malformed = |what: String| Err(Error::new(Code::RehearsalMalformed, what));
    // The version is checked before the structure, which another version may have changed.
    let Format { format, version } = unsealed(line)?;
    if format != FORMAT || version != FORMAT_VERSION {
        return malformed(format!(
            "its format is {format:.40} version {version}, this polygraft reads {FORMAT} version \
             {FORMAT_VERSION}"
        ));
    }
    let header: Header = unsealed(line)?;
    if header.task != task {
        return malformed(format!("it belongs to task {:.64}, expected {task}", header.task));
    }
    if header.held_out_percent > HELD_OUT_PERCENT_MAX {
        return malformed(format!("it holds out {} percent", header.held_out_percent));
    }
    Ok(header)
}

/// Parses a line. Returns `None` for the tags of a raw text that is split into other words today
/// than when the line was written: the words of these tags are no longer known.
fn read_entry(line: &[u8], held_out_percent: u8) -> Result<Option<(Key, Entry)>> {
    let Line { language, mut fields, priority, pending, added_day, unknown } = unsealed(line)?;
    if let Some(name) = unknown.keys().next() {
        let message = format!("it has the unknown field {name:?}");
        return Err(Error::new(Code::RehearsalMalformed, message));
    }
    let malformed = |error: Error| Error::new(Code::RehearsalMalformed, error.message());
    let input = fields.input().map_err(malformed)?;
    let target = fields.target(&input).map_err(malformed)?;
    let example = Example { language, input, target };
    example.input.check().map_err(malformed)?;
    if !example.has_a_tag_for_each_word() {
        return Ok(None);
    }
    example.check().map_err(malformed)?;
    let key = Key::of(&example);
    let split = key.split(held_out_percent);
    if pending && split == Split::HeldOut {
        let message = "it is held out and pending, which only training examples can be";
        return Err(Error::new(Code::RehearsalMalformed, message));
    }
    Ok(Some((key, Entry::new(example, split, priority, added_day)?.with_pending(pending)?)))
}
