//! Functions of one number: Sqrt, Exp, Log, Reciprocal, Erf, Tanh, Sigmoid, Sin, Cos.
//!
//! Where the derivative is a function of the output, the output is used: the forward pass has
//! computed it already.

use std::f64::consts::PI;

use super::unary;
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;

/// `dx = g / 2y`
pub(super) fn sqrt(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = super::output_gradient(tape, step)?;
    let quotient = tape.node("Div", &[&gradient.name, step.output()], vec![]);
    tape.give(step.input(0), gradient.with(quotient).scaled(0.5));
    Ok(())
}

/// `dx = g y`
pub(super) fn exp(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| tape.node("Mul", &[g, step.output()], vec![]))
}

/// `dx = g / x`
pub(super) fn log(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| tape.node("Div", &[g, step.input(0)], vec![]))
}

/// `dx = -g y²`
pub(super) fn reciprocal(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = super::output_gradient(tape, step)?;
    let square = tape.node("Mul", &[step.output(), step.output()], vec![]);
    let product = tape.node("Mul", &[&gradient.name, &square], vec![]);
    tape.give(step.input(0), gradient.with(product).scaled(-1.0));
    Ok(())
}

/// `dx = 2/√π g exp(-x²)`
pub(super) fn erf(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = super::output_gradient(tape, step)?;
    let square = tape.node("Mul", &[step.input(0), step.input(0)], vec![]);
    let negative = tape.node("Neg", &[&square], vec![]);
    let bell = tape.node("Exp", &[&negative], vec![]);
    let product = tape.node("Mul", &[&gradient.name, &bell], vec![]);
    tape.give(step.input(0), gradient.with(product).scaled(2.0 / PI.sqrt()));
    Ok(())
}

/// `dx = g (1 - y²)`
pub(super) fn tanh(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| {
        let square = tape.node("Mul", &[step.output(), step.output()], vec![]);
        let one = tape.scalar_like(step.output(), 1.0);
        let slope = tape.node("Sub", &[&one, &square], vec![]);
        tape.node("Mul", &[g, &slope], vec![])
    })
}

/// `dx = g y (1 - y)`
pub(super) fn sigmoid(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| {
        let one = tape.scalar_like(step.output(), 1.0);
        let rest = tape.node("Sub", &[&one, step.output()], vec![]);
        let slope = tape.node("Mul", &[step.output(), &rest], vec![]);
        tape.node("Mul", &[g, &slope], vec![])
    })
}

/// `dx = g cos(x)`
pub(super) fn sin(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    unary(tape, step, |tape, g| {
        let slope = tape.node("Cos", &[step.input(0)], vec![]);
        tape.node("Mul", &[g, &slope], vec![])
    })
}

/// `dx = -g sin(x)`
pub(super) fn cos(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = super::output_gradient(tape, step)?;
    let slope = tape.node("Sin", &[step.input(0)], vec![]);
    let product = tape.node("Mul", &[&gradient.name, &slope], vec![]);
    tape.give(step.input(0), gradient.with(product).scaled(-1.0));
    Ok(())
}
