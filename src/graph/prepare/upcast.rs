//! Makes graphs of 16-bit floats compute in float32.
//!
//! Every 16-bit weight is upcast where a node reads it, and nodes that produced 16-bit floats
//! produce float32. Scalars and short vectors are upcast here. Lookups of rows run before the
//! upcast, so that an embedding table stays small. Results differ from those of 16-bit arithmetic
//! only by its rounding.

use std::collections::{HashMap, HashSet};

use crate::graph::attr;
use crate::graph::proto::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, tensor_proto,
    type_proto,
};
use crate::graph::types::data_type;
use crate::graph::weights::inline_bytes;

/// Attributes that name an element type.
const TYPE_ATTRIBUTES: &[&str] = &["to", "dtype", "output_dtype", "stash_type"];

pub(super) fn upcast(graph: &mut GraphProto) {
    let mut names = Names { narrow: HashSet::new(), taken: HashSet::new() };
    names.collect(graph);
    upcast_graph(graph, &mut names);
}

/// The value names of a graph and of all its subgraphs.
struct Names {
    /// Values that stay 16-bit floats.
    narrow: HashSet<String>,
    taken: HashSet<String>,
}

impl Names {
    fn collect(&mut self, graph: &GraphProto) {
        self.taken.extend(graph.input.iter().map(|info| info.name().to_owned()));
        self.taken.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
        for node in &graph.node {
            self.taken.extend(node.output.iter().cloned());
            for inner in subgraphs(node) {
                self.collect(inner);
            }
        }
    }

