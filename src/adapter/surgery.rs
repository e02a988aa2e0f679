//! Surgery on a graph: inserts inputs with defaults, and nodes before and after existing nodes.
//!
//! This module must not depend on any kind of adapter.

use crate::error::{Code, Error, Result};
use crate::graph::{
    Bytes, Dim, GraphProto, Index, NodeProto, TensorProto, TensorType, data_type, describe,
    is_topologically_sorted, sort_topologically,
};
use crate::sites::Site;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A graph that is being extended. All positions refer to the nodes before the surgery.
pub struct Surgery<'a> {
    pub graph: &'a mut GraphProto,
    /// The index of the graph before the surgery.
    pub index: Index,
    defaults: bool,
    before: BTreeMap<usize, Vec<NodeProto>>,
    after: BTreeMap<usize, Vec<NodeProto>>,
    constants: BTreeSet<String>,
    /// The names of the initializers before the surgery.
    initializers: HashSet<String>,
}

impl<'a> Surgery<'a> {
    /// Begins a surgery; with `defaults`, a run may omit the new inputs.
    pub fn new(graph: &'a mut GraphProto, index: Index, defaults: bool) -> Self {
        let (before, after, constants) = Default::default();
        let initializers = graph.initializer.iter().map(|one| one.name().to_owned()).collect();
        Self { graph, index, defaults, before, after, constants, initializers }
    }

    /// The node at `position`, which must have exactly one output.
    pub fn node(&self, site: &Site, position: usize) -> Result<&NodeProto> {
        self.graph.node.get(position).filter(|node| node.output.len() == 1).ok_or_else(|| {
            let message = format!("{}: node {position} is not a linear layer", site.module);
            Error::new(Code::GraphMalformed, message)
        })
    }

    /// The node whose output is that of the whole linear layer: the bias addition after the
    /// product, if there is one. ONNX Runtime fuses the two as long as nothing is inserted between
    /// them.
    pub fn whole(&self, position: usize) -> usize {
        let output = &self.graph.node[position].output[0];
        match self.index.consumers(output) {
            [next]
                if self.graph.node[*next].op_type() == "Add"
                    && self.graph.node[position].op_type() != "Gemm" =>
            {
                let other = self.graph.node[*next].input.iter().find(|name| *name != output);
                let is_bias = other.is_some_and(|name| self.is_constant(name));
                if is_bias { *next } else { position }
            }
            _ => position,
        }
    }

    /// Moves the bias that a later fused operator adds to the output of the node at `position` into
    /// an addition right after that node, so that the value is the output of the whole linear
    /// layer.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] for an operator with one bias for several layers.
    pub fn unfuse_bias(&mut self, site: &Site, position: usize) -> Result<()> {
        let made = self.after.get(&position).and_then(|nodes| nodes.last());
        let value = made.unwrap_or(&self.graph.node[position]).output[0].clone();
        for user in self.index.consumers(&value).to_vec() {
            let fused = &mut self.graph.node[user];
            let at = match (fused.domain(), fused.op_type()) {
                ("com.microsoft", "SkipLayerNormalization") => 4,
                ("com.microsoft", "SkipSimplifiedLayerNormalization" | "MultiHeadAttention") => 3,
                ("com.microsoft", "BiasGelu" | "FastGelu") => 1,
                _ => continue,
            };
            let Some(bias) = fused.input.get(at).filter(|name| !name.is_empty()).cloned() else {
                continue;
            };
            match fused.op_type() {
                "MultiHeadAttention" => {
                    let message = format!(
                        "{}: its bias is fused into {}; export without fused attention",
                        site.module,
                        describe(fused, user)
                    );
                    return Err(Error::new(Code::GraphUnsupported, message));
                }
                "BiasGelu" => {
                    fused.op_type = Some("Gelu".to_owned());
                    fused.input.truncate(1);
                }
                _ => fused.input[at].clear(),
            }
            let raw = format!("{value}/without_bias");
            self.after(position, raw.clone(), |_, value| {
                vec![node("Add", format!("{raw}/bias"), &[&raw, &bias], value)]
            });
        }
        Ok(())
    }

