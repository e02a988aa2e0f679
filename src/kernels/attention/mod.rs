//! Multi-head attention (Vaswani et al., arXiv 1706.03762) and its gradient, on tokens as the
//! linear layers make them: no head is moved to a place of its own.
//!
//! Queries are `[texts, queries, heads * size]`, keys and values `[texts, keys, heads * size]`. For
//! each head, the attention weights are `weights = softmax(scale q kᵀ + mask)` over the keys, and
//! `context = weights v`. `forward` computes them and `backward` their gradients, head by head;
//! `product` multiplies the matrices of one head, and `tiles` cuts outputs among threads.

mod backward;
mod forward;
mod product;
mod tiles;

use super::operator::{Attributes, Operator, View, misfit, refused, same_shape};
use crate::error::Result;
use fearless_simd::prelude::*;
use product::{Matrix, Right};
use tiles::{Tile, cut};

/// Inputs: queries, keys, values, a mask that broadcasts to `[texts, heads, queries, keys]`.
/// Outputs: the context `[texts, queries, heads * size]`, the attention weights `[texts, heads,
/// queries, keys]`.
pub(super) static ATTENTION: Operator = Operator {
    name: "Attention",
    inputs: 4,
    inputs_required: 3,
    outputs: 2,
    create: forward::Attention::create,
};

/// Inputs: the gradient of the context, queries, keys, values, attention weights. Outputs: the
/// gradients of queries, keys and values; the first two are those of the scaled scores, without the
/// scale.
pub(super) static ATTENTION_GRADIENT: Operator = Operator {
    name: "AttentionGradient",
    inputs: 5,
    inputs_required: 5,
    outputs: 3,
    create: backward::AttentionGradient::create,
};

/// From this number of texts on, each text is a task; below it, each head of a text is one.
const TEXTS_MIN: usize = 8;
/// The least multiplications of a call that threads share.
const PARALLEL_WORK_MIN: usize = 256 * 1024;

/// The attribute with the number of heads.
fn heads_of(attributes: &dyn Attributes) -> Result<usize> {
    let heads = attributes.int("heads")?;
    usize::try_from(heads)
        .ok()
        .filter(|&heads| heads > 0)
        .ok_or_else(|| refused(format!("{heads} heads, expected at least 1")))
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
    heads_per_task: usize,
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
        same_shape("key", key, &[texts, keys, width])?;
        same_shape("value", value, &[texts, keys, value.shape[2]])?;
        let texts = texts as usize;
        Ok(Self {
            texts,
            queries: queries as usize,
            keys: keys as usize,
            heads,
            size: width as usize / heads,
            value_size: value.width() / heads,
            heads_per_task: if texts >= TEXTS_MIN { heads } else { 1 },
        })
    }

    fn tasks_per_text(&self) -> usize {
        self.heads / self.heads_per_task
    }

    fn is_parallel(&self) -> bool {
        let products = self.queries * self.keys * (self.size + self.value_size);
        self.texts * self.heads * products >= PARALLEL_WORK_MIN
    }

    fn is_empty(&self) -> bool {
        [self.texts, self.queries, self.keys, self.size, self.value_size].contains(&0)
    }

    /// The heads that one task computes.
    fn heads_of_task(&self, task: usize) -> impl Iterator<Item = HeadOfText> + use<> {
        let text = task / self.tasks_per_text();
        let first = task % self.tasks_per_text() * self.heads_per_task;
        (first..first + self.heads_per_task).map(move |head| HeadOfText { text, head })
    }

    /// The tiles of an output with the rows of the queries or of the keys, one for each task.
    fn tiles<'a>(&self, output: Option<&'a mut [f32]>, rows: usize, size: usize) -> Vec<Tile<'a>> {
        let width = self.heads * size;
        cut(output, [self.texts, rows, width], (self.tasks_per_text(), self.heads_per_task * size))
    }
}

/// Which head of which text.
#[derive(Clone, Copy)]
struct HeadOfText {
    text: usize,
    head: usize,
}

/// What one head of one text reads of an input: its columns of the text's rows.
#[derive(Clone, Copy)]
struct HeadView<'a> {
    /// From the first element on.
    values: &'a [f32],
    /// The distance between two rows.
    row_stride: usize,
    /// The elements of a row.
    size: usize,
}

impl<'a> HeadView<'a> {
    /// The view of a head of `size` columns in an input that has `rows` rows for each text.
    fn of(view: &View<'a>, rows: usize, size: usize, at: HeadOfText) -> Self {
        let row_stride = view.width();
        let begin = at.text * rows * row_stride + at.head * size;
        Self { values: view.values.get(begin..).unwrap_or_default(), row_stride, size }
    }

    fn as_left(&self) -> Matrix<'a> {
        Matrix { values: self.values, row_stride: self.row_stride, column_stride: 1 }
    }

    fn as_right(&self) -> Right<'a> {
        Right { values: self.values, row_stride: self.row_stride, width: self.size }
    }

    /// Its columns as rows of `rows` elements, `row_stride` apart and filled up with zeros.
    fn transposed(&self, rows: usize, row_stride: usize) -> Vec<f32> {
        let mut columns = vec![0.0; self.size * row_stride];
        for index in 0..rows {
            let row = &self.values[index * self.row_stride..index * self.row_stride + self.size];
            for (column, &value) in row.iter().enumerate() {
                columns[column * row_stride + index] = value;
            }
        }
        columns
    }
}

/// The number of elements of a row that holds `count`, rounded up to whole vectors.
#[inline(always)]
fn padded<S: Simd>(count: usize) -> usize {
    count.next_multiple_of(S::f32s::LEN)
}
