//! Rules of Relu and similar functions, and of Gelu, as operators and as exporters decompose them.
//!
//! The tensors here are the widest of an encoder, and each node is a pass over one of them, so the
//! derivatives use as few nodes as possible.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::unary;
use crate::autodiff::emit::{Emitter, refused};
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{attribute_float, attribute_string};

/// The coefficient of the cube in the Tanh approximation of Gelu.
const CUBE: f64 = 0.044_715;

/// `dx = g where y > 0`
pub(super) fn relu(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| {
        let zero = emit.scalar_like(step.output(), 0.0);
        let positive = emit.node("Greater", &[step.output(), &zero], vec![]);
        emit.node("Where", &[&positive, g, &zero], vec![])
    })
}

/// Gelu of the standard domain, exact or with the Tanh approximation, and of `com.microsoft`.
pub(super) fn gelu(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let result = match attribute_string(&step.node, "approximate").unwrap_or("none") {
        "none" => gelu_exact(emit, step.input(0), &gradient),
        "tanh" => gelu_tanh(emit, step.input(0), &gradient),
        other => return Err(refused(format!("approximate is {other:?}"))),
    };
    tape.give(step.input(0), result);
    Ok(())
}

/// `gelu(x + bias)` of `com.microsoft`. The sum is recomputed.
pub(super) fn bias_gelu(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let x = biased(emit, step);
    let result = gelu_exact(emit, &x, &gradient);
    give_biased(emit, tape, step, &result)
}

/// Gelu of `com.microsoft` with the Tanh approximation, after an optional bias.
pub(super) fn fast_gelu(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let x = biased(emit, step);
    let result = gelu_tanh(emit, &x, &gradient);
    give_biased(emit, tape, step, &result)
}

fn biased(emit: &mut Emitter<'_>, step: &Step) -> String {
    if step.input(1).is_empty() {
        return step.input(0).to_owned();
    }
    emit.node("Add", &[step.input(0), step.input(1)], vec![])
}

fn give_biased(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
    result: &Gradient,
) -> Result<()> {
    if tape.wants(step, 1) {
        let part = emit.unbroadcast(&result.name, step.output(), step.input(1))?;
        tape.give(step.input(1), result.with(part));
    }
    tape.give(step.input(0), result.clone());
    Ok(())
}

/// `x σ(αx)` of `com.microsoft` and, as Swish, of the standard domain:
/// `dx = g (s + α x s (1 - s))` with `s = σ(αx)`, or with the output y `g (s + α y (1 - s))`.
pub(super) fn quick_gelu(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let default = if step.node.domain().is_empty() { 1.0 } else { 1.702 };
    let alpha = attribute_float(&step.node, "alpha").unwrap_or(default);
    unary(emit, tape, step, |emit, g| {
        let x = step.input(0);
        let (factor, one) = (emit.scalar_like(x, alpha.into()), emit.scalar_like(x, 1.0));
        let scaled = emit.node("Mul", &[x, &factor], vec![]);
        let gate = emit.node("Sigmoid", &[&scaled], vec![]);
        let rest = emit.node("Sub", &[&one, &gate], vec![]);
        let slope = emit.node("Mul", &[step.output(), &rest], vec![]);
        let slope = emit.node("Mul", &[&slope, &factor], vec![]);
        let slope = emit.node("Add", &[&slope, &gate], vec![]);
        emit.node("Mul", &[g, &slope], vec![])
    })
}

/// `dx = g where x > 0, else α g`
pub(super) fn leaky_relu(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let alpha = attribute_float(&step.node, "alpha").unwrap_or(0.01);
    unary(emit, tape, step, |emit, g| {
        let x = step.input(0);
        let (zero, factor) = (emit.scalar_like(x, 0.0), emit.scalar_like(x, alpha.into()));
        let positive = emit.node("Greater", &[x, &zero], vec![]);
        let small = emit.node("Mul", &[g, &factor], vec![]);
        emit.node("Where", &[&positive, g, &small], vec![])
    })
}

/// `dx = g where x > 0, else g (y + α)`
pub(super) fn elu(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let alpha = attribute_float(&step.node, "alpha").unwrap_or(1.0);
    unary(emit, tape, step, |emit, g| {
        let x = step.input(0);
        let (zero, offset) = (emit.scalar_like(x, 0.0), emit.scalar_like(x, alpha.into()));
        let positive = emit.node("Greater", &[x, &zero], vec![]);
        let slope = emit.node("Add", &[step.output(), &offset], vec![]);
        let small = emit.node("Mul", &[g, &slope], vec![]);
        emit.node("Where", &[&positive, g, &small], vec![])
    })
}

