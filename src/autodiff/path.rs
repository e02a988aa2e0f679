//! Finds the tensors between the wanted tensors and the loss.
//!
//! This module must never follow indices, masks and sizes; quantised activations are the only
//! integers that it follows.

use std::collections::HashSet;

use crate::error::{Code, Error, Result};
use crate::graph::{GraphProto, NodeProto, Shapes, data_type, used_values};

/// Whether an output of a node carries a gradient; `None` where its element type decides.
pub(super) type CarriesGradient = fn(&NodeProto, usize) -> Option<bool>;

/// The tensors that depend on a wanted tensor and on which the loss depends.
pub(super) struct Path {
    tensors: HashSet<String>,
}

impl Path {
    /// The path from `wanted` to `losses` in `graph`, whose nodes are in `order`.
    pub fn between(
        graph: &GraphProto,
        order: &[usize],
        shapes: &Shapes,
        losses: &[String],
        wanted: &[String],
        carries: CarriesGradient,
    ) -> Self {
        let mut depends: HashSet<&str> = wanted.iter().map(String::as_str).collect();
        for &position in order {
            let node = &graph.node[position];
            if used_values(node).iter().any(|name| depends.contains(name)) {
                // Quantised values stay quantised when they are moved, for example transposed.
                let has_quantised = used_values(node)
                    .iter()
                    .any(|name| depends.contains(name) && is_quantised(shapes, name));
                let outputs = node.output.iter().enumerate().filter(|(index, name)| {
                    let by_type =
                        || is_float(shapes, name) || has_quantised && is_quantised(shapes, name);
                    !name.is_empty() && carries(node, *index).unwrap_or_else(by_type)
                });
                depends.extend(outputs.map(|(_, name)| name.as_str()));
            }
        }
        let mut reaches: HashSet<&str> = losses.iter().map(String::as_str).collect();
        for &position in order.iter().rev() {
            let node = &graph.node[position];
            if node.output.iter().any(|name| reaches.contains(name.as_str())) {
                reaches.extend(used_values(node));
            }
        }
        Self { tensors: depends.intersection(&reaches).map(|&name| name.to_owned()).collect() }
    }

    /// Like [`Self::between`], but every wanted tensor must lie on the path.
    pub fn find(
        graph: &GraphProto,
        order: &[usize],
        shapes: &Shapes,
        loss: &str,
        wanted: &[String],
        carries: CarriesGradient,
    ) -> Result<Self> {
        let path = Self::between(graph, order, shapes, &[loss.to_owned()], wanted, carries);
        for name in wanted {
            if !path.contains(name) || !path.contains(loss) {
                return Err(Error::new(
                    Code::ArgumentInvalid,
                    format!("the loss {loss:?} does not depend on the tensor {name:?}"),
                ));
            }
        }
        Ok(path)
    }

    /// Whether a gradient has to pass through the node: one of its inputs and one of its outputs
    /// are on the path.
    pub fn passes(&self, node: &NodeProto) -> bool {
        used_values(node).iter().any(|name| self.contains(name))
            && node.output.iter().any(|name| self.contains(name))
    }

    /// Whether the tensor gets a gradient.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains(name)
    }
}

/// Tensors of unknown type count as floating-point; their rule decides.
fn is_float(shapes: &Shapes, name: &str) -> bool {
    use data_type::{BFLOAT16, DOUBLE, FLOAT, FLOAT16};
    let is_float = |known| matches!(known, FLOAT | DOUBLE | FLOAT16 | BFLOAT16);
    shapes.data_type(name).is_none_or(is_float)
}

/// Whether a tensor has the element type of quantised activations or of sums of their products.
fn is_quantised(shapes: &Shapes, name: &str) -> bool {
    use data_type::{INT8, INT16, INT32, UINT8, UINT16};
    let is_quantised = |known| matches!(known, INT8 | UINT8 | INT16 | UINT16 | INT32);
    shapes.data_type(name).is_some_and(is_quantised)
}
