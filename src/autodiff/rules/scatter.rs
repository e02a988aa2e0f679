//! Gather by any indices, and the operators that pick or place single elements.
//!
//! The gradient of a choice adds each gradient to the place it was chosen from. From opset 16 on
//! the scatter operators add; before, the same sum is a product with the indices written as rows
//! of zeros and a one, which is exact and takes memory for every place an index could name.

use super::output_gradient;
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{attr, attribute_int, attribute_string, data_type};

/// First opset in which ScatterElements and ScatterND add.
const OPSET_SCATTER_ADDS: i64 = 16;

/// What was chosen along an axis, on its way back.
pub(super) struct Choice<'a> {
    /// Gradient of the chosen: the sizes of the data with the axis replaced by those of `indices`.
    pub gradient: &'a str,
    /// Rank of the data.
    pub rank: usize,
    /// Integers of any rank; negative ones count from the end.
    pub indices: &'a str,
    pub indices_rank: usize,
    pub axis: usize,
    /// The sizes of the data, a vector.
    pub sizes: &'a str,
    /// Element type of the data.
    pub data_type: i32,
}

/// The gradient of the data of a choice, with its sizes.
pub(super) fn spread(tape: &mut Tape<'_>, choice: &Choice<'_>) -> String {
    let Choice { axis, rank, indices_rank, .. } = *choice;
    // The chosen axis goes first, so that what lies at one index is one block.
    let mut front: Vec<i64> = (0..rank as i64).collect();
    front[..=axis].rotate_right(1);
    let mut sizes = choice.sizes.to_owned();
    let mut gradient = choice.gradient.to_owned();
    if axis > 0 {
        let mut axes: Vec<i64> = (0..(rank - 1 + indices_rank) as i64).collect();
        axes[..axis + indices_rank].rotate_right(indices_rank);
        gradient = tape.transpose(&gradient, &axes);
        let order = tape.builder.constant_i64(&front);
        sizes = tape.node("Gather", &[choice.sizes, &order], vec![]);
    }
    let blocks = if tape.opset >= OPSET_SCATTER_ADDS {
        let place = tape.change_axes("Unsqueeze", choice.indices, &[indices_rank as i64]);
        let place = tape.node("Cast", &[&place], vec![attr::int("to", data_type::INT64.into())]);
        let zeros = zeros(tape, &sizes, choice.data_type);
        let add = vec![attr::string("reduction", "add")];
        tape.node("ScatterND", &[&zeros, &place, &gradient], add)
    } else {
        let flat = tape.builder.constant_i64(&[-1]);
        let flat = tape.node("Reshape", &[choice.indices, &flat], vec![]);
        let zero = tape.builder.constant_i64_scalar(0);
        let depth = tape.node("Gather", &[&sizes, &zero], vec![]);
        let rows = rows_of_ones(tape, &flat, &depth, choice.data_type);
        let axis = attr::int("axis", indices_rank as i64);
        let gradients = tape.node("Flatten", &[&gradient], vec![axis]);
        let sums = tape.node("Gemm", &[&rows, &gradients], vec![attr::int("transA", 1)]);
        tape.node("Reshape", &[&sums, &sizes], vec![])
    };
    if axis == 0 {
        return blocks;
    }
    let mut back: Vec<i64> = (0..rank as i64).collect();
    back[..=axis].rotate_left(1);
    tape.transpose(&blocks, &back)
}

fn zeros(tape: &mut Tape<'_>, sizes: &str, data_type: i32) -> String {
    let zero = tape.scalar_of(data_type, 0.0);
    tape.node("Expand", &[&zero, sizes], vec![])
}

