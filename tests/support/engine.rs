//! The pinned ONNX Runtime, opened for a test.

use std::path::PathBuf;
use std::sync::Arc;

use polygraft::runtime::Engine;

/// `ORT_DYLIB_PATH`, or the library that set-up put into the cache.
pub fn library_path() -> PathBuf {
    match std::env::var_os("ORT_DYLIB_PATH") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/onnxruntime/libonnxruntime.so"),
    }
}

pub fn engine() -> Arc<Engine> {
    Engine::open(Some(&library_path())).expect("ONNX Runtime; `make setup` brings it")
}
