//! Checking a whole store against its own records.
//!
//! Checking must never repair anything.

use super::read::{Loaded, check_file};
use super::{OBJECTS_NAME, STATE_NAME, Store};
use crate::error::{Code, Error, Result};
use std::path::{Path, PathBuf};

/// A file of a store that does not match its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The kind of damage: [`Code::StoreCorrupt`] or [`Code::StoreMalformed`].
    pub code: Code,
    /// The expectation and the finding.
    pub message: String,
}

impl Store {
    /// Reads every object of every version and compares it with its hash. Returns the problems,
    /// ordered by path; the list is empty if there are none.
    ///
    /// # Errors
    /// Only failures that prevent the check, such as [`Code::IoRead`]; damage is in the returned
    /// list.
    pub fn verify(&self) -> Result<Vec<Problem>> {
        let state_path = self.folder.path_of(STATE_NAME);
        // Everything is read again, because an earlier snapshot says nothing about the files.
        let snapshot = match Loaded::read(&self.folder, None) {
            Ok(loaded) => loaded.snapshot,
            Err(error) => return Ok(vec![problem(&state_path, error)?]),
        };
        let objects_path = self.folder.path_of(OBJECTS_NAME);
        let mut problems = Vec::new();
        for (hash, size_bytes) in snapshot.objects() {
            let objects = self.objects(hash, size_bytes);
            let checked = objects.and_then(|objects| check_file(&objects, hash, size_bytes));
            if let Err(error) = checked {
                problems.push(problem(&objects_path.join(hash.to_string()), error)?);
            }
        }
        if let Err(error) = snapshot.versions(None) {
            problems.push(problem(&state_path, error)?);
        }
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(problems)
    }
}

/// Turns damage into a problem; anything else stays an error.
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
