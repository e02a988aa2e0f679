//! Sessions: what goes in comes out computed, from many threads, until cancelled, and every
//! refusal says what was wrong.

#[path = "support/external.rs"]
mod external;
#[path = "support/small_model.rs"]
mod small_model;
#[path = "support/engine.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use polygraft::Code;
use polygraft::graph::{Builder, Dim, Model, TensorProto, TensorType, Weights, attr, data_type};
use polygraft::runtime::{Cancel, Mode, Session, SessionOptions, Value};

use data_type::{BOOL, DOUBLE, FLOAT, INT64};

/// `W`, 3 x 2.
const WEIGHT: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

/// A float initializer without elements.
fn empty(name: &str, dims: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type::FLOAT),
        dims: dims.to_vec(),
        raw_data: Some(Default::default()),
        ..TensorProto::default()
    }
}

/// `y = x W + (x A) B`, where `W` lies in a file at `offset` and `A`, `B` default to rank 0.
fn adapted_model(folder: &Path, offset: usize) -> Model {
    let mut bytes = vec![0xff; offset];
    bytes.extend(WEIGHT.iter().flat_map(|value| value.to_le_bytes()));
    std::fs::write(folder.join("weights"), bytes).unwrap();
    let mut graph = small_model::graph(&[], &[("y", FLOAT)]);
    let rank = Dim::Symbol("rank".to_owned());
    for (name, shape) in [
        ("x", vec![Dim::Unknown, Dim::Known(3)]),
        ("A", vec![Dim::Known(3), rank.clone()]),
        ("B", vec![rank, Dim::Known(2)]),
    ] {
        graph.input.push(TensorType::new(FLOAT, shape).to_value_info(name));
    }
    graph.initializer.push(external::external("W", &[3, 2], "weights", offset));
    graph.initializer.push(empty("A", &[3, 0]));
    graph.initializer.push(empty("B", &[0, 2]));
    let mut builder = Builder::new(&mut graph, "n.");
    let base = builder.node("MatMul", &["x", "W"], vec![]);
    let down = builder.node("MatMul", &["x", "A"], vec![]);
    let up = builder.node("MatMul", &[&down, "B"], vec![]);
    builder.node_named("Add", "", &[&base, &up], &["y"], vec![]);
    small_model::model(graph, folder)
}

fn open(model: &Model, options: &SessionOptions) -> Session {
    let weights = Weights::map(model).unwrap();
    Session::open(&support::engine(), &model.to_bytes(), Some(&weights), options).unwrap()
}

fn adapted_session(mode: Mode) -> Session {
    let folder = tempfile::tempdir().unwrap();
    open(&adapted_model(folder.path(), 0), &SessionOptions { mode, ..Default::default() })
}

