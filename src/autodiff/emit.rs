//! What rules write and ask: nodes in the form the opset knows, and facts about tensors.
//!
//! In flow names of tensors; out flow names of appended tensors. Nothing here knows of gradients.

use super::tape::{Step, Tape};
use crate::error::{Code, Error, Result};
use crate::graph::{
    AttributeProto, Builder, Dim, NodeProto, TensorProto, attr, attribute_tensor, data_type,
    inline_bytes, shape_text,
};

/// First opset in which ReduceSum, Squeeze and Unsqueeze take their axes as an input.
pub(super) const OPSET_AXES_AS_INPUT: i64 = 13;
/// First opset in which the other reductions take their axes as an input.
pub(super) const OPSET_REDUCE_AXES_AS_INPUT: i64 = 18;

/// One number as the little-endian bytes of an element: double, or float for every other type.
pub(super) fn scalar_bytes(data_type: i32, value: f64) -> Vec<u8> {
    if data_type == data_type::DOUBLE {
        return value.to_le_bytes().to_vec();
    }
    (value as f32).to_le_bytes().to_vec()
}

/// A node over `axes`, which are an input or an attribute.
fn with_axes(
    builder: &mut Builder<'_>,
    op: &str,
    tensor: &str,
    axes: &[i64],
    mut attributes: Vec<AttributeProto>,
    as_input: bool,
) -> String {
    if as_input {
        let axes = builder.constant_i64(axes);
        return builder.node(op, &[tensor, &axes], attributes);
    }
    attributes.push(attr::ints("axes", axes));
    builder.node(op, &[tensor], attributes)
}

/// `Squeeze` or `Unsqueeze` of `axes` in the form that the opset knows.
pub(super) fn change_axes(
    builder: &mut Builder<'_>,
    opset: i64,
    op: &str,
    tensor: &str,
    axes: &[i64],
) -> String {
    with_axes(builder, op, tensor, axes, vec![], opset >= OPSET_AXES_AS_INPUT)
}

