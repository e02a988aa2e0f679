//! Files beside the versions whose hash is in the pointer file.
//!
//! Reports and remembered examples belong to an update like its versions, so the same replacement
//! of the pointer file commits all of them. Such a file is first written under a partial name; then
//! the pointer file states its hash; then it is renamed. A writer that stops before the commit has
//! changed nothing, and a file that was committed but not yet renamed is still found. This module
//! must never return bytes with another hash.

use super::hash::ObjectHash;
use crate::error::{Code, Error, Result};
use crate::files::Folder;

/// The number of attempts to find a file, which may be renamed between two of them.
const ATTEMPTS_COUNT: usize = 3;

/// The maximum number of bytes that are read to find out whether a partial file is the committed
/// one.
const PARTIAL_SIZE_BYTES_MAX: u64 = 1 << 30;

/// The name that the file has until it is settled.
pub(crate) fn partial_name(name: &str) -> String {
    format!("{name}.partial")
}

/// Writes the future content of the file `name` durably under its partial name, and returns its
/// hash.
pub(crate) fn stage(folder: &Folder, name: &str, bytes: &[u8]) -> Result<ObjectHash> {
    folder.write(&partial_name(name), bytes)?;
    folder.sync()?;
    Ok(ObjectHash::of(bytes))
}

/// Renames the file with the committed `hash` to its final name, unless that is done already.
pub(crate) fn settle(folder: &Folder, name: &str, hash: &ObjectHash) -> Result<()> {
    let partial = partial_name(name);
    let staged = match folder.read(&partial, PARTIAL_SIZE_BYTES_MAX, Code::StoreCorrupt) {
        Err(error) if error.code() == Code::NotFound => return Ok(()),
        read => read?,
    };
    if ObjectHash::of(&staged) == *hash {
        folder.rename(&partial, folder, name)?;
        folder.sync()?;
    }
    Ok(())
}

/// Reads the file with the committed `hash`.
///
/// # Errors
/// `damaged` if the file is missing, too large or has another content.
pub(crate) fn read(
    folder: &Folder,
    name: &str,
    hash: &ObjectHash,
    size_bytes_max: u64,
    damaged: Code,
) -> Result<Vec<u8>> {
    let path = folder.path_of(name);
    let mut found = None;
    for _ in 0..ATTEMPTS_COUNT {
        for candidate in [name.to_owned(), partial_name(name)] {
            match folder.read(&candidate, size_bytes_max, damaged) {
                Ok(bytes) if ObjectHash::of(&bytes) == *hash => return Ok(bytes),
                Ok(bytes) if candidate == name => found = Some(ObjectHash::of(&bytes)),
                Ok(_) => {}
                Err(error) if error.code() == Code::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    let what = match found {
        Some(found) => format!("has the content hash {found}, the store records {hash}"),
        None => format!("is missing; the store records its content hash {hash}"),
    };
    Err(Error::new(damaged, format!("{} {what}", path.display())))
}
