//! Relu and its kin, and the forms of Gelu, as operators and as the exporters' decomposition.
//!
//! The tensors here are the widest of an encoder, and each node is a pass over one of them, so
//! the derivatives are written with as few nodes as possible.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::{output_gradient, unary};
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{attribute_float, attribute_string};

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

/// `gelu(x + bias)` of `com.microsoft`. The sum is computed once more.
pub(super) fn bias_gelu(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let x = biased(tape, step);
    let result = gelu_exact(tape, &x, &gradient);
    give_biased(tape, step, &result)
}

/// Gelu approximated by Tanh, after an optional bias, of `com.microsoft`.
pub(super) fn fast_gelu(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let x = biased(tape, step);
    let result = gelu_tanh(tape, &x, &gradient);
    give_biased(tape, step, &result)
}

fn biased(tape: &mut Tape<'_>, step: &Step) -> String {
    if step.input(1).is_empty() {
        return step.input(0).to_owned();
    }
    tape.node("Add", &[step.input(0), step.input(1)], vec![])
}

fn give_biased(tape: &mut Tape<'_>, step: &Step, result: &Gradient) -> Result<()> {
    if tape.wants(step, 1) {
        let part = tape.unbroadcast(step, &result.name, step.input(1))?;
        tape.give(step.input(1), result.with(part));
    }
    tape.give(step.input(0), result.clone());
    Ok(())
}

/// `x σ(αx)` of `com.microsoft` and, as Swish, of the standard domain:
/// `dx = g (s + α x s (1 - s))` with `s = σ(αx)`, or with the output y `g (s + α y (1 - s))`.
pub(super) fn quick_gelu(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let default = if step.node.domain().is_empty() { 1.0 } else { 1.702 };
    let alpha = attribute_float(&step.node, "alpha").unwrap_or(default);
    unary(tape, step, |tape, g| {
        let x = step.input(0);
        let (factor, one) = (tape.scalar_like(x, alpha.into()), tape.scalar_like(x, 1.0));
        let scaled = tape.node("Mul", &[x, &factor], vec![]);
        let gate = tape.node("Sigmoid", &[&scaled], vec![]);
        let rest = tape.node("Sub", &[&one, &gate], vec![]);
        let slope = tape.node("Mul", &[step.output(), &rest], vec![]);
        let slope = tape.node("Mul", &[&slope, &factor], vec![]);
        let slope = tape.node("Add", &[&slope, &gate], vec![]);
        tape.node("Mul", &[g, &slope], vec![])
    })
}

/// `dx = g where x > 0, else α g`
pub(super) fn leaky_relu(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let alpha = attribute_float(&step.node, "alpha").unwrap_or(0.01);
    unary(tape, step, |tape, g| {
        let x = step.input(0);
        let (zero, factor) = (tape.scalar_like(x, 0.0), tape.scalar_like(x, alpha.into()));
        let positive = tape.node("Greater", &[x, &zero], vec![]);
        let small = tape.node("Mul", &[g, &factor], vec![]);
        tape.node("Where", &[&positive, g, &small], vec![])
    })
}

/// `dx = g where x > 0, else g (y + α)`
pub(super) fn elu(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let alpha = attribute_float(&step.node, "alpha").unwrap_or(1.0);
    unary(tape, step, |tape, g| {
        let x = step.input(0);
        let (zero, offset) = (tape.scalar_like(x, 0.0), tape.scalar_like(x, alpha.into()));
        let positive = tape.node("Greater", &[x, &zero], vec![]);
        let slope = tape.node("Add", &[step.output(), &offset], vec![]);
        let small = tape.node("Mul", &[g, &slope], vec![]);
        tape.node("Where", &[&positive, g, &small], vec![])
    })
}

/// `dx = α g where 0 < y < 1`
pub(super) fn hard_sigmoid(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let alpha = attribute_float(&step.node, "alpha").unwrap_or(0.2);
    let gradient = output_gradient(tape, step)?;
    let y = step.output();
    let (zero, one) = (tape.scalar_like(y, 0.0), tape.scalar_like(y, 1.0));
    let above = tape.node("Greater", &[y, &zero], vec![]);
    let below = tape.node("Less", &[y, &one], vec![]);
    let inside = tape.node("And", &[&above, &below], vec![]);
    let part = tape.node("Where", &[&inside, &gradient.name, &zero], vec![]);
    tape.give(step.input(0), gradient.with(part).scaled(alpha.into()));
    Ok(())
}

/// `ln(1 + exp(x))`: `dx = g σ(x)`
pub(super) fn softplus(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| {
        let slope = tape.node("Sigmoid", &[step.input(0)], vec![]);
        tape.node("Mul", &[g, &slope], vec![])
    })
}

/// `x tanh(softplus(x))`, with `t = tanh(softplus(x))`: `dx = g (t + x (1 - t²) σ(x))`
pub(super) fn mish(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| {
        let x = step.input(0);
        let one = tape.scalar_like(x, 1.0);
        let soft = tape.node("Softplus", &[x], vec![]);
        let bend = tape.node("Tanh", &[&soft], vec![]);
        let square = tape.node("Mul", &[&bend, &bend], vec![]);
        let rest = tape.node("Sub", &[&one, &square], vec![]);
        let gate = tape.node("Sigmoid", &[x], vec![]);
        let slope = tape.node("Mul", &[&rest, &gate], vec![]);
        let slope = tape.node("Mul", &[&slope, x], vec![]);
        let slope = tape.node("Add", &[&slope, &bend], vec![]);
        tape.node("Mul", &[g, &slope], vec![])
    })
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
