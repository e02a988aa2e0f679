//! An exclusive lock among processes and handles.
//!
//! The lock is on a file of its own that is never removed. This module must never wait longer than
//! its caller allows, and never release a lock that another process holds.

use super::Folder;
use crate::error::{Code, Error, Result};
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The time between two attempts to take a lock.
const LOCK_RETRY_MS: u64 = 5;

/// An exclusive lock that is held until it is dropped. The operating system releases it when the
/// process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// The process that took the lock. A forked child inherits the file and with it the lock, but
    /// only the holder may release it.
    holder: u32,
}

impl Lock {
    /// Takes the lock `name` in `folder` and waits at most `wait`. The error is
    /// [`Code::StoreLocked`] if another holder keeps it longer.
    pub(crate) fn acquire(folder: &Folder, name: &str, wait: Duration) -> Result<Self> {
        let path = folder.path_of(name);
        Self::wait_for(folder.open_lock_file(name)?, path, wait)
    }

    fn wait_for(file: File, path: PathBuf, wait: Duration) -> Result<Self> {
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file, holder: std::process::id() }),
                Err(TryLockError::WouldBlock) if start.elapsed() < wait => {
                    std::thread::sleep(Duration::from_millis(LOCK_RETRY_MS));
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!(
                        "{} is locked by another writer; waited {} ms",
                        path.display(),
                        wait.as_millis()
                    );
                    return Err(Error::new(Code::StoreLocked, message));
                }
                Err(TryLockError::Error(cause)) => {
                    return Err(Error::io(Code::IoWrite, "locking", &path, &cause));
                }
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that was forked meanwhile has it open as well and
        // would keep the lock for as long as it lives. Such a child must not release it.
        if self.holder == std::process::id() {
            let _ = self.file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A forked child has a second descriptor of the same open file.
    #[test]
    fn a_lock_ends_with_its_holder_though_a_forked_child_has_the_file_open() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        let lock = Lock::acquire(&folder, "lock", Duration::ZERO).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        let error = Lock::acquire(&folder, "lock", Duration::ZERO).unwrap_err();
        assert_eq!(error.code(), Code::StoreLocked);
        drop(lock);
        Lock::acquire(&folder, "lock", Duration::ZERO).unwrap();
        drop(inherited);
    }

    #[test]
    fn a_forked_child_does_not_release_what_its_parent_holds() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        let lock = Lock::acquire(&folder, "lock", Duration::ZERO).unwrap();
        let file = lock.file.try_clone().unwrap();
        drop(Lock { file, holder: lock.holder + 1 });
        let error = Lock::acquire(&folder, "lock", Duration::ZERO).unwrap_err();
        assert_eq!(error.code(), Code::StoreLocked);
    }
}
