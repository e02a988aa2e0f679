//! The limits of a rehearsal buffer.

use crate::error::{Code, Error, Result};

/// The largest [`Limits::bytes_max`].
pub const BYTES_MAX_MAX: u64 = 256 << 20;

/// The smallest [`Limits::bytes_max`]: room for the first line of the file and some examples.
pub const BYTES_MAX_MIN: u64 = 1 << 10;

/// The largest [`Limits::held_out_percent`].
pub const HELD_OUT_PERCENT_MAX: u8 = 90;

/// The limits of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of the file, divided fairly among the languages; [`BYTES_MAX_MIN`] to
    /// [`BYTES_MAX_MAX`].
    pub bytes_max: u64,
    /// Training examples per language, divided fairly among its labels.
    pub examples_per_language_max: usize,
    /// The percentage of examples that are held out, 0 to [`HELD_OUT_PERCENT_MAX`]. It is fixed
    /// while a buffer has examples: another value would move examples between training and
    /// held-out.
    pub held_out_percent: u8,
    /// Held-out examples per language, divided fairly among its labels.
    pub held_out_per_language_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 16 << 20,
            examples_per_language_max: 500,
            held_out_percent: 20,
            held_out_per_language_max: 200,
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |what: String| Err(Error::new(Code::ArgumentInvalid, what));
        if !(BYTES_MAX_MIN..=BYTES_MAX_MAX).contains(&self.bytes_max) {
            let range = format!("expected {BYTES_MAX_MIN} to {BYTES_MAX_MAX}");
            return invalid(format!("bytes_max is {}, {range}", self.bytes_max));
        }
        let percent = self.held_out_percent;
        if percent > HELD_OUT_PERCENT_MAX {
            let range = format!("expected 0 to {HELD_OUT_PERCENT_MAX}");
            return invalid(format!("held_out_percent is {percent}, {range}"));
        }
        Ok(())
    }
}
