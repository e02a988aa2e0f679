//! Recognizes groups of nodes that exporters write for one operator, at their last node.
//!
//! The gradient then goes straight to the group's input. A value inside the group that is also used
//! elsewhere keeps the gradient of that use, so recognizing a group is always correct. A pattern
//! must never match on names, only on operators, constants and producers.

use super::emit::Emitter;
use super::tape::Step;
use crate::graph::{NodeProto, attribute_int, attribute_ints};

/// The relative tolerance for constants of a pattern; float16 exports round them.
const CONSTANT_TOLERANCE: f64 = 1e-3;

/// `factor x (1 + erf(x / √2))`.
pub(super) struct Gelu {
    /// `x`.
    pub input: String,
    /// Usually one half.
    pub factor: f64,
}

/// `(x - mean(x)) / sqrt(mean((x - mean(x))²) + epsilon)`, or the same without the means of `x`.
pub(super) struct Normalization {
    /// `x`.
    pub input: String,
    pub output: String,
    /// The square root, or its reciprocal.
    pub deviation: String,
    /// Whether `deviation` is the reciprocal.
    pub is_inverse: bool,
    /// Whether the mean of `x` is subtracted.
    pub is_centred: bool,
    /// The axes the means are taken over.
    pub axes: Vec<i64>,
}

/// Recognizes Gelu at its last product, in every order of its factors.
pub(super) fn gelu(emit: &Emitter<'_>, step: &Step) -> Option<Gelu> {
    let (mut factor, mut leaves) = (1.0, Vec::new());
    collect_factors(emit, &step.node, 3, &mut factor, &mut leaves);
    let [left, right] = leaves.as_slice() else { return None };
    for (x, sum) in [(left, right), (right, left)] {
        if one_plus_erf(emit, sum).as_ref() == Some(x) {
            return Some(Gelu { input: x.clone(), factor });
        }
    }
    None
}

/// Splits a product into constants and other factors, through at most `depth` nested nodes.
fn collect_factors(
    emit: &Emitter<'_>,
    product: &NodeProto,
    depth: usize,
    factor: &mut f64,
    leaves: &mut Vec<String>,
) {
    let divides = product.op_type() == "Div";
    for (index, name) in product.input.iter().enumerate() {
        if let Some(value) = scalar(emit, name) {
            *factor *= if divides && index == 1 { 1.0 / value } else { value };
            continue;
        }
        match emit.producer(name).filter(|node| depth > 0 && is_product(emit, node)) {
            Some(inner) => collect_factors(emit, inner, depth - 1, factor, leaves),
            None => leaves.push(name.clone()),
        }
    }
}

/// A product, or a quotient with a constant divisor.
fn is_product(emit: &Emitter<'_>, node: &NodeProto) -> bool {
    match (node.op_type(), node.input.as_slice()) {
        ("Mul", _) => true,
        ("Div", [_, divisor]) => scalar(emit, divisor).is_some(),
        _ => false,
    }
}

/// `x`, if `name` is `1 + erf(x / √2)`.
fn one_plus_erf(emit: &Emitter<'_>, name: &str) -> Option<String> {
    let add = made_by(emit, name, "Add")?;
    let (one, erf) = constant_and_other(emit, add)?;
    let erf = made_by(emit, erf, "Erf")?;
    let scaled = emit.producer(erf.input.first()?)?;
    let (scale, x) = constant_and_other(emit, scaled)?;
    let root = match scaled.op_type() {
        "Div" if scaled.input.first().map(String::as_str) == Some(x) => scale,
        "Mul" => 1.0 / scale,
        _ => return None,
    };
    (near(one, 1.0) && near(root, std::f64::consts::SQRT_2)).then(|| x.to_owned())
}

