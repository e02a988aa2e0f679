//! The tape: gradients on their way from the loss to the wanted tensors.
//!
//! A gradient is the name of a tensor and a factor that still has to be multiplied on. Every rule
//! is linear in the gradient it is given, so factors (the scale of attention scores, the sign of
//! a difference) travel along for free until a matrix product takes them as its `alpha`.
//!
//! In flow the nodes of the forward graph, last first; out flow appended nodes. The tape owns all
//! bookkeeping: which tensors get a gradient, what has arrived for each, and how it is added up.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::emit::scalar_bytes;
use super::path::Path;
use crate::error::{Code, Error, Result};
use crate::graph::{Builder, Dim, GraphProto, Index, NodeProto, Shapes, shape_text};

/// A gradient: the tensor `name`, times `factor`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gradient {
    /// The tensor; it has the shape of what it is the gradient of.
    pub name: String,
    /// What it still has to be multiplied with.
    pub factor: f64,
}

impl Gradient {
    /// The same factor on another tensor.
    pub fn with(&self, name: impl Into<String>) -> Self {
        Self { name: name.into(), factor: self.factor }
    }

    /// The same tensor with another factor multiplied on.
    pub fn scaled(&self, factor: f64) -> Self {
        Self { name: self.name.clone(), factor: self.factor * factor }
    }
}

/// A node that a gradient has reached.
pub(super) struct Step {
    /// The forward node.
    pub node: NodeProto,
    /// Its position in the graph.
    pub position: usize,
    /// The gradient of each output that has one.
    pub gradients: Vec<Option<Gradient>>,
}

impl Step {
    /// The name of an input; empty when it is left out.
    pub fn input(&self, index: usize) -> &str {
        self.node.input.get(index).map_or("", String::as_str)
    }

    /// The name of the first output.
    pub fn output(&self) -> &str {
        self.node.output.first().map_or("", String::as_str)
    }
}

/// See the module's text.
pub(super) struct Tape<'a> {
    pub(super) builder: Builder<'a>,
    pub(super) shapes: &'a mut Shapes,
    pub(super) opset: i64,
    path: Path,
    /// Of the forward graph alone.
    pub(super) index: Index,
    forward_nodes: usize,
    forward_initializers: usize,
    pub(super) initializers: HashMap<String, usize>,
    /// Nodes to put in the place of a forward node.
    pub(super) replacements: BTreeMap<usize, Vec<NodeProto>>,
    /// What has arrived for each tensor so far.
    pending: HashMap<String, Vec<Gradient>>,
    /// The matrix of which a tensor is a view with more axes.
    pub(super) matrices: HashMap<String, String>,
    /// The tensor that holds the sizes of all tensors of these dimensions.
    pub(super) sizes: HashMap<Vec<Dim>, String>,
}

impl<'a> Tape<'a> {
    pub fn new(
        graph: &'a mut GraphProto,
        opset: i64,
        shapes: &'a mut Shapes,
        path: Path,
    ) -> Result<Self> {
        let index = Index::new(graph)?;
        let replaceable: HashSet<&str> = graph.input.iter().map(|info| info.name()).collect();
        let initializers = graph.initializer.iter().enumerate();
        let initializers = initializers
            .filter(|(_, tensor)| !replaceable.contains(tensor.name()))
            .map(|(position, tensor)| (tensor.name().to_owned(), position))
            .collect();
        Ok(Self {
            forward_nodes: graph.node.len(),
            forward_initializers: graph.initializer.len(),
            builder: Builder::new(graph, "grad/"),
            shapes,
            opset,
            path,
            index,
            initializers,
            replacements: BTreeMap::new(),
            pending: HashMap::new(),
            matrices: HashMap::new(),
            sizes: HashMap::new(),
        })
    }

    /// Starts with a gradient of one for the loss.
    pub fn seed(&mut self, loss: &str) -> Result<()> {
        let one = |dim: &Dim| *dim == Dim::Known(1);
        let shape = self.shapes.shape(loss).filter(|shape| shape.iter().all(one));
        let rank = shape.map(<[Dim]>::len).ok_or_else(|| {
            let found = shape_text(self.shapes.shape(loss));
            Error::new(
                Code::ArgumentInvalid,
                format!("the loss {loss:?} has the shape {found}, expected one element"),
            )
        })?;
        let ones = vec![1; rank];
        let data_type = self.data_type(loss);
        let name = self.builder.constant(data_type, &ones, scalar_bytes(data_type, 1.0));
        self.give(loss, Gradient { name, factor: 1.0 });
        Ok(())
    }

    /// The node at `position` of the forward graph, if a gradient has reached it that it has to
    /// pass on.
    pub fn step(&mut self, position: usize) -> Option<Step> {
        let node = self.builder.graph().node[position].clone();
        // A tensor that a sub-graph captures gets its gradient through this node as well.
        if !self.path.passes(&node) {
            return None;
        }
        if !node.output.iter().any(|name| self.pending.contains_key(name)) {
            return None;
        }
        let label = if node.name().is_empty() { node.op_type() } else { node.name() };
        self.builder.set_prefix(format!("grad/{}/", label.trim_start_matches('/')));
        let gradients = node.output.iter().map(|name| self.total(name)).collect();
        Some(Step { node, position, gradients })
    }