/// `dx = α g where 0 < y < 1`
pub(super) fn hard_sigmoid(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let alpha = attribute_float(&step.node, "alpha").unwrap_or(0.2);
    let gradient = step.gradient()?;
    let y = step.output();
    let (zero, one) = (emit.scalar_like(y, 0.0), emit.scalar_like(y, 1.0));
    let above = emit.node("Greater", &[y, &zero], vec![]);
    let below = emit.node("Less", &[y, &one], vec![]);
    let inside = emit.node("And", &[&above, &below], vec![]);
    let part = emit.node("Where", &[&inside, &gradient.name, &zero], vec![]);
    tape.give(step.input(0), gradient.with(part).scaled(alpha.into()));
    Ok(())
}

/// `ln(1 + exp(x))`: `dx = g σ(x)`
pub(super) fn softplus(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| {
        let slope = emit.node("Sigmoid", &[step.input(0)], vec![]);
        emit.node("Mul", &[g, &slope], vec![])
    })
}

/// `x tanh(softplus(x))`, with `t = tanh(softplus(x))`: `dx = g (t + x (1 - t²) σ(x))`
pub(super) fn mish(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| {
        let x = step.input(0);
        let one = emit.scalar_like(x, 1.0);
        let soft = emit.node("Softplus", &[x], vec![]);
        let bend = emit.node("Tanh", &[&soft], vec![]);
        let square = emit.node("Mul", &[&bend, &bend], vec![]);
        let rest = emit.node("Sub", &[&one, &square], vec![]);
        let gate = emit.node("Sigmoid", &[x], vec![]);
        let slope = emit.node("Mul", &[&rest, &gate], vec![]);
        let slope = emit.node("Mul", &[&slope, x], vec![]);
        let slope = emit.node("Add", &[&slope, &bend], vec![]);
        emit.node("Mul", &[g, &slope], vec![])
    })
}

/// The gradient of `x Φ(x)`, with `t = x/√2`:
/// `g (Φ(x) + x φ(x)) = g/2 (1 + erf(t) + t exp(ln(2/√π) - t²))`.
pub(super) fn gelu_exact(emit: &mut Emitter<'_>, x: &str, gradient: &Gradient) -> Gradient {
    let root = emit.scalar_like(x, FRAC_1_SQRT_2);
    let offset = emit.scalar_like(x, (2.0 / PI.sqrt()).ln());
    let one = emit.scalar_like(x, 1.0);
    let t = emit.node("Mul", &[x, &root], vec![]);
    let square = emit.node("Mul", &[&t, &t], vec![]);
    let exponent = emit.node("Sub", &[&offset, &square], vec![]);
    let bell = emit.node("Exp", &[&exponent], vec![]);
    let slope = emit.node("Mul", &[&t, &bell], vec![]);
    let error = emit.node("Erf", &[&t], vec![]);
    let sum = emit.node("Add", &[&error, &slope], vec![]);
    let sum = emit.node("Add", &[&sum, &one], vec![]);
    gradient.with(emit.node("Mul", &[&gradient.name, &sum], vec![])).scaled(0.5)
}

/// The gradient of `x/2 (1 + T)` with `T = tanh(c (x + a x³))`, `c = √(2/π)`:
/// `g/2 (1 + T + (1 - T²) x c (1 + 3a x²))`.
fn gelu_tanh(emit: &mut Emitter<'_>, x: &str, gradient: &Gradient) -> Gradient {
    let scale = (2.0 / PI).sqrt();
    let constant = |emit: &mut Emitter<'_>, value: f64| emit.scalar_like(x, value);
    let (linear, one) = (constant(emit, scale), constant(emit, 1.0));
    let (cube, slope) = (constant(emit, scale * CUBE), constant(emit, 3.0 * scale * CUBE));
    let square = emit.node("Mul", &[x, x], vec![]);
    let inner = emit.node("Mul", &[&square, &cube], vec![]);
    let inner = emit.node("Add", &[&inner, &linear], vec![]);
    let inner = emit.node("Mul", &[&inner, x], vec![]);
    let hyperbolic = emit.node("Tanh", &[&inner], vec![]);
    let outer = emit.node("Mul", &[&square, &slope], vec![]);
    let outer = emit.node("Add", &[&outer, &linear], vec![]);
    let outer = emit.node("Mul", &[&outer, x], vec![]);
    let hyperbolic_square = emit.node("Mul", &[&hyperbolic, &hyperbolic], vec![]);
    let rest = emit.node("Sub", &[&one, &hyperbolic_square], vec![]);
    let product = emit.node("Mul", &[&rest, &outer], vec![]);
    let sum = emit.node("Add", &[&hyperbolic, &product], vec![]);
    let sum = emit.node("Add", &[&sum, &one], vec![]);
    gradient.with(emit.node("Mul", &[&gradient.name, &sum], vec![])).scaled(0.5)
}
