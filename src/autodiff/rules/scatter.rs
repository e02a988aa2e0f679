//! Rules of Gather with any indices, and of operators that read or write single elements.
//!
//! The gradient of a gather adds each element to the position it was read from. From opset 16 on
//! the scatter operators can add; before, the same sum is a product with one-hot rows, which is
//! exact and takes memory for every position that an index could name.

use crate::autodiff::emit::{Emitter, axis_of, refused};
use crate::autodiff::tape::{Step, Tape};
use crate::error::Result;
use crate::graph::{attr, attribute_int, attribute_string, data_type};

/// First opset in which ScatterElements and ScatterND can add.
const OPSET_SCATTER_ADDS: i64 = 16;

/// The gradient of elements gathered along an axis.
pub(super) struct Choice<'a> {
    /// Gradient of the gathered elements: the sizes of the data, with the axis replaced by those of
    /// `indices`.
    pub gradient: &'a str,
    pub rank: usize,
    /// Integers of any rank; negative ones count from the end.
    pub indices: &'a str,
    pub indices_rank: usize,
    pub axis: usize,
    /// The sizes of the data, a vector.
    pub sizes: &'a str,
    pub data_type: i32,
}

/// The gradient of the data, with its sizes.
pub(super) fn spread(emit: &mut Emitter<'_>, choice: &Choice<'_>) -> String {
    let Choice { axis, rank, indices_rank, .. } = *choice;
    // The gathered axis goes first, so that the elements at one index are one block.
    let mut front: Vec<i64> = (0..rank as i64).collect();
    front[..=axis].rotate_right(1);
    let mut sizes = choice.sizes.to_owned();
    let mut gradient = choice.gradient.to_owned();
    if axis > 0 {
        let mut axes: Vec<i64> = (0..(rank - 1 + indices_rank) as i64).collect();
        axes[..axis + indices_rank].rotate_right(indices_rank);
        gradient = emit.transpose(&gradient, &axes);
        let order = emit.ints(&front);
        sizes = emit.node("Gather", &[choice.sizes, &order], vec![]);
    }
    let blocks = if emit.opset() >= OPSET_SCATTER_ADDS {
        let place = emit.change_axes("Unsqueeze", choice.indices, &[indices_rank as i64]);
        let place = emit.cast(&place, data_type::INT64);
        let zeros = zeros(emit, &sizes, choice.data_type);
        let add = vec![attr::string("reduction", "add")];
        emit.node("ScatterND", &[&zeros, &place, &gradient], add)
    } else {
        let flat = emit.ints(&[-1]);
        let flat = emit.node("Reshape", &[choice.indices, &flat], vec![]);
        let zero = emit.int(0);
        let depth = emit.node("Gather", &[&sizes, &zero], vec![]);
        let rows = rows_of_ones(emit, &flat, &depth, choice.data_type);
        let axis = attr::int("axis", indices_rank as i64);
        let gradients = emit.node("Flatten", &[&gradient], vec![axis]);
        let sums = emit.node("Gemm", &[&rows, &gradients], vec![attr::int("transA", 1)]);
        emit.node("Reshape", &[&sums, &sizes], vec![])
    };
    if axis == 0 {
        return blocks;
    }
    let mut back: Vec<i64> = (0..rank as i64).collect();
    back[..=axis].rotate_left(1);
    emit.transpose(&blocks, &back)
}

fn zeros(emit: &mut Emitter<'_>, sizes: &str, data_type: i32) -> String {
    let zero = emit.scalar(data_type, 0.0);
    emit.node("Expand", &[&zero, sizes], vec![])
}

