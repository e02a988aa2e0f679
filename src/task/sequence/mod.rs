//! Sequence to sequence: generates a text from a text.
//!
//! The task is trained by teacher forcing on the joined graph of encoder and decoder; the head is
//! the backbone's own output layer.
//!
//! Input: a text, and a text as its target. Output: token ids, the loss, the score of a text.

mod loss;
pub mod score;

pub(super) use loss::add as add_loss;
pub use loss::{SMOOTHING, TARGET_IDS, TARGET_WEIGHTS};

use super::{Encoded, Metric, TargetValues, Totals, sentence};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::example::Input;
use score::{Chrf, Counts};

pub(super) fn encode(bundle: &Bundle, input: &Input) -> Result<Encoded> {
    bundle.decoder()?;
    if !matches!(input, Input::Text(_)) {
        return Err(Error::new(Code::TaskKind, "sequence to sequence: expected one text as input"));
    }
    sentence::encode(bundle, input)
}

/// Encodes a target as the start token, the tokens of the text and the end token.
///
/// # Errors
/// [`Code::TaskEmptyText`] for a text without tokens, [`Code::TaskTooLong`] for one with more
/// tokens than the decoder writes: a truncated target has no end token, so the model would not
/// learn to end.
pub fn encode_target(bundle: &Bundle, text: &str) -> Result<Vec<u32>> {
    let decoder = bundle.decoder()?;
    let ids = &decoder.ids;
    let framing = usize::from(ids.forced_bos_token_id.is_some()) + 1;
    let room = decoder.tokens_max.saturating_sub(framing);
    let encoding = bundle.tokenizer().encode_plain(text, room)?;
    if encoding.ids.is_empty() {
        let message = format!("the target {text:?} has no tokens");
        return Err(Error::new(Code::TaskEmptyText, message));
    }
    if encoding.truncated {
        let message = format!(
            "the target {text:?} has more tokens than the decoder writes: expected at most \
             {room} beside {framing} special ones"
        );
        return Err(Error::new(Code::TaskTooLong, message));
    }
    let mut tokens = vec![ids.decoder_start_token_id];
    tokens.extend(ids.forced_bos_token_id);
    tokens.extend(encoding.ids);
    tokens.extend(ids.eos_token_ids.first());
    Ok(tokens)
}

pub(super) fn target_values(targets: &[&[u32]], totals: &Totals) -> Result<TargetValues> {
    loss::values(targets, totals.part_weight(), totals.smoothing)
}

/// The chrF of a text.
pub(super) fn score(given: &str, expected: &str) -> f32 {
    Chrf::of(expected, given).score() as f32
}

/// The metrics of pairs of an expected text and the given one.
pub(super) fn metrics(pairs: &[(&str, &str)]) -> Vec<Metric> {
    let (mut chrf, mut counts) = (Chrf::default(), Counts::default());
    for (expected, given) in pairs {
        chrf.add(expected, given);
        counts.add(expected, given);
    }
    Metric::known([
        ("chrf", (counts.texts > 0).then(|| chrf.score())),
        ("exact_match", counts.exact_match()),
        ("character_error_rate", counts.character_error_rate()),
    ])
}