    fn unique(&mut self, value: &str) -> String {
        let mut name = format!("{value}/float32");
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

fn upcast_graph(graph: &mut GraphProto, names: &mut Names) {
    let narrow = graph.initializer.iter().filter(|tensor| is_narrow(tensor.data_type()));
    names.narrow.extend(narrow.map(|tensor| tensor.name().to_owned()));
    let inputs = graph.input.iter().filter(|info| is_narrow(element_type(info)));
    let inputs: HashSet<String> = inputs.map(|info| info.name().to_owned()).collect();
    let mut wide = upcast_vectors(graph, &inputs, names);
    names.narrow.extend(inputs);
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        if keeps_narrow(&node, names) {
            names.narrow.extend(node.output.iter().cloned());
        } else {
            if node.op_type() != "Cast" {
                for input in &mut node.input {
                    if names.narrow.contains(input) {
                        *input = upcast_value(input, &mut wide, names, &mut nodes);
                    }
                }
            }
            for attribute in &mut node.attribute {
                upcast_attribute(attribute, names, &mut wide, &mut nodes);
            }
        }
        nodes.push(node);
    }
    graph.node = nodes;
    for info in graph.value_info.iter_mut().chain(&mut graph.output) {
        if !names.narrow.contains(info.name()) {
            upcast_info(info);
        }
    }
}

/// Adds float32 forms of the inline scalars and vectors and returns their names. Patterns of
/// constants then match as in a float32 graph.
fn upcast_vectors(
    graph: &mut GraphProto,
    inputs: &HashSet<String>,
    names: &mut Names,
) -> HashMap<String, String> {
    let mut wide = HashMap::new();
    let mut added = Vec::new();
    for tensor in &graph.initializer {
        let is_inside = tensor.data_location() != tensor_proto::EXTERNAL;
        let is_vector = tensor.dims.len() <= 1 && is_narrow(tensor.data_type());
        if is_vector && is_inside && !inputs.contains(tensor.name()) {
            let mut vector = tensor.clone();
            upcast_constant(&mut vector);
            if vector.data_type() == data_type::FLOAT {
                let name = names.unique(tensor.name());
                wide.insert(tensor.name().to_owned(), name.clone());
                vector.name = Some(name);
                added.push(vector);
            }
        }
    }
    graph.initializer.extend(added);
    wide
}

/// Whether the node only moves rows of a 16-bit value, so that its output may stay 16-bit.
fn keeps_narrow(node: &NodeProto, names: &Names) -> bool {
    let first = node.input.first().is_some_and(|name| names.narrow.contains(name));
    first && node.op_type() == "Gather" && matches!(node.domain(), "" | "ai.onnx")
}

/// The float32 form of a 16-bit value; the first request adds the cast.
fn upcast_value(
    value: &str,
    wide: &mut HashMap<String, String>,
    names: &mut Names,
    nodes: &mut Vec<NodeProto>,
) -> String {
    if let Some(name) = wide.get(value) {
        return name.clone();
    }
    let name = names.unique(value);
    nodes.push(NodeProto {
        name: Some(name.clone()),
        op_type: Some("Cast".to_owned()),
        input: vec![value.to_owned()],
        output: vec![name.clone()],
        attribute: vec![attr::int("to", data_type::FLOAT.into())],
        ..NodeProto::default()
    });
    wide.insert(value.to_owned(), name.clone());
    name
}

fn upcast_attribute(
    attribute: &mut AttributeProto,
    names: &mut Names,
    wide: &mut HashMap<String, String>,
    nodes: &mut Vec<NodeProto>,
) {
    let names_type = TYPE_ATTRIBUTES.contains(&attribute.name());
    if names_type && i32::try_from(attribute.i()).is_ok_and(is_narrow) {
        attribute.i = Some(data_type::FLOAT.into());
    }
    for tensor in attribute.t.iter_mut().map(|tensor| &mut **tensor).chain(&mut attribute.tensors) {
        upcast_constant(tensor);
    }
    for inner in attribute.g.iter_mut().map(|graph| &mut **graph).chain(&mut attribute.graphs) {
        for name in captured(inner) {
            if names.narrow.contains(&name) {
                let wide_name = upcast_value(&name, wide, names, nodes);
                rename(inner, &name, &wide_name);
            }
        }
        upcast_graph(inner, names);
    }
}

/// Constants in nodes are small enough to be converted; one that cannot be read stays.
fn upcast_constant(tensor: &mut TensorProto) {
    if !is_narrow(tensor.data_type()) {
        return;
    }
    let Ok(bytes) = inline_bytes(tensor) else { return };
    let raw = upcast_bytes(tensor.data_type(), &bytes);
    tensor.int32_data.clear();
    tensor.raw_data = Some(raw.into());
    tensor.data_type = Some(data_type::FLOAT);
}

/// Little-endian 16-bit floats as little-endian float32.
pub(super) fn upcast_bytes(kind: i32, bytes: &[u8]) -> Vec<u8> {
    let (numbers, _) = bytes.as_chunks::<2>();
    let to_float = if kind == data_type::FLOAT16 { f16 } else { bf16 };
    let numbers = numbers.iter().map(|number| to_float(u16::from_le_bytes(*number)));
    numbers.flat_map(f32::to_le_bytes).collect()
}

/// A bfloat16 value, the upper half of a float32.
pub(crate) fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// An IEEE 754 binary16 value as binary32, exact.
pub(crate) fn f16(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

pub(super) fn is_narrow(kind: i32) -> bool {
    matches!(kind, data_type::FLOAT16 | data_type::BFLOAT16)
}

fn element_type(info: &ValueInfoProto) -> i32 {
    match info.r#type.as_ref().and_then(|r#type| r#type.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.elem_type(),
        _ => data_type::UNDEFINED,
    }
}

fn upcast_info(info: &mut ValueInfoProto) {
    if let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) =
        &mut info.r#type
        && is_narrow(tensor.elem_type())
    {
        tensor.elem_type = Some(data_type::FLOAT);
    }
}

fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    crate::graph::index::subgraphs(node)
}

/// The values of outer graphs that a graph captures.
fn captured(graph: &GraphProto) -> Vec<String> {
    crate::graph::index::captured_values(graph).into_iter().map(str::to_owned).collect()
}

/// Replaces a captured value in a graph and its subgraphs.
fn rename(graph: &mut GraphProto, from: &str, to: &str) {
    for node in &mut graph.node {
        for input in node.input.iter_mut().filter(|input| *input == from) {
            to.clone_into(input);
        }
        for attribute in &mut node.attribute {
            let inner = attribute.g.iter_mut().map(|graph| &mut **graph);
            for inner in inner.chain(&mut attribute.graphs) {
                if captured(inner).iter().any(|name| name == from) {
                    rename(inner, from, to);
                }
            }
        }
    }
    for output in graph.output.iter_mut().filter(|output| output.name() == from) {
        output.name = Some(to.to_owned());
    }
}
