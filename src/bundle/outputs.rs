//! Decides which output of a graph holds the hidden states.
//!
//! Exporters also write logits, pooled vectors, or one state per text in three dimensions. None of
//! these is a state for every token; taken for one, each gives plausible but wrong results.

use crate::error::listed;
use crate::graph::{Dim, GraphProto, TensorType, data_type, shape_text};

const EXPORT_ADVICE: &str = "export the hidden states, with \
    `optimum-cli export onnx --task feature-extraction` or of the model without its head";

pub(super) enum OutputRole {
    /// Hidden states of this size.
    Hidden(usize),
    /// Anything else, with the size of its last dimension if its rank is 3.
    Other(Option<usize>, String),
}

/// Judges an output by its name and type. `words` are the rows and the width of the token embedding
/// table: an output as wide as the number of rows holds logits.
pub(super) fn judge(
    name: &str,
    found: Option<&TensorType>,
    words: Option<(usize, usize)>,
) -> OutputRole {
    let shown = found.map_or_else(|| "of unknown type".to_owned(), show);
    let Some(size) = found.and_then(hidden_size) else {
        let is_vector = found.and_then(TensorType::rank) == Some(2);
        let what = if is_vector { ", one vector for a text" } else { "" };
        return OutputRole::Other(None, format!("{name:?} is {shown}{what}"));
    };
    let other =
        |what: String| OutputRole::Other(Some(size), format!("{name:?} is {shown}, {what}"));
    if words.is_some_and(|(rows, width)| size == rows && size != width) {
        return other(format!("the logits of {size} tokens of the vocabulary"));
    }
    if name.to_ascii_lowercase().contains("logits") {
        return other("logits by its name".to_owned());
    }
    let middle = found.and_then(|found| found.shape.as_ref()?.get(1).cloned());
    if middle == Some(Dim::Known(1)) {
        return other("one state for a text".to_owned());
    }
    OutputRole::Hidden(size)
}

/// Why none of the outputs can be used, with advice.
pub(super) fn refusal(graph: &GraphProto, wanted: Option<&str>, refused: &[String]) -> String {
    /// Graphs with more outputs than this return caches or all layers.
    const SHOWN_MAX: usize = 8;
    let wanted = wanted.map_or_else(|| "an output".to_owned(), |name| format!("{name:?}"));
    let found = match refused {
        [] => {
            let names = graph.output.iter().take(SHOWN_MAX).map(|output| output.name());
            format!("the outputs are {}", listed(names))
        }
        reasons => reasons[..reasons.len().min(SHOWN_MAX)].join("; "),
    };
    format!(
        "expected {wanted} to be hidden states, float [batch, sequence, hidden] of known hidden \
         size; {found}; {EXPORT_ADVICE}"
    )
}

/// The last dimension of a float tensor of rank 3, where known.
pub(super) fn hidden_size(found: &TensorType) -> Option<usize> {
    if found.data_type != data_type::FLOAT {
        return None;
    }
    match found.shape.as_deref() {
        Some([_, _, Dim::Known(hidden)]) => usize::try_from(*hidden).ok().filter(|&size| size > 0),
        _ => None,
    }
}

/// A type as messages show it.
fn show(found: &TensorType) -> String {
    format!("{} {}", data_type::name(found.data_type), shape_text(found.shape.as_deref()))
}
