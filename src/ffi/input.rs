//! Inputs: what a model is asked about, where one text does not say it.

use super::error::ErrorObject;
use super::gate::{Out, Status, free, gate, required};
use super::text::{array, text, texts};
use crate::error::Result;
use crate::example::Input;
use std::ffi::c_char;

/// What a model is asked about: a text, a pair of texts, or words. For predictions and examples.
pub struct InputObject(Input);

impl InputObject {
    pub(super) fn get(&self) -> &Input {
        &self.0
    }

    /// Checks an input and hands it out.
    fn give(input: Input) -> Result<*mut Self> {
        input.check()?;
        Ok(Box::into_raw(Box::new(Self(input))))
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
    // SAFETY: the same promise, passed on.
    let pointers = unsafe { array(name, pointer, count) }?;
    let element = |(index, pointer): (usize, &*const InputObject)| {
        // SAFETY: the same promise, passed on.
        let input = unsafe { required(&format!("{name}[{index}]"), *pointer) }?;
        Ok(input.get().clone())
    };
    pointers.iter().enumerate().map(element).collect()
}

/// Makes an input of one text.
///
/// Ownership: copies the text. Gives `*input`; free it with `polygraft_input_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, argument.utf8, task.empty_text, task.too_long (more than 65536 bytes).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_input_text(
    text_utf8: *const c_char,
    input: *mut *mut InputObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL, or writable memory and a NUL-terminated text that does not
    // change during the call.
    unsafe {
        gate(error, || {
            let out = Out::new("input", input)?;
            out.write(InputObject::give(Input::from(text("text", text_utf8)?))?);
            Ok(())
        })
    }
}

/// Makes an input of two texts that are judged together, in this order: a premise and a hypothesis,
/// a sentence and its paraphrase.
///
/// Ownership: copies the texts. Gives `*input`; free it with `polygraft_input_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.null, argument.utf8, task.empty_text, task.too_long (more than 65536 bytes).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_input_pair(
    first: *const c_char,
    second: *const c_char,
    input: *mut *mut InputObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_input_text`.
    unsafe {
        gate(error, || {
            let out = Out::new("input", input)?;
            let pair = (text("first", first)?.to_owned(), text("second", second)?.to_owned());
            out.write(InputObject::give(Input::Pair(pair.0, pair.1))?);
            Ok(())
        })
    }
}

/// Makes an input of a text that the caller has split into `words_count` words.
///
/// Places in what is predicted about it count its words as joined by single spaces.
///
/// Ownership: copies the words. Gives `*input`; free it with `polygraft_input_free`.
/// Threads: may be called from any thread at any time.
/// Errors: argument.*, task.empty_text (no words, or an empty one, which is named),
/// task.too_long (more than 8192 words, or 65536 bytes with the spaces).
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_input_words(
    words: *const *const c_char,
    words_count: usize,
    input: *mut *mut InputObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_input_text`; `words` has `words_count` elements.
    unsafe {
        gate(error, || {
            let out = Out::new("input", input)?;
            let words = texts("words", words, words_count)?;
            out.write(InputObject::give(Input::Words(owned(words)))?);
            Ok(())
        })
    }
}

/// Frees an input and sets `*input` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*input`. Examples and predictions that were made with it stay.
/// Threads: exclusive: no other thread may be using this input.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_input_free(input: *mut *mut InputObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an input it owns.
    unsafe { free(input) }
}

/// Copies texts.
pub(super) fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(String::from).collect()
}
