//! Examples of every kind: an input and the answer to learn.
//!
//! An update learns answers of one kind; the first example decides which.

use super::error::ErrorObject;
use super::gate::{Status, gate, required};
use super::input::{InputObject, owned};
use super::text::{array, text, text_optional, texts};
use super::update::{UpdateHandle, with};
use crate::error::Result;
use crate::example::{Example, Number, Target, TextSpan};
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
    target: impl FnOnce() -> Result<Target>,
) -> Status {
    // SAFETY: the same promise, passed on; handles are never dereferenced.
    unsafe {
        gate(error, || {
            let language = Language::parse(text("language", language)?)?;
            let input = required("input", input)?.get().clone();
            let target = target()?;
            with(update, |update| update.add(Example { language, input, target }))
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
/// Errors: argument.*, language.*, task.kind (another kind of answer than before),
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
        add(update, language, input, error, || {
            Ok(Target::Classification(text("label", label)?.to_owned()))
        })
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
            Ok(Target::label_set(owned(texts("labels", labels, labels_count)?)))
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
    unsafe { add(update, language, input, error, || Ok(Target::Regression(Number(number)))) }
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
            Ok(Target::TokenClassification(owned(texts("tags", tags, tags_count)?)))
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
            Ok(Target::IntentAndSlots { label, tags })
        })
    }
}

/// A part of a text that is something.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TextSpanEntry {
    /// What it is, NUL-terminated; tags get it with `B-` and `I-` before it.
    pub kind: *const c_char,
    /// Where it begins, in bytes: at `text + byte_start`.
    pub byte_start: usize,
    /// Where it ends, in bytes: the first one behind it.
    pub byte_end: usize,
}

/// Adds a raw text in which parts are something, with a label of the whole or, for NULL, without
/// one: a sentence with its slots, as a prediction gives them.
///
/// It is learnt as tags of the scheme BIO, with the words that a prediction finds in a raw text. A
/// span that begins or ends within a word takes the whole word. Spans may come in any order, and
/// there may be none.
///
/// Ownership: copies what it is given.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`; argument.invalid for a span that is empty, outside
/// the text or within a character, and for two that share a word; they are counted from 1.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_spans(
    update: *mut UpdateHandle,
    language: *const c_char,
    text_utf8: *const c_char,
    label: *const c_char,
    spans: *const TextSpanEntry,
    spans_count: usize,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or NUL-terminated texts; `spans` has `spans_count` elements.
    unsafe {
        gate(error, || {
            let language = Language::parse(text("language", language)?)?;
            let whole = text("text", text_utf8)?;
            let label = text_optional("label", label)?;
            let part = |(index, span): (usize, &TextSpanEntry)| {
                let kind = text(&format!("spans[{index}].kind"), span.kind)?.to_owned();
                Ok(TextSpan { kind, bytes: span.byte_start..span.byte_end })
            };
            let spans = array("spans", spans, spans_count)?.iter().enumerate().map(part);
            let example =
                Example::with_spans(language, whole, &spans.collect::<Result<Vec<_>>>()?, label)?;
            with(update, |update| update.add(example))
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
        add(update, language, input, error, || {
            Ok(Target::SequenceToSequence(text("target", target)?.to_owned()))
        })
    }
}