/// Recognizes a normalization at its last quotient (or product with the inverse).
pub(super) fn normalization(emit: &Emitter<'_>, step: &Step) -> Option<Normalization> {
    let [left, right] = step.node.input.as_slice() else { return None };
    let orders: &[_] = if step.node.op_type() == "Div" {
        &[(left, right)]
    } else {
        &[(left, right), (right, left)]
    };
    orders.iter().find_map(|(centred, deviation)| {
        let is_inverse = step.node.op_type() == "Mul";
        let root = if is_inverse { inverse_of(emit, deviation)? } else { deviation.as_str() };
        let variance = root_of_variance(emit, root)?;
        let (squared, axes) = mean_of_squares(emit, variance)?;
        if squared != centred.as_str() {
            return None;
        }
        let source = centred_input(emit, centred).filter(|(_, meant)| *meant == axes);
        Some(Normalization {
            input: source.as_ref().map_or(squared, |(input, _)| *input).to_owned(),
            output: step.output().to_owned(),
            deviation: (*deviation).clone(),
            is_inverse,
            is_centred: source.is_some(),
            axes,
        })
    })
}

/// `d`, if `name` is `1 / d`.
fn inverse_of<'a>(emit: &'a Emitter<'_>, name: &str) -> Option<&'a str> {
    let node = emit.producer(name)?;
    match (node.op_type(), node.input.as_slice()) {
        ("Reciprocal", [inner]) => Some(inner),
        ("Div", [one, inner]) if scalar(emit, one) == Some(1.0) => Some(inner),
        _ => None,
    }
}

/// `x` and the axes, if `name` is `x - mean(x)`.
fn centred_input<'a>(emit: &'a Emitter<'_>, name: &str) -> Option<(&'a str, Vec<i64>)> {
    let [x, mean] = made_by(emit, name, "Sub")?.input.as_slice() else { return None };
    let (meant, axes) = mean_of(emit, mean)?;
    (meant == x).then_some((x.as_str(), axes))
}

/// `v`, if `name` is `sqrt(v + constant)`.
fn root_of_variance<'a>(emit: &'a Emitter<'_>, name: &str) -> Option<&'a str> {
    let root = made_by(emit, name, "Sqrt")?;
    let sum = made_by(emit, root.input.first()?, "Add")?;
    Some(constant_and_other(emit, sum)?.1)
}

/// `c` and the axes, if `name` is `mean(c²)`.
fn mean_of_squares<'a>(emit: &'a Emitter<'_>, name: &str) -> Option<(&'a str, Vec<i64>)> {
    let (square, axes) = mean_of(emit, name)?;
    let node = emit.producer(square)?;
    let centred = match (node.op_type(), node.input.as_slice()) {
        ("Pow", [base, exponent]) if scalar(emit, exponent) == Some(2.0) => base,
        ("Mul", [left, right]) if left == right => left,
        _ => return None,
    };
    Some((centred, axes))
}

/// `x` and the axes, if `name` is a mean of `x` that keeps its axes.
fn mean_of<'a>(emit: &'a Emitter<'_>, name: &str) -> Option<(&'a str, Vec<i64>)> {
    let node = made_by(emit, name, "ReduceMean")?;
    if attribute_int(node, "keepdims").unwrap_or(1) == 0 {
        return None;
    }
    let axes = match node.input.get(1) {
        Some(axes) => emit.constant_ints(axes)?,
        None => attribute_ints(node, "axes")?.to_vec(),
    };
    (!axes.is_empty()).then_some((node.input.first()?.as_str(), axes))
}

fn made_by<'a>(emit: &'a Emitter<'_>, name: &str, operator: &str) -> Option<&'a NodeProto> {
    emit.producer(name).filter(|node| node.op_type() == operator && node.domain().is_empty())
}

/// The constant operand of a node with two inputs, and the other one.
fn constant_and_other<'a>(emit: &'a Emitter<'_>, node: &'a NodeProto) -> Option<(f64, &'a str)> {
    let [left, right] = node.input.as_slice() else { return None };
    match (scalar(emit, left), scalar(emit, right)) {
        (None, Some(value)) => Some((value, left)),
        (Some(value), None) => Some((value, right)),
        _ => None,
    }
}

/// A constant of one element that broadcasts into any other operand.
fn scalar(emit: &Emitter<'_>, name: &str) -> Option<f64> {
    emit.constant_scalar(name).filter(|_| emit.shapes().rank(name).unwrap_or(0) <= 1)
}

fn near(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= CONSTANT_TOLERANCE * expected.abs()
}
