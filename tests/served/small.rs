//! Bundles of one lookup, and adapters that are heads alone: small enough to make one for each
//! question.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polygraft::adapter::{
    Adapter, HEAD_BIAS, HEAD_WEIGHT, NumberScale, TAGS_BIAS, TAGS_WEIGHT, Tensor,
};
use polygraft::bundle::{Bundle, CreateOptions, Pooling, create};
use polygraft::example::TaskKind;
use polygraft::graph::{
    Dim, GraphProto, Model as Graph, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorType, data_type,
};
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::store::{NewVersion, Store};
use serde_json::{Value, json};

use crate::support;

pub const HIDDEN: usize = 8;
const PIECES: usize = 64;
/// Rows of the table beyond those of the tokenizer, so that the file of weights is not small.
const ROWS: usize = 40_000;
pub const TASK: &str = "task";

/// What stands in the table at the rows of the pieces z, y, x and w, of z and y that begin a word,
/// and of the begin of other words.
const ODD_ROWS: [(usize, f32); 7] = [
    (62, f32::NAN),
    (61, f32::INFINITY),
    (60, 1.0e30),
    (59, 0.0),
    (3, f32::NAN),
    (4, f32::INFINITY),
    (2, 0.0),
];

/// An encoder that looks each token up and has one layer that changes nothing, where adapters
/// attach: `states`, and twice as much in `others`.
fn model() -> ModelProto {
    let symbol = |name: &str| Dim::Symbol(name.to_owned());
    let ids = TensorType::new(data_type::INT64, vec![symbol("batch"), symbol("sequence")]);
    let hidden = Dim::Known(HIDDEN as i64);
    let states =
        TensorType::new(data_type::FLOAT, vec![symbol("batch"), symbol("sequence"), hidden]);
    let node = |operator: &str, inputs: [&str; 2], output: &str| NodeProto {
        op_type: Some(operator.to_owned()),
        name: Some(format!("make_{output}")),
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    };
    let mut table: Vec<f32> =
        (0..ROWS * HIDDEN).map(|index| ((index * 7) as f32 * 0.37).sin()).collect();
    for (row, value) in ODD_ROWS {
        table[row * HIDDEN..(row + 1) * HIDDEN].fill(value);
    }
    let identity = (0..HIDDEN * HIDDEN).map(|at| f32::from(u8::from(at % (HIDDEN + 1) == 0)));
    let matrix = |name: &str, rows: usize, values: Vec<f32>| TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type::FLOAT),
        dims: vec![rows as i64, HIDDEN as i64],
        float_data: values,
        ..TensorProto::default()
    };
    let graph = GraphProto {
        name: Some("small".to_owned()),
        node: vec![
            node("Gather", ["words", "input_ids"], "word"),
            node("MatMul", ["word", "encoder.query.weight"], "states"),
            node("Add", ["states", "states"], "others"),
        ],
        initializer: vec![
            matrix("words", ROWS, table),
            matrix("encoder.query.weight", HIDDEN, identity.collect()),
        ],
        input: vec![ids.to_value_info("input_ids"), ids.to_value_info("attention_mask")],
        output: vec![states.to_value_info("states"), states.to_value_info("others")],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { version: Some(17), ..Default::default() }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// A Unigram of single characters, but for z and y that begin a word; piece 37 is the letter a.
pub fn tokenizer() -> Value {
    let mut vocabulary = vec![json!(["<unk>", 0.0]), json!(["<pad>", 0.0]), json!(["▁", -2.0])];
    vocabulary.extend([json!(["▁z", -1.0]), json!(["▁y", -1.0])]);
    let letter = |id: usize| char::from(60 + id as u8).to_string();
    vocabulary.extend((5..PIECES).map(|id| json!([letter(id), -3.0])));
    json!({
        "version": "1.0", "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": false}
    })
}

/// Writes the model and a tokenizer to `folder`; options for the bundle `name` of them.
pub fn options(folder: &Path, name: &str, tokenizer: &Value) -> CreateOptions {
    let (onnx, json) = (folder.join("model.onnx"), folder.join(format!("{name}.json")));
    fs::write(&onnx, Graph::new(model(), folder).unwrap().to_bytes()).unwrap();
    fs::write(&json, tokenizer.to_string()).unwrap();
    CreateOptions {
        onnx,
        tokenizer: json,
        pooling: Pooling::Mean,
        layers: Vec::new(),
        tokens_stated: None,
        prefix: String::new(),
        tokens_max: Some(32),
        output: None,
        upcast: false,
        out: folder.join(name),
        overwrite: false,
    }
}

/// The bundle of the options above, unchanged.
pub fn bundle(folder: &Path) -> Bundle {
    create(&options(folder, "bundle", &tokenizer()), &mut |_| {}).unwrap()
}

pub fn english() -> Language {
    Language::parse("en").unwrap()
}

/// A head without an adapter below it, trained with `bundle` as far as it says.
pub fn head(bundle: &Bundle, kind: TaskKind) -> Adapter {
    let tensor = |shape: &[usize]| {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|index: usize| 0.1 * (index as f32).cos()).collect();
        Tensor { shape: shape.to_vec(), values: values.into() }
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let (labels, tags): (Vec<String>, Vec<String>) = match kind {
        TaskKind::Regression => (names(&["value"]), Vec::new()),
        TaskKind::TokenClassification => (Vec::new(), names(&["O", "B-a", "I-a"])),
        TaskKind::IntentAndSlots => (names(&["on", "off"]), names(&["O", "B-a", "I-a"])),
        _ => (names(&["on", "off"]), Vec::new()),
    };
    let mut tensors = BTreeMap::new();
    for (weight, bias, count) in
        [(HEAD_WEIGHT, HEAD_BIAS, labels.len()), (TAGS_WEIGHT, TAGS_BIAS, tags.len())]
    {
        if count > 0 {
            tensors.insert(weight.to_owned(), tensor(&[HIDDEN, count]));
            tensors.insert(bias.to_owned(), tensor(&[count]));
        }
    }
    let scale = (kind == TaskKind::Regression)
        .then_some(NumberScale { mean: 1.0, standard_deviation: 2.0 });
    let bare = Adapter::headless(bundle.backbone_hash().to_owned(), Vec::new(), tensors);
    let reading = Some(bundle.reading().clone());
    Adapter { reading, labels, tags, task: kind, scale, ..bare }
}

/// A store in `folder` whose version 1 for English is this adapter.
pub fn store(folder: &Path, adapter: &Adapter) -> Arc<Store> {
    let store = Store::open(folder).unwrap();
    let candidate = NewVersion {
        language: english(),
        bytes: adapter.to_bytes().unwrap().into(),
        activate: true,
        evidence: Value::Null,
    };
    store.publish(TASK, &[candidate]).unwrap();
    Arc::new(store)
}

/// The model of a bundle with a store.
pub fn open(bundle: &Path, store: &Arc<Store>) -> polygraft::Result<Model> {
    Model::open(&support::engine(), bundle, store, &ModelOptions::default())
}

/// The JSON of a bundle's manifest, changed and sealed again as `docs/formats.md` says, or left
/// with the seal that it had.
pub fn edit_manifest(bundle: &Path, seal: bool, edit: impl FnOnce(&mut Value)) {
    let path: PathBuf = bundle.join("manifest.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut value);
    if seal {
        value.as_object_mut().unwrap().remove("blake3");
        value["blake3"] = json!(blake3::hash(value.to_string().as_bytes()).to_hex().to_string());
    }
    fs::write(&path, value.to_string()).unwrap();
}