/// One-hot rows of `depth` elements, one for each index.
fn rows_of_ones(emit: &mut Emitter<'_>, indices: &str, depth: &str, data_type: i32) -> String {
    let to_int = vec![attr::int("to", data_type::INT64.into())];
    let indices = emit.node("Cast", &[indices], to_int);
    let bytes = [0.0f32, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let values = emit.constant(data_type::FLOAT, &[2], bytes);
    let rows = emit.node("OneHot", &[&indices, depth, &values], vec![attr::int("axis", -1)]);
    if data_type == data_type::FLOAT {
        return rows;
    }
    emit.cast(&rows, data_type)
}

/// Gather along an axis by any indices.
pub(super) fn gather(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let rank = emit.rank(step.input(0))?;
    let axis = axis_of(attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let sizes = emit.sizes_of(step.input(0));
    let choice = Choice {
        gradient: &gradient.name,
        rank,
        indices: step.input(1),
        indices_rank: emit.rank(step.input(1))?,
        axis,
        sizes: &sizes,
        data_type: emit.data_type(step.input(0)),
    };
    let whole = spread(emit, &choice);
    tape.give(step.input(0), gradient.with(whole));
    Ok(())
}

/// One element for each index, along one axis.
pub(super) fn gather_elements(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let (data, indices) = (step.input(0), step.input(1));
    let rank = emit.rank(data)?;
    let axis = axis_of(attribute_int(&step.node, "axis").unwrap_or(0), rank)?;
    let data_type = emit.data_type(data);
    let sizes = emit.sizes_of(data);
    if emit.opset() >= OPSET_SCATTER_ADDS {
        let zeros = zeros(emit, &sizes, data_type);
        let options = vec![attr::int("axis", axis as i64), attr::string("reduction", "add")];
        let whole = emit.node("ScatterElements", &[&zeros, indices, &gradient.name], options);
        tape.give(data, gradient.with(whole));
        return Ok(());
    }
    // A product of each row of gradients with its one-hot rows; the axis goes last.
    let mut last: Vec<i64> = (0..rank as i64).collect();
    last[axis..].rotate_left(1);
    let mut back: Vec<i64> = (0..rank as i64).collect();
    back[axis..].rotate_right(1);
    let place = emit.int(axis as i64);
    let depth = emit.node("Gather", &[&sizes, &place], vec![]);
    let moved = emit.transpose(indices, &last);
    let ones = rows_of_ones(emit, &moved, &depth, data_type);
    let rows = emit.transpose(&gradient.name, &last);
    let rows = emit.change_axes("Unsqueeze", &rows, &[rank as i64 - 1]);
    let sums = emit.node("MatMul", &[&rows, &ones], vec![]);
    let sums = emit.change_axes("Squeeze", &sums, &[rank as i64 - 1]);
    let mut whole = emit.transpose(&sums, &back);
    let same = |emit: &Emitter<'_>| -> Option<bool> {
        let (data, indices) = (emit.shapes().shape(data)?, emit.shapes().shape(indices)?);
        let mut pairs = data.iter().zip(indices).enumerate();
        Some(pairs.all(|(place, (d, i))| place == axis || (d == i && !d.is_unknown())))
    };
    if same(emit) != Some(true) {
        // Indices may be shorter than the data along the other axes.
        let found = emit.node("Shape", &[&whole], vec![]);
        let after = emit.node("Sub", &[&sizes, &found], vec![]);
        let before = emit.ints(&vec![0; rank]);
        let pads = emit.node("Concat", &[&before, &after], vec![attr::int("axis", 0)]);
        whole = emit.node("Pad", &[&whole, &pads], vec![]);
    }
    tape.give(data, gradient.with(whole));
    Ok(())
}

/// Blocks at positions along several axes.
pub(super) fn gather_nd(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    if attribute_int(&step.node, "batch_dims").unwrap_or(0) != 0 {
        return Err(refused("it has batch axes"));
    }
    if emit.opset() < OPSET_SCATTER_ADDS {
        return Err(refused("ScatterND adds from opset 16 on only"));
    }
    let sizes = emit.sizes_of(step.input(0));
    let data_type = emit.data_type(step.input(0));
    let zeros = zeros(emit, &sizes, data_type);
    let add = vec![attr::string("reduction", "add")];
    let whole = emit.node("ScatterND", &[&zeros, step.input(1), &gradient.name], add);
    tape.give(step.input(0), gradient.with(whole));
    Ok(())
}

/// Writes blocks or elements into the data: ScatterND, ScatterElements and the old Scatter.
pub(super) fn scatter(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let adds = match attribute_string(&step.node, "reduction").unwrap_or("none") {
        "none" => false,
        "add" => true,
        other => return Err(refused(format!("its reduction is {other:?}"))),
    };
    let is_nd = step.node.op_type() == "ScatterND";
    let axis = || match is_nd {
        true => vec![],
        false => vec![attr::int("axis", attribute_int(&step.node, "axis").unwrap_or(0))],
    };
    let (data, indices, updates) = (step.input(0), step.input(1), step.input(2));
    if tape.wants(step, 2) {
        let operator = if is_nd { "GatherND" } else { "GatherElements" };
        let part = emit.node(operator, &[&gradient.name, indices], axis());
        tape.give(updates, gradient.with(part));
    }
    if tape.wants(step, 0) {
        let mut part = gradient.name.clone();
        if !adds {
            let sizes = emit.sizes_of(updates);
            let data_type = emit.data_type(data);
            let zeros = zeros(emit, &sizes, data_type);
            let operator = if is_nd { "ScatterND" } else { "ScatterElements" };
            part = emit.node(operator, &[&part, indices, &zeros], axis());
        }
        tape.give(data, gradient.with(part));
    }
    Ok(())
}
