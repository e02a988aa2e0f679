//! Graphs that nobody would write: any ranks, sizes, attributes and constants, in every operator.
//! Deriving may refuse them, but must not panic or take memory without bound.

use polygraft::autodiff::{self, Operator};
use polygraft::graph::{
    AttributeProto, Builder, Dim, GraphProto, Shapes, TensorType, attr, data_type,
};
use proptest::prelude::*;

/// Integer attributes that some rule or expansion reads.
const INTS: &[&str] = &[
    "axis",
    "keepdims",
    "noop_with_empty_axes",
    "num_heads",
    "q_num_heads",
    "kv_num_heads",
    "transA",
    "transB",
    "transBatchA",
    "transBatchB",
    "unidirectional",
    "is_causal",
    "interleaved",
    "rotary_embedding_dim",
    "batch_dims",
    "upper",
    "exclusive",
    "reverse",
    "allowzero",
    "to",
];

/// Lists of integers that some rule or expansion reads.
const LISTS: &[&str] = &["axes", "perm", "split", "qkv_hidden_sizes", "pads", "starts", "ends"];

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -4i64..9, 1 => Just(i64::MAX), 1 => Just(i64::MIN), 1 => any::<i64>()]
}

fn dim() -> impl Strategy<Value = Dim> {
    prop_oneof![
        6 => (0i64..9).prop_map(Dim::Known),
        1 => Just(Dim::Known(i64::MAX)),
        2 => Just(Dim::Symbol("s".to_owned())),
        1 => Just(Dim::Unknown),
    ]
}

fn shape() -> impl Strategy<Value = Option<Vec<Dim>>> {
    prop::option::weighted(0.9, prop::collection::vec(dim(), 0..6))
}

/// A tensor of floats that gets a gradient, one of integers that is not known, or constants.
#[derive(Clone, Debug)]
enum Input {
    Float(Option<Vec<Dim>>),
    Int(Option<Vec<Dim>>),
    Constant(Vec<i64>),
    Absent,
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => shape().prop_map(Input::Float),
        1 => shape().prop_map(Input::Int),
        3 => prop::collection::vec(number(), 0..6).prop_map(Input::Constant),
        1 => Just(Input::Absent),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<AttributeProto>> {
    let int = (prop::sample::select(INTS), number()).prop_map(|(name, n)| attr::int(name, n));
    let list = (prop::sample::select(LISTS), prop::collection::vec(number(), 0..5))
        .prop_map(|(name, values)| attr::ints(name, &values));
    let equation = "[a-c.,> -]{0,12}".prop_map(|text| attr::string("equation", &text));
    prop::collection::vec(prop_oneof![4 => int, 2 => list, 1 => equation], 0..6)
}

fn graph(operator: &Operator, inputs: &[Input], attributes: &[AttributeProto]) -> GraphProto {
    let mut graph = GraphProto::default();
    let typed = |element: i32, shape: &Option<Vec<Dim>>| TensorType {
        data_type: element,
        shape: shape.clone(),
    };
    let x = typed(data_type::FLOAT, &None);
    graph.input.push(x.to_value_info("unused"));
    let mut names = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let name = format!("x{index}");
        match input {
            Input::Float(shape) => {
                graph.input.push(typed(data_type::FLOAT, shape).to_value_info(&name));
            }
            Input::Int(shape) => {
                graph.input.push(typed(data_type::INT64, shape).to_value_info(&name));
            }
            Input::Constant(_) | Input::Absent => {}
        }
        names.push(name);
    }
    let mut builder = Builder::new(&mut graph, "made/");
    for (name, input) in names.iter_mut().zip(inputs) {
        match input {
            Input::Constant(values) => *name = builder.constant_i64(values),
            Input::Absent => name.clear(),
            Input::Float(_) | Input::Int(_) => {}
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (name, domain) = (operator.name, operator.domain);
    builder.node_named(name, domain, &names, &["y", "", "", "z"], attributes.to_vec());
    let keep = vec![attr::int("keepdims", 0)];
    builder.node_named("ReduceSum", "", &["y"], &["loss"], keep);
    graph
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_panics(
        first in shape(),
        rest in prop::collection::vec(input(), 0..6),
        attributes in attributes(),
        opset in prop::sample::select(vec![11i64, 13, 16, 18, 23]),
    ) {
        let inputs = [&[Input::Float(first)], rest.as_slice()].concat();
        let wanted = ["x0".to_owned()];
        for operator in autodiff::operators() {
            let mut graph = graph(&operator, &inputs, &attributes);
            let mut shapes = Shapes::infer(&graph, opset, None).unwrap();
            let outputs = ["y".to_owned(), "z".to_owned()];
            let obstacles = autodiff::obstacles(&graph, opset, &shapes, &wanted, &outputs);
            let from_loss = ["loss".to_owned()];
            let stops = autodiff::obstacles(&graph, opset, &shapes, &wanted, &from_loss);
            let derived = autodiff::backward(&mut graph, opset, &mut shapes, "loss", &wanted);
            // What has no obstacle is derived, unless the rule had nothing to give.
            if let (true, Err(error)) = (stops.is_empty(), &derived) {
                prop_assert!(error.code() == polygraft::Code::ArgumentInvalid, "{error}");
            }
            prop_assert!(derived.is_ok() || !error_is_long(&derived), "{obstacles:?}");
        }
    }
}

/// Messages stay short whatever the graph says.
fn error_is_long<T>(result: &polygraft::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.to_string().len() > 4_000)
}
