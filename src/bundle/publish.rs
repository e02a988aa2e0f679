//! Puts a new bundle in its place.
//!
//! The new folder is built beside its final place under another name, synced, and renamed at the
//! end, so a folder of the final name is always whole. An old bundle stays until the new one is
//! complete; any other folder is never touched.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::manifest::{FileRecord, MANIFEST_FILE, Manifest};
use super::verify::{Meter, Phase, Progress, hash_file};
use super::{Bundle, Verify};
use crate::error::{Code, Error, Result};

/// What a bundle is made from, read and checked.
pub(super) trait Source {
    /// Bytes of weights, for reports.
    fn weights_size_bytes(&self) -> u64;

    /// Writes all files but the manifest into a folder.
    fn write(&self, folder: &Path) -> Result<()>;

    /// The manifest of what was written.
    fn manifest(&self, folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Manifest>;
}

/// Makes the bundle `out` of what `read` gives, and opens it.
///
/// # Errors
/// [`Code::ArgumentInvalid`] when `out` exists and must not be replaced; [`Code::IoWrite`] and
/// [`Code::IoFull`]; and those of `read`.
pub(super) fn publish<S: Source>(
    out: &Path,
    overwrite: bool,
    read: impl FnOnce() -> Result<S>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Bundle> {
    check_target(out, overwrite)?;
    progress(Progress { phase: Phase::Read, done_bytes: 0, total_bytes: 0 });
    let source = read()?;
    let parent = parent_of(out);
    let folder = new_folder(&parent)?;
    let weights_size_bytes = source.weights_size_bytes();
    let mut written = |done_bytes| {
        progress(Progress { phase: Phase::Write, done_bytes, total_bytes: weights_size_bytes })
    };
    written(0);
    source.write(folder.path())?;
    written(weights_size_bytes);
    let manifest = source.manifest(folder.path(), progress)?;
    write_file(&folder.path().join(MANIFEST_FILE), manifest.to_json()?.as_bytes())?;
    sync_folder(folder.path())?;
    put(folder, out, &parent)?;
    // What was just hashed need not be hashed again; everything else is checked as by any reader.
    Bundle::open(out, Verify::Quick)
}

/// Removes a data file that nothing was written to.
pub(super) fn remove_empty(path: &Path) -> Result<()> {
    let read_error = |cause| Error::io(Code::IoRead, "reading", path, &cause);
    if path.metadata().map_err(read_error)?.len() == 0 {
        fs::remove_file(path).map_err(read_error)?;
    }
    Ok(())
}

pub(super) fn invalid(message: String) -> Error {
    Error::new(Code::ArgumentInvalid, message)
}

/// Hashes the files back from the disk.
pub(super) fn records(
    folder: &Path,
    names: &[&str],
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<FileRecord>> {
    let size = |name: &&str| {
        let path = folder.join(name);
        let metadata = path.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(|cause| Error::io(Code::IoRead, "reading", &path, &cause))
    };
    let total_bytes = names.iter().map(size).sum::<Result<u64>>()?;
    let mut meter = Meter::new(total_bytes, progress);
    names
        .iter()
        .map(|name| {
            let (size_bytes, blake3) = hash_file(&folder.join(name), &mut meter)?;
            Ok(FileRecord { path: (*name).to_owned(), size_bytes, blake3 })
        })
        .collect()
}

/// Refuses to touch anything but a missing folder or, if asked, an old bundle.
fn check_target(out: &Path, overwrite: bool) -> Result<()> {
    let exists = out.symlink_metadata().is_ok();
    if !exists {
        return Ok(());
    }
    if !overwrite {
        return Err(invalid(format!("{} exists already", out.display())));
    }
    Manifest::read(out).map(drop).map_err(|error| {
        invalid(format!("{} exists and is not a bundle, so it stays: {error}", out.display()))
    })
}

/// The folder that `out` lies in.
fn parent_of(out: &Path) -> PathBuf {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// An empty folder beside the final one, removed again unless it is published.
fn new_folder(parent: &Path) -> Result<TempDir> {
    fs::create_dir_all(parent)
        .map_err(|cause| Error::io(Code::IoWrite, "creating the folder", parent, &cause))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".polygraft-bundle-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new folder; the process's mask takes away what it takes from others.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder
        .tempdir_in(parent)
        .map_err(|cause| Error::io(Code::IoWrite, "creating a folder in", parent, &cause))
}

pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|cause| Error::io(Code::IoWrite, "writing", path, &cause))
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|cause| Error::io(Code::IoWrite, "syncing", folder, &cause))
}

/// Gives the new folder its final name. An old bundle of that name is moved aside first and moved
/// back if that fails; who has it open keeps its files.
fn put(folder: TempDir, out: &Path, parent: &Path) -> Result<()> {
    let old = if out.symlink_metadata().is_ok() {
        let aside = new_folder(parent)?;
        rename(out, &aside.path().join("old"))?;
        Some(aside)
    } else {
        None
    };
    if let Err(error) = rename(folder.path(), out) {
        if let Some(aside) = &old {
            rename(&aside.path().join("old"), out)?;
        }
        return Err(error);
    }
    // The folder has another name now, so there is nothing to remove under the old one.
    let _ = folder.keep();
    sync_folder(parent)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|cause| Error::io(Code::IoWrite, "renaming to", to, &cause))
}
