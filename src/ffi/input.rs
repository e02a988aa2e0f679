//! Inputs of a model that are more than one text.

use super::boundary::give_object;
use super::error::{ErrorObject, Status};
use super::object::{free, required};
use super::text::{array, text, texts};
use crate::error::Result;
use crate::example::Input;
use std::ffi::c_char;

/// An input of a prediction or an example: a text, a pair of texts, or words.
pub struct InputObject(Input);

impl InputObject {
    pub(super) fn get(&self) -> &Input {
        &self.0
    }

    fn new(input: Input) -> Result<Self> {
        input.check()?;
        Ok(Self(input))
    }
}

/// Copies an array of inputs.
///
/// # Safety
/// `pointer` is NULL or points to `count` elements, each NULL or an input that is not freed.
pub(super) unsafe fn all(
    name: &str,
    pointer: *const *const InputObject,
    count: usize,
) -> Result<Vec<Input>> {
    // SAFETY: the same promise.
    let pointers = unsafe { array(name, pointer, count) }?;
    let element = |(index, pointer): (usize, &*const InputObject)| {
        // SAFETY: the same promise.
        let input = unsafe { required(&format!("{name}[{index}]"), *pointer) }?;
        Ok(input.get().clone())
    };
    pointers.iter().enumerate().map(element).collect()
}

/// Makes an input of one text.
///
/// Ownership: the text is copied. The caller owns `*input` and frees it with
/// `polygraft_input_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, argument.utf8, task.empty_text, task.too_long (more than 65536 bytes).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_input_text(
    text_utf8: *const c_char,
    input: *mut *mut InputObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL, or writable memory and a NUL-terminated text that does not
    // change during the call.
    unsafe {
        let make = || InputObject::new(Input::from(text("text", text_utf8)?));
        give_object(error, "input", input, make)
    }
}

/// Makes an input of two texts that the model reads together and in this order, for example a
/// premise and a hypothesis, or a sentence and its paraphrase.
///
/// Ownership: the texts are copied. The caller owns `*input` and frees it with
/// `polygraft_input_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, argument.utf8, task.empty_text, task.too_long (more than 65536 bytes).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_input_pair(
    first: *const c_char,
    second: *const c_char,
    input: *mut *mut InputObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_input_text`.
    unsafe {
        give_object(error, "input", input, || {
            let (first, second) = (text("first", first)?, text("second", second)?);
            InputObject::new(Input::Pair(first.to_owned(), second.to_owned()))
        })
    }
}

/// Makes an input of a text that the caller has already split into `words_count` words.
///
/// Offsets in a prediction about it refer to its words joined by single spaces.
///
/// Ownership: the words are copied. The caller owns `*input` and frees it with
/// `polygraft_input_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.*, task.empty_text (no words, or an empty word, which the message names),
/// task.too_long (more than 8192 words, or more than 65536 bytes with the spaces).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_input_words(
    words: *const *const c_char,
    words_count: usize,
    input: *mut *mut InputObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_input_text`; `words` has `words_count` elements.
    unsafe {
        let make = || InputObject::new(Input::Words(owned(texts("words", words, words_count)?)));
        give_object(error, "input", input, make)
    }
}

/// Frees an input and sets `*input` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*input`. Examples and predictions made with it stay valid.
/// Threads: exclusive: no other thread may be using this input.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_input_free(input: *mut *mut InputObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an input it owns.
    unsafe { free(input) }
}

pub(super) fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(String::from).collect()
}
