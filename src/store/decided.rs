//! Files beside the versions of which the pointer file says the hash.
//!
//! Reports and remembered examples belong to an update as much as its versions do, so the same
//! replacement of the pointer file decides about all of them. Such a file is first written under a
//! partial name; then the pointer file names its hash; then it gets its name. Who stops before the
//! decision has changed nothing, and what was decided but not yet renamed is found all the same.
//! This module must never give out bytes of another hash.

use super::hash::ObjectHash;
use crate::error::{Code, Error, Result};
use crate::files::Folder;

/// How often a file is looked for: it may get its name between two looks.
const ATTEMPTS_COUNT: usize = 3;

/// The most bytes that are read to see whether a partial file is the decided one.
const PARTIAL_SIZE_BYTES_MAX: u64 = 1 << 30;

/// The name that the file has until it is settled.
pub(crate) fn partial_name(name: &str) -> String {
    format!("{name}.partial")
}

/// Writes what the file `name` will hold if that is decided, durably, and gives its hash.
pub(crate) fn stage(folder: &Folder, name: &str, bytes: &[u8]) -> Result<ObjectHash> {
    folder.write(&partial_name(name), bytes)?;
    folder.sync()?;
    Ok(ObjectHash::of(bytes))
}

/// Gives the file with the decided `hash` its name, if it does not have it yet.
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

/// The bytes of the file with the decided `hash`.
///
/// # Errors
/// `damaged` when the file is missing, too large or of another content.
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
