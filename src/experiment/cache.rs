//! The cache between runs of the experiment. A key covers everything that a result depends on.
//!
//! Input: for a [`Key`], the bytes that a result depends on. Output: files named by the key. A file
//! is written completely or not at all, so an interrupted run is repeated and never partly trusted.
//! This module must never decide what a result depends on; its callers do.

use polygraft::console::file::FileToWrite;
use polygraft::example::{Example, Fields};
use polygraft::{Code, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

/// A hash of everything that a result depends on.
pub struct Key(blake3::Hasher);

impl Key {
    /// A key for one kind of result. The version of polygraft is part of it.
    pub fn new(kind: &str) -> Self {
        Self(blake3::Hasher::new()).with(kind).with(env!("CARGO_PKG_VERSION"))
    }

    /// Adds a part with its length, so that different lists of parts give different keys.
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// Adds a value as JSON.
    pub fn with_json(self, value: &impl Serialize) -> Result<Self> {
        Ok(self.with(serde_json::to_vec(value).map_err(not_json)?))
    }

    /// Adds examples, in their order.
    pub fn with_examples<'a>(self, examples: impl Iterator<Item = &'a Example>) -> Result<Self> {
        let lines: Vec<_> =
            examples.map(|example| (&example.language, Fields::of(example))).collect();
        self.with_json(&lines)
    }

    /// The key as a file name.
    pub fn name(&self) -> String {
        self.0.finalize().to_hex().as_str()[..32].to_owned()
    }
}

/// The hash of the running program, because another build may compute other results.
pub fn program_hash() -> Result<blake3::Hash> {
    let path = std::env::current_exe()
        .map_err(|cause| Error::new(Code::IoRead, format!("finding this program: {cause}")))?;
    let failed = |cause| Error::io(Code::IoRead, "reading", &path, &cause);
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(&path).map_err(failed)?).map_err(failed)?;
    Ok(hasher.finalize())
}

/// Reads a result; `None` when it is missing or has another form.
pub fn load<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes a result as JSON, completely or not at all.
pub fn save(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(value).map_err(not_json)?;
    json.push(b'\n');
    write(path, &json)
}

/// Writes a file, completely or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_folder(folder)?;
    }
    FileToWrite::create(path)?.write(bytes)
}

/// Creates a folder and its missing parents.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|cause| io_write("creating", path, &cause))
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    create_folder(to)?;
    let reading = |cause| Error::io(Code::IoRead, "listing", from, &cause);
    for entry in fs::read_dir(from).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let (source, target): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(reading)?.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(|cause| io_write("copying", &source, &cause))?;
        }
    }
    Ok(())
}

fn not_json(cause: serde_json::Error) -> Error {
    Error::new(Code::Internal, format!("writing JSON: {cause}"))
}

/// A file that could not be read.
pub fn io_read(path: &Path, cause: &std::io::Error) -> Error {
    Error::io(Code::IoRead, "reading", path, cause)
}

/// A file of the cache that could not be written.
pub fn io_write(action: &str, path: &Path, cause: &std::io::Error) -> Error {
    Error::io(Code::IoWrite, action, path, cause)
}
