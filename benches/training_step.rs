//! What a training step costs: forward, loss and backward with LoRA of rank 8 on query and value,
//! in both modes, beside the matrix products alone and beside PyTorch. Prints figures and ratios of
//! one run; asserts nothing.
//!
//! `cargo bench --bench training_step` needs the reference backbone (`make setup`); PyTorch is
//! timed when `make bench-peers` has installed it.

#[path = "../tests/support/engine.rs"]
mod engine;
#[path = "../tests/support/training_graph.rs"]
mod training_graph;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use polygraft::graph::{
    GraphProto, Model, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorType,
    data_type,
};
use polygraft::runtime::{Engine, Mode, Operators, Session, SessionOptions, Value};
use prost::Message;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const THREADS: usize = 2;
const LAYERS: usize = 12;
const HIDDEN: usize = 384;
const RANK: usize = 8;
const LABELS: usize = 42;
const WARM_UP_RUNS: usize = 3;
/// Batch, tokens, timed runs.
const SHAPES: [(usize, usize, usize); 3] = [(16, 16, 20), (16, 64, 10), (1, 16, 40)];

/// Milliseconds of some runs.
struct Times {
    median_ms: f64,
    minimum_ms: f64,
    /// The median of the time that processors worked for a run, which other work on the machine
    /// changes least.
    processor_ms: f64,
}

/// A session whose runs are timed.
struct Candidate {
    name: &'static str,
    session: Session,
    outputs: Vec<String>,
    is_floor: bool,
}

fn main() -> Outcome<()> {
    let engine = engine::engine();
    let threads = threads()?;
    let candidates = candidates(&engine, threads)?;
    let peers = peer_times(threads)?;
    println!("training step on e5-small, LoRA rank {RANK}, {threads} threads");
    println!("median (minimum) ms, and the share that the floor is of it");
    for (index, &(batch, tokens, runs)) in SHAPES.iter().enumerate() {
        println!("{batch}x{tokens}:");
        let times = time(&candidates, (batch, tokens), runs)?;
        let peer = peers.get(index);
        for (candidate, own) in candidates.iter().zip(&times) {
            print_row(candidate.name, own, &times[0], peer.filter(|_| !candidate.is_floor));
        }
        if let Some(peer) = peer {
            print_row("PyTorch", peer, &times[0], None);
        }
    }
    if peers.is_empty() {
        println!("PyTorch was not timed: `make bench-peers` installs it");
    }
    Ok(())
}

/// The threads of each session: `POLYGRAFT_BENCH_THREADS`, by default 2.
fn threads() -> Outcome<usize> {
    Ok(std::env::var("POLYGRAFT_BENCH_THREADS").map_or(Ok(THREADS), |text| text.parse())?)
}

/// The products alone, then each mode with fused and with standard operators.
fn candidates(engine: &Arc<Engine>, threads: usize) -> Outcome<Vec<Candidate>> {
    let options = SessionOptions { mode: Mode::Fast, threads, ..SessionOptions::default() };
    let session = Session::open(engine, &floor_model(), None, &options)?;
    let outputs = vec!["y".to_owned()];
    let mut all =
        vec![Candidate { name: "matrix products alone", session, outputs, is_floor: true }];
    for (name, mode, operators) in [
        ("fast", Mode::Fast, Operators::Fused),
        ("lean", Mode::Lean, Operators::Fused),
        ("fast, standard operators", Mode::Fast, Operators::Standard),
        ("lean, standard operators", Mode::Lean, Operators::Standard),
    ] {
        let graph = training_graph::training_graph(&backbone());
        let options = SessionOptions { mode, operators, ..options.clone() };
        let model = Model::from_bytes(&graph.bytes, graph.weights.folder())?;
        let session = Session::open_model(engine, model, Some(&graph.weights), &options)?;
        let outputs = graph.gradients.into_values().chain([training_graph::LOSS.to_owned()]);
        all.push(Candidate { name, session, outputs: outputs.collect(), is_floor: false });
    }
    Ok(all)
}

