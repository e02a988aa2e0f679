//! Tasks about whole inputs: one label, a set of labels, or a number.
//!
//! All three have one linear head on the pooled hidden state; they differ in the loss and in the
//! meaning of the head's outputs.
//!
//! Input: a text or a pair of texts. Output: labels or a number.

pub mod classification;
pub(super) mod multi_label;
pub mod regression;
pub mod score;

use super::Encoded;
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::example::Input;
use crate::inference::finite;

/// The targets of a training graph, `[batch, labels]`.
const TARGETS: &str = "polygraft.targets";
/// The weight of one output of one example, a scalar.
const WEIGHT: &str = "polygraft.weight";

/// Tokenizes a text or a pair of texts, each with the bundle's prefix.
pub(crate) fn encode(bundle: &Bundle, input: &Input) -> Result<Encoded> {
    input.check()?;
    let manifest = bundle.manifest();
    let prefixed = |text: &str| format!("{}{text}", manifest.prefix);
    let (tokenizer, tokens_max) = (bundle.tokenizer(), manifest.tokens_max);
    let encoding = match input {
        Input::Text(text) => tokenizer.encode(&prefixed(text), tokens_max)?,
        Input::Pair(first, second) => {
            tokenizer.encode_pair(&prefixed(first), &prefixed(second), tokens_max)?
        }
        Input::Words(_) => {
            let message = "expected a text or a pair of texts, found words";
            return Err(Error::new(Code::TaskKind, message));
        }
    };
    Ok(Encoded { encoding, words: Vec::new() })
}

/// The logits of each of `count` inputs, one row after another.
///
/// # Errors
/// [`Code::Internal`] for logits of another shape, [`Code::RuntimeNotFinite`].
pub(super) fn rows<'a>(
    labels: &[String],
    count: usize,
    logits: &'a [f32],
) -> Result<impl Iterator<Item = &'a [f32]>> {
    let (size, found) = (labels.len(), logits.len());
    if found != count * size {
        let message = format!("the session gave {found} logits, expected {}", count * size);
        return Err(Error::new(Code::Internal, message));
    }
    finite::check("logits of labels", logits)?;
    Ok((0..count).map(move |row| &logits[row * size..(row + 1) * size]))
}
