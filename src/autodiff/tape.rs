//! The tape accumulates gradients on their way from the loss to the wanted tensors.
//!
//! A gradient is the name of a tensor and a pending factor. Every rule is linear in the gradient it
//! is given, so factors (the scale of attention scores, the sign of a difference) are carried along
//! at no cost until a matrix product applies them as its `alpha`. The tape owns which tensors get a
//! gradient; it must never know an operator.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::emit::{Emitter, refused};
use super::path::Path;
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, NodeProto, shape_text};

/// A gradient: the tensor `name`, times `factor`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gradient {
    /// The tensor; it has the shape of the tensor that it is the gradient of.
    pub name: String,
    /// The factor that still has to be applied.
    pub factor: f64,
}

impl Gradient {
    /// A tensor without a pending factor.
    pub fn of(name: impl Into<String>) -> Self {
        Self { name: name.into(), factor: 1.0 }
    }

    /// The same factor on another tensor.
    pub fn with(&self, name: impl Into<String>) -> Self {
        Self { name: name.into(), factor: self.factor }
    }

    /// The same tensor with another factor applied.
    pub fn scaled(&self, factor: f64) -> Self {
        Self { name: self.name.clone(), factor: self.factor * factor }
    }

    /// The gradient of the tensor `of` with its factor applied.
    pub fn plain(&self, emit: &mut Emitter<'_>, of: &str) -> String {
        if self.factor == 1.0 {
            return self.name.clone();
        }
        let factor = emit.scalar_like(of, self.factor);
        emit.node("Mul", &[&self.name, &factor], vec![])
    }

    fn plus(&self, emit: &mut Emitter<'_>, of: &str, other: &Self) -> Self {
        if self.factor == other.factor {
            return self.with(emit.node("Add", &[&self.name, &other.name], vec![]));
        }
        if self.factor == -other.factor {
            return self.with(emit.node("Sub", &[&self.name, &other.name], vec![]));
        }
        // One multiplication is enough; it costs the same on either side.
        let ratio = emit.scalar_like(of, other.factor / self.factor);
        let scaled = emit.node("Mul", &[&other.name, &ratio], vec![]);
        self.with(emit.node("Add", &[&self.name, &scaled], vec![]))
    }
}

/// A node that a gradient has reached.
pub(super) struct Step {
    pub node: NodeProto,
    pub position: usize,
    /// The gradient of each output that has one.
    pub gradients: Vec<Option<Gradient>>,
}

impl Step {
    /// The name of an input; empty when it is omitted.
    pub fn input(&self, index: usize) -> &str {
        self.node.input.get(index).map_or("", String::as_str)
    }

    /// The name of the first output.
    pub fn output(&self) -> &str {
        self.node.output.first().map_or("", String::as_str)
    }

    /// The gradient of the first output, if it is the only one with a gradient.
    pub fn gradient(&self) -> Result<Gradient> {
        let only_first = self.gradients.iter().skip(1).all(Option::is_none);
        match self.gradients.first() {
            Some(Some(gradient)) if only_first => Ok(gradient.clone()),
            _ => Err(refused("the loss depends on an output other than the first")),
        }
    }
}

/// The accumulated gradients.
pub(super) struct Tape {
    path: Path,
    /// The gradients given to each tensor so far.
    pending: HashMap<String, Vec<Gradient>>,
}

impl Tape {
    pub fn new(path: Path) -> Self {
        Self { path, pending: HashMap::new() }
    }

    /// Starts with a gradient of one for the loss.
    pub fn seed(&mut self, emit: &mut Emitter<'_>, loss: &str) -> Result<()> {
        let one = |dim: &Dim| *dim == Dim::Known(1);
        let shape = emit.shapes().shape(loss);
        let rank = shape.filter(|shape| shape.iter().all(one)).map(<[Dim]>::len);
        let rank = rank.ok_or_else(|| {
            let found = shape_text(shape);
            Error::new(
                Code::ArgumentInvalid,
                format!("the loss {loss:?} has the shape {found}, expected one element"),
            )
        })?;
        let name = emit.number(emit.data_type(loss), &vec![1; rank], 1.0);
        self.give(loss, Gradient::of(name));
        Ok(())
    }

    /// The node at `position` of the forward graph, if it has a gradient to pass on.
    pub fn step(&mut self, emit: &mut Emitter<'_>, position: usize) -> Option<Step> {
        let node = emit.given(position).clone();
        // A tensor that a subgraph captures gets its gradient through this node, too.
        if !self.path.passes(&node) {
            return None;
        }
        if !node.output.iter().any(|name| self.pending.contains_key(name)) {
            return None;
        }
        emit.enter_node(&node);
        let gradients = node.output.iter().map(|name| self.total(emit, name)).collect();
        Some(Step { node, position, gradients })
    }

    /// Names the gradients of the wanted tensors; other appended nodes are removed unless needed.
    pub fn finish(
        mut self,
        mut emit: Emitter<'_>,
        wanted: &[String],
    ) -> Result<BTreeMap<String, String>> {
        let mut result = BTreeMap::new();
        let mut taken = HashSet::new();
        for name in wanted {
            emit.enter(name);
            let Some(total) = self.total(&mut emit, name) else {
                return Err(Error::new(
                    Code::ArgumentInvalid,
                    format!("no gradient of the loss reaches the tensor {name:?}"),
                ));
            };
            let mut gradient = total.plain(&mut emit, name);
            // The seed is an initializer, and two tensors may share one gradient.
            let is_made = emit.appended().iter().any(|node| node.output.contains(&gradient));
            if !is_made || taken.contains(&gradient) {
                gradient = emit.node("Identity", &[&gradient], vec![]);
            }
            taken.insert(gradient.clone());
            emit.set_type_like(&gradient, name);
            result.insert(name.clone(), gradient);
        }
        emit.drop_unused(taken);
        emit.place_replacements(false);
        Ok(result)
    }

    /// Whether an input is present and gets a gradient.
    pub fn wants(&self, step: &Step, index: usize) -> bool {
        self.path.contains(step.input(index))
    }

    /// Adds a gradient to a tensor, if the tensor gets one.
    pub fn give(&mut self, name: &str, gradient: Gradient) {
        if self.path.contains(name) {
            self.pending.entry(name.to_owned()).or_default().push(gradient);
        }
    }

    /// Removes and returns the gradient of a tensor so far, for a rule that adds to it and then
    /// gives back the sum.
    pub fn take(&mut self, emit: &mut Emitter<'_>, name: &str) -> Option<Gradient> {
        let total = self.total(emit, name);
        self.pending.remove(name);
        total
    }

    /// The sum of the gradients given to a tensor.
    fn total(&mut self, emit: &mut Emitter<'_>, name: &str) -> Option<Gradient> {
        let mut parts = self.pending.remove(name)?.into_iter();
        let mut total = parts.next()?;
        for part in parts {
            total = total.plus(emit, name, &part);
        }
        self.pending.insert(name.to_owned(), vec![total.clone()]);
        Some(total)
    }
}
