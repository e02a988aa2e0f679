//! The context of queries, and their attention weights where a backward pass needs them.

use super::product::{Columns, Matrix, Product, Right, Rows, product};
use super::tiles::for_tiles;
use super::{HeadOfText, HeadView, Sizes, heads_of, padded};
use crate::error::Result;
use crate::kernels::lanes::{exp, load, store, sum};
use crate::kernels::operator::{Attributes, Call, Kernel, View, misfit, required};
use fearless_simd::{Level, dispatch, prelude::*};
use std::ops::Range;

/// Queries whose scores are computed together.
const QUERIES_BLOCK: usize = 32;

pub(super) struct Attention {
    heads: usize,
    scale: f32,
}

impl Attention {
    pub fn create(attributes: &dyn Attributes) -> Result<Box<dyn Kernel>> {
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
        let weights = call.output(1, &[texts, heads, queries, keys])?;
        if sizes.is_empty() {
            context.into_iter().for_each(|values| values.fill(0.0));
            return Ok(());
        }
        let contexts = sizes.tiles(context, queries, value_size);
        let weights_count = queries * keys;
        let mut weights =
            weights.map(|values| values.chunks_exact_mut(sizes.heads_per_task * weights_count));
        let mut next_weights = || weights.as_mut().and_then(Iterator::next).unwrap_or_default();
        let tasks: Vec<_> = contexts.into_iter().map(|context| (context, next_weights())).collect();
        for_tiles(call.threads(), tasks, sizes.is_parallel(), |task, (mut context, weights)| {
            for (index, at) in sizes.heads_of_task(task).enumerate() {
                let head = Head {
                    query: HeadView::of(&query, queries, size, at),
                    key: HeadView::of(&key, keys, size, at),
                    value: HeadView::of(&value, keys, value_size, at),
                    mask: mask.map(|mask| mask.of_head(at)),
                    scale: self.scale,
                    queries,
                    keys,
                };
                let weights = weights.get_mut(index * weights_count..(index + 1) * weights_count);
                let columns = index * value_size..(index + 1) * value_size;
                dispatch!(Level::new(), simd => {
                    attend(simd, &head, &mut context, columns, weights);
                });
            }
        })
    }
}

/// A mask and the distances along its axes, 0 where it is repeated.
#[derive(Clone, Copy)]
struct Mask<'a> {
    values: &'a [f32],
    strides: [usize; 4],
}

impl<'a> Mask<'a> {
    fn of(view: &View<'a>, sizes: &Sizes) -> Result<Self> {
        let whole = [sizes.texts, sizes.heads, sizes.queries, sizes.keys];
        let missing = 4usize.checked_sub(view.shape.len());
        let expected = || misfit("mask", view, &format!("one that broadcasts to {whole:?}"));
        let missing = missing.ok_or_else(expected)?;
        let (mut strides, mut stride) = ([0; 4], 1);
        for (axis, &size) in view.shape.iter().enumerate().rev() {
            let size = size as usize;
            if size != 1 {
                if size != whole[missing + axis] {
                    return Err(expected());
                }
                strides[missing + axis] = stride;
            }
            stride *= size;
        }
        Ok(Self { values: view.values, strides })
    }

    fn of_head(&self, at: HeadOfText) -> HeadMask<'a> {
        let [text, head, query_stride, key_stride] = self.strides;
        let begin = at.text * text + at.head * head;
        HeadMask { values: &self.values[begin..], query_stride, key_stride }
    }
}

/// The mask of one head of one text.
#[derive(Clone, Copy)]
struct HeadMask<'a> {
    /// From the first element on.
    values: &'a [f32],
    query_stride: usize,
    key_stride: usize,
}

impl<'a> HeadMask<'a> {
    /// The numbers to add to the scores of a query: one for all keys, or one for each.
    fn row(&self, query: usize, keys: usize) -> &'a [f32] {
        let begin = query * self.query_stride;
        let count = if self.key_stride == 0 { 1 } else { keys };
        &self.values[begin..begin + count]
    }
}

/// The operands of one head of one text.
struct Head<'a> {
    query: HeadView<'a>,
    key: HeadView<'a>,
    value: HeadView<'a>,
    mask: Option<HeadMask<'a>>,
    scale: f32,
    queries: usize,
    keys: usize,
}

/// Writes the context to these columns of the rows of `context`, and the attention weights.
#[inline(always)]
fn attend<S: Simd>(
    simd: S,
    head: &Head<'_>,
    context: &mut [&mut [f32]],
    columns: Range<usize>,
    mut weights: Option<&mut [f32]>,
) {
    let (keys, row_stride) = (head.keys, padded::<S>(head.keys));
    let keys_transposed = head.key.transposed(keys, row_stride);
    let mut scores = vec![0.0; QUERIES_BLOCK.min(head.queries) * row_stride];
    let mut from = 0;
    while from < head.queries {
        let count = QUERIES_BLOCK.min(head.queries - from);
        let scaled_scores = Product {
            left: head.query.as_left().skip_rows(from),
            right: Right { values: &keys_transposed, row_stride, width: row_stride },
            rows: count,
            depth: head.key.size,
            scale: head.scale,
        };
        product(simd, scaled_scores, &mut Rows { values: &mut scores, row_stride });
        for index in 0..count {
            let scores = &mut scores[index * row_stride..index * row_stride + keys];
            if let Some(mask) = &head.mask {
                add_mask(simd, scores, mask.row(from + index, keys));
            }
            softmax(simd, scores);
            if let Some(weights) = &mut weights {
                let begin = (from + index) * keys;
                weights[begin..begin + keys].copy_from_slice(scores);
            }
        }
        // The scores have become attention weights.
        let weighted_values = Product {
            left: Matrix { values: &scores, row_stride, column_stride: 1 },
            right: head.value.as_right(),
            rows: count,
            depth: keys,
            scale: 1.0,
        };
        let rows = &mut context[from..from + count];
        product(simd, weighted_values, &mut Columns { rows, columns: columns.clone() });
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
        let power = exp(simd, load(simd, &scores[at..]) - maximum);
        store::<S>(power, &mut scores[at..]);
        at += S::f32s::LEN;
    }
    let inverse_total = 1.0 / sum(simd, scores);
    let mut at = 0;
    while at < scores.len() {
        store::<S>(load(simd, &scores[at..]) * inverse_total, &mut scores[at..]);
        at += S::f32s::LEN;
    }
}
