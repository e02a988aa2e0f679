//! Fused operators give the numbers of the standard operators that they replace, in both
//! directions, for any sizes; the standard graph on ONNX Runtime is the oracle.

#[path = "support/block.rs"]
mod block;
#[path = "support/engine.rs"]
mod engine;
#[path = "support/training_graph.rs"]
mod training_graph;

use block::{Block, Sizes};
use polygraft::graph::{Model, ModelProto};
use polygraft::kernels::{DOMAIN, OPERATORS};
use polygraft::runtime::{Operators, Session, SessionOptions, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

/// The relative and absolute difference that rounding explains in a chain of some forty products
/// and sums; a wrong formula is off by much more.
const TOLERANCE: f32 = 2e-4;

fn open(block: &Block, operators: Operators, threads: usize) -> Session {
    let options = SessionOptions { operators, threads, ..SessionOptions::default() };
    Session::open_model(&engine::engine(), block.model.clone(), None, &options).unwrap()
}

fn run(session: &Session, block: &Block, seed: u64) -> Vec<Value> {
    let inputs = block.inputs(seed);
    let given: Vec<_> = inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let outputs: Vec<&str> = block.outputs.iter().map(String::as_str).collect();
    session.run(&given, &outputs, None).unwrap()
}

/// How often each fused operator is in the graph that a session of fused operators runs.
fn counts(block: &Block) -> BTreeMap<String, usize> {
    let mut model = block.model.clone();
    assert!(polygraft::kernels::fuse(&mut model, None).unwrap(), "nothing was fused");
    let mut counts = BTreeMap::new();
    for node in model.graph().unwrap().node.iter().filter(|node| node.domain() == DOMAIN) {
        *counts.entry(node.op_type().to_owned()).or_default() += 1;
    }
    counts
}

fn assert_near(block: &Block, expected: &[Value], found: &[Value]) {
    for ((name, expected), found) in block.outputs.iter().zip(expected).zip(found) {
        assert_eq!(expected.shape(), found.shape(), "{name}");
        let (expected, found) = (expected.as_f32().unwrap(), found.as_f32().unwrap());
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            let difference = (expected - found).abs();
            assert!(
                difference <= TOLERANCE * largest.max(1e-3),
                "{name}[{index}]: {found}, expected {expected}, largest {largest}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_block_and_its_gradients_are_those_of_standard_operators(
        texts in 1usize..11,
        tokens in 1usize..40,
        heads in 1usize..4,
        size in 1usize..37,
        wide in 1usize..70,
        rank in 0usize..9,
        seed in 0u64..1000,
        is_lowest: bool,
    ) {
        let block =
            Block::training(Sizes { texts, tokens, heads, size, wide, rank }, is_lowest);
        let expected = run(&open(&block, Operators::Standard, 1), &block, seed);
        let found = run(&open(&block, Operators::Fused, 2), &block, seed);
        assert_near(&block, &expected, &found);
    }
}

const SIZES: Sizes = Sizes { texts: 9, tokens: 33, heads: 3, size: 32, wide: 200, rank: 8 };

#[test]
fn every_group_of_a_training_graph_is_fused() {
    let expected = [
        ("Attention", 1),
        ("AttentionGradient", 1),
        ("Gelu", 1),
        ("GeluGradient", 1),
        ("LowRankSum", 2),
        ("Normalization", 2),
        ("NormalizationGradient", 2),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count)).into();
    let found = counts(&Block::training(SIZES, true));
    assert_eq!(found, expected);
    assert_eq!(counts(&Block::training(SIZES, false)), expected);
    assert_eq!(found.len(), OPERATORS.len(), "an operator that no graph has is not tested");
}

#[test]
fn every_group_of_a_prediction_graph_is_fused() {
    let expected = [("Attention", 1), ("Gelu", 1), ("LowRankSum", 2), ("Normalization", 2)];
    let block = Block::prediction(SIZES);
    assert_eq!(counts(&block), expected.map(|(name, count)| (name.to_owned(), count)).into());
    let expected = run(&open(&block, Operators::Standard, 1), &block, 3);
    assert_near(&block, &expected, &run(&open(&block, Operators::Fused, 2), &block, 3));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_group_of_the_reference_backbone_is_fused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let graph = training_graph::training_graph(&root.join(".cache/backbone/e5-small/model.onnx"));
    let mut model = Model::from_bytes(&graph.bytes, graph.weights.folder()).unwrap();
    assert!(polygraft::kernels::fuse(&mut model, Some(&graph.weights)).unwrap());
    assert_eq!(graph.gradients.len(), 50, "two tensors at 24 sites, and the head");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &model.graph().unwrap().node {
        *counts.entry(node.op_type()).or_default() += 1;
    }
    for (operator, count) in [
        ("Attention", 12),
        ("AttentionGradient", 12),
        ("Gelu", 12),
        ("GeluGradient", 12),
        ("LowRankSum", 24),
        ("Normalization", 25),
        ("NormalizationGradient", 24),
    ] {
        assert_eq!(counts.get(operator), Some(&count), "{operator} of {counts:?}");
    }
    for operator in ["Erf", "ReduceMean", "Softmax", "Sqrt"] {
        assert_eq!(counts.get(operator), None, "{operator} of {counts:?}");
    }
}

#[test]
fn gelu_is_exact_over_its_whole_range() {
    let block = Block::gelu();
    assert_eq!(counts(&block).values().sum::<usize>(), 2);
    let numbers: Vec<f32> = (-1600..1600).map(|step| step as f32 * 0.01).collect();
    let x = Value::f32(&[numbers.len() / 16, 16], numbers).unwrap();
    let outputs: Vec<&str> = block.outputs.iter().map(String::as_str).collect();
    let [expected, found] = [Operators::Standard, Operators::Fused]
        .map(|operators| open(&block, operators, 1).run(&[("x", &x)], &outputs, None).unwrap());
    for (expected, found) in expected.iter().zip(&found) {
        let pairs = expected.as_f32().unwrap().iter().zip(found.as_f32().unwrap());
        for ((expected, found), x) in pairs.zip(x.as_f32().unwrap()) {
            assert!((expected - found).abs() <= 1e-6 * x.abs().max(1.0), "{x}: {found} {expected}");
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_or_on_the_run() {
    let block = Block::training(SIZES, false);
    let sessions = [1, 2, 3].map(|threads| open(&block, Operators::Fused, threads));
    let first = run(&sessions[0], &block, 5);
    // The products are ONNX Runtime's, which may add up in another order with more threads.
    for _ in 0..3 {
        for (one, other) in first.iter().zip(run(&sessions[0], &block, 5)) {
            assert_eq!(one.as_f32().unwrap(), other.as_f32().unwrap());
        }
    }
    for session in &sessions[1..] {
        let first = run(session, &block, 5);
        for _ in 0..3 {
            for (one, other) in first.iter().zip(run(session, &block, 5)) {
                assert_eq!(one.as_f32().unwrap(), other.as_f32().unwrap());
            }
        }
    }
}

#[test]
fn numbers_that_are_not_finite_stay_so() {
    let block = Block::prediction(SIZES);
    let session = open(&block, Operators::Fused, 2);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut inputs = block.inputs(1);
        let mut values = inputs[0].1.as_f32().unwrap().to_vec();
        values[7] = bad;
        inputs[0].1 = Value::f32(&block.shape(), values).unwrap();
        let given: Vec<_> = inputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let found = session.run(&given, &["result"], None).unwrap();
        assert!(found[0].as_f32().unwrap().iter().any(|value| !value.is_finite()), "{bad}");
    }
}

/// A change of a model's file.
type Change = &'static dyn Fn(&mut ModelProto);

#[test]
fn a_node_whose_inputs_do_not_fit_is_an_error() {
    let mut model = Block::prediction(SIZES).model;
    polygraft::kernels::fuse(&mut model, None).unwrap();
    let misfits: [(&str, Change); 2] = [
        ("heads", &|proto| set(proto, "Attention", |node| node.attribute[0].i = Some(5))),
        ("factor", &|proto| set(proto, "Gelu", |node| node.attribute.clear())),
    ];
    for (what, change) in misfits {
        let mut changed = model.clone();
        change(&mut changed.proto);
        // A model that holds such nodes itself is refused: only what was fused here may run.
        let options = SessionOptions::default();
        let error = Session::open_model(&engine::engine(), changed, None, &options).unwrap_err();
        assert_eq!(error.code(), polygraft::Code::RuntimeFailed, "{what}: {error}");
    }
}

fn set(proto: &mut ModelProto, operator: &str, change: impl Fn(&mut polygraft::graph::NodeProto)) {
    let nodes = proto.graph.as_mut().unwrap().node.iter_mut();
    nodes.filter(|node| node.op_type() == operator).for_each(change);
}

/// Exports have nodes that no output needs, such as the keys that a decoder would keep.
#[test]
fn a_node_that_no_output_needs_may_read_from_inside_a_group() {
    let block = Block::prediction(SIZES);
    let nodes = &block.model.graph().unwrap().node;
    let inner = nodes.iter().filter(|node| ["Reshape", "Transpose"].contains(&node.op_type()));
    let values: Vec<String> = inner.map(|node| node.output[0].clone()).collect();
    assert!(!values.is_empty());
    for value in values {
        let mut model = block.model.clone();
        model.proto.graph.as_mut().unwrap().node.push(polygraft::graph::NodeProto {
            op_type: Some("Identity".to_owned()),
            input: vec![value.clone()],
            output: vec!["unneeded".to_owned()],
            ..Default::default()
        });
        let opened =
            Session::open_model(&engine::engine(), model, None, &SessionOptions::default());
        assert!(opened.is_ok(), "{value}: {:?}", opened.err());
    }
}

/// Set in the process that opens its first sessions at once.
const FIRST_SESSIONS: &str = "POLYGRAFT_TEST_FIRST_SESSIONS";

/// The first session with fused operators makes their domain known to ONNX Runtime, which does not
/// lock the table that it writes to. A process has one first time, so each trial is a process; one
/// in forty failed before sessions waited for the first one.
#[test]
fn the_first_sessions_of_a_process_may_be_opened_at_once() {
    for trial in 0..80 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "first_sessions", "--test-threads", "1"])
            .env(FIRST_SESSIONS, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "trial {trial}: {:?}\n{text}", child.status);
    }
}

/// What the process of a trial does; without the variable there is nothing to do.
#[test]
fn first_sessions() {
    if std::env::var_os(FIRST_SESSIONS).is_none() {
        return;
    }
    let sizes = Sizes { texts: 1, tokens: 2, heads: 1, size: 4, wide: 4, rank: 1 };
    let block = Block::prediction(sizes);
    engine::engine();
    let barrier = Barrier::new(16);
    thread::scope(|scope| {
        for _ in 0..16 {
            let (block, barrier) = (&block, &barrier);
            let operators = Operators::Fused;
            scope.spawn(move || {
                barrier.wait();
                open(block, operators, 1);
            });
        }
    });
}
