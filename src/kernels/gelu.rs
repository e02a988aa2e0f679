//! Gelu (Hendrycks and Gimpel, arXiv 1606.08415) after an optional bias, exact, and its gradient.

use super::lanes::{load, normal, store};
use super::operator::{Attributes, Call, Kernel, Operator, View, required, same_shape, vector};
use super::rows::for_rows;
use crate::error::Result;
use fearless_simd::{Level, dispatch, prelude::*};

/// `y = factor x Φ(x)` of `x + bias`. Inputs: x `[.., width]`, bias `[width]`.
pub(super) static GELU: Operator =
    Operator { name: "Gelu", inputs: 2, inputs_required: 1, outputs: 1, create: Gelu::create };

/// `dx = factor g (Φ(x) + x φ(x))` of `x + bias`. Inputs: g, x `[.., width]`, bias `[width]`.
pub(super) static GELU_GRADIENT: Operator = Operator {
    name: "GeluGradient",
    inputs: 3,
    inputs_required: 2,
    outputs: 1,
    create: GeluGradient::create,
};

/// The work of one element, as [`for_rows`] counts it.
const WORK: usize = 4;

struct Gelu {
    factor: f32,
}

struct GeluGradient {
    factor: f32,
}

impl Gelu {
    fn create(attributes: &dyn Attributes) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(Self { factor: attributes.float("factor")? }))
    }
}

impl GeluGradient {
    fn create(attributes: &dyn Attributes) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(Self { factor: attributes.float("factor")? }))
    }
}

impl Kernel for Gelu {
    fn run<'a>(&self, call: &mut dyn Call<'a>) -> Result<()> {
        let x = required(call, 0, "x")?;
        let bias = vector(call, 1, "bias", x.width())?;
        let Some(y) = call.output(0, &x.sizes())? else { return Ok(()) };
        let (rows, width) = (x.rows(), x.width());
        if rows * width == 0 {
            return Ok(());
        }
        for_rows(call.threads(), (rows, width * WORK), [(y, width)], |range, [y]| {
            let x = &x.values[range.start * width..range.end * width];
            dispatch!(Level::new(), simd => forward(simd, (x, bias), y, width, self.factor));
        })
    }
}

impl Kernel for GeluGradient {
    fn run<'a>(&self, call: &mut dyn Call<'a>) -> Result<()> {
        let (g, x): (View<'a>, View<'a>) = (required(call, 0, "g")?, required(call, 1, "x")?);
        same_shape("g", &g, x.shape)?;
        let bias = vector(call, 2, "bias", x.width())?;
        let Some(dx) = call.output(0, &x.sizes())? else { return Ok(()) };
        let (rows, width) = (x.rows(), x.width());
        if rows * width == 0 {
            return Ok(());
        }
        for_rows(call.threads(), (rows, width * WORK), [(dx, width)], |range, [dx]| {
            let range = range.start * width..range.end * width;
            let (g, x) = (&g.values[range.clone()], &x.values[range]);
            dispatch!(Level::new(), simd => backward(simd, g, (x, bias), dx, width, self.factor));
        })
    }
}

/// The row and the elements of the bias that go with it.
#[inline(always)]
fn biased<S: Simd>(simd: S, x: &[f32], bias: Option<&[f32]>, at: usize) -> S::f32s {
    let x = load(simd, &x[at..]);
    match bias {
        Some(bias) => x + load(simd, &bias[at..]),
        None => x,
    }
}

#[inline(always)]
fn forward<S: Simd>(
    simd: S,
    (x, bias): (&[f32], Option<&[f32]>),
    y: &mut [f32],
    width: usize,
    factor: f32,
) {
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        let mut at = 0;
        while at < width {
            let x = biased(simd, x, bias, at);
            let (share, _) = normal(simd, x);
            store::<S>(x * share * factor, &mut y[at..]);
            at += S::f32s::LEN;
        }
    }
}

#[inline(always)]
fn backward<S: Simd>(
    simd: S,
    g: &[f32],
    (x, bias): (&[f32], Option<&[f32]>),
    dx: &mut [f32],
    width: usize,
    factor: f32,
) {
    let rows = g.chunks_exact(width).zip(x.chunks_exact(width));
    for ((g, x), dx) in rows.zip(dx.chunks_exact_mut(width)) {
        let mut at = 0;
        while at < width {
            let x = biased(simd, x, bias, at);
            let (share, density) = normal(simd, x);
            let slope = x.mul_add(density, share) * factor;
            store::<S>(load(simd, &g[at..]) * slope, &mut dx[at..]);
            at += S::f32s::LEN;
        }
    }
}
