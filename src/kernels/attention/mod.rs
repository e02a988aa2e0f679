//! Multi-head attention (Vaswani et al., arXiv 1706.03762) and its gradient, on tokens as the
//! linear layers make them: no head is moved to a place of its own.
//!
//! Queries are `[texts, queries, heads * size]`, keys and values `[texts, keys, heads * size]`. For
//! each head, `shares = softmax(scale q kᵀ + mask)` over the keys and `context = shares v`.

mod product;
mod tiles;

use super::lanes::{dot, exp, load, store, sum};
use super::operator::{Attributes, Call, Kernel, Operator, View, misfit, refused, required};
use crate::error::Result;
use fearless_simd::{Level, dispatch, prelude::*};
use product::{Columns, Matrix, Rows, product};
use tiles::{Tile, cut, for_tiles};

/// Inputs: queries, keys, values, a mask that broadcasts to `[texts, heads, queries, keys]`.
/// Outputs: the context `[texts, queries, heads * size]`, the shares `[texts, heads, queries,
/// keys]`.
pub(super) static ATTENTION: Operator = Operator {
    name: "Attention",
    inputs: 4,
    inputs_required: 3,
    outputs: 2,
    create: Attention::create,
};

/// Inputs: the gradient of the context, queries, keys, values, shares. Outputs: the gradients of
/// queries, keys and values; the first two are those of the scaled scores, without the scale.
pub(super) static ATTENTION_GRADIENT: Operator = Operator {
    name: "AttentionGradient",
    inputs: 5,
    inputs_required: 5,
    outputs: 3,
    create: AttentionGradient::create,
};

/// Queries whose scores are computed together.
const QUERIES_BLOCK: usize = 32;
/// From this number of texts on, each text is a task; below it, each head of a text is one.
const TEXTS_MIN: usize = 8;
/// The least multiplications of a call that threads share.
const PARALLEL_WORK_MIN: usize = 256 * 1024;

struct Attention {
    heads: usize,
    scale: f32,
}

struct AttentionGradient {
    heads: usize,
}

/// The sizes of a call.
#[derive(Clone, Copy)]
struct Sizes {
    texts: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    /// Of a query or a key.
    size: usize,
    /// Of a value.
    value_size: usize,
    /// The heads of a text that one task computes.
    heads_each: usize,
}

fn heads_of(attributes: &dyn Attributes) -> Result<usize> {
    let heads = attributes.int("heads")?;
    usize::try_from(heads)
        .ok()
        .filter(|&heads| heads > 0)
        .ok_or_else(|| refused(format!("{heads} heads, expected at least 1")))
}

impl Sizes {
    fn of(heads: usize, query: &View<'_>, key: &View<'_>, value: &View<'_>) -> Result<Self> {
        for (name, view) in [("query", query), ("key", key), ("value", value)] {
            if view.shape.len() != 3 || view.width() % heads != 0 {
                return Err(misfit(name, view, &format!("three axes and {heads} heads")));
            }
        }
        let [texts, queries, width] = [0, 1, 2].map(|axis| query.shape[axis]);
        let keys = key.shape[1];
        super::operator::same_shape("key", key, &[texts, keys, width])?;
        super::operator::same_shape("value", value, &[texts, keys, value.shape[2]])?;
        let texts = texts as usize;
        Ok(Self {
            texts,
            queries: queries as usize,
            keys: keys as usize,
            heads,
            size: width as usize / heads,
            value_size: value.width() / heads,
            heads_each: if texts >= TEXTS_MIN { heads } else { 1 },
        })
    }

    fn groups(&self) -> usize {
        self.heads / self.heads_each
    }

    fn is_parallel(&self) -> bool {
        let products = self.queries * self.keys * (self.size + self.value_size);
        self.texts * self.heads * products >= PARALLEL_WORK_MIN
    }

    fn is_empty(&self) -> bool {
        [self.texts, self.queries, self.keys, self.size, self.value_size].contains(&0)
    }

    /// The heads of a tile, each with the number of its text.
    fn heads_of(&self, tile: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (text, first) = (tile / self.groups(), tile % self.groups() * self.heads_each);
        (first..first + self.heads_each).map(move |head| (text, head))
    }

    /// The tiles of an output with the rows of the queries or of the keys.
    fn tiles<'a>(&self, output: Option<&'a mut [f32]>, rows: usize, size: usize) -> Vec<Tile<'a>> {
        let width = self.heads * size;
        cut(output, [self.texts, rows, width], (self.groups(), self.heads_each * size))
    }
}

