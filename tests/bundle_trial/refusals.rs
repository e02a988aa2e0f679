//! Models that can never do what serving and learning ask: each refusal says what is wrong.

use polygraft::Code;
use polygraft::bundle::create_tried;
use polygraft::graph::{GraphProto, NodeProto, attr, data_type};

use crate::model::{
    HIDDEN, WORDS, Workshop, encoder, floats, integers, node, node_with, replace, value,
};

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_sound_model_is_made_without_a_word() {
    let created = Workshop::new(encoder()).try_out().unwrap();
    assert_eq!(created.notes, [""; 0]);
    assert!(!created.bundle.runs_alone());
}

#[test]
fn inputs_of_fixed_extents_are_named_with_a_way_to_export() {
    for (dims, what) in
        [(["1", "sequence"], "exactly 1 texts"), (["batch", "16"], "exactly 16 tokens")]
    {
        let mut graph = encoder();
        graph.input[1] = value("attention_mask", data_type::INT64, &dims);
        let workshop = Workshop::new(graph);
        // No run is needed to see it.
        let error = workshop.create().unwrap_err();
        assert_eq!(error.code(), Code::BundleUnusable, "{error}");
        for part in ["attention_mask", what, "dynamic_axes", "optimum-cli"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        workshop.assert_no_bundle();
    }
}

/// The states pass through these nodes from `raw` to `states`.
fn behind(nodes: Vec<NodeProto>) -> GraphProto {
    let mut graph = encoder();
    let mut all = vec![node("Add", &["sum", "bent"], "raw")];
    all.extend(nodes);
    replace(&mut graph, "states", all);
    graph
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_batch_of_one_inside_a_sound_looking_graph_is_found() {
    let mut graph = behind(vec![node("Reshape", &["raw", "one_text"], "states")]);
    graph.initializer.push(integers("one_text", &[1, -1, HIDDEN as i64]));
    let message = Workshop::new(graph).refusal();
    assert!(message.contains("two texts"), "{message}");
    assert!(message.contains("shape [1, 10, 8], expected [2, 5, 8]"), "{message}");

    // Where two texts cannot pass a node, it is named.
    let mut graph = behind(vec![
        node("Squeeze", &["raw", "first"], "flat"),
        node("Unsqueeze", &["flat", "first"], "states"),
    ]);
    let mut first = integers("first", &[0]);
    first.dims = vec![1];
    graph.initializer.push(first);
    let message = Workshop::new(graph).refusal();
    assert!(message.contains("two texts of 5 and 5 tokens"), "{message}");
    assert!(message.contains("/make/flat"), "{message}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_length_inside_a_sound_looking_graph_is_found() {
    let mut graph = behind(vec![node("Reshape", &["raw", "sixteen"], "states")]);
    graph.initializer.push(integers("sixteen", &[-1, 16, HIDDEN as i64]));
    let message = Workshop::new(graph).refusal();
    assert!(message.contains("a text of 3 tokens does not run"), "{message}");
    assert!(message.contains("/make/states"), "{message}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn pooled_states_of_three_dimensions_are_found() {
    let mean = vec![attr::ints("axes", &[1]), attr::int("keepdims", 1)];
    let mut graph = behind(vec![node_with("ReduceMean", &["raw"], "states", mean)]);
    let message = Workshop::new(graph.clone()).refusal();
    assert!(message.contains("shape [1, 1, 8], expected [1, 3, 8]"), "{message}");
    // Where the export says so, no run is needed.
    graph.output = vec![value("states", data_type::FLOAT, &["batch", "1", "8"])];
    let error = Workshop::new(graph).create().unwrap_err();
    assert_eq!(error.code(), Code::GraphUnsupported, "{error}");
    assert!(error.to_string().contains("one state for a text"), "{error}");
}

#[test]
fn vectors_of_texts_are_refused_with_a_way_to_export() {
    let mean = vec![attr::ints("axes", &[1]), attr::int("keepdims", 0)];
    let mut graph = behind(vec![node_with("ReduceMean", &["raw"], "states", mean)]);
    graph.output = vec![value("states", data_type::FLOAT, &["batch", "8"])];
    let error = Workshop::new(graph).create().unwrap_err();
    assert_eq!(error.code(), Code::GraphUnsupported, "{error}");
    for part in ["\"states\" is float [batch, 8], one vector for a text", "feature-extraction"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// An encoder with a head that guesses words, whose logits are called `name`.
fn with_logits(name: &str) -> GraphProto {
    let mut graph = encoder();
    graph.initializer.push(floats("lm_head.weight", &[HIDDEN, WORDS]));
    graph.node.push(node("MatMul", &["states", "lm_head.weight"], name));
    graph.output = vec![value(name, data_type::FLOAT, &["batch", "sequence", "40"])];
    graph
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn logits_of_words_are_no_states() {
    for name in ["logits", "output_0"] {
        let error = Workshop::new(with_logits(name)).create().unwrap_err();
        assert_eq!(error.code(), Code::GraphUnsupported, "{error}");
        for part in [name, "logits of 40 tokens of the vocabulary", "feature-extraction"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    // Behind logits, the hidden states are found.
    let mut graph = with_logits("logits");
    graph.output.push(value("states", data_type::FLOAT, &["batch", "sequence", "8"]));
    let created = Workshop::new(graph).try_out().unwrap();
    assert_eq!(created.bundle.interface().output, "states");
    // Logits that the options name as the output are taken.
    let mut workshop = Workshop::new(with_logits("logits"));
    workshop.options.output = Some("logits".to_owned());
    assert_eq!(workshop.try_out().unwrap().bundle.interface().hidden, WORDS);
}

#[test]
fn logits_of_labels_are_known_by_their_name() {
    let mut graph = encoder();
    graph.initializer.push(floats("classifier.weight", &[HIDDEN, 5]));
    graph.node.push(node("MatMul", &["states", "classifier.weight"], "logits"));
    graph.output = vec![value("logits", data_type::FLOAT, &["batch", "sequence", "5"])];
    let error = Workshop::new(graph).create().unwrap_err();
    assert!(error.to_string().contains("logits by its name"), "{error}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn states_that_are_no_numbers_are_refused() {
    let mut graph = behind(vec![node("Div", &["raw", "nothing"], "states")]);
    let mut nothing = floats("nothing", &[]);
    nothing.float_data = vec![0.0];
    graph.initializer.push(nothing);
    let message = Workshop::new(graph).refusal();
    assert!(message.contains("no numbers"), "{message}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn adapters_that_change_nothing_are_found() {
    // The layers' sum goes nowhere: times zero.
    let mut graph = encoder();
    let mut nothing = floats("nothing", &[]);
    nothing.float_data = vec![0.0];
    graph.initializer.push(nothing);
    replace(
        &mut graph,
        "states",
        vec![node("Mul", &["bent", "nothing"], "gone"), node("Add", &["sum", "gone"], "states")],
    );
    let message = Workshop::new(graph).refusal();
    assert!(message.contains("lora have no effect"), "{message}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_old_bundle_stays_when_the_new_model_is_refused() {
    let workshop = Workshop::new(encoder());
    workshop.try_out().unwrap();
    let before = std::fs::read(workshop.options.out.join("manifest.json")).unwrap();
    let mut graph = behind(vec![node("Reshape", &["raw", "one_text"], "states")]);
    graph.initializer.push(integers("one_text", &[1, -1, HIDDEN as i64]));
    let other = Workshop::new(graph);
    let mut options = other.options.clone();
    options.out = workshop.options.out.clone();
    let trial = polygraft::inference::TrialRun::new(&crate::engine::engine());
    create_tried(&options, &trial, &mut |_| {}).unwrap_err();
    assert_eq!(std::fs::read(workshop.options.out.join("manifest.json")).unwrap(), before);
}
