//! Damaged and hostile model files: an error or a model, never a panic, never unbounded memory.

use std::path::{Path, PathBuf};

use polygraft::Code;
use polygraft::graph::{Model, Shapes, Weights};
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

#[test]
fn no_truncation_panics() {
    for name in ["graph_shapes.onnx", "graph_full_schema.onnx"] {
        let bytes = fixture(name);
        assert!(exercise(&bytes));
        let decoded = (0..bytes.len()).filter(|&length| exercise(&bytes[..length])).count();
        // Only a cut between two fields of the outermost message leaves a message behind.
        assert!(decoded < 200, "{name}: {decoded} truncations decode");
    }
}

#[test]
fn no_flipped_bit_panics() {
    let bytes = fixture("graph_shapes.onnx");
    let mut decoded = 0;
    for position in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << (position % 8);
        decoded += usize::from(exercise(&damaged));
    }
    assert!(decoded > 0, "no damaged model got past the decoder, so nothing else was tried");
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
