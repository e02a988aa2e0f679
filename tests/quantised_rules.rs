//! Derivatives of products with quantised weights, compared with finite differences: the forward
//! pass is smooth in the activation. And quantisations that do not fit, which are refused.

#[path = "support/differences.rs"]
mod differences;
#[path = "support/engine.rs"]
mod engine;

use differences::{Case, numbers};
use polygraft::Code;
use polygraft::graph::{AttributeProto, NodeProto, TensorProto, attr, data_type};
use proptest::prelude::*;

const MICROSOFT: &str = "com.microsoft";

/// A case over float32 activations `x` of `[2, 3, inputs]`.
fn case(opset: i64, inputs: usize, seed: u64) -> Case {
    let mut case = Case::new(opset);
    case.element = data_type::FLOAT;
    case.wants("x", &[2, 3, inputs], numbers(seed, 6 * inputs, -1.0, 1.0))
}

trait Stored {
    fn stores(self, name: &str, data_type: i32, dims: &[usize], bytes: Vec<u8>) -> Self;
    fn codes(self, name: &str, data_type: i32, dims: &[usize], seed: u64) -> Self;
    fn scales(self, name: &str, dims: &[usize], seed: u64) -> Self;
}

impl Stored for Case {
    fn stores(mut self, name: &str, data_type: i32, dims: &[usize], bytes: Vec<u8>) -> Self {
        self.graph.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(data_type),
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            raw_data: Some(bytes.into()),
            ..TensorProto::default()
        });
        self
    }

    /// Random bytes, as many as a tensor of this type has.
    fn codes(self, name: &str, data_type: i32, dims: &[usize], seed: u64) -> Self {
        let signed: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        let count = data_type::tensor_size_bytes(data_type, &signed).unwrap();
        let bytes = numbers(seed, count, 0.0, 256.0).into_iter().map(|value| value as u8);
        self.stores(name, data_type, dims, bytes.collect())
    }

    fn scales(self, name: &str, dims: &[usize], seed: u64) -> Self {
        let values = numbers(seed, dims.iter().product(), 0.002, 0.02).into_iter();
        let bytes = values.flat_map(|value| (value as f32).to_le_bytes()).collect();
        self.stores(name, data_type::FLOAT, dims, bytes)
    }
}

