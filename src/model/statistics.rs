//! What a store contains, in numbers.

use crate::error::Result;
use crate::rehearsal::{LanguageStats, Rehearsal};
use crate::store::{Snapshot, Store, VersionInfo};
use crate::update::{self, Update};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a store contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatistics {
    /// The generation of the store, which grows by one with every change.
    pub generation: u64,
    /// How many distinct contents the versions have; versions can share one.
    pub contents_count: usize,
    /// The size of these contents in bytes.
    pub contents_size_bytes: u64,
    /// The tasks, sorted by name.
    pub tasks: Vec<TaskStatistics>,
}

/// What a store contains of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatistics {
    /// The name of the task.
    pub task: String,
    /// How many languages have versions.
    pub languages_count: usize,
    /// How many versions there are.
    pub versions_count: usize,
    /// How many of them are active.
    pub active_count: usize,
    /// How many languages are pinned.
    pub pinned_count: usize,
    /// The size of the distinct contents of the versions, in bytes.
    pub versions_size_bytes: u64,
    /// How many updates were committed.
    pub reports_count: usize,
    /// Whether there is a checkpoint of a stopped or running update.
    pub has_checkpoint: bool,
    /// The remembered examples of each language, sorted by tag.
    pub examples: Vec<LanguageStats>,
}

impl StoreStatistics {
    /// Counts what a store contains.
    ///
    /// # Errors
    /// Those of reading versions, reports and remembered examples: damage is named, not counted.
    pub fn of(store: &Arc<Store>) -> Result<Self> {
        let snapshot = store.snapshot()?;
        let (contents_count, contents_size_bytes) = snapshot.contents();
        let tasks = snapshot.all_tasks().map(|task| TaskStatistics::of(store, &snapshot, task));
        Ok(Self {
            generation: snapshot.generation(),
            contents_count,
            contents_size_bytes,
            tasks: tasks.collect::<Result<_>>()?,
        })
    }
}

impl TaskStatistics {
    fn of(store: &Arc<Store>, snapshot: &Snapshot, task: &str) -> Result<Self> {
        let versions = snapshot.versions(Some(task))?;
        let count = |is: fn(&VersionInfo) -> bool| versions.iter().filter(|one| is(one)).count();
        let sizes: BTreeMap<_, u64> =
            versions.iter().map(|version| (version.hash, version.size_bytes)).collect();
        Ok(Self {
            task: task.to_owned(),
            languages_count: snapshot.languages(task).count(),
            versions_count: versions.len(),
            active_count: count(|version| version.active),
            pinned_count: count(|version| version.pinned),
            versions_size_bytes: sizes.values().sum(),
            reports_count: update::history(store, task)?.len(),
            has_checkpoint: Update::has_checkpoint(store, task)?,
            examples: Rehearsal::open_saved(store, task)?.stats(),
        })
    }
}
