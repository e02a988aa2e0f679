//! The fields of a JSON configuration. Each is read once, and none may stay unread.
//!
//! A configuration of another library is a flat JSON object that its next release may extend. A
//! setting that changes the computation must not be lost, so [`Fields::finish`] refuses every
//! unread field, unless its value means "not used": null, false, or empty text, list or object.

use super::files::{CONFIG_BYTES_MAX, read};
use super::message::{malformed, unsupported};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Longest excerpt of a value in a message, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// Settings for a description: each field and its value as text.
pub type Described = Vec<(String, String)>;

/// A JSON object that is being read.
pub struct Fields {
    file: PathBuf,
    /// The path of the object inside the file, with a dot at its end unless it is empty.
    prefix: String,
    rest: Map<String, Value>,
}

impl Fields {
    /// Reads a file, which must be one object.
    pub fn open(file: &Path) -> Result<Self> {
        Self::parse(file, &read(file, CONFIG_BYTES_MAX)?)
    }

    /// Parses the bytes of `file`, which must be one object.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|cause| malformed(file, format!("expected JSON, found {cause}")))?;
        match value {
            Value::Object(rest) => Ok(Self { file: file.to_owned(), prefix: String::new(), rest }),
            other => Err(malformed(file, format!("expected an object, found {}", shown(&other)))),
        }
    }

    /// The file that the fields come from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn has(&self, name: &str) -> bool {
        self.rest.contains_key(name)
    }

    /// Takes a field; absent and null are the same.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name).filter(|value| !value.is_null())
    }

    /// Removes fields that do not change what a trained adapter computes.
    pub fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.rest.remove(*name);
        }
    }

    pub fn take_all(&mut self) -> Self {
        let (file, prefix) = (self.file.clone(), self.prefix.clone());
        Self { file, prefix, rest: std::mem::take(&mut self.rest) }
    }

    /// Takes an object inside this one, or `None`.
    pub fn object(&mut self, name: &str) -> Result<Option<Fields>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(rest)) => {
                let prefix = format!("{}{name}.", self.prefix);
                Ok(Some(Fields { file: self.file.clone(), prefix, rest }))
            }
            Some(other) => Err(self.wrong(name, "an object", &other)),
        }
    }

    /// Refuses a missing value of a required field.
    pub fn required<T>(&self, name: &str, found: Option<T>) -> Result<T> {
        let message = || format!("{}{name}: expected it, found nothing", self.prefix);
        found.ok_or_else(|| malformed(&self.file, message()))
    }

    /// Takes each of these fields that exists, as text for a description.
    pub fn settings(&mut self, names: &[&str]) -> Described {
        let line = |name: &&str| Some(((*name).to_owned(), shown(&self.take(name)?)));
        names.iter().filter_map(line).collect()
    }

    /// Takes a field as `read` reads it; `None` if it is absent.
    fn read<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| self.wrong(name, expected, &value))
    }

    /// Takes a text, or `None`.
    pub fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.read(name, "text", |value| value.as_str().map(str::to_owned))
    }

    pub fn flag(&mut self, name: &str, default: bool) -> Result<bool> {
        Ok(self.read(name, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// Takes a finite number.
    pub fn number(&mut self, name: &str, default: f64) -> Result<f64> {
        Ok(self.read(name, "a number", finite)?.unwrap_or(default))
    }

    /// Takes a whole number from 0 on.
    pub fn count(&mut self, name: &str, default: usize) -> Result<usize> {
        let expected = "a whole number that is not negative";
        Ok(self.read(name, expected, whole)?.unwrap_or(default))
    }

    /// Takes a list of texts; with `single`, one text is a list of one.
    pub fn texts(&mut self, name: &str, single: bool) -> Result<Option<Vec<String>>> {
        self.read(name, "a list of texts", |value| match value {
            Value::String(text) if single => Some(vec![text.clone()]),
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        })
    }

    /// Takes a list of whole numbers; one number is a list of one.
    pub fn counts(&mut self, name: &str) -> Result<Option<Vec<usize>>> {
        self.read(name, "a list of whole numbers", |value| match value {
            Value::Array(items) => items.iter().map(whole).collect(),
            number => whole(number).map(|number| vec![number]),
        })
    }

    /// Takes an object whose values are finite numbers.
    pub fn numbers(&mut self, name: &str) -> Result<BTreeMap<String, f64>> {
        let found = self.read(name, "an object of numbers", |value| {
            let entries = value.as_object()?.iter();
            entries.map(|(key, value)| Some((key.clone(), finite(value)?))).collect()
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Refuses the first field that is left and has a meaning. `reasons` adds what is known about a
    /// field.
    pub fn finish(self, reasons: &[(&str, &str)]) -> Result<()> {
        for (name, value) in &self.rest {
            if says_nothing(value) {
                continue;
            }
            let reason = reasons.iter().find(|(known, _)| known == name);
            let reason = reason.map_or_else(
                || "the field is not known here, so it might change what the adapter computes",
                |(_, reason)| *reason,
            );
            return Err(self.refused(name, value, reason));
        }
        Ok(())
    }

    /// An error for a field whose value cannot be represented.
    pub fn refused(&self, name: &str, value: &Value, reason: &str) -> Error {
        unsupported(&self.file, format!("{}{name} is {}: {reason}", self.prefix, shown(value)))
    }

    /// An error for a field of the wrong type or range.
    pub fn wrong(&self, name: &str, expected: &str, found: &Value) -> Error {
        let found = shown(found);
        malformed(&self.file, format!("{}{name}: expected {expected}, found {found}", self.prefix))
    }
}

/// Whether a value means that something is not used.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

fn whole(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

/// A value as JSON, cut to a bounded length.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