/// `y = x w` or `y = x wᵀ` with the transposition as a node.
fn product(case: Case, transposed: bool) -> Case {
    if !transposed {
        return case.node("MatMul", &["x", "w"], "y", vec![]);
    }
    case.node("Transpose", &["w"], "turned", vec![attr::ints("perm", &[1, 0])]).node(
        "MatMul",
        &["x", "turned"],
        "y",
        vec![],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn bytes_with_one_scale_or_one_for_each_row_or_column(
        kind in prop::sample::select(vec![data_type::INT8, data_type::UINT8]),
        axis in prop::sample::select(vec![None, Some(0), Some(1), Some(-1)]),
        has_zero_point: bool,
        transposed: bool,
        seed: u64,
    ) {
        let shape = if transposed { [5, 8] } else { [8, 5] };
        let scales = match axis {
            None => vec![],
            Some(0) => vec![shape[0]],
            Some(_) => vec![shape[1]],
        };
        let mut case = case(13, 8, seed)
            .codes("codes", kind, &shape, seed ^ 1)
            .scales("scale", &scales, seed ^ 2);
        let mut inputs = vec!["codes", "scale"];
        if has_zero_point {
            case = case.codes("zero", kind, &scales, seed ^ 3);
            inputs.push("zero");
        }
        let axis = axis.map(|axis| attr::int("axis", axis)).into_iter().collect();
        product(case.node("DequantizeLinear", &inputs, "w", axis), transposed).check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn blocks_of_four_bits(
        kind in prop::sample::select(vec![data_type::INT4, data_type::UINT4]),
        has_zero_point: bool,
        transposed: bool,
        seed: u64,
    ) {
        // Blocks lie along the inputs of the layer.
        let (shape, blocks, axis) = match transposed {
            false => ([32, 6], [2, 6], 0),
            true => ([6, 32], [6, 2], 1),
        };
        let mut case = case(21, 32, seed)
            .codes("codes", kind, &shape, seed ^ 1)
            .scales("scale", &blocks, seed ^ 2);
        let mut inputs = vec!["codes", "scale"];
        if has_zero_point {
            case = case.codes("zero", kind, &blocks, seed ^ 3);
            inputs.push("zero");
        }
        let attributes = vec![attr::int("axis", axis), attr::int("block_size", 16)];
        product(case.node("DequantizeLinear", &inputs, "w", attributes), transposed).check();
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn packed_products(
        bits in prop::sample::select(vec![4usize, 8]),
        columns in prop::sample::select(vec![16usize, 32, 40, 48]),
        zero_point in 0..2,
        flat_scales: bool,
        opset in prop::sample::select(vec![13i64, 18]),
        seed: u64,
    ) {
        let (rows, block) = (6, 16);
        let blocks = columns.div_ceil(block);
        let scales = if flat_scales { vec![rows * blocks] } else { vec![rows, blocks] };
        let mut case = case(opset, columns, seed)
            .codes("codes", data_type::UINT8, &[rows, blocks, block * bits / 8], seed ^ 1)
            .scales("scale", &scales, seed ^ 2);
        let mut inputs = vec!["x", "codes", "scale"];
        if zero_point == 1 {
            let bytes = (blocks * bits).div_ceil(8);
            case = case.codes("zero", data_type::UINT8, &[rows, bytes], seed ^ 3);
            inputs.push("zero");
        }
        let attributes = packing(columns, rows, bits, block);
        case.node_of(MICROSOFT, "MatMulNBits", &inputs, &["y"], attributes).check();
    }
}

fn packing(columns: usize, rows: usize, bits: usize, block: usize) -> Vec<AttributeProto> {
    let sizes = [("K", columns), ("N", rows), ("bits", bits), ("block_size", block)];
    let mut attributes: Vec<_> =
        sizes.into_iter().map(|(name, size)| attr::int(name, size as i64)).collect();
    // Float32 arithmetic.
    attributes.push(attr::int("accuracy_level", 1));
    attributes
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn half_floats_are_upcast_for_each_use() {
    let halves = [0x3c00u16, 0xb800, 0x3555, 0x0001, 0xc200, 0x2e66];
    let bytes: Vec<u8> = halves.iter().cycle().take(32).flat_map(|h| h.to_le_bytes()).collect();
    let case = case(17, 8, 5)
        .stores("halves", data_type::FLOAT16, &[8, 4], bytes)
        .node("Cast", &["halves"], "w", vec![attr::int("to", data_type::FLOAT.into())])
        .node("MatMul", &["x", "w"], "y", vec![]);
    case.check();
    let (graph, _) = case.derive().unwrap();
    let is_cast = |node: &NodeProto| node.op_type() == "Cast";
    let casts = graph.node.iter().filter(|node| is_cast(node)).count();
    assert_eq!(casts, 2, "the backward pass upcasts the weight itself");
    let uses_x = |node: &NodeProto| node.input.contains(&"x".to_owned());
    let (last, first) = (graph.node.iter().rposition(is_cast), graph.node.iter().position(uses_x));
    assert!(last < first, "what is made of weights alone stands first");
}

/// The message of the refusal.
fn refused(case: &Case) -> String {
    let error = case.derive().unwrap_err();
    assert_eq!(error.code(), Code::GraphUnsupported, "{error}");
    error.to_string()
}

#[test]
fn packings_that_do_not_fit_are_refused() {
    let packed = |bits: usize, sizes: [usize; 2], attributes: Vec<AttributeProto>, order: bool| {
        let mut inputs = vec!["x", "codes", "scale"];
        if order {
            inputs.extend(["", "order"]);
        }
        refused(
            &case(17, 32, 1)
                .codes("codes", data_type::UINT8, &[6, 2, 2 * bits], 2)
                .scales("scale", &sizes, 3)
                .ints("order", &[0; 32])
                .node_of(MICROSOFT, "MatMulNBits", &inputs, &["y"], attributes),
        )
    };
    let right = [6, 2];
    let message = packed(4, right, packing(32, 6, 3, 16), false);
    assert!(message.contains("quantised values of 3 bits, expected 4 or 8"), "{message}");
    let message = packed(4, right, packing(32, 6, 4, 8), false);
    assert!(message.contains("block_size 8, expected a power of two from 16"), "{message}");
    let message = packed(4, right, packing(32, 6, 4, 24), false);
    assert!(message.contains("block_size 24"), "{message}");
    let message = packed(4, right, packing(32, 0, 4, 16), false);
    assert!(message.contains("N is 0, expected a positive number"), "{message}");
    let message = packed(4, right, packing(32, usize::MAX >> 1, 4, 16), false);
    assert!(message.contains(&format!("N is {}, expected", usize::MAX >> 1)), "{message}");
    let message = packed(4, right, vec![attr::int("N", 6)], false);
    assert!(message.contains("K is not stated"), "{message}");
    // As many codes, but half as many scales.
    let message = packed(4, right, packing(32, 6, 4, 32), false);
    assert!(message.contains("\"scale\" has the sizes"), "{message}");
    let message = packed(8, right, packing(32, 6, 4, 16), false);
    assert!(message.contains("\"codes\" has the sizes"), "{message}");
    let message = packed(4, [6, 3], packing(32, 6, 4, 16), false);
    assert!(message.contains("\"scale\" has the sizes"), "{message}");
    let message = packed(4, right, packing(32, 6, 4, 16), true);
    assert!(message.contains("reordered by g_idx"), "{message}");
}

#[test]
fn activations_in_odd_quantisations_are_refused() {
    let blocked = vec![attr::int("axis", 2), attr::int("block_size", 4)];
    let message = refused(
        &case(21, 8, 1)
            .scales("scale", &[2, 3, 2], 2)
            .node("QuantizeLinear", &["x", "scale"], "codes", blocked)
            .node("Cast", &["codes"], "y", vec![attr::int("to", data_type::FLOAT.into())]),
    );
    assert!(message.contains("in blocks"), "{message}");
    let message = refused(
        &case(13, 8, 1)
            .scales("scale", &[8], 2)
            .node("QuantizeLinear", &["x", "scale"], "codes", vec![attr::int("axis", 7)])
            .node("DequantizeLinear", &["codes", "scale"], "y", vec![attr::int("axis", 2)]),
    );
    assert!(message.contains("axis 7 is outside a tensor of rank 3"), "{message}");
    let message = refused(
        &case(13, 8, 1)
            .scales("scale", &[4, 2], 2)
            .node("QuantizeLinear", &["x", "scale"], "codes", vec![attr::int("axis", 2)])
            .node("Cast", &["codes"], "y", vec![attr::int("to", data_type::FLOAT.into())]),
    );
    assert!(message.contains("expected one axis"), "{message}");
    let message = refused(
        &case(13, 8, 1)
            .node_of("", "DynamicQuantizeLinear", &["x"], &["codes", "", "zero"], vec![])
            .node("Cast", &["codes"], "y", vec![attr::int("to", data_type::FLOAT.into())]),
    );
    assert!(message.contains("its scale is no output"), "{message}");
    let message = refused(
        &case(13, 8, 1)
            .codes("weight", data_type::INT8, &[8, 4], 2)
            .codes("zero b", data_type::INT8, &[2, 2], 3)
            .node_of("", "DynamicQuantizeLinear", &["x"], &["codes", "scale", "zero"], vec![])
            .node("MatMulInteger", &["codes", "weight", "zero", "zero b"], "sums", vec![])
            .node("Cast", &["sums"], "y", vec![attr::int("to", data_type::FLOAT.into())]),
    );
    assert!(message.contains("not numbers or one per column"), "{message}");
}

/// Products whose activation is rounded on the way: the gradient goes straight through the rounding
/// and is that of a product with the weight that the codes stand for.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn products_that_round_their_activation() {
    use polygraft::graph::TensorType;
    use polygraft::runtime::{Session, SessionOptions, Value};
    let (rows, columns, scale, zero) = (4, 5, 0.03f32, 120.0f32);
    let codes: Vec<u8> = numbers(7, 20, 0.0, 256.0).into_iter().map(|value| value as u8).collect();
    let layer = || {
        case(17, rows, 8)
            .stores("codes", data_type::UINT8, &[rows, columns], codes.clone())
            .stores("scale", data_type::FLOAT, &[1], scale.to_le_bytes().to_vec())
            .stores("zero", data_type::UINT8, &[1], vec![zero as u8])
    };
    let inputs = ["x", "codes", "scale", "zero"];
    let dynamic = layer().node_of(MICROSOFT, "DynamicQuantizeMatMul", &inputs, &["y"], vec![]);
    let rounded = ["xq", "codes", "xs", "scale", "xz", "zero"];
    let apart = layer()
        .node_of("", "DynamicQuantizeLinear", &["x"], &["xq", "xs", "xz"], vec![])
        .node_of(MICROSOFT, "MatMulIntegerToFloat", &rounded, &["y"], vec![]);
    for case in [dynamic, apart] {
        let (mut graph, gradients) = case.derive().unwrap();
        let made = TensorType::unranked(data_type::FLOAT).to_value_info(&gradients["x"]);
        graph.output = vec![made];
        let bytes = differences::model_bytes(&graph, 17);
        let options = SessionOptions::default();
        let session = Session::open(&engine::engine(), &bytes, None, &options).unwrap();
        let floats = |seed: u64, count: usize| -> Vec<f32> {
            numbers(seed, count, -1.0, 1.0).into_iter().map(|value| value as f32).collect()
        };
        let weights = floats(9, 6 * columns);
        let x = Value::f32(&[2, 3, rows], floats(10, 6 * rows)).unwrap();
        let given = Value::f32(&[2, 3, columns], weights.clone()).unwrap();
        let inputs = [("x", &x), ("weights", &given)];
        let found = session.run(&inputs, &[&gradients["x"]], None).unwrap().remove(0);
        for (place, found) in found.as_f32().unwrap().iter().enumerate() {
            let (token, row) = (place / rows, place % rows);
            let term = |column: usize| {
                let weight = scale * (f32::from(codes[row * columns + column]) - zero);
                weights[token * columns + column] * weight
            };
            let expected: f32 = (0..columns).map(term).sum();
            assert!((found - expected).abs() < 1e-5, "{place}: {found}, expected {expected}");
        }
    }
}
