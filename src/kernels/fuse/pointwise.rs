//! Gelu, LayerNormalization and their gradients, and the sum with a low-rank product.

use super::group::Group;
use super::pattern::{Found, Known, Pattern};
use crate::graph::{Dim, attr, attribute_float, attribute_string};
use crate::kernels::{gelu, low_rank, normalization};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Finds a group that ends with the node at a position.
pub(super) type Finder = fn(&Known<'_>, usize) -> Option<Group>;

pub(super) const FINDERS: [Finder; 5] =
    [gelu_forward, gelu_backward, normalization_forward, normalization_backward, low_rank_sum];

/// The largest rank that is taken for a low-rank product where it is known.
const RANK_MAX: i64 = 64;

type Patterns = LazyLock<Vec<Pattern>>;

fn patterns(texts: &[&'static str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::read(text)).collect()
}

fn first(known: &Known<'_>, patterns: &[Pattern], position: usize) -> Option<Found> {
    patterns.iter().find_map(|pattern| known.find(pattern, position))
}

fn gelu_forward(known: &Known<'_>, position: usize) -> Option<Group> {
    static PATTERNS: Patterns = LazyLock::new(|| {
        patterns(&[
            "Mul(Mul(x, Add(Erf(Div(x, #1.41421356)), #1)), ?factor)",
            "Mul(Mul(x, Add(Erf(Mul(x, #0.70710678)), #1)), ?factor)",
            "Mul(Mul(x, ?factor), Add(Erf(Div(x, #1.41421356)), #1))",
            "Mul(Mul(x, ?factor), Add(Erf(Mul(x, #0.70710678)), #1))",
            "Mul(x, Mul(Add(Erf(Div(x, #1.41421356)), #1), ?factor))",
            "Mul(x, Mul(Add(Erf(Mul(x, #0.70710678)), #1), ?factor))",
            "Gelu(x)",
        ])
    });
    let found = first(known, &PATTERNS, position)?;
    let node = &known.graph.node[position];
    if attribute_string(node, "approximate").unwrap_or("none") != "none" {
        return None;
    }
    let (x, output) = (found.value("x"), node.output[0].as_str());
    if !known.are_alike(x, output) {
        return None;
    }
    let factor = found.numbers.get("factor").map_or(1.0, |factor| 2.0 * factor);
    let (x, bias) = known.biased(x).unwrap_or((x, ""));
    let factor = vec![attr::float("factor", factor as f32)];
    Some(Group::new(known, position, &gelu::GELU, &[x, bias], &[output], factor))
}

fn gelu_backward(known: &Known<'_>, position: usize) -> Option<Group> {
    // The gradient as `autodiff` writes it: the constant is ln(2/√π).
    static PATTERNS: Patterns = LazyLock::new(|| {
        patterns(&["Mul(g, Add(Add(Erf(t@Mul(x, #0.70710678)), \
             Mul(t, Exp(Sub(#0.12078224, Mul(t, t))))), #1))"])
    });
    let found = first(known, &PATTERNS, position)?;
    let (g, x) = (found.value("g"), found.value("x"));
    let output = known.graph.node[position].output[0].as_str();
    if !known.are_alike(g, x) {
        return None;
    }
    let (x, bias) = known.biased(x).unwrap_or((x, ""));
    let factor = vec![attr::float("factor", 2.0)];
    Some(Group::new(known, position, &gelu::GELU_GRADIENT, &[g, x, bias], &[output], factor))
}

fn normalization_forward(known: &Known<'_>, position: usize) -> Option<Group> {
    static PATTERNS: Patterns = LazyLock::new(|| {
        patterns(&[
            "LayerNormalization[-1](x, scale, shift)",
            "Add(Mul(unit@Mul(c@Sub(x, ReduceMean[-1](x)), \
             inverse@Reciprocal(Sqrt(Add(ReduceMean[-1](Mul(c, c)), ?epsilon)))), scale), shift)",
            "Add(Mul(unit@Div(c@Sub(x, ReduceMean[-1](x)), \
             Sqrt(Add(ReduceMean[-1](Pow(c, #2)), ?epsilon))), scale), shift)",
        ])
    });
    let found = first(known, &PATTERNS, position)?;
    let node = &known.graph.node[position];
    let (x, scale, shift) = (found.value("x"), found.value("scale"), found.value("shift"));
    let width = known.width(x)?;
    let is_whole = node.output.iter().skip(1).all(String::is_empty);
    if !is_whole || ![scale, shift].iter().all(|vector| known.is_vector(vector, width)) {
        return None;
    }
    let stated = f64::from(attribute_float(node, "epsilon").unwrap_or(1e-5));
    let epsilon = found.numbers.get("epsilon").copied().unwrap_or(stated);
    let outputs = ["unit", "inverse"].map(|word| match found.values.contains_key(word) {
        true => known.read_elsewhere(&found, word),
        false => "",
    });
    let (x, residual, bias) = skip_connection(known, x, &found.nodes);
    let inputs = [x, scale, shift, residual, bias];
    let outputs = [node.output[0].as_str(), outputs[0], outputs[1]];
    let epsilon = vec![attr::float("epsilon", epsilon as f32)];
    Some(Group::new(known, position, &normalization::NORMALIZATION, &inputs, &outputs, epsilon))
}

/// The summands of what is normalized, as far as nothing else reads their sum: a value, a residual
/// and a bias.
fn skip_connection<'a>(
    known: &'a Known<'_>,
    x: &'a str,
    users: &BTreeSet<usize>,
) -> (&'a str, &'a str, &'a str) {
    let only_user = |value: &str, user: usize| known.used_only_by(value, &BTreeSet::from([user]));
    if let Some((sum, [left, right])) = known.summands(x, users) {
        for (value, residual) in [(left, right), (right, left)] {
            let biased = known.biased(value).filter(|_| only_user(value, sum));
            if let Some((value, bias)) = biased {
                return (value, residual, bias);
            }
        }
        return (left, right, "");
    }
    let biased = known.biased(x).filter(|_| known.used_only_by(x, users));
    biased.map_or((x, "", ""), |(value, bias)| (value, "", bias))
}

fn normalization_backward(known: &Known<'_>, position: usize) -> Option<Group> {
    static PATTERNS: Patterns = LazyLock::new(|| {
        patterns(&["Mul(Sub(Sub(h@Mul(g, scale), Mul(unit, ReduceMean[-1](Mul(h, unit)))), \
             ReduceMean[-1](h)), inverse)"])
    });
    let found = first(known, &PATTERNS, position)?;
    let [g, unit, inverse] = ["g", "unit", "inverse"].map(|word| found.value(word));
    let width = known.width(unit)?;
    // The product of a gradient and a scale matches either way round.
    let scale = found.value("scale");
    let (g, scale) = if known.is_vector(scale, width) { (g, scale) } else { (scale, g) };
    let (whole, statistics) = (known.float(unit)?, known.float(inverse)?);
    let (last, leading) = statistics.split_last()?;
    let fits = known.is_vector(scale, width)
        && known.are_alike(g, unit)
        && *last == Dim::Known(1)
        && *leading == whole[..whole.len() - 1];
    if !fits {
        return None;
    }
    let inputs = [g, unit, inverse, scale];
    let output = [known.graph.node[position].output[0].as_str()];
    let operator = &normalization::NORMALIZATION_GRADIENT;
    Some(Group::new(known, position, operator, &inputs, &output, vec![]))
}

fn low_rank_sum(known: &Known<'_>, position: usize) -> Option<Group> {
    static PATTERNS: Patterns = LazyLock::new(|| patterns(&["Add(base, high@MatMul(low, up))"]));
    let found = first(known, &PATTERNS, position)?;
    let [base, low, up] = ["base", "low", "up"].map(|word| found.value(word));
    let output = known.graph.node[position].output[0].as_str();
    let (Some([rank, Dim::Known(width)]), Some(low_shape)) = (known.float(up), known.float(low))
    else {
        return None;
    };
    // The rank of an adapter is known when it is loaded; that of other products is a large number.
    let is_low = match rank {
        Dim::Known(rank) => *rank <= RANK_MAX,
        Dim::Symbol(_) => known.graph.input.iter().any(|input| input.name() == up),
        Dim::Unknown => false,
    };
    let fits = is_low
        && low_shape.last() == Some(rank)
        && known.width(base) == Some(*width)
        && known.are_alike(base, output)
        && known.used_only_by(found.value("high"), &found.nodes);
    if !fits {
        return None;
    }
    let own = BTreeSet::from([position]);
    let (base, bias) = match known.biased(base) {
        Some(parts) if known.used_only_by(base, &own) => parts,
        _ => (base, ""),
    };
    let inputs = [base, low, up, bias];
    Some(Group::new(known, position, &low_rank::LOW_RANK_SUM, &inputs, &[output], vec![]))
}
