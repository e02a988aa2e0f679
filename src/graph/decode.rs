//! Measures the structure of a model before it is decoded, so that decoding stays within memory.
//!
//! A message of two bytes decodes to a struct of hundreds of bytes, so a small hostile file could
//! ask for hundreds of times its size. The scan walks the wire format, allocates nothing, and adds
//! up the sizes of the structs, the number lists and the entries that later passes keep for each
//! node and value. It judges size only; wrong values and unknown fields are left to the decoder.

use super::proto::{
    AttributeProto, FunctionProto, GraphProto, NodeDeviceConfigurationProto, NodeProto,
    ShardingSpecProto, SparseTensorProto, StringStringEntryProto, TensorProto, TrainingInfoProto,
    TypeProto, ValueInfoProto, tensor_shape_proto::Dimension,
};
use crate::error::{Code, Error, Result};

/// The most memory the structs and number lists of a model may take, in bytes. Weights in
/// `raw_data` do not count. A graph of half a million nodes takes less.
pub const STRUCTURE_SIZE_BYTES_MAX: usize = 1 << 30;

/// Memory per node, tensor and value beside its struct: index entries, its shape, its position in
/// the order. Four million nodes of two bytes each took 2.8 GB.
const ENTRY_SIZE_BYTES: usize = 768;

/// Memory per name in a list beside its struct: an index entry and a shape.
const NAME_SIZE_BYTES: usize = 128;

/// Messages nested deeper than this are refused, as the decoder refuses them.
const DEPTH_MAX: usize = 100;

/// Checks that decoding `bytes` as a model stays within [`STRUCTURE_SIZE_BYTES_MAX`].
pub(crate) fn check_decoded_size(bytes: &[u8]) -> Result<()> {
    Scan { size_bytes: 0 }.message(bytes, Kind::Model, 0)
}

/// The memory that a decoded function takes, in bytes: structs, number lists, strings and values.
pub(super) fn function_size_bytes(encoded: &[u8]) -> Result<usize> {
    let mut scan = Scan { size_bytes: 0 };
    scan.message(encoded, Kind::Function, 0)?;
    Ok(scan.size_bytes.saturating_add(encoded.len()))
}

/// The messages whose fields matter for the size; all others are small.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    ValueInfo,
    Type,
    /// `TypeProto`'s variants: their shape or inner type.
    TypeVariant(u32),
    Shape,
    /// Messages of a few strings and numbers.
    Leaf,
    /// Annotations and device messages: lists of small messages, counted by their length.
    Lists,
}

/// What a length-delimited field holds.
enum Field {
    Message(Kind, usize),
    /// An element of a list of strings.
    Text,
    /// Numbers packed as varints, which may take one byte each.
    Varints,
    /// Bytes that decode to about their own size.
    Bytes,
}

