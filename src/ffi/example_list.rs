//! Lists of labelled examples, from JSON Lines or from arrays.

use super::boundary::{boundary, give_object};
use super::error::{ErrorObject, Status};
use super::object::{free, read, required};
use super::text::{path, text, texts};
use super::update::{UpdateHandle, with};
use crate::error::{Result, ResultExt};
use crate::example::{Example, json};
use crate::language::Language;
use std::ffi::c_char;
use std::path::Path;

/// Labelled examples of one kind of task, in one or several languages.
pub struct ExamplesObject(pub(super) Vec<Example>);

/// Reads labelled examples from a file in JSON Lines, for example
/// `{"lang": "de", "text": "Licht an", "label": "on"}`. docs/tasks.md has all fields.
///
/// Ownership: the caller owns `*examples` and frees it with `polygraft_examples_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, examples.malformed (the message names file, line and field; also for a
/// file without examples), language.unknown, task.*, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_examples_read(
    path: *const c_char,
    examples: *mut *mut ExamplesObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "examples", examples, || {
            let path = self::path("path", path)?;
            // The name that stands for standard input on the command line is a file here.
            let path = if path == Path::new("-") { Path::new("./-") } else { path };
            let found = json::read_all(&[path.to_owned()], &|| Ok(()))?;
            Ok(ExamplesObject(found.into_iter().map(|(example, _)| example).collect()))
        })
    }
}

/// Reads labelled examples from a text in JSON Lines, as `polygraft_examples_read` does from a
/// file.
///
/// Ownership: the text is copied. The caller owns `*examples` and frees it with
/// `polygraft_examples_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, argument.utf8, examples.malformed (the message names line and field; also
/// for a text without examples), language.unknown, task.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_examples_parse(
    json_lines: *const c_char,
    examples: *mut *mut ExamplesObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_examples_read`.
    unsafe {
        give_object(error, "examples", examples, || {
            json::parse_all(text("json_lines", json_lines)?, "json_lines").map(ExamplesObject)
        })
    }
}

/// Makes labelled examples of `count` languages, texts and labels, one of each for every example.
///
/// Ownership: the texts are copied. The caller owns `*examples` and frees it with
/// `polygraft_examples_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.*, language.*, task.empty_text, task.too_long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_examples_labelled(
    languages: *const *const c_char,
    texts_utf8: *const *const c_char,
    labels: *const *const c_char,
    count: usize,
    examples: *mut *mut ExamplesObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_examples_read`; each array has `count` elements.
    unsafe {
        give_object(error, "examples", examples, || {
            let languages = texts("languages", languages, count)?;
            let inputs = texts("texts_utf8", texts_utf8, count)?;
            let labels = texts("labels", labels, count)?;
            let example = |(index, ((tag, input), label)): (usize, ((&&str, &str), &str))| {
                let make = || {
                    let example = Example::labelled(Language::parse(tag)?, input, label);
                    example.check().map(|()| example)
                };
                make().context(|| format!("example {} of {count}", index + 1))
            };
            let all = languages.iter().zip(inputs).zip(labels).enumerate().map(example);
            all.collect::<Result<_>>().map(ExamplesObject)
        })
    }
}

/// Adds all examples of a list to an update, as the functions `polygraft_update_add_...` do one by
/// one. When one is refused, the ones before it have been added.
///
/// Ownership: the examples are copied.
/// Threads: exclusive: one call on an update at a time.
/// Errors: argument.*, task.kind (a target of another kind than before), update.state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_update_add_examples(
    update: *mut UpdateHandle,
    examples: *const ExamplesObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or a list of this library that is not freed.
    unsafe {
        boundary(error, || {
            let examples = required("examples", examples)?;
            with(update, |update| {
                let mut all = examples.0.iter().cloned();
                all.try_for_each(|example| update.add(example))
            })
        })
    }
}

/// Returns the number of examples in a list; 0 for NULL.
///
/// Ownership: the caller keeps `examples`.
/// Threads: may be called concurrently on one list.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_examples_count(examples: *const ExamplesObject) -> usize {
    // SAFETY: the caller passes NULL or a list of this library that is not freed.
    unsafe { read(examples, 0, |list| list.0.len()) }
}

/// Frees a list of examples and sets `*examples` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*examples`. Updates that they were added to keep them.
/// Threads: exclusive: no other thread may be using this list.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_examples_free(examples: *mut *mut ExamplesObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to a list it owns.
    unsafe { free(examples) }
}
