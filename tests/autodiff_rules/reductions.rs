//! Reductions beyond sum and mean, and Mean of several tensors.

use crate::cases;
use crate::differences::{Case, numbers};
use polygraft::graph::{attr, data_type};
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases())]

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn every_reduction(
        op in prop::sample::select(vec![
            "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp",
        ]),
        axes in prop::sample::select(vec![
            None, Some(vec![0]), Some(vec![-1]), Some(vec![0, 2]), Some(vec![2, 1]),
        ]),
        opset in prop::sample::select(vec![11i64, 13, 18]),
        keep: bool,
        symbolic: bool,
        seed in 0u64..1 << 32,
    ) {
        let mut attributes = vec![attr::int("keepdims", keep.into())];
        let mut inputs = vec!["x"];
        // Distinct numbers away from zero, so that no step changes which one is largest.
        let order = numbers(seed, 24, 0.0, 1.0);
        let rank = |value: f64| order.iter().filter(|&&other| other < value).count() as f64;
        let values = order.iter().map(|&value| (rank(value) - 11.5) / 8.0).collect();
        let mut case = Case::new(opset).wants("x", &[2, 3, 4], values);
        case.symbolic = symbolic;
        match axes {
            Some(axes) if opset >= 18 => {
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
fn mean_of_tensors() {
    let mut case = Case::new(17);
    case.element = data_type::FLOAT;
    case.wants("a", &[2, 3], numbers(90, 6, -1.0, 1.0))
        .wants("b", &[3], numbers(91, 3, -1.0, 1.0))
        .wants("c", &[2, 1], numbers(92, 2, -1.0, 1.0))
        .node("Mean", &["a", "b", "c"], "y", vec![])
        .check();
}
