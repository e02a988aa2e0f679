//! Compares the files of a bundle with its manifest.
//!
//! Files that opening reads whole are hashed each time. The large, mapped files are hashed once and
//! remembered; see `memory`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::manifest::{FileRecord, Manifest};
use super::memory::{Key, Memory};
use crate::error::{Code, Error, Result};

named! {
    /// How thoroughly a bundle is checked when it is opened.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Verify: "verify" {
        /// The sizes of all files; the hashes of those that opening reads whole (the graph, the
        /// tokenizer in use) and of every small file. Takes milliseconds.
        Quick = "quick",
        /// As quick for files that this user's earlier runs have hashed and that have not been
        /// written since; the other files are hashed, too. So the first open takes as long as
        /// reading the files, and later ones take milliseconds. `docs/formats.md` says where this
        /// is remembered.
        #[default]
        Remembered = "remembered",
        /// The hash of every file. Takes as long as reading them.
        Full = "full",
    }
}

named! {
    /// The phases of long work.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum BundlePhase {
        /// Reading the model and compiling the tokenizer.
        Read = "read",
        /// Writing the files of a bundle.
        Write = "write",
        /// Hashing files.
        Hash = "hash",
        /// Running the model of a new bundle.
        Try = "try",
    }
}

/// The progress of long work. Within a phase `done_bytes` grows to `total_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleProgress {
    /// The current phase.
    pub phase: BundlePhase,
    /// Bytes done in this phase.
    pub done_bytes: u64,
    /// Bytes to do in this phase; 0 if unknown.
    pub total_bytes: u64,
}

/// Files up to this size in bytes are always hashed.
const SMALL_SIZE_BYTES_MAX: u64 = 1 << 20;

/// The number of bytes that are read at once.
const BLOCK_SIZE_BYTES: usize = 1 << 20;

/// The checked files of a bundle, by their path in the manifest.
pub(super) struct CheckedFiles(HashMap<String, CheckedFile>);

/// The location of a file and, where the system provides it, its key when it was checked.
struct CheckedFile {
    path: PathBuf,
    key: Option<Key>,
}

impl CheckedFile {
    /// The current key of the file.
    fn key_now(&self) -> Option<Key> {
        Key::of(&self.path.metadata().ok()?)
    }
}

impl CheckedFiles {
    /// The canonical path of a listed file.
    pub fn path(&self, path: &str) -> Result<&Path> {
        self.0.get(path).map(|file| file.path.as_path()).ok_or_else(|| {
            Error::new(Code::BundleManifest, format!("{path:?} is not among the listed files"))
        })
    }

    /// Checks that the files mapped meanwhile are the ones that were checked.
    pub fn check_unchanged(&self) -> Result<()> {
        for (name, file) in &self.0 {
            let is_same = match (file.key, file.key_now()) {
                (Some(before), Some(now)) => before.has_content_of(&now),
                (before, _) => before.is_none(),
            };
            if !is_same {
                let message = format!("{name:?}: it was changed while the bundle was opened");
                return Err(Error::new(Code::BundleMismatch, message));
            }
        }
        Ok(())
    }
}

