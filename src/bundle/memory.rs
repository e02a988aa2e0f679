//! Remembers which files were hashed, so that hundreds of megabytes are not hashed at each start.
//!
//! One small file in the user's cache folder lists files by device, inode, size and the times of
//! the last change of content and of the inode, each with its BLAKE3 hash. Any write to a file
//! changes one of these times, and no program can set the second one, so a listed file still holds
//! the bytes that were hashed. This module must never accept a key that is not equal, never trust a
//! list that others can write, and never fail: without a list everything is hashed.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Code, Error, Result};
use crate::files::{PartialFile, parent};

/// The variable that names the folder of the list; an empty value disables the list.
pub(super) const FOLDER_VARIABLE: &str = "POLYGRAFT_CACHE_DIR";

/// The name of the list in that folder.
const FILE_NAME: &str = "hashed-files";

/// The first line of the list.
const HEAD: &str = "polygraft-hashed-files 1";

/// The most files in the list; the oldest are dropped first.
const FILES_MAX: usize = 256;

/// The largest list that is read, in bytes; it exceeds a full one.
const LIST_SIZE_BYTES_MAX: u64 = 128 << 10;

/// How long a file must be unchanged before it is remembered. A write within one tick of the file
/// system's clock after the hashing would not change its times; the coarsest clock in use, that of
/// FAT, ticks every two seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Identifies a file with its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    device: u64,
    inode: u64,
    size_bytes: u64,
    /// Seconds since 1970 and nanoseconds of the last change of the content.
    modified: (i64, i64),
    /// The same of the inode.
    changed: (i64, i64),
}

impl Key {
    /// The key of a file; `None` where the system does not provide the data.
    #[cfg(unix)]
    pub fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// The key of a file; `None` where the system does not provide the data.
    #[cfg(not(unix))]
    pub fn of(_metadata: &Metadata) -> Option<Self> {
        None
    }

    /// Whether the content is unchanged according to size and modification time. Some network file
    /// systems report another inode each time, and a link or a permission changes no content.
    pub fn has_content_of(&self, other: &Self) -> bool {
        (self.size_bytes, self.modified) == (other.size_bytes, other.modified)
    }

    /// Whether the file was unchanged long enough before `now` for its times to be reliable.
    fn is_settled(&self, now: SystemTime) -> bool {
        let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else { return false };
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let last = self.modified.0.max(self.changed.0);
        now.saturating_sub(last) >= SETTLED_AFTER.as_secs() as i64
    }
}

/// The list, as it was when opening the bundle began.
#[derive(Debug, Default)]
pub(super) struct Memory {
    path: Option<PathBuf>,
    known: Vec<(Key, String)>,
}

impl Memory {
    /// The user's list: in `POLYGRAFT_CACHE_DIR`, else in `polygraft` below `XDG_CACHE_HOME` or
    /// `~/.cache`.
    pub fn of_user() -> Self {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let own = variable(FOLDER_VARIABLE);
        let shared = || {
            let absolute = |path: &PathBuf| path.is_absolute();
            let below = |home: PathBuf| home.join(".cache");
            let folder = variable("XDG_CACHE_HOME").filter(absolute);
            let folder = folder.or_else(|| variable("HOME").filter(absolute).map(below));
            folder.map(|folder| folder.join("polygraft"))
        };
        match own.or_else(shared) {
            Some(folder) if !folder.as_os_str().is_empty() => Self::at(&folder),
            _ => Self::default(),
        }
    }

    /// The list in a folder, which need not exist.
    fn at(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let known = read(&path).unwrap_or_default();
        Self { path: Some(path), known }
    }

    pub fn knows(&self, key: &Key, hash: &str) -> bool {
        self.known.iter().any(|(known, found)| known == key && found == hash)
    }

    /// Remembers the hashes of files. `started` is when hashing began: files that changed shortly
    /// before that are not remembered.
    pub fn remember(&self, found: &[(Key, String)], started: SystemTime) {
        let Some(path) = &self.path else { return };
        let settled: Vec<_> =
            found.iter().filter(|(key, _)| key.is_settled(started)).cloned().collect();
        if settled.is_empty() {
            return;
        }
        // Another process may have written meanwhile; entries lost in a race are hashed again.
        let mut all = read(path).unwrap_or_default();
        let new: HashSet<Key> = settled.iter().map(|(key, _)| *key).collect();
        all.retain(|(key, _)| !new.contains(key));
        all.extend(settled);
        let surplus = all.len().saturating_sub(FILES_MAX);
        // A missing list does no harm: the next run hashes again.
        let _ = write(path, &all[surplus..]);
    }
}

/// The entries of a list that only its user can write; `None` for anything else.
fn read(path: &Path) -> Option<Vec<(Key, String)>> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LIST_SIZE_BYTES_MAX {
        return None;
    }
    let file = File::open(path).ok()?;
    if !is_private(&file.metadata().ok()?) {
        return None;
    }
    let mut text = String::new();
    file.take(LIST_SIZE_BYTES_MAX).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return None;
    }
    lines.map(parse).collect()
}

/// Whether only the owner can write.
#[cfg(unix)]
fn is_private(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.is_file() && metadata.mode() & 0o022 == 0
}

/// Whether only the owner can write.
#[cfg(not(unix))]
fn is_private(metadata: &Metadata) -> bool {
    metadata.is_file()
}

