//! Writing models with external data: weights move, nothing else changes.

mod graph_support;

use std::path::Path;

use graph_support::{external, model, raw, tensor};
use polygraft::Code;
use polygraft::graph::{
    ALIGNMENT_BYTES, Builder, GraphProto, INLINE_SIZE_BYTES_MAX, Location, Model,
    SparseTensorProto, TensorProto, Weights, attr, data_type, inline_bytes, tensor_proto,
    write_with_external_data,
};
use proptest::prelude::*;

/// A model with every place a tensor can be in, external and inline, large and small.
fn scattered(folder: &Path) -> Model {
    let data: Vec<u8> = (0..40_000u32).map(|position| (position % 251) as u8).collect();
    std::fs::write(folder.join("old.data"), data).unwrap();
    let outside = |name: &str, elements: i64, offset: &str| {
        let place = [("location", "old.data"), ("offset", offset), ("checksum", "stale")];
        external(tensor(name, data_type::FLOAT, &[elements]), &place)
    };
    let inner = vec![raw("inner_large", &[4.0; 400]), outside("inner_old", 3, "1")];
    let branch = GraphProto { initializer: inner, ..GraphProto::default() };
    let typed = TensorProto {
        int64_data: (0..300).collect(),
        ..tensor("typed_large", data_type::INT64, &[300])
    };
    let text =
        TensorProto { string_data: vec![vec![0; 5000]], ..tensor("text", data_type::STRING, &[1]) };
    let mut model = model(
        folder,
        vec![
            raw("small", &[1.0; 8]),
            raw("large", &[2.0; 3000]),
            outside("old_small", 2, "7"),
            typed,
            text,
            outside("old_large", 5000, "16"),
        ],
    );
    let sparse_values = outside("sparse", 2, "100");
    let graph = model.graph_mut().unwrap();
    graph.sparse_initializer =
        vec![SparseTensorProto { values: Some(sparse_values), dims: vec![9], indices: None }];
    let mut builder = Builder::new(graph, "");
    builder.node("Constant", &[], vec![attr::tensor("value", outside("", 4, "200"))]);
    builder.node("Constant", &[], vec![attr::tensor("value", raw("", &[6.0; 700]))]);
    builder.node("If", &["flag"], vec![attr::graph("then_branch", branch)]);
    builder.node_named("Mystery", "com.example", &["old_large"], &["out"], vec![]);
    model
}

/// The tensors of a scattered model, in the order of writing, with their values.
fn tensors(model: &Model) -> Vec<(TensorProto, Vec<u8>)> {
    let graph = model.graph().unwrap();
    let branch = graph.node[2].attribute[0].g.as_ref().unwrap();
    let constants = graph.node[..2].iter().map(|node| node.attribute[0].t.as_deref().unwrap());
    let sparse = graph.sparse_initializer[0].values.as_ref();
    let all = graph.initializer.iter().chain(sparse).chain(constants).chain(&branch.initializer);
    all.map(|tensor| (tensor.clone(), values(model, tensor))).collect()
}

/// Reads a tensor's values without the code under test where they are external.
fn values(model: &Model, tensor: &TensorProto) -> Vec<u8> {
    if tensor.data_location() != tensor_proto::EXTERNAL {
        let text = tensor.data_type() == data_type::STRING;
        return if text {
            tensor.string_data.concat()
        } else {
            inline_bytes(tensor).unwrap().into()
        };
    }
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key() == key).unwrap();
    let data = std::fs::read(model.folder().join(entry("location").value())).unwrap();
    let offset: usize = entry("offset").value().parse().unwrap();
    let size = data_type::tensor_size_bytes(tensor.data_type(), &tensor.dims).unwrap();
    data[offset..offset + size].to_vec()
}

