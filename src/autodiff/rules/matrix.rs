//! Matrix products: MatMul of all ranks, and Gemm.
//!
//! The hot case is a frozen `[in, out]` weight on the right. Its gradient product is written as
//! `Gemm(transB=1)` on the weight itself: no transposed copy exists, the runtime can prepack it,
//! factors become `alpha`, and what has arrived for the input already becomes the summand `C`, so
//! that adding up costs no pass of its own.

use super::output_gradient;
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{attr, attribute_float, attribute_int};

pub(super) fn mat_mul(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let left = tape.rank(step, step.input(0))?;
    let right = tape.rank(step, step.input(1))?;
    match (left, right) {
        (2.., 2) => linear(tape, step, &gradient, left),
        (2.., 3..) => batched(tape, step, &gradient, left.max(right)),
        _ => with_vector(tape, step, &gradient, left, right),
    }
}

/// `y[.., n] = x[.., k] w[k, n]`, as one product of matrices.
fn linear(tape: &mut Tape<'_>, step: &Step, gradient: &Gradient, rank: usize) -> Result<()> {
    let (x, w) = (step.input(0), step.input(1));
    let g = gradient.with(tape.matrix(&gradient.name, rank));
    if tape.wants(step, 0) {
        let sum = add_product(tape, x, &g, (w, true));
        tape.give(x, sum);
    }
    if tape.wants(step, 1) {
        let rows = tape.matrix(x, rank);
        let options = vec![attr::int("transA", 1), attr::float("alpha", g.factor as f32)];
        let product = tape.node("Gemm", &[&rows, &g.name], options);
        tape.give(w, Gradient { name: product, factor: 1.0 });
    }
    Ok(())
}

/// `g m` or `g mᵀ` for a matrix gradient `g`, in the shape of `target` and added to what has
/// arrived for it so far.
pub(super) fn add_product(
    tape: &mut Tape<'_>,
    target: &str,
    g: &Gradient,
    (m, transposed): (&str, bool),
) -> Gradient {
    let m = &tape.frozen(m);
    let mut options = vec![attr::float("alpha", g.factor as f32)];
    options.push(attr::int("transB", transposed.into()));
    let product = match tape.take(target) {
        Some(earlier) => {
            let rank = tape.shapes.rank(target).unwrap_or(2);
            let summand = tape.matrix(&earlier.name, rank);
            options.push(attr::float("beta", earlier.factor as f32));
            tape.node("Gemm", &[&g.name, m, &summand], options)
        }
        None => tape.node("Gemm", &[&g.name, m], options),
    };
    Gradient { name: tape.matrix_like(&product, target), factor: 1.0 }
}

/// `y = a b` with leading axes on both, which may be broadcast. The smaller operand is transposed;
/// the runtime merges that into the product.
fn batched(tape: &mut Tape<'_>, step: &Step, gradient: &Gradient, rank: usize) -> Result<()> {
    let (a, b) = (step.input(0), step.input(1));
    if tape.wants(step, 0) {
        let b_rank = tape.rank(step, b)?;
        let transposed = tape.transpose_last(b, b_rank);
        let product = tape.node("MatMul", &[&gradient.name, &transposed], vec![]);
        let part = unbroadcast_leading(tape, step, &product, a, rank)?;
        tape.give(a, gradient.with(part));
    }
    if tape.wants(step, 1) {
        let a_rank = tape.rank(step, a)?;
        let transposed = tape.transpose_last(a, a_rank);
        let product = tape.node("MatMul", &[&transposed, &gradient.name], vec![]);
        let part = unbroadcast_leading(tape, step, &product, b, rank)?;
        tape.give(b, gradient.with(part));
    }
    Ok(())
}

/// Sums a product over the leading axes along which `target` was repeated; the last two are the
/// product's own.
fn unbroadcast_leading(
    tape: &mut Tape<'_>,
    step: &Step,
    product: &str,
    target: &str,
    rank: usize,
) -> Result<String> {
    let whole = tape.dims(step, step.output())?;
    let part = tape.dims(step, target)?;
    let leading = part.len() - 2;
    let dims = (&whole[..rank - 2], &part[..leading]);
    tape.unbroadcast_dims(step, product, target, dims)
}

/// A product with a vector is one with a matrix of one row or one column.
fn with_vector(
    tape: &mut Tape<'_>,
    step: &Step,
    gradient: &Gradient,
    left: usize,
    right: usize,
) -> Result<()> {
    if left == 0 || right == 0 {
        return Err(tape.refuse(step, "an operand is a scalar"));
    }
    let (a, b) = (step.input(0), step.input(1));
    let axes: &[i64] = match (left, right) {
        (1, 1) => &[0, 1],
        (1, _) => &[right as i64 - 2],
        _ => &[left as i64 - 1],
    };
    let g = tape.change_axes("Unsqueeze", &gradient.name, axes);
    if tape.wants(step, 0) {
        let column = if right == 1 { tape.change_axes("Unsqueeze", b, &[1]) } else { b.to_owned() };
        let rank = right.max(2);
        let transposed = tape.transpose_last(&column, rank);
        let mut product = tape.node("MatMul", &[&g, &transposed], vec![]);
        if left == 1 {
            let all_but_last: Vec<i64> = (0..rank as i64 - 1).collect();
            product = tape.reduce("ReduceSum", &product, &all_but_last, false);
        }
        tape.give(a, gradient.with(product));
    }
    if tape.wants(step, 1) {
        let row = if left == 1 { tape.change_axes("Unsqueeze", a, &[0]) } else { a.to_owned() };
        let rank = left.max(2);
        let transposed = tape.transpose_last(&row, rank);
        let mut product = tape.node("MatMul", &[&transposed, &g], vec![]);
        if right == 1 {
            let last = rank as i64 - 1;
            let all_but_rows: Vec<i64> = (0..last - 1).chain([last]).collect();
            product = tape.reduce("ReduceSum", &product, &all_but_rows, false);
        }
        tape.give(b, gradient.with(product));
    }
    Ok(())
}

/// `y = alpha op(a) op(b) + beta c`, where `op` transposes or does nothing.
pub(super) fn gemm(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let number = |name: &str| f64::from(attribute_float(&step.node, name).unwrap_or(1.0));
    let flag = |name: &str| attribute_int(&step.node, name).unwrap_or(0) != 0;
    let (trans_a, trans_b) = (flag("transA"), flag("transB"));
    let (a, b) = (step.input(0), step.input(1));
    let g = gradient.scaled(number("alpha"));
    let product = |tape: &mut Tape<'_>, left: (&str, bool), right: (&str, bool)| {
        let options = vec![
            attr::int("transA", left.1.into()),
            attr::int("transB", right.1.into()),
            attr::float("alpha", g.factor as f32),
        ];
        let name = tape.node("Gemm", &[left.0, right.0], options);
        Gradient { name, factor: 1.0 }
    };
    if tape.wants(step, 0) {
        let part = if trans_a {
            product(tape, (b, trans_b), (&g.name, true))
        } else {
            add_product(tape, a, &g, (b, !trans_b))
        };
        tape.give(a, part);
    }
    if tape.wants(step, 1) {
        let part = if trans_b {
            product(tape, (&g.name, true), (a, trans_a))
        } else {
            product(tape, (a, !trans_a), (&g.name, false))
        };
        tape.give(b, part);
    }
    if tape.wants(step, 2) {
        let part = tape.unbroadcast(step, &gradient.name, step.input(2))?;
        tape.give(step.input(2), gradient.with(part).scaled(number("beta")));
    }
    Ok(())
}
