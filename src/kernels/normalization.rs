//! LayerNormalization (Ba et al., arXiv 1607.06450) of a sum, and its gradient.
//!
//! With the unit `u = (s - mean(s)) / deviation(s)` of a row `s = x + bias + residual`, the result
//! is `u scale + shift`, and the gradient of `s` is `(h - u mean(h u) - mean(h)) / deviation` for
//! `h = g scale`.

use super::lanes::{dot, load, store, sum};
use super::operator::{Attributes, Call, Kernel, Operator, required, same_shape, vector};
use super::rows::{for_rows, part};
use crate::error::Result;
use fearless_simd::{Level, dispatch, prelude::*};

/// Inputs: x `[.., width]`, scale, shift `[width]`, residual (as x), bias `[width]`. Outputs: the
/// result and the unit (as x), the inverse deviation `[.., 1]`.
pub(super) static NORMALIZATION: Operator = Operator {
    name: "Normalization",
    inputs: 5,
    inputs_required: 2,
    outputs: 3,
    create: Normalization::create,
};

/// Inputs: g, unit `[.., width]`, inverse deviation `[.., 1]`, scale `[width]`. Output: the
/// gradient of the sum.
pub(super) static NORMALIZATION_GRADIENT: Operator = Operator {
    name: "NormalizationGradient",
    inputs: 4,
    inputs_required: 4,
    outputs: 1,
    create: |_| Ok(Box::new(NormalizationGradient)),
};

struct Normalization {
    epsilon: f32,
}

struct NormalizationGradient;

/// The inputs of a row that are the same for all rows.
#[derive(Clone, Copy)]
struct Vectors<'a> {
    scale: &'a [f32],
    shift: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    epsilon: f32,
}

impl Normalization {
    fn create(attributes: &dyn Attributes) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(Self { epsilon: attributes.float("epsilon")? }))
    }
}

impl Kernel for Normalization {
    fn run<'a>(&self, call: &mut dyn Call<'a>) -> Result<()> {
        let x = required(call, 0, "x")?;
        let (rows, width) = (x.rows(), x.width());
        let residual = call.input(3)?;
        if let Some(residual) = &residual {
            same_shape("residual", residual, x.shape)?;
        }
        let vectors = Vectors {
            scale: vector(call, 1, "scale", width)?.unwrap_or_default(),
            shift: vector(call, 2, "shift", width)?,
            bias: vector(call, 4, "bias", width)?,
            epsilon: self.epsilon,
        };
        let sizes = x.sizes();
        let Some(y) = call.output(0, &sizes)? else { return Ok(()) };
        let unit = part(call.output(1, &sizes)?, width);
        let mut statistics = sizes;
        if let Some(last) = statistics.last_mut() {
            *last = 1;
        }
        let inverse = part(call.output(2, &statistics)?, 1);
        if x.values.is_empty() {
            return Ok(());
        }
        let outputs = [(y, width), unit, inverse];
        for_rows(call.threads(), (rows, 2 * width), outputs, |range, [y, unit, inverse]| {
            let range = range.start * width..range.end * width;
            let x = &x.values[range.clone()];
            let residual = residual.map(|residual| &residual.values[range]);
            dispatch!(Level::new(), simd => {
                forward(simd, (x, residual), &vectors, [y, unit, inverse], width);
            });
        })
    }
}

impl Kernel for NormalizationGradient {
    fn run<'a>(&self, call: &mut dyn Call<'a>) -> Result<()> {
        let (g, unit) = (required(call, 0, "g")?, required(call, 1, "unit")?);
        same_shape("unit", &unit, g.shape)?;
        let (rows, width) = (g.rows(), g.width());
        let inverse = required(call, 2, "inverse deviation")?;
        if inverse.values.len() != rows {
            let expected = format!("one number for each of {rows} rows");
            return Err(super::operator::misfit("inverse deviation", &inverse, &expected));
        }
        let scale = vector(call, 3, "scale", width)?.unwrap_or_default();
        let Some(dx) = call.output(0, &g.sizes())? else { return Ok(()) };
        if g.values.is_empty() {
            return Ok(());
        }
        for_rows(call.threads(), (rows, 2 * width), [(dx, width)], |range, [dx]| {
            let inverse = &inverse.values[range.clone()];
            let range = range.start * width..range.end * width;
            let (g, unit) = (&g.values[range.clone()], &unit.values[range]);
            dispatch!(Level::new(), simd => {
                backward(simd, [g, unit, inverse, scale], dx, width);
            });
        })
    }
}

#[inline(always)]
fn forward<S: Simd>(
    simd: S,
    (x, residual): (&[f32], Option<&[f32]>),
    vectors: &Vectors<'_>,
    [y, unit, inverse]: [&mut [f32]; 3],
    width: usize,
) {
    let share = 1.0 / width as f32;
    for (row, y) in y.chunks_exact_mut(width).enumerate() {
        let from = row * width;
        let x = &x[from..from + width];
        // The row of the result holds the sum, then what is left of it without its mean.
        let mut at = 0;
        while at < width {
            let mut total = load(simd, &x[at..]);
            if let Some(bias) = vectors.bias {
                total += load(simd, &bias[at..]);
            }
            if let Some(residual) = residual {
                total += load(simd, &residual[from + at..from + width]);
            }
            store::<S>(total, &mut y[at..]);
            at += S::f32s::LEN;
        }
        let mean = share * sum(simd, y);
        let mut at = 0;
        while at < width {
            store::<S>(load(simd, &y[at..]) - mean, &mut y[at..]);
            at += S::f32s::LEN;
        }
        let deviation = 1.0 / (share * dot(simd, y, y) + vectors.epsilon).sqrt();
        if let Some(inverse) = inverse.get_mut(row) {
            *inverse = deviation;
        }
        let unit = unit.get_mut(from..from + width).unwrap_or_default();
        let mut at = 0;
        while at < width {
            let whole = load(simd, &y[at..]) * deviation;
            if !unit.is_empty() {
                store::<S>(whole, &mut unit[at..]);
            }
            let mut result = whole * load(simd, &vectors.scale[at..]);
            if let Some(shift) = vectors.shift {
                result += load(simd, &shift[at..]);
            }
            store::<S>(result, &mut y[at..]);
            at += S::f32s::LEN;
        }
    }
}

#[inline(always)]
fn backward<S: Simd>(
    simd: S,
    [g, unit, inverse, scale]: [&[f32]; 4],
    dx: &mut [f32],
    width: usize,
) {
    let share = 1.0 / width as f32;
    for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
        let from = row * width;
        let (g, unit) = (&g[from..from + width], &unit[from..from + width]);
        let mut at = 0;
        while at < width {
            store::<S>(load(simd, &g[at..]) * load(simd, &scale[at..]), &mut dx[at..]);
            at += S::f32s::LEN;
        }
        let mean = share * sum(simd, dx);
        let along = -share * dot(simd, dx, unit);
        let mut at = 0;
        while at < width {
            let rest = load(simd, &unit[at..]).mul_add(along, load(simd, &dx[at..])) - mean;
            store::<S>(rest * inverse[row], &mut dx[at..]);
            at += S::f32s::LEN;
        }
    }
}
