//! The most tokens of a text: what the graph says, and what runs.

use polygraft::Code;
use polygraft::graph::{GraphProto, attr, data_type};

use crate::model::{
    HIDDEN, POSITIONS, Workshop, encoder, floats, integers, node, node_with, replace,
};

/// An encoder whose positions are computed by `nodes`.
fn counted_by(nodes: Vec<polygraft::graph::NodeProto>) -> GraphProto {
    let mut graph = encoder();
    replace(&mut graph, "places", nodes);
    graph
}

/// What the graph says is the limit, and the trial agrees: one token more does not run.
fn assert_limit(graph: GraphProto, expected: usize) {
    let mut workshop = Workshop::new(graph);
    assert_eq!(workshop.create().unwrap().manifest().tokens_max, expected);
    let created = workshop.try_out().unwrap();
    assert_eq!(created.bundle.manifest().tokens_max, expected, "{:?}", created.notes);
    assert_eq!(created.notes, [""; 0]);
    workshop.options.tokens_max = Some(expected + 1);
    let error = workshop.create().unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid, "{error}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn positions_from_zero_fill_the_table() {
    assert_limit(encoder(), POSITIONS);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn positions_behind_an_offset_leave_room_for_fewer_tokens() {
    // As in BART: counted from 2.
    let mut graph = counted_by(vec![
        node("Range", &["zero", "length", "one"], "range"),
        node("Add", &["range", "two"], "places"),
    ]);
    graph.initializer.push(integers("two", &[2]));
    assert_limit(graph, POSITIONS - 2);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn positions_behind_the_padding_s_own_row_begin_where_that_is() {
    // As in RoBERTa: behind the id of the padding, which is 3 here and not counted.
    for pad in [1, 3, 6] {
        let to_integers = vec![attr::int("to", data_type::INT64.into())];
        let mut graph = counted_by(vec![
            node("Equal", &["input_ids", "pad"], "is_pad"),
            node("Not", &["is_pad"], "is_token"),
            node_with("Cast", &["is_token"], "ones", to_integers),
            node("CumSum", &["ones", "one"], "sums"),
            node("Mul", &["sums", "ones"], "counts"),
            node("Add", &["counts", "pad"], "places"),
        ]);
        graph.initializer.push(integers("pad", &[pad]));
        assert_limit(graph, POSITIONS - 1 - pad as usize);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_buffer_of_positions_may_end_before_the_table() {
    let buffer = |numbers: i64| {
        let mut graph = counted_by(vec![
            node("Unsqueeze", &["length", "first"], "end"),
            node("Slice", &["numbers", "first", "end"], "places"),
        ]);
        graph.initializer.push(integers("numbers", &(0..numbers).collect::<Vec<i64>>()));
        let mut first = integers("first", &[0]);
        first.dims = vec![1];
        graph.initializer.push(first);
        graph
    };
    assert_limit(buffer(16), 16);
    assert_limit(buffer(POSITIONS as i64 + 4), POSITIONS);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn tables_of_the_embedding_s_own_size_are_seen() {
    // As in ALBERT: words and positions are smaller than states, and a product widens their sum.
    let small = HIDDEN / 2;
    let mut graph = encoder();
    graph.initializer.retain(|tensor| !["words", "positions"].contains(&tensor.name()));
    graph.initializer.push(floats("words", &[crate::model::WORDS, small]));
    graph.initializer.push(floats("positions", &[20, small]));
    graph.initializer.push(floats("projection.weight", &[small, HIDDEN]));
    replace(
        &mut graph,
        "sum",
        vec![
            node("Add", &["word", "position"], "narrow"),
            node("MatMul", &["narrow", "projection.weight"], "sum"),
        ],
    );
    assert_limit(graph, 20);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_limit_that_the_graph_does_not_tell_is_found_by_running() {
    // The places are computed in floats, which nothing follows back.
    let cast = |to: i32| vec![attr::int("to", to.into())];
    let graph = counted_by(vec![
        node("Range", &["zero", "length", "one"], "range"),
        node_with("Cast", &["range"], "as_floats", cast(data_type::FLOAT)),
        node("Floor", &["as_floats"], "rounded"),
        node_with("Cast", &["rounded"], "places", cast(data_type::INT64)),
    ]);
    let workshop = Workshop::new(graph.clone());
    assert_eq!(workshop.create().unwrap().manifest().tokens_max, 512);
    let created = workshop.try_out().unwrap();
    assert_eq!(created.bundle.manifest().tokens_max, POSITIONS);
    let [note] = created.notes.as_slice() else { panic!("{:?}", created.notes) };
    assert!(note.contains("24") && note.contains("25 tokens do not run"), "{note}");
    assert!(note.contains("/make/position"), "{note}");

    // A larger requested limit is refused with a reason, and no bundle is made.
    let mut workshop = Workshop::new(graph);
    workshop.options.tokens_max = Some(30);
    let error = workshop.try_out().unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid, "{error}");
    assert!(error.to_string().contains("30, expected at most 24"), "{error}");
    workshop.assert_no_bundle();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_padding_s_id_does_not_hide_a_limit() {
    // Tokens of the id that stands for padding are not counted, so a text of them runs at any
    // length. It is one of the two ids that the trial fills texts with.
    let to_floats = vec![attr::int("to", data_type::FLOAT.into())];
    let mut graph = counted_by(vec![
        node("Equal", &["input_ids", "pad"], "is_pad"),
        node("Not", &["is_pad"], "is_token"),
        node_with("Cast", &["is_token"], "ones", to_floats),
        node("CumSum", &["ones", "one"], "sums"),
        node("Floor", &["sums"], "rounded"),
        node_with("Cast", &["rounded"], "places", vec![attr::int("to", data_type::INT64.into())]),
    ]);
    graph.initializer.push(integers("pad", &[crate::model::WORDS as i64 / 3]));
    let created = Workshop::new(graph).try_out().unwrap();
    assert_eq!(created.bundle.manifest().tokens_max, POSITIONS - 1);
}