    /// Whether a value is an initializer, a constant, or a copy of one.
    fn is_constant(&self, value: &str) -> bool {
        if self.initializers.contains(value) {
            return true;
        }
        let Some(position) = self.index.producer(value) else { return false };
        let node = &self.graph.node[position];
        let is_copy = ["Identity", "Cast"].contains(&node.op_type());
        let source = node.input.first();
        node.op_type() == "Constant"
            || is_copy && source.is_some_and(|name| self.initializers.contains(name))
    }

    /// Inserts nodes after the first output of the node at `position`. `build` receives the new
    /// name of the original value and returns nodes of which the last one produces the old name.
    pub fn after(
        &mut self,
        position: usize,
        raw: String,
        build: impl FnOnce(&str, &str) -> Vec<NodeProto>,
    ) {
        let nodes = self.after.entry(position).or_default();
        let maker = match nodes.last_mut() {
            Some(last) => last,
            None => &mut self.graph.node[position],
        };
        let value = std::mem::replace(&mut maker.output[0], raw.clone());
        nodes.extend(build(&raw, &value));
    }

    /// Inserts a node before the node at `position`.
    pub fn before(&mut self, position: usize, node: NodeProto) {
        self.before.entry(position).or_default().push(node);
    }

    /// The name of a scalar constant; equal constants are shared.
    pub fn constant(&mut self, value: f32) -> String {
        let name = format!("polygraft.adapter/constant_{:08x}", value.to_bits());
        if self.constants.insert(name.clone()) {
            self.graph.initializer.push(TensorProto {
                name: Some(name.clone()),
                data_type: Some(data_type::FLOAT),
                raw_data: Some(Bytes::from(value.to_le_bytes().to_vec())),
                ..TensorProto::default()
            });
        }
        name
    }

    /// Declares an input. Its default fills the known extents with `fill`; unknown extents are 0.
    pub fn declare(&mut self, name: &str, shape: Vec<Dim>, fill: f32) {
        declare_filled(self.graph, name, shape, self.defaults, fill);
    }

    /// Inserts the collected nodes at their positions.
    pub fn finish(mut self) -> Result<()> {
        let nodes = std::mem::take(&mut self.graph.node);
        for (position, node) in nodes.into_iter().enumerate() {
            self.graph.node.extend(self.before.remove(&position).unwrap_or_default());
            self.graph.node.push(node);
            self.graph.node.extend(self.after.remove(&position).unwrap_or_default());
        }
        // A bottleneck may read a residual that is computed after the value that it follows.
        if is_topologically_sorted(self.graph) { Ok(()) } else { sort_topologically(self.graph) }
    }
}

/// A node of the standard domain with one output.
pub fn node(op: &str, name: String, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: Some(name),
        op_type: Some(op.to_owned()),
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// Declares a float32 input of `shape`. With `default`, an initializer in which every symbolic
/// extent is 0 makes the input optional.
pub fn declare(graph: &mut GraphProto, name: &str, shape: Vec<Dim>, default: bool) {
    declare_filled(graph, name, shape, default, 0.0);
}

fn declare_filled(graph: &mut GraphProto, name: &str, shape: Vec<Dim>, default: bool, fill: f32) {
    if default {
        let dims: Vec<i64> = shape.iter().map(|dim| dim.known().unwrap_or(0)).collect();
        let count: i64 = dims.iter().product();
        let bytes = (0..count).flat_map(|_| fill.to_le_bytes()).collect::<Vec<u8>>();
        graph.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(data_type::FLOAT),
            dims,
            raw_data: Some(Bytes::from(bytes)),
            ..TensorProto::default()
        });
    }
    graph.input.push(TensorType::new(data_type::FLOAT, shape).to_value_info(name));
}
