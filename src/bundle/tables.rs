//! Finds the embedding tables of a graph, and how many tokens of a text fit in them.
//!
//! A table of positions is looked up with numbers that count the tokens: from 0, from 2, from the
//! row after the padding's, or along a buffer of numbers. The search follows these numbers back to
//! where the counting begins. If that fails it guesses, and a run of the graph decides.

use super::inputs::Inputs;
use crate::graph::{
    GraphProto, Index, NodeProto, Weights, attribute_int, attribute_ints, attribute_tensor,
    inline_bytes, integers,
};

/// The most nodes that a search follows; real paths are much shorter.
const STEPS_MAX: usize = 32;

/// Smaller tables with an unknown lookup hold segments or other types, not positions.
const GUESSED_ROWS_MIN: usize = 32;

/// Stands for the indices of an operator that counts the tokens itself, from 0.
const COUNTED_INSIDE: &str = "";

/// Operators that exporters insert around numbers and that do not change them.
const SAME: &[&str] = &[
    "Cast",
    "Expand",
    "Flatten",
    "Identity",
    "Reshape",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// Finds the embedding tables of a graph.
pub(super) struct Tables<'a> {
    pub graph: &'a GraphProto,
    pub index: &'a Index,
    pub weights: &'a Weights,
}

/// The room in a table of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positions {
    /// Tokens of one text.
    pub tokens: usize,
    pub rows: usize,
}

struct Lookup<'a> {
    table: &'a [i64],
    indices: &'a str,
}

/// Numbers that count the tokens of a text: the last of `n` tokens has `n + offset`.
#[derive(Clone, Copy)]
struct Count {
    offset: i64,
    /// The most tokens that can be counted, where the numbers are in a buffer.
    tokens_max: Option<i64>,
}

impl Count {
    fn from(first: i64) -> Self {
        Self { offset: first.saturating_sub(1), tokens_max: None }
    }

    fn plus(self, more: i64) -> Option<Self> {
        Some(Self { offset: self.offset.checked_add(more)?, ..self })
    }
}

impl<'a> Tables<'a> {
    /// Rows and width of the smallest table that is looked up with the token ids.
    pub fn words(&self, input_ids: &str) -> Option<(usize, usize)> {
        self.lookups()
            .filter(|lookup| self.comes_from(lookup.indices, input_ids))
            .filter_map(|lookup| Some((extent(lookup.table, 0)?, extent(lookup.table, 1)?)))
            .min()
    }

    /// The table with room for the fewest tokens, of those that are looked up with neither token
    /// ids nor segment ids.
    pub fn positions(&self, inputs: &Inputs, hidden: usize) -> Option<Positions> {
        let segments = inputs.token_type_ids.as_deref().unwrap_or_default();
        self.lookups()
            .filter(|lookup| {
                lookup.table.len() == 2
                    && !self.comes_from(lookup.indices, &inputs.input_ids)
                    && !self.comes_from(lookup.indices, segments)
            })
            .filter_map(|lookup| {
                let rows = extent(lookup.table, 0)?;
                let count = match lookup.indices {
                    COUNTED_INSIDE => Some(Count::from(0)),
                    indices => self.count(indices, STEPS_MAX),
                };
                let tokens = match count {
                    Some(count) => {
                        let rows = i64::try_from(rows).ok()?;
                        let room = rows.checked_sub(1)?.checked_sub(count.offset)?.min(rows);
                        usize::try_from(count.tokens_max.map_or(room, |most| most.min(room)))
                            .ok()?
                    }
                    None => self.guess(&lookup, rows, hidden)?,
                };
                (tokens > 0).then_some(Positions { tokens, rows })
            })
            .min_by_key(|found| found.tokens)
    }

    /// The estimated room in a table whose counting is unknown.
    fn guess(&self, lookup: &Lookup<'a>, rows: usize, hidden: usize) -> Option<usize> {
        if extent(lookup.table, 1) != Some(hidden) || rows < GUESSED_ROWS_MIN {
            return None;
        }
        // Positions that are counted from the mask mostly begin after the padding's row.
        rows.checked_sub(if self.is_counted(lookup.indices) { 2 } else { 0 })
    }

    /// How `value` counts the tokens, if it does.
    fn count(&self, value: &str, steps: usize) -> Option<Count> {
        let steps = steps.checked_sub(1)?;
        let node = self.producer(value)?;
        let input = |position: usize| node.input.get(position).map(String::as_str);
        let number = |position: usize| self.number(input(position)?);
        match node.op_type() {
            // The running sum of ones is 1 for the first token.
            "CumSum" => {
                let is_exclusive = attribute_int(node, "exclusive") == Some(1);
                Some(Count::from(if is_exclusive { 0 } else { 1 }))
            }
            "Range" if number(2) == Some(1) => Some(Count::from(number(0)?)),
            // Older exporters wrote a range this way.
            "NonZero" => Some(Count::from(0)),
            "Slice" => match self.constant(input(0)?) {
                Some(buffer) => counting(&buffer),
                None => self.count(input(0)?, steps),
            },
            "Add" => match (number(0), number(1)) {
                (None, Some(more)) => self.count(input(0)?, steps)?.plus(more),
                (Some(more), None) => self.count(input(1)?, steps)?.plus(more),
                _ => None,
            },
            "Sub" => self.count(input(0)?, steps)?.plus(number(1)?.checked_neg()?),
            // A product with the mask, which is 1 for tokens.
            "Mul" if number(0).is_none() && number(1).is_none() => {
                self.count(input(0)?, steps).or_else(|| self.count(input(1)?, steps))
            }
            "Where" => self.count(input(1)?, steps).or_else(|| self.count(input(2)?, steps)),
            operator if SAME.contains(&operator) => self.count(input(0)?, steps),
            _ => None,
        }
    }