#[test]
fn writing_moves_weights_and_nothing_else() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = scattered(from.path());
    let weights = Weights::map(&source).unwrap();
    write_with_external_data(&source, &weights, to.path(), "model.onnx", "model.data").unwrap();
    let mut written = Model::read(&to.path().join("model.onnx")).unwrap();
    let (before, after) = (tensors(&source), tensors(&written));
    assert_eq!(before.len(), after.len());
    let mut end = 0;
    for ((old, old_bytes), (new, new_bytes)) in before.iter().zip(&after) {
        let name = old.name();
        assert!(old_bytes == new_bytes, "{name:?} changed its values");
        let was_external = old.data_location() == tensor_proto::EXTERNAL;
        let initializer = !name.is_empty() && old.data_type() != data_type::STRING;
        let moved = was_external || (initializer && old_bytes.len() > INLINE_SIZE_BYTES_MAX);
        assert_eq!(new.data_location() == tensor_proto::EXTERNAL, moved, "{name:?}");
        if moved {
            let keys: Vec<&str> = new.external_data.iter().map(|entry| entry.key()).collect();
            assert_eq!(keys, ["location", "offset", "length"]);
            let offset: u64 = new.external_data[1].value().parse().unwrap();
            assert_eq!(offset % ALIGNMENT_BYTES, 0);
            assert!(offset >= end, "{name:?} is out of order");
            end = offset + new_bytes.len() as u64;
        } else {
            assert_eq!(old, new);
        }
    }
    assert_eq!(std::fs::metadata(to.path().join("model.data")).unwrap().len(), end);
    // With the tensors put back, the message is the one that was written.
    restore(&mut written, &before);
    assert_eq!(written.proto, source.proto);
}

fn restore(model: &mut Model, tensors: &[(TensorProto, Vec<u8>)]) {
    let mut tensors = tensors.iter().map(|(tensor, _)| tensor.clone());
    let graph = model.graph_mut().unwrap();
    for tensor in &mut graph.initializer {
        *tensor = tensors.next().unwrap();
    }
    graph.sparse_initializer[0].values = tensors.next();
    for node in &mut graph.node[..2] {
        node.attribute[0].t = tensors.next().map(Box::new);
    }
    let branch = graph.node[2].attribute[0].g.as_mut().unwrap();
    branch.initializer = tensors.collect();
}

#[test]
fn writing_twice_gives_the_same_bytes() {
    let from = tempfile::tempdir().unwrap();
    let source = scattered(from.path());
    let weights = Weights::map(&source).unwrap();
    let write = || {
        let to = tempfile::tempdir().unwrap();
        write_with_external_data(&source, &weights, to.path(), "m", "d").unwrap();
        ["m", "d"].map(|name| std::fs::read(to.path().join(name)).unwrap())
    };
    assert!(write() == write());
}

#[test]
fn what_would_destroy_the_source_is_refused() {
    let from = tempfile::tempdir().unwrap();
    let source = scattered(from.path());
    let weights = Weights::map(&source).unwrap();
    let to = tempfile::tempdir().unwrap();
    let write = |folder: &Path, graph: &str, data: &str| {
        write_with_external_data(&source, &weights, folder, graph, data).unwrap_err()
    };
    let names = [("../m", "d"), ("m", "/d"), ("m", "a/d"), ("", "d"), ("m", ".."), ("m", "m")];
    for (graph, data) in names {
        assert_eq!(write(to.path(), graph, data).code(), Code::ArgumentInvalid, "{graph} {data}");
    }
    let before = std::fs::read(from.path().join("old.data")).unwrap();
    assert_eq!(write(from.path(), "m.onnx", "old.data").code(), Code::ArgumentInvalid);
    assert!(std::fs::read(from.path().join("old.data")).unwrap() == before);
    let nowhere = to.path().join("nowhere");
    assert_eq!(write(&nowhere, "m", "d").code(), Code::NotFound);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_weights_survive_writing(sizes in proptest::collection::vec(0usize..3000, 0..8)) {
        let to = tempfile::tempdir().unwrap();
        let made = |(position, &size): (usize, &usize)| {
            raw(&format!("w{position}"), &vec![position as f32 + 0.25; size])
        };
        let initializers: Vec<TensorProto> = sizes.iter().enumerate().map(made).collect();
        let source = model(Path::new("."), initializers);
        let weights = Weights::map(&source).unwrap();
        write_with_external_data(&source, &weights, to.path(), "m.onnx", "m.data").unwrap();
        let written = Model::read(&to.path().join("m.onnx")).unwrap();
        let found = Weights::map(&written).unwrap();
        prop_assert_eq!(found.len(), sizes.len());
        for (old, new) in weights.iter().zip(found.iter()) {
            prop_assert_eq!((old.name, old.dims, old.bytes), (new.name, new.dims, new.bytes));
            let moved = old.bytes.len() > INLINE_SIZE_BYTES_MAX;
            prop_assert_eq!(matches!(new.location, Location::External { .. }), moved);
        }
    }
}