impl Tape<'_> {
    // ---- Nodes ---------------------------------------------------------------------------------

    /// Appends a node of the standard domain; gives its output's name.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.builder.node(op, inputs, attributes)
    }

    /// A scalar constant of the element type that the gradient of `tensor` has.
    pub fn scalar_like(&mut self, tensor: &str, value: f64) -> String {
        let data_type = match self.data_type(tensor) {
            codes if data_type::is_integer(codes) => data_type::FLOAT,
            other => other,
        };
        self.builder.constant(data_type, &[], scalar_bytes(data_type, value))
    }

    /// A scalar constant.
    pub fn scalar_of(&mut self, data_type: i32, value: f64) -> String {
        self.builder.constant(data_type, &[], scalar_bytes(data_type, value))
    }

    /// `ReduceSum` or `ReduceMean` over `axes`.
    pub fn reduce(&mut self, op: &str, tensor: &str, axes: &[i64], keep: bool) -> String {
        let keep = attr::int("keepdims", keep.into());
        let input =
            if op == "ReduceSum" { OPSET_AXES_AS_INPUT } else { OPSET_REDUCE_AXES_AS_INPUT };
        with_axes(&mut self.builder, op, tensor, axes, vec![keep], self.opset >= input)
    }

    /// `Squeeze` or `Unsqueeze` of `axes`.
    pub fn change_axes(&mut self, op: &str, tensor: &str, axes: &[i64]) -> String {
        change_axes(&mut self.builder, self.opset, op, tensor, axes)
    }

    /// Transposes; swapping the last two axes before a MatMul costs nothing where the runtime
    /// merges the two.
    pub fn transpose(&mut self, tensor: &str, axes: &[i64]) -> String {
        self.node("Transpose", &[tensor], vec![attr::ints("perm", axes)])
    }

    /// Swaps the last two axes of a tensor of that rank, at least 2.
    pub fn transpose_last(&mut self, tensor: &str, rank: usize) -> String {
        let mut axes: Vec<i64> = (0..rank as i64).collect();
        axes.swap(rank - 1, rank - 2);
        self.transpose(tensor, &axes)
    }

    /// The matrix with the last axis of `tensor`, of that rank, as columns and all others as rows.
    pub fn matrix(&mut self, tensor: &str, rank: usize) -> String {
        if rank == 2 {
            return tensor.to_owned();
        }
        if let Some(matrix) = self.matrices.get(tensor) {
            return matrix.clone();
        }
        let axis = attr::int("axis", rank as i64 - 1);
        let matrix = self.node("Flatten", &[tensor], vec![axis]);
        self.matrices.insert(tensor.to_owned(), matrix.clone());
        matrix
    }

    /// The inverse of [`Self::matrix`]: gives a matrix the sizes of `like`.
    pub fn matrix_like(&mut self, matrix: &str, like: &str) -> String {
        if self.shapes.rank(like) == Some(2) {
            return matrix.to_owned();
        }
        let tensor = self.reshape_like(matrix, None, like);
        self.matrices.insert(tensor.clone(), matrix.to_owned());
        tensor
    }

    /// Gives `tensor` the sizes of `like`; `from` are the sizes it has, where known.
    pub fn reshape_like(&mut self, tensor: &str, from: Option<&[Dim]>, like: &str) -> String {
        let to = self.shapes.shape(like).unwrap_or_default();
        let sizes = match target_sizes(from.unwrap_or_default(), to) {
            Some(sizes) if self.shapes.shape(like).is_some() => self.builder.constant_i64(&sizes),
            _ => self.sizes_of(like),
        };
        self.node("Reshape", &[tensor, &sizes], vec![])
    }

    /// The sizes of a tensor, at run time; tensors of equal dimensions share one.
    pub fn sizes_of(&mut self, tensor: &str) -> String {
        let dims = self.shapes.shape(tensor).unwrap_or_default().to_vec();
        let shareable = !dims.is_empty() && !dims.contains(&Dim::Unknown);
        if let Some(sizes) = self.sizes.get(&dims).filter(|_| shareable) {
            return sizes.clone();
        }
        let sizes = self.node("Shape", &[tensor], vec![]);
        if shareable {
            self.sizes.insert(dims, sizes.clone());
        }
        sizes
    }

    /// Undoes broadcasting: sums `tensor`, shaped like the step's output, over every axis along
    /// which the input `target` was repeated.
    pub fn unbroadcast(&mut self, step: &Step, tensor: &str, target: &str) -> Result<String> {
        let whole = self.dims(step, step.output())?;
        let part = self.dims(step, target)?;
        self.unbroadcast_dims(step, tensor, target, (&whole, &part))
    }

    /// [`Self::unbroadcast`] where only the first axes count: `whole` of the tensor, `part` of the
    /// target.
    pub fn unbroadcast_dims(
        &mut self,
        step: &Step,
        tensor: &str,
        target: &str,
        (whole, part): (&[Dim], &[Dim]),
    ) -> Result<String> {
        let extra = whole.len().saturating_sub(part.len());
        let mut repeated = Vec::new();
        for (axis, (whole, part)) in whole[extra..].iter().zip(part).enumerate() {
            match (whole, part) {
                (Dim::Known(1), _) => {}
                (_, Dim::Known(1)) => repeated.push((extra + axis) as i64),
                (whole, part) if whole == part && *whole != Dim::Unknown => {}
                _ if self.opset >= OPSET_AXES_AS_INPUT => {
                    return Ok(self.unbroadcast_at_run_time(tensor, target, extra));
                }
                _ => return Err(self.ambiguous(step, target)),
            }
        }
        let mut tensor = tensor.to_owned();
        if !repeated.is_empty() {
            tensor = self.reduce("ReduceSum", &tensor, &repeated, true);
        }
        if extra > 0 {
            let leading: Vec<i64> = (0..extra as i64).collect();
            tensor = self.reduce("ReduceSum", &tensor, &leading, false);
        }
        Ok(tensor)
    }

    /// [`Self::unbroadcast`] for sizes that are not known here: the axes are found when the graph
    /// runs. `extra` is by how many axes the tensor exceeds the target.
    fn unbroadcast_at_run_time(&mut self, tensor: &str, target: &str, extra: usize) -> String {
        let sizes = self.node("Shape", &[target], vec![]);
        let mut padded = sizes.clone();
        if extra > 0 {
            let ones = self.builder.constant_i64(&vec![1; extra]);
            padded = self.node("Concat", &[&ones, &sizes], vec![attr::int("axis", 0)]);
        }
        let whole = self.node("Shape", &[tensor], vec![]);
        let same = self.node("Equal", &[&whole, &padded], vec![]);
        let differs = self.node("Not", &[&same], vec![]);
        let places = self.node("NonZero", &[&differs], vec![]);
        let axes = self.change_axes("Squeeze", &places, &[0]);
        let options = vec![attr::int("keepdims", 1), attr::int("noop_with_empty_axes", 1)];
        let total = self.node("ReduceSum", &[tensor, &axes], options);
        if extra == 0 {
            return total;
        }
        let leading: Vec<i64> = (0..extra as i64).collect();
        self.reduce("ReduceSum", &total, &leading, false)
    }

    fn ambiguous(&self, step: &Step, target: &str) -> Error {
        let (target_shape, output) = (self.shapes.shape(target), self.shapes.shape(step.output()));
        let why = format!(
            "whether {target:?} is broadcast is not known: its shape is {}, the \
             output's {}",
            shape_text(target_shape),
            shape_text(output)
        );
        self.refuse(step, &why)
    }

    /// Appends a node of the standard domain whose output has that name.
    pub fn node_named(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.builder.node_named(op, "", inputs, &[output], vec![]);
    }

    /// The place where the next node will stand.
    pub fn mark(&self) -> usize {
        self.builder.graph().node.len()
    }

    /// Puts all nodes from `mark` on into the place of the forward node at `position`. They must
    /// make its output and use nothing that stands behind it.
    pub fn replace_forward(&mut self, position: usize, mark: usize) {
        let nodes = self.builder.graph_mut().node.split_off(mark);
        self.replacements.insert(position, nodes);
    }

    // ---- Facts ---------------------------------------------------------------------------------

    /// The element type of a tensor; float where it is not known.
    pub fn data_type(&self, tensor: &str) -> i32 {
        self.shapes.data_type(tensor).unwrap_or(data_type::FLOAT)
    }

    /// Refuses a step whose result is neither float nor double: gradients in 16 bits overflow
    /// without a scaled loss, which nobody asked for. The gradients of codes are floats.
    pub fn check_precision(&self, step: &Step) -> Result<()> {
        let found = self.data_type(step.output());
        if matches!(found, data_type::FLOAT | data_type::DOUBLE) || data_type::is_integer(found) {
            return Ok(());
        }
        Err(self.refuse(step, &format!("its result has the type {}", data_type::name(found))))
    }

    /// The dimensions of a tensor, of which at least the rank is known.
    pub fn dims(&self, step: &Step, tensor: &str) -> Result<Vec<Dim>> {
        self.shapes
            .shape(tensor)
            .map(<[Dim]>::to_vec)
            .ok_or_else(|| self.refuse(step, &format!("the rank of {tensor:?} is not known")))
    }

    /// The rank of a tensor.
    pub fn rank(&self, step: &Step, tensor: &str) -> Result<usize> {
        Ok(self.dims(step, tensor)?.len())
    }

    /// An axis counted from the front, in a tensor of that rank.
    pub fn axis(&self, step: &Step, axis: i64, rank: usize) -> Result<usize> {
        let rank = rank as i64;
        if !(-rank..rank).contains(&axis) {
            let why = format!("axis {axis} is outside a tensor of rank {rank}");
            return Err(self.refuse(step, &why));
        }
        Ok(if axis < 0 { axis + rank } else { axis } as usize)
    }

    /// The forward node that makes a tensor.
    pub fn producer(&self, tensor: &str) -> Option<&NodeProto> {
        self.builder.graph().node.get(self.index.producer(tensor)?)
    }

    /// The elements of a small integer constant.
    pub fn constant_ints(&self, tensor: &str) -> Option<Vec<i64>> {
        self.shapes.constant_ints(tensor)
    }

    /// The error for a form of an operator that its rule does not cover; who calls the rule adds
    /// where.
    pub fn refuse(&self, _: &Step, why: &str) -> Error {
        Error::new(Code::GraphUnsupported, why)
    }

    /// The value of a constant of one element, if it can be read here.
    pub fn constant_scalar(&self, tensor: &str) -> Option<f64> {
        let graph = self.builder.graph();
        if let Some(&position) = self.initializers.get(tensor) {
            return one_number(&graph.initializer[position]);
        }
        let node = self.producer(tensor).filter(|node| node.op_type() == "Constant")?;
        if let Some(value) = crate::graph::attribute_float(node, "value_float") {
            return Some(value.into());
        }
        one_number(attribute_tensor(node, "value")?)
    }
}

/// The sizes for a Reshape as a constant, if one can say it: numbers, 0 where the same symbol
/// stands at the same place in `from`, and one -1.
fn target_sizes(from: &[Dim], to: &[Dim]) -> Option<Vec<i64>> {
    let mut inferred = false;
    let size = |(axis, dim): (usize, &Dim)| match dim {
        // Zero would mean "as in the input".
        Dim::Known(0) => None,
        Dim::Known(size) => Some(*size),
        Dim::Symbol(_) if from.get(axis) == Some(dim) => Some(0),
        _ if !inferred => {
            inferred = true;
            Some(-1)
        }
        _ => None,
    };
    to.iter().enumerate().map(size).collect()
}

/// The value of a tensor of one element.
fn one_number(tensor: &TensorProto) -> Option<f64> {
    if tensor.dims.iter().any(|&dim| dim != 1) {
        return None;
    }
    let bytes = inline_bytes(tensor).ok()?;
    let bytes: &[u8] = &bytes;
    match tensor.data_type() {
        data_type::FLOAT => Some(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        data_type::DOUBLE => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        data_type::INT64 => Some(i64::from_le_bytes(bytes.try_into().ok()?) as f64),
        data_type::INT32 => Some(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        _ => None,
    }
}
