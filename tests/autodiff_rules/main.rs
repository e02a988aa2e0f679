//! Every derivative rule against central differences, in double precision, of the operator itself
//! as ONNX Runtime runs it. Operators without a double kernel there are compared in float32 with a
//! larger step; where a fused operator is written out, its result is compared as well.

#[path = "../support/differences.rs"]
mod differences;
#[path = "../support/engine.rs"]
mod engine;

mod activations;
mod attention;
mod bounds;
mod choosing;
mod einsum;
mod fused;
mod hostile;
mod node_tests;
mod operators;
mod plain;
mod reductions;

use proptest::prelude::*;

fn cases() -> ProptestConfig {
    // Every case opens a session and runs it twice for each element.
    ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() }
}

/// The shape of a result and two operands that broadcast to it.
fn broadcast() -> impl Strategy<Value = [Vec<usize>; 2]> {
    let axis = (1usize..4, 0u8..4);
    (prop::collection::vec(axis, 1..4), 0usize..4, any::<bool>()).prop_map(
        |(axes, dropped, first)| {
            let keep = |bit: u8| {
                let sizes = axes.iter().map(|&(size, mode)| if mode == bit { 1 } else { size });
                sizes.collect::<Vec<_>>()
            };
            let (mut a, mut b) = (keep(1), keep(2));
            let shorter = if first { &mut a } else { &mut b };
            shorter.drain(..dropped.min(axes.len()));
            [a, b]
        },
    )
}
