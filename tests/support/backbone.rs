//! The reference backbone, read and mapped for a test.

use std::path::PathBuf;

use polygraft::graph::{Model, Weights};

/// The model, its bytes and its mapped weights.
pub fn backbone() -> (Vec<u8>, Weights) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(".cache/backbone/e5-small/model.onnx");
    let model = Model::read(&path).expect("the reference backbone; `make setup` brings it");
    let weights = Weights::map(&model).expect("weights beside the reference backbone");
    (model.to_bytes(), weights)
}
