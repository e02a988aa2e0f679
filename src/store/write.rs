//! Changing a store: every change is one replacement of the pointer file, under the lock.

use super::hash::ObjectHash;
use super::read::{Loaded, check_file};
use super::snapshot::Snapshot;
use super::state::{Lineage, State, Version};
use super::{
    Candidate, EVIDENCE_SIZE_BYTES_MAX, LOCK_NAME, LOCK_WAIT, OBJECT_SIZE_BYTES_MAX, OBJECTS_NAME,
    STATE_NAME, STATE_SIZE_BYTES_MAX, Store, VersionId, WORK_NAME, check_task_name, is_checkpoint,
};
use crate::error::{Code, Error, Result, ResultExt};
use crate::files::{Folder, Lock};
use crate::language::Language;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

impl Store {
    /// Publishes a new version for each candidate's language, and activates those that ask for it,
    /// in one atomic step: readers see all of it or nothing. Returns one [`VersionId`] per
    /// candidate, in their order.
    ///
    /// A pinned language gets its version but keeps the active one; see [`VersionId::activated`].
    ///
    /// # Errors
    /// Nothing is published on any error. [`Code::TaskName`], [`Code::ArgumentInvalid`] for no
    /// candidate, two candidates of one language, or content or evidence over its limit,
    /// [`Code::StoreLocked`], [`Code::IoFull`] on a full disk.
    pub fn publish(&self, task: &str, candidates: &[Candidate]) -> Result<Vec<VersionId>> {
        self.publish_at(None, task, candidates)
    }

    /// As [`Store::publish`], but only while the store is still at `generation`: for candidates
    /// that were judged against what was active then.
    ///
    /// # Errors
    /// Also [`Code::StoreChanged`] with both generations.
    pub fn publish_if_unchanged(
        &self,
        generation: u64,
        task: &str,
        candidates: &[Candidate],
    ) -> Result<Vec<VersionId>> {
        self.publish_at(Some(generation), task, candidates)
    }

    fn publish_at(
        &self,
        generation: Option<u64>,
        task: &str,
        candidates: &[Candidate],
    ) -> Result<Vec<VersionId>> {
        check_task_name(task)?;
        let evidence = check_candidates(candidates)?;
        let hashes: Vec<_> = candidates.iter().map(|one| ObjectHash::of(&one.bytes)).collect();
        let created_unix_ms = unix_ms_now();
        let publishing = || format!("publishing for task {task}");
        let _writing = self.lock().context(publishing)?;
        // Under the lock this is the newest state, whichever process wrote it.
        let before = self.snapshot().context(publishing)?;
        if let Some(expected) = generation {
            before.check_generation(expected).context(publishing)?;
        }
        let mut state = before.state().clone();
        let languages = state.tasks.entry(task.to_owned()).or_default();
        let mut published = Vec::with_capacity(candidates.len());
        for ((candidate, hash), evidence) in candidates.iter().zip(&hashes).zip(evidence) {
            let lineage = languages.entry(candidate.language.clone()).or_default();
            let version = Version {
                number: next_number(lineage)?,
                object: *hash,
                size_bytes: candidate.bytes.len() as u64,
                created_unix_ms,
                parent: lineage.active,
                evidence,
            };
            published.push(add_version(lineage, version, candidate));
        }
        let objects = self.folder.create_folder(OBJECTS_NAME).context(publishing)?;
        let new_objects = self.write_objects(&objects, candidates, &hashes, &before);
        let new_objects = new_objects.context(publishing)?;
        let committed = self.commit(state).context(publishing);
        let doubt = committed.inspect_err(|_| discard(&objects, &new_objects))?;
        doubt.map_or(Ok(published), Err)
    }

    /// Makes the given versions active, all in one atomic step.
    ///
    /// # Errors
    /// Nothing is activated on any error. [`Code::StoreNoVersion`] when there is no such version,
    /// [`Code::StorePinned`] when a language is pinned to another one, [`Code::ArgumentInvalid`]
    /// when a language is given twice.
    pub fn activate(&self, task: &str, versions: &[(Language, u32)]) -> Result<()> {
        let languages = versions.iter().map(|(language, _)| language);
        check_distinct(languages)?;
        self.change(|state| {
            for (language, number) in versions {
                let lineage = lineage(state, task, language)?;
                if lineage.version(*number).is_none() {
                    let known = lineage.versions.len();
                    let what = format!("has no version {number}; it has {known} versions");
                    return Err(no_version(task, language, &what));
                }
                if lineage.active != Some(*number) {
                    check_not_pinned(lineage, task, language)?;
                }
                lineage.activate(*number);
            }
            Ok(())
        })
    }

