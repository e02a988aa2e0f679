//! Encoders in the operators that Optimum and onnx-community publish quantised embedders in: they
//! give the vectors that NumPy computes from the same weights, gradients pass all of them, and they
//! learn. `tests/oracle/embedders/blocks.py` wrote the encoders and the vectors.

#[path = "support/engine.rs"]
mod engine;

use polygraft::bundle::{CreateOptions, Pooling, create_tried};
use polygraft::example::{Example, Input};
use polygraft::gradients::{self, CheckOptions, Gradients, Verdict, read_adapter};
use polygraft::graph::{self, Weights};
use polygraft::inference::TrialRun;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions};
use polygraft::runtime::{SessionOptions, Value};
use polygraft::sites::find_sites;
use polygraft::store::Store;
use polygraft::update::UpdateOptions;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FORMS: [&str; 2] = ["q4", "int8"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/embedders").join(name)
}

fn encoder(form: &str) -> PathBuf {
    fixture(&format!("blocks/{form}.onnx"))
}

/// The encoder as a model with an empty store.
fn open(form: &str, folder: &Path) -> Model {
    let engine = engine::engine();
    let options = CreateOptions {
        onnx: encoder(form),
        tokenizer: fixture("tokenizer.json"),
        pooling: Pooling::Mean,
        layers: Vec::new(),
        tokens_stated: None,
        prefix: String::new(),
        tokens_max: Some(24),
        output: None,
        upcast: false,
        out: folder.join(form),
        overwrite: false,
    };
    let made = create_tried(&options, &TrialRun::new(&engine), &mut |_| {}).unwrap();
    let store = Arc::new(Store::open(&folder.join("store")).unwrap());
    Model::open(&engine, made.bundle.folder(), &store, &ModelOptions::default()).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn vectors_are_those_of_the_dequantised_weights() {
    let text = std::fs::read_to_string(fixture("blocks/vectors.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let texts = document["texts"].as_array().unwrap();
    let inputs: Vec<Input> = texts.iter().map(|text| text.as_str().unwrap().into()).collect();
    let english = Language::parse("en").unwrap();
    for form in FORMS {
        let folder = tempfile::tempdir().unwrap();
        // All texts in one run, so that the shorter ones are padded.
        let found = open(form, folder.path()).embed(&english, None, &inputs, false).unwrap();
        let expected = document["vectors"][form].as_array().unwrap();
        assert_eq!((found.len(), found.len()), (expected.len(), 3));
        for (found, expected) in found.iter().zip(expected) {
            let expected = expected.as_array().unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let difference = (f64::from(*found) - expected.as_f64().unwrap()).abs();
                assert!(difference < 1e-5, "{form}: {found}, expected {expected}");
            }
        }
    }
}

/// Random factors of rank 2 at every linear layer, as a file of tensors.
fn low_rank(sites: &[polygraft::sites::Site]) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(11);
    let mut tensors = BTreeMap::new();
    for site in sites {
        for (name, shape) in [("lora_A", [site.inputs, 2]), ("lora_B", [2, site.outputs])] {
            let values: Vec<u8> =
                (0..shape[0] * shape[1]).flat_map(|_| (random.f32() - 0.5).to_le_bytes()).collect();
            tensors.insert(format!("{}.{name}", site.module), (shape.to_vec(), values));
        }
    }
    let views = tensors.iter().map(|(name, (shape, values))| {
        (name, TensorView::new(Dtype::F32, shape.clone(), values).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn gradients_are_those_of_differences() {
    for form in FORMS {
        let model = graph::Model::read(&encoder(form)).unwrap();
        let weights = Weights::map(&model).unwrap();
        let sites = find_sites(model.graph().unwrap(), &weights);
        assert_eq!(sites.len(), 6);
        let adapter = read_adapter(&low_rank(&sites), &sites).unwrap();
        let options = SessionOptions { threads: 1, ..SessionOptions::default() };
        let output = "last_hidden_state";
        let graph =
            Gradients::open(&engine::engine(), &model, &weights, &adapter, output, &options)
                .unwrap();
        let ids = [2, 4, 5, 7, 8, 3, 2, 6, 12, 13, 14, 3].to_vec();
        let inputs = BTreeMap::from([
            ("input_ids".to_owned(), Value::i64(&[2, 6], ids).unwrap()),
            ("attention_mask".to_owned(), Value::i64(&[2, 6], vec![1; 12]).unwrap()),
        ]);
        let mut random = fastrand::Rng::with_seed(12);
        let cotangent = (0..2 * 6 * 32).map(|_| random.f32() - 0.5).collect();
        let cotangent = Value::f32(&[2, 6, 32], cotangent).unwrap();
        let found = graph.run(&adapter.tensors, &inputs, &cotangent).unwrap();
        let checking = CheckOptions { entries_max: 3, seed: 7 };
        let checked =
            gradients::check(&graph, &adapter.tensors, &inputs, &cotangent, &found, &checking)
                .unwrap();
        assert_eq!(checked.len(), 12);
        for one in checked {
            assert_eq!(one.verdict, Verdict::Agrees, "{form}: {one:?}");
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn such_an_encoder_learns() {
    let folder = tempfile::tempdir().unwrap();
    let model = open("q4", folder.path());
    let english = Language::parse("en").unwrap();
    let mut options = UpdateOptions { new_labels: true, ..UpdateOptions::default() };
    options.gate.enabled = false;
    options.optimizer.learning_rate = 0.01; // for an encoder that is tiny
    options.rehearsal.held_out_percent = 0;
    let mut update = model.begin_update("light", options).unwrap();
    let texts =
        [("turn on the light", "on"), ("on", "on"), ("turn off the light", "off"), ("off", "off")];
    for (text, label) in texts {
        update.add(Example::labelled(english.clone(), text, label)).unwrap();
    }
    update.run(&mut |_| ControlFlow::Continue(())).unwrap();
    update.commit().unwrap();
    for (text, label) in texts {
        let found = model.predict("light", &english, text, &PredictOptions::default()).unwrap();
        assert_eq!(found.output.labels().unwrap()[0].label, label, "{text}");
    }
}
