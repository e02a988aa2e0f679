//! The fixtures of adapters of other libraries, and the tiny backbone that they are for.

#![allow(dead_code, reason = "every test file uses its own part")]

use polygraft::adapter::formats::{Backbone, ReadOptions, read};
use polygraft::adapter::{Adapter, HEAD_BIAS, HEAD_WEIGHT, Layout, Site, attach, find_sites};
use polygraft::graph::{Model, Weights};
use polygraft::runtime::{Runtime, Session, SessionOptions, Value};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const HIDDEN: usize = 32;
const INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

/// The folders of the fixtures.
pub fn adapters() -> [&'static str; 10] {
    [
        "peft-lora-head",
        "peft-rslora-regex",
        "peft-lora-layers",
        "peft-ia3-head",
        "hub-seq-bn",
        "hub-double-seq-bn",
        "hub-par-bn",
        "hub-seq-bn-gelu",
        "hub-lora",
        "hub-ia3",
    ]
}

pub fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters").join(name)
}

/// The tiny backbone, and what the other libraries computed with it.
pub struct Fixture {
    sites: Vec<Site>,
    outputs: Vec<u8>,
}

impl Fixture {
    pub fn open() -> Self {
        let (model, weights) = model();
        let sites = find_sites(model.graph().unwrap(), &weights);
        let outputs = std::fs::read(fixture_path("outputs.safetensors")).unwrap();
        Self { sites, outputs }
    }

    /// The backbone as an adapter's fixture has it: AdapterHub's heads read the first token.
    pub fn backbone(&self, name: &str) -> Backbone<'_> {
        let first_token = name.starts_with("hub-");
        Backbone { hash: HASH, sites: &self.sites, hidden: HIDDEN, first_token }
    }

    pub fn read(&self, name: &str) -> Adapter {
        read(&fixture_path(name), &self.backbone(name), &ReadOptions::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A tensor of the oracle, as float32.
    pub fn expected(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.outputs).unwrap();
        let view = file.tensor(name).unwrap();
        view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    fn input(&self, name: &str) -> (Vec<usize>, Vec<i64>) {
        let file = SafeTensors::deserialize(&self.outputs).unwrap();
        let view = file.tensor(&format!("input.{name}")).unwrap();
        let values = view.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
        (view.shape().to_vec(), values.collect())
    }

    /// The hidden states `[batch, sequence, hidden]` with an adapter on the backbone, or without.
    pub fn hidden(&self, adapter: Option<&Adapter>) -> Vec<f32> {
        let (mut model, _) = model();
        let mut inputs: Vec<(String, Value)> = INPUTS
            .iter()
            .map(|name| {
                let (shape, values) = self.input(name);
                ((*name).to_owned(), Value::i64(&shape, values).unwrap())
            })
            .collect();
        if let Some(adapter) = adapter {
            let layout = Layout::of(&adapter.parts, &self.sites).unwrap();
            attach(model.graph_mut().unwrap(), &self.sites, &layout, true).unwrap();
            for (name, tensor) in &adapter.tensors {
                if [HEAD_WEIGHT, HEAD_BIAS].contains(&name.as_str()) {
                    continue;
                }
                let scale = adapter.scale_of(name);
                let values = tensor.values.iter().map(|value| value * scale).collect();
                inputs.push((name.clone(), Value::f32(&tensor.shape, values).unwrap()));
            }
        }
        let options = SessionOptions { threads: 1, ..SessionOptions::default() };
        let session = Session::open(&runtime(), &model.to_bytes(), None, &options).unwrap();
        let inputs: Vec<(&str, &Value)> =
            inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let output = session.run(&inputs, &["last_hidden_state"], None).unwrap().remove(0);
        output.as_f32().unwrap().to_vec()
    }

    /// The head's outputs, counted by hand: over the mean of the tokens of the mask, or over the
    /// first token.
    pub fn logits(&self, adapter: &Adapter, hidden: &[f32], first_token: bool) -> Vec<f32> {
        let (shape, mask) = self.input("attention_mask");
        let (weight, bias) = (&adapter.tensors[HEAD_WEIGHT], &adapter.tensors[HEAD_BIAS]);
        let labels = bias.values.len();
        let mut logits = Vec::new();
        for (states, mask) in hidden.chunks(shape[1] * HIDDEN).zip(mask.chunks(shape[1])) {
            let kept = if first_token { 1 } else { mask.iter().sum::<i64>() as usize };
            let pooled = (0..HIDDEN).map(|channel| {
                let column = states.chunks(HIDDEN).take(kept).map(|state| state[channel]);
                column.sum::<f32>() / kept as f32
            });
            let pooled: Vec<f32> = pooled.collect();
            for label in 0..labels {
                let column = weight.values.iter().skip(label).step_by(labels);
                let products = pooled.iter().zip(column).map(|(state, weight)| state * weight);
                logits.push(bias.values[label] + products.sum::<f32>());
            }
        }
        logits
    }
}

fn model() -> (Model, Weights) {
    let model = Model::read(&fixture_path("backbone.onnx")).unwrap();
    let weights = Weights::map(&model).unwrap();
    (model, weights)
}

fn runtime() -> Arc<Runtime> {
    let set = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache");
    let path = set.map_or_else(|| cache.join("onnxruntime/libonnxruntime.so"), PathBuf::from);
    Runtime::open(Some(&path)).expect("ONNX Runtime; `make setup` brings it")
}

/// Every tensor of the safetensors files of a folder, as shape and bytes.
pub fn tensors_of(folder: &Path) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "safetensors") {
            let bytes = std::fs::read(entry.path()).unwrap();
            for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
                found.insert(name.to_owned(), (view.shape().to_vec(), view.data().to_vec()));
            }
        }
    }
    found
}

/// Panics with the largest difference when one is over the tolerance.
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    let largest = differences.fold(0.0, f32::max);
    assert!(largest <= tolerance, "{what}: a difference of {largest}");
}
