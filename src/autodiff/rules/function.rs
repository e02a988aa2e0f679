//! Rules of element-wise functions: Sqrt, Exp, Log, Reciprocal, Erf, Tanh, Sigmoid, Sin, Cos.
//!
//! Where the derivative is a function of the output, the rule uses the output, which the forward
//! pass has computed.

use std::f64::consts::PI;

use super::unary;
use crate::autodiff::emit::Emitter;
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;

/// `dx = g / 2y`
pub(super) fn sqrt(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let quotient = emit.node("Div", &[&gradient.name, step.output()], vec![]);
    tape.give(step.input(0), gradient.with(quotient).scaled(0.5));
    Ok(())
}

/// `dx = g y`
pub(super) fn exp(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| emit.node("Mul", &[g, step.output()], vec![]))
}

/// `dx = g / x`
pub(super) fn log(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| emit.node("Div", &[g, step.input(0)], vec![]))
}

/// `dx = -g y²`
pub(super) fn reciprocal(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let square = emit.node("Mul", &[step.output(), step.output()], vec![]);
    let product = emit.node("Mul", &[&gradient.name, &square], vec![]);
    tape.give(step.input(0), gradient.with(product).scaled(-1.0));
    Ok(())
}

/// `dx = 2/√π g exp(-x²)`
pub(super) fn erf(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let square = emit.node("Mul", &[step.input(0), step.input(0)], vec![]);
    let negative = emit.node("Neg", &[&square], vec![]);
    let bell = emit.node("Exp", &[&negative], vec![]);
    let product = emit.node("Mul", &[&gradient.name, &bell], vec![]);
    tape.give(step.input(0), gradient.with(product).scaled(2.0 / PI.sqrt()));
    Ok(())
}

/// `dx = g (1 - y²)`
pub(super) fn tanh(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| {
        let square = emit.node("Mul", &[step.output(), step.output()], vec![]);
        let one = emit.scalar_like(step.output(), 1.0);
        let slope = emit.node("Sub", &[&one, &square], vec![]);
        emit.node("Mul", &[g, &slope], vec![])
    })
}

/// `dx = g y (1 - y)`
pub(super) fn sigmoid(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| {
        let one = emit.scalar_like(step.output(), 1.0);
        let rest = emit.node("Sub", &[&one, step.output()], vec![]);
        let slope = emit.node("Mul", &[step.output(), &rest], vec![]);
        emit.node("Mul", &[g, &slope], vec![])
    })
}

/// `dx = g cos(x)`
pub(super) fn sin(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    unary(emit, tape, step, |emit, g| {
        let slope = emit.node("Cos", &[step.input(0)], vec![]);
        emit.node("Mul", &[g, &slope], vec![])
    })
}

/// `dx = -g sin(x)`
pub(super) fn cos(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let slope = emit.node("Sin", &[step.input(0)], vec![]);
    let product = emit.node("Mul", &[&gradient.name, &slope], vec![]);
    tape.give(step.input(0), gradient.with(product).scaled(-1.0));
    Ok(())
}
