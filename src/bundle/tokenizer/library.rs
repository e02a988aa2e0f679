//! Calls of the `tokenizers` library, with its refusals as errors.
//!
//! This module must never let a panic of the library escape.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use tokenizers::pipeline::PipelineTokenizer;

use crate::error::{Code, Error, Result, ResultExt};

/// A model of one empty piece.
pub(super) fn smallest_model() -> Value {
    json!({ "type": "Unigram", "unk_id": 0, "vocab": [["", 0.0]] })
}

/// A tokenizer of the library with this pre-tokenizer. The step is not used alone because one with
/// a pattern cannot be copied.
pub(super) fn read_pre_tokenizer(step: &Value) -> Result<PipelineTokenizer> {
    let text = json!({
        "version": "2.0", "pre_tokenizer": step, "model": smallest_model(),
    });
    let text = text.to_string();
    let read = guarded("reading a pre-tokenizer", || tokenizers::from_json(&text))?;
    read.map_err(library_error)
}

/// Brings a configuration to the library's current format version.
pub(super) fn canonicalize(value: &mut Value) -> Result<()> {
    guarded("reading the tokenizer", || tokenizers::canonicalize_value(value))?
        .map_err(|cause| damaged(cause.to_string()))
        .context(|| "this form of tokenizer is not supported (see docs/tokenizers.md)")
}

/// The error for a malformed tokenizer file.
pub(super) fn damaged(message: impl Into<String>) -> Error {
    Error::new(Code::BundleTokenizer, message)
}

/// The error for a refusal by the `tokenizers` library.
pub(super) fn library_error(cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
    damaged(cause.to_string())
}

/// Runs code of the `tokenizers` library on untrusted data and turns a panic into an error: the
/// library asserts on some malformed configurations instead of refusing them.
pub(super) fn guarded<T>(action: &str, run: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| damaged(format!("{action}: the tokenizers library could not handle the file")))
}
