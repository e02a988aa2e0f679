//! Masks of fused attentions as tensors that are added to the scores.

use super::writer::Parts;
use crate::error::Result;
use crate::graph::{attr, data_type};

/// What hides keys from queries.
pub(super) struct Mask<'a> {
    /// The operator's mask: `[batch]` (how many keys count), `[batch, keys]` or
    /// `[batch, queries, keys]` (above zero where one counts).
    pub mask: Option<&'a str>,
    /// Whether a query sees only the keys up to its own place.
    pub causal: bool,
    /// What is added to the score of a hidden key.
    pub filter: f64,
}

/// The lowest finite float32: what hides the keys behind a query.
const LOWEST: f64 = f32::MIN as f64;

impl Mask<'_> {
    /// The tensor to add, or none. `query` and `key` are `[batch, heads, tokens, size]`; the last
    /// query belongs to the last key.
    pub fn added(
        &self,
        parts: &mut Parts<'_, '_>,
        (query, key): (&str, &str),
    ) -> Result<Option<String>> {
        let keys = parts.run_time_size(key, 2);
        let padding = match self.mask {
            Some(mask) => Some(self.padding(parts, mask, &keys)?),
            None => None,
        };
        if !self.causal {
            return Ok(padding);
        }
        let queries = parts.run_time_size(query, 2);
        let before = parts.node("Sub", &[&keys, &queries], vec![]);
        let columns = range(parts, &keys);
        let rows = range(parts, &queries);
        let rows = parts.node("Add", &[&rows, &before], vec![]);
        let rows = parts.change_axes("Unsqueeze", &rows, &[1]);
        let hidden = parts.node("Greater", &[&columns, &rows], vec![]);
        let lowest = parts.scalar(LOWEST);
        let shown = padding.unwrap_or_else(|| parts.scalar(0.0));
        Ok(Some(parts.node("Where", &[&hidden, &lowest, &shown], vec![])))
    }

    fn padding(&self, parts: &mut Parts<'_, '_>, mask: &str, keys: &str) -> Result<String> {
        let dims = parts.dims(mask)?;
        let zero = parts.int_scalar(0);
        let numbers = parts.node("Cast", &[mask], vec![attr::int("to", data_type::INT64.into())]);
        let (counts, added): (_, &[i64]) = match dims {
            [batch] => {
                // The same rank may hold starts and other things, in a longer vector.
                if parts.dims(parts.required(0)?)?.first() != Some(batch) || batch.is_unknown() {
                    return Err(parts.refuse("its mask is not one length per text"));
                }
                let columns = range(parts, keys);
                let lengths = parts.change_axes("Unsqueeze", &numbers, &[1]);
                (parts.node("Less", &[&columns, &lengths], vec![]), &[1, 2])
            }
            [_, _] => (parts.node("Greater", &[&numbers, &zero], vec![]), &[1, 2]),
            [_, _, _] => (parts.node("Greater", &[&numbers, &zero], vec![]), &[1]),
            _ => return Err(parts.refuse(&format!("its mask has the rank {}", dims.len()))),
        };
        let (shown, hidden) = (parts.scalar(0.0), parts.scalar(self.filter));
        let padding = parts.node("Where", &[&counts, &shown, &hidden], vec![]);
        Ok(parts.change_axes("Unsqueeze", &padding, added))
    }
}

/// 0, 1 and so on below a vector of one number.
fn range(parts: &mut Parts<'_, '_>, limit: &str) -> String {
    let (zero, one) = (parts.int_scalar(0), parts.int_scalar(1));
    let limit = parts.change_axes("Squeeze", limit, &[0]);
    parts.node("Range", &[&zero, &limit, &one], vec![])
}