/// One line: a hash, and a key as seven numbers.
fn parse(line: &str) -> Option<(Key, String)> {
    let mut words = line.split(' ');
    let hash = words.next().filter(|hash| hash.len() == 64)?.to_owned();
    let mut unsigned = || words.next()?.parse::<u64>().ok();
    let (device, inode, size_bytes) = (unsigned()?, unsigned()?, unsigned()?);
    let mut signed = || words.next()?.parse::<i64>().ok();
    let modified = (signed()?, signed()?);
    let changed = (signed()?, signed()?);
    let key = Key { device, inode, size_bytes, modified, changed };
    words.next().is_none().then_some((key, hash))
}

/// Replaces the list atomically.
fn write(path: &Path, entries: &[(Key, String)]) -> Result<()> {
    let mut text = format!("{HEAD}\n");
    for (key, hash) in entries {
        let Key { device, inode, size_bytes, modified, changed } = key;
        text += &format!(
            "{hash} {device} {inode} {size_bytes} {} {} {} {}\n",
            modified.0, modified.1, changed.0, changed.1
        );
    }
    let folder = parent(path);
    let failed = |cause| Error::io(Code::IoWrite, "creating the folder", folder, &cause);
    fs::create_dir_all(folder).map_err(failed)?;
    PartialFile::create(path)?.replace_private(text.as_bytes())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn hash(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    /// A file that counts as unchanged for an hour.
    fn settled(folder: &Path, content: &str) -> (PathBuf, Key, SystemTime) {
        let path = folder.join("data");
        fs::write(&path, content).unwrap();
        let key = Key::of(&path.metadata().unwrap()).unwrap();
        (path, key, SystemTime::now() + Duration::from_secs(3600))
    }

    #[test]
    fn what_was_hashed_is_known_by_the_next_run_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("deep/cache");
        let (_, key, later) = settled(folder.path(), "abc");
        assert!(!Memory::at(&cache).knows(&key, &hash('a')));
        Memory::at(&cache).remember(&[(key, hash('a'))], later);
        let memory = Memory::at(&cache);
        assert!(memory.knows(&key, &hash('a')));
        assert!(!memory.knows(&key, &hash('b')));
        let others = [
            Key { device: key.device + 1, ..key },
            Key { inode: key.inode + 1, ..key },
            Key { size_bytes: key.size_bytes + 1, ..key },
            Key { modified: (key.modified.0, key.modified.1 + 1), ..key },
            Key { changed: (key.changed.0 + 1, key.changed.1), ..key },
        ];
        assert!(others.iter().all(|other| !memory.knows(other, &hash('a'))));
        // The later entry counts.
        Memory::at(&cache).remember(&[(key, hash('b'))], later);
        let memory = Memory::at(&cache);
        assert!(memory.knows(&key, &hash('b')) && !memory.knows(&key, &hash('a')));
    }

    #[test]
    fn a_file_that_was_just_written_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (_, key, _) = settled(folder.path(), "abc");
        Memory::at(folder.path()).remember(&[(key, hash('a'))], SystemTime::now());
        assert!(!Memory::at(folder.path()).knows(&key, &hash('a')));
    }

    #[test]
    fn a_write_changes_the_key_also_when_its_time_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key, _) = settled(folder.path(), "abc");
        let modified = path.metadata().unwrap().modified().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        fs::write(&path, "abd").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        let other = Key::of(&path.metadata().unwrap()).unwrap();
        assert_eq!(other.modified, key.modified);
        assert_ne!(other, key);
    }

    #[test]
    fn a_list_that_is_damaged_foreign_or_too_long_is_no_list() {
        let folder = tempfile::tempdir().unwrap();
        let (_, key, later) = settled(folder.path(), "abc");
        Memory::at(folder.path()).remember(&[(key, hash('a'))], later);
        let path = folder.path().join(FILE_NAME);
        let good = fs::read_to_string(&path).unwrap();
        let long = good.clone() + &"x".repeat(LIST_SIZE_BYTES_MAX as usize);
        for bad in [&good[1..], &good[..good.len() - 3], &good.replace("1\n", "2\n"), "", &long] {
            fs::write(&path, bad).unwrap();
            assert!(!Memory::at(folder.path()).knows(&key, &hash('a')), "{bad:?}");
        }
        fs::write(&path, &good).unwrap();
        assert!(Memory::at(folder.path()).knows(&key, &hash('a')));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!Memory::at(folder.path()).knows(&key, &hash('a')));
        // A link may lead to somebody else's list.
        let aside = folder.path().join("aside");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&path, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        assert!(!Memory::at(folder.path()).knows(&key, &hash('a')));
    }

    #[test]
    fn the_list_stays_small_and_a_folder_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let (_, key, later) = settled(folder.path(), "abc");
        let many = |count: u64| -> Vec<(Key, String)> {
            (0..count).map(|inode| (Key { inode, ..key }, hash('a'))).collect()
        };
        let memory = Memory::at(folder.path());
        memory.remember(&many(1000), later);
        let path = folder.path().join(FILE_NAME);
        assert!(path.metadata().unwrap().len() < LIST_SIZE_BYTES_MAX);
        let memory = Memory::at(folder.path());
        assert_eq!(memory.known.len(), FILES_MAX);
        assert!(memory.knows(&Key { inode: 999, ..key }, &hash('a')));
        Memory::at(&path.join("below a file")).remember(&many(1), later);
        Memory::default().remember(&many(1), later);
    }
}