    /// Names the gradients of the wanted tensors and drops appended nodes that nothing uses.
    pub fn finish(mut self, wanted: &[String]) -> Result<BTreeMap<String, String>> {
        let mut result = BTreeMap::new();
        let mut taken = HashSet::new();
        for name in wanted {
            self.builder.set_prefix(format!("grad/{name}/"));
            let Some(total) = self.total(name) else {
                return Err(Error::new(
                    Code::ArgumentInvalid,
                    format!("no gradient of the loss reaches the tensor {name:?}"),
                ));
            };
            let mut gradient = self.plain(name, &total);
            // The seed is an initializer, and two tensors may share one gradient.
            let appended = &self.builder.graph().node[self.forward_nodes..];
            let is_made = appended.iter().any(|node| node.output.contains(&gradient));
            if !is_made || taken.contains(&gradient) {
                gradient = self.node("Identity", &[&gradient], vec![]);
            }
            taken.insert(gradient.clone());
            if let Some(known) = self.shapes.get(name).cloned() {
                self.shapes.insert(gradient.clone(), known);
            }
            result.insert(name.clone(), gradient);
        }
        self.drop_unused(taken);
        self.place_replacements();
        Ok(result)
    }

    /// Removes appended nodes and constants that no kept value needs.
    fn drop_unused(&mut self, mut used: HashSet<String>) {
        let graph = self.builder.graph_mut();
        let appended = graph.node.split_off(self.forward_nodes);
        let is_used = |node: &NodeProto| {
            let keep = node.output.iter().any(|name| used.contains(name));
            if keep {
                used.extend(node.input.iter().cloned());
            }
            keep
        };
        let mut kept: Vec<_> = appended.into_iter().rev().filter(is_used).collect();
        kept.reverse();
        graph.node.extend(kept);
        let replacements = self.replacements.values().flatten();
        used.extend(replacements.flat_map(|node| node.input.iter().cloned()));
        let constants = graph.initializer.split_off(self.forward_initializers);
        let constants = constants.into_iter().filter(|tensor| used.contains(tensor.name()));
        graph.initializer.extend(constants);
    }

    /// Puts the replacements of forward nodes where those stand.
    fn place_replacements(&mut self) {
        let graph = self.builder.graph_mut();
        let nodes = std::mem::take(&mut graph.node);
        for (position, node) in nodes.into_iter().enumerate() {
            match self.replacements.remove(&position) {
                Some(replacement) => graph.node.extend(replacement),
                None => graph.node.push(node),
            }
        }
    }

    // ---- Gradients -------------------------------------------------------------------------

    /// Whether an input is there and gets a gradient.
    pub fn wants(&self, step: &Step, index: usize) -> bool {
        self.path.contains(step.input(index))
    }

    /// Adds to the gradient of a tensor, if it gets one.
    pub fn give(&mut self, name: &str, gradient: Gradient) {
        if self.path.contains(name) {
            self.pending.entry(name.to_owned()).or_default().push(gradient);
        }
    }

    /// Takes what has arrived for a tensor so far, for a rule that adds to it in passing and then
    /// gives the sum.
    pub fn take(&mut self, name: &str) -> Option<Gradient> {
        let total = self.total(name);
        self.pending.remove(name);
        total
    }

    /// Adds up what has arrived for a tensor.
    fn total(&mut self, name: &str) -> Option<Gradient> {
        let mut parts = self.pending.remove(name)?.into_iter();
        let mut total = parts.next()?;
        for part in parts {
            total = self.sum(name, &total, &part);
        }
        self.pending.insert(name.to_owned(), vec![total.clone()]);
        Some(total)
    }

    fn sum(&mut self, of: &str, left: &Gradient, right: &Gradient) -> Gradient {
        if left.factor == right.factor {
            return left.with(self.node("Add", &[&left.name, &right.name], vec![]));
        }
        if left.factor == -right.factor {
            return left.with(self.node("Sub", &[&left.name, &right.name], vec![]));
        }
        // One multiplication: the larger tensor pass is the same whichever side takes it.
        let ratio = self.scalar_like(of, right.factor / left.factor);
        let scaled = self.node("Mul", &[&right.name, &ratio], vec![]);
        left.with(self.node("Add", &[&left.name, &scaled], vec![]))
    }

    /// A gradient of the tensor `of` with its factor multiplied on.
    pub fn plain(&mut self, of: &str, gradient: &Gradient) -> String {
        if gradient.factor == 1.0 {
            return gradient.name.clone();
        }
        let factor = self.scalar_like(of, gradient.factor);
        self.node("Mul", &[&gradient.name, &factor], vec![])
    }
}
