//! The fused attentions: their parts give the same result, and the same gradient as differences.

use crate::differences::{Case, numbers};
use polygraft::graph::attr;
use polygraft::graph::{AttributeProto, data_type};

const BATCH: usize = 2;
const TOKENS: usize = 3;

fn float(opset: i64) -> Case {
    let mut case = Case::new(opset);
    case.element = data_type::FLOAT;
    case
}

fn tokens(case: Case, name: &str, count: usize, width: usize, seed: u64) -> Case {
    let values = numbers(seed, BATCH * count * width, -1.0, 1.0);
    case.wants(name, &[BATCH, count, width], values)
}

fn heads(case: Case, name: &str, count: usize, size: usize, seed: u64) -> Case {
    let values = numbers(seed, BATCH * 2 * count * size, -1.0, 1.0);
    case.wants(name, &[BATCH, 2, count, size], values)
}

fn two_heads(more: Vec<AttributeProto>) -> Vec<AttributeProto> {
    let mut attributes = vec![attr::int("num_heads", 2)];
    attributes.extend(more);
    attributes
}

/// Tokens of 6 numbers, two heads of 2, and the values of the weight.
fn packed(columns: usize) -> Case {
    tokens(float(17), "x", TOKENS, 6, 100)
        .wants("w", &[6, columns], numbers(101, 6 * columns, -1.0, 1.0))
        .wants("b", &[columns], numbers(102, columns, -1.0, 1.0))
}

