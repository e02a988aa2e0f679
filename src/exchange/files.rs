//! Files of other libraries: read whole within a limit, written whole or not at all.
//!
//! A folder is made beside its final place and renamed into it, so that a crash leaves no half of
//! it. This module must never overwrite what exists, and never follow a name out of a folder: file
//! names are the fixed ones of a format, never taken from a file.

use crate::error::{Code, Error, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// Largest configuration file that is read, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The content of a regular file of at most `size_bytes_max` bytes.
pub fn read(path: &Path, size_bytes_max: u64) -> Result<Vec<u8>> {
    let failed = |cause| Error::io(Code::IoRead, "reading", path, &cause);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    // A pipe or a device would block or never end.
    if !metadata.is_file() {
        return Err(Error::new(Code::IoRead, format!("{}: expected a file", path.display())));
    }
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(size_bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > size_bytes_max {
        return Err(Error::new(
            Code::AdapterUnsupported,
            format!("{}: expected at most {size_bytes_max} bytes, found more", path.display()),
        ));
    }
    Ok(bytes)
}

/// Writes a new folder with these files.
///
/// # Errors
/// [`Code::ArgumentInvalid`] when something is at `folder` already, [`Code::IoWrite`].
pub fn write_folder(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    refuse_existing(folder)?;
    let parent = parent(folder);
    let failed = |cause| Error::io(Code::IoWrite, "writing", folder, &cause);
    let partial = tempfile::Builder::new().prefix(".polygraft-").tempdir_in(parent);
    let partial = partial.map_err(failed)?;
    for (name, bytes) in files {
        write_synced(&partial.path().join(name), bytes).map_err(failed)?;
    }
    // What is exported is for everybody to read, unlike a temporary folder.
    readable(partial.path()).map_err(failed)?;
    sync_folder(partial.path()).map_err(failed)?;
    std::fs::rename(partial.path(), folder).map_err(failed)?;
    let _moved = partial.keep();
    sync_folder(parent).map_err(failed)
}

/// Writes a new file.
///
/// # Errors
/// As [`write_folder`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    refuse_existing(path)?;
    let failed = |cause| Error::io(Code::IoWrite, "writing", path, &cause);
    let mut partial = tempfile::NamedTempFile::new_in(parent(path)).map_err(failed)?;
    partial.write_all(bytes).map_err(failed)?;
    readable(partial.path()).map_err(failed)?;
    partial.as_file().sync_all().map_err(failed)?;
    partial.persist_noclobber(path).map_err(|cause| failed(cause.error))?;
    sync_folder(parent(path)).map_err(failed)
}

fn refuse_existing(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("{}: expected a new path, found something there", path.display());
    Err(Error::new(Code::ArgumentInvalid, message))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn readable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
