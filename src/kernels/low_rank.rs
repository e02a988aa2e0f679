//! The sum of a frozen linear layer and a low-rank product: `base + bias + low up`.

use super::lanes::{load, store};
use super::operator::{Attributes, Call, Kernel, Operator, misfit, required, same_shape, vector};
use super::rows::for_rows;
use crate::error::Result;
use fearless_simd::{Level, dispatch, prelude::*};

/// Inputs: base `[.., width]`, low `[.., rank]`, up `[rank, width]`, bias `[width]`. Output: the
/// sum. A rank of 0 adds nothing.
pub(super) static LOW_RANK_SUM: Operator = Operator {
    name: "LowRankSum",
    inputs: 4,
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
        let Some(sum) = call.output(0, &base.sizes())? else { return Ok(()) };
        if base.values.is_empty() {
            return Ok(());
        }
        let work = width * (1 + rank / 4);
        for_rows(call.threads(), (rows, work), [(sum, width)], |range, [sum]| {
            let base = &base.values[range.start * width..range.end * width];
            let low = &low.values[range.start * rank..range.end * rank];
            dispatch!(Level::new(), simd => {
                add(simd, (base, bias), (low, up.values, rank), sum, width);
            });
        })
    }
}

#[inline(always)]
fn add<S: Simd>(
    simd: S,
    (base, bias): (&[f32], Option<&[f32]>),
    (low, up, rank): (&[f32], &[f32], usize),
    sum: &mut [f32],
    width: usize,
) {
    for (row, sum) in sum.chunks_exact_mut(width).enumerate() {
        let base = &base[row * width..(row + 1) * width];
        let low = &low[row * rank..(row + 1) * rank];
        let mut at = 0;
        while at < width {
            let mut total = load(simd, &base[at..]);
            if let Some(bias) = bias {
                total += load(simd, &bias[at..]);
            }
            let mut product = S::f32s::splat(simd, 0.0);
            for (index, &low) in low.iter().enumerate() {
                let up = load(simd, &up[index * width + at..(index + 1) * width]);
                product = up.mul_add(low, product);
            }
            store::<S>(total + product, &mut sum[at..]);
            at += S::f32s::LEN;
        }
    }
}
