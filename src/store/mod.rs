//! Versions on disk: publish, activate, roll back, pin, read, verify.
//!
//! A [`Store`] keeps immutable, numbered versions per task and language. Their bytes are objects
//! named by their hash. One pointer file, `state.json`, has the last changes, the active versions,
//! and the names of the segments with earlier records. Replacing that file is the only commit
//! point: a change of many languages, with the report and the remembered examples of its update, is
//! one step, and a crash at any moment leaves either the old or the new state.
//!
//! Writers exclude each other by a file lock. Readers take no lock: a snapshot costs one call of
//! the file system while nothing changes, and it sees the activations of other processes.
//!
//! This part must never look inside an object, never return bytes whose hash it has not checked,
//! and never reach outside of its folder.
//!
//! Input: the bytes of versions. Output: verified bytes and [`Snapshot`]s.

mod chain;
mod commit;
pub(crate) mod decided;
mod draft;
mod hash;
mod open;
mod read;
mod records;
mod remove;
mod segment;
mod snapshot;
mod state;
mod tags;
mod verify;
mod write;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod read_tests;

pub use chain::{Step, StepKind};
pub use hash::ObjectHash;
pub(crate) use records::{ExamplesRecord, ReportRecord};
pub use snapshot::Snapshot;
pub use verify::Problem;
pub(crate) use write::Decision;

use crate::error::{Code, Error, Result};
use crate::files::{Folder, Lock};
use crate::language::Language;
use arc_swap::ArcSwap;
use read::Loaded;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The maximum size of an object in bytes.
pub const OBJECT_SIZE_BYTES_MAX: u64 = 1 << 30;

/// The maximum size of the evidence of one version, in bytes of JSON.
pub const EVIDENCE_SIZE_BYTES_MAX: usize = 64 << 10;

/// The maximum size of a pointer file in bytes. polygraft 0.1 kept all records in it.
const STATE_SIZE_BYTES_MAX: u64 = 64 << 20;

/// The size in bytes from which on the records of the pointer file move to a segment. It is so
/// small that writing the file with every change costs little more than the wait for the disk.
const RECENT_SIZE_BYTES_MAX: usize = 64 << 10;

/// The time that a writer waits for another writer.
const LOCK_WAIT: Duration = Duration::from_millis(500);

const STATE_NAME: &str = "state.json";
const OBJECTS_NAME: &str = "objects";
const RECORDS_NAME: &str = "records";
pub(crate) const WORK_NAME: &str = "work";
const LOCK_NAME: &str = "lock";
/// The lock in the folder of a task's remembered examples, which the updater of the task holds.
const TASK_LOCK_NAME: &str = "lock";
/// The folder of the rehearsal buffers beside the versions. The store itself never touches them.
pub(crate) const REHEARSAL_NAME: &str = "rehearsal";
/// The folder of the reports of past updates, also beside the versions.
pub(crate) const REPORTS_NAME: &str = "reports";
/// The suffix of an update's checkpoint in the work area.
const CHECKPOINT_SUFFIX: &str = ".checkpoint";
const PARTIAL_SUFFIX: &str = ".partial";

/// A version of one language to publish.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// The language of the version; [`Language::shared`] for the shared one.
    pub language: Language,
    /// The content. Several new versions may share it; it is then stored once.
    pub bytes: Arc<[u8]>,
    /// Whether the version also becomes active. A pinned language keeps its version in any case.
    pub activate: bool,
    /// The evidence for the version: scores, seed, options, as any JSON up to
    /// [`EVIDENCE_SIZE_BYTES_MAX`].
    pub evidence: serde_json::Value,
}

/// The outcome of publishing a [`NewVersion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionId {
    /// The language of the version.
    pub language: Language,
    /// The number of the version; the first version of a language and task is 1.
    pub number: u32,
    /// The hash of the content.
    pub hash: ObjectHash,
    /// Whether the version is active now: activation was requested, and the language is not pinned.
    pub activated: bool,
}

/// The version that serves a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveVersion {
    /// The number of the version within its language and task.
    pub number: u32,
    /// The hash of the content, for [`Store::read_object`].
    pub hash: ObjectHash,
    /// The size of the content in bytes.
    pub size_bytes: u64,
}

/// The record of one version, for people and tools.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct VersionInfo {
    /// The task of the version.
    pub task: String,
    /// The language of the version.
    pub language: Language,
    /// The number of the version within its language and task.
    pub number: u32,
    /// The hash of the content.
    pub hash: ObjectHash,
    /// The size of the content in bytes.
    pub size_bytes: u64,
    /// Whether the version serves its language now.
    pub active: bool,
    /// Whether the version is active and its language is pinned to it.
    pub pinned: bool,
    /// The time of publication by the publisher's clock, in milliseconds since 1970-01-01 00:00
    /// UTC.
    pub created_unix_ms: u64,
    /// The version of the same language that was active when this one was published.
    pub parent: Option<u32>,
    /// The evidence that the publisher gave.
    pub evidence: serde_json::Value,
}

/// A folder of versions. It is `Send + Sync`; threads share it in an `Arc`.
#[derive(Debug)]
pub struct Store {
    folder: Folder,
    current: ArcSwap<Loaded>,
    /// The queue of this handle's threads, so that only other handles and processes time out.
    writer: Mutex<()>,
    /// The lock that a thread holds while it reads a change of another process.
    reader: Mutex<()>,
}

/// Checks that a task's name is `[a-z0-9][a-z0-9._-]{0,63}`, which is safe in every file system.
///
/// # Errors
/// [`Code::TaskName`] with the name, cut to a bounded length.
pub fn check_task_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let begins = name.bytes().next().is_some_and(plain);
    if begins && name.len() <= 64 && name.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
    {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    let expected =
        "expected 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit";
    Err(Error::new(Code::TaskName, format!("{shown:?} is not a task name: {expected}")))
}

/// The name of the checkpoint of an update of `task` in the work area.
pub(crate) fn checkpoint_name(task: &str) -> String {
    format!("{task}{CHECKPOINT_SUFFIX}")
}

/// The name that a checkpoint has until it is complete.
pub(crate) fn checkpoint_partial_name(task: &str) -> String {
    format!("{task}{CHECKPOINT_SUFFIX}{PARTIAL_SUFFIX}")
}

/// The name under which an update of `task` makes the nameless file of its hidden states.
pub(crate) fn states_name(task: &str) -> String {
    format!("{task}.states")
}

/// Whether a file of the work area is the checkpoint of a stopped update.
fn is_checkpoint(name: &str) -> bool {
    name.ends_with(CHECKPOINT_SUFFIX)
}

/// The task whose update writes or wrote this incomplete checkpoint in the work area.
fn checkpoint_partial_task(name: &str) -> Option<&str> {
    let task = name.strip_suffix(PARTIAL_SUFFIX)?.strip_suffix(CHECKPOINT_SUFFIX)?;
    check_task_name(task).is_ok().then_some(task)
}

/// Takes the lock of the task whose remembered examples are in `memory`. Its holder may update the
/// task, and change or remove what belongs to its updates.
pub(crate) fn lock_task(memory: &Folder, wait: Duration) -> Result<Lock> {
    Lock::acquire(memory, TASK_LOCK_NAME, wait)
}

impl Store {
    /// Like [`lock_task`], for a task of this store.
    pub(crate) fn lock_task(&self, task: &str) -> Result<Lock> {
        check_task_name(task)?;
        lock_task(&self.folder.create_folder(REHEARSAL_NAME)?.create_folder(task)?, LOCK_WAIT)
    }
}
