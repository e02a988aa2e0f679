//! The draft of a change of a store.
//!
//! A record is copied out of its segment when it is first changed, so the cost of a change does not
//! grow with the store. This module must never touch the disk.

use super::records::{Lineage, Records, TaskRecord};
use super::snapshot::Snapshot;
use super::state::{FORMAT_VERSION, State};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use std::collections::{BTreeMap, BTreeSet};

/// The next state, based on the newest one.
pub(super) struct Draft<'a> {
    before: &'a Snapshot,
    /// The records that were requested for a change, whether or not they differ.
    touched: Records,
}

impl<'a> Draft<'a> {
    pub fn new(before: &'a Snapshot) -> Self {
        Self { before, touched: Records::default() }
    }

    /// The record of a language that has versions.
    pub fn lineage(&mut self, task: &str, language: &Language) -> Option<&mut Lineage> {
        let touched = self.touched.tasks.get(task).is_some_and(|all| all.contains_key(language));
        if !touched {
            self.before.lineage(task, language.as_str())?;
        }
        Some(self.lineage_or_new(task, language))
    }

    /// The record of a language; an empty one for a language without versions.
    pub fn lineage_or_new(&mut self, task: &str, language: &Language) -> &mut Lineage {
        let before = || {
            let found = self.before.lineage(task, language.as_str());
            found.map_or_else(Lineage::default, |(_, lineage)| lineage.clone())
        };
        let languages = self.touched.tasks.entry(task.to_owned()).or_default();
        languages.entry(language.clone()).or_insert_with(before)
    }

    /// The record of a task.
    pub fn task(&mut self, task: &str) -> &mut TaskRecord {
        let before = || self.before.task_record(task).cloned().unwrap_or_default();
        self.touched.updates.entry(task.to_owned()).or_insert_with(before)
    }

    /// The next state; `None` if nothing differs from the previous one.
    pub fn finish(mut self) -> Result<Option<State>> {
        let before = self.before;
        for (task, languages) in &mut self.touched.tasks {
            languages.retain(|language, lineage| {
                let known = before.lineage(task, language.as_str());
                known.is_none_or(|(_, known)| known != lineage)
            });
        }
        self.touched.tasks.retain(|_, languages| !languages.is_empty());
        self.touched.updates.retain(|task, record| before.task_record(task) != Some(record));
        if self.touched == Records::default() {
            return Ok(None);
        }
        let used_up = || Error::new(Code::StoreMalformed, "the generation counter is used up");
        let generation = before.generation().checked_add(1).ok_or_else(used_up)?;
        self.date(generation);
        let mut state = State { version: FORMAT_VERSION, generation, ..before.state().clone() };
        state.recent.update(self.touched);
        Ok(Some(state))
    }

    /// Records the generation at which the tasks changed.
    fn date(&mut self, generation: u64) {
        let before = self.before;
        let known: BTreeSet<&str> = before.recorded_tasks();
        let dated = |task: &str, generation| {
            let record = before.task_record(task).cloned().unwrap_or_default();
            (task.to_owned(), TaskRecord { generation, ..record })
        };
        let mut dates = BTreeMap::new();
        if before.state().is_flat() {
            // The first format did not record when a task changed; it is at the latest now.
            let undated = before.tasks().filter(|task| !known.contains(task));
            dates.extend(undated.map(|task| dated(task, before.generation())));
        }
        dates.extend(self.touched.tasks.keys().map(|task| dated(task, generation)));
        for record in self.touched.updates.values_mut() {
            record.generation = generation;
        }
        for (task, record) in dates {
            self.touched.updates.entry(task).or_insert(record);
        }
    }
}
