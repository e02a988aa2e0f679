//! Functions that models bring along, written out: ONNX Runtime, which writes them out itself,
//! gives the same results before and after.

#[path = "support/engine.rs"]
mod engine;

use polygraft::graph::{
    AttributeProto, FunctionProto, GraphProto, Model, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorType, attr, attribute_type, data_type, inline_functions,
};
use polygraft::runtime::{Session, SessionOptions, Value};

const DOMAIN: &str = "local";
const OPSET: i64 = 17;

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        input: owned(inputs),
        output: owned(outputs),
        ..NodeProto::default()
    }
}

fn call(name: &str, inputs: &[&str], outputs: &[&str], given: Vec<AttributeProto>) -> NodeProto {
    let domain = Some(DOMAIN.to_owned());
    let called = format!("/{name}/{}", outputs[0]);
    NodeProto { domain, name: Some(called), attribute: given, ..node(name, inputs, outputs) }
}

/// An attribute of a body whose value the call gives.
fn given(name: &str, by: &str, r#type: i32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ref_attr_name: Some(by.to_owned()),
        r#type: Some(r#type),
        ..AttributeProto::default()
    }
}

fn sets(all: &[(&str, i64)]) -> Vec<OperatorSetIdProto> {
    let set = |&(domain, version): &(&str, i64)| OperatorSetIdProto {
        domain: Some(domain.to_owned()),
        version: Some(version),
    };
    all.iter().map(set).collect()
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], node: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: Some(name.to_owned()),
        domain: Some(DOMAIN.to_owned()),
        input: owned(inputs),
        output: owned(outputs),
        node,
        opset_import: sets(&[("", OPSET), (DOMAIN, 1)]),
        ..FunctionProto::default()
    }
}

/// A model from `x` and `yes` to the outputs, all of two floats.
fn model(node: Vec<NodeProto>, outputs: &[&str], functions: Vec<FunctionProto>) -> Model {
    let floats = |name: &str| TensorType::of_dims(data_type::FLOAT, &[2]).to_value_info(name);
    let graph = GraphProto {
        name: Some("test".to_owned()),
        input: vec![floats("x"), TensorType::of_dims(data_type::BOOL, &[]).to_value_info("yes")],
        output: outputs.iter().map(|name| floats(name)).collect(),
        initializer: vec![weight("w", &[3.0, -1.0])],
        node,
        ..GraphProto::default()
    };
    let proto = ModelProto {
        ir_version: Some(9),
        opset_import: sets(&[("", OPSET), (DOMAIN, 1)]),
        graph: Some(graph),
        functions,
        ..ModelProto::default()
    };
    Model::new(proto, std::path::Path::new(".")).unwrap()
}

fn weight(name: &str, values: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type::FLOAT),
        dims: vec![values.len() as i64],
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    }
}

/// Every output of the model, one after another.
fn run(model: &Model, yes: bool) -> Vec<f32> {
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let session = Session::open(&engine::engine(), &model.to_bytes(), None, &options).unwrap();
    let x = Value::f32(&[2], vec![0.5, -2.0]).unwrap();
    let yes = Value::bool(&[], &[yes]).unwrap();
    let outputs: Vec<&str> =
        model.graph().unwrap().output.iter().map(|output| output.name()).collect();
    let found = session.run(&[("x", &x), ("yes", &yes)], &outputs, None).unwrap();
    found.iter().flat_map(|value| value.as_f32().unwrap().to_vec()).collect()
}

