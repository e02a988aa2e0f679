//! Erasing: remembered examples with what was learnt from them, and old versions.

use super::boundary::{boundary, give_object};
use super::error::{ErrorObject, Status};
use super::handle;
use super::object::{at, boxed, free, read, required};
use super::sized::{self, SizedStruct, flag};
use super::store::{StoreHandle, VersionsObject};
use super::text::{StringView, Text, optional, text};
use crate::error::Result;
use crate::language::Language;
use crate::rehearsal::Which;
use crate::update::{self, Wiped};
use std::ffi::c_char;

/// Which remembered examples to wipe: those that meet all stated conditions.
/// `polygraft_wipe_options_init` fills it with no condition, which means all of the task.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WipeOptions {
    /// `sizeof(polygraft_wipe_options)`.
    pub struct_size: u32,
    /// 1 to retire the versions that may have learnt from the examples, else 0.
    pub retire: u8,
    /// Must be 0.
    pub reserved: [u8; 3],
    /// Only examples in this language; NULL for all languages.
    pub language: *const c_char,
    /// Only examples with this label, or with this tag or kind of span; NULL for all.
    pub label: *const c_char,
    /// Only examples that were first added before this time, in milliseconds since 1970-01-01 00:00
    /// UTC; 0 for all. Days are not divided: all examples of the day of this time are wiped. So are
    /// those whose day is not known, because polygraft 0.1 did not record it.
    pub added_before_unix_ms: u64,
}

// SAFETY: repr(C), integers and raw pointers only, `struct_size` first.
unsafe impl SizedStruct for WipeOptions {
    const NAME: &'static str = "polygraft_wipe_options";
}

const DEFAULTS: WipeOptions = WipeOptions {
    struct_size: size_of::<WipeOptions>() as u32,
    retire: 0,
    reserved: [0; 3],
    language: std::ptr::null(),
    label: std::ptr::null(),
    added_before_unix_ms: 0,
};

impl WipeOptions {
    /// # Safety
    /// Each text is NULL or NUL-terminated.
    unsafe fn which(&self, language: impl FnOnce(&str) -> Result<Language>) -> Result<Which> {
        sized::reserved(Self::NAME, &self.reserved.map(u64::from))?;
        // SAFETY: the same promise.
        unsafe {
            let tag = optional(self.language, |tag| text("language", tag))?;
            let label = optional(self.label, |label| text("label", label))?;
            let time = self.added_before_unix_ms;
            Ok(Which {
                language: tag.map(language).transpose()?,
                label: label.map(str::to_owned),
                added_before_unix_ms: (time > 0).then_some(time),
            })
        }
    }
}

/// What a wipe did: the wiped examples of each language, and the versions that may have learnt from
/// them.
pub struct WipedObject {
    languages: Vec<(Text, u64)>,
    versions: VersionsObject,
    retired: bool,
}

impl WipedObject {
    fn new(wiped: Wiped) -> Self {
        let language =
            |(language, count): (Language, usize)| (Text::new(language.as_str()), count as u64);
        Self {
            languages: wiped.examples.into_iter().map(language).collect(),
            versions: VersionsObject::new(wiped.learnt),
            retired: wiped.retired,
        }
    }
}

/// The wiped examples of one language.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WipedLanguageEntry {
    /// `sizeof(polygraft_wiped_language)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The language.
    pub language: StringView,
    /// The number of wiped examples.
    pub examples_count: u64,
}

// SAFETY: repr(C); integers and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for WipedLanguageEntry {
    const NAME: &'static str = "polygraft_wiped_language";
}

/// Fills `options` with the defaults; pass `sizeof(polygraft_wipe_options)` as `struct_size`.
///
/// Ownership: the function writes `*options`, which stays the caller's.
/// Threads: may be called concurrently on different structs.
/// Errors: argument.null, argument.invalid (a `struct_size` that no version had).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_wipe_options_init(
    options: *mut WipeOptions,
    struct_size: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or `struct_size` bytes of writable memory.
    unsafe { sized::init(error, options, struct_size, || DEFAULTS) }
}

