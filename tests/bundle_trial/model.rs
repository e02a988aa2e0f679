//! A small encoder that runs, and the ways in which exports of it go wrong.

use std::fs;
use std::path::{Path, PathBuf};

use polygraft::Result;
use polygraft::bundle::{Bundle, CreateOptions, Created, Pooling, create, create_tried};
use polygraft::graph::{
    AttributeProto, Dim, GraphProto, Model, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorType, ValueInfoProto, attr, data_type,
};
use polygraft::inference::TrialRun;
use serde_json::json;
use tempfile::TempDir;

use crate::engine::engine;

pub const HIDDEN: usize = 8;
pub const WORDS: usize = 40;
pub const POSITIONS: usize = 24;

/// A node of one output.
pub fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(operator.to_owned()),
        name: Some(format!("/make/{output}")),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// A node with attributes.
pub fn node_with(
    operator: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto { attribute, ..node(operator, inputs, output) }
}

/// Numbers between -0.5 and 0.5 that depend on the name.
pub fn floats(name: &str, dims: &[usize]) -> TensorProto {
    let seed = name.bytes().map(usize::from).sum::<usize>();
    let count = dims.iter().product::<usize>();
    let value = |index: usize| ((index * 37 + seed * 11) % 101) as f32 / 101.0 - 0.5;
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type::FLOAT),
        dims: dims.iter().map(|&extent| extent as i64).collect(),
        float_data: (0..count).map(value).collect(),
        ..TensorProto::default()
    }
}

/// Whole numbers; one alone is a scalar.
pub fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type::INT64),
        dims: if values.len() == 1 { vec![] } else { vec![values.len() as i64] },
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A value of named or fixed extents.
pub fn value(name: &str, element: i32, dims: &[&str]) -> ValueInfoProto {
    let dim = |dim: &&str| match dim.parse() {
        Ok(size) => Dim::Known(size),
        Err(_) => Dim::Symbol((*dim).to_owned()),
    };
    TensorType::new(element, dims.iter().map(dim).collect()).to_value_info(name)
}

/// Words and positions, and two linear layers on their sum: `states = sum + tanh(query + value)`.
/// Positions are looked up with `places`, which counts from 0.
pub fn encoder() -> GraphProto {
    let node_of = |module: &str| NodeProto {
        name: Some(format!("/layer/{module}/MatMul")),
        ..node("MatMul", &["sum", &format!("layer.{module}.weight")], module)
    };
    let width = HIDDEN.to_string();
    GraphProto {
        name: Some("encoder".to_owned()),
        node: vec![
            node("Shape", &["input_ids"], "shape"),
            node("Gather", &["shape", "one"], "length"),
            node("Range", &["zero", "length", "one"], "places"),
            node("Gather", &["positions", "places"], "position"),
            node("Gather", &["words", "input_ids"], "word"),
            node("Add", &["word", "position"], "sum"),
            node_of("query"),
            node_of("value"),
            node("Add", &["query", "value"], "both"),
            node("Tanh", &["both"], "bent"),
            node("Add", &["sum", "bent"], "states"),
        ],
        initializer: vec![
            floats("words", &[WORDS, HIDDEN]),
            floats("positions", &[POSITIONS, HIDDEN]),
            floats("layer.query.weight", &[HIDDEN, HIDDEN]),
            floats("layer.value.weight", &[HIDDEN, HIDDEN]),
            integers("zero", &[0]),
            integers("one", &[1]),
        ],
        input: vec![
            value("input_ids", data_type::INT64, &["batch", "sequence"]),
            value("attention_mask", data_type::INT64, &["batch", "sequence"]),
        ],
        output: vec![value("states", data_type::FLOAT, &["batch", "sequence", &width])],
        ..GraphProto::default()
    }
}

/// Puts `nodes` in the place of the one that makes `value`.
pub fn replace(graph: &mut GraphProto, value: &str, nodes: Vec<NodeProto>) {
    let at = graph.node.iter().position(|node| node.output[0] == value).expect("a node");
    graph.node.splice(at..=at, nodes);
}

