//! Vectors of texts, for search and comparison.

use super::boundary::give_object;
use super::error::{ErrorObject, Status};
use super::model::ModelHandle;
use super::object::{find, free, read};
use super::text::{optional, text, texts};
use super::{handle, sized};
use crate::example::Input;
use crate::language::Language;
use std::ffi::c_char;

/// One vector for each text. All have one size and follow each other in memory.
pub struct VectorsObject {
    count: usize,
    size: usize,
    /// `count * size` values; vector i begins at `i * size`.
    values: Vec<f32>,
}

impl VectorsObject {
    /// Vectors of one size; without any, the size is 0.
    fn new(vectors: &[Vec<f32>]) -> Self {
        let size = vectors.first().map_or(0, Vec::len);
        Self { count: vectors.len(), size, values: vectors.concat() }
    }
}

/// Gives one vector for each of `texts_count` texts: the pooled hidden state of the backbone with
/// the version that serves `language` in `task`. If `task` is NULL, the bare backbone is used;
/// `language` is then not read and may be NULL.
///
/// `normalise` is 1 for vectors of length 1, whose dot product is their cosine, or 0 for vectors as
/// the backbone gives them. Vectors of different versions cannot be compared.
///
/// Ownership: the caller owns `*vectors` and frees it with `polygraft_vectors_free`.
/// Threads: may be called concurrently on one model.
/// Errors: argument.*, language.*, store.no_version, store.corrupt, task.empty_text,
/// task.too_long, adapter.*, runtime.failed, runtime.not_finite. One bad text fails the whole call,
/// and the message names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_embed(
    model: *const ModelHandle,
    task: *const c_char,
    language: *const c_char,
    texts_utf8: *const *const c_char,
    texts_count: usize,
    normalise: u8,
    vectors: *mut *mut VectorsObject,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or valid pointers, texts that are NUL-terminated and do not
    // change during the call, and `texts_count` elements in `texts_utf8`.
    unsafe {
        give_object(error, "vectors", vectors, || {
            let model = handle::borrow(model)?;
            let task = optional(task, |task| text("task", task))?;
            let language = match task {
                Some(task) => model.store().language(task, text("language", language)?)?,
                None => Language::shared(),
            };
            let inputs = texts("texts", texts_utf8, texts_count)?;
            let inputs: Vec<Input> = inputs.into_iter().map(Input::from).collect();
            let normalise = sized::flag("normalise", normalise)?;
            Ok(VectorsObject::new(&model.embed(&language, task, &inputs, normalise)?))
        })
    }
}

/// Returns the number of vectors; 0 for NULL.
///
/// Ownership: the caller keeps `vectors`.
/// Threads: may be called concurrently on the same vectors.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_vectors_count(vectors: *const VectorsObject) -> usize {
    // SAFETY: the caller passes NULL or vectors of this library that are not freed.
    unsafe { read(vectors, 0, |vectors| vectors.count) }
}

/// Returns the number of values in each vector; 0 for NULL and if there are no vectors.
///
/// Ownership: the caller keeps `vectors`.
/// Threads: may be called concurrently on the same vectors.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_vectors_size(vectors: *const VectorsObject) -> usize {
    // SAFETY: the caller passes NULL or vectors of this library that are not freed.
    unsafe { read(vectors, 0, |vectors| vectors.size) }
}

/// Returns the values of one vector, `polygraft_vectors_size` of them. The values of the next
/// vector follow, so that vector 0 begins the whole matrix in row-major order. NULL and an `index`
/// past the end give NULL.
///
/// Ownership: the values belong to `vectors` and are valid until it is freed.
/// Threads: may be called concurrently on the same vectors.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_vectors_get(
    vectors: *const VectorsObject,
    index: usize,
) -> *const f32 {
    // SAFETY: the caller passes NULL or vectors of this library that are not freed.
    unsafe {
        find(vectors, std::ptr::null(), |vectors| {
            let is_there = index < vectors.count;
            let values = is_there.then(|| vectors.values.get(index * vectors.size..)).flatten();
            values.map(<[f32]>::as_ptr)
        })
    }
}

/// Frees vectors and sets `*vectors` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: the function consumes `*vectors`; pointers to its values become invalid.
/// Threads: exclusive: no other thread may be using these vectors.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_vectors_free(vectors: *mut *mut VectorsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to vectors it owns.
    unsafe { free(vectors) }
}
