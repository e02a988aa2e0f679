//! Reading a store: snapshots that notice changes, and verified objects.
//!
//! The threads of a handle share one snapshot. The first thread that asks after a change reads it,
//! and the others use the previous snapshot until that is done. A change is therefore read once and
//! not by every thread. This module must never write.

use super::hash::ObjectHash;
use super::segment::Segment;
use super::snapshot::Snapshot;
use super::state::{SegmentRecord, State};
use super::{
    OBJECT_SIZE_BYTES_MAX, OBJECTS_NAME, STATE_NAME, STATE_SIZE_BYTES_MAX, Store, VersionInfo,
};
use crate::error::{Code, Error, Result, ResultExt};
use crate::files::{Entry, Folder};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};

/// The number of times that a state is read again because it was replaced while its segments were
/// being read.
const READ_ATTEMPTS_COUNT: usize = 8;

/// A snapshot and the file that it was read from.
#[derive(Debug)]
pub(super) struct Loaded {
    entry: Entry,
    pub snapshot: Arc<Snapshot>,
    /// While the file is open, its inode is not given to another file, so an equal entry is the
    /// same file and not a later one. It is open for reading only.
    _file: File,
}

impl Loaded {
    /// Reads and checks the pointer file, and the segments that `before` does not have.
    pub fn read(folder: &Folder, before: Option<&Snapshot>) -> Result<Self> {
        let mut attempts_left = READ_ATTEMPTS_COUNT;
        loop {
            attempts_left -= 1;
            let file = folder.open_file(STATE_NAME)?;
            let entry = folder.entry_of(&file, STATE_NAME)?;
            let too_large = Code::StoreMalformed;
            let bytes = folder.read_open(&file, STATE_NAME, STATE_SIZE_BYTES_MAX, too_large)?;
            let state = State::decode(&bytes, &folder.path_of(STATE_NAME).display())?;
            match read_segments(folder, &state, before) {
                Ok(segments) => {
                    let snapshot = Arc::new(Snapshot::new(state, segments, before));
                    return Ok(Self { entry, snapshot, _file: file });
                }
                // A writer removes segments that it has merged. There is a newer state then.
                Err(error) if error.code() == Code::NotFound => {
                    let newest = folder.entry(STATE_NAME)?;
                    if attempts_left == 0 || newest.is_some_and(|newest| newest.is_same(&entry)) {
                        return Err(Error::new(Code::StoreCorrupt, error.to_string()));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The snapshot of what a writer has just written and renamed, without reading it again.
    /// `entry` is the file as it was written. The result is `None` if another file has its name by
    /// now.
    pub fn written(snapshot: Snapshot, entry: &Entry, folder: &Folder) -> Result<Option<Self>> {
        let file = folder.open_file(STATE_NAME)?;
        let found = folder.entry_of(&file, STATE_NAME)?;
        let is_same = found.is_same(entry);
        Ok(is_same.then(|| Self { entry: found, snapshot: Arc::new(snapshot), _file: file }))
    }

    fn is_current(&self, folder: &Folder) -> Result<bool> {
        Ok(folder.entry(STATE_NAME)?.is_some_and(|found| found.is_same(&self.entry)))
    }
}

/// The segments of a state, oldest first.
fn read_segments(
    folder: &Folder,
    state: &State,
    before: Option<&Snapshot>,
) -> Result<Vec<Arc<Segment>>> {
    let known = |hash: &ObjectHash| {
        let mut known = before.map_or(&[][..], Snapshot::segments).iter();
        known.find(|segment| segment.record.hash == *hash).cloned()
    };
    let read = |record| Segment::read(folder, record).map(Arc::new);
    let segment = |record: &SegmentRecord| match known(&record.hash) {
        Some(segment) => Ok(segment),
        None => read(*record),
    };
    state.segments.iter().map(segment).collect()
}

impl Store {
    /// The present state of the store, including what other processes have committed.
    ///
    /// It takes no lock of the store. While `state.json` has not changed, it costs one call of the
    /// file system. The first thread that notices a change reads and checks the file, while other
    /// threads of this handle get the previous state.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::StoreMalformed`] or [`Code::StoreCorrupt`] if the pointer file
    /// was removed or damaged since the store was opened.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let current = self.current.load();
        if current.is_current(&self.folder)? {
            return Ok(Arc::clone(&current.snapshot));
        }
        match self.reader.try_lock() {
            Ok(reading) => self.refresh(reading),
            Err(TryLockError::Poisoned(reading)) => self.refresh(reading.into_inner()),
            Err(TryLockError::WouldBlock) => Ok(Arc::clone(&current.snapshot)),
        }
    }

    /// Like [`Store::snapshot`], but never the previous state. This is for writers, which hold the
    /// lock.
    pub(crate) fn newest(&self) -> Result<Arc<Snapshot>> {
        self.refresh(self.reader())
    }

    /// The lock of the thread that replaces the current snapshot, so that it never goes back in
    /// time.
    pub(super) fn reader(&self) -> MutexGuard<'_, ()> {
        // The mutex guards no data, so a panic while it was held has broken nothing.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, _reading: MutexGuard<'_, ()>) -> Result<Arc<Snapshot>> {
        let current = self.current.load();
        // Another thread may have read the change while this one waited.
        if current.is_current(&self.folder)? {
            return Ok(Arc::clone(&current.snapshot));
        }
        let fresh = Loaded::read(&self.folder, Some(&current.snapshot))
            .context(|| format!("reading the store {}", self.path().display()))?;
        let snapshot = Arc::clone(&fresh.snapshot);
        self.current.store(Arc::new(fresh));
        Ok(snapshot)
    }

    /// Every version of `task`, or of all tasks, ordered by task, language and number.
    ///
    /// # Errors
    /// As for [`Store::snapshot`] and [`Snapshot::versions`].
    pub fn versions(&self, task: Option<&str>) -> Result<Vec<VersionInfo>> {
        self.snapshot()?.versions(task)
    }

    /// Reads the bytes of an object and checks them against its hash.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] if no version has this object; [`Code::StoreCorrupt`] with the
    /// file, what was expected and what was found, if the file is missing or has another size or
    /// content.
    pub fn read_object(&self, hash: &ObjectHash) -> Result<Vec<u8>> {
        let Some(size_bytes) = self.snapshot()?.object_size_bytes(hash) else {
            let message = format!("no version in {} has the object {hash}", self.path().display());
            return Err(Error::new(Code::StoreNoVersion, message));
        };
        let objects = self.objects(hash, size_bytes)?;
        let name = hash.to_string();
        let file = open_object(&objects, &name, size_bytes)?;
        let bytes = objects.read_open(&file, &name, size_bytes, Code::StoreCorrupt)?;
        check_object(&objects, &name, hash, ObjectHash::of(&bytes))?;
        Ok(bytes)
    }

    /// The folder of the objects, for an object with this `hash`.
    pub(super) fn objects(&self, hash: &ObjectHash, size_bytes: u64) -> Result<Folder> {
        let objects = self.folder.folder_if_there(OBJECTS_NAME)?;
        objects.ok_or_else(|| {
            let path = self.folder.path_of(OBJECTS_NAME).join(hash.to_string());
            missing(&path, size_bytes)
        })
    }
}

fn missing(path: &Path, size_bytes: u64) -> Error {
    let what = format!("the object {} is missing; expected {size_bytes} bytes", path.display());
    Error::new(Code::StoreCorrupt, what)
}

/// Opens an object and checks that its file has the stated size.
pub(super) fn open_object(objects: &Folder, name: &str, size_bytes: u64) -> Result<File> {
    let path = objects.path_of(name);
    let corrupt = |what: String| {
        Error::new(Code::StoreCorrupt, format!("the object {} {what}", path.display()))
    };
    match objects.entry(name)? {
        None => return Err(missing(&path, size_bytes)),
        Some(entry) if !entry.is_file() => {
            return Err(corrupt(format!("is not a regular file but {}", entry.noun())));
        }
        _ => {}
    }
    let file = objects.open_file(name)?;
    let found = objects.entry_of(&file, name)?.size_bytes();
    if found != size_bytes {
        return Err(corrupt(format!("has {found} bytes, expected {size_bytes}")));
    }
    if found > OBJECT_SIZE_BYTES_MAX {
        return Err(corrupt(format!("has {found} bytes, at most {OBJECT_SIZE_BYTES_MAX} allowed")));
    }
    Ok(file)
}

/// Hashes an object in pieces and compares the hash, so that it need not fit into memory.
pub(super) fn check_file(objects: &Folder, hash: &ObjectHash, size_bytes: u64) -> Result<()> {
    let name = hash.to_string();
    let file = open_object(objects, &name, size_bytes)?;
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(file.take(size_bytes))
        .map_err(|cause| Error::io(Code::IoRead, "reading", &objects.path_of(&name), &cause))?;
    check_object(objects, &name, hash, hasher.finalize().into())
}

fn check_object(
    objects: &Folder,
    name: &str,
    expected: &ObjectHash,
    found: ObjectHash,
) -> Result<()> {
    if found == *expected {
        return Ok(());
    }
    let path = objects.path_of(name);
    let what = format!("has the content hash {found}, expected {expected}");
    Err(Error::new(Code::StoreCorrupt, format!("the object {} {what}", path.display())))
}
