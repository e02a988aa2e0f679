//! Small models, built for one test.

use std::path::Path;

use polygraft::graph::{GraphProto, Model, ModelProto, OperatorSetIdProto, TensorType};

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
