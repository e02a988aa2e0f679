//! Which examples stay when there are too many: fair among languages, then among labels, then
//! random.
//!
//! Within a language and split, examples queue by their rank within their label, then by priority:
//! first the first of every label, then the second of every label, and so on. Keeping the front of
//! that queue gives each label an equal share, and the others get what a rare label does not use.

use super::key::{Key, Priority};
use super::{Split, file};
use crate::error::Result;
use crate::example::{Example, Target};
use crate::language::Language;
use std::collections::{BTreeMap, HashMap};

/// The examples of one language.
pub(super) type Entries = BTreeMap<Key, Entry>;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub example: Example,
    pub split: Split,
    pub priority: Priority,
    /// Whether it waits for an update that can judge it; for training examples only.
    pub pending: bool,
    /// The day on which it was first added, counted from 1970-01-01 UTC; `None` if it was added
    /// before days were recorded.
    pub added_day: Option<u32>,
    /// The length of its line in the file.
    pub size_bytes: u64,
}

impl Entry {
    pub fn new(
        example: Example,
        split: Split,
        priority: Priority,
        added_day: Option<u32>,
    ) -> Result<Self> {
        let size_bytes = file::line(&example, priority, false, added_day)?.len() as u64;
        Ok(Self { example, split, priority, pending: false, added_day, size_bytes })
    }

    /// The same entry with another pending state.
    pub fn with_pending(self, pending: bool) -> Result<Self> {
        let line = file::line(&self.example, self.priority, pending, self.added_day)?;
        Ok(Self { pending, size_bytes: line.len() as u64, ..self })
    }
}

/// The limits of one language.
#[derive(Debug)]
pub(super) struct Bounds {
    pub training_max: usize,
    pub held_out_max: usize,
    pub held_out_percent: u8,
}

/// The length of all lines of a language in the file.
pub(super) fn size_bytes(entries: &Entries) -> u64 {
    entries.values().map(|entry| entry.size_bytes).sum()
}

/// The group that gets an equal share: each label. Other targets hardly ever repeat, so all of them
/// are one group.
fn group(target: &Target) -> &str {
    match target {
        Target::Classification(label) | Target::IntentAndSlots { label, .. } => label,
        Target::MultiLabel(labels) => labels.first().map_or("", String::as_str),
        _ => "",
    }
}

/// The examples of one split with their sizes, those to keep first.
fn queue(entries: &Entries, split: Split) -> Vec<(Key, u64)> {
    let mut by_priority: Vec<_> =
        entries.iter().filter(|(_, entry)| entry.split == split).collect();
    by_priority.sort_by_key(|(key, entry)| (entry.priority, **key));
    let mut label_counts: HashMap<&str, usize> = HashMap::new();
    let mut ranked = Vec::with_capacity(by_priority.len());
    for (key, entry) in by_priority {
        let rank = label_counts.entry(group(&entry.example.target)).or_default();
        ranked.push((*rank, entry.priority, *key, entry.size_bytes));
        *rank += 1;
    }
    ranked.sort_by_key(|(rank, priority, key, _)| (*rank, *priority, *key));
    ranked.into_iter().map(|(_, _, key, size_bytes)| (key, size_bytes)).collect()
}

/// Keeps at most the allowed number of each split; returns how many examples were dropped.
pub(super) fn trim_to_counts(entries: &mut Entries, bounds: &Bounds) -> usize {
    let sides = [(Split::Training, bounds.training_max), (Split::HeldOut, bounds.held_out_max)];
    let mut dropped = 0;
    for (split, count_max) in sides {
        for (key, _) in queue(entries, split).into_iter().skip(count_max) {
            entries.remove(&key);
            dropped += 1;
        }
    }
    dropped
}

/// Cuts the languages that use more than a fair share until all fit; returns how many examples were
/// dropped.
pub(super) fn trim_to_bytes(
    languages: &mut BTreeMap<Language, Entries>,
    room_bytes: u64,
    bounds: &Bounds,
) -> usize {
    let sizes: Vec<_> = languages.values().map(size_bytes).collect();
    let Some(share_bytes) = fair_share(sizes.clone(), room_bytes) else { return 0 };
    let mut dropped = 0;
    for (entries, size) in languages.values_mut().zip(sizes) {
        if size > share_bytes {
            dropped += trim_language(entries, share_bytes, bounds);
        }
    }
    dropped
}

/// The largest share with which all sizes fit when each is cut to it; `None` when all fit uncut.
fn fair_share(mut sizes: Vec<u64>, room: u64) -> Option<u64> {
    sizes.sort_unstable();
    let mut room_left = room;
    let mut sharers_count = sizes.len() as u64;
    for size in sizes {
        let share = room_left / sharers_count;
        if size > share {
            return Some(share);
        }
        room_left -= size;
        sharers_count -= 1;
    }
    None
}

/// Cuts one language to `share_bytes`. Held-out examples get their percentage of it, and each split
/// gets what the other does not need.
fn trim_language(entries: &mut Entries, share_bytes: u64, bounds: &Bounds) -> usize {
    let training = queue(entries, Split::Training);
    let held_out = queue(entries, Split::HeldOut);
    let training_bytes: u64 = training.iter().map(|(_, size_bytes)| size_bytes).sum();
    let held_out_share = share_bytes * u64::from(bounds.held_out_percent) / 100;
    let held_out_room = held_out_share.max(share_bytes.saturating_sub(training_bytes));
    let (held_out_bytes, held_out_dropped) = cut(entries, held_out, held_out_room);
    let (_, training_dropped) = cut(entries, training, share_bytes - held_out_bytes);
    held_out_dropped + training_dropped
}

/// Keeps the front of a queue that fits into `room_bytes`. Returns its size and how many were
/// dropped.
fn cut(entries: &mut Entries, queue: Vec<(Key, u64)>, room_bytes: u64) -> (u64, usize) {
    let mut used_bytes = 0;
    let mut dropped = 0;
    for (key, size_bytes) in queue {
        // Nothing after the first example that does not fit is kept: that would favour short texts.
        if dropped == 0 && used_bytes + size_bytes <= room_bytes {
            used_bytes += size_bytes;
        } else {
            entries.remove(&key);
            dropped += 1;
        }
    }
    (used_bytes, dropped)
}

#[cfg(test)]
mod tests {
    use super::fair_share;

    #[test]
    fn the_fair_share_fills_the_room() {
        assert_eq!(fair_share(vec![], 10), None);
        assert_eq!(fair_share(vec![4, 6], 10), None);
        assert_eq!(fair_share(vec![100, 2, 100], 10), Some(4));
        assert_eq!(fair_share(vec![100, 100], 0), Some(0));
        assert_eq!(fair_share(vec![3, 3, 4], 9), Some(3));
    }
}
