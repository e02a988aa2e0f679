//! Tasks: what is predicted, and how text becomes tensors and tensors become predictions.
//!
//! A task extends the backbone's graph by its output layer and its loss, encodes examples into
//! batches and decodes what comes out. Flowing in: texts, labels, a bundle. Flowing out: graphs to
//! run and predictions. This part must never decide what to train on or what to activate; the only
//! state in it that changes is which adapter inputs a session has.

pub mod batch;
pub mod inference;
pub mod sentence;
pub mod sequence;

use crate::error::{Code, Error, Result};

/// Longest text that is accepted, in bytes. A model reads at most a few hundred tokens; the bound
/// keeps the time of tokenization in hand while leaving room for long letters.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// Refuses text that has no content or is longer than [`TEXT_BYTES_MAX`].
pub fn check_text(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        let found = if text.is_empty() { "no characters" } else { "white space only" };
        return Err(Error::new(Code::TaskEmptyText, format!("the text is empty: found {found}")));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::new(
            Code::TaskTooLong,
            format!("the text is too long: expected {TEXT_BYTES_MAX} bytes, found {}", text.len()),
        ));
    }
    Ok(())
}
