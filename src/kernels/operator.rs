//! What an operator is, and what it sees of a call.

use crate::error::{Code, Error, Result};

/// One operator: its signature and how its kernels are made.
#[derive(Debug)]
pub struct Operator {
    /// The name in the domain.
    pub name: &'static str,
    /// The number of inputs; those from `inputs_required` on may be omitted.
    pub inputs: usize,
    /// The inputs that every node has.
    pub inputs_required: usize,
    /// The number of outputs; those after the first may be omitted.
    pub outputs: usize,
    /// Makes the kernel of one node.
    pub create: fn(&dyn Attributes) -> Result<Box<dyn Kernel>>,
}

/// The attributes of a node.
pub trait Attributes {
    /// The integer attribute of that name.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`] when the node has none.
    fn int(&self, name: &str) -> Result<i64>;

    /// The float attribute of that name.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`] when the node has none.
    fn float(&self, name: &str) -> Result<f32>;
}

/// The kernel of one node. Several threads may run it at once.
pub trait Kernel: Send + Sync {
    /// Computes the outputs of a call.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`] naming the input whose shape does not fit the others.
    fn run<'a>(&self, call: &mut dyn Call<'a>) -> Result<()>;
}

/// One call of a kernel: its inputs, its outputs and the threads that work on it.
pub trait Call<'a> {
    /// An input; `None` when the node omits it.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`] when the input is no tensor of float32.
    fn input(&self, index: usize) -> Result<Option<View<'a>>>;

    /// Makes an output of that shape, once; `None` when the node omits it. What it holds is
    /// undefined until it is written.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`] when there is no memory, or on a second call for one output.
    fn output(&mut self, index: usize, shape: &[usize]) -> Result<Option<&'a mut [f32]>>;

    /// The threads of the session.
    fn threads(&self) -> &dyn Threads;
}

/// Threads that share the tasks of a call.
pub trait Threads {
    /// Calls `task` once for each number below `count`, in any order and possibly at once, and
    /// returns when all calls have returned.
    ///
    /// # Errors
    /// [`Code::Internal`] when a task panicked.
    fn for_each(&self, count: usize, task: &(dyn Fn(usize) + Sync)) -> Result<()>;
}

/// A float32 tensor in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The dimensions.
    pub shape: &'a [i64],
    /// The elements, as many as the shape says.
    pub values: &'a [f32],
}

impl<'a> View<'a> {
    /// The size of the last axis; 1 for a scalar.
    pub(super) fn width(&self) -> usize {
        self.shape.last().map_or(1, |&size| size as usize)
    }

    /// The number of rows along all axes but the last.
    pub(super) fn rows(&self) -> usize {
        let leading = self.shape.split_last().map_or(&[][..], |(_, leading)| leading);
        leading.iter().map(|&size| size as usize).product()
    }

    /// The dimensions as sizes.
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.shape.iter().map(|&size| size as usize).collect()
    }
}

/// A required input.
pub(super) fn required<'a>(call: &dyn Call<'a>, index: usize, name: &str) -> Result<View<'a>> {
    call.input(index)?.ok_or_else(|| refused(format!("the input {name} is missing")))
}

/// An optional vector as long as the rows it goes with.
pub(super) fn vector<'a>(
    call: &dyn Call<'a>,
    index: usize,
    name: &str,
    width: usize,
) -> Result<Option<&'a [f32]>> {
    let Some(view) = call.input(index)? else { return Ok(None) };
    if view.values.len() != width || view.width() != width {
        return Err(misfit(name, &view, &format!("{width} elements")));
    }
    Ok(Some(view.values))
}

/// Checks that an input has the shape of another.
pub(super) fn same_shape(name: &str, view: &View<'_>, expected: &[i64]) -> Result<()> {
    if view.shape == expected { Ok(()) } else { Err(misfit(name, view, &format!("{expected:?}"))) }
}

/// The error for an input of another shape than expected.
pub(super) fn misfit(name: &str, view: &View<'_>, expected: &str) -> Error {
    refused(format!("the input {name} has the shape {:?}, expected {expected}", view.shape))
}

pub(super) fn refused(message: String) -> Error {
    Error::new(Code::RuntimeFailed, message)
}
