//! Forgetting some of the examples: those of a language, of a label, or before a day.
//!
//! When in doubt an example is forgotten: one whose day is not known counts as old, and days are
//! not divided.

use super::Rehearsal;
use super::sample::Entry;
use crate::error::Result;
use crate::example::Target;
use crate::language::Language;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The length of a day in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Which examples are meant: those that meet all of the conditions. The default means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Only those in this language.
    pub language: Option<Language>,
    /// Only those with this label, or with this tag or kind of span (`B-place`, or `place`).
    pub label: Option<String>,
    /// Only those that were first added before this time, in milliseconds since 1970-01-01 UTC. All
    /// of its day are meant, and those whose day is not known.
    pub added_before_unix_ms: Option<u64>,
}

/// What [`Rehearsal::forget`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How many examples of each language were forgotten.
    pub languages: BTreeMap<Language, usize>,
    /// The day on which the oldest of them was first added, counted from 1970-01-01 UTC; `None` if
    /// the day of one is not known, or if there are none.
    pub oldest_day: Option<u32>,
}

impl Forgotten {
    /// How many examples were forgotten.
    pub fn examples_count(&self) -> usize {
        self.languages.values().sum()
    }
}

impl Which {
    /// Whether every example is meant.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    fn means(&self, entry: &Entry) -> bool {
        let Entry { example, added_day, .. } = entry;
        let is_before = |time_ms: u64| {
            added_day.is_none_or(|day| u64::from(day).saturating_mul(DAY_MS) < time_ms)
        };
        self.language.as_ref().is_none_or(|language| *language == example.language)
            && self.label.as_ref().is_none_or(|label| has_label(&example.target, label))
            && self.added_before_unix_ms.is_none_or(is_before)
    }
}

fn has_label(target: &Target, name: &str) -> bool {
    let is_of_span = |tag: &String| {
        let kind = tag.strip_prefix("B-").or_else(|| tag.strip_prefix("I-"));
        tag == name || kind == Some(name)
    };
    target.labels().iter().any(|label| label == name) || target.tags().iter().any(is_of_span)
}

impl Rehearsal {
    /// Forgets examples in memory; [`Rehearsal::save`] forgets them on disk.
    ///
    /// # Errors
    /// [`Code::StoreLocked`](crate::Code::StoreLocked) when an update holds the buffer.
    pub fn forget(&mut self, which: &Which) -> Result<Forgotten> {
        self.begin_change()?;
        let mut forgotten = Forgotten::default();
        let mut gone = Vec::new();
        for (language, entries) in &mut self.languages {
            let meant: Vec<_> = entries.extract_if(.., |_, entry| which.means(entry)).collect();
            if !meant.is_empty() {
                forgotten.languages.insert(language.clone(), meant.len());
            }
            gone.extend(meant.into_iter().map(|(_, entry)| entry));
        }
        self.languages.retain(|_, entries| !entries.is_empty());
        forgotten.oldest_day = oldest(gone.iter());
        Ok(forgotten)
    }
}

/// The day of the oldest entry; `None` if one is not known.
pub(super) fn oldest<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<u32> {
    entries.map(|entry| entry.added_day).min().flatten()
}

/// The number of this day, counted from 1970-01-01 UTC.
pub(super) fn today() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs() / (DAY_MS / 1000)).unwrap_or(u32::MAX)
}
