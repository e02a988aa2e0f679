//! Max, Min and Clip, and what becomes of equal operands.

use crate::differences::{Case, numbers};
use crate::{broadcast, cases};
use polygraft::Code;
use polygraft::graph::{TensorType, data_type};
use polygraft::runtime::{Session, SessionOptions, Value};
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases())]

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn extrema_with_broadcasting(
        op in prop::sample::select(vec!["Max", "Min"]),
        [a, b] in broadcast(),
        symbolic: bool,
        seed: u64,
    ) {
        // Steps of 0.1 keep the operands apart, whatever the step of the differences.
        let apart = |numbers: Vec<f64>, offset: f64| -> Vec<f64> {
            numbers.into_iter().map(|value| (value * 10.0).round() / 10.0 + offset).collect()
        };
        let mut case = Case::new(17)
            .wants("a", &a, apart(numbers(seed, 64, -2.0, 2.0), 0.0))
            .wants("b", &b, apart(numbers(seed ^ 1, 64, -2.0, 2.0), 0.03))
            .wants("c", &[], apart(numbers(seed ^ 2, 1, -1.0, 1.0), 0.06))
            .node(op, &["a", "b", "c"], "y", vec![]);
        case.symbolic = symbolic;
        case.check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn clipping() {
    let values = || vec![-3.0, -1.2, -0.4, 0.3, 0.8, 1.9];
    for inputs in [&["x", "low", "high"][..], &["x", "low"], &["x", "", "high"], &["x"]] {
        for opset in [11, 13] {
            let mut case = Case::new(opset);
            case.element = data_type::FLOAT;
            case.wants("x", &[2, 3], values())
                .number("low", &[], -1.0)
                .number("high", &[], 1.0)
                .node("Clip", inputs, "y", vec![])
                .check();
        }
    }
    let bound = Case::new(13).wants("x", &[2, 3], values()).wants("low", &[], vec![-1.0]).node(
        "Clip",
        &["x", "low"],
        "y",
        vec![],
    );
    assert_eq!(bound.derive().unwrap_err().code(), Code::GraphUnsupported);
}

/// Where operands are equal there is no derivative, but the parts must add up to the gradient.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn equal_operands_share_one_gradient() {
    let case = Case::new(17)
        .wants("a", &[3], vec![1.0, 2.0, 3.0])
        .wants("b", &[3], vec![1.0, 5.0, 3.0])
        .node("Max", &["a", "b", "a"], "y", vec![]);
    let (mut graph, gradients) = case.derive().unwrap();
    let outputs = gradients.values().map(|name| TensorType::unranked(11).to_value_info(name));
    graph.output = outputs.collect();
    let model = crate::differences::model_bytes(&graph, 17);
    let engine = crate::engine::engine();
    let session = Session::open(&engine, &model, None, &SessionOptions::default()).unwrap();
    let f64s = |values: &[f64]| Value::f64(&[3], values.to_vec()).unwrap();
    let inputs = [f64s(&[1.0, 2.0, 3.0]), f64s(&[1.0, 5.0, 3.0]), f64s(&[1.0, 10.0, 100.0])];
    let given = ["a", "b", "weights"].into_iter().zip(&inputs).collect::<Vec<_>>();
    let names: Vec<&str> = gradients.values().map(String::as_str).collect();
    let found = session.run(&given, &names, None).unwrap();
    assert_eq!(found[0].as_f64().unwrap(), [1.0, 0.0, 100.0]);
    assert_eq!(found[1].as_f64().unwrap(), [0.0, 10.0, 0.0]);
}
