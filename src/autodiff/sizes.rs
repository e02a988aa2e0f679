//! Nodes that depend on the sizes of tensors: views as matrices, reshapes, sums over broadcast
//! axes.
//!
//! Unknown sizes are computed at run time; where that is not possible, this module refuses. It must
//! never guess a size.

use super::emit::{Emitter, OPSET_AXES_AS_INPUT, refused};
use crate::error::{Error, Result};
use crate::graph::{Dim, attr, shape_text};

impl Emitter<'_> {
    /// The matrix whose columns are the last axis of `tensor`, of that rank, and whose rows are all
    /// others.
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

    /// The inverse of [`Self::matrix`]: reshapes a matrix to the sizes of `like`.
    pub fn matrix_like(&mut self, matrix: &str, like: &str) -> String {
        if self.shapes().rank(like) == Some(2) {
            return matrix.to_owned();
        }
        let tensor = self.reshape_like(matrix, None, like);
        self.matrices.insert(tensor.clone(), matrix.to_owned());
        tensor
    }

    /// Reshapes `tensor` to the sizes of `like`; `from` are its present sizes, where known.
    pub fn reshape_like(&mut self, tensor: &str, from: Option<&[Dim]>, like: &str) -> String {
        let to = self.shapes().shape(like);
        let sizes = match to.and_then(|to| target_sizes(from.unwrap_or_default(), to)) {
            Some(sizes) => self.ints(&sizes),
            None => self.sizes_of(like),
        };
        self.node("Reshape", &[tensor, &sizes], vec![])
    }

    /// The sizes of a tensor at run time; tensors of equal dimensions share one vector.
    pub fn sizes_of(&mut self, tensor: &str) -> String {
        let dims = self.shapes().shape(tensor).unwrap_or_default().to_vec();
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

    /// The size of an axis at run time, as a vector of one element.
    pub fn run_time_size(&mut self, tensor: &str, axis: i64) -> String {
        let sizes = self.node("Shape", &[tensor], vec![]);
        let place = self.ints(&[axis]);
        self.node("Gather", &[&sizes, &place], vec![])
    }

    /// Undoes broadcasting: sums `tensor`, shaped like `output`, over every axis along which the
    /// operand `target` was repeated.
    pub fn unbroadcast(&mut self, tensor: &str, output: &str, target: &str) -> Result<String> {
        let whole = self.dims(output)?;
        let part = self.dims(target)?;
        self.unbroadcast_dims(tensor, (output, target), (&whole, &part))
    }

    /// [`Self::unbroadcast`] for the first axes only: `whole` of the tensor, `part` of the target.
    pub fn unbroadcast_dims(
        &mut self,
        tensor: &str,
        (output, target): (&str, &str),
        (whole, part): (&[Dim], &[Dim]),
    ) -> Result<String> {
        let extra = whole.len().saturating_sub(part.len());
        let mut repeated = Vec::new();
        for (axis, (whole, part)) in whole[extra..].iter().zip(part).enumerate() {
            match (whole, part) {
                (Dim::Known(1), _) => {}
                (_, Dim::Known(1)) => repeated.push((extra + axis) as i64),
                (whole, part) if whole == part && *whole != Dim::Unknown => {}
                _ if self.opset() >= OPSET_AXES_AS_INPUT => {
                    return Ok(self.unbroadcast_at_run_time(tensor, target, extra));
                }
                _ => return Err(self.ambiguous(output, target)),
            }
        }
        let mut tensor = tensor.to_owned();
        if !repeated.is_empty() {
            tensor = self.reduce("ReduceSum", &tensor, &repeated, true);
        }
        Ok(self.sum_leading(tensor, extra))
    }

    /// Sums over the first `count` axes.
    fn sum_leading(&mut self, tensor: String, count: usize) -> String {
        if count == 0 {
            return tensor;
        }
        let leading: Vec<i64> = (0..count as i64).collect();
        self.reduce("ReduceSum", &tensor, &leading, false)
    }

    /// [`Self::unbroadcast`] for unknown sizes: the axes are found at run time. `extra` is the
    /// number of axes that the tensor has beyond the target's.
    fn unbroadcast_at_run_time(&mut self, tensor: &str, target: &str, extra: usize) -> String {
        let sizes = self.node("Shape", &[target], vec![]);
        let mut padded = sizes.clone();
        if extra > 0 {
            let ones = self.ints(&vec![1; extra]);
            padded = self.node("Concat", &[&ones, &sizes], vec![attr::int("axis", 0)]);
        }
        let whole = self.node("Shape", &[tensor], vec![]);
        let same = self.node("Equal", &[&whole, &padded], vec![]);
        let differs = self.node("Not", &[&same], vec![]);
        let places = self.node("NonZero", &[&differs], vec![]);
        let axes = self.change_axes("Squeeze", &places, &[0]);
        let options = vec![attr::int("keepdims", 1), attr::int("noop_with_empty_axes", 1)];
        let total = self.node("ReduceSum", &[tensor, &axes], options);
        self.sum_leading(total, extra)
    }

    fn ambiguous(&self, output: &str, target: &str) -> Error {
        let [target_shape, output] = [target, output].map(|name| self.shapes().shape(name));
        refused(format!(
            "whether {target:?} is broadcast is not known: its shape is {}, the output's {}",
            shape_text(target_shape),
            shape_text(output)
        ))
    }
}

/// The sizes for a Reshape as a constant, if they can be expressed: numbers, 0 where `from` has the
/// same symbol at the same position, and one -1.
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
