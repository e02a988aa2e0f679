//! Inlines model-local functions where they are called.
//!
//! A model may define operators of its own as bodies of nodes (`FunctionProto`); older exporters
//! define one for every module. Adapters attach to nodes and gradients pass through nodes, so the
//! bodies have to be part of the graph. A body keeps its meaning there once its inputs, outputs and
//! attributes are those of the call and every other name in it is new.
//!
//! Input: a model as its file states it. Output: the same model without calls. A function that
//! cannot be inlined stays a call, which ONNX Runtime still runs, and the model gives the reason
//! ([`Model::functions_left`]). This module must never change what a graph computes, and never let
//! it grow without bound: memory is charged before anything is copied.

mod plan;

use std::collections::{BTreeMap, HashMap};

use prost::Message;

use super::attr::attribute_of;
use super::index::subgraphs;
use super::model::{FunctionLeft, Model};
use super::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto};
use super::rename::{inner_graphs, rename_values, value_names};
use crate::error::Result;
use plan::{GROWTH_BYTES_MAX, NODE_NAME_BYTES_MAX, Plan};

/// Inlines the functions that the nodes of `model` call, including nodes in subgraphs.
///
/// # Errors
/// [`Code::GraphMalformed`](crate::Code::GraphMalformed) for a model without a graph.
pub fn inline_functions(model: &mut Model) -> Result<()> {
    if model.proto.functions.is_empty() {
        return Ok(());
    }
    let mut graph = model.graph()?.clone();
    let plan = Plan::of(&model.proto);
    let mut writer = Writer::new(&plan, &graph);
    match writer.nodes(std::mem::take(&mut graph.node)) {
        Ok(nodes) => {
            graph.node = nodes;
            let left = writer.left();
            let imports = plan.imports();
            // Functions that a training program calls are not inlined.
            if left.is_empty() && model.proto.training_info.is_empty() {
                model.proto.functions.clear();
            }
            add_imports(model, imports);
            *model.graph_mut()? = graph;
            model.functions_left = left;
        }
        Err(Full) => {
            let reason = format!("inlined, the functions take more than {GROWTH_BYTES_MAX} bytes");
            let left = |function: &FunctionProto| FunctionLeft {
                domain: function.domain().to_owned(),
                name: function.name().to_owned(),
                reason: reason.clone(),
            };
            model.functions_left = model.proto.functions.iter().map(left).collect();
        }
    }
    Ok(())
}

/// Adds operator sets that bodies use and the model does not import.
fn add_imports(model: &mut Model, imports: BTreeMap<String, i64>) {
    for (domain, version) in imports {
        if model.opset(&domain).is_none() {
            let (domain, version) = (Some(domain), Some(version));
            model.proto.opset_import.push(OperatorSetIdProto { domain, version });
        }
    }
}

/// The memory budget is used up.
struct Full;

/// Replaces calls by bodies.
struct Writer<'a> {
    plan: &'a Plan<'a>,
    /// A prefix that no name of the model begins with.
    prefix: String,
    /// The number of inlined calls; makes names unique.
    calls: usize,
    bytes_left: usize,
    /// How often each node name was requested: ONNX Runtime refuses duplicate node names.
    node_names: HashMap<String, usize>,
    left: BTreeMap<(String, String), String>,
}

impl<'a> Writer<'a> {
    fn new(plan: &'a Plan<'a>, graph: &GraphProto) -> Self {
        let names = value_names(graph);
        let mut prefix = "function/".to_owned();
        let is_taken = |prefix: &String| {
            names.range(prefix.clone()..).next().is_some_and(|name| name.starts_with(prefix))
        };
        while is_taken(&prefix) {
            prefix.insert(0, '_');
        }
        let mut node_names = HashMap::new();
        count_node_names(&graph.node, &mut node_names);
        let (bytes_left, left) = (GROWTH_BYTES_MAX, BTreeMap::new());
        Self { plan, prefix, calls: 0, bytes_left, node_names, left }
    }

    /// Names a node of a body. The name begins with that of the call, because names identify
    /// modules, unless it is a whole path by itself. A number makes it unique.
    fn name_node(&mut self, node: &mut NodeProto, call: &NodeProto) {
        let (outer, inner) = (call.name(), node.name());
        let is_path = inner.starts_with('/');
        let is_long = outer.len() + inner.len() >= NODE_NAME_BYTES_MAX;
        let wanted = match (is_path || is_long || outer.is_empty(), inner) {
            (true, "") => return,
            (true, inner) => inner.to_owned(),
            (false, "") => format!("{outer}/{}", node.op_type()),
            (false, inner) => format!("{outer}/{inner}"),
        };
        let mut name = wanted.clone();
        while self.node_names.contains_key(&name) {
            let count = self.node_names.entry(wanted.clone()).or_insert(0);
            *count += 1;
            name = format!("{wanted}_{count}");
        }
        self.node_names.insert(name.clone(), 0);
        node.name = Some(name);
    }