/// For each index a row of `depth` elements, all zero but a one at the index.
fn rows_of_ones(tape: &mut Tape<'_>, indices: &str, depth: &str, data_type: i32) -> String {
    let to_int = vec![attr::int("to", data_type::INT64.into())];
    let indices = tape.node("Cast", &[indices], to_int);
    let bytes = [0.0f32, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let values = tape.builder.constant(data_type::FLOAT, &[2], bytes);
    let rows = tape.node("OneHot", &[&indices, depth, &values], vec![attr::int("axis", -1)]);
    if data_type == data_type::FLOAT {
        return rows;
    }
    tape.node("Cast", &[&rows], vec![attr::int("to", data_type.into())])
}

/// Gather along an axis by any indices.
pub(super) fn gather(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let rank = tape.rank(step, step.input(0))?;
    let axis = tape.axis(step, attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let sizes = tape.sizes_of(step.input(0));
    let choice = Choice {
        gradient: &gradient.name,
        rank,
        indices: step.input(1),
        indices_rank: tape.rank(step, step.input(1))?,
        axis,
        sizes: &sizes,
        data_type: tape.data_type(step.input(0)),
    };
    let whole = spread(tape, &choice);
    tape.give(step.input(0), gradient.with(whole));
    Ok(())
}

/// One element for each index, along one axis.
pub(super) fn gather_elements(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let (data, indices) = (step.input(0), step.input(1));
    let rank = tape.rank(step, data)?;
    let axis = tape.axis(step, attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let data_type = tape.data_type(data);
    let sizes = tape.sizes_of(data);
    if tape.opset >= OPSET_SCATTER_ADDS {
        let zeros = zeros(tape, &sizes, data_type);
        let options = vec![attr::int("axis", axis as i64), attr::string("reduction", "add")];
        let whole = tape.node("ScatterElements", &[&zeros, indices, &gradient.name], options);
        tape.give(data, gradient.with(whole));
        return Ok(());
    }
    // As a product of each row of gradients with the rows of its indices; the axis goes last.
    let mut last: Vec<i64> = (0..rank as i64).collect();
    last[axis..].rotate_left(1);
    let mut back: Vec<i64> = (0..rank as i64).collect();
    back[axis..].rotate_right(1);
    let place = tape.builder.constant_i64_scalar(axis as i64);
    let depth = tape.node("Gather", &[&sizes, &place], vec![]);
    let moved = tape.transpose(indices, &last);
    let ones = rows_of_ones(tape, &moved, &depth, data_type);
    let rows = tape.transpose(&gradient.name, &last);
    let rows = tape.change_axes("Unsqueeze", &rows, &[rank as i64 - 1]);
    let sums = tape.node("MatMul", &[&rows, &ones], vec![]);
    let sums = tape.change_axes("Squeeze", &sums, &[rank as i64 - 1]);
    let mut whole = tape.transpose(&sums, &back);
    let same = |tape: &Tape<'_>| -> Option<bool> {
        let (data, indices) = (tape.shapes.shape(data)?, tape.shapes.shape(indices)?);
        let mut pairs = data.iter().zip(indices).enumerate();
        Some(pairs.all(|(place, (d, i))| place == axis || (d == i && !d.is_unknown())))
    };
    if same(tape) != Some(true) {
        // Indices may leave out the end of the other axes.
        let found = tape.node("Shape", &[&whole], vec![]);
        let after = tape.node("Sub", &[&sizes, &found], vec![]);
        let before = tape.builder.constant_i64(&vec![0; rank]);
        let pads = tape.node("Concat", &[&before, &after], vec![attr::int("axis", 0)]);
        whole = tape.node("Pad", &[&whole, &pads], vec![]);
    }
    tape.give(data, gradient.with(whole));
    Ok(())
}

/// Blocks at places of several axes.
pub(super) fn gather_nd(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    if attribute_int(&step.node, "batch_dims").unwrap_or(0) != 0 {
        return Err(tape.refuse(step, "it has batch axes"));
    }
    if tape.opset < OPSET_SCATTER_ADDS {
        return Err(tape.refuse(step, "ScatterND adds from opset 16 on only"));
    }
    let sizes = tape.sizes_of(step.input(0));
    let data_type = tape.data_type(step.input(0));
    let zeros = zeros(tape, &sizes, data_type);
    let add = vec![attr::string("reduction", "add")];
    let whole = tape.node("ScatterND", &[&zeros, step.input(1), &gradient.name], add);
    tape.give(step.input(0), gradient.with(whole));
    Ok(())
}

/// Places blocks or elements into the data: ScatterND, ScatterElements and the old Scatter.
pub(super) fn scatter(tape: &mut Tape<'_>, step: &Step) -> Result<()> {
    let gradient = output_gradient(tape, step)?;
    let adds = match attribute_string(&step.node, "reduction").unwrap_or("none") {
        "none" => false,
        "add" => true,
        other => return Err(tape.refuse(step, &format!("its reduction is {other:?}"))),
    };
    let is_nd = step.node.op_type() == "ScatterND";
    let axis = || match is_nd {
        true => vec![],
        false => vec![attr::int("axis", attribute_int(&step.node, "axis").unwrap_or(0))],
    };
    let (data, indices, updates) = (step.input(0), step.input(1), step.input(2));
    if tape.wants(step, 2) {
        let operator = if is_nd { "GatherND" } else { "GatherElements" };
        let part = tape.node(operator, &[&gradient.name, indices], axis());
        tape.give(updates, gradient.with(part));
    }
    if tape.wants(step, 0) {
        let mut part = gradient.name.clone();
        if !adds {
            let sizes = tape.sizes_of(updates);
            let data_type = tape.data_type(data);
            let zeros = zeros(tape, &sizes, data_type);
            let operator = if is_nd { "ScatterND" } else { "ScatterElements" };
            part = tape.node(operator, &[&part, indices, &zeros], axis());
        }
        tape.give(data, gradient.with(part));
    }
    Ok(())
}
