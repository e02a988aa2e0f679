//! Damaged and hostile model files: an error or a model, never a panic, never unbounded memory.

use std::path::{Path, PathBuf};

use polygraft::Code;
use polygraft::graph::{
    Builder, GraphProto, Model, ModelProto, OperatorSetIdProto, Shapes, TensorType, Weights, attr,
    data_type,
};
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(name);
    std::fs::read(path).unwrap()
}

/// Uses whatever the bytes decode to as a caller would; returns whether they decode.
fn exercise(bytes: &[u8]) -> bool {
    let Ok(model) = Model::from_bytes(bytes, Path::new("no such folder")) else { return false };
    let weights = Weights::map(&model).ok();
    let graph = model.graph().unwrap();
    drop(Shapes::infer(graph, model.opset("").unwrap_or(1), weights.as_ref()));
    assert_eq!(Model::from_bytes(&model.to_bytes(), model.folder()).unwrap().proto, model.proto);
    true
}

/// A model of a few nodes, small enough to damage in every way.
fn small() -> Vec<u8> {
    let mut graph = GraphProto {
        input: vec![TensorType::of_dims(data_type::FLOAT, &[2, 6]).to_value_info("x")],
        ..GraphProto::default()
    };
    let mut builder = Builder::new(&mut graph, "n/");
    let sizes = builder.node("Shape", &["x"], vec![]);
    let first = builder.constant_i64(&[0]);
    let batch = builder.node("Gather", &[&sizes, &first], vec![attr::int("axis", 0)]);
    let rest = builder.constant_i64(&[3, -1]);
    let target = builder.node("Concat", &[&batch, &rest], vec![attr::int("axis", 0)]);
    let cut = builder.node("Reshape", &["x", &target], vec![]);
    let swap = vec![attr::ints("perm", &[0, 2, 1])];
    let turned = builder.node("Transpose", &[&cut], swap);
    builder.node("MatMul", &[&cut, &turned], vec![]);
    let proto = ModelProto {
        ir_version: Some(10),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    Model::new(proto, Path::new(".")).unwrap().to_bytes()
}

#[test]
fn no_truncation_panics() {
    let files =
        [(small(), 1), (fixture("graph_shapes.onnx"), 17), (fixture("graph_full_schema.onnx"), 17)];
    for (bytes, step) in files {
        assert!(exercise(&bytes));
        let lengths = (0..bytes.len()).step_by(step);
        let decoded = lengths.filter(|&length| exercise(&bytes[..length])).count();
        // Only a cut between two fields of the outermost message leaves a message behind.
        assert!(decoded < 50, "{decoded} truncations of {} bytes decode", bytes.len());
    }
}

#[test]
fn no_flipped_bit_panics() {
    let bytes = small();
    let mut decoded = 0;
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            decoded += usize::from(exercise(&damaged));
        }
    }
    assert!(decoded > bytes.len(), "too few damaged models got past the decoder");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_overwritten_range_panics(
        start in 0usize..22_000,
        patch in proptest::collection::vec(any::<u8>(), 1..12),
    ) {
        let mut bytes = fixture("graph_shapes.onnx");
        for (byte, patch) in bytes.iter_mut().skip(start).zip(patch) {
            *byte = patch;
        }
        exercise(&bytes);
    }
}

/// A field of a message: key, length, content.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    let error = Model::from_bytes(bytes, Path::new(".")).unwrap_err();
    assert_eq!(error.code(), Code::GraphMalformed);
    error.to_string()
}

/// Two bytes an attribute, hundreds of bytes in memory each: 16 MiB would become gigabytes.
#[test]
fn a_flood_of_empty_messages_is_refused_before_it_is_decoded() {
    let attributes = [5 << 3 | 2, 0].repeat(8 << 20);
    let model = field(7, &field(1, &attributes));
    assert!(refusal(&model).contains("structure"));
    let numbers = field(7, &field(5, &field(7, &vec![0; 200 << 20])));
    assert!(refusal(&numbers).contains("structure"));
}

#[test]
fn graphs_nested_too_deep_are_refused() {
    let mut graph = Vec::new();
    for _ in 0..2000 {
        // Graph inside attribute inside node.
        graph = field(1, &field(5, &field(6, &graph)));
    }
    assert!(refusal(&field(7, &graph)).contains("nested"));
}

#[test]
fn a_length_past_the_end_is_refused() {
    assert!(refusal(&[7 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0x7f]).contains("left"));
    assert!(refusal(&[0xff; 16]).contains("does not end"));
}
