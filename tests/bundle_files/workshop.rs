//! Small sources of bundles, in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};

use polygraft::Error;
use polygraft::bundle::{Bundle, CreateOptions, MANIFEST_FILE, Pooling, Verify, create};
use polygraft::graph::{
    Dim, GraphProto, Model, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorType,
    data_type,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const HIDDEN: usize = 32;
pub const EMBEDDINGS: usize = 64;
pub const POSITIONS: usize = 48;

/// An encoder of two lookups and a sum, with inline weights.
pub fn small_model() -> ModelProto {
    let symbol = |name: &str| Dim::Symbol(name.to_owned());
    let ids = TensorType::new(data_type::INT64, vec![symbol("batch"), symbol("sequence")]);
    let node = |operator: &str, inputs: &[&str], output: &str| NodeProto {
        op_type: Some(operator.to_owned()),
        name: Some(format!("make_{output}")),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    };
    let table = |name: &str, rows: usize| TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type::FLOAT),
        dims: vec![rows as i64, HIDDEN as i64],
        float_data: (0..rows * HIDDEN).map(|value| value as f32 * 0.25).collect(),
        ..TensorProto::default()
    };
    let positions = TensorProto {
        name: Some("position_ids".to_owned()),
        data_type: Some(data_type::INT64),
        dims: vec![3],
        int64_data: vec![0, 1, 2],
        ..TensorProto::default()
    };
    let hidden = Dim::Known(HIDDEN as i64);
    let output =
        TensorType::new(data_type::FLOAT, vec![symbol("batch"), symbol("sequence"), hidden]);
    let graph = GraphProto {
        name: Some("small".to_owned()),
        node: vec![
            node("Gather", &["words", "input_ids"], "word"),
            node("Gather", &["positions", "position_ids"], "position"),
            node("Add", &["word", "position"], "states"),
        ],
        initializer: vec![table("words", EMBEDDINGS), table("positions", POSITIONS), positions],
        input: vec![ids.to_value_info("input_ids"), ids.to_value_info("attention_mask")],
        output: vec![output.to_value_info("states")],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { version: Some(17), ..Default::default() }],
        producer_name: Some("test".to_owned()),
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// A Unigram of `pieces` pieces.
pub fn small_tokenizer(pieces: usize) -> Value {
    let mut vocabulary = vec![json!(["<unk>", 0.0]), json!(["<pad>", 0.0]), json!(["▁", -2.0])];
    vocabulary
        .extend((3..pieces).map(|id| json!([format!("{}", char::from(60 + id as u8)), -3.0])));
    json!({
        "version": "1.0", "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": false}
    })
}

/// A folder with a model and a tokenizer.
pub struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        workshop.write_model(&small_model());
        fs::write(workshop.path("tokenizer.json"), small_tokenizer(EMBEDDINGS).to_string())
            .unwrap();
        workshop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write_model(&self, proto: &ModelProto) {
        let model = Model::new(proto.clone(), self.folder.path()).unwrap();
        fs::write(self.path("model.onnx"), model.to_bytes()).unwrap();
    }

    pub fn options(&self) -> CreateOptions {
        CreateOptions {
            onnx: self.path("model.onnx"),
            tokenizer: self.path("tokenizer.json"),
            pooling: Pooling::Mean,
            layers: Vec::new(),
            tokens_stated: None,
            prefix: "query: ".to_owned(),
            tokens_max: None,
            output: None,
            upcast: false,
            out: self.path("bundle"),
            overwrite: false,
        }
    }

    pub fn create(&self) -> polygraft::Result<Bundle> {
        create(&self.options(), &mut |_| {})
    }

    pub fn open(&self, verify: Verify) -> polygraft::Result<Bundle> {
        Bundle::open(&self.path("bundle"), verify)
    }

    pub fn error(&self, verify: Verify) -> Error {
        self.open(verify).unwrap_err()
    }

    /// Changes the manifest as a hostile author would, keeping it JSON and making it agree with
    /// its own hash.
    pub fn edit_manifest(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.path("bundle").join(MANIFEST_FILE);
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut value);
        value.as_object_mut().unwrap().remove("blake3");
        let hash = blake3::hash(value.to_string().as_bytes()).to_hex().to_string();
        value["blake3"] = json!(hash);
        fs::write(&path, value.to_string()).unwrap();
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub fn flip_byte(path: &Path, position: u64) {
    let mut bytes = fs::read(path).unwrap();
    let position = usize::try_from(position).unwrap() % bytes.len();
    bytes[position] ^= 0x10;
    fs::write(path, bytes).unwrap();
}