    fn left(&self) -> Vec<FunctionLeft> {
        let entry = |((domain, name), reason): (&(String, String), &String)| FunctionLeft {
            domain: domain.clone(),
            name: name.clone(),
            reason: reason.clone(),
        };
        self.left.iter().map(entry).collect()
    }

    fn charge(&mut self, bytes: usize) -> std::result::Result<(), Full> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Full)?;
        Ok(())
    }

    /// The nodes, with calls replaced by bodies recursively.
    fn nodes(&mut self, nodes: Vec<NodeProto>) -> std::result::Result<Vec<NodeProto>, Full> {
        let mut written = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            for inner in inner_graphs(&mut node) {
                inner.node = self.nodes(std::mem::take(&mut inner.node))?;
            }
            match self.plan.function(&node) {
                None => written.push(node),
                Some(Ok(function)) => {
                    let body = self.body(function, &node)?;
                    written.extend(self.nodes(body)?);
                }
                Some(Err(reason)) => {
                    let key = (node.domain().to_owned(), node.op_type().to_owned());
                    self.left.insert(key, reason);
                    written.push(node);
                }
            }
        }
        Ok(written)
    }

    /// The body of `function` as it replaces `call`.
    fn body(
        &mut self,
        function: &FunctionProto,
        call: &NodeProto,
    ) -> std::result::Result<Vec<NodeProto>, Full> {
        self.charge(self.plan.size_bytes(call))?;
        self.calls += 1;
        let Names { by_formal, copies } = Names::of(function, call);
        let start = format!("{}{}/", self.prefix, self.calls);
        let mut body = GraphProto { node: function.node.clone(), ..GraphProto::default() };
        rename_values(&mut body, &|name| match by_formal.get(name) {
            Some(actual) => actual.clone(),
            None => format!("{start}{name}"),
        });
        self.give_attributes(&mut body.node, function, call)?;
        body.node.extend(copies.into_iter().map(|(from, to)| NodeProto {
            op_type: Some("Identity".to_owned()),
            input: vec![from],
            output: vec![to],
            ..NodeProto::default()
        }));
        for node in &mut body.node {
            self.name_node(node, call);
        }
        Ok(body.node)
    }

    /// Replaces references to attributes by the values of the call, or else by the function's
    /// defaults. An attribute whose reference has no value is removed. Values themselves are not
    /// searched for references: they belong to the caller.
    fn give_attributes(
        &mut self,
        nodes: &mut [NodeProto],
        function: &FunctionProto,
        call: &NodeProto,
    ) -> std::result::Result<(), Full> {
        for node in nodes {
            for inner in inner_graphs(node) {
                self.give_attributes(&mut inner.node, function, call)?;
            }
            let mut resolved = Vec::with_capacity(node.attribute.len());
            for attribute in std::mem::take(&mut node.attribute) {
                let wanted = attribute.ref_attr_name();
                if wanted.is_empty() {
                    resolved.push(attribute);
                    continue;
                }
                let default = || function.attribute_proto.iter().find(|own| own.name() == wanted);
                let Some(value) = attribute_of(call, wanted).or_else(default) else { continue };
                // Numbers take at most four times their encoded size in memory.
                self.charge(value.encoded_len().saturating_mul(4))?;
                let name = attribute.name;
                resolved.push(AttributeProto { name, ref_attr_name: None, ..value.clone() });
            }
            node.attribute = resolved;
        }
        Ok(())
    }
}

/// The names that the inputs and outputs of a function have at a call.
struct Names<'a> {
    by_formal: HashMap<&'a str, String>,
    /// Outputs whose value already has another name, with that name.
    copies: Vec<(String, String)>,
}

impl<'a> Names<'a> {
    fn of(function: &'a FunctionProto, call: &NodeProto) -> Self {
        let mut by_formal = HashMap::<&str, String>::new();
        for (position, formal) in function.input.iter().enumerate() {
            // An omitted input has no name, so it is omitted where the body uses it, too.
            by_formal.insert(formal, call.input.get(position).cloned().unwrap_or_default());
        }
        let mut copies = Vec::new();
        for (formal, actual) in function.output.iter().zip(&call.output) {
            match by_formal.get(formal.as_str()) {
                _ if actual.is_empty() => {}
                Some(known) => copies.push((known.clone(), actual.clone())),
                None => drop(by_formal.insert(formal, actual.clone())),
            }
        }
        Self { by_formal, copies }
    }
}

/// Counts the names of all nodes, including those in subgraphs.
fn count_node_names(nodes: &[NodeProto], names: &mut HashMap<String, usize>) {
    for node in nodes {
        names.insert(node.name().to_owned(), 0);
        for inner in subgraphs(node) {
            count_node_names(&inner.node, names);
        }
    }
}
