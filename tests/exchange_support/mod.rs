//! The fixtures of adapters of other libraries, and the tiny backbone that they are for.

#![allow(dead_code, reason = "every test file uses its own part")]

use polygraft::adapter::{Adapter, HEAD_BIAS, HEAD_WEIGHT, InputSignature, attach};
use polygraft::exchange::{Backbone, ReadOptions, read};
use polygraft::graph::{Model, Weights};
use polygraft::runtime::{Engine, Session, SessionOptions, Value};
use polygraft::sites::{Site, find_sites};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const HIDDEN: usize = 32;
static INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

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
    file: &'static str,
    input_names: &'static [&'static str],
    sites: Vec<Site>,
    outputs: Vec<u8>,
}

impl Fixture {
    /// The backbone with BERT's names.
    pub fn open() -> Self {
        Self::of("backbone.onnx", &INPUTS)
    }

    /// The one with DistilBERT's.
    pub fn open_distil() -> Self {
        Self::of("distilbert.onnx", &INPUTS[..2])
    }

    fn of(file: &'static str, input_names: &'static [&'static str]) -> Self {
        let (model, weights) = model(file);
        let sites = find_sites(model.graph().unwrap(), &weights);
        let outputs = std::fs::read(fixture_path("outputs.safetensors")).unwrap();
        Self { file, input_names, sites, outputs }
    }

    /// Every site of the backbone.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The backbone as an adapter's fixture has it: AdapterHub's heads read the first token.
    pub fn backbone(&self, name: &str) -> Backbone<'_> {
        let first_token = !name.starts_with("peft-");
        let (sites, unread) = (&self.sites, &[]);
        Backbone {
            hash: HASH,
            reading: None,
            sites,
            hidden: HIDDEN,
            pooled: HIDDEN,
            first_token,
            unread,
        }
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

    /// The inputs of the backbone: name, shape, values.
    pub fn inputs(&self) -> Vec<(&'static str, Vec<usize>, Vec<i64>)> {
        let with_values = |name: &&'static str| {
            let (shape, values) = self.input(name);
            (*name, shape, values)
        };
        self.input_names.iter().map(with_values).collect()
    }

    /// The backbone with the inputs of an adapter.
    pub fn graph(&self, adapter: &Adapter) -> Model {
        let (mut model, _) = model(self.file);
        let signature = InputSignature::of(&adapter.components, &self.sites).unwrap();
        attach(model.graph_mut().unwrap(), &self.sites, &signature, true).unwrap();
        model
    }

    /// The hidden states `[batch, sequence, hidden]` with an adapter on the backbone, or without.
    pub fn hidden(&self, adapter: Option<&Adapter>) -> Vec<f32> {
        let model = adapter.map_or_else(|| model(self.file).0, |adapter| self.graph(adapter));
        let inputs = self.inputs();
        let mut inputs: Vec<(&str, Value)> = inputs
            .into_iter()
            .map(|(name, shape, values)| (name, Value::i64(&shape, values).unwrap()))
            .collect();
        let tensors = adapter.into_iter().flat_map(|adapter| &adapter.tensors);
        for (name, tensor) in tensors {
            if ![HEAD_WEIGHT, HEAD_BIAS].contains(&name.as_str()) {
                let scale = adapter.map_or(1.0, |adapter| adapter.scale_of(name));
                let values = tensor.values.iter().map(|value| value * scale).collect();
                inputs.push((name, Value::f32(&tensor.shape, values).unwrap()));
            }
        }
        let options = SessionOptions { threads: 1, ..SessionOptions::default() };
        let session = Session::open(&engine(), &model.to_bytes(), None, &options).unwrap();
        let inputs: Vec<(&str, &Value)> =
            inputs.iter().map(|(name, value)| (*name, value)).collect();
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

/// A model of the fixtures.
pub fn model(file: &str) -> (Model, Weights) {
    let model = Model::read(&fixture_path(file)).unwrap();
    let weights = Weights::map(&model).unwrap();
    (model, weights)
}

/// `ORT_DYLIB_PATH`, or the library that set-up put into the cache.
pub fn library_path() -> PathBuf {
    let set = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache");
    set.map_or_else(|| cache.join("onnxruntime/libonnxruntime.so"), PathBuf::from)
}

fn engine() -> Arc<Engine> {
    Engine::open(Some(&library_path())).expect("ONNX Runtime; `make setup` brings it")
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

/// A copy of a fixture in a temporary folder, to be spoilt.
pub struct Copy {
    folder: tempfile::TempDir,
    name: String,
}

impl Copy {
    pub fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(fixture_path(name)).unwrap().flatten() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        Self { folder, name: name.to_owned() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The files of the fixture, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path()).unwrap().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.sort();
        files
    }

    /// Changes a JSON file.
    pub fn edit(&self, file: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.path().join(file);
        let mut value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(path, value.to_string()).unwrap();
    }

    /// Changes the tensors of a file: shape and bytes by name.
    pub fn edit_tensors(
        &self,
        file: &str,
        change: impl FnOnce(&mut BTreeMap<String, (Vec<usize>, Vec<u8>)>),
    ) {
        let path = self.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(&bytes)
            .unwrap()
            .iter()
            .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), view.data().to_vec())))
            .collect();
        change(&mut tensors);
        let views = tensors.iter().map(|(name, (shape, data))| {
            (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
        });
        std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    /// Stores the tensors of a file in half precision or bfloat16, cut off towards zero.
    pub fn narrow(&self, file: &str, dtype: Dtype) {
        let path = self.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let cut = |bytes: &[u8; 4]| {
            let bits = u32::from_le_bytes(*bytes);
            if dtype == Dtype::BF16 {
                return ((bits >> 16) as u16).to_le_bytes();
            }
            // The exponent moves by the difference of the biases; below it there is zero.
            let exponent = ((bits >> 23) & 0xff).saturating_sub(112);
            let fraction = if exponent == 0 { 0 } else { (bits >> 13) & 0x3ff };
            ((((bits >> 16) & 0x8000) | (exponent << 10) | fraction) as u16).to_le_bytes()
        };
        let narrow: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
            .iter()
            .map(|(name, view)| {
                let data = view.data().as_chunks().0.iter().flat_map(cut).collect();
                (name.to_owned(), view.shape().to_vec(), data)
            })
            .collect();
        let views = narrow.iter().map(|(name, shape, data)| {
            (name, TensorView::new(dtype, shape.clone(), data).unwrap())
        });
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    pub fn read(&self, fixture: &Fixture) -> polygraft::Result<Adapter> {
        read(self.path(), &fixture.backbone(&self.name), &ReadOptions::default())
    }

    /// The error of reading it, which names the folder.
    pub fn refused(&self, fixture: &Fixture) -> polygraft::Error {
        let error = self.read(fixture).expect_err("the spoilt adapter is refused");
        let folder = self.path().to_str().unwrap();
        assert!(error.to_string().contains(folder), "{error} does not name {folder}");
        error
    }
}
