//! Answers about whole inputs: one label, a set of labels, or a number.
//!
//! All three read the pooled hidden state through one linear head and differ in the loss and in how
//! its outputs are read.

mod classes;
mod label_sets;
mod numbers;
pub mod score;

pub use classes::{Classes, rank_labels};
pub(super) use classes::{
    add_cross_entropy as add_label_cross_entropy, label_pairs, label_score, label_targets,
};
pub use label_sets::LabelSets;
pub use numbers::{Numbers, VALUE_LABEL, scale_of};

use super::heads::LOGITS;
use super::predictor::run_encoder;
use super::{AnswerOptions, Encoded, LoadedAdapter, Predictor, finite};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::example::Input;

/// The targets of a training graph, `[batch, labels]`.
pub(super) const TARGETS: &str = "polygraft.targets";
/// The weight of one output of one example, a scalar.
pub(super) const WEIGHT: &str = "polygraft.weight";

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

/// One row of logits per input.
pub(super) fn logits(
    predictor: &Predictor,
    inputs: &[&Encoded],
    adapter: &LoadedAdapter,
    options: &AnswerOptions<'_>,
) -> Result<Vec<Vec<f32>>> {
    let labels_count = adapter.adapter().labels.len();
    let [logits] = run_encoder(predictor, inputs, adapter, [LOGITS], options.cancel)?;
    let expected = inputs.len() * labels_count;
    if logits.len() != expected {
        let found = logits.len();
        let message = format!("the session gave {found} logits, expected {expected}");
        return Err(Error::new(Code::Internal, message));
    }
    finite::check("logits of labels", &logits)?;
    Ok(logits.chunks_exact(labels_count.max(1)).map(<[f32]>::to_vec).collect())
}
