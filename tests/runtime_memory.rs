//! Where the memory of a session lies, on the reference backbone: how much of it is the process's
//! own (anonymous), and how much are clean pages of the mapped file, shared and evictable.
//!
//! A process that already ran something says nothing about that, so each measurement is made by
//! a fresh one: this very test program, told by a variable which measurement it is to make.
#![cfg(target_os = "linux")]

#[path = "support/backbone.rs"]
mod backbone;
#[path = "support/external.rs"]
mod external;
#[path = "support/small_model.rs"]
mod small_model;
#[path = "support/engine.rs"]
mod support;

use std::collections::HashMap;
use std::process::Command;

use polygraft::graph::{Builder, TensorType, Weights, attr, data_type};
use polygraft::runtime::{Mode, Session, SessionOptions, Value};

/// Tells a child process which measurement to make.
const TASK_VARIABLE: &str = "POLYGRAFT_TEST_MEMORY_TASK";
/// Begins the lines that a child prints: this, a name, a number of bytes.
const LINE_START: &str = "MEASURED";
const MEGABYTE: i64 = 1_000_000;
/// The size of the mapped weights, and so the most of them that can be resident.
const WEIGHTS_SIZE_BYTES: i64 = 470_332_928;
/// A weight of 4096 x 2048.
const TRANSPOSED_SIZE_BYTES: i64 = 4096 * 2048 * 4;

/// Anonymous and file-backed resident memory of this process, in bytes.
fn resident_bytes() -> (i64, i64) {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let field = |name: &str| -> i64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1024
    };
    (field("Anonymous:"), field("Rss:") - field("Anonymous:"))
}

/// Resident bytes of the mappings of the weights file, one number for each mapping.
fn weights_mappings() -> Vec<i64> {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut mappings = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let first = line.split_whitespace().next().unwrap_or("");
        if !first.ends_with(':') {
            inside = line.ends_with("model.onnx.data");
        } else if inside && first == "Rss:" {
            let kilobytes = line.split_whitespace().nth(1).unwrap();
            mappings.push(kilobytes.parse::<i64>().unwrap() * 1024);
        }
    }
    mappings
}

fn report(name: &str, bytes: i64) {
    println!("\n{LINE_START} {name} {bytes}");
}

/// Opens `sessions` sessions over one mapping and runs each; reports growth and sizes.
fn measure(mode: Mode, sessions: usize) {
    let engine = support::engine();
    let (anonymous_before, file_before) = resident_bytes();
    let (model, weights) = backbone::backbone();
    let options = SessionOptions { mode, threads: 2, ..SessionOptions::default() };
    let open = || Session::open(&engine, &model, Some(&weights), &options).unwrap();
    let opened: Vec<Session> = (0..sessions).map(|_| open()).collect();
    let (anonymous_open, file_open) = resident_bytes();
    report("anonymous_open", anonymous_open - anonymous_before);
    report("file_open", file_open - file_before);
    for session in &opened {
        backbone::run(session, &backbone::inputs(1, 16, 0));
    }
    let (anonymous, file) = resident_bytes();
    report("anonymous", anonymous - anonymous_before);
    report("file", file - file_before);
    let mappings = weights_mappings();
    report("mappings", mappings.len() as i64);
    report("weights", mappings.iter().sum());
}

/// Opens a model that multiplies by the transpose of a large weight, as gradients do; reports.
fn measure_transposed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weights"), vec![0; TRANSPOSED_SIZE_BYTES as usize]).unwrap();
    let mut graph = small_model::graph(&[], &[("y", data_type::FLOAT)]);
    graph.input.push(TensorType::of_dims(data_type::FLOAT, &[1, 2048]).to_value_info("x"));
    graph.initializer.push(external::external("W", &[4096, 2048], "weights", 0));
    let mut builder = Builder::new(&mut graph, "n.");
    let transposed = builder.node("Transpose", &["W"], vec![attr::ints("perm", &[1, 0])]);
    builder.node_named("MatMul", "", &["x", &transposed], &["y"], vec![]);
    let model = small_model::model(graph, folder.path());
    let weights = Weights::map(&model).unwrap();
    let engine = support::engine();
    let before = resident_bytes().0;
    let options = SessionOptions::default();
    let session = Session::open(&engine, &model.to_bytes(), Some(&weights), &options).unwrap();
    report("anonymous_open", resident_bytes().0 - before);
    let x = Value::f32(&[1, 2048], vec![1.0; 2048]).unwrap();
    session.run(&[("x", &x)], &["y"], None).unwrap();
    report("anonymous", resident_bytes().0 - before);
}

/// Makes a measurement in a fresh process.
fn in_fresh_process(task: &str) -> HashMap<String, i64> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .env(TASK_VARIABLE, task)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
    // The library was silent: nothing but the test harness wrote anything.
    assert!(child.stderr.is_empty(), "{}", String::from_utf8_lossy(&child.stderr));
    println!("{task}:{}", text.replace('\n', " "));
    text.lines()
        .filter_map(|line| line.strip_prefix(LINE_START))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
        })
        .collect()
}

/// What a child process does; without the variable there is nothing to do.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn child() {
    match std::env::var(TASK_VARIABLE).as_deref() {
        Ok("lean") => measure(Mode::Lean, 1),
        Ok("lean twice") => measure(Mode::Lean, 2),
        Ok("transposed") => measure_transposed(),
        Ok("fast") => measure(Mode::Fast, 1),
        _ => {}
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn lean_sessions_keep_the_weights_in_the_file() {
    let lean = in_fresh_process("lean");
    assert!(lean["anonymous"] < 60 * MEGABYTE, "{lean:?}");
    assert_eq!(lean["mappings"], 1);
    // Everything but the rows of the vocabulary that the text has not is read, where it lies.
    assert!(lean["weights"] > 85 * MEGABYTE, "{lean:?}");
    assert!(lean["weights"] <= WEIGHTS_SIZE_BYTES + 4096, "{lean:?}");

    let twice = in_fresh_process("lean twice");
    assert_eq!(twice["mappings"], 1, "two sessions share one mapping");
    assert!(twice["anonymous"] < 80 * MEGABYTE, "{twice:?}");
    assert!(twice["weights"] < lean["weights"] + 8 * MEGABYTE, "{twice:?} {lean:?}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn lean_sessions_compute_no_private_copies_of_weights() {
    let transposed = in_fresh_process("transposed");
    assert!(transposed["anonymous_open"] < TRANSPOSED_SIZE_BYTES / 4, "{transposed:?}");
    assert!(transposed["anonymous"] < TRANSPOSED_SIZE_BYTES / 4, "{transposed:?}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn fast_sessions_hold_rearranged_weights_and_no_more() {
    let fast = in_fresh_process("fast");
    let lean = in_fresh_process("lean");
    // 12 layers of 4 products of 384 x 384 and 2 of 384 x 1536.
    let products_size_bytes: i64 = 12 * (4 * 384 * 384 + 2 * 384 * 1536) * 4;
    assert!(fast["anonymous"] > lean["anonymous"] + products_size_bytes / 2, "{fast:?} {lean:?}");
    assert!(fast["anonymous"] < WEIGHTS_SIZE_BYTES / 2, "{fast:?}");
}
