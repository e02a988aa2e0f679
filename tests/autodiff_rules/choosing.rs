//! Gather, scatter, slices, pads, tiles, triangles and sums along an axis, in old and new opsets.

use crate::cases;
use crate::differences::{Case, numbers};
use polygraft::Code;
use polygraft::graph::attr;
use proptest::prelude::*;

/// The last opset in which nothing scatters by adding, and two in which it does.
fn opset() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![11i64, 13, 16, 18])
}

fn data(opset: i64, symbolic: bool, seed: u64) -> Case {
    let mut case = Case::new(opset).wants("x", &[2, 3, 4], numbers(seed, 24, -1.0, 1.0));
    case.symbolic = symbolic;
    case
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn gather_by_any_indices(
        opset in opset(),
        axis in -3i64..3,
        shape in prop::sample::select(vec![vec![4i64], vec![2, 2], vec![1, 4], vec![2], vec![]]),
        negative: bool,
        symbolic: bool,
        seed: u64,
    ) {
        let count = shape.iter().product::<i64>() as usize;
        let size = [2, 3, 4][axis.rem_euclid(3) as usize];
        // The same place twice and more: its gradients add up.
        let index = |value: f64| value as i64 - if negative { size } else { 0 };
        let indices: Vec<i64> =
            numbers(seed, count, 0.0, size as f64).into_iter().map(index).collect();
        data(opset, symbolic, seed)
            .int64s("i", &shape, &indices)
            .node("Gather", &["x", "i"], "y", vec![attr::int("axis", axis)])
            .check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn gather_and_scatter_of_elements(
        opset in opset(),
        axis in -3i64..3,
        whole: bool,
        symbolic: bool,
        seed: u64,
    ) {
        // Indices may leave out the end of every other axis.
        let mut shape = if whole { [2, 3, 4] } else { [1, 2, 3] };
        shape[axis.rem_euclid(3) as usize] = 5;
        let count = shape.iter().product::<i64>() as usize;
        let size = [2.0, 3.0, 4.0][axis.rem_euclid(3) as usize];
        let indices: Vec<i64> =
            numbers(seed, count, 0.0, size).into_iter().map(|value| value as i64).collect();
        let axis_of = || vec![attr::int("axis", axis)];
        data(opset, symbolic, seed)
            .int64s("i", &shape, &indices)
            .node("GatherElements", &["x", "i"], "y", axis_of())
            .check();
        let places = shape.map(|size| size as usize);
        let mut attributes = axis_of();
        let mut indices = indices;
        if opset >= 16 {
            attributes.push(attr::string("reduction", "add"));
        } else {
            // Without adding, no place may be written twice: one element per row.
            shape[axis.rem_euclid(3) as usize] = 1;
            let count = shape.iter().product::<i64>() as usize;
            indices.truncate(count);
        }
        let places = if opset >= 16 { places } else { shape.map(|size| size as usize) };
        let count = places.iter().product();
        data(opset, symbolic, seed)
            .wants("u", &places, numbers(seed ^ 3, count, -1.0, 1.0))
            .int64s("i", &shape, &indices)
            .node("ScatterElements", &["x", "i", "u"], "y", attributes)
            .check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn slices_with_steps(
        opset in prop::sample::select(vec![11i64, 17]),
        bounds in prop::collection::vec((-5i64..5, -6i64..6, 1i64..4, any::<bool>()), 1..4),
        hidden: bool,
        symbolic: bool,
        seed: u64,
    ) {
        let axes: Vec<i64> = (0..bounds.len() as i64).collect();
        let sizes = [2i64, 3, 4];
        let mut columns: [Vec<i64>; 3] = Default::default();
        for (axis, &(start, end, step, backwards)) in bounds.iter().enumerate() {
            // An empty slice has no gradient to compare: keep at least one element.
            let size = sizes[axis];
            let first = start.rem_euclid(size);
            let last = first + 1 + end.rem_euclid(size);
            let (start, end, step) = if backwards {
                (last.min(size) - 1, first - 1 - size, -step)
            } else {
                (first, last, step)
            };
            columns[0].push(if end % 2 == 0 && start >= 0 { start - size } else { start });
            columns[1].push(end);
            columns[2].push(step);
        }
        let inputs = ["x", if hidden { "hidden" } else { "starts" }, "ends", "axes", "steps"];
        let mut case = data(opset, symbolic, seed)
            .ints("starts", &columns[0])
            .ints("ends", &columns[1])
            .ints("axes", &axes)
            .ints("steps", &columns[2]);
        if hidden {
            let starts = columns[0].iter().map(|&value| value as f64).collect();
            case = case.given("numbers", &[columns[0].len()], starts);
            let to = vec![attr::int("to", 7)];
            case = case.node("Cast", &["numbers"], "hidden", to);
        }
        case.node("Slice", &inputs, "y", vec![]).check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn tiles_and_pads(
        opset in prop::sample::select(vec![11i64, 13, 18]),
        repeats in prop::collection::vec(1i64..4, 3),
        pads in prop::collection::vec(-1i64..3, 6),
        symbolic: bool,
        seed: u64,
    ) {
        data(opset, symbolic, seed)
            .ints("r", &repeats)
            .node("Tile", &["x", "r"], "y", vec![])
            .check();
        // The first axis has two elements only: cut off one of them at most.
        let pads: Vec<i64> = [&[pads[0].max(0)], &pads[1..]].concat();
        data(opset, symbolic, seed)
            .ints("p", &pads)
            .number("value", &[], 0.5)
            .node("Pad", &["x", "p", "value"], "y", vec![])
            .check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn pads_of_some_axes_and_other_modes() {
    data(18, false, 1)
        .ints("p", &[1, 2, 0, 1])
        .ints("a", &[2, 0])
        .node("Pad", &["x", "p", "", "a"], "y", vec![])
        .check();
    let reflected = data(18, false, 2).ints("p", &[0, 0, 1, 0, 0, 1]).node(
        "Pad",
        &["x", "p"],
        "y",
        vec![attr::string("mode", "reflect")],
    );
    let error = reflected.derive().unwrap_err();
    assert_eq!(error.code(), Code::GraphUnsupported);
    assert!(error.to_string().contains("reflect"), "{error}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn triangles_and_running_sums() {
    for (upper, k) in [(0, -1), (0, 1), (1, 0), (1, 2)] {
        data(14, false, 3)
            .int64s("k", &[], &[k])
            .node("Trilu", &["x", "k"], "y", vec![attr::int("upper", upper)])
            .check();
    }
    data(14, false, 4).node("Trilu", &["x"], "y", vec![]).check();
    for (exclusive, reverse) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let attributes = vec![attr::int("exclusive", exclusive), attr::int("reverse", reverse)];
        data(14, false, 5)
            .int64s("axis", &[], &[1])
            .node("CumSum", &["x", "axis"], "y", attributes)
            .check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn blocks_by_places_of_several_axes() {
    for (shape, places) in [(vec![2i64, 2], vec![0, 1, 1, -1]), (vec![3, 1], vec![1, 0, 1])] {
        data(16, false, 6)
            .int64s("i", &shape, &places)
            .node("GatherND", &["x", "i"], "y", vec![])
            .check();
        let old = data(13, false, 6).int64s("i", &shape, &places).node(
            "GatherND",
            &["x", "i"],
            "y",
            vec![],
        );
        assert!(old.derive().unwrap_err().to_string().contains("opset"));
    }
    for (opset, attributes) in
        [(13, vec![]), (18, vec![]), (18, vec![attr::string("reduction", "add")])]
    {
        data(opset, false, 7)
            .wants("u", &[2, 4], numbers(8, 8, -1.0, 1.0))
            .int64s("i", &[2, 2], &[0, 1, 1, 2])
            .node("ScatterND", &["x", "i", "u"], "y", attributes)
            .check();
    }
    let max = data(18, false, 8)
        .wants("u", &[2, 4], numbers(9, 8, -1.0, 1.0))
        .int64s("i", &[2, 2], &[0, 1, 1, 2])
        .node("ScatterND", &["x", "i", "u"], "y", vec![attr::string("reduction", "max")]);
    assert_eq!(max.derive().unwrap_err().code(), Code::GraphUnsupported);
}

/// Pieces whose sizes show only when the graph runs, as past keys have.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn joining_pieces_of_unknown_sizes() {
    Case::new(17)
        .wants("a", &[2, 1, 2], numbers(60, 4, -1.0, 1.0))
        .wants("b", &[2, 3, 2], numbers(61, 12, -1.0, 1.0))
        .wants("c", &[2, 2, 2], numbers(62, 8, -1.0, 1.0))
        .hiding("a", "a_hidden")
        .hiding("b", "b_hidden")
        .node("Concat", &["a_hidden", "b_hidden", "c"], "y", vec![attr::int("axis", 1)])
        .check();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn pieces_in_every_opset() {
    let pieces = |case: Case, inputs: &[&str], attributes| {
        case.node_of("", "Split", inputs, &["a", "b"], attributes)
            .node("Exp", &["a"], "e", vec![])
            .node("ReduceMean", &["b"], "m", vec![attr::int("keepdims", 0)])
            .node("Mul", &["e", "m"], "y", vec![])
            .check();
    };
    let axis = || attr::int("axis", -1);
    pieces(data(11, false, 9), &["x"], vec![axis()]);
    pieces(data(11, false, 9), &["x"], vec![axis(), attr::ints("split", &[1, 3])]);
    pieces(data(13, true, 9).ints("s", &[1, 3]), &["x", "s"], vec![axis()]);
    pieces(data(18, true, 9), &["x"], vec![axis(), attr::int("num_outputs", 2)]);
}
