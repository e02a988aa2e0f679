//! What the backward pass derives and what it refuses: only the path from the loss to the wanted
//! tensors, nothing below it, and a clear error where a rule is missing.

#[path = "support/differences.rs"]
mod differences;
#[path = "support/engine.rs"]
mod engine;

use std::collections::BTreeSet;

use differences::{Case, numbers};
use polygraft::graph::{attr, data_type};
use polygraft::{Code, autodiff};

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
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
    let (forward, _) = case.with_loss();
    let appended: Vec<_> = graph.node.iter().filter(|node| !forward.node.contains(node)).collect();
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
#[cfg_attr(not(set_up), ignore = "needs make setup")]
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

/// All nodes that stop gradients, nearest to the output first, and none that is only passed by.
#[test]
fn obstacles_are_all_found() {
    let case = Case::new(17)
        .wants("x", &[2], vec![0.1, 0.2])
        .given("z", &[2], vec![0.1, 0.2])
        .node("Floor", &["z"], "aside", vec![])
        .node("Ceil", &["x"], "a", vec![])
        .node("Mul", &["a", "aside"], "b", vec![])
        .node("Floor", &["b"], "c", vec![])
        .node("Exp", &["c"], "y", vec![]);
    let (graph, shapes) = case.with_loss();
    let obstacles = |from: &str, to: &str| {
        autodiff::obstacles(&graph, 17, &shapes, &[from.to_owned()], &[to.to_owned()])
    };
    let found = obstacles("x", "y");
    let named: Vec<_> = found.iter().map(|one| (&*one.node, &*one.operator, one.opset)).collect();
    assert_eq!(named, [("node 3", "Floor", 17), ("node 1", "Ceil", 17)]);
    for obstacle in &found {
        assert_eq!(obstacle.domain, "ai.onnx");
        assert!(obstacle.reason.contains("no derivative rule"), "{obstacle:?}");
        assert!(obstacle.advice.contains("adapters"), "{obstacle:?}");
    }
    assert_eq!(obstacles("b", "y").len(), 1);
    assert_eq!(obstacles("c", "y"), []);
    let unconnected = obstacles("y", "b");
    assert_eq!(unconnected.len(), 1);
    assert!(unconnected[0].node.is_empty() && !unconnected[0].reason.is_empty());
}

/// A fused node that cannot be written out is one obstacle, under its own name.
#[test]
fn fused_obstacles_are_named_once() {
    let case = Case::new(17)
        .wants("x", &[2, 3, 4], vec![0.1, 0.2])
        .given("scale", &[4], vec![1.0])
        .node_of(
            "com.microsoft",
            "SkipLayerNormalization",
            &["x", "x", "scale"],
            &["n", "mean"],
            vec![],
        )
        .node_of("com.microsoft", "BiasGelu", &["n", "scale"], &["g"], vec![])
        .node("Mul", &["g", "mean"], "y", vec![]);
    let (graph, shapes) = case.with_loss();
    let found = autodiff::obstacles(&graph, 17, &shapes, &["x".to_owned()], &["y".to_owned()]);
    let fused: Vec<_> = found.iter().filter(|one| one.domain == "com.microsoft").collect();
    assert_eq!(fused.len(), 1, "{found:?}");
    assert_eq!((&*fused[0].node, &*fused[0].operator), ("node 0", "SkipLayerNormalization"));
    assert!(fused[0].advice.contains("optimiser"), "{found:?}");
}

#[test]
fn every_operator_is_listed_once() {
    let all = autodiff::operators();
    let distinct: BTreeSet<_> = all.iter().map(|one| (one.domain, one.name)).collect();
    assert_eq!(all.len(), distinct.len());
    assert!(distinct.contains(&("", "MatMul")) && distinct.contains(&("com.microsoft", "Gelu")));
}
