//! Changing a store: every change replaces the pointer file once, under the lock.
//!
//! A version is read and compared with its hash before it becomes active, so that a version with a
//! damaged file never replaces one that serves. A failed change must never leave a part of it
//! active.

use super::commit::discard;
use super::draft::Draft;
use super::hash::ObjectHash;
use super::read::check_file;
use super::records::{ExamplesRecord, Lineage, ReportRecord, Version};
use super::snapshot::Snapshot;
use super::{
    EVIDENCE_SIZE_BYTES_MAX, NewVersion, OBJECT_SIZE_BYTES_MAX, OBJECTS_NAME, Store, VersionId,
    check_task_name,
};
use crate::error::{Code, Error, Result, ResultExt};
use crate::language::Language;
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// The files of an update that are committed with its versions, in the same step.
pub(crate) struct Decision {
    /// The report of the update.
    pub report: ReportRecord,
    /// The remembered examples.
    pub examples: ExamplesRecord,
}

pub(crate) struct Published {
    /// One identifier per new version, in their order.
    pub versions: Vec<VersionId>,
    /// The reason why the change, which is made, may not survive a power cut.
    pub doubt: Option<Error>,
}

impl Store {
    /// Publishes each new version under its language, and activates those that request it, in one
    /// atomic step: readers see all of it or nothing. Returns one [`VersionId`] per new version, in
    /// their order.
    ///
    /// A pinned language gets its version but keeps the active one; see [`VersionId::activated`].
    ///
    /// # Errors
    /// Nothing is published on any error but one: when the last wait for the disk fails, the
    /// versions are there and may not outlive a power cut, and the error says so.
    /// [`Code::TaskName`], [`Code::ArgumentInvalid`] for no new version, two new versions of one
    /// language, or content or evidence over its limit, [`Code::StoreLocked`], [`Code::IoFull`] on
    /// a full disk.
    pub fn publish(&self, task: &str, new_versions: &[NewVersion]) -> Result<Vec<VersionId>> {
        if new_versions.is_empty() {
            let what = "there is no new version to publish";
            return Err(Error::new(Code::ArgumentInvalid, what));
        }
        let published = self.publish_with(task, new_versions, |_| Ok(()), |_| Ok(None))?;
        let doubt = published.doubt.map(|doubt| doubt.context("the versions are published, but"));
        doubt.map_or(Ok(published.versions), Err)
    }

    /// Publishes versions and commits the files that belong to them, in one step. `check` gets the
    /// newest state, and `decide` gets the identifiers of the versions. Both run under the lock,
    /// and nothing is changed if one of them fails.
    pub(crate) fn publish_with(
        &self,
        task: &str,
        new_versions: &[NewVersion],
        check: impl FnOnce(&Snapshot) -> Result<()>,
        decide: impl FnOnce(&[VersionId]) -> Result<Option<Decision>>,
    ) -> Result<Published> {
        check_task_name(task)?;
        let evidence = check_new_versions(new_versions)?;
        let hashes: Vec<_> = new_versions.iter().map(|one| ObjectHash::of(&one.bytes)).collect();
        let created_unix_ms = unix_ms_now();
        let publishing = || format!("publishing for task {task}");
        let _writing = self.lock().context(publishing)?;
        // Under the lock this is the newest state, whichever process wrote it.
        let before = self.newest().context(publishing)?;
        check(&before).context(publishing)?;
        let mut draft = Draft::new(&before);
        let mut versions = Vec::with_capacity(new_versions.len());
        for ((new_version, hash), evidence) in new_versions.iter().zip(&hashes).zip(evidence) {
            let lineage = draft.lineage_or_new(task, &new_version.language);
            let version = Version {
                number: next_number(lineage)?,
                object: *hash,
                size_bytes: new_version.bytes.len() as u64,
                created_unix_ms,
                parent: lineage.active,
                evidence,
            };
            versions.push(add_version(lineage, version, new_version));
        }
        let objects = self.folder.create_folder(OBJECTS_NAME).context(publishing)?;
        let written = self.write_objects(&objects, new_versions, &hashes, &before);
        let written = written.context(publishing)?;
        let committed = decide(&versions).and_then(|decided| {
            if let Some(Decision { report, examples }) = decided {
                let record = draft.task(task);
                (record.report, record.examples) = (Some(report), Some(examples));
            }
            self.commit(&before, draft)
        });
        let committed = committed.inspect_err(|_| discard(&objects, &written));
        Ok(Published { versions, doubt: committed.context(publishing)? })
    }

    /// Records the remembered examples of `task` when they change without an update.
    pub(crate) fn record_examples(&self, task: &str, examples: ExamplesRecord) -> Result<()> {
        check_task_name(task)?;
        self.change(|draft| {
            draft.task(task).examples = Some(examples);
            Ok(())
        })
    }

    /// Activates the given versions in one atomic step. Their files are read and compared with
    /// their hashes first.
    ///
    /// # Errors
    /// Nothing is activated on any error. [`Code::StoreNoVersion`] if there is no such version,
    /// [`Code::StorePinned`] if a language is pinned to another version, [`Code::StoreCorrupt`]
    /// with the file if the content of a version is lost, [`Code::ArgumentInvalid`] if a language
    /// is given twice.
    pub fn activate(&self, task: &str, versions: &[(Language, u32)]) -> Result<()> {
        let languages = versions.iter().map(|(language, _)| language);
        check_distinct(languages)?;
        self.change(|draft| {
            for (language, number) in versions {
                let lineage = lineage(draft, task, language)?;
                if lineage.version(*number).is_none() {
                    let known = lineage.versions.len();
                    let what = format!("has no version {number}; it has {known} versions");
                    return Err(no_version(task, language, &what));
                }
                if lineage.active != Some(*number) {
                    check_not_pinned(lineage, task, language)?;
                }
                self.check_content(lineage, *number, task, language)?;
                lineage.activate(*number);
            }
            Ok(())
        })
    }

