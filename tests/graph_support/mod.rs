//! Models of a few tensors for the tests of external data.

use std::path::Path;

use polygraft::graph::{
    GraphProto, Model, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    data_type, tensor_proto,
};

/// A tensor without values.
pub fn tensor(name: &str, kind: i32, dims: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(kind),
        dims: dims.to_vec(),
        ..TensorProto::default()
    }
}

/// A float tensor of these values, inline.
pub fn raw(name: &str, values: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let raw_data = Some(bytes.into());
    TensorProto { raw_data, ..tensor(name, data_type::FLOAT, &[values.len() as i64]) }
}

/// A tensor whose values are where `entries` say.
pub fn external(mut tensor: TensorProto, entries: &[(&str, &str)]) -> TensorProto {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    tensor.external_data = entries.iter().map(entry).collect();
    tensor.data_location = Some(tensor_proto::EXTERNAL);
    tensor
}

/// A model of these initializers alone.
pub fn model(folder: &Path, initializer: Vec<TensorProto>) -> Model {
    let graph = GraphProto { initializer, ..GraphProto::default() };
    let proto = ModelProto {
        ir_version: Some(10),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    Model::new(proto, folder).unwrap()
}