    /// Goes back to what was active before, and returns it: a version, or `None` when the language
    /// had no version of its own then and is served by its fallbacks again.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] when nothing was active before, [`Code::StorePinned`].
    pub fn roll_back(&self, task: &str, language: &Language) -> Result<Option<u32>> {
        self.change(|state| {
            let lineage = lineage(state, task, language)?;
            check_not_pinned(lineage, task, language)?;
            let Some(previous) = lineage.history.pop() else {
                return Err(no_version(task, language, "has nothing to roll back to"));
            };
            lineage.active = previous;
            Ok(previous)
        })
    }

    /// Keeps the active version of a language until [`Store::unpin`]; returns its number.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] when no version of its own is active.
    pub fn pin(&self, task: &str, language: &Language) -> Result<u32> {
        self.change(|state| {
            let lineage = lineage(state, task, language)?;
            let none = || no_version(task, language, "has no active version to pin");
            let active = lineage.active.ok_or_else(none)?;
            lineage.pinned = true;
            Ok(active)
        })
    }

    /// Lets the active version of a language move again.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] when the language has no versions.
    pub fn unpin(&self, task: &str, language: &Language) -> Result<()> {
        self.change(|state| {
            lineage(state, task, language)?.pinned = false;
            Ok(())
        })
    }

    /// Removes objects that no version refers to: what an interrupted or failed publish left.
    /// Returns how many bytes that freed. Versions and their objects always stay.
    ///
    /// # Errors
    /// [`Code::StoreLocked`], [`Code::IoWrite`].
    pub fn collect_garbage(&self) -> Result<u64> {
        let _writing = self.lock()?;
        let snapshot = self.snapshot()?;
        let objects = self.folder.create_folder(OBJECTS_NAME)?;
        let mut freed_bytes = 0;
        for name in objects.names()? {
            // Names that are no hash are not ours to remove.
            let Ok(hash) = ObjectHash::parse(&name) else { continue };
            if snapshot.object_size_bytes(&hash).is_none() {
                freed_bytes += objects.entry(&name)?.map_or(0, |entry| entry.size_bytes());
                objects.remove(&name)?;
            }
        }
        objects.sync()?;
        Ok(freed_bytes)
    }