/// Wipes remembered examples of `task` from memory and disk, and names the versions that may have
/// learnt from them. `options` may be NULL: everything that is remembered of the task is wiped, and
/// no version is retired.
///
/// A version may have learnt from an example if an update published it after the example was added.
/// Updates rehearse, and each builds on the versions before it, so this names too many versions
/// rather than too few. Imported versions are not named, unless their content came from such a
/// version. With `retire` the named versions are removed with their files, also active ones; their
/// languages go back to the last version that was active before and stays, or else to their
/// fallbacks. Examples, versions and pointers change in one step. The checkpoint of a stopped
/// update of the task is removed in any case.
///
/// Examples that the limits of an update dropped earlier cannot be found by label or time. Wiping a
/// whole language, or everything, names what was learnt from these as well.
///
/// Ownership: the caller owns `*wiped` and frees it with `polygraft_wiped_free`. `options` is only
/// read.
/// Threads: may be called concurrently on one store, also while models predict with it.
/// Errors: argument.*, language.*, task.name, store.locked (an update of the task is running),
/// store.pinned (a language is pinned to a version to retire; unpin it first), store.corrupt,
/// rehearsal.malformed (wiping everything removes damaged examples), io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_wipe(
    store: *const StoreHandle,
    task: *const c_char,
    options: *const WipeOptions,
    wiped: *mut *mut WipedObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "wiped", wiped, || {
            let store = handle::borrow(store)?;
            let task = text("task", task)?;
            let options = sized::read(options, DEFAULTS)?;
            let which = options.which(|tag| store.language(task, tag))?;
            let retire = flag("retire", options.retire)?;
            Ok(WipedObject::new(update::wipe(&store, task, &which, retire)?))
        })
    }
}

/// Removes old versions of `task` with their files. `language` may be NULL for all languages. Of
/// each language the active version stays, pinned or not, and so do the `keep_last` newest ones.
/// Rolling back skips removed versions, and their numbers are never reused.
///
/// `removed` may be NULL; otherwise it receives the removed versions as they were.
///
/// Ownership: the caller owns `*removed` and frees it with `polygraft_versions_free`.
/// Threads: may be called concurrently on one store, also while models predict with it.
/// Errors: argument.*, language.*, task.name, store.no_version, store.locked (also while an update
/// of the task is running), io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_store_remove_versions(
    store: *const StoreHandle,
    task: *const c_char,
    language: *const c_char,
    keep_last: u32,
    removed: *mut *mut VersionsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_store_wipe`; `removed` is NULL or writable.
    unsafe {
        boundary(error, || {
            let store = handle::borrow(store)?;
            let task = text("task", task)?;
            let tag = optional(language, |tag| text("language", tag))?;
            let language = tag.map(|tag| store.language(task, tag)).transpose()?;
            let versions = store.remove_versions(task, language.as_ref(), keep_last as usize)?;
            if !removed.is_null() {
                removed.write(boxed(VersionsObject::new(versions)));
            }
            Ok(())
        })
    }
}

/// Returns the number of languages of which a wipe removed examples; 0 for NULL.
///
/// Ownership: the caller keeps `wiped`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_wiped_languages_count(wiped: *const WipedObject) -> usize {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(wiped, 0, |wiped| wiped.languages.len()) }
}

/// Fills `entry` with the wiped examples of one language. The caller sets `entry->struct_size`
/// before.
///
/// Ownership: the view in `*entry` is valid until `wiped` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_wiped_get(
    wiped: *const WipedObject,
    index: usize,
    entry: *mut WipedLanguageEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or an object that is not freed, and NULL or a struct that
    // states its size truly.
    unsafe {
        sized::fill(error, "entry", entry, || {
            let (language, examples_count) = at(&required("wiped", wiped)?.languages, index)?;
            Ok(WipedLanguageEntry {
                struct_size: size_of::<WipedLanguageEntry>() as u32,
                reserved: 0,
                language: language.view(),
                examples_count: *examples_count,
            })
        })
    }
}

/// Returns the versions that may have learnt from wiped examples, as they were before the wipe;
/// NULL for NULL.
///
/// Ownership: the list belongs to `wiped` and is valid until that is freed; the caller does not
/// free it.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_wiped_versions(
    wiped: *const WipedObject,
) -> *const VersionsObject {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(wiped, std::ptr::null(), |wiped| std::ptr::from_ref(&wiped.versions)) }
}

/// Returns 1 if these versions were retired, else 0; 0 for NULL.
///
/// Ownership: the caller keeps `wiped`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_wiped_retired(wiped: *const WipedObject) -> u8 {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(wiped, 0, |wiped| wiped.retired.into()) }
}

/// Frees the result of a wipe and sets `*wiped` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*wiped`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_wiped_free(wiped: *mut *mut WipedObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an object it owns.
    unsafe { free(wiped) }
}
