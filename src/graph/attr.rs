//! Attributes of nodes: a constructor and a reader for each kind.
//!
//! A reader returns `None` when the attribute is absent or of another kind, so a caller can apply
//! the operator's default.

use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_type};

fn attribute(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(r#type),
        ..AttributeProto::default()
    }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, attribute_type::INT) }
}

/// A list of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, attribute_type::INTS) }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, attribute_type::FLOAT) }
}

/// A list of floats.
pub fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { floats: values.to_vec(), ..attribute(name, attribute_type::FLOATS) }
}

/// A string attribute.
pub fn string(name: &str, value: &str) -> AttributeProto {
    let s = Some(value.as_bytes().to_vec());
    AttributeProto { s, ..attribute(name, attribute_type::STRING) }
}

/// A tensor attribute.
pub fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(Box::new(value)), ..attribute(name, attribute_type::TENSOR) }
}

/// A graph attribute.
pub fn graph(name: &str, value: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(Box::new(value)), ..attribute(name, attribute_type::GRAPH) }
}

/// The attribute of that name.
pub fn attribute_of<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name() == name)
}

/// The attribute of that name, if it is of that type.
fn typed<'a>(node: &'a NodeProto, name: &str, r#type: i32) -> Option<&'a AttributeProto> {
    attribute_of(node, name).filter(|attribute| attribute.r#type() == r#type)
}

/// The integer attribute of that name.
pub fn attribute_int(node: &NodeProto, name: &str) -> Option<i64> {
    // Writers leave a zero out of the message, so an absent value of the right type is zero.
    typed(node, name, attribute_type::INT).map(|attribute| attribute.i())
}

/// The integers of that name.
pub fn attribute_ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    typed(node, name, attribute_type::INTS).map(|attribute| attribute.ints.as_slice())
}

/// The float attribute of that name.
pub fn attribute_float(node: &NodeProto, name: &str) -> Option<f32> {
    typed(node, name, attribute_type::FLOAT).map(|attribute| attribute.f())
}

/// The string attribute of that name; `None` also when it is not UTF-8.
pub fn attribute_string<'a>(node: &'a NodeProto, name: &str) -> Option<&'a str> {
    let attribute = typed(node, name, attribute_type::STRING)?;
    std::str::from_utf8(attribute.s()).ok()
}

/// The tensor attribute of that name.
pub fn attribute_tensor<'a>(node: &'a NodeProto, name: &str) -> Option<&'a TensorProto> {
    typed(node, name, attribute_type::TENSOR)?.t.as_deref()
}
