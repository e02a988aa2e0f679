//! The place where a bundle comes to lie.
//!
//! A new bundle is built in a folder beside its final place and exchanged for what is there in one
//! step, so that somebody who looks finds the old one or the new one at every moment. Whoever
//! builds holds a lock on that folder. A folder of this kind without a lock was left by a run that
//! was killed: the next one removes it, and first puts back an old bundle that had been moved aside
//! and found no successor. This part must never touch a folder that somebody builds in, nor follow
//! a link.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use tempfile::TempDir;

use super::manifest::MANIFEST_FILE;
use crate::error::{Code, Error, Result};
use crate::files::{exchange, parent, sync_folder};

/// What the names of folders that are built in begin with.
const PREFIX: &str = ".polygraft-bundle-";

/// How often a folder is made anew when another run took it for a leftover before it was locked.
const ATTEMPTS_MAX: usize = 16;

/// Where a bundle is to lie.
pub(super) struct BundlePlace {
    out: PathBuf,
    parent: PathBuf,
}

/// A folder to build in; removed again when it is dropped, with whatever it holds then.
pub(super) struct Workplace {
    folder: TempDir,
    /// Tells others that somebody builds here; absent where folders cannot be locked.
    lock: Option<File>,
    /// Who builds: a forked child has the lock, too, and must not give it back.
    process: u32,
}

impl Workplace {
    /// The folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if self.process != process::id() {
            self.folder.disable_cleanup(true);
        } else if let Some(lock) = &self.lock {
            // Said aloud, since a child that was forked meanwhile would keep it.
            let _ = lock.unlock();
        }
    }
}

impl BundlePlace {
    /// The place of that path.
    pub(super) fn of(out: &Path) -> Self {
        Self { out: out.to_owned(), parent: parent(out).to_owned() }
    }

    /// Removes what killed runs have left beside the place. What cannot be removed stays: it takes
    /// room and harms nothing.
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
            // As any new folder; the process's mask takes away what it takes from others.
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
                // Some file systems have no locks; there, leftovers are left.
                Err(TryLockError::Error(_)) => {
                    return Ok(Workplace { folder, lock: None, process });
                }
            }
        }
        let message = format!("creating a folder in {}: others keep removing it", parent.display());
        Err(Error::new(Code::IoWrite, message))
    }

    /// Gives what was built its final name. An old bundle of that name is exchanged for it; who has
    /// the old one open keeps its files.
    pub(super) fn put(&self, mut built: Workplace) -> Result<()> {
        let exists = || self.out.symlink_metadata().is_ok();
        if exists() && exchange(built.path(), &self.out).is_ok() {
            sync_folder(&self.parent)?;
            // The folder that is dropped, and so removed, holds the old bundle now.
            return Ok(());
        }
        let old = if exists() { Some(self.move_aside()?) } else { None };
        if let Err(error) = rename(built.path(), &self.out) {
            if let Some((_, moved)) = &old {
                rename(moved, &self.out)?;
            }
            return Err(error);
        }
        // It has another name now, and there is nothing to remove under the one that it had.
        built.folder.disable_cleanup(true);
        sync_folder(&self.parent)
    }

    /// Moves the old bundle into a folder of its own, under its name: should this run be killed
    /// before the new one is there, the next one puts it back.
    fn move_aside(&self) -> Result<(Workplace, PathBuf)> {
        let aside = self.workplace()?;
        let name = self.out.file_name().unwrap_or(OsStr::new("bundle"));
        let moved = aside.path().join(name);
        rename(&self.out, &moved)?;
        Ok((aside, moved))
    }
}

/// The bundle that was moved into a folder, and its name: it is alone there.
fn moved_aside(folder: &Path) -> Option<(PathBuf, std::ffi::OsString)> {
    let mut entries = fs::read_dir(folder).ok()?;
    let only = entries.next()?.ok()?;
    let is_bundle = only.path().join(MANIFEST_FILE).symlink_metadata().is_ok();
    (entries.next().is_none() && is_bundle).then(|| (only.path(), only.file_name()))
}

/// Locks a folder of ours that is still there; nothing where the system cannot.
///
/// # Errors
/// `WouldBlock` when somebody else has the lock, `NotFound` when the folder is gone.
#[cfg(unix)]
fn lock(folder: &Path) -> Result<Option<File>, TryLockError> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY);
    let file = options.open(folder).map_err(TryLockError::Error)?;
    file.try_lock()?;
    let locked = file.metadata().map_err(TryLockError::Error)?;
    // Between the opening and the locking somebody else may have removed it.
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

/// Which folder has this name now; nothing where the system does not say.
#[cfg(unix)]
pub(super) fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity(_folder: &Path) -> Option<(u64, u64)> {
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

    /// A folder with the manifest of a bundle, of which nothing but its presence counts here.
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