/// Checks the files in the canonical `folder` against the manifest.
pub(super) fn check_files(
    folder: &Path,
    manifest: &Manifest,
    verify: Verify,
    progress: &mut dyn FnMut(BundleProgress),
) -> Result<CheckedFiles> {
    let started = SystemTime::now();
    let mut files = HashMap::new();
    for record in &manifest.files {
        files.insert(record.path.clone(), check_size(folder, record)?);
    }
    let memory = if verify == Verify::Quick { Memory::default() } else { Memory::of_user() };
    let knows = |record: &FileRecord| {
        let key = files[&record.path].key;
        verify != Verify::Full && key.is_some_and(|key| memory.knows(&key, &record.blake3))
    };
    let hashed = |record: &&FileRecord| {
        is_always_hashed(manifest, record) || (verify != Verify::Quick && !knows(record))
    };
    let hashed: Vec<&FileRecord> = manifest.files.iter().filter(hashed).collect();
    let mut meter = Meter::new(hashed.iter().map(|record| record.size_bytes).sum(), progress);
    let mut found = Vec::new();
    for record in hashed {
        let file = &files[&record.path];
        let (size_bytes, hash) = hash_file(&file.path, &mut meter)?;
        if size_bytes != record.size_bytes || hash != record.blake3 {
            return Err(mismatch(
                record,
                format!("the hash {} of {} bytes", record.blake3, record.size_bytes),
                format!("{hash} of {size_bytes} bytes"),
            ));
        }
        let key = file.key.filter(|key| file.key_now() == Some(*key));
        found.extend(key.filter(|_| !is_always_hashed(manifest, record)).map(|key| (key, hash)));
    }
    memory.remember(&found, started);
    Ok(CheckedFiles(files))
}

/// Whether a file is hashed at every start: it is small, or read whole anyway.
fn is_always_hashed(manifest: &Manifest, record: &FileRecord) -> bool {
    let read_whole = [manifest.backbone.graph.as_str(), manifest.tokenizer.opened()];
    record.size_bytes <= SMALL_SIZE_BYTES_MAX
        || read_whole.contains(&record.path.as_str())
        || manifest.with_past() == Some(&record.path)
}

/// A listed file, checked to have the stated size and to lie inside the folder.
fn check_size(folder: &Path, record: &FileRecord) -> Result<CheckedFile> {
    let path = folder.join(&record.path);
    let read_error = |cause| Error::io(Code::IoRead, "reading", &path, &cause);
    let canonical = path.canonicalize().map_err(read_error)?;
    if !canonical.starts_with(folder) {
        return Err(Error::new(
            Code::BundleManifest,
            format!(
                "the manifest: {:?} leads to {} outside the bundle",
                record.path,
                canonical.display()
            ),
        ));
    }
    let metadata = canonical.metadata().map_err(read_error)?;
    if !metadata.is_file() {
        return Err(mismatch(record, "a file".into(), "something else".into()));
    }
    if metadata.len() != record.size_bytes {
        let expected = format!("{} bytes", record.size_bytes);
        return Err(mismatch(record, expected, format!("{} bytes", metadata.len())));
    }
    Ok(CheckedFile { key: Key::of(&metadata), path: canonical })
}

fn mismatch(record: &FileRecord, expected: String, found: String) -> Error {
    let path = &record.path;
    Error::new(Code::BundleMismatch, format!("{path:?}: expected {expected}, found {found}"))
}

/// Counts bytes over several files and reports them.
pub(super) struct Meter<'a> {
    state: BundleProgress,
    report: &'a mut dyn FnMut(BundleProgress),
}

impl<'a> Meter<'a> {
    pub fn new(total_bytes: u64, report: &'a mut dyn FnMut(BundleProgress)) -> Self {
        Self {
            state: BundleProgress { phase: BundlePhase::Hash, done_bytes: 0, total_bytes },
            report,
        }
    }

    fn add(&mut self, size_bytes: u64) {
        self.state.done_bytes += size_bytes;
        (self.report)(self.state);
    }
}

/// The size and the BLAKE3 hash of a file.
pub(super) fn hash_file(path: &Path, meter: &mut Meter<'_>) -> Result<(u64, String)> {
    let read_error = |cause| Error::io(Code::IoRead, "reading", path, &cause);
    let mut file = File::open(path).map_err(read_error)?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK_SIZE_BYTES];
    let mut size_bytes = 0;
    loop {
        let count = match file.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(read_error(cause)),
        };
        hasher.update(&block[..count]);
        size_bytes += count as u64;
        meter.add(count as u64);
    }
    Ok((size_bytes, hasher.finalize().to_hex().to_string()))
}
