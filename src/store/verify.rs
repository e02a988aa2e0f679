//! Checking a whole store against its own records.

use super::Store;
use super::hash::ObjectHash;
use super::read::{check_object, open_object};
use crate::error::{Code, Error, Result};
use std::path::{Path, PathBuf};

/// Something in a store that is not as its records state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What kind of damage it is: [`Code::StoreCorrupt`] or [`Code::StoreMalformed`].
    pub code: Code,
    /// What was expected and what was found.
    pub message: String,
}

impl Store {
    /// Reads every object of every version and compares it with its hash. Returns what is wrong,
    /// ordered by path; nothing when all is well.
    ///
    /// # Errors
    /// Only what keeps it from checking, such as [`Code::IoRead`]; damage is in the returned list.
    pub fn verify(&self) -> Result<Vec<Problem>> {
        let snapshot = match self.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => return Ok(vec![problem(&self.state_path, error)?]),
        };
        let mut problems = Vec::new();
        for (hash, size_bytes) in snapshot.objects() {
            let path = self.object_path(hash);
            if let Err(error) = check_file(&path, hash, size_bytes) {
                problems.push(problem(&path, error)?);
            }
        }
        if let Err(error) = snapshot.versions(None) {
            problems.push(problem(&self.state_path, error)?);
        }
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(problems)
    }
}

/// Hashes a file in pieces: an object need not fit into memory.
fn check_file(path: &Path, hash: &ObjectHash, size_bytes: u64) -> Result<()> {
    let file = open_object(path, size_bytes)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(|cause| Error::io(Code::IoRead, "reading", path, &cause))?;
    check_object(path, hash, hasher.finalize().into())
}

/// Damage becomes a problem; anything else stays an error.
fn problem(path: &Path, error: Error) -> Result<Problem> {
    match error.code() {
        Code::StoreCorrupt | Code::StoreMalformed | Code::NotFound => {
            let code =
                if error.code() == Code::NotFound { Code::StoreCorrupt } else { error.code() };
            Ok(Problem { path: path.to_owned(), code, message: error.to_string() })
        }
        _ => Err(error),
    }
}
