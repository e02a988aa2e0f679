//! Normalizations without centring, and fused operators that are written out in their parts.

use crate::cases;
use crate::differences::{Case, numbers};
use polygraft::Code;
use polygraft::graph::{attr, data_type};
use proptest::prelude::*;

fn float(opset: i64) -> Case {
    let mut case = Case::new(opset);
    case.element = data_type::FLOAT;
    case
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn rms_normalization(
        axis in prop::sample::select(vec![-1i64, -2, 1, 2]),
        domain_and_opset in prop::sample::select(vec![("RMSNormalization", 23i64),
            ("SimplifiedLayerNormalization", 17)]),
        symbolic: bool,
        seed: u64,
    ) {
        let (op, opset) = domain_and_opset;
        let normalized: &[usize] = if axis == -1 || axis == 2 { &[5] } else { &[3, 5] };
        let mut case = float(opset)
            .wants("x", &[2, 3, 5], numbers(seed, 30, -2.0, 2.0))
            .wants("scale", normalized, numbers(seed ^ 1, 15, -2.0, 2.0));
        case.symbolic = symbolic;
        let attributes = vec![attr::int("axis", axis), attr::float("epsilon", 1e-3)];
        case.node(op, &["x", "scale"], "y", attributes).check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn fused_products(
        trans_a: bool,
        trans_b: bool,
        first_a: bool,
        first_b: bool,
        alpha in prop::sample::select(vec![1.0f32, -0.5]),
        seed: u64,
    ) {
        // [2, 3, 4] times [2, 4, 5], each as its flags want it.
        let laid = |shape: [usize; 3], swap: bool, first: bool| {
            let mut shape = shape;
            if swap {
                shape.swap(1, 2);
            }
            if first {
                shape.swap(0, 1);
            }
            shape
        };
        let attributes = vec![
            attr::int("transA", trans_a.into()),
            attr::int("transB", trans_b.into()),
            attr::int("transBatchA", first_a.into()),
            attr::int("transBatchB", first_b.into()),
            attr::float("alpha", alpha),
        ];
        float(17)
            .wants("a", &laid([2, 3, 4], trans_a, first_a), numbers(seed, 24, -1.0, 1.0))
            .wants("b", &laid([2, 4, 5], trans_b, first_b), numbers(seed ^ 1, 40, -1.0, 1.0))
            .node_of("com.microsoft", "FusedMatMul", &["a", "b"], &["y"], attributes)
            .check();
    }
}

/// The forms that exporters write, with the quotient and with the inverse.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn decomposed_rms_normalization() {
    for form in 0..3 {
        let mut case = Case::new(17)
            .wants("x", &[2, 3, 6], numbers(50, 36, -2.0, 2.0))
            .wants("scale", &[6], numbers(51, 6, 0.5, 2.0))
            .number("two", &[], 2.0)
            .number("epsilon", &[], 1e-3)
            .node("Pow", &["x", "two"], "q", vec![])
            .node("ReduceMean", &["q"], "v", vec![attr::ints("axes", &[-1])])
            .node("Add", &["v", "epsilon"], "w", vec![])
            .node("Sqrt", &["w"], "d", vec![]);
        case = match form {
            0 => case.node("Div", &["x", "d"], "u", vec![]),
            1 => case.node("Reciprocal", &["d"], "i", vec![]).node("Mul", &["x", "i"], "u", vec![]),
            _ => case.node("Reciprocal", &["d"], "i", vec![]).node("Mul", &["i", "x"], "u", vec![]),
        };
        case = case.node("Mul", &["scale", "u"], "y", vec![]);
        case.check();
        // As a unit: the derivative of the root never appears.
        let (graph, _) = case.derive().unwrap();
        let appended = graph.node.len() - case.graph.node.len();
        assert!(appended <= 14, "form {form}: {appended} nodes appended");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn skip_connections() {
    for bias in [false, true] {
        for (op, shift) in
            [("SkipLayerNormalization", true), ("SkipSimplifiedLayerNormalization", false)]
        {
            for sum in [false, true] {
                let mut case = float(17)
                    .wants("x", &[2, 3, 4], numbers(52, 24, -1.0, 1.0))
                    .wants("skip", &[2, 3, 4], numbers(53, 24, -1.0, 1.0))
                    .wants("scale", &[4], numbers(54, 4, 0.5, 2.0));
                let mut inputs = vec!["x", "skip", "scale"];
                if shift {
                    case = case.wants("shift", &[4], numbers(55, 4, -1.0, 1.0));
                    inputs.push("shift");
                }
                if bias {
                    case = case.wants("bias", &[4], numbers(56, 4, -1.0, 1.0));
                    inputs.push("bias");
                }
                let outputs = if sum { vec!["n", "", "", "sum"] } else { vec!["n"] };
                let epsilon = vec![attr::float("epsilon", 1e-3)];
                case = case.node_of("com.microsoft", op, &inputs, &outputs, epsilon);
                let last = if sum { ["n", "sum"] } else { ["n", "n"] };
                case.node("Mul", &last, "y", vec![]).check();
            }
        }
    }
}

/// A fused node that no gradient passes stays as it is.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn fused_nodes_off_the_path_stay() {
    let case = float(17)
        .given("x", &[2, 3, 4], numbers(57, 24, -1.0, 1.0))
        .given("skip", &[2, 3, 4], numbers(58, 24, -1.0, 1.0))
        .given("scale", &[4], numbers(59, 4, 0.5, 2.0))
        .wants("w", &[4], numbers(60, 4, -1.0, 1.0))
        .node_of(
            "com.microsoft",
            "SkipSimplifiedLayerNormalization",
            &["x", "skip", "scale"],
            &["n"],
            vec![],
        )
        .node("Mul", &["n", "w"], "y", vec![]);
    case.check();
    let (graph, _) = case.derive().unwrap();
    assert!(graph.node.iter().any(|node| node.domain() == "com.microsoft"));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn rotary_embeddings() {
    for interleaved in [0, 1] {
        for (shape, places) in [(vec![2usize, 3, 8], 2), (vec![2, 2, 3, 4], 2), (vec![2, 3, 8], 1)]
        {
            let attributes = vec![attr::int("interleaved", interleaved), attr::int("num_heads", 2)];
            let case = float(17).wants("x", &shape, numbers(61, 48, -1.0, 1.0));
            let case = match places {
                1 => case.int64s("p", &[1], &[2]),
                _ => case.int64s("p", &[2, 3], &[0, 1, 2, 4, 3, 1]),
            };
            case.given("cos", &[5, 2], numbers(62, 10, -1.0, 1.0))
                .given("sin", &[5, 2], numbers(63, 10, -1.0, 1.0))
                .node_of(
                    "com.microsoft",
                    "RotaryEmbedding",
                    &["x", "p", "cos", "sin"],
                    &["y"],
                    attributes,
                )
                .check();
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn rotary_embeddings_of_the_standard_domain() {
    for interleaved in [0, 1] {
        for (shape, partial) in [(vec![2usize, 2, 3, 6], true), (vec![2, 3, 8], false)] {
            let mut attributes =
                vec![attr::int("interleaved", interleaved), attr::int("num_heads", 2)];
            if partial {
                attributes.push(attr::int("rotary_embedding_dim", 4));
            }
            let x = || float(23).wants("x", &shape, numbers(64, 72, -1.0, 1.0));
            x().given("cos", &[5, 2], numbers(65, 10, -1.0, 1.0))
                .given("sin", &[5, 2], numbers(66, 10, -1.0, 1.0))
                .int64s("p", &[2, 3], &[0, 1, 2, 4, 3, 1])
                .node("RotaryEmbedding", &["x", "cos", "sin", "p"], "y", attributes.clone())
                .check();
            x().given("cos", &[2, 3, 2], numbers(67, 12, -1.0, 1.0))
                .given("sin", &[2, 3, 2], numbers(68, 12, -1.0, 1.0))
                .node("RotaryEmbedding", &["x", "cos", "sin"], "y", attributes)
                .check();
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn graphs_inside_of_nodes_are_refused_on_the_path_only() {
    use polygraft::graph::{Builder, GraphProto, TensorType};
    let branch = |op: &str| {
        let mut graph = GraphProto { name: Some(op.to_owned()), ..GraphProto::default() };
        let mut builder = Builder::new(&mut graph, op);
        // It captures the tensor of the outer graph.
        let made = builder.node(op, &["x"], vec![]);
        graph.output.push(TensorType::of_dims(data_type::DOUBLE, &[2]).to_value_info(&made));
        graph
    };
    let node = |case: Case| {
        case.given("condition", &[], vec![1.0])
            .node("Cast", &["condition"], "c", vec![attr::int("to", data_type::BOOL.into())])
            .node(
                "If",
                &["c"],
                "i",
                vec![
                    attr::graph("then_branch", branch("Exp")),
                    attr::graph("else_branch", branch("Neg")),
                ],
            )
    };
    let on =
        node(Case::new(17).wants("x", &[2], vec![0.1, 0.2])).node("Mul", &["i", "x"], "y", vec![]);
    let error = on.derive().unwrap_err();
    assert_eq!(error.code(), Code::GraphUnsupported);
    for part in ["If", "node 1", "opset 17", "graphs inside of nodes", "control flow"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    node(Case::new(17).given("x", &[2], vec![0.1, 0.2]).wants("w", &[2], vec![0.5, 0.6]))
        .node("Mul", &["i", "w"], "y", vec![])
        .check();
}