/// A head's part of the rows of one text.
#[derive(Clone, Copy)]
struct Part<'a> {
    values: &'a [f32],
    /// The distance between two rows.
    row: usize,
    size: usize,
}

impl<'a> Part<'a> {
    fn of(view: &View<'a>, rows: usize, size: usize, (text, head): (usize, usize)) -> Self {
        let row = view.width();
        let begin = text * rows * row + head * size;
        Self { values: view.values.get(begin..).unwrap_or_default(), row, size }
    }

    fn as_left(&self) -> Matrix<'a> {
        Matrix { values: self.values, row: self.row, column: 1 }
    }

    fn as_right(&self) -> (&'a [f32], usize, usize) {
        (self.values, self.row, self.size)
    }

    /// Writes the columns as rows, `row` apart, from row `rows` on filled with zeros.
    fn transpose(&self, rows: usize, row: usize, columns: &mut [f32]) {
        for index in 0..rows {
            let from = &self.values[index * self.row..index * self.row + self.size];
            for (column, &value) in from.iter().enumerate() {
                columns[column * row + index] = value;
            }
        }
    }
}

/// A mask and the distances along its axes, 0 where it is repeated.
#[derive(Clone, Copy)]
struct Mask<'a> {
    values: &'a [f32],
    steps: [usize; 4],
}

impl<'a> Mask<'a> {
    fn of(view: &View<'a>, sizes: &Sizes) -> Result<Self> {
        let whole = [sizes.texts, sizes.heads, sizes.queries, sizes.keys];
        let missing = 4usize.checked_sub(view.shape.len());
        let expected = || misfit("mask", view, &format!("one that broadcasts to {whole:?}"));
        let missing = missing.ok_or_else(expected)?;
        let (mut steps, mut step) = ([0; 4], 1);
        for (axis, &size) in view.shape.iter().enumerate().rev() {
            let size = size as usize;
            if size != 1 {
                if size != whole[missing + axis] {
                    return Err(expected());
                }
                steps[missing + axis] = step;
            }
            step *= size;
        }
        Ok(Self { values: view.values, steps })
    }

    /// The numbers to add to the scores of a query: one for all keys, or one for each.
    fn row(&self, (text, head): (usize, usize), query: usize, keys: usize) -> &'a [f32] {
        let begin = text * self.steps[0] + head * self.steps[1] + query * self.steps[2];
        let count = if self.steps[3] == 0 { 1 } else { keys };
        &self.values[begin..begin + count]
    }
}

impl Attention {
    fn create(attributes: &dyn Attributes) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(Self { heads: heads_of(attributes)?, scale: attributes.float("scale")? }))
    }
}

impl Kernel for Attention {
    fn run<'a>(&self, call: &mut dyn Call<'a>) -> Result<()> {
        let query = required(call, 0, "query")?;
        let (key, value) = (required(call, 1, "key")?, required(call, 2, "value")?);
        let sizes = Sizes::of(self.heads, &query, &key, &value)?;
        let mask = call.input(3)?;
        let mask = mask.map(|mask| Mask::of(&mask, &sizes)).transpose()?;
        let Sizes { texts, queries, keys, heads, size, value_size, .. } = sizes;
        let context = call.output(0, &[texts, queries, heads * value_size])?;
        let shares = call.output(1, &[texts, heads, queries, keys])?;
        if sizes.is_empty() {
            context.into_iter().for_each(|values| values.fill(0.0));
            return Ok(());
        }
        let contexts = sizes.tiles(context, queries, value_size);
        let area = sizes.heads_each * queries * keys;
        let mut shares = shares.map(|values| values.chunks_exact_mut(area));
        let mut next = || shares.as_mut().and_then(Iterator::next).unwrap_or_default();
        let tiles: Vec<_> = contexts.into_iter().map(|context| (context, next())).collect();
        for_tiles(call.threads(), tiles, sizes.is_parallel(), |tile, (mut context, shares)| {
            for (index, place) in sizes.heads_of(tile).enumerate() {
                let head = Head {
                    query: Part::of(&query, queries, size, place),
                    key: Part::of(&key, keys, size, place),
                    value: Part::of(&value, keys, value_size, place),
                    mask: mask.map(|mask| (mask, place)),
                    scale: self.scale,
                    queries,
                    keys,
                };
                let area = queries * keys;
                let shares = shares.get_mut(index * area..(index + 1) * area);
                let columns = index * value_size..(index + 1) * value_size;
                dispatch!(Level::new(), simd => {
                    forward(simd, &head, &mut context, columns, shares);
                });
            }
        })
    }
}

