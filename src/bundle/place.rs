//! Puts a new bundle in its final place.
//!
//! A new bundle is built in a folder beside its final place and exchanged for the old one in one
//! step, so that readers always find the old or the new one. The builder holds a lock on its
//! folder. A build folder without a lock was left by a killed run: the next run removes it, after
//! restoring an old bundle that had been moved aside and not been replaced. This module must never
//! touch a folder that another run builds in, and never follow a link.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::{io, process};

use tempfile::TempDir;

use super::manifest::MANIFEST_FILE;
use crate::error::{Code, Error, Result};
use crate::files::{exchange, parent, sync_folder};

/// The prefix of build folders.
const PREFIX: &str = ".polygraft-bundle-";

/// How often a build folder is recreated because another run removed it before it was locked.
const ATTEMPTS_MAX: usize = 16;

pub(super) struct BundlePlace {
    out: PathBuf,
    parent: PathBuf,
}

/// A build folder; dropping it removes it with its content.
pub(super) struct Workplace {
    folder: TempDir,
    /// Marks the folder as in use; absent where folders cannot be locked.
    lock: Option<File>,
    /// The building process: a forked child also holds the lock, and must not release it.
    process: u32,
}

impl Workplace {
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if self.process != process::id() {
            self.folder.disable_cleanup(true);
        } else if let Some(lock) = &self.lock {
            // Released explicitly, since a child that was forked meanwhile would keep the lock.
            let _ = lock.unlock();
        }
    }
}

impl BundlePlace {
    /// The place with the path `out`.
    pub(super) fn of(out: &Path) -> Self {
        Self { out: out.to_owned(), parent: parent(out).to_owned() }
    }

    /// Removes what killed runs left beside the place. Files that cannot be removed stay and do no
    /// harm.
    pub(super) fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.parent) else { return };
        for entry in entries.flatten() {
            let is_ours = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.tidy_leftover(&entry.path());
            }
        }
    }

    fn tidy_leftover(&self, folder: &Path) {
        let Ok(Some(lock)) = lock(folder) else { return };
        if let Some((bundle, name)) = moved_aside(folder) {
            let home = self.parent.join(name);
            if home.symlink_metadata().is_err() && fs::rename(bundle, home).is_err() {
                return;
            }
        }
        let _ = fs::remove_dir_all(folder);
        let _ = lock.unlock();
    }

    /// An empty folder beside the place, on the same file system.
    pub(super) fn workplace(&self) -> Result<Workplace> {
        let parent = &self.parent;
        let failed = |what: &str, cause: &io::Error| Error::io(Code::IoWrite, what, parent, cause);
        fs::create_dir_all(parent).map_err(|cause| failed("creating the folder", &cause))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The default permissions of a new folder, subject to the process's umask.
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let process = process::id();
        for _ in 0..ATTEMPTS_MAX {
            let folder = builder
                .tempdir_in(parent)
                .map_err(|cause| failed("creating a folder in", &cause))?;
            match lock(folder.path()) {
                Ok(lock) => return Ok(Workplace { folder, lock, process }),
                // Another run saw the folder without its lock and is removing it.
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::NotFound => {}
                // Some file systems have no locks; leftovers stay there.
                Err(TryLockError::Error(_)) => {
                    return Ok(Workplace { folder, lock: None, process });
                }
            }
        }
        let message = format!("creating a folder in {}: others keep removing it", parent.display());
        Err(Error::new(Code::IoWrite, message))
    }

    /// Gives the build folder its final name, exchanging an old bundle of that name. Readers that
    /// have the old one open keep its files.
    pub(super) fn put(&self, mut built: Workplace) -> Result<()> {
        let exists = || self.out.symlink_metadata().is_ok();
        if exists() && exchange(built.path(), &self.out).is_ok() {
            sync_folder(&self.parent)?;
            // The folder that is dropped and removed is now the old bundle.
            return Ok(());
        }
        let old = if exists() { Some(self.move_aside()?) } else { None };
        if let Err(error) = rename(built.path(), &self.out) {
            if let Some((_, moved)) = &old {
                rename(moved, &self.out)?;
            }
            return Err(error);
        }
        // The folder was renamed, so nothing is left to remove under its old name.
        built.folder.disable_cleanup(true);
        sync_folder(&self.parent)
    }

    /// Moves the old bundle into a folder of its own, under its name: if this run is killed before
    /// the new one is in place, the next run restores the old one.
    fn move_aside(&self) -> Result<(Workplace, PathBuf)> {
        let aside = self.workplace()?;
        let name = self.out.file_name().unwrap_or(OsStr::new("bundle"));
        let moved = aside.path().join(name);
        rename(&self.out, &moved)?;
        Ok((aside, moved))
    }
}

