//! Relu and the two forms of Gelu, as operators and as the exporters' decomposition.
//!
//! The tensors here are the widest of an encoder, and each node is a pass over one of them, so
//! the derivatives are written with as few nodes as possible.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::{output_gradient, unary};
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::attribute_string;

/// The coefficient of the cube in the approximation of Gelu by Tanh.
const CUBE: f64 = 0.044_715;

/// `dx = g where y > 0`
pub(super) fn relu(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| {
        let zero = tape.scalar_like(step.output(), 0.0);
        let positive = tape.node("Greater", &[step.output(), &zero], vec![]);
        tape.node("Where", &[&positive, g, &zero], vec![])
    })
}

/// Gelu of the standard domain, exact or approximated by Tanh, and of `com.microsoft`.
pub(super) fn gelu(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let result = match attribute_string(&step.node, "approximate").unwrap_or("none") {
        "none" => gelu_exact(tape, step.input(0), &gradient),
        "tanh" => gelu_tanh(tape, step.input(0), &gradient),
        other => return Err(tape.refuse(step, &format!("approximate is {other:?}"))),
    };
    tape.give(step.input(0), result);
    Ok(())
}

/// The gradient of `x Φ(x)`, with `t = x/√2`:
/// `g (Φ(x) + x φ(x)) = g/2 (1 + erf(t) + t exp(ln(2/√π) - t²))`.
pub(super) fn gelu_exact(tape: &mut Tape<'_>, x: &str, gradient: &Gradient) -> Gradient {
    let root = tape.scalar_like(x, FRAC_1_SQRT_2);
    let offset = tape.scalar_like(x, (2.0 / PI.sqrt()).ln());
    let one = tape.scalar_like(x, 1.0);
    let t = tape.node("Mul", &[x, &root], vec![]);
    let square = tape.node("Mul", &[&t, &t], vec![]);
    let exponent = tape.node("Sub", &[&offset, &square], vec![]);
    let bell = tape.node("Exp", &[&exponent], vec![]);
    let slope = tape.node("Mul", &[&t, &bell], vec![]);
    let error = tape.node("Erf", &[&t], vec![]);
    let sum = tape.node("Add", &[&error, &slope], vec![]);
    let sum = tape.node("Add", &[&sum, &one], vec![]);
    gradient.with(tape.node("Mul", &[&gradient.name, &sum], vec![])).scaled(0.5)
}

/// The gradient of `x/2 (1 + T)` with `T = tanh(c (x + a x³))`, `c = √(2/π)`:
/// `g/2 (1 + T + (1 - T²) x c (1 + 3a x²))`.
fn gelu_tanh(tape: &mut Tape<'_>, x: &str, gradient: &Gradient) -> Gradient {
    let scale = (2.0 / PI).sqrt();
    let constant = |tape: &mut Tape<'_>, value: f64| tape.scalar_like(x, value);
    let (linear, one) = (constant(tape, scale), constant(tape, 1.0));
    let (cube, slope) = (constant(tape, scale * CUBE), constant(tape, 3.0 * scale * CUBE));
    let square = tape.node("Mul", &[x, x], vec![]);
    let inner = tape.node("Mul", &[&square, &cube], vec![]);
    let inner = tape.node("Add", &[&inner, &linear], vec![]);
    let inner = tape.node("Mul", &[&inner, x], vec![]);
    let hyperbolic = tape.node("Tanh", &[&inner], vec![]);
    let outer = tape.node("Mul", &[&square, &slope], vec![]);
    let outer = tape.node("Add", &[&outer, &linear], vec![]);
    let outer = tape.node("Mul", &[&outer, x], vec![]);
    let hyperbolic_square = tape.node("Mul", &[&hyperbolic, &hyperbolic], vec![]);
    let rest = tape.node("Sub", &[&one, &hyperbolic_square], vec![]);
    let product = tape.node("Mul", &[&rest, &outer], vec![]);
    let sum = tape.node("Add", &[&hyperbolic, &product], vec![]);
    let sum = tape.node("Add", &[&sum, &one], vec![]);
    gradient.with(tape.node("Mul", &[&gradient.name, &sum], vec![])).scaled(0.5)
}