/// The operands of one head of one text.
struct Head<'a> {
    query: Part<'a>,
    key: Part<'a>,
    value: Part<'a>,
    mask: Option<(Mask<'a>, (usize, usize))>,
    scale: f32,
    queries: usize,
    keys: usize,
}

/// The number of elements of a row that holds `count`, rounded up to whole vectors.
#[inline(always)]
fn padded<S: Simd>(count: usize) -> usize {
    count.next_multiple_of(S::f32s::LEN)
}

#[inline(always)]
fn forward<S: Simd>(
    simd: S,
    head: &Head<'_>,
    context: &mut [&mut [f32]],
    columns: std::ops::Range<usize>,
    mut shares: Option<&mut [f32]>,
) {
    let (keys, row) = (head.keys, padded::<S>(head.keys));
    let mut transposed = vec![0.0; head.key.size * row];
    head.key.transpose(keys, row, &mut transposed);
    let mut scores = vec![0.0; QUERIES_BLOCK.min(head.queries) * row];
    let mut from = 0;
    while from < head.queries {
        let count = QUERIES_BLOCK.min(head.queries - from);
        let query = head.query.as_left();
        let query = Matrix { values: &query.values[from * query.row..], ..query };
        let right = (transposed.as_slice(), row, row);
        let mut target = Rows { values: &mut scores, row };
        product(simd, (query, head.scale), (count, head.key.size), right, &mut target);
        for index in 0..count {
            let scores = &mut scores[index * row..index * row + keys];
            if let Some((mask, place)) = &head.mask {
                add_mask(simd, scores, mask.row(*place, from + index, keys));
            }
            softmax(simd, scores);
            if let Some(shares) = &mut shares {
                let begin = (from + index) * keys;
                shares[begin..begin + keys].copy_from_slice(scores);
            }
        }
        let scores = Matrix { values: &scores, row, column: 1 };
        let tile = &mut context[from..from + count];
        let mut target = Columns { tile, columns: columns.clone() };
        product(simd, (scores, 1.0), (count, keys), head.value.as_right(), &mut target);
        from += count;
    }
}

#[inline(always)]
fn add_mask<S: Simd>(simd: S, scores: &mut [f32], mask: &[f32]) {
    let mut at = 0;
    while at < scores.len() {
        let own = load(simd, &scores[at..]);
        let sum = match mask {
            [one] => own + *one,
            _ => own + load(simd, &mask[at..]),
        };
        store::<S>(sum, &mut scores[at..]);
        at += S::f32s::LEN;
    }
}

#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32]) {
    // A vector at the end of the row would be filled up with zeros, which may be above all scores.
    let whole = scores.len() / S::f32s::LEN * S::f32s::LEN;
    let mut maximum = S::f32s::splat(simd, f32::NEG_INFINITY);
    let mut at = 0;
    while at < whole {
        maximum = maximum.max(load(simd, &scores[at..]));
        at += S::f32s::LEN;
    }
    let mut maximum = maximum.reduce_max();
    for &score in &scores[whole..] {
        maximum = maximum.max(score);
    }
    let mut at = 0;
    while at < scores.len() {
        let share = exp(simd, load(simd, &scores[at..]) - maximum);
        store::<S>(share, &mut scores[at..]);
        at += S::f32s::LEN;
    }
    let total = 1.0 / sum(simd, scores);
    let mut at = 0;
    while at < scores.len() {
        store::<S>(load(simd, &scores[at..]) * total, &mut scores[at..]);
        at += S::f32s::LEN;
    }
}

impl AttentionGradient {
    fn create(attributes: &dyn Attributes) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(Self { heads: heads_of(attributes)? }))
    }
}

