//! Vectors: texts as points, for search and comparison.

use super::error::ErrorObject;
use super::gate::{Out, Status, free, gate, gate_value, object};
use super::handle;
use super::model::ModelHandle;
use super::sized;
use super::text::{text, text_optional, texts};
use crate::example::Input;
use crate::language::Language;
use std::ffi::c_char;

/// One vector per text, all of one size, one behind the other in memory.
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
/// the version that serves `language` in `task`, or of the bare backbone if `task` is NULL;
/// `language` is not read then and may be NULL.
///
/// `normalise` is 1 for vectors of length 1, so that the product of two is their cosine, or 0 for
/// vectors as the backbone gives them. Vectors of different versions are not comparable.
///
/// Ownership: gives `*vectors`; free it with `polygraft_vectors_free`.
/// Threads: may be called concurrently on one model.
/// Errors: argument.*, language.*, store.no_version, store.corrupt, task.empty_text,
/// task.too_long, adapter.*, runtime.failed, runtime.not_finite; one bad text fails the whole
/// call and is named.
/// Since: 0.1.0
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
    // SAFETY: the caller passes NULL or valid pointers; each is checked before use, texts are
    // NUL-terminated and unchanged during the call, `texts_utf8` has `texts_count` elements,
    // handles are never dereferenced.
    unsafe {
        gate(error, || {
            let out = Out::new("vectors", vectors)?;
            let model = handle::borrow(model)?;
            let task = text_optional("task", task)?;
            let language = match task {
                Some(task) => model.store().language(task, text("language", language)?)?,
                None => Language::shared(),
            };
            let inputs = texts("texts", texts_utf8, texts_count)?;
            let inputs: Vec<Input> = inputs.into_iter().map(Input::from).collect();
            let normalise = sized::flag("normalise", normalise)?;
            let embedded = model.embed(&language, task, &inputs, normalise)?;
            out.write(Box::into_raw(Box::new(VectorsObject::new(&embedded))));
            Ok(())
        })
    }
}

/// How many vectors there are; 0 for NULL.
///
/// Ownership: borrows `vectors`.
/// Threads: may be called concurrently on the same vectors.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_vectors_count(vectors: *const VectorsObject) -> usize {
    // SAFETY: the caller passes NULL or vectors of this library that are not freed.
    gate_value(0, || unsafe { object(vectors) }.map_or(0, |vectors| vectors.count))
}

/// How many numbers each vector has; 0 for NULL and without vectors.
///
/// Ownership: borrows `vectors`.
/// Threads: may be called concurrently on the same vectors.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_vectors_size(vectors: *const VectorsObject) -> usize {
    // SAFETY: the caller passes NULL or vectors of this library that are not freed.
    gate_value(0, || unsafe { object(vectors) }.map_or(0, |vectors| vectors.size))
}

/// The numbers of one vector, as many as `polygraft_vectors_size` says; those of the next vector
/// follow, so that the first one begins the whole matrix, row by row. NULL for NULL and past the
/// end.
///
/// Ownership: the numbers are borrowed from `vectors` and end with it.
/// Threads: may be called concurrently on the same vectors.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_vectors_get(
    vectors: *const VectorsObject,
    index: usize,
) -> *const f32 {
    gate_value(std::ptr::null(), || {
        // SAFETY: the caller passes NULL or vectors of this library that are not freed.
        let vectors = unsafe { object(vectors) }.filter(|vectors| index < vectors.count);
        let start = vectors.and_then(|vectors| vectors.values.get(index * vectors.size..));
        start.map_or(std::ptr::null(), <[f32]>::as_ptr)
    })
}

/// Frees vectors and sets `*vectors` to NULL. NULL and a pointer to NULL do nothing.
///
/// Ownership: takes `*vectors`; the numbers end with it.
/// Threads: exclusive: no other thread may be using these vectors.
/// Errors: none.
/// Since: 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_vectors_free(vectors: *mut *mut VectorsObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to vectors it owns.
    unsafe { free(vectors) }
}
