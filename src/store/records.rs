//! The records of languages and tasks, as plain data.
//!
//! The same structure is in the pointer file, with the last changes, and in the segments, with
//! earlier ones. Its bytes are hostile until [`Records::check`] has found that every pointer refers
//! to an existing version. This module must never touch the disk.

use super::hash::ObjectHash;
use crate::language::Language;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of former activations of a language that are remembered for rolling back.
pub(super) const HISTORY_COUNT_MAX: usize = 256;

pub(super) type Tasks = BTreeMap<String, BTreeMap<Language, Lineage>>;

/// The records of some languages and some tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Records {
    pub tasks: Tasks,
    pub updates: BTreeMap<String, TaskRecord>,
}

/// The record of a task as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskRecord {
    /// The generation of the store at which the task last changed.
    pub generation: u64,
    /// The report of the last update; absent if there was none since version 1 of the format.
    pub report: Option<ReportRecord>,
    /// The remembered examples; absent if nobody has saved any since version 1 of the format.
    pub examples: Option<ExamplesRecord>,
}

/// The report of one update. It refers to the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportRecord {
    /// The number of the update in its task, from 1.
    pub stage: u32,
    /// The hash of the file.
    pub hash: ObjectHash,
}

/// The file of remembered examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExamplesRecord {
    /// The hash of the file; `None` if there is none.
    pub hash: Option<ObjectHash>,
}

/// The versions of one language for one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lineage {
    /// The version that serves the language, if any.
    pub active: Option<u32>,
    /// While this is set, `active` does not change.
    pub pinned: bool,
    /// The formerly active versions, oldest first; `None` stands for no version.
    pub history: Vec<Option<u32>>,
    /// The versions in ascending order of their numbers.
    pub versions: Vec<Version>,
    /// The highest number that was given, if its version was removed; otherwise 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number_removed: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Version {
    pub number: u32,
    pub object: ObjectHash,
    pub size_bytes: u64,
    pub created_unix_ms: u64,
    /// The version that was active when this one was published.
    pub parent: Option<u32>,
    /// JSON as text, so that numbers keep every digit however often the file is rewritten.
    pub evidence: String,
}

impl Records {
    /// Adds later records. Of two records of one language or task the later one stays.
    pub fn update(&mut self, newer: Self) {
        for (task, languages) in newer.tasks {
            self.tasks.entry(task).or_default().extend(languages);
        }
        self.updates.extend(newer.updates);
    }

    /// All versions in the records.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        let lineages = self.tasks.values().flat_map(BTreeMap::values);
        lineages.flat_map(|lineage| &lineage.versions)
    }

    /// Checks the records and says what is wrong, if anything.
    pub fn check(&self) -> Result<(), String> {
        for task in self.tasks.keys().chain(self.updates.keys()) {
            super::check_task_name(task).map_err(|error| error.to_string())?;
        }
        for (task, languages) in &self.tasks {
            for (language, lineage) in languages {
                lineage.check().map_err(|what| format!("task {task}, {language}: {what}"))?;
            }
        }
        Ok(())
    }
}

impl Lineage {
    pub fn version(&self, number: u32) -> Option<&Version> {
        let at = self.versions.binary_search_by_key(&number, |version| version.number).ok()?;
        self.versions.get(at)
    }

    /// The highest number that was ever given; 0 for none.
    pub fn number_last(&self) -> u32 {
        self.versions.last().map_or(0, |version| version.number).max(self.number_removed)
    }

    /// Takes the last formerly active version that is not among `passed_over`.
    pub fn pop_history(&mut self, passed_over: &BTreeSet<u32>) -> Option<u32> {
        while let Some(entry) = self.history.pop() {
            if entry.is_none_or(|number| !passed_over.contains(&number)) {
                return entry;
            }
        }
        None
    }

    /// Removes the records of versions that are not active, also from the history.
    pub fn remove(&mut self, numbers: &BTreeSet<u32>) {
        let last = self.number_last();
        self.versions.retain(|version| !numbers.contains(&version.number));
        self.history.retain(|entry| entry.is_none_or(|number| !numbers.contains(&number)));
        // What became equal to its neighbour is no step back any more.
        self.history.dedup();
        if self.history.last() == Some(&self.active) {
            self.history.pop();
        }
        self.number_removed = 0;
        self.number_removed = if self.number_last() < last { last } else { 0 };
    }

    /// Makes `number` active and remembers the version that was active before.
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

    fn check(&self) -> Result<(), String> {
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
        let number_last = self.versions.last().map_or(0, |version| version.number);
        if self.number_removed != 0 && self.number_removed <= number_last {
            let removed = self.number_removed;
            return Err(format!("version {removed} is recorded as removed, found {number_last}"));
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