    /// Every row lookup in a constant.
    fn lookups(&self) -> impl Iterator<Item = Lookup<'a>> + '_ {
        self.graph.node.iter().flat_map(|node| {
            let input = |position: usize| node.input.get(position).map(String::as_str);
            let pairs = match node.op_type() {
                "Gather" => vec![(input(0), input(1))],
                // Fused: ids, segments, then the tables of words, positions and segments. The
                // operator counts the positions itself.
                "EmbedLayerNormalization" => {
                    vec![(input(2), input(0)), (input(3), Some(COUNTED_INSIDE))]
                }
                _ => Vec::new(),
            };
            pairs.into_iter().filter_map(|(table, indices)| {
                Some(Lookup { table: self.table(table?)?, indices: indices? })
            })
        })
    }

    /// The extents of the constant that a value comes from, through operators that keep its rows.
    fn table(&self, value: &str) -> Option<&'a [i64]> {
        let mut value = value;
        for _ in 0..STEPS_MAX {
            if let Some(weight) = self.weights.get(value) {
                return Some(weight.dims);
            }
            let node = self.producer(value)?;
            if node.op_type() == "Constant" {
                return attribute_tensor(node, "value").map(|tensor| tensor.dims.as_slice());
            }
            if !matches!(node.op_type(), "Cast" | "DequantizeLinear" | "Identity") {
                return None;
            }
            value = node.input.first()?;
        }
        None
    }

    /// Whether `value` is `source` except for its shape and type.
    fn comes_from(&self, value: &str, source: &str) -> bool {
        let mut value = value;
        for _ in 0..STEPS_MAX {
            if value == source {
                return !source.is_empty();
            }
            let same = ["Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];
            match self.producer(value).filter(|node| same.contains(&node.op_type())) {
                Some(node) if !node.input.is_empty() => value = &node.input[0],
                _ => return false,
            }
        }
        false
    }

    /// Whether a running sum is among the nodes that compute `value`.
    fn is_counted(&self, value: &'a str) -> bool {
        let mut values = vec![value];
        for _ in 0..STEPS_MAX {
            let Some(value) = values.pop() else { return false };
            let Some(node) = self.producer(value) else { continue };
            if node.op_type() == "CumSum" {
                return true;
            }
            values.extend(node.input.iter().map(String::as_str));
        }
        false
    }

    /// The integer that a value of one element holds.
    fn number(&self, value: &str) -> Option<i64> {
        match self.constant(value)?.as_slice() {
            [first, rest @ ..] if rest.iter().all(|other| other == first) => Some(*first),
            _ => None,
        }
    }

    /// The integers of an initializer or constant node.
    fn constant(&self, value: &str) -> Option<Vec<i64>> {
        if let Some(weight) = self.weights.get(value) {
            return weight.values_i64();
        }
        let node = self.producer(value)?;
        match node.op_type() {
            "Cast" | "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" => {
                // One step suffices: constants are direct inputs of these operators.
                let inner = node.input.first()?;
                match self.weights.get(inner) {
                    Some(weight) => weight.values_i64(),
                    None => own_numbers(self.producer(inner)?),
                }
            }
            _ => own_numbers(node),
        }
    }

    fn producer(&self, value: &str) -> Option<&'a NodeProto> {
        self.index.producer(value).map(|position| &self.graph.node[position])
    }
}

/// The integers of a constant node.
fn own_numbers(node: &NodeProto) -> Option<Vec<i64>> {
    if node.op_type() != "Constant" {
        return None;
    }
    if let Some(tensor) = attribute_tensor(node, "value") {
        return integers(tensor.data_type(), &inline_bytes(tensor).ok()?);
    }
    let one = attribute_int(node, "value_int").map(|value| vec![value]);
    one.or_else(|| attribute_ints(node, "value_ints").map(<[i64]>::to_vec))
}

/// How a buffer of numbers counts: each element is its predecessor plus 1.
fn counting(buffer: &[i64]) -> Option<Count> {
    let first = *buffer.first()?;
    let counts = buffer.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
    let tokens_max = i64::try_from(buffer.len()).ok().filter(|&length| length > 1 && counts)?;
    Some(Count { tokens_max: Some(tokens_max), ..Count::from(first) })
}

fn extent(table: &[i64], axis: usize) -> Option<usize> {
    table.get(axis).and_then(|&extent| usize::try_from(extent).ok())
}
