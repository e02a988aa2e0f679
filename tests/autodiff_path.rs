//! What the backward pass derives and what it refuses: only the path from the loss to the wanted
//! tensors, nothing below it, and a clear error where a rule is missing.

#[path = "support/differences.rs"]
mod differences;
#[path = "support/runtime.rs"]
mod runtime;

use std::collections::BTreeSet;

use differences::{Case, numbers};
use polygraft::graph::{attr, data_type};
use polygraft::{Code, autodiff};

#[test]
fn frozen_tensors_and_what_lies_below_cost_nothing() {
    let case = Case::new(17)
        .given("below", &[2, 4], numbers(26, 8, -1.0, 1.0))
        .wants("x", &[2, 4], numbers(27, 8, -1.0, 1.0))
        .given("frozen", &[4, 4], numbers(28, 16, -1.0, 1.0))
        .node("Exp", &["below"], "e", vec![])
        .node("Add", &["e", "x"], "s", vec![])
        .node("MatMul", &["s", "frozen"], "y", vec![]);
    case.check();
    let (graph, gradients) = case.derive().unwrap();
    assert_eq!(gradients.keys().collect::<Vec<_>>(), ["x"]);
    let appended = &graph.node[case.graph.node.len() + 2..];
    let products = appended.iter().filter(|node| node.op_type() == "Gemm");
    assert_eq!(products.count(), 1, "the product with the frozen weight, and no other");
    for node in appended {
        assert!(!matches!(node.op_type(), "Transpose" | "Exp"), "{}", node.op_type());
        assert!(node.name().starts_with("grad/"), "{}", node.name());
    }
}

#[test]
fn an_operator_without_a_rule_is_named() {
    let case = Case::new(17).wants("x", &[2], vec![0.1, 0.2]).node("Floor", &["x"], "y", vec![]);
    let error = case.derive().unwrap_err();
    assert_eq!(error.code(), Code::GraphUnsupported);
    for part in ["node 0", "Floor", "ai.onnx", "opset 17"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn an_operator_without_a_rule_off_the_path_is_no_error() {
    Case::new(17)
        .wants("x", &[2], vec![0.1, 0.2])
        .given("z", &[2], vec![0.3, 0.4])
        .node("Floor", &["z"], "s", vec![])
        .node("Mul", &["x", "s"], "y", vec![])
        .check();
}

#[test]
fn sixteen_bits_on_the_path_are_refused() {
    let case = Case::new(17)
        .wants("x", &[2], vec![0.1, 0.2])
        .node("Cast", &["x"], "h", vec![attr::int("to", data_type::FLOAT16.into())])
        .node("Cast", &["h"], "y", vec![attr::int("to", data_type::DOUBLE.into())]);
    let error = case.derive().unwrap_err();
    assert_eq!(error.code(), Code::GraphUnsupported);
    assert!(error.to_string().contains("float16"), "{error}");
}

#[test]
fn a_failure_leaves_the_graph_as_it_was() {
    let case = Case::new(17)
        .wants("x", &[2], vec![0.1, 0.2])
        .node("Floor", &["x"], "s", vec![])
        .node("Exp", &["s"], "y", vec![]);
    let (mut graph, mut shapes) = case.with_loss();
    let before = graph.clone();
    let wanted = ["x".to_owned()];
    autodiff::backward(&mut graph, 17, &mut shapes, "loss", &wanted).unwrap_err();
    assert!(graph == before);
}

#[test]
fn what_the_loss_does_not_depend_on_is_refused() {
    let case = Case::new(17)
        .wants("x", &[2], vec![0.1, 0.2])
        .given("other", &[2], vec![0.1, 0.2])
        .node("Exp", &["x"], "y", vec![]);
    let (mut graph, mut shapes) = case.with_loss();
    for (loss, wanted) in [("loss", "other"), ("loss", "nowhere"), ("nowhere", "x"), ("y", "x")] {
        let wanted = [wanted.to_owned()];
        let error = autodiff::backward(&mut graph, 17, &mut shapes, loss, &wanted).unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid, "{loss}: {error}");
    }
}

#[test]
fn every_operator_is_listed_once() {
    let all = autodiff::operators();
    let distinct: BTreeSet<_> = all.iter().map(|one| (one.domain, one.name)).collect();
    assert_eq!(all.len(), distinct.len());
    assert!(distinct.contains(&("", "MatMul")) && distinct.contains(&("com.microsoft", "Gelu")));
}