/// The bundle that was moved into a folder, and its name: it is the only entry.
fn moved_aside(folder: &Path) -> Option<(PathBuf, std::ffi::OsString)> {
    let mut entries = fs::read_dir(folder).ok()?;
    let only = entries.next()?.ok()?;
    let is_bundle = only.path().join(MANIFEST_FILE).symlink_metadata().is_ok();
    (entries.next().is_none() && is_bundle).then(|| (only.path(), only.file_name()))
}

/// Locks a build folder that still exists; `None` where the system has no such locks.
///
/// # Errors
/// `WouldBlock` when another process holds the lock, `NotFound` when the folder is gone.
#[cfg(unix)]
fn lock(folder: &Path) -> Result<Option<File>, TryLockError> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY);
    let file = options.open(folder).map_err(TryLockError::Error)?;
    file.try_lock()?;
    let locked = file.metadata().map_err(TryLockError::Error)?;
    // Another run may have removed the folder between opening and locking it.
    let there = folder.symlink_metadata().map_err(TryLockError::Error)?;
    if (locked.dev(), locked.ino()) != (there.dev(), there.ino()) {
        return Err(TryLockError::Error(io::ErrorKind::NotFound.into()));
    }
    Ok(Some(file))
}

#[cfg(not(unix))]
fn lock(_folder: &Path) -> Result<Option<File>, TryLockError> {
    Ok(None)
}

/// The identity of the folder with this name: device, inode and when the inode last changed, since
/// a new folder may get the inode of a removed one. `None` where the system does not provide it.
#[cfg(unix)]
pub(super) fn identity(folder: &Path) -> Option<(u64, u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let found = folder.metadata().ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

#[cfg(not(unix))]
pub(super) fn identity(_folder: &Path) -> Option<(u64, u64, i64, i64)> {
    None
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|cause| Error::io(Code::IoWrite, "renaming to", to, &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A folder with a manifest, whose content does not matter here.
    fn bundle(folder: &Path, text: &str) {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join(MANIFEST_FILE), text).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn what_is_left_is_removed_and_what_is_built_in_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let place = BundlePlace::of(&path("bundle"));
        let busy = place.workplace().unwrap();
        fs::create_dir(path(".polygraft-bundle-killed")).unwrap();
        fs::write(path(".polygraft-bundle-killed/backbone.onnx"), "half").unwrap();
        fs::create_dir(path("precious")).unwrap();
        fs::write(path("precious/diary.txt"), "dear diary").unwrap();
        std::os::unix::fs::symlink(path("precious"), path(".polygraft-bundle-link")).unwrap();
        place.tidy();
        let own = busy.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(names(folder.path()), {
            let mut expected = vec![own, ".polygraft-bundle-link".into(), "precious".into()];
            expected.sort();
            expected
        });
        assert_eq!(names(&path("precious")), ["diary.txt"]);
        drop(busy);
        place.tidy();
        assert_eq!(names(folder.path()), [".polygraft-bundle-link", "precious"]);
    }

    #[test]
    #[cfg(unix)]
    fn an_old_bundle_that_was_moved_aside_comes_back_unless_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [("one", "old one"), ("two", "old two")] {
            let aside = path(&format!(".polygraft-bundle-{name}"));
            fs::create_dir(&aside).unwrap();
            bundle(&aside.join(name), text);
        }
        bundle(&path("two"), "new two");
        BundlePlace::of(&path("three")).tidy();
        assert_eq!(names(folder.path()), ["one", "two"]);
        let text = |name: &str| fs::read_to_string(path(name).join(MANIFEST_FILE)).unwrap();
        assert_eq!((text("one").as_str(), text("two").as_str()), ("old one", "new two"));
    }

    #[test]
    fn moving_aside_and_back_is_the_way_where_nothing_can_be_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let place = BundlePlace::of(&folder.path().join("bundle"));
        bundle(&place.out, "old");
        let (aside, moved) = place.move_aside().unwrap();
        assert!(place.out.symlink_metadata().is_err());
        assert_eq!(fs::read_to_string(moved.join(MANIFEST_FILE)).unwrap(), "old");
        rename(&moved, &place.out).unwrap();
        drop(aside);
        assert_eq!(names(folder.path()), ["bundle"]);
    }
}
