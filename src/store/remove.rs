//! Removing versions: their records in one step of the pointer file, then their files.
//!
//! Numbers of removed versions are never given again. This module must never remove a version that
//! serves, unless the caller retires it: then the language goes back, in the same step, to what
//! served it before.

use super::draft::Draft;
use super::records::ExamplesRecord;
use super::snapshot::Snapshot;
use super::write::{check_not_pinned, lineage};
use super::{Store, VersionInfo, check_task_name};
use crate::error::Result;
use crate::language::Language;
use std::collections::{BTreeMap, BTreeSet};

/// The numbers of versions of one task.
type Numbers = BTreeMap<Language, BTreeSet<u32>>;

impl Store {
    /// Removes old versions of `task`, of one language or of all, with their files, and returns
    /// them as they were. Of each language the active version stays, pinned or not, and so do the
    /// `keep_last` newest ones. Rolling back skips removed versions.
    ///
    /// # Errors
    /// [`Code::TaskName`](crate::Code::TaskName); [`Code::StoreNoVersion`](crate::Code) if the
    /// language has no versions; [`Code::StoreLocked`](crate::Code) while an update of the task is
    /// running; [`Code::IoWrite`](crate::Code).
    pub fn remove_versions(
        &self,
        task: &str,
        language: Option<&Language>,
        keep_last: usize,
    ) -> Result<Vec<VersionInfo>> {
        check_task_name(task)?;
        let _updating = self.lock_task(task)?;
        self.remove(task, |before, draft| {
            let languages: Vec<Language> = match language {
                Some(language) => vec![language.clone()],
                None => before.languages(task).cloned().collect(),
            };
            let mut removed = Numbers::new();
            for language in languages {
                let lineage = lineage(draft, task, &language)?;
                let old_count = lineage.versions.len().saturating_sub(keep_last);
                let old = lineage.versions.iter().take(old_count).map(|version| version.number);
                let old = old.filter(|number| lineage.active != Some(*number)).collect();
                lineage.remove(&old);
                removed.insert(language, old);
            }
            Ok(removed)
        })
    }

    /// Removes these versions of `task`, also active ones, with their files, and records the
    /// remembered examples that go with it, all in one step. A language whose active version is
    /// among them goes back to the last one that was active before and stays, or to its fallbacks.
    /// The caller holds the lock of the task.
    ///
    /// # Errors
    /// Nothing is changed by [`Code::StorePinned`](crate::Code) for an active version of a pinned
    /// language, nor by [`Code::StoreCorrupt`](crate::Code) for a damaged version to go back to.
    pub(crate) fn retire(
        &self,
        task: &str,
        versions: &[(Language, u32)],
        examples: ExamplesRecord,
    ) -> Result<Vec<VersionInfo>> {
        let mut retired = Numbers::new();
        for (language, number) in versions {
            retired.entry(language.clone()).or_default().insert(*number);
        }
        self.remove(task, |_, draft| {
            draft.task(task).examples = Some(examples);
            for (language, numbers) in &retired {
                let lineage = lineage(draft, task, language)?;
                if lineage.active.is_some_and(|active| numbers.contains(&active)) {
                    check_not_pinned(lineage, task, language)?;
                    lineage.active = lineage.pop_history(numbers);
                    if let Some(number) = lineage.active {
                        self.check_content(lineage, number, task, language)?;
                    }
                }
                lineage.remove(numbers);
            }
            Ok(retired.clone())
        })
    }

    /// Commits a change that removes versions, then removes the files that no version refers to any
    /// more.
    fn remove(
        &self,
        task: &str,
        change: impl FnOnce(&Snapshot, &mut Draft<'_>) -> Result<Numbers>,
    ) -> Result<Vec<VersionInfo>> {
        let _writing = self.lock()?;
        let before = self.newest()?;
        let mut draft = Draft::new(&before);
        let numbers = change(&before, &mut draft)?;
        let mut versions = before.versions(Some(task))?;
        versions.retain(|version| {
            numbers.get(&version.language).is_some_and(|numbers| numbers.contains(&version.number))
        });
        let doubt = match versions.is_empty() {
            true => self.commit(&before, draft)?,
            false => self.commit_removal(&before, draft)?,
        };
        let cleaned = doubt.map_or_else(|| self.remove_unreferenced().map(|_| ()), Err);
        cleaned.map_err(|error| error.context("the versions are removed, but"))?;
        Ok(versions)
    }
}
