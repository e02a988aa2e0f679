//! Matrix products of one head: small, so that their operands stay in the nearest cache.

use crate::kernels::lanes::load;
use fearless_simd::prelude::*;

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

/// Computes `left right` for a `left` of `rows` times `depth`, and gives each vector of the result
/// to `take` with its row and the column it begins at. The rows of `right`, `row` apart, have
/// `width` elements each; the last vector of a row may be longer than what is left of it.
#[inline(always)]
pub(super) fn product<S: Simd>(
    simd: S,
    left: Matrix<'_>,
    (rows, depth): (usize, usize),
    (right, row, width): (&[f32], usize, usize),
    mut take: impl FnMut(usize, usize, S::f32s),
) {
    let lanes = S::f32s::LEN;
    let mut from = 0;
    while from < rows {
        let count = BLOCK_ROWS.min(rows - from);
        let mut at = 0;
        while at < width {
            let pair = count == BLOCK_ROWS && at + 2 * lanes <= width;
            if pair {
                let sums = block::<S, BLOCK_ROWS, 2>(simd, left, from, depth, (right, row, at));
                for (index, [first, second]) in sums.into_iter().enumerate() {
                    take(from + index, at, first);
                    take(from + index, at + lanes, second);
                }
                at += 2 * lanes;
                continue;
            }
            let end = width.min(at + lanes);
            if count == BLOCK_ROWS && at + lanes <= width {
                let sums = block::<S, BLOCK_ROWS, 1>(simd, left, from, depth, (right, row, at));
                for (index, [sum]) in sums.into_iter().enumerate() {
                    take(from + index, at, sum);
                }
            } else {
                for index in from..from + count {
                    take(index, at, edge(simd, left, index, depth, (right, row, at..end)));
                }
            }
            at += lanes;
        }
        from += count;
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
    let lanes = S::f32s::LEN;
    let mut sums = [[S::f32s::splat(simd, 0.0); V]; R];
    for step in 0..depth {
        let begin = step * row + at;
        let right = &right[begin..begin + V * lanes];
        let mut vectors = [S::f32s::splat(simd, 0.0); V];
        for (index, vector) in vectors.iter_mut().enumerate() {
            *vector = S::f32s::from_slice(simd, &right[index * lanes..(index + 1) * lanes]);
        }
        for (index, sums) in sums.iter_mut().enumerate() {
            let factor = left.values[(from + index) * left.row + step * left.column];
            let factor = S::f32s::splat(simd, factor);
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = vector.mul_add(factor, *sum);
            }
        }
    }
    sums
}

/// One vector of the result, which may lack elements at its end.
#[inline(always)]
fn edge<S: Simd>(
    simd: S,
    left: Matrix<'_>,
    index: usize,
    depth: usize,
    (right, row, columns): (&[f32], usize, std::ops::Range<usize>),
) -> S::f32s {
    let mut sum = S::f32s::splat(simd, 0.0);
    for step in 0..depth {
        let factor = left.values[index * left.row + step * left.column];
        let vector = load(simd, &right[step * row + columns.start..step * row + columns.end]);
        sum = vector.mul_add(S::f32s::splat(simd, factor), sum);
    }
    sum
}
