//! Versions on disk: publish, activate, roll back, pin, read, verify.
//!
//! A [`Store`] keeps immutable, numbered versions per task and language. Their bytes are objects
//! named by their hash; one pointer file, `state.json`, says what changed last, what is active, and
//! which segments hold the records of what changed before. Replacing that file is the only commit
//! point, so a change of many languages, with the report and the remembered examples of its update,
//! is one step, and a crash at any instant leaves the old state or the new one, whole. Candidates
//! come in as bytes; verified bytes and [`Snapshot`]s go out.
//!
//! Writers exclude each other by a file lock. Readers take no lock at all: a snapshot costs one
//! question to the file system while nothing changes, and sees another process's activation.
//!
//! This part must never look inside an object, never serve bytes whose hash it has not checked, and
//! never reach outside of its folder.

mod chain;
mod commit;
pub(crate) mod decided;
mod draft;
mod hash;
mod open;
mod read;
mod records;
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

/// The largest object, in bytes.
pub const OBJECT_SIZE_BYTES_MAX: u64 = 1 << 30;

/// The largest evidence of one version, in bytes of JSON.
pub const EVIDENCE_SIZE_BYTES_MAX: usize = 64 << 10;

/// The largest pointer file that is read, in bytes. Polygraft 0.1 kept all records in it.
const STATE_SIZE_BYTES_MAX: u64 = 64 << 20;

/// The size in bytes from which on the pointer file hands its records to a segment: small enough
/// that writing it with every change costs little more than the wait for the disk.
const RECENT_SIZE_BYTES_MAX: usize = 64 << 10;

/// How long a writer waits for another one.
const LOCK_WAIT: Duration = Duration::from_millis(500);

const STATE_NAME: &str = "state.json";
const OBJECTS_NAME: &str = "objects";
const RECORDS_NAME: &str = "records";
pub(crate) const WORK_NAME: &str = "work";
const LOCK_NAME: &str = "lock";
/// In the folder of a task's remembered examples: held by whoever updates the task.
const TASK_LOCK_NAME: &str = "lock";
/// The rehearsal buffers live beside the versions; the store itself never touches them.
pub(crate) const REHEARSAL_NAME: &str = "rehearsal";
/// The reports of past updates lie beside them, too.
pub(crate) const REPORTS_NAME: &str = "reports";
/// What belongs to an update in the work area: where its training stands.
const CHECKPOINT_SUFFIX: &str = ".checkpoint";
const PARTIAL_SUFFIX: &str = ".partial";

/// A version of one language that is to be published.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Whose version it becomes; [`Language::shared`] for the shared one.
    pub language: Language,
    /// The content; several new versions may share it, and it is stored once.
    pub bytes: Arc<[u8]>,
    /// Whether it also becomes active. A pinned language keeps its version all the same.
    pub activate: bool,
    /// Why it may be served: scores, seed, options; any JSON up to [`EVIDENCE_SIZE_BYTES_MAX`].
    pub evidence: serde_json::Value,
}

/// What became of a [`NewVersion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionId {
    /// Whose version it is.
    pub language: Language,
    /// Its number: 1 for the first of its language and task.
    pub number: u32,
    /// The hash of its bytes.
    pub hash: ObjectHash,
    /// Whether it is active now: asked for, and the language not pinned.
    pub activated: bool,
}

/// The version that serves a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveVersion {
    /// Its number within its language and task.
    pub number: u32,
    /// The hash of its bytes, for [`Store::read_object`].
    pub hash: ObjectHash,
    /// The size of its bytes.
    pub size_bytes: u64,
}

/// The record of one version, for people and tools.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct VersionInfo {
    /// The task it predicts.
    pub task: String,
    /// The language it belongs to.
    pub language: Language,
    /// Its number within its language and task.
    pub number: u32,
    /// The hash of its bytes.
    pub hash: ObjectHash,
    /// The size of its bytes.
    pub size_bytes: u64,
    /// Whether it serves its language now.
    pub active: bool,
    /// Whether it is active and the language is pinned to it.
    pub pinned: bool,
    /// When it was published, in milliseconds since 1970 UTC by the publisher's clock.
    pub created_unix_ms: u64,
    /// The version of the same language that was active when this one was published.
    pub parent: Option<u32>,
    /// What the publisher gave as evidence.
    pub evidence: serde_json::Value,
}

/// A folder of versions. `Send + Sync`: share it between threads in an `Arc`.
#[derive(Debug)]
pub struct Store {
    folder: Folder,
    current: ArcSwap<Loaded>,
    /// Threads of this handle queue here, so that only other handles and processes time out.
    writer: Mutex<()>,
    /// Held by the thread that reads a change of another process.
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

/// The name that a checkpoint has until it is whole.
pub(crate) fn checkpoint_partial_name(task: &str) -> String {
    format!("{task}{CHECKPOINT_SUFFIX}{PARTIAL_SUFFIX}")
}

/// Whether a file of the work area is where a stopped update stands.
fn is_checkpoint(name: &str) -> bool {
    name.ends_with(CHECKPOINT_SUFFIX)
}

/// The task whose update writes or wrote this file of the work area, which is no checkpoint yet.
fn checkpoint_partial_task(name: &str) -> Option<&str> {
    let task = name.strip_suffix(PARTIAL_SUFFIX)?.strip_suffix(CHECKPOINT_SUFFIX)?;
    check_task_name(task).is_ok().then_some(task)
}

/// Takes the lock of the task whose remembered examples lie in `memory`. Whoever has it may update
/// the task, and change or remove what belongs to its updates.
pub(crate) fn lock_task(memory: &Folder, wait: Duration) -> Result<Lock> {
    Lock::acquire(memory, TASK_LOCK_NAME, wait)
}

impl Store {
    /// As [`lock_task`], of this store.
    pub(crate) fn lock_task(&self, task: &str) -> Result<Lock> {
        check_task_name(task)?;
        lock_task(&self.folder.create_folder(REHEARSAL_NAME)?.create_folder(task)?, LOCK_WAIT)
    }
}