fn field(kind: Kind, tag: u32) -> Field {
    use Field::{Bytes, Message, Text, Varints};
    let sparse = Message(Kind::Sparse, size_of::<SparseTensorProto>());
    let tensor = Message(Kind::Tensor, size_of::<TensorProto>() + ENTRY_SIZE_BYTES);
    let graph = Message(Kind::Graph, size_of::<GraphProto>());
    let node = Message(Kind::Node, size_of::<NodeProto>() + ENTRY_SIZE_BYTES);
    let attribute = Message(Kind::Attribute, size_of::<AttributeProto>());
    let r#type = Message(Kind::Type, size_of::<TypeProto>());
    let value_info = Message(Kind::ValueInfo, size_of::<ValueInfoProto>() + ENTRY_SIZE_BYTES);
    let leaf = Message(Kind::Leaf, size_of::<StringStringEntryProto>());
    let lists = Message(Kind::Lists, size_of::<NodeDeviceConfigurationProto>());
    match (kind, tag) {
        (Kind::Model, 7) | (Kind::Training, 1 | 2) => graph,
        (Kind::Model, 20) => Message(Kind::Training, size_of::<TrainingInfoProto>()),
        (Kind::Model, 25) => Message(Kind::Function, size_of::<FunctionProto>()),
        (Kind::Model, 8 | 14) | (Kind::Training, 3 | 4) => leaf,
        (Kind::Model, 26) | (Kind::Graph, 14) | (Kind::Node, 10) => lists,
        (Kind::Function, 7) | (Kind::Graph, 1) => node,
        (Kind::Function, 11) | (Kind::Node, 5) => attribute,
        (Kind::Function, 12) | (Kind::Graph, 11..=13) => value_info,
        (Kind::Function, 4..=6) | (Kind::Node, 1 | 2) => Text,
        (Kind::Function, 9 | 14) | (Kind::Graph, 16) | (Kind::Node, 9) => leaf,
        (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => tensor,
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => sparse,
        (Kind::Attribute, 6 | 11) => graph,
        (Kind::Attribute, 14 | 15) | (Kind::ValueInfo, 2) => r#type,
        (Kind::Attribute, 9) | (Kind::Tensor, 6) => Text,
        (Kind::Attribute, 8) | (Kind::Tensor, 1 | 5 | 7 | 11) | (Kind::Sparse, 3) => Varints,
        (Kind::Tensor, 3 | 13 | 16) | (Kind::ValueInfo, 4) => leaf,
        (Kind::Type, 1 | 4 | 5 | 7 | 8 | 9) => {
            Message(Kind::TypeVariant(tag), size_of::<TypeProto>())
        }
        (Kind::TypeVariant(1 | 8), 2) => Message(Kind::Shape, 0),
        (Kind::TypeVariant(4 | 9), 1) | (Kind::TypeVariant(5), 2) => r#type,
        (Kind::Shape, 1) => Message(Kind::Leaf, size_of::<Dimension>()),
        _ => Bytes,
    }
}

struct Scan {
    size_bytes: usize,
}

impl Scan {
    fn message(&mut self, mut bytes: &[u8], kind: Kind, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(malformed(format!("messages are nested deeper than {DEPTH_MAX}")));
        }
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let tag = u32::try_from(key >> 3).map_err(|_| malformed("a field number too large"))?;
            match key & 7 {
                0 => {
                    varint(&mut bytes)?;
                    self.add(size_of::<u64>())?;
                }
                1 => drop(take(&mut bytes, 8)?),
                5 => drop(take(&mut bytes, 4)?),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?);
                    let length = length.map_err(|_| malformed("a length too large"))?;
                    let content = take(&mut bytes, length)?;
                    self.content(content, field(kind, tag), depth)?;
                }
                wire => return Err(malformed(format!("wire type {wire} is not used by ONNX"))),
            }
        }
        Ok(())
    }

    fn content(&mut self, content: &[u8], field: Field, depth: usize) -> Result<()> {
        match field {
            Field::Message(Kind::Leaf, size_bytes) => self.add(size_bytes),
            Field::Message(Kind::Lists, size_bytes) => {
                // An element takes at least two bytes; `ShardingSpecProto` is the largest struct of
                // these lists.
                let elements = (content.len() / 2).saturating_mul(size_of::<ShardingSpecProto>());
                self.add(size_bytes.saturating_add(elements))
            }
            Field::Message(kind, size_bytes) => {
                self.add(size_bytes)?;
                self.message(content, kind, depth + 1)
            }
            Field::Text => self.add(size_of::<String>() + NAME_SIZE_BYTES),
            Field::Varints => self.add(content.len().saturating_mul(size_of::<u64>())),
            Field::Bytes => Ok(()),
        }
    }

    fn add(&mut self, size_bytes: usize) -> Result<()> {
        self.size_bytes = self.size_bytes.saturating_add(size_bytes);
        if self.size_bytes > STRUCTURE_SIZE_BYTES_MAX {
            let message = format!(
                "the structure of the model takes more than {STRUCTURE_SIZE_BYTES_MAX} bytes"
            );
            return Err(Error::new(Code::GraphMalformed, message));
        }
        Ok(())
    }
}

fn malformed(what: impl std::fmt::Display) -> Error {
    Error::new(Code::GraphMalformed, format!("not an ONNX model: {what}"))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let Some((head, tail)) = bytes.split_at_checked(length) else {
        let left = bytes.len();
        return Err(malformed(format!("a field of {length} bytes where {left} are left")));
    };
    *bytes = tail;
    Ok(head)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for (position, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            *bytes = &bytes[position + 1..];
            return Ok(value);
        }
    }
    Err(malformed("a number that does not end"))
}
