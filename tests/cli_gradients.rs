//! `polygraft gradients` on a small export, and on real ones.

#![cfg(feature = "cli")]

mod cli_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cli_support::{Ran, cache, polygraft, run};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

/// A tensor as bytes.
type Raw = (Dtype, Vec<usize>, Vec<u8>);

/// A folder with the files of one run.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let mut builder = tempfile::Builder::new();
        // Where a name may have any bytes, it has some that are not UTF-8.
        #[cfg(target_os = "linux")]
        builder
            .prefix(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"d\xe9p\xf4t"));
        Self { folder: builder.tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, tensors: &BTreeMap<String, Raw>) {
        let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// The command over the files `adapter`, `inputs` and `cotangent`.
    fn command(&self, onnx: &Path, output: &str) -> Command {
        let mut command = polygraft();
        command.arg("gradients").arg("--onnx").arg(onnx).args(["--output", output]);
        for name in ["adapter", "inputs", "cotangent", "out"] {
            command.arg(format!("--{name}")).arg(self.path(name));
        }
        command
    }

    /// The tensors that were written.
    fn out(&self) -> BTreeMap<String, Vec<f32>> {
        let bytes = std::fs::read(self.path("out")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        file.iter().map(|(name, view)| (name.to_owned(), floats(view.data()))).collect()
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// The files of PyTorch's reference for BERT: an adapter of nothing but tensors.
fn bert() -> Files {
    let bytes = std::fs::read(fixture("oracle/backbones/bert.safetensors")).unwrap();
    let oracle = SafeTensors::deserialize(&bytes).unwrap();
    let group = |prefix: &str| -> BTreeMap<String, Raw> {
        let tensors = oracle.iter().filter_map(|(name, view)| {
            let raw = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            Some((name.strip_prefix(prefix)?.to_owned(), raw))
        });
        tensors.collect()
    };
    let files = Files::new();
    files.write("adapter", &group("lora/value/"));
    files.write("inputs", &group("input/"));
    files.write("cotangent", &group("cotangent"));
    files
}

const BERT: &str = "fixtures/backbones/bert/torchscript-17.onnx";
const OUTPUT: &str = "last_hidden_state";

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn output_and_gradients_are_written_and_checked() {
    let files = bert();
    let ran = run(files.command(&fixture(BERT), OUTPUT).args(["--check", "--entries", "1"]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (adapter, written) = (std::fs::read(files.path("adapter")).unwrap(), files.out());
    let adapter = SafeTensors::deserialize(&adapter).unwrap();
    assert_eq!(written.len(), adapter.len() + 1);
    assert_eq!(written[OUTPUT].len(), 3 * 9 * 32);
    for (name, view) in adapter.iter() {
        assert_eq!(written[name].len(), view.shape().iter().product::<usize>(), "{name}");
        let row = ran.stdout.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(row.trim_end().ends_with("agrees"), "{row}");
    }

    let ran = run(files.command(&fixture(BERT), OUTPUT).arg("--json"));
    let document = ran.json();
    assert_eq!(document["output"], json!({"name": OUTPUT, "shape": [3, 9, 32]}));
    assert_eq!(document["tensors"].as_array().unwrap().len(), adapter.len());
    assert_eq!(document["tensors"][0]["check"], json!(null));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_is_wrong_is_an_error_that_names_it() {
    let files = bert();
    let failed = |ran: Ran, name: &str, words: &str| {
        assert_ne!(ran.code, 0);
        assert!(ran.stderr.starts_with(&format!("error[{name}]: ")), "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert!(!files.path("out").exists(), "nothing is written after an error");
    };
    let output = run(&mut files.command(&fixture(BERT), "logits"));
    failed(output, "argument.invalid", "its outputs are \"last_hidden_state\"");
    let no_model = run(&mut files.command(Path::new("missing.onnx"), OUTPUT));
    failed(no_model, "io.not_found", "missing.onnx");
    let usage = run(files.command(&fixture(BERT), OUTPUT).args(["--check", "--entries", "0"]));
    assert_eq!(usage.code, 2, "{}", usage.stderr);

    let mut inputs = BTreeMap::new();
    inputs.insert("input_ids".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    files.write("inputs", &inputs);
    let wrong = run(&mut files.command(&fixture(BERT), OUTPUT));
    failed(wrong, "argument.invalid", "input_ids has elements of type float, expected int64");
    std::fs::write(files.path("inputs"), b"no tensors").unwrap();
    let wrong = run(&mut files.command(&fixture(BERT), OUTPUT));
    failed(wrong, "argument.invalid", "inputs");
    let wrong = BTreeMap::from([("x".to_owned(), (Dtype::F32, vec![1], vec![0; 4]))]);
    files.write("adapter", &wrong);
    let wrong = run(&mut files.command(&fixture(BERT), OUTPUT));
    failed(wrong, "adapter.malformed", "\"x\"");
}

/// Checks LoRA of rank 2 on two layers' modules of a real model by finite differences.
fn real(onnx: &Path, output: &str, output_size: usize, modules: [&str; 4], types: bool) {
    const WIDTH: usize = 384;
    const TOKENS: usize = 12;
    let wave = |seed: usize, count: usize, size: f64| -> Vec<u8> {
        let value = |index: usize| (size * (0.37 * index as f64 + 1.3 * seed as f64).sin()) as f32;
        (0..count).flat_map(|index| value(index).to_le_bytes()).collect()
    };
    let mut adapter = BTreeMap::new();
    for (number, module) in modules.iter().enumerate() {
        let [down, up] = [[WIDTH, 2], [2, WIDTH]];
        let raw =
            |seed, shape: [usize; 2]| (Dtype::F32, shape.to_vec(), wave(seed, 2 * WIDTH, 0.1));
        adapter.insert(format!("{module}.lora_A"), raw(2 * number, down));
        adapter.insert(format!("{module}.lora_B"), raw(2 * number + 1, up));
    }
    let ints = |values: [i64; TOKENS]| -> Raw {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        (Dtype::I64, vec![1, TOKENS], bytes)
    };
    let ids = [101, 2735, 2006, 1996, 3829, 2422, 102, 0, 0, 0, 0, 0];
    let mask = ids.map(|id| i64::from(id != 0));
    let mut inputs = BTreeMap::from([
        ("input_ids".to_owned(), ints(ids)),
        ("attention_mask".to_owned(), ints(mask)),
    ]);
    if types {
        inputs.insert("token_type_ids".to_owned(), ints([0; TOKENS]));
    }
    let shape = if output_size == WIDTH { vec![1, WIDTH] } else { vec![1, TOKENS, WIDTH] };
    let cotangent = (Dtype::F32, shape, wave(50, output_size, 1.0));
    let files = Files::new();
    files.write("adapter", &adapter);
    files.write("inputs", &inputs);
    files.write("cotangent", &BTreeMap::from([("cotangent".to_owned(), cotangent)]));
    let mut command = files.command(onnx, output);
    let ran = run(command.args(["--check", "--json", "--entries", "2"]));
    assert_eq!(ran.code, 0, "{}\n{}", ran.stderr, ran.stdout);
    let document = ran.json();
    let tensors = document["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), 8);
    for tensor in tensors {
        assert_eq!(tensor["check"]["verdict"], json!("agrees"), "{tensor}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_export_by_other_people() {
    let onnx = cache("backbone/minilm/model.onnx");
    let listed = run(polygraft().args(["inspect", "--json"]).arg(&onnx)).json();
    let square = |site: &&serde_json::Value| site["inputs"] == 384 && site["outputs"] == 384;
    let sites: Vec<String> = listed["sites"]
        .as_array()
        .unwrap()
        .iter()
        .filter(square)
        .map(|site| site["module"].as_str().unwrap().to_owned())
        .collect();
    let last = sites.len() - 1;
    let chosen = [&sites[0], &sites[2], &sites[last - 1], &sites[last]].map(String::as_str);
    // Its output "output" hands the ids on; the sentence embedding has only a number.
    real(&onnx, "461", 384, chosen, false);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_reference_bundle() {
    let modules = [
        "encoder.layer.0.attention.self.query",
        "encoder.layer.5.attention.output.dense",
        "encoder.layer.11.attention.self.value",
        "encoder.layer.11.attention.output.dense",
    ];
    let onnx = cache("bundle/e5-small/backbone.onnx");
    real(&onnx, OUTPUT, 12 * 384, modules, true);
}
