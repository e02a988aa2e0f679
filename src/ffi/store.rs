//! The store: versions on disk, and which of them are active.

use super::error::ErrorObject;
use super::gate::{Out, Status, free, gate, gate_value, object, required};
use super::handle::{self, Handle};
use super::report::at;
use super::sized::{self, SizedStruct};
use super::text::{StringView, Text, array, path, text, text_optional, texts};
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

/// A list of versions as it was when it was made.
pub struct VersionsObject(Vec<VersionTexts>);

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
    /// Its number: 1 for the first version of a language.
    pub number: u32,
    /// The task.
    pub task: StringView,
    /// The language, or `mul` for the shared adapter of the languages without a version.
    pub language: StringView,
    /// The BLAKE3 hash of its content, in hexadecimal.
    pub hash: StringView,
    /// The size of its content.
    pub size_bytes: u64,
    /// When it was published, in milliseconds since 1970 UTC.
    pub created_unix_ms: u64,
    /// The version that was active when it was published; 0 for none.
    pub parent: u32,
    /// 1 if it serves its language now, else 0.
    pub active: u8,
    /// 1 if it is active and pinned, else 0.
    pub pinned: u8,
    /// 0.
    pub reserved: u16,
}

// SAFETY: repr(C); integers and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for VersionEntry {
    const NAME: &'static str = "polygraft_version";
    const SIZE_FIRST: usize = size_of::<Self>();
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

/// Opens the store in the folder `path`, or creates it when the folder is empty or absent. A store
/// that is there is not changed by opening it. The handle stays with the folder that is there now:
/// a relative path may be given, and the working folder may change later. No file of the store
/// stays open for writing between calls.
///
/// Ownership: gives `*store`; close it with `polygraft_store_close`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, io.*, store.malformed, store.corrupt.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_open(
    path: *const c_char,
    store: *mut *mut StoreHandle,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or valid pointers; each is checked before use, texts are
    // NUL-terminated and unchanged during the call.
    unsafe {
        gate(error, || {
            let out = Out::new("store", store)?;
            let opened = Store::open(self::path("path", path)?)?;
            out.write(handle::open(Arc::new(opened)));
            Ok(())
        })
    }
}

/// Closes a store and sets `*store` to NULL. Models opened with it stay usable. NULL and a pointer
/// to NULL do nothing.
///
/// Ownership: takes `*store`.
/// Threads: safe while other threads use the store: waits until their calls have ended, later ones
/// fail.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_close(store: *mut *mut StoreHandle) {
    // SAFETY: the caller passes NULL or a pointer to a handle.
    unsafe { handle::close(store) }
}

/// Lists the versions of `task`, or of all tasks if `task` is NULL, ordered by task, language and
/// number.
///
/// Ownership: gives `*versions`; free it with `polygraft_versions_free`.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, store.malformed, task.name.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_versions(
    store: *const StoreHandle,
    task: *const c_char,
    versions: *mut *mut VersionsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let out = Out::new("versions", versions)?;
            let store = handle::borrow(store)?;
            let task = text_optional("task", task)?;
            task.map_or(Ok(()), check_task_name)?;
            let listed = store.versions(task)?;
            let listed = listed.into_iter().map(VersionTexts::new).collect();
            out.write(Box::into_raw(Box::new(VersionsObject(listed))));
            Ok(())
        })
    }
}

/// Activates `numbers[i]` for `languages[i]`, for all `count` languages in one step: after it, and
/// after a crash at any moment, either all of them are active or none. Predictions that run finish
/// on the version they started with.
///
/// Ownership: borrows everything.
/// Threads: may be called concurrently on one store, also while it is predicted with.
/// Errors: argument.*, language.*, store.no_version, store.pinned, store.corrupt,
/// store.locked, io.*.
/// Since: 0.1.0
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
        gate(error, || {
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

/// Activates what was active before for a language; calling it again goes back further.
///
/// `number` may be NULL; otherwise it gets the number that is active now, 0 if none is.
///
/// Ownership: writes `*number`, which stays the caller's.
/// Threads: may be called concurrently on one store, also while it is predicted with.
/// Errors: argument.*, language.*, store.no_version, store.pinned, store.corrupt,
/// store.locked, io.*.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_roll_back(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    number: *mut u32,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let store = handle::borrow(store)?;
            let task = text("task", task)?;
            let language = store.language(task, text("language", language)?)?;
            let active = store.roll_back(task, &language)?;
            if !number.is_null() {
                number.write(active.unwrap_or(0));
            }
            Ok(())
        })
    }
}

/// Pins a language to its active version: no update, activation or roll back moves it until it is
/// unpinned.
///
/// `number` may be NULL; otherwise it gets the number that the language is pinned to.
///
/// Ownership: writes `*number`, which stays the caller's.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, language.*, store.no_version, store.locked, io.*.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_pin(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    number: *mut u32,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let store = handle::borrow(store)?;
            let task = text("task", task)?;
            let language = store.language(task, text("language", language)?)?;
            let pinned = store.pin(task, &language)?;
            if !number.is_null() {
                number.write(pinned);
            }
            Ok(())
        })
    }
}

/// Lets a pinned language move again.
///
/// Ownership: borrows everything.
/// Threads: may be called concurrently on one store.
/// Errors: argument.*, language.*, store.no_version, store.locked, io.*.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_unpin(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_open`; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let store = handle::borrow(store)?;
            let task = text("task", task)?;
            let language = store.language(task, text("language", language)?)?;
            store.unpin(task, &language)
        })
    }
}

/// How many versions a list has; 0 for NULL.
///
/// Ownership: borrows `versions`.
/// Threads: may be called concurrently on one list.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_versions_count(versions: *const VersionsObject) -> usize {
    // SAFETY: the caller passes NULL or a list of this library that is not freed.
    gate_value(0, || unsafe { object(versions) }.map_or(0, |list| list.0.len()))
}

/// Fills `version` with one version of a list. Set `version->struct_size` before.
///
/// Ownership: the views in `*version` are valid until `versions` is freed.
/// Threads: may be called concurrently on one list.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
/// Since: 0.1.0
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
        gate(error, || {
            let size = sized::check("version", version)?;
            let source = at(&required("versions", versions)?.0, index)?;
            sized::write(version, size, &source.entry());
            Ok(())
        })
    }
}

/// Frees a list of versions and sets `*versions` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*versions`; every view into it ends.
/// Threads: exclusive: no other thread may be using this list.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_versions_free(versions: *mut *mut VersionsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a list it owns.
    unsafe { free(versions) }
}
