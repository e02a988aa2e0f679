//! Turns masks of fused attentions into tensors that are added to the scores.

use super::fused::Fused;
use crate::autodiff::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::data_type;

/// The masks of an attention.
pub(super) struct Mask<'a> {
    /// The operator's mask: `[batch]` (the number of valid keys), `[batch, keys]` or `[batch,
    /// queries, keys]` (positive where a key is valid).
    pub mask: Option<&'a str>,
    /// Whether a query sees only the keys up to its own position.
    pub causal: bool,
    /// The value that is added to the score of a hidden key.
    pub filter: f64,
}

/// The lowest finite float32, added to the scores of keys after the query.
const LOWEST: f64 = f32::MIN as f64;

impl Mask<'_> {
    /// The tensor to add, or `None`. `query` and `key` are `[batch, heads, tokens, size]`; the last
    /// query belongs to the last key.
    pub fn added(
        &self,
        emit: &mut Emitter<'_>,
        fused: &Fused<'_>,
        (query, key): (&str, &str),
    ) -> Result<Option<String>> {
        let keys = emit.run_time_size(key, 2);
        let padding = match self.mask {
            Some(mask) => Some(self.padding(emit, fused, mask, &keys)?),
            None => None,
        };
        if !self.causal {
            return Ok(padding);
        }
        let queries = emit.run_time_size(query, 2);
        let before = emit.node("Sub", &[&keys, &queries], vec![]);
        let columns = range(emit, &keys);
        let rows = range(emit, &queries);
        let rows = emit.node("Add", &[&rows, &before], vec![]);
        let rows = emit.change_axes("Unsqueeze", &rows, &[1]);
        let hidden = emit.node("Greater", &[&columns, &rows], vec![]);
        let lowest = fused.scalar(emit, LOWEST);
        let shown = padding.unwrap_or_else(|| fused.scalar(emit, 0.0));
        Ok(Some(emit.node("Where", &[&hidden, &lowest, &shown], vec![])))
    }

    fn padding(
        &self,
        emit: &mut Emitter<'_>,
        fused: &Fused<'_>,
        mask: &str,
        keys: &str,
    ) -> Result<String> {
        let dims = emit.dims(mask)?;
        let zero = emit.int(0);
        let numbers = emit.cast(mask, data_type::INT64);
        let (counts, added): (_, &[i64]) = match dims.as_slice() {
            [batch] => {
                // A longer vector of the same rank may also hold start positions.
                if emit.dims(fused.required(0)?)?.first() != Some(batch) || batch.is_unknown() {
                    return Err(refused("its mask is not one length per text"));
                }
                let columns = range(emit, keys);
                let lengths = emit.change_axes("Unsqueeze", &numbers, &[1]);
                (emit.node("Less", &[&columns, &lengths], vec![]), &[1, 2])
            }
            [_, _] => (emit.node("Greater", &[&numbers, &zero], vec![]), &[1, 2]),
            [_, _, _] => (emit.node("Greater", &[&numbers, &zero], vec![]), &[1]),
            _ => return Err(refused(format!("its mask has the rank {}", dims.len()))),
        };
        let (shown, hidden) = (fused.scalar(emit, 0.0), fused.scalar(emit, self.filter));
        let padding = emit.node("Where", &[&counts, &shown, &hidden], vec![]);
        Ok(emit.change_axes("Unsqueeze", &padding, added))
    }
}

/// The range from 0 up to a limit, which is a vector of one element.
fn range(emit: &mut Emitter<'_>, limit: &str) -> String {
    let (zero, one) = (emit.int(0), emit.int(1));
    let limit = emit.change_axes("Squeeze", limit, &[0]);
    emit.node("Range", &[&zero, &limit, &one], vec![])
}
