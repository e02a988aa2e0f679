//! The rule of Einsum, with any number of operands.
//!
//! The gradient of an operand is the Einsum of the output's gradient and the other operands, with
//! the operand's labels as the result. A label that only the operand has was summed away, so the
//! gradient is repeated along it.

use crate::autodiff::emit::{Emitter, refused};
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{Dim, attr, attribute_string};

/// The labels that the operator allows in an equation.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// An equation in which each ellipsis is replaced by labels of its own.
struct Equation {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

pub(super) fn einsum(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let equation = equation(emit, step)?;
    for index in 0..equation.operands.len() {
        if tape.wants(step, index) {
            let part = operand_gradient(emit, step, &equation, (index, &gradient.name))?;
            tape.give(step.input(index), gradient.with(part));
        }
    }
    Ok(())
}

fn operand_gradient(
    emit: &mut Emitter<'_>,
    step: &Step,
    equation: &Equation,
    (index, gradient): (usize, &str),
) -> Result<String> {
    let operand = &equation.operands[index];
    let others = || (0..equation.operands.len()).filter(|&other| other != index);
    let known = |label: &char| {
        equation.result.contains(label)
            || others().any(|other| equation.operands[other].contains(label))
    };
    let kept: Vec<char> = operand.iter().copied().filter(known).collect();
    let mut inputs = vec![gradient];
    let mut terms = vec![String::from_iter(&equation.result)];
    for other in others() {
        inputs.push(step.input(other));
        terms.push(String::from_iter(&equation.operands[other]));
    }
    let text = format!("{}->{}", terms.join(","), String::from_iter(&kept));
    let mut part = emit.node("Einsum", &inputs, vec![attr::string("equation", &text)]);
    let lost: Vec<i64> =
        (0..operand.len()).filter(|&place| !known(&operand[place])).map(|p| p as i64).collect();
    let dims = emit.dims(step.input(index))?;
    let mut whole = Vec::with_capacity(dims.len());
    for (label, dim) in operand.iter().zip(&dims) {
        whole.push(if known(label) { size(emit, step, equation, *label)? } else { dim.clone() });
    }
    if !lost.is_empty() {
        part = emit.change_axes("Unsqueeze", &part, &lost);
        let sizes = emit.sizes_of(step.input(index));
        part = emit.node("Expand", &[&part, &sizes], vec![]);
        // It was repeated to the operand's own sizes, so no axis was broadcast.
        whole = dims.clone();
    }
    emit.unbroadcast_dims(&part, (step.output(), step.input(index)), (&whole, &dims))
}

/// The size that all operands with a label share; a size of 1 broadcasts to any.
fn size(emit: &Emitter<'_>, step: &Step, equation: &Equation, label: char) -> Result<Dim> {
    let mut size = Dim::Known(1);
    for (index, operand) in equation.operands.iter().enumerate() {
        let Some(place) = operand.iter().position(|other| *other == label) else { continue };
        match emit.dims(step.input(index))?.get(place) {
            Some(Dim::Known(1)) | None => {}
            Some(dim) if size == Dim::Known(1) || matches!(dim, Dim::Known(_)) => {
                size = dim.clone();
            }
            Some(_) => {}
        }
    }
    Ok(size)
}

/// Parses the equation and assigns labels to every ellipsis.
fn equation(emit: &Emitter<'_>, step: &Step) -> Result<Equation> {
    let text = attribute_string(&step.node, "equation").unwrap_or_default();
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (text.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != step.node.input.len() {
        return Err(refused(format!("{text:?} is not for its operands")));
    }
    let mut free = LETTERS.chars().filter(|letter| !text.contains(*letter));
    let mut dots: Vec<char> = Vec::new();
    let mut lengths = Vec::with_capacity(terms.len());
    for (index, term) in terms.iter().enumerate() {
        let rank = emit.rank(step.input(index))?;
        let labels = term.replace("...", "").chars().count();
        let Some(length) = rank.checked_sub(labels).filter(|&n| n == 0 || term.contains("..."))
        else {
            return Err(refused(format!("{term:?} is not for a tensor of rank {rank}")));
        };
        lengths.push(length);
        while dots.len() < length {
            let letter = free.next();
            dots.push(letter.ok_or_else(|| refused("it has too many labels"))?);
        }
    }
    let spelled = |term: &str, length: usize| {
        let labels = String::from_iter(&dots[dots.len() - length..]);
        term.replacen("...", &labels, 1).chars().collect::<Vec<char>>()
    };
    let mut operands = Vec::with_capacity(terms.len());
    for (term, length) in terms.iter().zip(lengths) {
        let labels = spelled(term, length);
        let repeated = (1..labels.len()).any(|place| labels[..place].contains(&labels[place]));
        if repeated || labels.iter().any(|label| !label.is_ascii_alphabetic()) {
            return Err(refused(format!("{term:?} repeats a label")));
        }
        operands.push(labels);
    }
    let result = match right {
        Some(right) => spelled(right, dots.len()),
        None => implied(&operands, &dots),
    };
    Ok(Equation { operands, result })
}

/// The result of an equation without an arrow: the axes of the ellipsis, then every label that
/// appears once, in alphabetical order.
fn implied(operands: &[Vec<char>], dots: &[char]) -> Vec<char> {
    let mut once: Vec<char> = Vec::new();
    for label in operands.iter().flatten().filter(|label| !dots.contains(label)) {
        let uses = operands.iter().flatten().filter(|other| *other == label).count();
        if uses == 1 {
            once.push(*label);
        }
    }
    once.sort_unstable();
    dots.iter().copied().chain(once).collect()
}