fn attention(case: Case, inputs: &[&str], outputs: &[&str], more: Vec<AttributeProto>) -> Case {
    case.node_of("com.microsoft", "Attention", inputs, outputs, two_heads(more))
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn packed_projections() {
    attention(packed(12), &["x", "w", "b"], &["y"], vec![]).check();
    let sizes = vec![attr::ints("qkv_hidden_sizes", &[4, 4, 8]), attr::float("scale", 0.3)];
    attention(packed(16), &["x", "w", "b"], &["y"], sizes).check();
    let causal = vec![attr::int("unidirectional", 1)];
    attention(packed(12), &["x", "w", "b"], &["y"], causal).check();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn packed_projections_with_masks() {
    let lengths = packed(12).int32s("m", &[2], &[3, 2]);
    attention(lengths, &["x", "w", "b", "m"], &["y"], vec![]).check();
    let padding = || packed(12).int32s("m", &[2, 3], &[1, 1, 1, 1, 0, 0]);
    attention(padding(), &["x", "w", "b", "m"], &["y"], vec![]).check();
    let causal = vec![attr::int("unidirectional", 1), attr::float("mask_filter_value", -1e3)];
    attention(padding(), &["x", "w", "b", "m"], &["y"], causal).check();
    let whole = [1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0];
    let square = packed(12).int32s("m", &[2, 3, 3], &whole);
    attention(square, &["x", "w", "b", "m"], &["y"], vec![]).check();
    let added = |shape: &[usize]| {
        padding().wants("a", shape, numbers(103, shape.iter().product(), -1.0, 1.0))
    };
    for shape in [[2, 2, 3, 3], [1, 2, 3, 3], [1, 1, 3, 3]] {
        attention(added(&shape), &["x", "w", "b", "m", "", "a"], &["y"], vec![]).check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn packed_projections_with_a_past() {
    let past = packed(12).wants("p", &[2, BATCH, 2, 2, 2], numbers(104, 32, -1.0, 1.0));
    attention(
        past,
        &["x", "w", "b", "", "p"],
        &["r", "kept"],
        vec![attr::int("unidirectional", 1)],
    )
    // The kept keys and values have a gradient as well.
    .node("ReduceMean", &["kept"], "m", vec![attr::int("keepdims", 0)])
    .node("Mul", &["r", "m"], "y", vec![])
    .check();
}

fn multi_head(case: Case, inputs: &[&str], more: Vec<AttributeProto>) -> Case {
    case.node_of("com.microsoft", "MultiHeadAttention", inputs, &["y"], two_heads(more))
}

fn projected() -> Case {
    let case = tokens(float(17), "q", TOKENS, 4, 110);
    tokens(tokens(case, "k", 5, 4, 111), "v", 5, 6, 112)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn projected_queries_keys_and_values() {
    multi_head(projected(), &["q", "k", "v"], vec![]).check();
    multi_head(projected(), &["q", "k", "v"], vec![attr::float("scale", 0.7)]).check();
    let bias = || projected().wants("b", &[14], numbers(113, 14, -1.0, 1.0));
    multi_head(bias(), &["q", "k", "v", "b"], vec![]).check();
    let padding = bias().int32s("m", &[2, 5], &[1, 1, 1, 1, 0, 1, 1, 0, 0, 0]);
    multi_head(padding, &["q", "k", "v", "b", "m"], vec![]).check();
    let added = projected().wants("a", &[1, 2, 3, 5], numbers(114, 30, -1.0, 1.0));
    multi_head(added, &["q", "k", "v", "", "", "a"], vec![]).check();
    let case = heads(heads(tokens(float(17), "q", 3, 4, 115), "k", 5, 2, 116), "v", 5, 2, 117);
    multi_head(case, &["q", "k", "v"], vec![]).check();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn projected_queries_with_past_keys() {
    let case = tokens(tokens(tokens(float(17), "q", 3, 4, 118), "k", 3, 4, 119), "v", 3, 4, 120);
    let case = heads(heads(case, "pk", 2, 2, 121), "pv", 2, 2, 122);
    let inputs = ["q", "k", "v", "", "", "", "pk", "pv"];
    case.node_of(
        "com.microsoft",
        "MultiHeadAttention",
        &inputs,
        &["y", "present_key", "present_value"],
        two_heads(vec![attr::int("unidirectional", 1)]),
    )
    .check();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn attention_of_the_standard_domain() {
    let four = || {
        let case = heads(float(23), "q", 3, 2, 130);
        heads(heads(case, "k", 5, 2, 131), "v", 5, 4, 132)
    };
    let standard = |case: Case, inputs: &[&str], attributes| {
        case.node("Attention", inputs, "y", attributes).check();
    };
    standard(four(), &["q", "k", "v"], vec![]);
    standard(four(), &["q", "k", "v"], vec![attr::float("scale", 0.4)]);
    let added = four().wants("m", &[3, 5], numbers(133, 15, -1.0, 1.0));
    standard(added, &["q", "k", "v", "m"], vec![]);
    let truth = four()
        .given("n", &[2, 1, 3, 5], numbers(134, 30, 0.0, 1.0).into_iter().map(f64::round).collect())
        .node("Cast", &["n"], "m", vec![attr::int("to", data_type::BOOL.into())]);
    standard(truth, &["q", "k", "v", "m"], vec![]);
    let square = heads(heads(heads(float(23), "q", 3, 2, 135), "k", 3, 2, 136), "v", 3, 2, 137);
    standard(square, &["q", "k", "v"], vec![attr::int("is_causal", 1)]);
    let merged = tokens(tokens(tokens(float(23), "q", 3, 4, 138), "k", 5, 4, 139), "v", 5, 4, 140);
    let counts =
        |queries, keys| vec![attr::int("q_num_heads", queries), attr::int("kv_num_heads", keys)];
    standard(merged, &["q", "k", "v"], counts(2, 2));
    let shared = tokens(tokens(tokens(float(23), "q", 3, 8, 146), "k", 5, 4, 147), "v", 5, 4, 148);
    standard(shared, &["q", "k", "v"], counts(4, 2));
}

/// Four heads of queries and two of keys and values, of two elements each.
fn grouped(case: Case, operands: &[&str], more: &[&str], attributes: Vec<AttributeProto>) -> Case {
    let lengths = case.int32s("lengths", &[2], &[2, 2]).int32s("total", &[1], &[3]);
    let inputs = [operands, &["", "", "lengths", "total"], more].concat();
    let mut all = vec![attr::int("num_heads", 4), attr::int("kv_num_heads", 2)];
    all.extend(attributes);
    let outputs = ["y", "present_key", "present_value"];
    lengths.node_of("com.microsoft", "GroupQueryAttention", &inputs, &outputs, all)
}

fn three_operands(size: usize) -> Case {
    let case = tokens(float(17), "q", TOKENS, 4 * size, 150);
    tokens(tokens(case, "k", TOKENS, 2 * size, 151), "v", TOKENS, 2 * size, 152)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn heads_of_queries_that_share_keys() {
    let apart = ["q", "k", "v"];
    grouped(three_operands(8), &apart, &[], vec![]).check();
    grouped(three_operands(8), &apart, &[], vec![attr::float("scale", 0.3)]).check();
    let packed = tokens(float(17), "x", TOKENS, 64, 153);
    grouped(packed, &["x", "", ""], &[], vec![]).check();
    let added = three_operands(8).wants("a", &[2, 4, 3, 3], numbers(154, 72, -1.0, 1.0));
    grouped(added, &apart, &["", "", "", "a"], vec![]).check();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn heads_of_queries_that_share_rotated_keys() {
    for interleaved in [0, 1] {
        let angles = |seed| numbers(seed, 5 * 8, -1.0, 1.0);
        let case = three_operands(16).given("cosines", &[5, 8], angles(155)).given(
            "sines",
            &[5, 8],
            angles(156),
        );
        let rotary = vec![attr::int("do_rotary", 1), attr::int("rotary_interleaved", interleaved)];
        grouped(case, &["q", "k", "v"], &["cosines", "sines"], rotary).check();
    }
}

#[test]
fn other_forms_are_refused_by_name() {
    let capped = heads(heads(heads(float(23), "q", 3, 2, 141), "k", 3, 2, 142), "v", 3, 2, 143)
        .node("Attention", &["q", "k", "v"], "y", vec![attr::float("softcap", 2.0)]);
    let rotated = attention(packed(12), &["x", "w", "b"], &["y"], vec![attr::int("do_rotary", 1)]);
    let packed_keys = float(17)
        .wants("q", &[2, 3, 4], numbers(144, 24, -1.0, 1.0))
        .wants("k", &[2, 3, 2, 2, 2], numbers(145, 48, -1.0, 1.0))
        .node_of("com.microsoft", "MultiHeadAttention", &["q", "k"], &["y"], two_heads(vec![]));
    let shared = |attribute| grouped(three_operands(8), &["q", "k", "v"], &[], vec![attribute]);
    let past = heads(heads(three_operands(8), "pk", 2, 8, 157), "pv", 2, 8, 158).node_of(
        "com.microsoft",
        "GroupQueryAttention",
        &["q", "k", "v", "pk", "pv"],
        &["y"],
        vec![attr::int("num_heads", 4), attr::int("kv_num_heads", 2)],
    );
    for (case, parts) in [
        (past, ["GroupQueryAttention", "export the encoder without a cache"]),
        (shared(attr::int("local_window_size", 2)), ["GroupQuery", "the last 2 keys only"]),
        (shared(attr::float("softcap", 2.0)), ["GroupQuery", "it caps the scores"]),
        (shared(attr::int("smooth_softmax", 1)), ["GroupQuery", "its softmax has a sink"]),
        (shared(attr::int("causal", 0)), ["GroupQuery", "its attribute causal is not known"]),
        (shared(attr::int("new", 3)), ["GroupQuery", "its attribute new is not known"]),
        (capped, ["Attention", "it caps the scores"]),
        (rotated, ["com.microsoft", "without ONNX Runtime's optimiser"]),
        (packed_keys, ["MultiHeadAttention", "input 2 is missing"]),
    ] {
        let (mut graph, mut shapes) = case.with_loss();
        let wanted = &case.wanted[..1];
        let error =
            polygraft::autodiff::backward(&mut graph, case.opset, &mut shapes, "loss", wanted)
                .unwrap_err()
                .to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}
