//! Compares the files of a bundle with its manifest.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::manifest::{FileRecord, Manifest};
use crate::error::{Code, Error, Result};

/// How thoroughly a bundle is checked when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// The sizes of all files; the hashes of those that opening reads whole (the graph, the
    /// tokenizer in use) and of every small file. Takes milliseconds.
    #[default]
    Quick,
    /// The hash of every file. Takes as long as reading them.
    Full,
}

/// What long work is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading the model and compiling the tokenizer.
    Read,
    /// Writing the files of a bundle.
    Write,
    /// Hashing files.
    Hash,
}

/// How far long work is. Within a phase `done_bytes` grows to `total_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes done in this phase.
    pub done_bytes: u64,
    /// Bytes to do in this phase; 0 where not known.
    pub total_bytes: u64,
}

/// Files up to this size are always hashed, in bytes.
const SMALL_SIZE_BYTES_MAX: u64 = 1 << 20;

/// How much is read at once, in bytes.
const BLOCK_SIZE_BYTES: usize = 1 << 20;

/// The files of a bundle, checked, by the path in the manifest.
pub(super) struct CheckedFiles(HashMap<String, PathBuf>);

impl CheckedFiles {
    /// The canonical path of a listed file.
    pub fn path(&self, path: &str) -> Result<&Path> {
        self.0.get(path).map(PathBuf::as_path).ok_or_else(|| {
            Error::new(Code::BundleManifest, format!("{path:?} is not among the listed files"))
        })
    }
}

/// Checks the files in the canonical `folder` against the manifest.
pub(super) fn check_files(
    folder: &Path,
    manifest: &Manifest,
    verify: Verify,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckedFiles> {
    let mut paths = HashMap::new();
    for record in &manifest.files {
        paths.insert(record.path.clone(), check_size(folder, record)?);
    }
    let read_whole = [manifest.backbone.graph.as_str(), manifest.tokenizer.opened()];
    let hashed = |record: &&FileRecord| {
        verify == Verify::Full
            || record.size_bytes <= SMALL_SIZE_BYTES_MAX
            || read_whole.contains(&record.path.as_str())
            || manifest.with_past() == Some(&record.path)
    };
    let hashed: Vec<&FileRecord> = manifest.files.iter().filter(hashed).collect();
    let mut meter = Meter::new(hashed.iter().map(|record| record.size_bytes).sum(), progress);
    for record in hashed {
        let (size_bytes, hash) = hash_file(&paths[&record.path], &mut meter)?;
        if size_bytes != record.size_bytes || hash != record.blake3 {
            return Err(mismatch(
                record,
                format!("the hash {} of {} bytes", record.blake3, record.size_bytes),
                format!("{hash} of {size_bytes} bytes"),
            ));
        }
    }
    Ok(CheckedFiles(paths))
}

/// The canonical path of a listed file, which has the stated size and lies inside the folder.
fn check_size(folder: &Path, record: &FileRecord) -> Result<PathBuf> {
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
    Ok(canonical)
}

fn mismatch(record: &FileRecord, expected: String, found: String) -> Error {
    let path = &record.path;
    Error::new(Code::BundleMismatch, format!("{path:?}: expected {expected}, found {found}"))
}

/// Counts bytes over several files and reports them.
pub(super) struct Meter<'a> {
    state: Progress,
    report: &'a mut dyn FnMut(Progress),
}

impl<'a> Meter<'a> {
    pub fn new(total_bytes: u64, report: &'a mut dyn FnMut(Progress)) -> Self {
        Self { state: Progress { phase: Phase::Hash, done_bytes: 0, total_bytes }, report }
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
