//! Reading a store: snapshots that notice changes, and verified objects.

use super::hash::ObjectHash;
use super::snapshot::Snapshot;
use super::state::State;
use super::{OBJECT_SIZE_BYTES_MAX, STATE_SIZE_BYTES_MAX, Store, VersionInfo, durable};
use crate::error::{Code, Error, Result, ResultExt};
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// A snapshot and the file that it was read from.
#[derive(Debug)]
pub(super) struct Loaded {
    identity: FileIdentity,
    pub snapshot: Arc<Snapshot>,
    /// While the file is open its inode is not given to another file, so an equal identity is
    /// really the same file and not a later one in its place.
    _file: File,
}

impl Loaded {
    /// Reads and checks the pointer file.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = durable::open(path)?;
        let identity = FileIdentity::of_file(&file, path)?;
        let bytes = durable::read(&mut file, path, STATE_SIZE_BYTES_MAX, Code::StoreMalformed)?;
        let state = State::decode(&bytes, &path.display())?;
        Ok(Self { identity, snapshot: Arc::new(Snapshot::new(state)), _file: file })
    }

    /// What a writer has just written as `file`, without reading it again.
    pub fn written(state: State, file: File, path: &Path) -> Result<Self> {
        let identity = FileIdentity::of_file(&file, path)?;
        Ok(Self { identity, snapshot: Arc::new(Snapshot::new(state)), _file: file })
    }
}

/// Tells whether a path still leads to the same, unmodified file.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FileIdentity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
    modified: Option<std::time::SystemTime>,
    size_bytes: u64,
}

impl FileIdentity {
    fn new(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            #[cfg(unix)]
            device_and_inode: (metadata.dev(), metadata.ino()),
            modified: metadata.modified().ok(),
            size_bytes: metadata.len(),
        }
    }

    fn of_file(file: &File, path: &Path) -> Result<Self> {
        let metadata = file.metadata();
        metadata.map(|data| Self::new(&data)).map_err(|cause| failed(path, &cause))
    }

    fn of_path(path: &Path) -> Result<Self> {
        let metadata = fs::symlink_metadata(path);
        metadata.map(|data| Self::new(&data)).map_err(|cause| failed(path, &cause))
    }
}

fn failed(path: &Path, cause: &std::io::Error) -> Error {
    Error::io(Code::IoRead, "looking at", path, cause)
}

impl Store {
    /// The state of the store now, including what other processes have committed.
    ///
    /// Takes no lock. Costs one look at `state.json` while it has not changed; a changed one is
    /// read and checked by the first thread that notices.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::StoreMalformed`] or [`Code::StoreCorrupt`] when the pointer file
    /// was removed or damaged since the store was opened.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let identity = FileIdentity::of_path(&self.state_path)?;
        let current = self.current.load();
        if current.identity == identity {
            return Ok(Arc::clone(&current.snapshot));
        }
        drop(current);
        let fresh = Loaded::read(&self.state_path)
            .context(|| format!("reading the store {}", self.folder.display()))?;
        let snapshot = Arc::clone(&fresh.snapshot);
        self.current.store(Arc::new(fresh));
        Ok(snapshot)
    }

    /// Every version of `task`, or of all tasks, ordered by task, language and number.
    ///
    /// # Errors
    /// As [`Store::snapshot`] and [`Snapshot::versions`].
    pub fn versions(&self, task: Option<&str>) -> Result<Vec<VersionInfo>> {
        self.snapshot()?.versions(task)
    }

    /// The bytes of an object, checked against its hash.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] when no version has this object; [`Code::StoreCorrupt`] naming the
    /// file, what was expected and what was found, when the file is missing, of another size or of
    /// another content.
    pub fn read_object(&self, hash: &ObjectHash) -> Result<Vec<u8>> {
        let Some(size_bytes) = self.snapshot()?.object_size_bytes(hash) else {
            let message = format!("no version in {} has the object {hash}", self.folder.display());
            return Err(Error::new(Code::StoreNoVersion, message));
        };
        let path = self.object_path(hash);
        let mut file = open_object(&path, size_bytes)?;
        let bytes = durable::read(&mut file, &path, size_bytes, Code::StoreCorrupt)?;
        check_object(&path, hash, ObjectHash::of(&bytes))?;
        Ok(bytes)
    }
}

/// Opens an object whose file has the stated size.
pub(super) fn open_object(path: &Path, size_bytes: u64) -> Result<File> {
    let corrupt = |what: String| {
        Error::new(Code::StoreCorrupt, format!("the object {} {what}", path.display()))
    };
    match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            return Err(corrupt(format!("is missing; expected {size_bytes} bytes")));
        }
        Ok(metadata) if !metadata.is_file() => {
            return Err(corrupt("is not a regular file".into()));
        }
        _ => {}
    }
    let file = durable::open(path)?;
    let found = file.metadata().map_err(|cause| failed(path, &cause))?.len();
    if found != size_bytes {
        return Err(corrupt(format!("has {found} bytes, expected {size_bytes}")));
    }
    if found > OBJECT_SIZE_BYTES_MAX {
        return Err(corrupt(format!("has {found} bytes, at most {OBJECT_SIZE_BYTES_MAX} allowed")));
    }
    Ok(file)
}

pub(super) fn check_object(path: &Path, expected: &ObjectHash, found: ObjectHash) -> Result<()> {
    if found == *expected {
        return Ok(());
    }
    let what = format!("has the content hash {found}, expected {expected}");
    Err(Error::new(Code::StoreCorrupt, format!("the object {} {what}", path.display())))
}
