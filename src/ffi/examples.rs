//! Examples of every kind: an input and the answer to learn.
//!
//! An update learns answers of one kind; the first example decides which.

use super::error::ErrorObject;
use super::gate::{Status, gate, required};
use super::input::{InputObject, owned};
use super::text::{text, texts};
use super::update::{UpdateHandle, with};
use crate::error::Result;
use crate::example::{Answer, Example, Number};
use crate::language::Language;
use std::ffi::c_char;

/// Adds an example to an update; the answer is read last, so that errors come in the order of the
/// arguments.
///
/// # Safety
/// `language` is NULL or a NUL-terminated text, `input` NULL or an input that is not freed.
unsafe fn add(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    error: *mut *mut ErrorObject,
    answer: impl FnOnce() -> Result<Answer>,
) -> Status {
    // SAFETY: the same promise, passed on; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let language = Language::parse(text("language", language)?)?;
            let input = required("input", input)?.get().clone();
            let answer = answer()?;
            with(update, |update| update.add(Example { language, input, answer }))
        })
    }
}

/// Adds an example that is answered with one label. `polygraft_update_add` does the same with a
/// text.
///
/// The input is a text or a pair of texts. All examples of an update have one kind of answer.
///
/// Ownership: copies what it is given.
/// Threads: exclusive: one call on an update at a time.
/// Errors: argument.*, language.malformed, task.kind (another kind of answer than before),
/// task.too_long, update.state.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_label(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    label: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL, NUL-terminated texts and inputs that are not freed.
    unsafe {
        add(update, language, input, error, || Ok(Answer::Label(text("label", label)?.to_owned())))
    }
}

/// Adds an example that is answered with all labels that apply to it, in any order; there may be
/// none.
///
/// The input is a text or a pair of texts.
///
/// Ownership: copies what it is given.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_labels(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    labels: *const *const c_char,
    labels_count: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_update_add_label`; `labels` has `labels_count` elements.
    unsafe {
        add(update, language, input, error, || {
            Ok(Answer::label_set(owned(texts("labels", labels, labels_count)?)))
        })
    }
}

/// Adds an example that is answered with a number, which must be finite.
///
/// The input is a text or a pair of texts.
///
/// Ownership: copies what it is given.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_number(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    number: f64,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_update_add_label`.
    unsafe { add(update, language, input, error, || Ok(Answer::Number(Number(number)))) }
}

/// Adds an example that is answered with one tag per word. The input is words.
///
/// Tags of the scheme BIO (`B-place`, `I-place`, `O`) mark spans and must be valid: an `I-` tag
/// follows one of its kind. The error names the position of the first one that does not, from 1.
/// Other tags (`NOUN`) may stand in any order.
///
/// Ownership: copies what it is given.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`; argument.invalid for another number of tags than
/// words and for tags that break the scheme.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_tags(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    tags: *const *const c_char,
    tags_count: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_update_add_label`; `tags` has `tags_count` elements.
    unsafe {
        add(update, language, input, error, || {
            Ok(Answer::Tags(owned(texts("tags", tags, tags_count)?)))
        })
    }
}

/// Adds an example that is answered with a label of the whole and one tag per word, as for
/// `polygraft_update_add_tags`: an intent and its slots.
///
/// Ownership: copies what it is given.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_tags`.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_label_and_tags(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    label: *const c_char,
    tags: *const *const c_char,
    tags_count: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_update_add_tags`.
    unsafe {
        add(update, language, input, error, || {
            let label = text("label", label)?.to_owned();
            let tags = owned(texts("tags", tags, tags_count)?);
            Ok(Answer::LabelAndTags { label, tags })
        })
    }
}

/// Adds an example that is answered with a text: a translation, a summary, a parse. The input is a
/// text, and the bundle has a decoder.
///
/// Ownership: copies what it is given.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_text(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    target: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_update_add_label`.
    unsafe {
        add(update, language, input, error, || Ok(Answer::Text(text("target", target)?.to_owned())))
    }
}
