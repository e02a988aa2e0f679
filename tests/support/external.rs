//! Initializers whose data lies in a file of its own.

use polygraft::graph::{StringStringEntryProto, TensorProto, data_type, tensor_proto};

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