/// Writes the functions out and checks that the model still gives `expected`.
fn written_out(mut model: Model, expected: &[f32]) -> Model {
    for yes in [true, false] {
        let before = run(&model, yes);
        let mut after = model.clone();
        inline_functions(&mut after).unwrap();
        assert_eq!(run(&after, yes), before);
        if yes {
            assert_eq!(before, expected);
        }
    }
    inline_functions(&mut model).unwrap();
    assert_eq!(model.functions_left(), []);
    assert!(model.proto.functions.is_empty());
    model
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn bodies_take_the_place_of_calls_and_of_calls_in_bodies() {
    // The names of the bodies are those of the graph, on purpose.
    let scale = function("Scale", &["x", "w"], &["y"], vec![node("Mul", &["x", "w"], &["y"])]);
    let twice = function(
        "Twice",
        &["y", "w"],
        &["x"],
        vec![
            call("Scale", &["y", "w"], &["t"], vec![]),
            call("Scale", &["t", "w"], &["x"], vec![]),
        ],
    );
    let nodes = vec![
        call("Twice", &["x", "w"], &["t"], vec![]),
        call("Twice", &["t", "w"], &["u"], vec![]),
        node("Add", &["u", "x"], &["y"]),
    ];
    let found = written_out(model(nodes, &["y"], vec![scale, twice]), &[41.0, -4.0]);
    let operators: Vec<&str> =
        found.graph().unwrap().node.iter().map(|node| node.op_type()).collect();
    assert_eq!(operators, ["Mul", "Mul", "Mul", "Mul", "Add"]);
    assert_eq!(found.graph().unwrap().node[0].name(), "/Scale/t/Mul");
    assert_eq!(found.graph().unwrap().node[3].output, ["u"]);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn attributes_come_from_the_call_from_the_function_or_from_the_operator() {
    let float = attribute_type::FLOAT;
    let mut body = node("Elu", &["x"], &["y"]);
    body.attribute = vec![given("alpha", "steepness", float)];
    let mut without_default = function("Plain", &["x"], &["y"], vec![body]);
    let mut with_default = without_default.clone();
    with_default.name = Some("Steep".to_owned());
    without_default.attribute = owned(&["steepness"]);
    with_default.attribute_proto = vec![attr::float("steepness", 4.0)];
    // Passed on to a function inside.
    let mut inner = call("Steep", &["x"], &["y"], vec![given("steepness", "outer", float)]);
    inner.name = None;
    let mut outer = function("Outer", &["x"], &["y"], vec![inner]);
    outer.attribute_proto = vec![attr::float("outer", 8.0)];
    let nodes = vec![
        call("Plain", &["x"], &["a"], vec![attr::float("steepness", 2.0)]),
        call("Plain", &["x"], &["b"], vec![]),
        call("Steep", &["x"], &["c"], vec![]),
        call("Outer", &["x"], &["d"], vec![]),
        call("Outer", &["x"], &["e"], vec![attr::float("outer", 16.0)]),
    ];
    let model =
        model(nodes, &["a", "b", "c", "d", "e"], vec![without_default, with_default, outer]);
    let below = (-2.0f32).exp_m1();
    let expected = [2.0, 1.0, 4.0, 8.0, 16.0].map(|alpha| [0.5, alpha * below]).concat();
    let found = written_out(model, &expected);
    let alphas = found.graph().unwrap().node.iter().map(|node| node.attribute.len());
    assert_eq!(alphas.collect::<Vec<_>>(), [1, 0, 1, 1, 1]);
}

/// `Clip` and its negative, with bounds that a call may leave out.
fn bound(outputs: &[&str]) -> FunctionProto {
    let body =
        vec![node("Clip", &["x", "least", "most"], &["kept"]), node("Neg", &["kept"], &["turned"])];
    function("Bound", &["x", "least", "most"], outputs, body)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn inputs_and_outputs_may_be_left_out() {
    let zero = NodeProto {
        attribute: vec![attr::tensor("value", TensorProto { dims: vec![], ..weight("", &[0.0]) })],
        ..node("Constant", &[], &["zero"])
    };
    let nodes = vec![
        zero,
        call("Bound", &["x", "zero"], &["a", ""], vec![]),
        call("Bound", &["x", "", "zero"], &["b", "c"], vec![]),
        NodeProto { name: None, ..call("Bound", &["x"], &["d"], vec![]) },
    ];
    let mut last = nodes;
    last[3].output = owned(&["", "d"]);
    let expected = [0.5, 0.0, 0.0, -2.0, 0.0, 2.0, -0.5, 2.0];
    let found = written_out(
        model(last, &["a", "b", "c", "d"], vec![bound(&["kept", "turned"])]),
        &expected,
    );
    let missing = &found.graph().unwrap().node[5];
    assert_eq!(missing.input, ["x", "", ""]);
}

/// ONNX Runtime takes such a function only once it is written out.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_output_may_be_an_input() {
    let nodes = vec![call("Bound", &["x"], &["a", "same"], vec![])];
    let mut model = model(nodes, &["a", "same"], vec![bound(&["kept", "x"])]);
    inline_functions(&mut model).unwrap();
    assert_eq!(run(&model, true), [0.5, -2.0, 0.5, -2.0]);
}

/// A branch of one node, whose inputs come from outside.
fn branch(one: NodeProto) -> GraphProto {
    let output = TensorType::of_dims(data_type::FLOAT, &[2]).to_value_info(&one.output[0]);
    let name = Some(one.output[0].clone());
    GraphProto { name, node: vec![one], output: vec![output], ..GraphProto::default() }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn graphs_inside_of_nodes_call_and_are_called() {
    let choose = |then: NodeProto, other: NodeProto, output: &str| NodeProto {
        attribute: vec![
            attr::graph("then_branch", branch(then)),
            attr::graph("else_branch", branch(other)),
        ],
        ..node("If", &["yes"], &[output])
    };
    let add = function(
        "Plus",
        &["yes", "x", "w"],
        &["y"],
        vec![
            node("Add", &["x", "w"], &["sum"]),
            choose(node("Neg", &["sum"], &["t"]), node("Mul", &["sum", "w"], &["e"]), "y"),
        ],
    );
    let nodes = vec![
        node("Mul", &["x", "x"], &["sum"]),
        choose(
            call("Plus", &["yes", "sum", "w"], &["t"], vec![]),
            call("Plus", &["yes", "w", "sum"], &["e"], vec![]),
            "y",
        ),
    ];
    written_out(model(nodes, &["y"], vec![add]), &[-3.25, -3.0]);
}

fn left(mut model: Model, reason: &str) -> Model {
    let before = model.proto.functions.clone();
    inline_functions(&mut model).unwrap();
    let found: Vec<&str> = model.functions_left().iter().map(|one| one.reason.as_str()).collect();
    assert!(found.iter().any(|found| found.contains(reason)), "{reason:?} is not in {found:?}");
    assert_eq!(model.proto.functions, before);
    model
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_cannot_be_written_out_stays_and_still_runs() {
    let body = || vec![node("Mul", &["x", "x"], &["y"])];
    let square = || function("Square", &["x"], &["y"], body());
    let nodes = || vec![call("Square", &["x"], &["y"], vec![])];
    let older = FunctionProto { opset_import: sets(&[("", 14)]), ..square() };
    let model_of_older = model(nodes(), &["y"], vec![older]);
    let found =
        left(model_of_older, "its operators are of ai.onnx 14, those of the model of ai.onnx 17");
    assert_eq!(run(&found, true), [0.25, 4.0]);
    let unknown = FunctionProto { opset_import: vec![], ..square() };
    left(model(nodes(), &["y"], vec![unknown]), "does not import the operators of ai.onnx");
    left(model(nodes(), &["y"], vec![square(), square()]), "defined twice");
    let many = vec![call("Square", &["x", "x"], &["y"], vec![])];
    left(model(many, &["y"], vec![square()]), "a call has 2 inputs, it takes at most 1");
    let itself = function("Square", &["x"], &["y"], nodes());
    left(model(nodes(), &["y"], vec![itself]), "it calls itself");
    // One function that stays does not keep another from being written out.
    let older = FunctionProto { opset_import: sets(&[("", 14)]), ..square() };
    let outer = function(
        "Outer",
        &["x"],
        &["y"],
        vec![call("Square", &["x"], &["t"], vec![]), node("Neg", &["t"], &["y"])],
    );
    let both = model(vec![call("Outer", &["x"], &["y"], vec![])], &["y"], vec![older, outer]);
    let found = left(both, "ai.onnx 14");
    assert_eq!(found.graph().unwrap().node[1].op_type(), "Neg");
    assert_eq!(run(&found, true), [-0.25, -4.0]);
}

/// Each function calls the one before it twice: a body of two nodes would become 2^40.
#[test]
fn doubling_functions_are_refused_before_they_grow() {
    let mut functions = vec![function("F0", &["x"], &["y"], vec![node("Neg", &["x"], &["y"])])];
    for level in 1..40 {
        let below = format!("F{}", level - 1);
        functions.push(function(
            &format!("F{level}"),
            &["x"],
            &["y"],
            vec![call(&below, &["x"], &["t"], vec![]), call(&below, &["t"], &["y"], vec![])],
        ));
    }
    let mut deep = model(vec![call("F39", &["x"], &["y"], vec![])], &["y"], functions);
    inline_functions(&mut deep).unwrap();
    let reasons: Vec<&str> = deep.functions_left().iter().map(|one| one.reason.as_str()).collect();
    assert!(reasons.iter().all(|reason| reason.contains("bytes")), "{reasons:?}");
    assert!(!reasons.is_empty());
    // Graphs inside of graphs, handed on from function to function.
    let mut chain = vec![function("G0", &["x"], &["y"], vec![node("Neg", &["x"], &["y"])])];
    for level in 1..60 {
        let below = format!("G{}", level - 1);
        let inner = call(&below, &["x"], &["t"], vec![]);
        chain.push(function(&format!("G{level}"), &["x"], &["y"], vec![inner]));
    }
    let chained = model(vec![call("G59", &["x"], &["y"], vec![])], &["y"], chain);
    left(chained, "deeper than 50");
}
