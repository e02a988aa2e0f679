//! Files and folders outside of a store, written durably: whole or not at all.
//!
//! Bytes go to a temporary file or folder beside the final path, reach the disk, and only then get
//! their name; the folder around them is synced last. This module must never overwrite a file that
//! its caller did not ask it to replace.

use super::system;
use crate::error::{Code, Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that is being written. Nothing is at its path until it is complete.
pub(crate) struct PartialFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl PartialFile {
    /// Makes a temporary file beside `path`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let temporary = NamedTempFile::new_in(parent(path))
            .map_err(|cause| Error::io(Code::IoWrite, "creating", path, &cause))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// Writes the content and puts the file at its path in one step, readable for everybody. It
    /// replaces an existing file. Only the programs use it.
    #[cfg(feature = "cli")]
    pub(crate) fn replace(self, content: &[u8]) -> Result<()> {
        self.put(content, |temporary, path| {
            readable(temporary.path())?;
            temporary.persist(path).map_err(|cause| cause.error)
        })
    }

    /// Writes the content and puts the file at its path in one step, readable for the owner only.
    /// It replaces an existing file.
    pub(crate) fn replace_private(self, content: &[u8]) -> Result<()> {
        self.put(content, |temporary, path| temporary.persist(path).map_err(|cause| cause.error))
    }

    /// Writes the content and puts the file at its path in one step, readable for everybody.
    /// Nothing may be at the path.
    pub(crate) fn put_new(self, content: &[u8]) -> Result<()> {
        refuse_existing(&self.path)?;
        self.put(content, |temporary, path| {
            readable(temporary.path())?;
            temporary.persist_noclobber(path).map_err(|cause| cause.error)
        })
    }

    fn put(
        mut self,
        content: &[u8],
        persist: impl FnOnce(NamedTempFile, &Path) -> io::Result<File>,
    ) -> Result<()> {
        let failed = |cause| Error::io(Code::IoWrite, "writing", &self.path, &cause);
        self.temporary.write_all(content).map_err(failed)?;
        self.temporary.as_file().sync_all().map_err(failed)?;
        persist(self.temporary, &self.path).map_err(failed)?;
        sync_folder(parent(&self.path))
    }
}

/// Writes a file into a folder that nobody reads yet, and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, content: &[u8]) -> Result<()> {
    let file = File::create(path).map_err(|cause| write_error(path, &cause))?;
    let mut file = BufWriter::new(file);
    file.write_all(content).map_err(|cause| write_error(path, &cause))?;
    sync_file(file, path)
}

/// Waits until a file that was written in several steps is on the disk.
pub(crate) fn sync_file(mut file: BufWriter<File>, path: &Path) -> Result<()> {
    let synced = file.flush().and_then(|()| file.get_ref().sync_all());
    synced.map_err(|cause| write_error(path, &cause))
}

/// Waits until a change of names in a folder is on the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    system::sync(folder).map_err(|cause| Error::io(Code::IoWrite, "syncing", folder, &cause))
}

/// Writes a new folder with these files, readable for everybody.
///
/// # Errors
/// [`Code::ArgumentInvalid`] when something is at `folder` already, [`Code::IoWrite`].
pub(crate) fn write_new_folder(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    refuse_existing(folder)?;
    let failed = |cause: io::Error| write_error(folder, &cause);
    let partial = tempfile::Builder::new().prefix(".polygraft-").tempdir_in(parent(folder));
    let partial = partial.map_err(failed)?;
    for (name, content) in files {
        write_synced(&partial.path().join(name), content)?;
    }
    readable(partial.path()).map_err(failed)?;
    sync_folder(partial.path())?;
    fs::rename(partial.path(), folder).map_err(failed)?;
    let _moved = partial.keep();
    sync_folder(parent(folder))
}

/// The folder that contains a path.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_error(path: &Path, cause: &io::Error) -> Error {
    Error::io(Code::IoWrite, "writing", path, cause)
}

fn refuse_existing(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("{}: expected a new path, found something there", path.display());
    Err(Error::new(Code::ArgumentInvalid, message))
}

/// Makes a temporary file or folder readable for everybody.
#[cfg(unix)]
fn readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Other systems give temporary files the same rights as other files.
#[cfg(not(unix))]
fn readable(_path: &Path) -> io::Result<()> {
    Ok(())
}