    /// Applies a change of pointers to the newest state and commits it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let _writing = self.lock()?;
        let before = self.snapshot()?;
        let mut state = before.state().clone();
        let value = change(&mut state)?;
        if state != *before.state() {
            self.commit(state)?.map_or(Ok(()), Err)?;
        }
        Ok(value)
    }

    /// Excludes other threads of this handle, then other handles and processes.
    fn lock(&self) -> Result<Writing<'_>> {
        // The mutex guards no data, so a panic under it has broken nothing.
        let threads = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Lock::acquire(&self.folder, LOCK_NAME, LOCK_WAIT)?;
        self.clear_work()?;
        Ok(Writing { _lock: lock, _threads: threads })
    }

    /// Removes what a writer that was stopped left behind. The checkpoints of updates belong to
    /// whoever holds the lock of their task.
    fn clear_work(&self) -> Result<()> {
        let work = self.folder.create_folder(WORK_NAME)?;
        for name in work.names()? {
            if !is_checkpoint(&name) {
                work.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Writes the objects that are not there yet and returns the names of those that no version
    /// in `before` refers to. A file whose content is damaged is replaced by the good bytes at
    /// hand.
    fn write_objects(
        &self,
        objects: &Folder,
        candidates: &[Candidate],
        hashes: &[ObjectHash],
        before: &Snapshot,
    ) -> Result<Vec<String>> {
        let distinct: BTreeMap<_, _> = hashes.iter().zip(candidates).collect();
        let work = self.folder.folder(WORK_NAME)?;
        let mut written = Vec::new();
        for (hash, candidate) in distinct {
            let name = hash.to_string();
            if check_file(objects, hash, candidate.bytes.len() as u64).is_ok() {
                continue;
            }
            let outcome = work
                .write(&name, &candidate.bytes)
                .and_then(|_| work.rename(&name, objects, &name));
            if let Err(error) = outcome {
                discard(objects, &written);
                return Err(error);
            }
            if before.object_size_bytes(hash).is_none() {
                written.push(name);
            }
        }
        // Also when nothing was written: a name that an interrupted publish left may not have
        // reached the disk yet.
        objects.sync().inspect_err(|_| discard(objects, &written)).map(|()| written)
    }

    /// Replaces the pointer file: the one commit point. An error means that the state is the old
    /// one, and a doubt that it is the new one but may not outlive a power cut.
    fn commit(&self, mut state: State) -> Result<Option<Error>> {
        let work = self.folder.folder(WORK_NAME)?;
        advance(&mut state)?;
        let written = work.write(STATE_NAME, &encode(&state)?)?;
        work.rename(STATE_NAME, &self.folder, STATE_NAME)?;
        // From here on readers see the new state, so nothing may fail any more. What cannot be
        // opened now is read by whoever asks next.
        if let Ok(loaded) = Loaded::written(state, &written, &self.folder) {
            self.current.store(Arc::new(loaded));
        }
        Ok(self.folder.sync().err())
    }
}

/// Held while a change is made. The file lock goes first, so that the next thread of this handle
/// does not wait for it.
struct Writing<'a> {
    _lock: Lock,
    _threads: MutexGuard<'a, ()>,
}

/// Checks candidates and gives their evidence as text.
fn check_candidates(candidates: &[Candidate]) -> Result<Vec<String>> {
    let invalid = |what: String| Error::new(Code::ArgumentInvalid, what);
    if candidates.is_empty() {
        return Err(invalid("there is no candidate to publish".into()));
    }
    check_distinct(candidates.iter().map(|candidate| &candidate.language))?;
    let check = |candidate: &Candidate| {
        let language = &candidate.language;
        let size_bytes = candidate.bytes.len() as u64;
        if size_bytes > OBJECT_SIZE_BYTES_MAX {
            let limit = OBJECT_SIZE_BYTES_MAX;
            return Err(invalid(format!("{language} has {size_bytes} bytes, at most {limit}")));
        }
        let evidence = candidate.evidence.to_string();
        if evidence.len() > EVIDENCE_SIZE_BYTES_MAX {
            let (size, limit) = (evidence.len(), EVIDENCE_SIZE_BYTES_MAX);
            let what = format!("the evidence for {language} has {size} bytes, at most {limit}");
            return Err(invalid(what));
        }
        Ok(evidence)
    };
    candidates.iter().map(check).collect()
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
    let last = lineage.versions.last().map_or(0, |version| version.number);
    let full = || Error::new(Code::ArgumentInvalid, "version numbers are used up");
    last.checked_add(1).ok_or_else(full)
}

fn add_version(lineage: &mut Lineage, version: Version, candidate: &Candidate) -> VersionId {
    let activated = candidate.activate && !lineage.pinned;
    let (number, hash) = (version.number, version.object);
    lineage.versions.push(version);
    if activated {
        lineage.activate(number);
    }
    VersionId { language: candidate.language.clone(), number, hash, activated }
}

fn lineage<'a>(state: &'a mut State, task: &str, language: &Language) -> Result<&'a mut Lineage> {
    check_task_name(task)?;
    let found = state.tasks.get_mut(task).and_then(|languages| languages.get_mut(language));
    found.ok_or_else(|| no_version(task, language, "has no versions"))
}

fn no_version(task: &str, language: &Language, what: &str) -> Error {
    Error::new(Code::StoreNoVersion, format!("task {task}, {language}: it {what}"))
}

fn check_not_pinned(lineage: &Lineage, task: &str, language: &Language) -> Result<()> {
    match lineage.active {
        Some(active) if lineage.pinned => {
            let what = format!("task {task}, {language}: it is pinned to version {active}");
            Err(Error::new(Code::StorePinned, what))
        }
        _ => Ok(()),
    }
}

/// Gives back the space of objects whose publishing failed. What cannot be removed now is left to
/// [`Store::collect_garbage`].
fn discard(objects: &Folder, names: &[String]) {
    for name in names {
        let _ = objects.remove(name);
    }
}

fn advance(state: &mut State) -> Result<()> {
    let used_up = || Error::new(Code::StoreMalformed, "the generation counter is used up");
    state.generation = state.generation.checked_add(1).ok_or_else(used_up)?;
    Ok(())
}

fn encode(state: &State) -> Result<Vec<u8>> {
    let bytes = state.encode()?;
    if bytes.len() as u64 > STATE_SIZE_BYTES_MAX {
        let (size, limit) = (bytes.len(), STATE_SIZE_BYTES_MAX);
        let what = format!("the store's records would take {size} bytes, at most {limit}");
        return Err(Error::new(Code::ArgumentInvalid, what));
    }
    Ok(bytes)
}

fn unix_ms_now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
