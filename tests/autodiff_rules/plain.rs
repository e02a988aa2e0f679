//! The operators of a plain encoder: arithmetic, products, softmax, normalization, and what moves
//! and chooses elements.

use crate::differences::{Case, numbers};
use crate::{broadcast, cases};
use polygraft::Code;
use polygraft::graph::{attr, data_type};
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases())]

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn arithmetic_with_broadcasting(
        op in prop::sample::select(vec!["Add", "Sub", "Mul", "Div", "Sum"]),
        [a, b] in broadcast(),
        symbolic: bool,
        seed: u64,
    ) {
        let mut case = Case::new(17)
            .wants("a", &a, numbers(seed, 64, -2.0, 2.0))
            .wants("b", &b, numbers(seed ^ 1, 64, 0.5, 2.0))
            .node(op, &["a", "b"], "y", vec![]);
        case.symbolic = symbolic;
        case.check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn products_of_matrices_of_any_rank(
        left in 1usize..5,
        right in 1usize..5,
        ones in 0u8..16,
        symbolic: bool,
        seed: u64,
    ) {
        let batch = |rank: usize, bits: u8| -> Vec<usize> {
            let sizes = [(2, 1), (3, 2)];
            let size = |&(size, bit): &(usize, u8)| if bits & bit != 0 { 1 } else { size };
            let sizes: Vec<usize> = sizes.iter().map(size).collect();
            sizes[2 - rank.saturating_sub(2).min(2)..].to_vec()
        };
        let a: Vec<usize> = match left {
            1 => vec![4],
            _ => batch(left, ones).into_iter().chain([2, 4]).collect(),
        };
        let b: Vec<usize> = match right {
            1 => vec![4],
            _ => batch(right, ones >> 2).into_iter().chain([4, 3]).collect(),
        };
        let mut case = Case::new(17)
            .wants("a", &a, numbers(seed, 64, -1.0, 1.0))
            .wants("b", &b, numbers(seed ^ 1, 64, -1.0, 1.0))
            .node("MatMul", &["a", "b"], "y", vec![]);
        case.symbolic = symbolic;
        case.check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn general_matrix_product(
        trans_a: bool,
        trans_b: bool,
        summand in prop::sample::select(vec![
            None, Some(vec![]), Some(vec![4]), Some(vec![3, 1]), Some(vec![3, 4]),
        ]),
        seed: u64,
    ) {
        let flip = |shape: [usize; 2], flag: bool| if flag { [shape[1], shape[0]] } else { shape };
        let attributes = vec![
            attr::int("transA", trans_a.into()),
            attr::int("transB", trans_b.into()),
            attr::float("alpha", 0.75),
            attr::float("beta", -1.25),
        ];
        let mut case = Case::new(13)
            .wants("a", &flip([3, 2], trans_a), numbers(seed, 6, -1.0, 1.0))
            .wants("b", &flip([2, 4], trans_b), numbers(seed ^ 1, 8, -1.0, 1.0));
        let mut inputs = vec!["a", "b"];
        if let Some(shape) = &summand {
            case = case.wants("c", shape, numbers(seed ^ 2, 12, -1.0, 1.0));
            inputs.push("c");
        }
        case.node("Gemm", &inputs, "y", attributes).check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn softmax_over_any_axis(
        log: bool,
        axis in -3i64..3,
        opset in prop::sample::select(vec![13i64, 17]),
        seed: u64,
    ) {
        let op = if log { "LogSoftmax" } else { "Softmax" };
        Case::new(opset)
            .wants("x", &[2, 3, 4], numbers(seed, 24, -2.0, 2.0))
            .node(op, &["x"], "y", vec![attr::int("axis", axis)])
            .check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn layer_normalization(
        axis in prop::sample::select(vec![-1i64, -2, 1, 2]),
        bias: bool,
        symbolic: bool,
        seed: u64,
    ) {
        let normalized: &[usize] = if axis == -1 || axis == 2 { &[5] } else { &[3, 5] };
        let mut case = Case::new(17)
            .wants("x", &[2, 3, 5], numbers(seed, 30, -2.0, 2.0))
            .wants("scale", normalized, numbers(seed ^ 1, 15, -2.0, 2.0));
        let mut inputs = vec!["x", "scale"];
        if bias {
            case = case.wants("bias", normalized, numbers(seed ^ 2, 15, -1.0, 1.0));
            inputs.push("bias");
        }
        case.symbolic = symbolic;
        let attributes = vec![attr::int("axis", axis), attr::float("epsilon", 1e-3)];
        case.node("LayerNormalization", &inputs, "y", attributes).check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn reductions(
        op in prop::sample::select(vec!["ReduceSum", "ReduceMean"]),
        axes in prop::sample::select(vec![
            None, Some(vec![0]), Some(vec![-1]), Some(vec![0, 2]), Some(vec![2, 1]),
        ]),
        opset in prop::sample::select(vec![11i64, 13, 18]),
        keep: bool,
        symbolic: bool,
        seed: u64,
    ) {
        let as_input = opset >= if op == "ReduceSum" { 13 } else { 18 };
        let mut attributes = vec![attr::int("keepdims", keep.into())];
        let mut inputs = vec!["x"];
        let mut case = Case::new(opset).wants("x", &[2, 3, 4], numbers(seed, 24, -1.0, 1.0));
        case.symbolic = symbolic;
        match axes {
            Some(axes) if as_input => {
                case = case.ints("axes", &axes);
                inputs.push("axes");
            }
            Some(axes) => attributes.push(attr::ints("axes", &axes)),
            None => {}
        }
        case.node(op, &inputs, "y", attributes).check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn functions_of_one_number() {
    let ops = ["Sqrt", "Exp", "Log", "Reciprocal", "Tanh", "Sigmoid", "Relu", "Neg", "Identity"];
    for op in ops {
        Case::new(17)
            .wants("x", &[2, 5], numbers(3, 10, 0.4, 2.0))
            .node(op, &["x"], "y", vec![])
            .check();
    }
    for op in ["Tanh", "Sigmoid", "Exp"] {
        Case::new(17)
            .wants("x", &[10], numbers(4, 10, -3.0, 0.0))
            .node(op, &["x"], "y", vec![])
            .check();
    }
    // Both sides of zero, never closer to it than the step.
    Case::new(17)
        .wants("x", &[4], vec![-1.0, -0.1, 0.1, 1.0])
        .node("Relu", &["x"], "y", vec![])
        .check();
}

/// Nothing is known of the sizes of `a` and `b`, so which axes were repeated shows in the run.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn broadcasting_of_unknown_sizes() {
    for (a, b) in [([2, 3], [1, 3]), ([1, 3], [2, 1]), ([2, 3], [2, 3])] {
        let case = |opset: i64| {
            Case::new(opset)
                .wants("a", &a, numbers(31, 6, -1.0, 1.0))
                .wants("b", &b, numbers(32, 6, 0.5, 2.0))
                .hiding("a", "a_of_unknown_size")
                .hiding("b", "b_of_unknown_size")
                .node("Div", &["a_of_unknown_size", "b_of_unknown_size"], "y", vec![])
        };
        case(17).check();
        assert_eq!(case(11).derive().unwrap_err().code(), Code::GraphUnsupported);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn powers_with_a_constant_exponent() {
    for exponent in [2.0, 3.0, 0.5, -1.5, 1.0] {
        Case::new(17)
            .wants("x", &[2, 3], numbers(5, 6, 0.5, 2.0))
            .number("exponent", &[], exponent)
            .node("Pow", &["x", "exponent"], "y", vec![])
            .check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn erf_and_gelu_in_float() {
    let float = |opset: i64| {
        let mut case = Case::new(opset);
        case.element = data_type::FLOAT;
        case.wants("x", &[3, 4], numbers(6, 12, -2.5, 2.5))
    };
    float(17).node("Erf", &["x"], "y", vec![]).check();
    for approximate in ["none", "tanh"] {
        let attributes = vec![attr::string("approximate", approximate)];
        float(20).node("Gelu", &["x"], "y", attributes).check();
    }
    float(17).node_of("com.microsoft", "Gelu", &["x"], &["y"], vec![]).check();
}

/// Every order in which exporters write `x * 0.5 * (1 + erf(x / sqrt(2)))`.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn decomposed_gelu_in_every_order() {
    for order in 0..16 {
        let swap = |bit: usize, pair: [&'static str; 2]| {
            if order & bit != 0 { [pair[1], pair[0]] } else { pair }
        };
        let mut case = Case::new(17);
        case.element = data_type::FLOAT;
        let mut case = case
            .wants("x", &[2, 5], numbers(7, 10, -2.5, 2.5))
            .number("root", &[], std::f64::consts::SQRT_2)
            .number("inverse", &[1], std::f64::consts::FRAC_1_SQRT_2)
            .number("one", &[], 1.0)
            .number("half", &[], 0.5);
        case = match order & 8 {
            0 => case.node("Div", &["x", "root"], "t", vec![]),
            _ => case.node("Mul", &["inverse", "x"], "t", vec![]),
        };
        case =
            case.node("Erf", &["t"], "e", vec![]).node("Add", &swap(1, ["e", "one"]), "s", vec![]);
        case = match order & 2 {
            0 => case.node("Mul", &swap(4, ["x", "s"]), "p", vec![]).node(
                "Mul",
                &swap(1, ["p", "half"]),
                "y",
                vec![],
            ),
            _ => case.node("Mul", &swap(4, ["x", "half"]), "p", vec![]).node(
                "Mul",
                &swap(1, ["p", "s"]),
                "y",
                vec![],
            ),
        };
        case.check();
        // The derivative of the unit has an Erf of its own, that of Erf alone has none.
        let (graph, _) = case.derive().unwrap();
        let count = graph.node.iter().filter(|node| node.op_type() == "Erf").count();
        assert_eq!(count, 2, "order {order} is recognized");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn decomposed_normalization_in_every_form() {
    for (square, inverse) in [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)] {
        let mut case = Case::new(17)
            .wants("x", &[2, 3, 6], numbers(8, 36, -2.0, 2.0))
            .wants("scale", &[6], numbers(9, 6, 0.5, 2.0))
            .number("two", &[], 2.0)
            .number("one", &[], 1.0)
            .number("epsilon", &[], 1e-3)
            .node("ReduceMean", &["x"], "mean", vec![attr::ints("axes", &[-1])])
            .node("Sub", &["x", "mean"], "c", vec![]);
        case = match square {
            0 => case.node("Pow", &["c", "two"], "q", vec![]),
            _ => case.node("Mul", &["c", "c"], "q", vec![]),
        };
        case = case
            .node("ReduceMean", &["q"], "v", vec![attr::ints("axes", &[-1])])
            .node("Add", &["v", "epsilon"], "w", vec![])
            .node("Sqrt", &["w"], "d", vec![]);
        case = match inverse {
            0 => case.node("Div", &["c", "d"], "u", vec![]),
            1 => case.node("Reciprocal", &["d"], "i", vec![]).node("Mul", &["c", "i"], "u", vec![]),
            _ => case.node("Div", &["one", "d"], "i", vec![]).node("Mul", &["i", "c"], "u", vec![]),
        };
        case = case.node("Mul", &["u", "scale"], "y", vec![]);
        case.check();
        // As a unit: the derivative of the deviation itself never appears.
        let (graph, _) = case.derive().unwrap();
        let appended = graph.node.len() - case.graph.node.len();
        assert!(appended <= 16, "form {square} {inverse}: {appended} nodes appended");
    }
}

/// A value inside a recognized group that is used outside of it keeps the gradient of that use.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn groups_whose_inner_values_are_used_elsewhere() {
    let axes = || vec![attr::ints("axes", &[-1])];
    Case::new(17)
        .wants("x", &[3, 4], numbers(10, 12, -2.0, 2.0))
        .number("two", &[], 2.0)
        .number("epsilon", &[], 1e-3)
        .node("ReduceMean", &["x"], "mean", axes())
        .node("Sub", &["x", "mean"], "c", vec![])
        .node("Pow", &["c", "two"], "q", vec![])
        .node("ReduceMean", &["q"], "v", axes())
        .node("Add", &["v", "epsilon"], "w", vec![])
        .node("Sqrt", &["w"], "d", vec![])
        .node("Div", &["c", "d"], "u", vec![])
        .node("Add", &["u", "c"], "s", vec![])
        .node("Mul", &["s", "d"], "y", vec![])
        .check();
    let mut case = Case::new(17);
    case.element = data_type::FLOAT;
    case.wants("x", &[6], numbers(11, 6, -2.0, 2.0))
        .number("root", &[], std::f64::consts::SQRT_2)
        .number("one", &[], 1.0)
        .node("Div", &["x", "root"], "t", vec![])
        .node("Erf", &["t"], "e", vec![])
        .node("Add", &["e", "one"], "s", vec![])
        .node("Mul", &["x", "s"], "p", vec![])
        .node("Add", &["p", "e"], "y", vec![])
        .check();
}

/// The statistics of a normalization may be used by others; the node then stays.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn layer_normalization_whose_statistics_are_used() {
    let case = Case::new(17)
        .wants("x", &[3, 4], numbers(12, 12, -2.0, 2.0))
        .given("scale", &[4], numbers(13, 4, 0.5, 2.0))
        .node_of("", "LayerNormalization", &["x", "scale"], &["y", "mean", "inverse"], vec![]);
    case.check();
    let (graph, _) = case.derive().unwrap();
    assert!(graph.node.iter().any(|node| node.op_type() == "LayerNormalization"));
}

/// One tensor used many times, with factors of either sign, and a product that takes what has
/// arrived before it as its summand.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn gradients_of_many_uses_add_up() {
    let case = |symbolic: bool| {
        let mut case = Case::new(17)
            .wants("x", &[2, 3, 4], numbers(14, 24, -1.0, 1.0))
            .wants("w", &[4, 4], numbers(15, 16, -1.0, 1.0))
            .given("v", &[4, 4], numbers(16, 16, -1.0, 1.0))
            .number("third", &[1], 3.0)
            .number("minus", &[], -0.25);
        case.symbolic = symbolic;
        case.node("MatMul", &["x", "w"], "a", vec![])
            .node("MatMul", &["x", "v"], "b", vec![])
            .node("Div", &["b", "third"], "b3", vec![])
            .node("Sub", &["a", "b3"], "c", vec![])
            .node("Mul", &["minus", "x"], "d", vec![])
            .node("Add", &["c", "d"], "e", vec![])
            .node("Mul", &["x", "x"], "f", vec![])
            .node("Sub", &["e", "f"], "g", vec![])
            .node("Neg", &["g"], "y", vec![])
    };
    case(false).check();
    case(true).check();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn softmax_before_opset_13() {
    for op in ["Softmax", "LogSoftmax"] {
        let case = |axis: i64| {
            Case::new(11).wants("x", &[2, 3, 4], numbers(17, 24, -2.0, 2.0)).node(
                op,
                &["x"],
                "y",
                vec![attr::int("axis", axis)],
            )
        };
        case(2).check();
        case(-1).check();
        // All axes from that one on are normalized together.
        case(1).check();
        case(0).check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn moving_elements() {
    for symbolic in [false, true] {
        let case = |opset: i64| {
            let mut case = Case::new(opset).wants("x", &[2, 3, 4], numbers(18, 24, -1.0, 1.0));
            case.symbolic = symbolic;
            case
        };
        case(17).ints("s", &[0, -1]).node("Reshape", &["x", "s"], "y", vec![]).check();
        case(17).ints("s", &[0, 0, 2, 2]).node("Reshape", &["x", "s"], "y", vec![]).check();
        case(17).node("Flatten", &["x"], "y", vec![attr::int("axis", 2)]).check();
        case(17).node("Transpose", &["x"], "y", vec![]).check();
        let perm = vec![attr::ints("perm", &[1, 2, 0])];
        case(17).node("Transpose", &["x"], "y", perm).check();
        case(17).ints("a", &[0, 2]).node("Unsqueeze", &["x", "a"], "y", vec![]).check();
        case(11).node("Unsqueeze", &["x"], "y", vec![attr::ints("axes", &[1])]).check();
        case(17).node("Dropout", &["x"], "y", vec![]).check();
        case(17).ints("s", &[5, 1, 1, 1]).node("Expand", &["x", "s"], "y", vec![]).check();
    }
    let narrow = || Case::new(17).wants("x", &[2, 1, 3, 1], numbers(19, 6, -1.0, 1.0));
    narrow().ints("a", &[1, 3]).node("Squeeze", &["x", "a"], "y", vec![]).check();
    narrow().ints("s", &[2, 4, 3, 2]).node("Expand", &["x", "s"], "y", vec![]).check();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn choosing_elements() {
    for symbolic in [false, true] {
        let case = || {
            let mut case = Case::new(17).wants("x", &[2, 3, 4], numbers(20, 24, -1.0, 1.0));
            case.symbolic = symbolic;
            case
        };
        for (starts, ends, axes) in [
            ([0, 1], [1, 3], [1, 2]),
            ([-2, 0], [i64::MAX, -1], [1, 2]),
            ([-3, 1], [-1, 100], [-1, 0]),
        ] {
            case()
                .ints("starts", &starts)
                .ints("ends", &ends)
                .ints("axes", &axes)
                .node("Slice", &["x", "starts", "ends", "axes"], "y", vec![])
                .check();
        }
        for (axis, index) in [(0, 1), (1, 0), (1, -1), (2, 3)] {
            // One index keeps its axis.
            let attributes = vec![attr::int("axis", axis)];
            case().ints("i", &[index]).node("Gather", &["x", "i"], "y", attributes).check();
        }
    }
    let piece = |case: Case, name: &str, size| {
        case.wants(name, &[2, size, 2], numbers(21 + size as u64, 12, -1.0, 1.0))
    };
    let case = piece(piece(Case::new(17), "a", 1), "b", 3);
    case.node("Concat", &["a", "b"], "y", vec![attr::int("axis", -2)]).check();
    // The second piece is not used.
    Case::new(17)
        .wants("x", &[2, 6], numbers(22, 12, -1.0, 1.0))
        .ints("sizes", &[1, 2, 3])
        .node_of("", "Split", &["x", "sizes"], &["a", "b", "c"], vec![attr::int("axis", 1)])
        .node("Mul", &["a", "c"], "y", vec![])
        .check();
    Case::new(17)
        .wants("a", &[2, 3], numbers(23, 6, -1.0, 1.0))
        .wants("b", &[3], numbers(24, 3, -1.0, 1.0))
        .given("x", &[2, 1], vec![-1.0, 1.0])
        .number("zero", &[], 0.0)
        .node("Greater", &["x", "zero"], "condition", vec![])
        .node("Where", &["condition", "a", "b"], "y", vec![])
        .check();
}

/// The difference passes through float32, so it is taken with float's step and tolerance.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn cast_between_floats() {
    let mut case = Case::new(17);
    case.element = data_type::FLOAT;
    case.wants("x", &[5], numbers(25, 5, -1.0, 1.0))
        .node("Cast", &["x"], "d", vec![attr::int("to", data_type::DOUBLE.into())])
        .node("Mul", &["d", "d"], "q", vec![])
        .node("Cast", &["q"], "y", vec![attr::int("to", data_type::FLOAT.into())])
        .check();
}
