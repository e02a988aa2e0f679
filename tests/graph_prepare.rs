//! Graphs of 16-bit floats, prepared and as their file has them: the same results, also where a
//! branch inside a node uses weights and values of the graph around it.

#[path = "support/engine.rs"]
mod engine;
#[path = "support/small_model.rs"]
mod small_model;

use polygraft::graph::{
    GraphProto, Model, NodeProto, TensorProto, TensorType, Weights, attr, data_type, prepare,
    store_upcast,
};
use polygraft::runtime::{Session, SessionOptions, Value};

/// 1.0, -0.5, the smallest positive number, 2.0 and infinity.
const HALVES: [u16; 5] = [0x3c00, 0xb800, 0x0001, 0x4000, 0x7c00];
const BFLOATS: [u16; 5] = [0x3f80, 0xbf00, 0x0001, 0x4000, 0x7f80];

fn tensor(name: &str, data_type: i32, dims: &[i64], values: &[u16]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type),
        dims: dims.to_vec(),
        raw_data: Some(
            values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into(),
        ),
        ..TensorProto::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn cast(input: &str, output: &str, to: i32) -> NodeProto {
    NodeProto { attribute: vec![attr::int("to", to.into())], ..node("Cast", &[input], output) }
}

/// A branch of one node, whose inputs come from outside.
fn branch(kind: i32, op: &str, inputs: &[&str], output: &str) -> GraphProto {
    GraphProto {
        name: Some(output.to_owned()),
        node: vec![node(op, inputs, output)],
        output: vec![TensorType::of_dims(kind, &[2, 2]).to_value_info(output)],
        ..GraphProto::default()
    }
}

/// `y = (x w + row of table) + w` or `x w + row - constant`, in 16 bits throughout.
fn model(kind: i32, values: &[u16; 5]) -> Model {
    let float = data_type::FLOAT;
    let mut graph = small_model::graph(&[("yes", data_type::BOOL)], &[("y", float)]);
    graph.input.push(TensorType::of_dims(float, &[2, 2]).to_value_info("x"));
    graph.input.push(TensorType::of_dims(data_type::INT64, &[2]).to_value_info("ids"));
    graph.initializer.push(tensor("w", kind, &[2, 2], &values[..4]));
    graph.initializer.push(tensor("table", kind, &[2, 2], &values[..4]));
    let constant = attr::tensor("value", tensor("", kind, &[2], &values[..2]));
    let choose = NodeProto {
        attribute: vec![
            attr::graph("then_branch", branch(kind, "Add", &["sum", "w"], "then")),
            attr::graph("else_branch", branch(kind, "Sub", &["sum", "constant"], "else")),
        ],
        ..node("If", &["yes"], "chosen")
    };
    graph.node = vec![
        NodeProto { attribute: vec![constant], ..node("Constant", &[], "constant") },
        cast("x", "narrow", kind),
        node("MatMul", &["narrow", "w"], "product"),
        node("Gather", &["table", "ids"], "rows"),
        node("Add", &["product", "rows"], "sum"),
        choose,
        cast("chosen", "y", float),
    ];
    small_model::model(graph, std::path::Path::new("."))
}

fn run(model: &Model, weights: &Weights, yes: bool) -> Vec<f32> {
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let bytes = model.to_bytes();
    let session = Session::open(&engine::engine(), &bytes, Some(weights), &options).unwrap();
    let x = Value::f32(&[2, 2], vec![0.5, -1.0, 3.0, 0.25]).unwrap();
    let (ids, yes) = (Value::i64(&[2], vec![1, 0]).unwrap(), Value::bool(&[], &[yes]).unwrap());
    let inputs = [("x", &x), ("ids", &ids), ("yes", &yes)];
    session.run(&inputs, &["y"], None).unwrap()[0].as_f32().unwrap().to_vec()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn branches_see_upcast_values() {
    let plain = model(data_type::FLOAT16, &HALVES);
    let weights = Weights::map(&plain).unwrap();
    let mut prepared = plain.clone();
    prepare(&mut prepared, &weights).unwrap();
    for yes in [true, false] {
        let (expected, found) = (run(&plain, &weights, yes), run(&prepared, &weights, yes));
        let pairs = expected.iter().zip(&found);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 2e-3), "{expected:?} {found:?}");
    }
}

/// What is upcast in the file gives what upcasting in every run gives, bit for bit. A table of
/// which only rows are read stays as small as it is.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn weights_are_stored_upcast() {
    let plain = model(data_type::FLOAT16, &HALVES);
    let weights = Weights::map(&plain).unwrap();
    let mut prepared = plain.clone();
    prepare(&mut prepared, &weights).unwrap();
    let mut stored = plain.clone();
    store_upcast(&mut stored, &weights).unwrap();
    let wide = Weights::map(&stored).unwrap();
    for yes in [true, false] {
        assert_eq!(run(&prepared, &weights, yes), run(&stored, &wide, yes));
    }
    let matrices = wide.iter().filter(|weight| weight.dims == [2, 2]);
    let kinds: Vec<i32> = matrices.map(|weight| weight.data_type).collect();
    assert_eq!(kinds, [data_type::FLOAT, data_type::FLOAT16]);
}

#[test]
fn both_kinds_of_sixteen_bits_are_upcast_exactly() {
    let [half, bfloat] = [(data_type::FLOAT16, &HALVES), (data_type::BFLOAT16, &BFLOATS)];
    let wide = |(kind, values): (i32, &[u16; 5])| -> Vec<f32> {
        let mut model = model(kind, values);
        let graph = model.graph_mut().unwrap();
        graph.initializer.push(tensor("vector", kind, &[5], values));
        graph.node.push(node("Identity", &["vector"], "vector used"));
        let weights = Weights::map(&model).unwrap();
        prepare(&mut model, &weights).unwrap();
        let graph = model.graph().unwrap();
        let upcast = graph.initializer.iter().find(|t| t.name() == "vector/float32").unwrap();
        let bytes = polygraft::graph::inline_bytes(upcast).unwrap();
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    };
    assert_eq!(wide(half), [1.0, -0.5, 2f32.powi(-24), 2.0, f32::INFINITY]);
    assert_eq!(wide(bfloat), [1.0, -0.5, f32::from_bits(1 << 16), 2.0, f32::INFINITY]);
}

/// No graph of 16-bit floats: nothing changes.
#[test]
fn float_graphs_stay_as_they_are() {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = path.join("tests/fixtures/tiny-bert-decomposed-erf/model.onnx");
    let plain = Model::read(&path).unwrap();
    let weights = Weights::map(&plain).unwrap();
    let mut prepared = plain.clone();
    prepare(&mut prepared, &weights).unwrap();
    assert_eq!(prepared.proto, plain.proto);
}