/// A row: its times, the floor's share of them, the same for the work of processors, and the ratio
/// to PyTorch's.
fn print_row(name: &str, times: &Times, floor: &Times, peer: Option<&Times>) {
    let share = 100.0 * floor.median_ms / times.median_ms;
    let Times { median_ms, minimum_ms, processor_ms } = times;
    print!("  {name:<24} {median_ms:8.1} ({minimum_ms:.1})  {share:3.0} %");
    if *processor_ms > 0.0 {
        let share = 100.0 * floor.processor_ms / processor_ms;
        print!("  {processor_ms:8.1} of processors, {share:3.0} %");
    }
    match peer {
        Some(peer) => println!(
            "  {:.2} ({:.2}) x PyTorch",
            times.median_ms / peer.median_ms,
            times.minimum_ms / peer.minimum_ms
        ),
        None => println!(),
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn backbone() -> PathBuf {
    root().join(".cache/backbone/e5-small/model.onnx")
}

/// The times of all candidates on one shape. Their runs take turns, so that other work on the
/// machine slows all of them alike.
fn time(
    candidates: &[Candidate],
    (batch, tokens): (usize, usize),
    runs: usize,
) -> Outcome<Vec<Times>> {
    let mut inputs = batch_inputs(batch, tokens)?;
    for name in candidates.last().map_or(&[][..], |last| last.session.input_names()) {
        if !inputs.iter().any(|(known, _)| known == name) {
            inputs.push((name.clone(), trainable(name)?));
        }
    }
    let rows = batch * tokens;
    let floor_input = Value::f32(&[rows, HIDDEN], numbers(rows * HIDDEN, 1.0))?;
    let mut times = vec![Vec::with_capacity(runs); candidates.len()];
    for run in 0..WARM_UP_RUNS + runs {
        for (candidate, times) in candidates.iter().zip(&mut times) {
            let given: Vec<_> = match candidate.is_floor {
                true => vec![("x", &floor_input)],
                false => inputs.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            };
            let outputs: Vec<&str> = candidate.outputs.iter().map(String::as_str).collect();
            let (started, worked) = (Instant::now(), processor_ms());
            candidate.session.run(&given, &outputs, None)?;
            if run >= WARM_UP_RUNS {
                let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
                times.push((elapsed_ms, processor_ms() - worked));
            }
        }
    }
    Ok(times
        .into_iter()
        .map(|times| {
            let (mut elapsed, mut worked): (Vec<f64>, Vec<f64>) = times.into_iter().unzip();
            elapsed.sort_by(f64::total_cmp);
            worked.sort_by(f64::total_cmp);
            let (median_ms, minimum_ms) = (elapsed[runs / 2], elapsed[0]);
            Times { median_ms, minimum_ms, processor_ms: worked[runs / 2] }
        })
        .collect())
}

/// The time that processors have worked for this process.
fn processor_ms() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one time to the place it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn batch_inputs(batch: usize, tokens: usize) -> Outcome<Vec<(String, Value)>> {
    let (shape, count) = ([batch, tokens], batch * tokens);
    let ids = (0..count).map(|index| (4 + index * 9973 % 250_000) as i64).collect();
    let target = |index: usize| f32::from(u8::from(index % LABELS == index / LABELS % LABELS));
    let targets = (0..batch * LABELS).map(target).collect();
    Ok(vec![
        ("input_ids".to_owned(), Value::i64(&shape, ids)?),
        ("attention_mask".to_owned(), Value::i64(&shape, vec![1; count])?),
        ("token_type_ids".to_owned(), Value::i64(&shape, vec![0; count])?),
        ("targets".to_owned(), Value::f32(&[batch, LABELS], targets)?),
    ])
}

/// A trainable tensor by its name, filled with small numbers.
fn trainable(name: &str) -> Outcome<Value> {
    let shape: &[usize] = match name.rsplit('.').next() {
        Some("lora_A") => &[HIDDEN, RANK],
        Some("lora_B") => &[RANK, HIDDEN],
        Some("weight") => &[HIDDEN, LABELS],
        _ => &[LABELS],
    };
    Ok(Value::f32(shape, numbers(shape.iter().product(), 0.03))?)
}

/// Numbers between `-limit` and `limit`, always the same.
fn numbers(count: usize, limit: f32) -> Vec<f32> {
    let number = |index: usize| {
        let mixed = (index as u32).wrapping_mul(2_654_435_761) ^ 0x5bd1_e995;
        limit * (mixed.wrapping_mul(0x9e37_79b9) as f32 / (u32::MAX / 2) as f32 - 1.0)
    };
    (0..count).map(number).collect()
}

/// The products of the linear layers twice, once for each direction, and nothing else:
/// a chain of products with the sizes of the encoder's linear layers.
fn floor_model() -> Vec<u8> {
    let sizes = [(1, 1), (1, 1), (1, 1), (1, 1), (1, 4), (4, 1)];
    let mut graph = GraphProto { name: Some("floor".to_owned()), ..GraphProto::default() };
    graph.input.push(TensorType::unranked(data_type::FLOAT).to_value_info("x"));
    graph.output.push(TensorType::unranked(data_type::FLOAT).to_value_info("y"));
    let count = 2 * LAYERS * sizes.len();
    for position in 0..count {
        let (rows, columns) = sizes[position % sizes.len()];
        let (rows, columns) = (rows * HIDDEN, columns * HIDDEN);
        // This width keeps the numbers of the chain at the size of its input.
        let weight = numbers(rows * columns, (3.0 / rows as f32).sqrt());
        let weight: Vec<u8> = weight.iter().flat_map(|value| value.to_le_bytes()).collect();
        let name = |position: usize| match position {
            0 => "x".to_owned(),
            position if position == count => "y".to_owned(),
            position => format!("value {position}"),
        };
        graph.initializer.push(TensorProto {
            name: Some(format!("weight {position}")),
            data_type: Some(data_type::FLOAT),
            dims: vec![rows as i64, columns as i64],
            raw_data: Some(weight.into()),
            ..TensorProto::default()
        });
        graph.node.push(NodeProto {
            op_type: Some("MatMul".to_owned()),
            input: vec![name(position), format!("weight {position}")],
            output: vec![name(position + 1)],
            ..NodeProto::default()
        });
    }
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    let opset_import = vec![opset];
    ModelProto { ir_version: Some(8), opset_import, graph: Some(graph), ..ModelProto::default() }
        .encode_to_vec()
}

/// PyTorch's times for the same shapes, with the faster of its two attentions; none where it is not
/// installed.
fn peer_times(threads: usize) -> Outcome<Vec<Times>> {
    let python = root().join(".cache/venv-peers/bin/python");
    if !python.exists() {
        return Ok(Vec::new());
    }
    let output = Command::new(python)
        .arg(root().join("tools/peers/train_step.py"))
        .arg(backbone())
        .args(["--threads", &threads.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    let lines: Vec<serde_json::Value> =
        lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    SHAPES.iter().map(|&(batch, tokens, _)| fastest(&lines, batch, tokens)).collect()
}

/// The fastest of the lines about one shape.
fn fastest(lines: &[serde_json::Value], batch: usize, tokens: usize) -> Outcome<Times> {
    let times = |line: &serde_json::Value| {
        let number = |name: &str| line[name].as_f64();
        Some(Times {
            median_ms: number("median_ms")?,
            minimum_ms: number("minimum_ms")?,
            processor_ms: 0.0,
        })
    };
    lines
        .iter()
        .filter(|line| line["batch"] == batch && line["tokens"] == tokens)
        .filter_map(times)
        .min_by(|left, right| left.median_ms.total_cmp(&right.median_ms))
        .ok_or_else(|| format!("PyTorch was not timed at {batch}x{tokens}").into())
}
