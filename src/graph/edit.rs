//! Appends nodes and constants to a graph under names that are free in it and its subgraphs.

use std::collections::{HashMap, HashSet};

use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use super::types::data_type;

/// Appends to a graph. Every new name starts with the builder's prefix and is unused.
///
/// The builder never renames or removes anything. Nodes are appended at the end, so the graph stays
/// in topological order as long as their inputs exist.
pub struct Builder<'a> {
    graph: &'a mut GraphProto,
    prefix: String,
    names: HashSet<String>,
    /// The next number to try for each hint, which keeps naming linear.
    counters: HashMap<String, usize>,
    constants: HashMap<(i32, Vec<i64>, Vec<u8>), String>,
}

impl<'a> Builder<'a> {
    /// A builder whose names start with `prefix`.
    pub fn new(graph: &'a mut GraphProto, prefix: impl Into<String>) -> Self {
        let mut names = HashSet::new();
        collect_names(graph, &mut names);
        Self {
            graph,
            prefix: prefix.into(),
            names,
            counters: HashMap::new(),
            constants: HashMap::new(),
        }
    }

    /// The graph as built so far.
    pub fn graph(&self) -> &GraphProto {
        self.graph
    }

    /// The graph, for edits that the builder has no method for. Names added here must come from
    /// [`Builder::unique`].
    pub fn graph_mut(&mut self) -> &mut GraphProto {
        self.graph
    }

    /// Replaces the prefix for the names that follow.
    pub fn set_prefix(&mut self, prefix: impl Into<String>) {
        self.prefix = prefix.into();
    }

    /// Reserves and returns a name: the prefix and `hint`, followed by a number if that is taken.
    pub fn unique(&mut self, hint: &str) -> String {
        let base = format!("{}{hint}", self.prefix);
        let counter = self.counters.entry(base.clone()).or_insert(0);
        loop {
            let name = if *counter == 0 { base.clone() } else { format!("{base}_{counter}") };
            *counter += 1;
            if self.names.insert(name.clone()) {
                return name;
            }
        }
    }

    /// Appends a node of the standard domain with one output; returns the output's name.
    ///
    /// An empty input name omits an optional input.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.unique(op);
        self.push(op, "", inputs, vec![output.clone()], attributes);
        output
    }

    /// Appends a node of any domain whose output names the caller chose, for example because they
    /// are outputs of the graph. The names are reserved from here on.
    pub fn node_named(
        &mut self,
        op: &str,
        domain: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        self.names.extend(outputs.iter().map(|&name| name.to_owned()));
        let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
        self.push(op, domain, inputs, outputs, attributes);
    }

    fn push(
        &mut self,
        op: &str,
        domain: &str,
        inputs: &[&str],
        output: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        // Node names have their own namespace; the first output's name is unique already.
        let name = output.first().cloned();
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output,
            name,
            op_type: Some(op.to_owned()),
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
            attribute,
            ..NodeProto::default()
        });
    }

    /// A 1-D int64 initializer; equal values share one.
    pub fn constant_i64(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(data_type::INT64, &[values.len() as i64], bytes)
    }

    /// A scalar int64 initializer; equal values share one.
    pub fn constant_i64_scalar(&mut self, value: i64) -> String {
        self.constant(data_type::INT64, &[], value.to_le_bytes().to_vec())
    }

    /// A scalar float initializer; equal bit patterns share one.
    pub fn constant_f32(&mut self, value: f32) -> String {
        self.constant(data_type::FLOAT, &[], value.to_le_bytes().to_vec())
    }

    /// An initializer from little-endian bytes; equal ones share one.
    pub fn constant(&mut self, data_type: i32, dims: &[i64], bytes: Vec<u8>) -> String {
        let key = (data_type, dims.to_vec(), bytes);
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.unique("constant");
        self.graph.initializer.push(TensorProto {
            dims: key.1.clone(),
            data_type: Some(key.0),
            name: Some(name.clone()),
            raw_data: Some(key.2.clone().into()),
            ..TensorProto::default()
        });
        self.constants.insert(key, name.clone());
        name
    }
}

/// Every name that a graph or one of its subgraphs uses for values and nodes.
fn collect_names(graph: &GraphProto, names: &mut HashSet<String>) {
    let infos = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
    names.extend(infos.filter_map(|info| info.name.clone()));
    names.extend(graph.initializer.iter().filter_map(|tensor| tensor.name.clone()));
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    names.extend(sparse.filter_map(|values| values.name.clone()));
    for node in &graph.node {
        names.extend(node.input.iter().chain(&node.output).cloned());
        names.extend(node.name.clone());
        for subgraph in super::index::subgraphs(node) {
            collect_names(subgraph, names);
        }
    }
}
