//! Matrix products of one head: small, so that their operands stay in the nearest cache.

use crate::kernels::lanes::{load, store};
use fearless_simd::prelude::*;
use std::ops::Range;

/// The rows of a result that are computed at once.
const BLOCK_ROWS: usize = 4;

/// A matrix whose elements lie at regular distances.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub values: &'a [f32],
    /// The distance between two rows.
    pub row_stride: usize,
    /// The distance between two columns.
    pub column_stride: usize,
}

impl Matrix<'_> {
    /// The matrix without its first rows.
    #[inline(always)]
    pub fn skip_rows(self, count: usize) -> Self {
        Self { values: &self.values[count * self.row_stride..], ..self }
    }
}

/// The right operand of a product: rows of `width` neighbouring elements.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    pub values: &'a [f32],
    /// The distance between two rows.
    pub row_stride: usize,
    pub width: usize,
}

/// The product `scale left right`, for a `left` of `rows` times `depth`.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub left: Matrix<'a>,
    pub right: Right<'a>,
    pub rows: usize,
    pub depth: usize,
    pub scale: f32,
}

/// Where the rows of a result go.
pub(super) trait Target {
    /// The place of a row.
    fn row(&mut self, index: usize) -> &mut [f32];
}

/// Rows that lie at a regular distance.
pub(super) struct Rows<'a> {
    pub values: &'a mut [f32],
    /// The distance between two rows.
    pub row_stride: usize,
}

impl Target for Rows<'_> {
    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.row_stride..(index + 1) * self.row_stride]
    }
}

/// Some columns of rows that lie anywhere.
pub(super) struct Columns<'a, 'b> {
    pub rows: &'a mut [&'b mut [f32]],
    pub columns: Range<usize>,
}

impl Target for Columns<'_, '_> {
    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.rows[index][self.columns.start..self.columns.end]
    }
}

/// Computes a product. The rows of the target have as many elements as those of the right operand.
#[expect(clippy::needless_range_loop, reason = "iterators may stay calls")]
#[inline(always)]
pub(super) fn product<S: Simd>(simd: S, of: Product<'_>, target: &mut impl Target) {
    let Product { rows, scale, right: Right { width, .. }, .. } = of;
    let lanes = S::f32s::LEN;
    let whole = rows / BLOCK_ROWS * BLOCK_ROWS;
    for from in (0..whole).step_by(BLOCK_ROWS) {
        let mut at = 0;
        while at + 2 * lanes <= width {
            let sums = block::<S, BLOCK_ROWS, 2>(simd, of, from, at);
            for index in 0..BLOCK_ROWS {
                let target = &mut target.row(from + index)[at..at + 2 * lanes];
                (sums[index][0] * scale).store_slice(&mut target[..lanes]);
                (sums[index][1] * scale).store_slice(&mut target[lanes..]);
            }
            at += 2 * lanes;
        }
        if at + lanes <= width {
            let sums = block::<S, BLOCK_ROWS, 1>(simd, of, from, at);
            for index in 0..BLOCK_ROWS {
                let target = &mut target.row(from + index)[at..at + lanes];
                (sums[index][0] * scale).store_slice(target);
            }
            at += lanes;
        }
        if at < width {
            for row in from..from + BLOCK_ROWS {
                let sum = edge(simd, of, row, at..width);
                store::<S>(sum * scale, &mut target.row(row)[at..]);
            }
        }
    }
    for row in whole..rows {
        let mut at = 0;
        while at < width {
            let end = width.min(at + lanes);
            let sum = edge(simd, of, row, at..end);
            store::<S>(sum * scale, &mut target.row(row)[at..end]);
            at += lanes;
        }
    }
}

/// `R` rows of the unscaled result from the row `from` on, and `V` whole vectors of their columns
/// from the column `at` on.
#[inline(always)]
fn block<S: Simd, const R: usize, const V: usize>(
    simd: S,
    of: Product<'_>,
    from: usize,
    at: usize,
) -> [[S::f32s; V]; R] {
    let Product { left, depth, .. } = of;
    let Right { values: right, row_stride, .. } = of.right;
    let mut sums = [[S::f32s::splat(simd, 0.0); V]; R];
    if left.column_stride == 1 {
        // Each row is a slice whose length is known, so that no step checks it again.
        let mut lefts: [&[f32]; R] = [&[]; R];
        for (index, slice) in lefts.iter_mut().enumerate() {
            let begin = (from + index) * left.row_stride;
            *slice = &left.values[begin..begin + depth];
        }
        for step in 0..depth {
            let mut factors = [0.0; R];
            for index in 0..R {
                factors[index] = lefts[index][step];
            }
            add(simd, &mut sums, factors, &right[step * row_stride + at..]);
        }
    } else {
        for step in 0..depth {
            let mut factors = [0.0; R];
            let column = step * left.column_stride;
            if left.row_stride == 1 {
                factors.copy_from_slice(&left.values[column + from..column + from + R]);
            } else {
                for (index, factor) in factors.iter_mut().enumerate() {
                    *factor = left.values[(from + index) * left.row_stride + column];
                }
            }
            add(simd, &mut sums, factors, &right[step * row_stride + at..]);
        }
    }
    sums
}

/// Adds the products of one column of the left with the vectors of one row of the right.
#[inline(always)]
fn add<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; R],
    factors: [f32; R],
    right: &[f32],
) {
    let lanes = S::f32s::LEN;
    let right = &right[..V * lanes];
    let mut vectors = [S::f32s::splat(simd, 0.0); V];
    for index in 0..V {
        vectors[index] = S::f32s::from_slice(simd, &right[index * lanes..(index + 1) * lanes]);
    }
    // By index: an iterator over both would be a function that is not inlined here.
    for row in 0..R {
        let factor = S::f32s::splat(simd, factors[row]);
        for index in 0..V {
            sums[row][index] = vectors[index].mul_add(factor, sums[row][index]);
        }
    }
}

/// One vector of a row of the unscaled result: these columns, at most as many as fit into it.
#[inline(always)]
fn edge<S: Simd>(simd: S, of: Product<'_>, row: usize, columns: Range<usize>) -> S::f32s {
    let Product { left, right, depth, .. } = of;
    let mut sum = S::f32s::splat(simd, 0.0);
    for step in 0..depth {
        let factor = left.values[row * left.row_stride + step * left.column_stride];
        let begin = step * right.row_stride;
        let vector = load(simd, &right.values[begin + columns.start..begin + columns.end]);
        sum = vector.mul_add(factor, sum);
    }
    sum
}
