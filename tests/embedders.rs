//! Vectors of bundles that were made of folders of sentence-transformers, against those that
//! sentence-transformers gives. `tests/oracle/embedders/make.py` wrote the folders and the vectors.

#[path = "support/engine.rs"]
mod engine;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polygraft::bundle::{CreateOptions, Modules, create_tried};
use polygraft::example::Input;
use polygraft::inference::TrialRun;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::store::Store;
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/embedders").join(name)
}

/// The largest difference of two entries of a vector.
const TOLERANCE: f64 = 1e-5;

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn vectors_are_those_of_sentence_transformers() {
    let text = std::fs::read_to_string(fixture("vectors.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let texts = document["texts"].as_array().unwrap();
    let inputs: Vec<Input> = texts.iter().map(|text| text.as_str().unwrap().into()).collect();
    let engine = engine::engine();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
    let vectors = document["vectors"].as_object().unwrap();
    assert_eq!(vectors.len(), 8);
    for (case, expected) in vectors {
        let modules = Modules::read(&fixture(case)).unwrap();
        let options = CreateOptions {
            onnx: fixture("model.onnx"),
            tokenizer: fixture("tokenizer.json"),
            pooling: modules.pooling,
            layers: modules.layers,
            tokens_stated: modules.tokens_max,
            prefix: String::new(),
            tokens_max: None,
            output: None,
            upcast: false,
            out: folder.path().join(case),
            overwrite: false,
        };
        let bundle = create_tried(&options, &TrialRun::new(&engine), &mut |_| {}).unwrap().bundle;
        assert_eq!(bundle.manifest().tokens_max, 24, "{case}");
        let model =
            Model::open(&engine, bundle.folder(), &store, &ModelOptions::default()).unwrap();
        let language = Language::parse("en").unwrap();
        let found = model.embed(&language, None, &inputs, false).unwrap();
        for (text, (found, expected)) in
            texts.iter().zip(found.iter().zip(expected.as_array().unwrap()))
        {
            let expected = expected.as_array().unwrap();
            assert_eq!(found.len(), expected.len(), "{case}");
            for (found, expected) in found.iter().zip(expected) {
                let (found, expected) = (f64::from(*found), expected.as_f64().unwrap());
                let differs = (found - expected).abs() > TOLERANCE;
                assert!(!differs, "{case}: {text}: {found}, expected {expected}");
            }
        }
    }
}
