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
    pub row: usize,
    /// The distance between two columns.
    pub column: usize,
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
    pub row: usize,
}

impl Target for Rows<'_> {
    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.row..(index + 1) * self.row]
    }
}

/// Columns of the rows of a tile, from a first row on.
pub(super) struct Columns<'a, 'b> {
    pub tile: &'a mut [&'b mut [f32]],
    pub columns: Range<usize>,
}

impl Target for Columns<'_, '_> {
    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.tile[index][self.columns.start..self.columns.end]
    }
}

/// Computes `scale left right` for a `left` of `rows` times `depth`. The rows of `right`, `row`
/// apart, have `width` elements each, as have those of the target.
#[expect(clippy::needless_range_loop, reason = "iterators may stay calls")]
#[inline(always)]
pub(super) fn product<S: Simd>(
    simd: S,
    (left, scale): (Matrix<'_>, f32),
    (rows, depth): (usize, usize),
    (right, row, width): (&[f32], usize, usize),
    target: &mut impl Target,
) {
    let lanes = S::f32s::LEN;
    let whole = rows / BLOCK_ROWS * BLOCK_ROWS;
    for from in (0..whole).step_by(BLOCK_ROWS) {
        let mut at = 0;
        while at + 2 * lanes <= width {
            let sums = block::<S, BLOCK_ROWS, 2>(simd, left, from, depth, (right, row, at));
            for index in 0..BLOCK_ROWS {
                let target = &mut target.row(from + index)[at..at + 2 * lanes];
                (sums[index][0] * scale).store_slice(&mut target[..lanes]);
                (sums[index][1] * scale).store_slice(&mut target[lanes..]);
            }
            at += 2 * lanes;
        }
        if at + lanes <= width {
            let sums = block::<S, BLOCK_ROWS, 1>(simd, left, from, depth, (right, row, at));
            for index in 0..BLOCK_ROWS {
                let target = &mut target.row(from + index)[at..at + lanes];
                (sums[index][0] * scale).store_slice(target);
            }
            at += lanes;
        }
        if at < width {
            for index in from..from + BLOCK_ROWS {
                let sum = edge(simd, left, index, depth, (right, row, at, width));
                store::<S>(sum * scale, &mut target.row(index)[at..]);
            }
        }
    }
    for index in whole..rows {
        let mut at = 0;
        while at < width {
            let end = width.min(at + lanes);
            let sum = edge(simd, left, index, depth, (right, row, at, end));
            store::<S>(sum * scale, &mut target.row(index)[at..end]);
            at += lanes;
        }
    }
}

/// `R` rows and `V` whole vectors of the result.
#[inline(always)]
fn block<S: Simd, const R: usize, const V: usize>(
    simd: S,
    left: Matrix<'_>,
    from: usize,
    depth: usize,
    (right, row, at): (&[f32], usize, usize),
) -> [[S::f32s; V]; R] {
    let mut sums = [[S::f32s::splat(simd, 0.0); V]; R];
    if left.column == 1 {
        // Each row is a slice whose length is known, so that no step checks it again.
        let mut lefts: [&[f32]; R] = [&[]; R];
        for (index, slice) in lefts.iter_mut().enumerate() {
            let begin = (from + index) * left.row;
            *slice = &left.values[begin..begin + depth];
        }
        for step in 0..depth {
            let mut factors = [0.0; R];
            for index in 0..R {
                factors[index] = lefts[index][step];
            }
            add(simd, &mut sums, factors, &right[step * row + at..]);
        }
    } else {
        for step in 0..depth {
            let mut factors = [0.0; R];
            if left.row == 1 {
                let begin = step * left.column + from;
                factors.copy_from_slice(&left.values[begin..begin + R]);
            } else {
                for (index, factor) in factors.iter_mut().enumerate() {
                    *factor = left.values[(from + index) * left.row + step * left.column];
                }
            }
            add(simd, &mut sums, factors, &right[step * row + at..]);
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

/// One vector of the result, which may lack elements at its end.
#[inline(always)]
fn edge<S: Simd>(
    simd: S,
    left: Matrix<'_>,
    index: usize,
    depth: usize,
    (right, row, at, end): (&[f32], usize, usize, usize),
) -> S::f32s {
    let mut sum = S::f32s::splat(simd, 0.0);
    for step in 0..depth {
        let factor = left.values[index * left.row + step * left.column];
        let vector = load(simd, &right[step * row + at..step * row + end]);
        sum = vector.mul_add(factor, sum);
    }
    sum
}
