//! A labelled example and the sizes it may have.

use crate::error::{Code, Error, Result};
use crate::language::Language;
use serde::{Deserialize, Serialize};

/// The longest text of an example, in bytes.
pub const TEXT_SIZE_BYTES_MAX: usize = 64 << 10;

/// The longest label of an example, in bytes.
pub const LABEL_SIZE_BYTES_MAX: usize = 1 << 10;

/// A labelled example: what a text in a language should be predicted as.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The language of the text.
    pub language: Language,
    /// The text; not empty, at most [`TEXT_SIZE_BYTES_MAX`].
    pub text: String,
    /// The right answer; not empty, at most [`LABEL_SIZE_BYTES_MAX`].
    pub label: String,
}

impl Example {
    /// Checks the sizes of text and label.
    ///
    /// # Errors
    /// [`Code::TaskEmptyText`] for a blank text, [`Code::TaskTooLong`], and
    /// [`Code::ArgumentInvalid`] for a blank label.
    pub fn check(&self) -> Result<()> {
        if self.text.trim().is_empty() {
            return Err(Error::new(Code::TaskEmptyText, "its text is empty"));
        }
        if self.label.trim().is_empty() {
            return Err(Error::new(Code::ArgumentInvalid, "its label is empty"));
        }
        let sizes = [
            ("text", self.text.len(), TEXT_SIZE_BYTES_MAX),
            ("label", self.label.len(), LABEL_SIZE_BYTES_MAX),
        ];
        for (what, size, limit) in sizes {
            if size > limit {
                let message = format!("its {what} has {size} bytes, at most {limit}");
                return Err(Error::new(Code::TaskTooLong, message));
            }
        }
        Ok(())
    }
}
