//! The store: versions on disk, and which of them are active.

use super::boundary::{boundary, give_object};
use super::error::{ErrorObject, Status};
use super::handle::{self, Handle};
use super::object::{at, free, read, required};
use super::sized::{self, SizedStruct};
use super::text::{StringView, Text, array, optional, path, text, texts};
use crate::error::Result;
use crate::language::Language;
use crate::store::{Store, VersionInfo, check_task_name};
use std::ffi::c_char;
use std::sync::Arc;

/// The versions of all tasks and languages on disk. Several processes may open one store.
pub struct StoreHandle;

impl Handle for StoreHandle {
    type Object = Arc<Store>;
    const NOUN: &'static str = "store";
    const WORKS_AFTER_FORK: bool = true;
}

/// A list of versions. It does not change when the store does.
pub struct VersionsObject(Vec<VersionTexts>);

impl VersionsObject {
    pub(super) fn new(versions: Vec<VersionInfo>) -> Self {
        Self(versions.into_iter().map(VersionTexts::new).collect())
    }
}

/// One version with the texts that C views.
struct VersionTexts {
    task: Text,
    language: Text,
    hash: Text,
    info: VersionInfo,
}

/// One version of one language's adapter for one task.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct VersionEntry {
    /// `sizeof(polygraft_version)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// The number of the version; the first version of a language is 1.
    pub number: u32,
    /// The task.
    pub task: StringView,
    /// The language, or `mul` for the shared adapter of the languages without a version.
    pub language: StringView,
    /// The BLAKE3 hash of the content, in hexadecimal.
    pub hash: StringView,
    /// The size of the content, in bytes.
    pub size_bytes: u64,
    /// The time of publication, in milliseconds since 1970-01-01 00:00 UTC.
    pub created_unix_ms: u64,
    /// The number of the version that was active at the time of publication; 0 for none.
    pub parent: u32,
    /// 1 if the version is active, else 0.
    pub active: u8,
    /// 1 if the version is active and pinned, else 0.
    pub pinned: u8,
    /// 0.
    pub reserved: u16,
}

// SAFETY: repr(C); integers and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for VersionEntry {
    const NAME: &'static str = "polygraft_version";
}

impl VersionTexts {
    fn new(info: VersionInfo) -> Self {
        Self {
            task: Text::new(&info.task),
            language: Text::new(info.language.as_str()),
            hash: Text::new(info.hash.to_string()),
            info,
        }
    }

    fn entry(&self) -> VersionEntry {
        let info = &self.info;
        VersionEntry {
            struct_size: size_of::<VersionEntry>() as u32,
            number: info.number,
            task: self.task.view(),
            language: self.language.view(),
            hash: self.hash.view(),
            size_bytes: info.size_bytes,
            created_unix_ms: info.created_unix_ms,
            parent: info.parent.unwrap_or(0),
            active: info.active.into(),
            pinned: info.pinned.into(),
            reserved: 0,
        }
    }
}

/// Opens the store in the folder `path`, and creates it if the folder is empty or absent. Opening
/// does not change an existing store. The handle refers to the folder that was opened: `path` may
/// be relative, and the working folder may change later. Between calls no file of the store stays
/// open for writing.
///
/// Ownership: the caller owns `*store` and closes it with `polygraft_store_close`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, io.*, store.malformed, store.corrupt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_open(
    path: *const c_char,
    store: *mut *mut StoreHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe { handle::give(error, store, || Ok(Arc::new(Store::open(self::path("path", path)?)?))) }
}

/// Closes a store and sets `*store` to NULL. Models that were opened with it stay usable. NULL and
/// a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*store`.
/// Threads: safe while other threads use the store: it waits until their calls have ended, and
/// later calls fail.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_close(store: *mut *mut StoreHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(store) }
}

