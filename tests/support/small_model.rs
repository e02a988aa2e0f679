//! Small models, built for one test.

use std::path::Path;

use polygraft::graph::{
    GraphProto, Model, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorType, data_type, tensor_proto,
};

/// A model around a graph, in the standard operators of set 17.
pub fn model(graph: GraphProto, folder: &Path) -> Model {
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    let proto = ModelProto {
        ir_version: Some(9),
        opset_import: vec![opset],
        graph: Some(GraphProto { name: Some("test".to_owned()), ..graph }),
        ..ModelProto::default()
    };
    Model::new(proto, folder).unwrap()
}

/// A graph with inputs and outputs of these element types, of any shape.
pub fn graph(inputs: &[(&str, i32)], outputs: &[(&str, i32)]) -> GraphProto {
    let info = |&(name, element): &(&str, i32)| TensorType::unranked(element).to_value_info(name);
    GraphProto {
        input: inputs.iter().map(info).collect(),
        output: outputs.iter().map(info).collect(),
        ..GraphProto::default()
    }
}

/// A float initializer that lies in an external file.
pub fn external(name: &str, dims: &[i64], file: &str, offset: usize) -> TensorProto {
    let length = dims.iter().product::<i64>() * 4;
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value),
    };
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type::FLOAT),
        dims: dims.to_vec(),
        data_location: Some(tensor_proto::EXTERNAL),
        external_data: vec![
            entry("location", file.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ],
        ..TensorProto::default()
    }
}
