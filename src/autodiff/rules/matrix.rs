//! Rules of matrix products: MatMul of all ranks, and Gemm.
//!
//! The hot case is a frozen `[in, out]` weight on the right. Its gradient is `Gemm(transB=1)` on
//! the weight itself: no transposed copy exists, the runtime can prepack it, factors become
//! `alpha`, and the gradient accumulated so far becomes the summand `C`, so accumulation costs no
//! separate pass.

use crate::autodiff::emit::{Emitter, refused};
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{attr, attribute_float, attribute_int};

pub(super) fn mat_mul(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let (left, right) = (emit.rank(step.input(0))?, emit.rank(step.input(1))?);
    match (left, right) {
        (2.., 2) => linear(emit, tape, step, left),
        (2.., 3..) => batched(emit, tape, step, [left, right]),
        _ => with_vector(emit, tape, step, [left, right]),
    }
}

/// `y[.., n] = x[.., k] w[k, n]` as one matrix product.
fn linear(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step, rank: usize) -> Result<()> {
    let gradient = step.gradient()?;
    let (x, w) = (step.input(0), step.input(1));
    let g = gradient.with(emit.matrix(&gradient.name, rank));
    if tape.wants(step, 0) {
        let sum = add_product(emit, tape, x, &g, (w, true));
        tape.give(x, sum);
    }
    if tape.wants(step, 1) {
        let rows = emit.matrix(x, rank);
        let options = vec![attr::int("transA", 1), attr::float("alpha", g.factor as f32)];
        let product = emit.node("Gemm", &[&rows, &g.name], options);
        tape.give(w, Gradient { name: product, factor: 1.0 });
    }
    Ok(())
}

/// `g m` or `g mᵀ` for a matrix gradient `g`, in the shape of `target` and added to the gradient
/// that it has accumulated so far.
pub(super) fn add_product(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    target: &str,
    g: &Gradient,
    (m, transposed): (&str, bool),
) -> Gradient {
    let m = &emit.frozen(m);
    let mut options = vec![attr::float("alpha", g.factor as f32)];
    options.push(attr::int("transB", transposed.into()));
    let product = match tape.take(emit, target) {
        Some(earlier) => {
            let rank = emit.shapes().rank(target).unwrap_or(2);
            let summand = emit.matrix(&earlier.name, rank);
            options.push(attr::float("beta", earlier.factor as f32));
            emit.node("Gemm", &[&g.name, m, &summand], options)
        }
        None => emit.node("Gemm", &[&g.name, m], options),
    };
    Gradient { name: emit.matrix_like(&product, target), factor: 1.0 }
}

/// `y = a b` with leading axes on both, which may be broadcast. The smaller operand is transposed;
/// the runtime fuses that into the product.
fn batched(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step, ranks: [usize; 2]) -> Result<()> {
    let gradient = step.gradient()?;
    let rank = ranks[0].max(ranks[1]);
    for (index, other) in [(0, 1), (1, 0)] {
        if !tape.wants(step, index) {
            continue;
        }
        let target = step.input(index);
        let transposed = emit.transpose_last(step.input(other), ranks[other]);
        let mut factors = [gradient.name.as_str(), transposed.as_str()];
        factors.rotate_left(index);
        let product = emit.node("MatMul", &factors, vec![]);
        let part = unbroadcast_leading(emit, step, &product, target, rank)?;
        tape.give(target, gradient.with(part));
    }
    Ok(())
}

/// Sums a product over the leading axes along which `target` was repeated; the last two axes belong
/// to the product.
fn unbroadcast_leading(
    emit: &mut Emitter<'_>,
    step: &Step,
    product: &str,
    target: &str,
    rank: usize,
) -> Result<String> {
    let (whole, part) = (emit.dims(step.output())?, emit.dims(target)?);
    let dims = (&whole[..rank - 2], &part[..part.len() - 2]);
    emit.unbroadcast_dims(product, (step.output(), target), dims)
}

/// A product with a vector, computed as one with a matrix of one row or one column.
fn with_vector(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
    [left, right]: [usize; 2],
) -> Result<()> {
    let gradient = step.gradient()?;
    if left == 0 || right == 0 {
        return Err(refused("an operand is a scalar"));
    }
    let (a, b) = (step.input(0), step.input(1));
    let axes: &[i64] = match (left, right) {
        (1, 1) => &[0, 1],
        (1, _) => &[right as i64 - 2],
        _ => &[left as i64 - 1],
    };
    let g = emit.change_axes("Unsqueeze", &gradient.name, axes);
    if tape.wants(step, 0) {
        let column = if right == 1 { emit.change_axes("Unsqueeze", b, &[1]) } else { b.to_owned() };
        let rank = right.max(2);
        let transposed = emit.transpose_last(&column, rank);
        let mut product = emit.node("MatMul", &[&g, &transposed], vec![]);
        if left == 1 {
            let all_but_last: Vec<i64> = (0..rank as i64 - 1).collect();
            product = emit.reduce("ReduceSum", &product, &all_but_last, false);
        }
        tape.give(a, gradient.with(product));
    }
    if tape.wants(step, 1) {
        let row = if left == 1 { emit.change_axes("Unsqueeze", a, &[0]) } else { a.to_owned() };
        let rank = left.max(2);
        let transposed = emit.transpose_last(&row, rank);
        let mut product = emit.node("MatMul", &[&transposed, &g], vec![]);
        if right == 1 {
            let last = rank as i64 - 1;
            let all_but_rows: Vec<i64> = (0..last - 1).chain([last]).collect();
            product = emit.reduce("ReduceSum", &product, &all_but_rows, false);
        }
        tape.give(b, gradient.with(product));
    }
    Ok(())
}

/// `y = alpha op(a) op(b) + beta c`, where `op` transposes or is the identity.
pub(super) fn gemm(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let number = |name: &str| f64::from(attribute_float(&step.node, name).unwrap_or(1.0));
    let flag = |name: &str| attribute_int(&step.node, name).unwrap_or(0) != 0;
    let (trans_a, trans_b) = (flag("transA"), flag("transB"));
    let (a, b) = (step.input(0), step.input(1));
    let g = gradient.scaled(number("alpha"));
    let product = |emit: &mut Emitter<'_>, left: (&str, bool), right: (&str, bool)| {
        let options = vec![
            attr::int("transA", left.1.into()),
            attr::int("transB", right.1.into()),
            attr::float("alpha", g.factor as f32),
        ];
        let name = emit.node("Gemm", &[left.0, right.0], options);
        Gradient { name, factor: 1.0 }
    };
    if tape.wants(step, 0) {
        let part = if trans_a {
            product(emit, (b, trans_b), (&g.name, true))
        } else {
            add_product(emit, tape, a, &g, (b, !trans_b))
        };
        tape.give(a, part);
    }
    if tape.wants(step, 1) {
        let part = if trans_b {
            product(emit, (&g.name, true), (a, trans_a))
        } else {
            product(emit, (a, !trans_a), (&g.name, false))
        };
        tape.give(b, part);
    }
    if tape.wants(step, 2) {
        let part = emit.unbroadcast(&gradient.name, step.output(), step.input(2))?;
        tape.give(step.input(2), gradient.with(part).scaled(number("beta")));
    }
    Ok(())
}
