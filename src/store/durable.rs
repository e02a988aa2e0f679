//! Files that are whole after a crash at any instant.
//!
//! Bytes go to a partial file, reach the disk, and only then take their final name; the folder is
//! synced last. Readers open regular files only, within a stated size, and never follow a link out
//! of the folder. This module must never decide what a file means: it moves bytes and locks.

use crate::error::{Code, Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to sleep between two attempts to take a lock.
const LOCK_RETRY_MS: u64 = 5;

/// Writes `bytes` to a new file at `path`, replacing what a crash left there, and waits until they
/// are on the disk. A failed write leaves no file behind.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<File> {
    remove(path)?;
    step("create");
    let failed = |cause: std::io::Error| Error::io(Code::IoWrite, "writing", path, &cause);
    // `create_new` refuses a link that someone planted under the name in the meantime.
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    let written = write_synced(&mut file, bytes).map_err(failed);
    if let Err(error) = written {
        drop(file);
        // The first failure is the one to report; a leftover is removed by the next writer.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

fn write_synced(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    step("write");
    file.write_all(second)?;
    step("sync file");
    file.sync_all()
}

/// Gives the synced file `partial` its final name. The name is durable after [`sync_folder`].
pub(crate) fn rename(partial: &Path, target: &Path) -> Result<()> {
    step("rename");
    fs::rename(partial, target).map_err(|cause| {
        let _ = fs::remove_file(partial);
        Error::io(Code::IoWrite, "renaming to", target, &cause)
    })
}

/// Waits until the names in a folder are on the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    step("sync folder");
    if cfg!(unix) {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(|cause| Error::io(Code::IoWrite, "syncing the folder", path, &cause))?;
    }
    Ok(())
}

/// Creates a folder and its missing parents, durably.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    step("create folder");
    match fs::create_dir(path) {
        Ok(()) => parent.map_or(Ok(()), sync_folder),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(cause) => Err(Error::io(Code::IoWrite, "creating the folder", path, &cause)),
    }
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            Err(Error::io(Code::IoWrite, "removing", path, &cause))
        }
        _ => Ok(()),
    }
}

/// Opens a regular file for reading. Links, pipes and devices are refused: a pipe would block and
/// a link would leave the folder.
pub(crate) fn open(path: &Path) -> Result<File> {
    let failed = |cause: std::io::Error| Error::io(Code::IoRead, "opening", path, &cause);
    let mut options = OpenOptions::new();
    options.read(true);
    refuse_links(&mut options);
    let file = options.open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        let message = format!("opening {}: expected a regular file", path.display());
        return Err(Error::new(Code::IoRead, message));
    }
    Ok(file)
}

fn refuse_links(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// All bytes of an open file. More than `size_bytes_max` is an error of kind `too_large`, found
/// before anything is allocated.
pub(crate) fn read(
    file: &mut File,
    path: &Path,
    size_bytes_max: u64,
    too_large: Code,
) -> Result<Vec<u8>> {
    let failed = |cause: std::io::Error| Error::io(Code::IoRead, "reading", path, &cause);
    let oversized = |size: u64| {
        let message =
            format!("{} has {size} bytes, at most {size_bytes_max} expected", path.display());
        Error::new(too_large, message)
    };
    let size_bytes = file.metadata().map_err(failed)?.len();
    if size_bytes > size_bytes_max {
        return Err(oversized(size_bytes));
    }
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(usize::try_from(size_bytes).unwrap_or(usize::MAX));
    reserved.map_err(|cause| failed(std::io::Error::new(ErrorKind::OutOfMemory, cause)))?;
    // The file may grow between the question and the answer; the limit holds all the same.
    file.take(size_bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > size_bytes_max {
        return Err(oversized(bytes.len() as u64));
    }
    Ok(bytes)
}

/// An exclusive lock among processes and handles, held until dropped.
///
/// The operating system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, waiting at most `wait`; [`Code::StoreLocked`] when another holder
    /// keeps it longer than that.
    pub(crate) fn acquire(path: &Path, wait: Duration) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io(Code::IoWrite, "locking", path, &cause);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        refuse_links(&mut options);
        let file = options.open(path).map_err(failed)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
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
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
    }
}

/// Marks a point where a crash would leave the disk in another state; tests stop here.
#[cfg(not(test))]
#[inline]
fn step(_name: &'static str) {}

#[cfg(test)]
use faults::step;

/// Stops a test's thread at a chosen step, as a power cut would: nothing after it runs.
#[cfg(test)]
pub(crate) mod faults {
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    thread_local! {
        static STEPS_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
        static TRACE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    struct Stopped;

    pub(super) fn step(name: &'static str) {
        let Some(left) = STEPS_LEFT.get() else { return };
        if left == 0 {
            resume_unwind(Box::new(Stopped));
        }
        STEPS_LEFT.set(Some(left - 1));
        TRACE.with_borrow_mut(|trace| trace.push(name));
    }

    /// Runs `action` until it ends or has done `steps` steps; `None` when it was stopped. Also
    /// gives the names of the steps that were done.
    pub(crate) fn run<T>(
        steps: usize,
        action: impl FnOnce() -> T,
    ) -> (Option<T>, Vec<&'static str>) {
        STEPS_LEFT.set(Some(steps));
        TRACE.take();
        let outcome = catch_unwind(AssertUnwindSafe(action));
        STEPS_LEFT.set(None);
        let value = match outcome {
            Ok(value) => Some(value),
            Err(payload) if payload.is::<Stopped>() => None,
            Err(payload) => resume_unwind(payload),
        };
        (value, TRACE.take())
    }
}
