//! Where the memory of training over stored weights goes: no float32 copy of them is kept, neither
//! when the session is opened nor from the forward to the backward pass.
//!
//! Each measurement is made in a fresh process: this very test program, told by a variable which
//! form of storage it is to measure.
#![cfg(target_os = "linux")]

#[path = "support/engine.rs"]
mod engine;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use polygraft::autodiff;
use polygraft::graph::{
    Builder, GraphProto, Model, ModelProto, OperatorSetIdProto, Shapes, StringStringEntryProto,
    TensorProto, TensorType, Weights, attr, constants_first, data_type, tensor_proto,
};
use polygraft::runtime::{Mode, Session, SessionOptions, Value};

const FORM_VARIABLE: &str = "POLYGRAFT_TEST_QUANTISED_FORM";
const LINE_START: &str = "MEASURED";
/// Layers of this width, one after another.
const LAYERS: usize = 12;
const WIDTH: usize = 1024;
const BLOCK: usize = 32;
/// What all weights are in float32.
const FLOAT_BYTES: i64 = (LAYERS * WIDTH * WIDTH * 4) as i64;

/// Writes tensors into one file, each at a page of its own, and refers to them.
struct Data {
    bytes: Vec<u8>,
    tensors: Vec<TensorProto>,
}

impl Data {
    fn add(&mut self, name: &str, data_type: i32, dims: &[usize], fill: &[u8]) -> String {
        self.bytes.resize(self.bytes.len().next_multiple_of(4096), 0);
        let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        let size = data_type::tensor_size_bytes(data_type, &dims).unwrap();
        let entry = |key: &str, value: usize| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value.to_string()),
        };
        let location = StringStringEntryProto {
            key: Some("location".to_owned()),
            value: Some("weights".to_owned()),
        };
        let external = vec![location, entry("offset", self.bytes.len()), entry("length", size)];
        self.bytes.extend(fill.iter().cycle().take(size));
        self.tensors.push(TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(data_type),
            dims,
            data_location: Some(tensor_proto::EXTERNAL),
            external_data: external,
            ..TensorProto::default()
        });
        name.to_owned()
    }
}

/// The nodes that make the weight of one layer.
fn weight(form: &str, layer: usize, data: &mut Data, builder: &mut Builder<'_>) -> String {
    let square = [WIDTH, WIDTH];
    let name = |part: &str| format!("{layer}.{part}");
    let scale = 0.01f32.to_le_bytes();
    let (codes, scales, attributes) = match form {
        "float16" => {
            let halves = data.add(&name("halves"), data_type::FLOAT16, &square, &[0x66, 0x2e]);
            let to = vec![attr::int("to", data_type::FLOAT.into())];
            return builder.node("Cast", &[&halves], to);
        }
        "int8" => (
            data.add(&name("codes"), data_type::INT8, &square, &[3, 250]),
            data.add(&name("scale"), data_type::FLOAT, &[WIDTH], &scale),
            vec![attr::int("axis", 1)],
        ),
        _ => (
            data.add(&name("codes"), data_type::UINT4, &square, &[0x93]),
            data.add(&name("scale"), data_type::FLOAT, &[WIDTH / BLOCK, WIDTH], &scale),
            vec![attr::int("axis", 0), attr::int("block_size", BLOCK as i64)],
        ),
    };
    builder.node("DequantizeLinear", &[&codes, &scales], attributes)
}

/// A chain of layers over `x`, its loss, and the gradient of the loss with respect to `x`.
fn training_model(form: &str, folder: &std::path::Path) -> (Model, String) {
    let mut data = Data { bytes: Vec::new(), tensors: Vec::new() };
    let mut graph = GraphProto { name: Some("test".to_owned()), ..GraphProto::default() };
    let x = TensorType::of_dims(data_type::FLOAT, &[1, WIDTH as i64]);
    graph.input.push(x.to_value_info("x"));
    let mut builder = Builder::new(&mut graph, "n.");
    let mut value = "x".to_owned();
    for layer in 0..LAYERS {
        let weight = weight(form, layer, &mut data, &mut builder);
        let product = builder.node("MatMul", &[&value, &weight], vec![]);
        value = builder.node("Tanh", &[&product], vec![]);
    }
    let keep = vec![attr::int("keepdims", 0)];
    builder.node_named("ReduceSum", "", &[&value], &["loss"], keep);
    std::fs::write(folder.join("weights"), &data.bytes).unwrap();
    graph.initializer.append(&mut data.tensors);
    constants_first(&mut graph);
    let mut shapes = Shapes::infer(&graph, 21, None).unwrap();
    let wanted = ["x".to_owned()];
    let gradients = autodiff::backward(&mut graph, 21, &mut shapes, "loss", &wanted).unwrap();
    let gradient = gradients["x"].clone();
    graph.output.push(x.to_value_info(&gradient));
    let opset = OperatorSetIdProto { domain: None, version: Some(21) };
    let proto = ModelProto {
        ir_version: Some(10),
        opset_import: vec![opset],
        graph: Some(graph),
        ..ModelProto::default()
    };
    (Model::new(proto, folder).unwrap(), gradient)
}

/// The anonymous memory of this process, which no file backs, in bytes.
fn private_bytes() -> i64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1024
}

/// Opens the training session and runs it some times; prints by how much private memory grew at
/// most.
fn measure(form: &str, mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let (model, gradient) = training_model(form, folder.path());
    let weights = Weights::map(&model).unwrap();
    let engine = engine::engine();
    let before = private_bytes();
    let (stop, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let watcher = {
        let (stop, peak) = (stop.clone(), peak.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(private_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(300));
            }
        })
    };
    let options = SessionOptions { mode, threads: 1, ..SessionOptions::default() };
    let session = Session::open(&engine, &model.to_bytes(), Some(&weights), &options).unwrap();
    let x = Value::f32(&[1, WIDTH], vec![0.01; WIDTH]).unwrap();
    for _ in 0..5 {
        session.run(&[("x", &x)], &[&gradient], None).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    println!("\n{LINE_START} {}", peak.load(Ordering::Relaxed) - before);
}

/// What a child process does; without the variable there is nothing to do.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn child() {
    let Ok(task) = std::env::var(FORM_VARIABLE) else { return };
    let (form, mode) = task.split_once(' ').unwrap();
    measure(form, if mode == "fast" { Mode::Fast } else { Mode::Lean });
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn no_float_copy_of_the_weights_is_kept() {
    for form in ["float16", "int8", "uint4"] {
        for mode in ["lean", "fast"] {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
                .env(FORM_VARIABLE, format!("{form} {mode}"))
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&child.stdout).into_owned();
            assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
            let line = text.lines().find_map(|line| line.strip_prefix(LINE_START)).unwrap();
            let grown: i64 = line.trim().parse().unwrap();
            println!("{form} {mode}: {grown} bytes");
            // A few matrices at once, and what 4 bits are repacked to, but not all of them.
            assert!(grown < FLOAT_BYTES * 2 / 3, "{form} {mode}: {grown} bytes");
        }
    }
}
