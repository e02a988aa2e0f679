//! The gradients of queries, keys and values, from the attention weights of the forward pass.

use super::product::{Columns, Matrix, Product, Right, Rows, product};
use super::tiles::{Tile, for_tiles};
use super::{HeadView, Sizes, heads_of, padded};
use crate::error::Result;
use crate::kernels::lanes::{dot, load, store};
use crate::kernels::operator::{Attributes, Call, Kernel, required, same_shape};
use fearless_simd::{Level, dispatch, prelude::*};

pub(super) struct AttentionGradient {
    heads: usize,
}

impl AttentionGradient {
    pub fn create(attributes: &dyn Attributes) -> Result<Box<dyn Kernel>> {
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
        let context_shape = [texts, queries, heads * value_size].map(|size| size as i64);
        same_shape("g", &g, &context_shape)?;
        let weights = required(call, 4, "weights")?;
        let weights_shape = [texts, heads, queries, keys].map(|size| size as i64);
        same_shape("weights", &weights, &weights_shape)?;
        let d_query = call.output(0, &query.sizes())?;
        let d_key = call.output(1, &key.sizes())?;
        let d_value = call.output(2, &value.sizes())?;
        if sizes.is_empty() {
            let outputs = [d_query, d_key, d_value].into_iter().flatten();
            outputs.for_each(|values| values.fill(0.0));
            return Ok(());
        }
        let wanted =
            Gradients { query: d_query.is_some(), key: d_key.is_some(), value: d_value.is_some() };
        let d_query = sizes.tiles(d_query, queries, size);
        let d_key = sizes.tiles(d_key, keys, size);
        let d_value = sizes.tiles(d_value, keys, value_size);
        let tasks = d_query.into_iter().zip(d_key).zip(d_value);
        let tasks: Vec<_> =
            tasks.map(|((query, key), value)| Gradients { query, key, value }).collect();
        for_tiles(call.threads(), tasks, sizes.is_parallel(), |task, mut outputs| {
            for (index, at) in sizes.heads_of_task(task).enumerate() {
                let begin = (at.text * heads + at.head) * queries * keys;
                let head = Head {
                    g: HeadView::of(&g, queries, value_size, at),
                    query: HeadView::of(&query, queries, size, at),
                    key: HeadView::of(&key, keys, size, at),
                    value: HeadView::of(&value, keys, value_size, at),
                    weights: &weights.values[begin..begin + queries * keys],
                    queries,
                    keys,
                };
                dispatch!(Level::new(), simd => {
                    gradients(simd, &head, &wanted, &mut outputs, index);
                });
            }
        })
    }
}

/// Something for each gradient.
struct Gradients<T> {
    query: T,
    key: T,
    value: T,
}

/// The operands of the gradients of one head of one text.
struct Head<'a> {
    /// The gradient of the context.
    g: HeadView<'a>,
    query: HeadView<'a>,
    key: HeadView<'a>,
    value: HeadView<'a>,
    weights: &'a [f32],
    queries: usize,
    keys: usize,
}

/// Writes the wanted gradients to the columns of the head at `index` in its tiles.
#[inline(always)]
fn gradients<S: Simd>(
    simd: S,
    head: &Head<'_>,
    wanted: &Gradients<bool>,
    outputs: &mut Gradients<Tile<'_>>,
    index: usize,
) {
    let Head { queries, keys, .. } = *head;
    let (size, value_size) = (head.key.size, head.value.size);
    let columns = index * size..(index + 1) * size;
    if wanted.query || wanted.key {
        let row_stride = padded::<S>(keys);
        let scores = score_gradients(simd, head, row_stride);
        if wanted.query {
            let d_query = Product {
                left: Matrix { values: &scores, row_stride, column_stride: 1 },
                right: head.key.as_right(),
                rows: queries,
                depth: keys,
                scale: 1.0,
            };
            let rows = &mut outputs.query;
            product(simd, d_query, &mut Columns { rows, columns: columns.clone() });
        }
        if wanted.key {
            let d_key = Product {
                left: Matrix { values: &scores, row_stride: 1, column_stride: row_stride },
                right: head.query.as_right(),
                rows: keys,
                depth: queries,
                scale: 1.0,
            };
            product(simd, d_key, &mut Columns { rows: &mut outputs.key, columns });
        }
    }
    if wanted.value {
        let d_value = Product {
            left: Matrix { values: head.weights, row_stride: 1, column_stride: keys },
            right: head.g.as_right(),
            rows: keys,
            depth: queries,
            scale: 1.0,
        };
        let columns = index * value_size..(index + 1) * value_size;
        product(simd, d_value, &mut Columns { rows: &mut outputs.value, columns });
    }
}

/// The gradients of the scaled scores, in rows that are `row_stride` apart: with the gradient `h`
/// of the attention weights `p`, `p (h - Σ h p)`.
#[inline(always)]
fn score_gradients<S: Simd>(simd: S, head: &Head<'_>, row_stride: usize) -> Vec<f32> {
    let Head { queries, keys, weights, .. } = *head;
    let values_transposed = head.value.transposed(keys, row_stride);
    let mut scores = vec![0.0; queries * row_stride];
    let d_weights = Product {
        left: head.g.as_left(),
        right: Right { values: &values_transposed, row_stride, width: row_stride },
        rows: queries,
        depth: head.value.size,
        scale: 1.0,
    };
    product(simd, d_weights, &mut Rows { values: &mut scores, row_stride });
    for query in 0..queries {
        let scores = &mut scores[query * row_stride..query * row_stride + keys];
        let weights = &weights[query * keys..(query + 1) * keys];
        let total = dot(simd, scores, weights);
        let mut at = 0;
        while at < keys {
            let rest = load(simd, &scores[at..]) - total;
            store::<S>(rest * load(simd, &weights[at..]), &mut scores[at..]);
            at += S::f32s::LEN;
        }
    }
    scores
}
