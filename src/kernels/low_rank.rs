//! The sum of a frozen linear layer and a low-rank product: `base + bias + low up`.
//!
//! Several products may stand side by side, each with ranks of its own; then an input says which
//! ranks are those of a text, and the others add nothing to it.

use super::lanes::{load, store};
use super::operator::{Attributes, Call, Kernel, Operator, misfit, required, same_shape, vector};
use super::rows::for_rows;
use crate::error::Result;
use fearless_simd::{Level, dispatch, prelude::*};
use std::ops::Range;

/// The input that says which ranks are a text's own.
pub(super) const RANKS_INPUT: usize = 4;

/// Inputs: base `[.., width]`, low `[.., rank]`, up `[rank, width]`, bias `[width]`, and for each
/// text along the first axis its first rank and the number of its ranks `[texts, 2]`; without rows
/// all ranks are every text's. Output: the sum. A rank of 0 adds nothing.
pub(super) static LOW_RANK_SUM: Operator = Operator {
    name: "LowRankSum",
    inputs: 5,
    inputs_required: 3,
    outputs: 1,
    create: LowRankSum::create,
};

struct LowRankSum;

impl LowRankSum {
    #[expect(clippy::unnecessary_wraps, reason = "every operator is created by this signature")]
    fn create(_: &dyn Attributes) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(Self))
    }
}

impl Kernel for LowRankSum {
    fn run<'a>(&self, call: &mut dyn Call<'a>) -> Result<()> {
        let base = required(call, 0, "base")?;
        let (low, up) = (required(call, 1, "low")?, required(call, 2, "up")?);
        let (rows, width, rank) = (base.rows(), base.width(), low.width());
        if low.rows() != rows || low.shape.len() != base.shape.len() {
            return Err(misfit("low", &low, &format!("{rows} rows")));
        }
        same_shape("up", &up, &[rank as i64, width as i64])?;
        let bias = vector(call, 3, "bias", width)?;
        let own = own_ranks(call, base.shape, rank)?;
        let Some(sum) = call.output(0, &base.sizes())? else { return Ok(()) };
        if base.values.is_empty() {
            return Ok(());
        }
        let texts_count = own.len().max(1);
        let text_rows = (rows / texts_count).max(1);
        let ranks = |row: usize| own.get(row / text_rows).cloned().unwrap_or(0..rank);
        let most = own.iter().map(ExactSizeIterator::len).max().unwrap_or(rank);
        let work = width * (1 + most / 4);
        for_rows(call.threads(), (rows, work), [(sum, width)], |range, [sum]| {
            let base = &base.values[range.start * width..range.end * width];
            let low = &low.values[range.start * rank..range.end * rank];
            // The rows of one text have the same ranks.
            let mut done = 0;
            while done < range.len() {
                let row = range.start + done;
                let ranks = ranks(row);
                let count = match own.is_empty() {
                    true => range.len(),
                    false => (text_rows - row % text_rows).min(range.len() - done),
                };
                let rows = done..done + count;
                let base = &base[rows.start * width..rows.end * width];
                let low = &low[rows.start * rank..rows.end * rank];
                let sum = &mut sum[rows.start * width..rows.end * width];
                dispatch!(Level::new(), simd => {
                    add(simd, (base, bias), (low, up.values, rank), &ranks, sum, width);
                });
                done += count;
            }
        })
    }
}

/// The ranks of each text; empty when all ranks are every text's.
fn own_ranks<'a>(call: &dyn Call<'a>, base: &[i64], rank: usize) -> Result<Vec<Range<usize>>> {
    let Some(own) = call.input(RANKS_INPUT)? else { return Ok(Vec::new()) };
    // None of the products is at a layer of rank 0.
    if own.values.is_empty() || rank == 0 {
        return Ok(Vec::new());
    }
    let texts_count = base.first().copied().filter(|_| base.len() > 1).unwrap_or(0);
    same_shape("ranks", &own, &[texts_count, 2])?;
    let one = |pair: &[f32]| {
        let [first, count] = [pair[0] as usize, pair[1] as usize];
        let end = first.checked_add(count).filter(|&end| end <= rank);
        end.map(|end| first..end).ok_or_else(|| misfit("ranks", &own, &format!("{rank} ranks")))
    };
    own.values.chunks_exact(2).map(one).collect()
}

#[inline(always)]
fn add<S: Simd>(
    simd: S,
    (base, bias): (&[f32], Option<&[f32]>),
    (low, up, rank): (&[f32], &[f32], usize),
    own: &Range<usize>,
    sum: &mut [f32],
    width: usize,
) {
    for (row, sum) in sum.chunks_exact_mut(width).enumerate() {
        let base = &base[row * width..(row + 1) * width];
        let low = &low[row * rank..(row + 1) * rank][own.start..own.end];
        let mut at = 0;
        while at < width {
            let mut total = load(simd, &base[at..]);
            if let Some(bias) = bias {
                total += load(simd, &bias[at..]);
            }
            let mut product = S::f32s::splat(simd, 0.0);
            for (index, &low) in low.iter().enumerate() {
                let rank = own.start + index;
                let up = load(simd, &up[rank * width + at..(rank + 1) * width]);
                product = up.mul_add(low, product);
            }
            store::<S>(total + product, &mut sum[at..]);
            at += S::f32s::LEN;
        }
    }
}