impl Kernel for AttentionGradient {
    fn run<'a>(&self, call: &mut dyn Call<'a>) -> Result<()> {
        let g = required(call, 0, "g")?;
        let query = required(call, 1, "query")?;
        let (key, value) = (required(call, 2, "key")?, required(call, 3, "value")?);
        let sizes = Sizes::of(self.heads, &query, &key, &value)?;
        let Sizes { texts, queries, keys, heads, size, value_size, .. } = sizes;
        let context = [texts, queries, heads * value_size].map(|size| size as i64);
        super::operator::same_shape("g", &g, &context)?;
        let shares = required(call, 4, "shares")?;
        let area = [texts, heads, queries, keys].map(|size| size as i64);
        super::operator::same_shape("shares", &shares, &area)?;
        let d_query = call.output(0, &query.sizes())?;
        let d_key = call.output(1, &key.sizes())?;
        let d_value = call.output(2, &value.sizes())?;
        if sizes.is_empty() {
            let outputs = [d_query, d_key, d_value].into_iter().flatten();
            outputs.for_each(|values| values.fill(0.0));
            return Ok(());
        }
        let wanted = [d_query.is_some(), d_key.is_some(), d_value.is_some()];
        let d_query = sizes.tiles(d_query, queries, size);
        let d_key = sizes.tiles(d_key, keys, size);
        let d_value = sizes.tiles(d_value, keys, value_size);
        let pairs = d_query.into_iter().zip(d_key).zip(d_value);
        let tiles: Vec<_> = pairs.map(|((query, key), value)| [query, key, value]).collect();
        for_tiles(call.threads(), tiles, sizes.is_parallel(), |tile, mut outputs| {
            for (index, place) in sizes.heads_of(tile).enumerate() {
                let (text, head) = place;
                let begin = (text * heads + head) * queries * keys;
                let operands = Backward {
                    g: Part::of(&g, queries, value_size, place),
                    query: Part::of(&query, queries, size, place),
                    key: Part::of(&key, keys, size, place),
                    value: Part::of(&value, keys, value_size, place),
                    shares: &shares.values[begin..begin + queries * keys],
                    queries,
                    keys,
                    wanted,
                };
                dispatch!(Level::new(), simd => backward(simd, &operands, &mut outputs, index));
            }
        })
    }
}

/// The operands of the gradient of one head of one text.
struct Backward<'a> {
    g: Part<'a>,
    query: Part<'a>,
    key: Part<'a>,
    value: Part<'a>,
    shares: &'a [f32],
    queries: usize,
    keys: usize,
    wanted: [bool; 3],
}

#[inline(always)]
fn backward<S: Simd>(simd: S, head: &Backward<'_>, outputs: &mut [Tile<'_>; 3], index: usize) {
    let Backward { queries, keys, .. } = *head;
    let [d_query, d_key, d_value] = outputs;
    let (size, value_size) = (head.key.size, head.value.size);
    let columns = index * size..(index + 1) * size;
    if head.wanted[0] || head.wanted[1] {
        let row = padded::<S>(keys);
        let scores = score_gradients(simd, head, row);
        if head.wanted[0] {
            let left = Matrix { values: &scores, row, column: 1 };
            let mut target = Columns { tile: d_query, columns: columns.clone() };
            product(simd, (left, 1.0), (queries, keys), head.key.as_right(), &mut target);
        }
        if head.wanted[1] {
            let left = Matrix { values: &scores, row: 1, column: row };
            let mut target = Columns { tile: d_key, columns };
            product(simd, (left, 1.0), (keys, queries), head.query.as_right(), &mut target);
        }
    }
    if head.wanted[2] {
        let columns = index * value_size..(index + 1) * value_size;
        let left = Matrix { values: head.shares, row: 1, column: keys };
        let mut target = Columns { tile: d_value, columns };
        product(simd, (left, 1.0), (keys, queries), head.g.as_right(), &mut target);
    }
}

/// The gradients of the scaled scores, in rows that are `row` apart: with the gradient `h` of the
/// shares `p`, `p (h - Σ h p)`.
#[inline(always)]
fn score_gradients<S: Simd>(simd: S, head: &Backward<'_>, row: usize) -> Vec<f32> {
    let Backward { queries, keys, shares, .. } = *head;
    let mut transposed = vec![0.0; head.value.size * row];
    head.value.transpose(keys, row, &mut transposed);
    let mut scores = vec![0.0; queries * row];
    let right = (transposed.as_slice(), row, row);
    let mut target = Rows { values: &mut scores, row };
    product(simd, (head.g.as_left(), 1.0), (queries, head.value.size), right, &mut target);
    for query in 0..queries {
        let scores = &mut scores[query * row..query * row + keys];
        let shares = &shares[query * keys..(query + 1) * keys];
        let total = dot(simd, scores, shares);
        let mut at = 0;
        while at < keys {
            let rest = load(simd, &scores[at..]) - total;
            store::<S>(rest * load(simd, &shares[at..]), &mut scores[at..]);
            at += S::f32s::LEN;
        }
    }
    scores
}