    /// Activates the version of a language that was active before the present one, and returns its
    /// number. It is `None` if the language had no version of its own then and is served by its
    /// fallbacks again. The version's file is read and compared with its hash first.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] if no version was active before; [`Code::StorePinned`];
    /// [`Code::StoreCorrupt`] with the file if the content of the version is lost. The language
    /// keeps its version then.
    pub fn roll_back(&self, task: &str, language: &Language) -> Result<Option<u32>> {
        self.change(|draft| {
            let lineage = lineage(draft, task, language)?;
            check_not_pinned(lineage, task, language)?;
            let Some(previous) = lineage.history.pop() else {
                return Err(no_version(task, language, "has nothing to roll back to"));
            };
            if let Some(number) = previous {
                self.check_content(lineage, number, task, language)?;
            }
            lineage.active = previous;
            Ok(previous)
        })
    }

    /// Pins a language to its active version until [`Store::unpin`], and returns the version's
    /// number.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] if the language has no active version of its own.
    pub fn pin(&self, task: &str, language: &Language) -> Result<u32> {
        self.change(|draft| {
            let lineage = lineage(draft, task, language)?;
            let none = || no_version(task, language, "has no active version to pin");
            let active = lineage.active.ok_or_else(none)?;
            lineage.pinned = true;
            Ok(active)
        })
    }

    /// Unpins a language, so that its active version can change again.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] if the language has no versions.
    pub fn unpin(&self, task: &str, language: &Language) -> Result<()> {
        self.change(|draft| {
            lineage(draft, task, language)?.pinned = false;
            Ok(())
        })
    }

    /// Applies a change of pointers to the newest state and commits it.
    fn change<T>(&self, change: impl FnOnce(&mut Draft<'_>) -> Result<T>) -> Result<T> {
        let _writing = self.lock()?;
        let before = self.newest()?;
        let mut draft = Draft::new(&before);
        let value = change(&mut draft)?;
        match self.commit(&before, draft)? {
            None => Ok(value),
            Some(doubt) => Err(doubt.context("the change is made, but")),
        }
    }

    /// Reads the file of a version and compares it with its hash.
    pub(super) fn check_content(
        &self,
        lineage: &Lineage,
        number: u32,
        task: &str,
        language: &Language,
    ) -> Result<()> {
        let Some(version) = lineage.version(number) else { return Ok(()) };
        let Version { object, size_bytes, .. } = version;
        let objects = self.objects(object, *size_bytes);
        let checked = objects.and_then(|objects| check_file(&objects, object, *size_bytes));
        checked.context(|| format!("task {task}, {language}: version {number} cannot serve"))
    }
}

/// Checks new versions and returns their evidence as text.
fn check_new_versions(new_versions: &[NewVersion]) -> Result<Vec<String>> {
    let invalid = |what: String| Error::new(Code::ArgumentInvalid, what);
    check_distinct(new_versions.iter().map(|new_version| &new_version.language))?;
    let check = |new_version: &NewVersion| {
        let language = &new_version.language;
        let size_bytes = new_version.bytes.len() as u64;
        if size_bytes > OBJECT_SIZE_BYTES_MAX {
            let limit = OBJECT_SIZE_BYTES_MAX;
            return Err(invalid(format!("{language} has {size_bytes} bytes, at most {limit}")));
        }
        let evidence = new_version.evidence.to_string();
        if evidence.len() > EVIDENCE_SIZE_BYTES_MAX {
            let (size, limit) = (evidence.len(), EVIDENCE_SIZE_BYTES_MAX);
            let what = format!("the evidence for {language} has {size} bytes, at most {limit}");
            return Err(invalid(what));
        }
        Ok(evidence)
    };
    new_versions.iter().map(check).collect()
}

fn check_distinct<'a>(languages: impl Iterator<Item = &'a Language>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for language in languages {
        if !seen.insert(language) {
            let what = format!("{language} is given twice; expected each language once");
            return Err(Error::new(Code::ArgumentInvalid, what));
        }
    }
    Ok(())
}

fn next_number(lineage: &Lineage) -> Result<u32> {
    let full = || Error::new(Code::ArgumentInvalid, "version numbers are used up");
    lineage.number_last().checked_add(1).ok_or_else(full)
}

fn add_version(lineage: &mut Lineage, version: Version, new_version: &NewVersion) -> VersionId {
    let activated = new_version.activate && !lineage.pinned;
    let (number, hash) = (version.number, version.object);
    lineage.versions.push(version);
    lineage.number_removed = 0;
    if activated {
        lineage.activate(number);
    }
    VersionId { language: new_version.language.clone(), number, hash, activated }
}

pub(super) fn lineage<'a>(
    draft: &'a mut Draft<'_>,
    task: &str,
    language: &Language,
) -> Result<&'a mut Lineage> {
    check_task_name(task)?;
    draft.lineage(task, language).ok_or_else(|| no_version(task, language, "has no versions"))
}

fn no_version(task: &str, language: &Language, what: &str) -> Error {
    Error::new(Code::StoreNoVersion, format!("task {task}, {language}: it {what}"))
}

pub(super) fn check_not_pinned(lineage: &Lineage, task: &str, language: &Language) -> Result<()> {
    match lineage.active {
        Some(active) if lineage.pinned => {
            let what = format!("task {task}, {language}: it is pinned to version {active}");
            Err(Error::new(Code::StorePinned, what))
        }
        _ => Ok(()),
    }
}

fn unix_ms_now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