/// A row of `x` through the model by hand.
fn by_hand(x: [f32; 3], a: &[f32], b: &[f32]) -> [f32; 2] {
    let rank = a.len() / 3;
    let mut y = [0.0; 2];
    for (column, sum) in y.iter_mut().enumerate() {
        for row in 0..3 {
            *sum += x[row] * WEIGHT[row * 2 + column];
            for inner in 0..rank {
                *sum += x[row] * a[row * rank + inner] * b[inner * 2 + column];
            }
        }
    }
    y
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn one_session_serves_the_bare_model_and_adapters_of_any_rank() {
    for mode in [Mode::Lean, Mode::Fast] {
        let session = adapted_session(mode);
        assert_eq!(session.input_names(), ["x"]);
        assert_eq!(session.optional_input_names(), ["A", "B"]);
        assert_eq!(session.output_names(), ["y"]);
        let row = [1.0, -2.0, 0.5];
        let x = Value::f32(&[1, 3], row.to_vec()).unwrap();
        let bare = session.run(&[("x", &x)], &["y"], None).unwrap();
        assert_eq!(bare[0].shape(), [1, 2]);
        assert_eq!(bare[0].as_f32().unwrap(), by_hand(row, &[], &[]));
        for rank in [0, 1, 2, 5] {
            let a: Arc<[f32]> = (0..3 * rank).map(|index| index as f32).collect();
            let b: Arc<[f32]> = (0..2 * rank).map(|index| 1.0 - index as f32).collect();
            let a_value = Value::f32_shared(&[3, rank], Arc::clone(&a)).unwrap();
            let b_value = Value::f32_shared(&[rank, 2], Arc::clone(&b)).unwrap();
            let inputs = [("x", &x), ("B", &b_value), ("A", &a_value)];
            let adapted = session.run(&inputs, &["y"], None).unwrap();
            assert_eq!(adapted[0].as_f32().unwrap(), by_hand(row, &a, &b), "rank {rank}");
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_weight_at_an_odd_place_of_its_file_is_read_correctly() {
    let folder = tempfile::tempdir().unwrap();
    let session = open(&adapted_model(folder.path(), 1), &SessionOptions::default());
    let x = Value::f32(&[1, 3], vec![1.0, 1.0, 1.0]).unwrap();
    let y = session.run(&[("x", &x)], &["y"], None).unwrap();
    assert_eq!(y[0].as_f32().unwrap(), [9.0, 12.0]);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn threads_that_run_one_session_get_what_one_thread_gets() {
    let session = adapted_session(Mode::Lean);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let session = &session;
            scope.spawn(move || {
                for round in 0..200 {
                    let row = [thread as f32, round as f32, 1.0];
                    let rank = round % 3;
                    let a = vec![thread as f32; 3 * rank];
                    let b = vec![1.0; 2 * rank];
                    let x = Value::f32(&[1, 3], row.to_vec()).unwrap();
                    let a_value = Value::f32(&[3, rank], a.clone()).unwrap();
                    let b_value = Value::f32(&[rank, 2], b.clone()).unwrap();
                    let inputs = [("x", &x), ("A", &a_value), ("B", &b_value)];
                    let y = session.run(&inputs, &["y"], None).unwrap();
                    assert_eq!(y[0].as_f32().unwrap(), by_hand(row, &a, &b));
                }
            });
        }
    });
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn values_outlive_their_session_and_their_inputs() {
    let mut graph =
        small_model::graph(&[("x", FLOAT)], &[("same", FLOAT), ("x", FLOAT), ("double", FLOAT)]);
    let mut builder = Builder::new(&mut graph, "n.");
    builder.node_named("Identity", "", &["x"], &["same"], vec![]);
    builder.node_named("Add", "", &["x", "x"], &["double"], vec![]);
    let model = small_model::model(graph, Path::new("."));
    let session = open(&model, &SessionOptions { mode: Mode::Fast, ..Default::default() });
    // Large enough that released memory goes back to the system and reading it would fault.
    let elements: Vec<f32> = (0..1 << 20).map(|index| index as f32).collect();
    let x = Value::f32(&[1 << 20], elements.clone()).unwrap();
    let results = session.run(&[("x", &x)], &["same", "x", "double"], None).unwrap();
    drop(x);
    drop(session);
    assert_eq!(results[0].as_f32().unwrap(), elements);
    assert_eq!(results[1].as_f32().unwrap(), elements);
    assert!(results[2].as_f32().unwrap().iter().zip(&elements).all(|(y, x)| *y == 2.0 * x));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_element_type_goes_in_and_comes_out() {
    let mut graph = small_model::graph(
        &[("d", DOUBLE), ("i", INT64), ("b", BOOL)],
        &[("d2", DOUBLE), ("i2", INT64), ("b2", BOOL), ("e", FLOAT)],
    );
    let mut builder = Builder::new(&mut graph, "n.");
    builder.node_named("Neg", "", &["d"], &["d2"], vec![]);
    builder.node_named("Neg", "", &["i"], &["i2"], vec![]);
    builder.node_named("Not", "", &["b"], &["b2"], vec![]);
    let nothing = builder.constant_i64(&[0, 3]);
    builder.node_named("ConstantOfShape", "", &[&nothing], &["e"], vec![]);
    let session = open(&small_model::model(graph, Path::new(".")), &SessionOptions::default());
    let d = Value::f64(&[2], vec![0.1, -1e300]).unwrap();
    let i = Value::i64(&[], vec![i64::MAX]).unwrap();
    let b = Value::bool(&[1, 2], &[true, false]).unwrap();
    let inputs = [("d", &d), ("i", &i), ("b", &b)];
    let results = session.run(&inputs, &["b2", "e", "i2", "d2"], None).unwrap();
    assert_eq!(results[0].as_bytes(), [0, 1]);
    assert_eq!(results[1].shape(), [0, 3]);
    assert!(results[1].as_f32().unwrap().is_empty());
    assert_eq!(results[2].as_i64().unwrap(), [-i64::MAX]);
    assert_eq!(results[2].shape(), [0_i64; 0]);
    assert_eq!(results[3].as_f64().unwrap(), [-0.1, 1e300]);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn cancelling_ends_a_run_that_would_not_end() {
    let mut body = small_model::graph(&[], &[("go_on", BOOL), ("next", FLOAT)]);
    for (name, element, dims) in
        [("round", INT64, &[][..]), ("go", BOOL, &[]), ("sum", FLOAT, &[1])]
    {
        body.input.push(TensorType::of_dims(element, dims).to_value_info(name));
    }
    body.name = Some("body".to_owned());
    let mut builder = Builder::new(&mut body, "b.");
    builder.node_named("Identity", "", &["go"], &["go_on"], vec![]);
    builder.node_named("Add", "", &["sum", "sum"], &["next"], vec![]);
    let mut graph = small_model::graph(&[("x", FLOAT), ("go", BOOL)], &[("y", FLOAT)]);
    let mut builder = Builder::new(&mut graph, "n.");
    builder.node_named("Loop", "", &["", "go", "x"], &["y"], vec![attr::graph("body", body)]);
    let session = open(&small_model::model(graph, Path::new(".")), &SessionOptions::default());
    let x = Value::f32(&[1], vec![1.0]).unwrap();
    let go = Value::bool(&[], &[true]).unwrap();
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let run = || session.run(&[("x", &x), ("go", &go)], &["y"], Some(&cancel));
        let runs = [scope.spawn(run), scope.spawn(run)];
        std::thread::sleep(Duration::from_millis(100));
        cancel.clone().cancel();
        for run in runs {
            let error = run.join().unwrap().unwrap_err();
            assert_eq!(error.code(), Code::Cancelled, "{error}");
        }
    });
    // The token stays cancelled; the session can run with another one.
    assert!(cancel.is_cancelled());
    let late = session.run(&[("x", &x), ("go", &go)], &["y"], Some(&cancel)).unwrap_err();
    assert_eq!(late.code(), Code::Cancelled);
    let stop = Value::bool(&[], &[false]).unwrap();
    let fresh = session.run(&[("x", &x), ("go", &stop)], &["y"], Some(&Cancel::new())).unwrap();
    assert_eq!(fresh[0].as_f32().unwrap(), [1.0]);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn refusals_say_what_was_wrong_and_the_session_goes_on() {
    let session = adapted_session(Mode::Lean);
    let x = Value::f32(&[1, 3], vec![1.0; 3]).unwrap();
    let wide = Value::f32(&[1, 4], vec![1.0; 4]).unwrap();
    let whole = Value::i64(&[1, 3], vec![1; 3]).unwrap();
    type Case<'c> = (&'c [(&'c str, &'c Value)], &'c [&'c str], Code, &'c str);
    let cases: [Case; 6] = [
        (&[("x", &x), ("z", &x)], &["y"], Code::ArgumentInvalid, "\"z\""),
        (&[("x", &x)], &["z"], Code::ArgumentInvalid, "\"z\""),
        (&[("x\0", &x)], &["y"], Code::ArgumentInvalid, "x\\0"),
        (&[], &["y"], Code::RuntimeFailed, "x"),
        (&[("x", &wide)], &["y"], Code::RuntimeFailed, "Expected: 3"),
        (&[("x", &whole)], &["y"], Code::RuntimeFailed, "int64"),
    ];
    for (inputs, outputs, code, text) in cases {
        let error = session.run(inputs, outputs, None).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(session.run(&[("x", &x)], &["y"], None).is_ok());
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn bytes_that_are_no_model_are_refused() {
    let engine = support::engine();
    let folder = tempfile::tempdir().unwrap();
    let bytes = adapted_model(folder.path(), 0).to_bytes();
    let mut unknown = small_model::graph(&[("x", FLOAT)], &[("y", FLOAT)]);
    let mut builder = Builder::new(&mut unknown, "n.");
    builder.node_named("NoSuchOperator", "", &["x"], &["y"], vec![]);
    let unknown = small_model::model(unknown, folder.path()).to_bytes();
    for model in [&[][..], b"not a model", &bytes[..bytes.len() / 2], &unknown] {
        let error = Session::open(&engine, model, None, &SessionOptions::default()).unwrap_err();
        assert_eq!(error.code(), Code::RuntimeFailed, "{error}");
    }
    let options = SessionOptions { threads: usize::MAX, ..Default::default() };
    let error = Session::open(&engine, &bytes, None, &options).unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid);
}
