//! Examples: the functions that add an input and its target to an update.
//!
//! All targets of an update are of one kind, which the first example decides.

use super::boundary::boundary;
use super::error::{ErrorObject, Status};
use super::input::{InputObject, owned};
use super::object::required;
use super::text::{array, optional, text, texts};
use super::update::{UpdateHandle, with};
use crate::error::Result;
use crate::example::{Example, Number, Target, TextSpan};
use crate::language::Language;
use std::ffi::c_char;

/// Adds an example to an update. `make` reads what follows the language, so that errors come in the
/// order of the arguments.
///
/// # Safety
/// `language` is NULL or a NUL-terminated text, `error` NULL or writable.
unsafe fn add(
    update: *mut UpdateHandle,
    language: *const c_char,
    error: *mut *mut ErrorObject,
    make: impl FnOnce(Language) -> Result<Example>,
) -> Status {
    // SAFETY: the same promise.
    unsafe {
        boundary(error, || {
            let example = make(Language::parse(text("language", language)?)?)?;
            with(update, |update| update.add(example))
        })
    }
}

/// Adds an example of an input object. The target is read last.
///
/// # Safety
/// As for [`add`]; `input` is NULL or an input that is not freed.
unsafe fn add_input(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    error: *mut *mut ErrorObject,
    target: impl FnOnce() -> Result<Target>,
) -> Status {
    // SAFETY: the same promise.
    unsafe {
        add(update, language, error, |language| {
            let input = required("input", input)?.get().clone();
            Ok(Example { language, input, target: target()? })
        })
    }
}

/// Adds an example of a text and one label. If the update has run already, the outcome of that run
/// is discarded. The functions `polygraft_update_add_...` add other kinds of examples.
///
/// Ownership: the texts are copied.
/// Threads: exclusive: one call on an update at a time.
/// Errors: argument.*, language.*, task.empty_text, task.kind (a target of another kind than
/// before), task.too_long, update.state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add(
    update: *mut UpdateHandle,
    language: *const c_char,
    text_utf8: *const c_char,
    label: *const c_char,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or NUL-terminated texts.
    unsafe {
        add(update, language, error, |language| {
            Ok(Example::labelled(language, text("text", text_utf8)?, text("label", label)?))
        })
    }
}

/// Adds an example of an input and one label, for classification. For a text,
/// `polygraft_update_add` does the same.
///
/// The input is a text or a pair of texts. All targets of an update are of one kind.
///
/// Ownership: the function copies its arguments.
/// Threads: exclusive: one call on an update at a time.
/// Errors: argument.*, language.*, task.kind (a target of another kind than before),
/// task.too_long, update.state.
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
        let target = || Ok(Target::Classification(text("label", label)?.to_owned()));
        add_input(update, language, input, error, target)
    }
}

/// Adds an example of an input and all labels that apply to it, for multi-label classification. The
/// labels may be in any order, and there may be none.
///
/// The input is a text or a pair of texts.
///
/// Ownership: the function copies its arguments.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`.
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
        let target = || Ok(Target::label_set(owned(texts("labels", labels, labels_count)?)));
        add_input(update, language, input, error, target)
    }
}

/// Adds an example of an input and a finite number, for regression.
///
/// The input is a text or a pair of texts.
///
/// Ownership: the function copies its arguments.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_number(
    update: *mut UpdateHandle,
    language: *const c_char,
    input: *const InputObject,
    number: f64,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_update_add_label`.
    unsafe { add_input(update, language, input, error, || Ok(Target::Regression(Number(number)))) }
}

/// Adds an example of words and one tag for each of them, for token classification. The input is
/// words.
///
/// Tags of the scheme BIO (`B-place`, `I-place`, `O`) mark spans and must be valid: an `I-` tag
/// follows a `B-` or `I-` tag of the same kind. The message names the position of the first tag
/// that breaks the rule, counted from 1. Other tags (`NOUN`) may stand in any order.
///
/// Ownership: the function copies its arguments.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`; argument.invalid if the number of tags is not the
/// number of words, and for tags that break the scheme.
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
        let target = || Ok(Target::TokenClassification(owned(texts("tags", tags, tags_count)?)));
        add_input(update, language, input, error, target)
    }
}

/// Adds an example of words, a label of the whole input and one tag for each word, for joint intent
/// and slots. The tags are those of `polygraft_update_add_tags`.
///
/// Ownership: the function copies its arguments.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_tags`.
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
        add_input(update, language, input, error, || {
            let label = text("label", label)?.to_owned();
            let tags = owned(texts("tags", tags, tags_count)?);
            Ok(Target::IntentAndSlots { label, tags })
        })
    }
}

/// A span of a text, with its kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TextSpanEntry {
    /// The kind of the span, NUL-terminated. Its tags are the kind with `B-` or `I-` before it.
    pub kind: *const c_char,
    /// The offset of the span's first byte: the span begins at `text + byte_start`.
    pub byte_start: usize,
    /// The offset of the first byte after the span.
    pub byte_end: usize,
}

/// Adds an example of a raw text and its spans, for token classification or, with a label, for
/// joint intent and slots. The spans have the form that a prediction returns. `label` may be NULL.
///
/// The spans become tags of the scheme BIO for the words that a prediction finds in a raw text. A
/// span that begins or ends within a word takes the whole word. Spans may come in any order, and
/// there may be none.
///
/// Ownership: the function copies its arguments.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`; argument.invalid for a span that is empty, outside
/// the text or within a character, and for two spans that share a word. Messages count spans from
/// 1.
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
        add(update, language, error, |language| {
            let whole = text("text", text_utf8)?;
            let label = optional(label, |label| text("label", label))?;
            let span = |(index, span): (usize, &TextSpanEntry)| {
                let kind = text(&format!("spans[{index}].kind"), span.kind)?.to_owned();
                Ok(TextSpan { kind, bytes: span.byte_start..span.byte_end })
            };
            let spans = array("spans", spans, spans_count)?.iter().enumerate().map(span);
            Example::with_spans(language, whole, &spans.collect::<Result<Vec<_>>>()?, label)
        })
    }
}

/// Adds an example of a text and the text to generate for it, for example a translation, a summary
/// or a parse. The input is a text, and the bundle must have a decoder.
///
/// Ownership: the function copies its arguments.
/// Threads: exclusive: one call on an update at a time.
/// Errors: as for `polygraft_update_add_label`.
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
        let target = || Ok(Target::SequenceToSequence(text("target", target)?.to_owned()));
        add_input(update, language, input, error, target)
    }
}
