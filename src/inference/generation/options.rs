//! The options of a generation, and its result.

use crate::error::{Code, Error, Result};

/// The largest number of beams, more than any search needs; each costs one row of every cache.
pub const NUM_BEAMS_MAX: usize = 64;
const REPETITION_PENALTY_MIN: f32 = 0.1;
const REPETITION_PENALTY_MAX: f32 = 10.0;
/// The largest number of stop strings.
pub const STOP_STRINGS_MAX: usize = 16;
/// The longest stop string, in bytes.
pub const STOP_STRING_BYTES_MAX: usize = 256;

/// The options of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// The number of beams; 1 takes the most probable token at each step.
    pub num_beams: usize,
    /// The largest number of new tokens, the end token included; 0 takes the bundle's limit.
    pub max_new_tokens: usize,
    /// The smallest number of new tokens; before that only a stop string can end a target.
    pub min_new_tokens: usize,
    /// Finished hypotheses are compared by `log probability / tokens^length_penalty`: above 0
    /// favours longer ones, below 0 shorter ones. It has no effect with one beam.
    pub length_penalty: f32,
    /// Positive logits of tokens that occurred before are divided by it, negative ones multiplied:
    /// above 1 makes repetition less probable, below 1 more probable.
    pub repetition_penalty: f32,
    /// No sequence of this many tokens occurs twice in a target; 0 allows it.
    pub no_repeat_ngram_size: usize,
    /// Texts that end a generation; they are removed from the result.
    pub stop_strings: Vec<String>,
    /// Keeps keys and values between steps. Without it every step computes all of them again, with
    /// the same result.
    pub use_cache: bool,
    /// The first token, instead of the bundle's.
    pub forced_bos_token_id: Option<u32>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            num_beams: 1,
            max_new_tokens: 0,
            min_new_tokens: 0,
            length_penalty: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram_size: 0,
            stop_strings: Vec::new(),
            use_cache: true,
            forced_bos_token_id: None,
        }
    }
}

impl GenerateOptions {
    /// Checks every option against its range; `tokens_max` is the bundle's limit.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] naming the option, its range and what was found.
    pub fn validate(&self, tokens_max: usize, vocabulary: usize) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::ArgumentInvalid, message));
        if self.num_beams == 0 || self.num_beams > NUM_BEAMS_MAX {
            return invalid(format!(
                "num_beams is {}, expected 1 to {NUM_BEAMS_MAX}",
                self.num_beams
            ));
        }
        if self.max_new_tokens > tokens_max {
            return invalid(format!(
                "max_new_tokens is {}, expected at most {tokens_max}, the limit of the bundle",
                self.max_new_tokens
            ));
        }
        let limit = if self.max_new_tokens == 0 { tokens_max } else { self.max_new_tokens };
        if self.min_new_tokens > limit {
            return invalid(format!(
                "min_new_tokens is {}, expected at most {limit}, the most tokens",
                self.min_new_tokens
            ));
        }
        if !(REPETITION_PENALTY_MIN..=REPETITION_PENALTY_MAX).contains(&self.repetition_penalty) {
            let (found, least, most) =
                (self.repetition_penalty, REPETITION_PENALTY_MIN, REPETITION_PENALTY_MAX);
            return invalid(format!("repetition_penalty is {found}, expected {least} to {most}"));
        }
        if !self.length_penalty.is_finite() || self.length_penalty.abs() > 16.0 {
            let found = self.length_penalty;
            return invalid(format!("length_penalty is {found}, expected -16 to 16"));
        }
        if self.stop_strings.len() > STOP_STRINGS_MAX {
            let found = self.stop_strings.len();
            return invalid(format!(
                "stop_strings has {found} texts, expected at most {STOP_STRINGS_MAX}"
            ));
        }
        let sizes = 1..=STOP_STRING_BYTES_MAX;
        if let Some(stop) = self.stop_strings.iter().find(|stop| !sizes.contains(&stop.len())) {
            return invalid(format!(
                "a text in stop_strings has {} bytes, expected 1 to {STOP_STRING_BYTES_MAX}",
                stop.len()
            ));
        }
        match self.forced_bos_token_id {
            Some(id) if id as usize >= vocabulary => {
                invalid(format!("forced_bos_token_id is {id}, expected less than {vocabulary}"))
            }
            _ => Ok(()),
        }
    }
}

named! {
    /// Why a generation ended.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum FinishReason {
        /// The model chose an end token.
        #[default]
        End = "end",
        /// The token limit was reached.
        Length = "length",
        /// A text of [`GenerateOptions::stop_strings`] occurred, or the callback broke.
        Stopped = "stopped",
        /// The caller cancelled.
        Cancelled = "cancelled",
    }
}

/// The text that was generated from one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeneratedText {
    /// The new tokens, with the end token and without the start token.
    pub ids: Vec<u32>,
    /// Their text, without special tokens and without the stop string.
    pub text: String,
    /// The sum of the log probabilities of the tokens; a forced token has probability 1. With beams
    /// it includes a repetition penalty.
    pub log_probability: f32,
    /// Why the generation ended.
    pub finish_reason: FinishReason,
}