/// Makes the products quantise their activation on the way, as `quantize_dynamic` writes it.
pub fn quantise(graph: &mut GraphProto) {
    let bytes = |name: &str, data_type: i32, values: Vec<u8>, dims: Vec<i64>| TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type),
        dims,
        raw_data: Some(values.into()),
        ..TensorProto::default()
    };
    for module in ["query", "value"] {
        let name = |part: &str| format!("layer.{module}.{part}");
        let dims = vec![HIDDEN as i64; 2];
        let codes = (0..HIDDEN * HIDDEN).map(|index| (index * 29 % 251) as u8).collect();
        graph.initializer.push(bytes(&name("weight_quantized"), data_type::UINT8, codes, dims));
        graph.initializer.push(bytes(&name("weight_zero"), data_type::UINT8, vec![128], vec![]));
        let mut scale = floats(&name("weight_scale"), &[]);
        scale.float_data = vec![0.004];
        graph.initializer.push(scale);
        let mut quantizer = node("DynamicQuantizeLinear", &["sum"], &name("codes"));
        quantizer.output.extend([name("scale"), name("zero")]);
        let inputs = [name("codes"), name("weight_quantized"), name("zero"), name("weight_zero")];
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let to_float = vec![attr::int("to", data_type::FLOAT.into())];
        let product = vec![
            quantizer,
            node("MatMulInteger", &inputs, &name("sums")),
            node_with("Cast", &[&name("sums")], &name("cast"), to_float),
            node("Mul", &[&name("scale"), &name("weight_scale")], &name("scales")),
            node("Mul", &[&name("cast"), &name("scales")], module),
        ];
        replace(graph, module, product);
    }
}

/// A Unigram of one piece per letter.
fn tokenizer() -> serde_json::Value {
    let mut vocabulary = vec![json!(["<unk>", 0.0]), json!(["<pad>", 0.0]), json!(["▁", -2.0])];
    let letter = |id: usize| json!([char::from(62 + id as u8).to_string(), -3.0]);
    vocabulary.extend((3..WORDS).map(letter));
    json!({
        "version": "1.0", "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": false}
    })
}

/// A folder to make bundles in.
pub struct Workshop {
    folder: TempDir,
    pub options: CreateOptions,
}

impl Workshop {
    /// With this graph, in the operators of set 17.
    pub fn new(graph: GraphProto) -> Self {
        Self::of(graph, 8)
    }

    /// With this graph, of an IR version.
    pub fn of(graph: GraphProto, ir_version: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proto = ModelProto {
            ir_version: Some(ir_version),
            opset_import: vec![OperatorSetIdProto { version: Some(17), ..Default::default() }],
            graph: Some(graph),
            ..ModelProto::default()
        };
        let model = Model::new(proto, folder.path()).unwrap();
        let path = folder.path().join("model.onnx");
        fs::write(&path, model.to_bytes()).unwrap();
        Self::in_folder(folder, path)
    }

    /// With the model in a file elsewhere.
    pub fn from_file(path: &Path) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), path.to_owned())
    }

    fn in_folder(folder: TempDir, onnx: PathBuf) -> Self {
        let path = |name: &str| folder.path().join(name);
        fs::write(path("tokenizer.json"), tokenizer().to_string()).unwrap();
        let options = CreateOptions {
            onnx,
            tokenizer: path("tokenizer.json"),
            pooling: Pooling::Mean,
            layers: Vec::new(),
            tokens_stated: None,
            prefix: String::new(),
            tokens_max: None,
            output: None,
            upcast: false,
            out: path("bundle"),
            overwrite: true,
        };
        Self { folder, options }
    }

    /// The bundle, after its model has run.
    pub fn try_out(&self) -> Result<Created> {
        create_tried(&self.options, &TrialRun::new(&engine()), &mut |_| {})
    }

    /// The bundle, made of what the graph says.
    pub fn create(&self) -> Result<Bundle> {
        create(&self.options, &mut |_| {})
    }

    /// The message of the refusal of a trial, which leaves nothing behind.
    pub fn refusal(&self) -> String {
        let error = self.try_out().expect_err("a refusal");
        assert_eq!(error.code(), polygraft::Code::BundleUnusable, "{error}");
        self.assert_no_bundle();
        error.to_string()
    }

    /// Nothing but the sources lies in the folder.
    pub fn assert_no_bundle(&self) {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<PathBuf> = names.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        assert_eq!(names, [self.options.onnx.clone(), self.options.tokenizer.clone()]);
    }
}
