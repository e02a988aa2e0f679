//! Shape inference, compared with onnx's own, on the reference backbone, and on hostile graphs.

use std::path::{Path, PathBuf};

use polygraft::Code;
use polygraft::graph::{
    Builder, Dim, GraphProto, Model, Shapes, TensorType, ValueInfoProto, Weights, attr, data_type,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn symbol(name: &str) -> Dim {
    Dim::Symbol(name.to_owned())
}

/// Every value of a graph of all operators: at least as much is known as onnx knows.
#[test]
fn infers_what_onnx_infers() {
    let mut model = Model::read(&fixture("tests/oracle/graph_shapes.onnx")).unwrap();
    let opset = model.opset("").unwrap();
    let graph = model.graph_mut().unwrap();
    let expected: Vec<ValueInfoProto> = std::mem::take(&mut graph.value_info);
    assert!(expected.len() > 200);
    let shapes = Shapes::infer(graph, opset, None).unwrap();
    for info in &expected {
        let name = info.name();
        let onnx = TensorType::from_proto(info.r#type.as_ref().unwrap()).unwrap();
        let ours = shapes.get(name).unwrap_or_else(|| panic!("{name}: unknown, onnx: {onnx:?}"));
        assert_eq!(ours.data_type, onnx.data_type, "{name}: {ours:?}, onnx: {onnx:?}");
        let Some(onnx_shape) = onnx.shape.as_ref() else { continue };
        let our_shape = ours.shape.as_ref().unwrap_or_else(|| panic!("{name}: {onnx:?}"));
        assert_eq!(our_shape.len(), onnx_shape.len(), "{name}: {ours:?}, onnx: {onnx:?}");
        for (our, theirs) in our_shape.iter().zip(onnx_shape) {
            // onnx names sizes it does not know `unk__0`, `unk__1` and so on.
            let named = matches!(theirs, Dim::Symbol(symbol) if symbol.starts_with("unk__"));
            let agrees = named || *theirs == Dim::Unknown || our == theirs;
            assert!(agrees, "{name}: {ours:?}, onnx: {onnx:?}");
        }
    }
}

/// The shapes that a transformer needs are inferred where onnx gives up.
#[test]
fn follows_computed_sizes() {
    let mut model = Model::read(&fixture("tests/oracle/graph_shapes.onnx")).unwrap();
    let graph = model.graph_mut().unwrap();
    graph.value_info.clear();
    let shapes = Shapes::infer(graph, 21, None).unwrap();
    let of_kind = |kind: &str| -> Vec<Vec<Dim>> {
        let nodes = graph.node.iter().filter(|node| node.op_type() == kind);
        nodes.map(|node| shapes.shape(&node.output[0]).unwrap().to_vec()).collect()
    };
    let known = |size| Dim::Known(size);
    let (batch, sequence) = (symbol("batch"), symbol("sequence"));
    let reshaped = of_kind("Reshape");
    assert_eq!(reshaped[0], [batch.clone(), sequence.clone(), known(12), known(32)]);
    // [batch, 12, sequence, 32] to [0, 0, -1, 32], then [batch, sequence, 12, 32] to [0, 0, -1].
    assert_eq!(reshaped[1], [batch.clone(), known(12), sequence.clone(), known(32)]);
    assert_eq!(reshaped[2], [batch.clone(), sequence.clone(), known(384)]);
    let expanded = of_kind("Expand");
    assert_eq!(expanded.last().unwrap()[..], [batch, known(1), sequence.clone(), sequence]);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn knows_the_reference_backbone() {
    let model = Model::read(&fixture(".cache/backbone/e5-small/model.onnx")).unwrap();
    let weights = Weights::map(&model).unwrap();
    let mut graph = model.graph().unwrap().clone();
    graph.value_info.clear();
    // The shape of the output is to be found, not read.
    graph.output.iter_mut().for_each(|output| output.r#type = None);
    let shapes = Shapes::infer(&graph, model.opset("").unwrap(), Some(&weights)).unwrap();
    for node in &graph.node {
        let rank = shapes.rank(&node.output[0]);
        assert!(rank.is_some(), "{} {:?} has no known rank", node.op_type(), node.output);
        assert!(shapes.data_type(&node.output[0]).is_some(), "{:?}", node.output);
    }
    let expected = [symbol("batch"), symbol("sequence"), Dim::Known(384)];
    assert_eq!(shapes.shape("last_hidden_state").unwrap(), expected);
    assert_eq!(shapes.data_type("last_hidden_state"), Some(data_type::FLOAT));
}

fn float_input(name: &str, shape: Vec<Dim>) -> ValueInfoProto {
    TensorType::new(data_type::FLOAT, shape).to_value_info(name)
}

#[test]
fn an_input_with_a_default_keeps_its_symbolic_rank() {
    let mut graph = GraphProto {
        input: vec![
            float_input("x", vec![symbol("batch"), Dim::Known(8)]),
            float_input("lora_A", vec![Dim::Known(8), symbol("r")]),
        ],
        ..GraphProto::default()
    };
    let mut builder = Builder::new(&mut graph, "");
    let product = builder.node("MatMul", &["x", "lora_A"], vec![]);
    graph.initializer.push(polygraft::graph::TensorProto {
        name: Some("lora_A".into()),
        data_type: Some(data_type::FLOAT),
        dims: vec![8, 0],
        ..Default::default()
    });
    let shapes = Shapes::infer(&graph, 17, None).unwrap();
    assert_eq!(shapes.shape(&product).unwrap(), [symbol("batch"), symbol("r")]);
}

#[test]
fn different_symbols_broadcast_to_unknown() {
    let mut graph = GraphProto {
        input: vec![
            float_input("left", vec![symbol("a"), symbol("b"), Dim::Known(1)]),
            float_input("right", vec![symbol("c"), symbol("b"), symbol("d")]),
        ],
        ..GraphProto::default()
    };
    let mut builder = Builder::new(&mut graph, "");
    let sum = builder.node("Add", &["left", "right"], vec![]);
    let merged = builder.constant_i64(&[-1]);
    let flat = builder.node("Reshape", &["right", &merged], vec![]);
    let shapes = Shapes::infer(&graph, 17, None).unwrap();
    assert_eq!(shapes.shape(&sum).unwrap(), [Dim::Unknown, symbol("b"), symbol("d")]);
    assert_eq!(shapes.shape(&flat).unwrap(), [symbol("b*c*d")]);
}

#[test]
fn axes_come_from_attributes_in_old_operator_sets() {
    let mut graph = GraphProto {
        input: vec![float_input("x", vec![symbol("a"), Dim::Known(6), Dim::Known(4)])],
        ..GraphProto::default()
    };
    let mut builder = Builder::new(&mut graph, "");
    let axes = |axes: &[i64]| vec![attr::ints("axes", axes)];
    let mean = builder.node("ReduceMean", &["x"], axes(&[-1]));
    let added = builder.node("Unsqueeze", &["x"], axes(&[0, 2]));
    let removed = builder.node("Squeeze", &[&added], axes(&[0, -3]));
    let bounds =
        vec![attr::ints("starts", &[1]), attr::ints("ends", &[-1]), attr::ints("axes", &[1])];
    let cut = builder.node("Slice", &["x"], bounds);
    let parts = ["left", "right"];
    let split = vec![attr::int("axis", 1), attr::ints("split", &[2, 4])];
    builder.node_named("Split", "", &["x"], &parts, split);
    let shapes = Shapes::infer(&graph, 11, None).unwrap();
    let a = symbol("a");
    let known = Dim::Known;
    assert_eq!(shapes.shape(&mean).unwrap(), [a.clone(), known(6), known(1)]);
    assert_eq!(shapes.shape(&added).unwrap(), [known(1), a.clone(), known(1), known(6), known(4)]);
    assert_eq!(shapes.shape(&removed).unwrap(), [a.clone(), known(6), known(4)]);
    assert_eq!(shapes.shape(&cut).unwrap(), [a.clone(), known(4), known(4)]);
    assert_eq!(shapes.shape(parts[1]).unwrap(), [a, known(4), known(4)]);
}

/// Exporters guard cases by comparing sizes: the branch that is taken tells the shape, and what
/// both branches agree on holds in any case.
#[test]
fn branches_tell_what_they_agree_on() {
    let branch = |shape: Vec<Dim>, outer: Option<&str>| {
        let mut graph = GraphProto::default();
        let mut builder = Builder::new(&mut graph, "inner/");
        let made = match outer {
            Some(outer) => builder.node("Identity", &[outer], vec![]),
            None => builder.node("Mystery", &["x"], vec![]),
        };
        graph.output.push(float_input(&made, shape));
        graph
    };
    let mut graph = GraphProto {
        input: vec![
            float_input("x", vec![symbol("a"), symbol("a"), symbol("b")]),
            TensorType::new(data_type::BOOL, vec![]).to_value_info("unknown"),
        ],
        ..GraphProto::default()
    };
    let mut builder = Builder::new(&mut graph, "");
    let sizes = builder.node("Shape", &["x"], vec![]);
    let places = [0, 1].map(|place| builder.constant_i64_scalar(place));
    let [left, right] = places.map(|place| builder.node("Gather", &[&sizes, &place], vec![]));
    let equal = builder.node("Equal", &[&left, &right], vec![]);
    let branches = || {
        let rank_3 = branch(vec![symbol("inner"), Dim::Known(2), Dim::Known(3)], Some("x"));
        let rank_1 = branch(vec![Dim::Known(5)], None);
        vec![attr::graph("then_branch", rank_3), attr::graph("else_branch", rank_1)]
    };
    let taken = builder.node("If", &[&equal], branches());
    let not_equal = builder.node("Not", &[&equal], vec![]);
    let other = builder.node("If", &[&not_equal], branches());
    let either = builder.node("If", &["unknown"], branches());
    let agreeing = builder.node(
        "If",
        &["unknown"],
        vec![
            attr::graph("then_branch", branch(vec![symbol("p"), Dim::Known(2)], None)),
            attr::graph("else_branch", branch(vec![symbol("p"), Dim::Known(2)], None)),
        ],
    );
    let shapes = Shapes::infer(&graph, 17, None).unwrap();
    assert_eq!(shapes.shape(&taken).unwrap(), [symbol("a"), symbol("a"), symbol("b")]);
    assert_eq!(shapes.shape(&other).unwrap(), [Dim::Known(5)]);
    assert_eq!(shapes.shape(&either), None);
    assert_eq!(shapes.data_type(&either), Some(data_type::FLOAT));
    assert_eq!(shapes.shape(&agreeing).unwrap(), [Dim::Unknown, Dim::Known(2)]);
}

#[test]
fn an_unknown_operator_leaves_its_outputs_unknown() {
    let mut graph =
        GraphProto { input: vec![float_input("x", vec![Dim::Known(2)])], ..GraphProto::default() };
    let mut builder = Builder::new(&mut graph, "");
    builder.node_named("Mystery", "com.example", &["x"], &["made"], vec![]);
    let after = builder.node("Relu", &["made"], vec![]);
    let product = builder.node("MatMul", &["made", "x"], vec![]);
    let shapes = Shapes::infer(&graph, 17, None).unwrap();
    assert_eq!(shapes.get("made"), None);
    assert_eq!(shapes.get(&after), None);
    assert_eq!(shapes.rank(&product), None);
}

/// Each `Gather` of a value by itself nearly doubles the rank: 2^60 axes would not fit anywhere.
#[test]
fn doubling_ranks_stay_bounded() {
    let mut graph = GraphProto {
        input: vec![TensorType::of_dims(data_type::INT64, &[2, 2]).to_value_info("x")],
        ..GraphProto::default()
    };
    let mut builder = Builder::new(&mut graph, "");
    let mut value = "x".to_owned();
    for _ in 0..60 {
        value = builder.node("Gather", &[&value, &value], vec![]);
    }
    let shapes = Shapes::infer(&graph, 17, None).unwrap();
    assert_eq!(shapes.rank(&value), None);
}

#[test]
fn a_cycle_is_an_error() {
    let mut graph = GraphProto::default();
    let mut builder = Builder::new(&mut graph, "");
    builder.node_named("Relu", "", &["b"], &["a"], vec![]);
    builder.node_named("Relu", "", &["a"], &["b"], vec![]);
    let error = Shapes::infer(&graph, 17, None).unwrap_err();
    assert_eq!(error.code(), Code::GraphMalformed);
    assert!(error.message().contains("cycle"), "{error}");
}
