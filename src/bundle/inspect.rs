//! Summarises a model, as data for people and tools.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::error::Result;
use crate::graph::{
    Dim, GraphProto, Location, Model, ModelProto, NodeProto, TensorProto, TensorType,
    ValueInfoProto, Weights, data_type, tensor_proto,
};

/// A summary of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The ONNX IR version.
    pub ir_version: i64,
    /// The tool that wrote the model.
    pub producer: String,
    /// Operator sets by domain; the standard one is `ai.onnx`.
    pub opsets: BTreeMap<String, i64>,
    /// Named values of the author.
    pub metadata: BTreeMap<String, String>,
    /// The inputs of the graph, without initializers.
    pub inputs: Vec<TypedValue>,
    /// The outputs of the graph.
    pub outputs: Vec<TypedValue>,
    /// The number of nodes of each operator, including those in subgraphs; the names of operators
    /// outside the standard domain include their domain.
    pub operators: BTreeMap<String, usize>,
    /// All initializers of the main graph.
    pub weights: Count,
    /// The initializers inside the model file.
    pub inline: Count,
    /// The initializers in files of external data.
    pub external: Count,
    /// All initializers by element type.
    pub types: BTreeMap<String, Count>,
}

/// A typed value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypedValue {
    /// Its name.
    pub name: String,
    /// Its element type, such as `float`.
    pub data_type: String,
    /// Its dimensions: numbers, symbols, or `?`; absent when the rank is unknown.
    pub shape: Option<Vec<String>>,
}

/// A number of tensors and their total size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The number of tensors.
    pub count: usize,
    /// Their total size in bytes.
    pub size_bytes: u64,
}

impl Count {
    fn add(&mut self, size_bytes: usize) {
        self.count += 1;
        self.size_bytes += size_bytes as u64;
    }
}

/// Summarises a model and its mapped weights.
pub fn inspect(model: &Model, weights: &Weights) -> Result<Inspection> {
    let graph = model.graph()?;
    let proto = &model.proto;
    let mut operators = BTreeMap::new();
    visit_nodes(proto, &mut |node| {
        let name = match node.domain() {
            "" | "ai.onnx" => node.op_type().to_owned(),
            domain => format!("{domain}.{}", node.op_type()),
        };
        *operators.entry(name).or_default() += 1;
    });
    let mut inspection = Inspection {
        ir_version: proto.ir_version(),
        producer: format!("{} {}", proto.producer_name(), proto.producer_version()).trim().into(),
        opsets: proto
            .opset_import
            .iter()
            .map(|set| (domain(set.domain()), set.version()))
            .collect(),
        metadata: proto
            .metadata_props
            .iter()
            .map(|entry| (entry.key().to_owned(), entry.value().to_owned()))
            .collect(),
        inputs: values(&graph.input, |name| weights.get(name).is_none()),
        outputs: values(&graph.output, |_| true),
        operators,
        weights: Count::default(),
        inline: Count::default(),
        external: Count::default(),
        types: BTreeMap::new(),
    };
    for weight in weights.iter() {
        let size_bytes = weight.bytes.len();
        inspection.weights.add(size_bytes);
        match weight.location {
            Location::Inline => inspection.inline.add(size_bytes),
            Location::External { .. } => inspection.external.add(size_bytes),
        }
        let name = data_type::name(weight.data_type).to_owned();
        inspection.types.entry(name).or_default().add(size_bytes);
    }
    Ok(inspection)
}

fn domain(domain: &str) -> String {
    if domain.is_empty() { "ai.onnx".to_owned() } else { domain.to_owned() }
}

fn values(infos: &[ValueInfoProto], wanted: impl Fn(&str) -> bool) -> Vec<TypedValue> {
    let value = |info: &ValueInfoProto| {
        let found = info.r#type.as_ref().and_then(TensorType::from_proto);
        let dim = |dim: &Dim| match dim {
            Dim::Known(size) => size.to_string(),
            Dim::Symbol(symbol) => symbol.clone(),
            Dim::Unknown => "?".to_owned(),
        };
        TypedValue {
            name: info.name().to_owned(),
            data_type: found
                .as_ref()
                .map_or("no tensor", |found| data_type::name(found.data_type))
                .to_owned(),
            shape: found.and_then(|found| Some(found.shape?.iter().map(dim).collect())),
        }
    };
    infos.iter().filter(|info| wanted(info.name())).map(value).collect()
}

/// Every file that any tensor of the model names as its external data.
pub(super) fn external_locations(model: &ModelProto) -> BTreeSet<&str> {
    let mut locations = BTreeSet::new();
    visit_tensors(model, &mut |tensor| {
        if tensor.data_location() == tensor_proto::EXTERNAL {
            let stated = tensor.external_data.iter().filter(|entry| entry.key() == "location");
            locations.extend(stated.map(|entry| entry.value()));
        }
    });
    locations
}

/// The graphs of a model that are not inside nodes.
fn graphs(model: &ModelProto) -> impl Iterator<Item = &GraphProto> {
    let training = model.training_info.iter();
    model.graph.iter().chain(
        training.flat_map(|training| training.initialization.iter().chain(&training.algorithm)),
    )
}

/// Visits all nodes, including those in subgraphs and model-local functions.
fn visit_nodes<'a>(model: &'a ModelProto, visit: &mut dyn FnMut(&'a NodeProto)) {
    let roots = graphs(model).flat_map(|graph| &graph.node);
    let mut open: Vec<&NodeProto> =
        roots.chain(model.functions.iter().flat_map(|function| &function.node)).collect();
    while let Some(node) = open.pop() {
        visit(node);
        for attribute in &node.attribute {
            let subgraphs = attribute.g.iter().map(|graph| &**graph).chain(&attribute.graphs);
            open.extend(subgraphs.flat_map(|graph| &graph.node));
        }
    }
}

/// Visits all tensors: initializers and attributes, wherever they are.
fn visit_tensors<'a>(model: &'a ModelProto, visit: &mut dyn FnMut(&'a TensorProto)) {
    let mut initializers = |graph: &'a GraphProto| {
        graph.initializer.iter().for_each(&mut *visit);
        for sparse in &graph.sparse_initializer {
            sparse.values.iter().chain(&sparse.indices).for_each(&mut *visit);
        }
    };
    graphs(model).for_each(&mut initializers);
    let mut attributes = Vec::new();
    visit_nodes(model, &mut |node| attributes.extend(&node.attribute));
    attributes.extend(model.functions.iter().flat_map(|function| &function.attribute_proto));
    for attribute in &attributes {
        attribute
            .g
            .iter()
            .map(|graph| &**graph)
            .chain(&attribute.graphs)
            .for_each(&mut initializers);
    }
    for attribute in attributes {
        attribute.t.iter().map(|tensor| &**tensor).chain(&attribute.tensors).for_each(&mut *visit);
        let sparse = attribute.sparse_tensor.iter().map(|sparse| &**sparse);
        for sparse in sparse.chain(&attribute.sparse_tensors) {
            sparse.values.iter().chain(&sparse.indices).for_each(&mut *visit);
        }
    }
}
