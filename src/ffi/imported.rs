//! The result of an import: the version, what the gate decided, and notes.

use super::error::{ErrorObject, Status};
use super::format::{FORMATS, POLYGRAFT_FORMAT_OWN};
use super::object::{find, free, invalid, read, required};
use super::report::{LanguageEntry, entry_texts};
use super::sized::{self, number};
use super::text::{StringView, Text};
use crate::model::ImportedVersion;

/// A version that was imported, what the gate decided about it, and notes on its translation.
pub struct ImportedObject {
    imported: ImportedVersion,
    texts: Option<(Text, Text)>,
    notes: Vec<Text>,
}

impl ImportedObject {
    pub(super) fn new(imported: ImportedVersion) -> Self {
        let texts = imported.report.as_ref().map(entry_texts);
        let notes = imported.notes.iter().map(Text::new).collect();
        Self { imported, texts, notes }
    }
}

/// Returns the number of the imported version; 0 for NULL.
///
/// Ownership: the caller keeps `imported`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_imported_version(imported: *const ImportedObject) -> u32 {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(imported, 0, |one| one.imported.version.number) }
}

/// Returns 1 if the imported version became active, else 0; 0 for NULL.
///
/// Ownership: the caller keeps `imported`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_imported_activated(imported: *const ImportedObject) -> u8 {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(imported, 0, |one| one.imported.version.activated.into()) }
}

/// Returns the format that the import found, one of `POLYGRAFT_FORMAT_*`; POLYGRAFT_FORMAT_OWN for
/// NULL.
///
/// Ownership: the caller keeps `imported`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_imported_format(imported: *const ImportedObject) -> u32 {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(imported, POLYGRAFT_FORMAT_OWN, |one| number(&FORMATS, one.imported.format)) }
}

/// Fills `entry` with what the gate decided about the imported version. The caller sets
/// `entry->struct_size` before.
///
/// Ownership: the views in `*entry` are valid until `imported` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`, or an import that did not ask
/// the gate).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_imported_decision(
    imported: *const ImportedObject,
    entry: *mut LanguageEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or an object that is not freed, and NULL or a struct that
    // states its size truly.
    unsafe {
        sized::fill(error, "entry", entry, || {
            let ImportedObject { imported, texts, .. } = required("imported", imported)?;
            match (texts, &imported.report) {
                (Some(texts), Some(report)) => Ok(LanguageEntry::new(texts, report)),
                _ => Err(invalid("the import did not ask the gate".to_owned())),
            }
        })
    }
}

/// Returns the number of notes on the translation of the adapter; 0 for NULL.
///
/// Ownership: the caller keeps `imported`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_imported_notes_count(imported: *const ImportedObject) -> usize {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(imported, 0, |one| one.notes.len()) }
}

/// Returns one note on the translation of the adapter: modules of the other library that were left
/// out, and names that were matched with each other. NULL and an `index` past the end give an empty
/// text.
///
/// Ownership: the view is valid until `imported` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_imported_note(
    imported: *const ImportedObject,
    index: usize,
) -> StringView {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { find(imported, StringView::EMPTY, |one| one.notes.get(index).map(Text::view)) }
}

/// Frees the result of an import and sets `*imported` to NULL. NULL and a pointer to NULL do
/// nothing.
///
/// Ownership: the function consumes `*imported`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_imported_free(imported: *mut *mut ImportedObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an object it owns.
    unsafe { free(imported) }
}
