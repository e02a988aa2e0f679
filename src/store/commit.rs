//! Committing a change: the lock, the objects, and the replacement of the pointer file.
//!
//! Nothing is changed until the pointer file has its name, and nothing may fail after that. Only
//! the holder of the lock removes what a stopped writer left.

use super::draft::Draft;
use super::hash::ObjectHash;
use super::read::{Loaded, check_file};
use super::segment::{Merge, Segment};
use super::snapshot::Snapshot;
use super::{
    LOCK_NAME, LOCK_WAIT, NewVersion, OBJECTS_NAME, RECENT_SIZE_BYTES_MAX, REHEARSAL_NAME,
    STATE_NAME, Store, WORK_NAME, checkpoint_partial_task, is_checkpoint, lock_task,
};
use crate::error::{Code, Error, Result};
use crate::files::{Folder, Lock};
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// The locks that are held while a change is made. The file lock is dropped first, so that the next
/// thread of this handle does not wait for it.
pub(super) struct Writing<'a> {
    _lock: Lock,
    _threads: MutexGuard<'a, ()>,
}

impl Store {
    /// Removes objects that no version refers to, which an interrupted or failed publish left.
    /// Returns the number of bytes that were freed. Versions and their objects always stay.
    ///
    /// # Errors
    /// [`Code::StoreLocked`], [`Code::IoWrite`].
    pub fn collect_garbage(&self) -> Result<u64> {
        let _writing = self.lock()?;
        self.remove_unreferenced()
    }

    /// As [`Store::collect_garbage`], for the holder of the lock.
    pub(super) fn remove_unreferenced(&self) -> Result<u64> {
        let snapshot = self.newest()?;
        let objects = self.folder.create_folder(OBJECTS_NAME)?;
        let mut freed_bytes = 0;
        for name in objects.names()? {
            // Files whose name is not a hash do not belong to the store.
            let Ok(hash) = ObjectHash::parse(&name) else { continue };
            if snapshot.object_size_bytes(&hash).is_none() {
                freed_bytes += objects.entry(&name)?.map_or(0, |entry| entry.size_bytes());
                objects.remove(&name)?;
            }
        }
        objects.sync()?;
        Ok(freed_bytes)
    }

    /// Excludes other threads of this handle, then other handles and processes.
    pub(super) fn lock(&self) -> Result<Writing<'_>> {
        // The mutex guards no data, so a panic while it was held has broken nothing.
        let threads = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Lock::acquire(&self.folder, LOCK_NAME, LOCK_WAIT)?;
        self.clear_work()?;
        Ok(Writing { _lock: lock, _threads: threads })
    }

    /// Removes what a stopped writer left, as far as possible. The checkpoint of an update belongs
    /// to the holder of its task's lock.
    fn clear_work(&self) -> Result<()> {
        let work = self.folder.create_folder(WORK_NAME)?;
        for name in work.names()? {
            let _updating = match checkpoint_partial_task(&name) {
                None if is_checkpoint(&name) => continue,
                None => None,
                Some(task) => match self.lock_idle_task(task)? {
                    None => continue,
                    lock => lock,
                },
            };
            let _ = work.remove(&name);
        }
        Ok(())
    }

    /// The lock of a task, or `None` if somebody is updating the task.
    fn lock_idle_task(&self, task: &str) -> Result<Option<Lock>> {
        let memory = self.folder.create_folder(REHEARSAL_NAME)?.create_folder(task)?;
        match lock_task(&memory, Duration::ZERO) {
            Err(error) if error.code() == Code::StoreLocked => Ok(None),
            lock => lock.map(Some),
        }
    }

    /// Writes the objects that do not exist yet, and returns the names of those that no version in
    /// `before` refers to. A file with damaged content is replaced by the good bytes.
    pub(super) fn write_objects(
        &self,
        objects: &Folder,
        new_versions: &[NewVersion],
        hashes: &[ObjectHash],
        before: &Snapshot,
    ) -> Result<Vec<String>> {
        let distinct: BTreeMap<_, _> = hashes.iter().zip(new_versions).collect();
        let work = self.folder.folder(WORK_NAME)?;
        let mut written = Vec::new();
        for (hash, new_version) in distinct {
            let name = hash.to_string();
            if check_file(objects, hash, new_version.bytes.len() as u64).is_ok() {
                continue;
            }
            let outcome = work
                .write(&name, &new_version.bytes)
                .and_then(|_| work.rename(&name, objects, &name));
            if let Err(error) = outcome {
                discard(objects, &written);
                return Err(error);
            }
            if before.object_size_bytes(hash).is_none() {
                written.push(name);
            }
        }
        // This happens even if nothing was written: a name that an interrupted publish left may not
        // have reached the disk yet.
        objects.sync().inspect_err(|_| discard(objects, &written)).map(|()| written)
    }

    /// Replaces the pointer file, which is the only commit point. An error means that the old state
    /// holds. A doubt means that the new state holds but may not survive a power cut.
    pub(super) fn commit(&self, before: &Snapshot, draft: Draft<'_>) -> Result<Option<Error>> {
        self.commit_with(before, draft, Merge::Similar)
    }

    /// As [`Store::commit`] for a change that removes versions: no segment keeps a record of them.
    pub(super) fn commit_removal(
        &self,
        before: &Snapshot,
        draft: Draft<'_>,
    ) -> Result<Option<Error>> {
        self.commit_with(before, draft, Merge::All)
    }

    fn commit_with(
        &self,
        before: &Snapshot,
        draft: Draft<'_>,
        merge: Merge,
    ) -> Result<Option<Error>> {
        let Some(mut state) = draft.finish()? else { return Ok(None) };
        let mut bytes = state.encode()?;
        let mut segments = before.segments().to_vec();
        let replaces_all = merge == Merge::All && !segments.is_empty();
        if bytes.len() > RECENT_SIZE_BYTES_MAX || replaces_all {
            let recent = std::mem::take(&mut state.recent);
            Segment::append(&self.folder, &mut segments, recent, merge)?;
            state.segments = segments.iter().map(|segment| segment.record).collect();
            bytes = state.encode()?;
        }
        let work = self.folder.folder(WORK_NAME)?;
        let written = work.write(STATE_NAME, &bytes)?;
        work.rename(STATE_NAME, &self.folder, STATE_NAME)?;
        // From here on readers see the new state, so nothing may fail. What cannot be opened now is
        // read on the next request.
        let kept = [state.segments.clone(), before.state().segments.clone()];
        let is_merged = kept[0] != kept[1];
        let snapshot = Snapshot::new(state, segments, Some(before));
        let reading = self.reader();
        if let Ok(Some(loaded)) = Loaded::written(snapshot, &written, &self.folder) {
            self.current.store(Arc::new(loaded));
        }
        drop(reading);
        let doubt = self.folder.sync().err();
        if is_merged && doubt.is_none() {
            // Readers of the previous state may still be about to open its segments.
            Segment::remove_others(&self.folder, &kept.each_ref().map(Vec::as_slice));
        }
        Ok(doubt)
    }
}

/// Removes objects whose publishing failed. What cannot be removed now is left to
/// [`Store::collect_garbage`].
pub(super) fn discard(objects: &Folder, names: &[String]) {
    for name in names {
        let _ = objects.remove(name);
    }
}
