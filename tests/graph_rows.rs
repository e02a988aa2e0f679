//! Graphs in which the rows of a run have an effect on each other, and graphs that round.

use polygraft::graph::{
    GraphProto, Model, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, attr, has_rounding,
    mixes_rows,
};
use std::path::Path;

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(operator.to_owned()),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn model(node: Vec<NodeProto>) -> Model {
    let tensor = |name: &str| TensorProto { name: Some(name.to_owned()), ..Default::default() };
    let graph = GraphProto {
        node,
        initializer: vec![tensor("weight"), tensor("scale")],
        ..GraphProto::default()
    };
    let proto = ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { version: Some(17), ..Default::default() }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    Model::new(proto, Path::new(".")).unwrap()
}

#[test]
fn scales_of_the_moment_are_found_wherever_they_are_made() {
    let dynamic = node("DynamicQuantizeLinear", &["states"], "codes");
    let found = mixes_rows(&model(vec![dynamic.clone()])).unwrap();
    assert!(found.contains("DynamicQuantizeLinear"), "{found}");
    let mut fused = node("DynamicQuantizeMatMul", &["states", "weight", "scale"], "product");
    fused.domain = Some("com.microsoft".to_owned());
    assert!(mixes_rows(&model(vec![fused.clone()])).is_some());
    fused.domain = Some("of.somebody.else".to_owned());
    assert_eq!(mixes_rows(&model(vec![fused])), None);
    let by_hand = node("QuantizeLinear", &["states", "largest"], "codes");
    assert!(mixes_rows(&model(vec![by_hand])).is_some());
    let body = GraphProto { node: vec![dynamic], ..GraphProto::default() };
    let mut branch = node("If", &["condition"], "either");
    branch.attribute = vec![attr::graph("then_branch", body)];
    assert!(mixes_rows(&model(vec![branch])).is_some());
}

#[test]
fn fixed_scales_and_quantised_weights_mix_nothing() {
    let fixed = node("QuantizeLinear", &["states", "scale"], "codes");
    let mut made = node("Constant", &[], "made");
    made.attribute = vec![attr::float("value_float", 0.5)];
    let of_made = node("QuantizeLinear", &["states", "made"], "others");
    let weight = node("DynamicQuantizeLinear", &["weight"], "weights");
    let model = model(vec![fixed, made, of_made, weight]);
    assert_eq!(mixes_rows(&model), None);
    assert!(has_rounding(&model));
}

#[test]
fn floats_do_not_round() {
    assert!(!has_rounding(&model(vec![node("MatMul", &["states", "weight"], "product")])));
}