/// Lists the versions of `task`, or of all tasks if `task` is NULL. They are ordered by task,
/// language and number.
///
/// Ownership: the caller owns `*versions` and frees it with `polygraft_versions_free`.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, store.malformed, task.name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_versions(
    store: *const StoreHandle,
    task: *const c_char,
    versions: *mut *mut VersionsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`.
    unsafe {
        give_object(error, "versions", versions, || {
            let store = handle::borrow(store)?;
            let task = optional(task, |task| text("task", task))?;
            task.map_or(Ok(()), check_task_name)?;
            Ok(VersionsObject::new(store.versions(task)?))
        })
    }
}

/// Activates `numbers[i]` for `languages[i]`, for all `count` languages in one step. After the
/// call, and after a crash at any moment, either all of them are active or none of them. Running
/// predictions finish on the version they started with.
///
/// Ownership: the caller keeps everything.
/// Threads: may be called concurrently on one store, also while models predict with it.
/// Errors: argument.*, language.*, store.no_version, store.pinned, store.corrupt,
/// store.locked, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_activate(
    store: *const StoreHandle,
    task: *const c_char,
    languages: *const *const c_char,
    numbers: *const u32,
    count: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`; both arrays have `count` elements.
    unsafe {
        boundary(error, || {
            let store = handle::borrow(store)?;
            let task = text("task", task)?;
            let languages = texts("languages", languages, count)?.into_iter();
            let languages = languages.map(|tag| store.language(task, tag));
            let numbers = array("numbers", numbers, count)?.iter().copied();
            let choices: Vec<(Language, u32)> = languages
                .zip(numbers)
                .map(|(language, number)| Ok((language?, number)))
                .collect::<Result<_>>()?;
            store.activate(task, &choices)
        })
    }
}

/// Runs a call about one language of a task and writes the number that it returns, if `number` is
/// not NULL.
///
/// # Safety
/// `task` and `language` are NULL or NUL-terminated texts, `number` and `error` NULL or writable.
unsafe fn on_language(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    number: *mut u32,
    error: *mut *mut ErrorObject,
    call: impl FnOnce(&Store, &str, &Language) -> Result<u32>,
) -> Status {
    // SAFETY: the same promise; `number` is written only if it is not NULL.
    unsafe {
        boundary(error, || {
            let store = handle::borrow(store)?;
            let task = text("task", task)?;
            let language = store.language(task, text("language", language)?)?;
            let found = call(&store, task, &language)?;
            if !number.is_null() {
                number.write(found);
            }
            Ok(())
        })
    }
}

/// Activates the version of a language that was active before the present one. Each further call
/// goes back one more step.
///
/// `number` may be NULL. Otherwise it receives the number of the version that is active now, or 0
/// if none is.
///
/// Ownership: the function writes `*number`, which stays the caller's.
/// Threads: may be called concurrently on one store, also while models predict with it.
/// Errors: argument.*, language.*, store.no_version, store.pinned, store.corrupt,
/// store.locked, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_roll_back(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    number: *mut u32,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`; `number` is NULL or writable.
    unsafe {
        on_language(store, task, language, number, error, |store, task, language| {
            Ok(store.roll_back(task, language)?.unwrap_or(0))
        })
    }
}

/// Pins a language to its active version. No update, activation or roll-back changes the version
/// until the language is unpinned.
///
/// `number` may be NULL. Otherwise it receives the number of the version that the language is
/// pinned to.
///
/// Ownership: the function writes `*number`, which stays the caller's.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, language.*, store.no_version, store.locked, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_pin(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    number: *mut u32,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`; `number` is NULL or writable.
    unsafe { on_language(store, task, language, number, error, Store::pin) }
}

/// Unpins a language, so that its version can change again.
///
/// Ownership: the caller keeps everything.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, language.*, store.no_version, store.locked, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_unpin(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`.
    unsafe {
        on_language(store, task, language, std::ptr::null_mut(), error, |store, task, language| {
            store.unpin(task, language).map(|()| 0)
        })
    }
}

/// Returns the number of versions in a list; 0 for NULL.
///
/// Ownership: the caller keeps `versions`.
/// Threads: may be called concurrently on one list.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_versions_count(versions: *const VersionsObject) -> usize {
    // SAFETY: the caller passes NULL or a list of this library that is not freed.
    unsafe { read(versions, 0, |list| list.0.len()) }
}

/// Fills `version` with one version of a list. The caller sets `version->struct_size` before.
///
/// Ownership: the views in `*version` are valid until `versions` is freed.
/// Threads: may be called concurrently on one list.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_versions_get(
    versions: *const VersionsObject,
    index: usize,
    version: *mut VersionEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or a list that is not freed, and NULL or a struct that
    // states its size truly.
    unsafe {
        sized::fill(error, "version", version, || {
            Ok(at(&required("versions", versions)?.0, index)?.entry())
        })
    }
}

/// Frees a list of versions and sets `*versions` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*versions`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this list.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_versions_free(versions: *mut *mut VersionsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a list it owns.
    unsafe { free(versions) }
}
