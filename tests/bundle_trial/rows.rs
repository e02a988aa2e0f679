//! Texts and their neighbours: a text has the same output whatever other texts run with it.

use polygraft::adapter::{Adapter, Component, LoraConfig, Tensor, tensor_shapes};
use polygraft::bundle::{Bundle, Encoding};
use polygraft::example::{Input, TaskKind};
use polygraft::graph::{GraphProto, attr};
use polygraft::inference::{Predictor, PredictorOptions};
use polygraft::task::Task;
use std::sync::Arc;

use crate::engine::engine;
use crate::model::{HIDDEN, Workshop, encoder, floats, node, node_with, quantise, replace};

/// A predictor of a bundle with one thread, so that results are the same bit by bit.
fn open(bundle: Bundle) -> Predictor {
    let options = PredictorOptions { threads: 1, ..PredictorOptions::default() };
    Predictor::open(&engine(), &Arc::new(bundle), &options).unwrap()
}

fn encoded(predictor: &Predictor, text: &str) -> Encoding {
    let task = Task::of(TaskKind::Classification);
    task.encode(predictor.bundle(), &Input::Text(text.to_owned())).unwrap().encoding
}

const TEXTS: [&str; 4] = ["ABC", "XYZ", "BACDEFGHIJKLM", "C"];

/// The vector of each text alone, and of all in one call.
fn alone_and_together(predictor: &Predictor) -> [Vec<Vec<f32>>; 2] {
    let inputs: Vec<Encoding> = TEXTS.iter().map(|text| encoded(predictor, text)).collect();
    let inputs: Vec<&Encoding> = inputs.iter().collect();
    let alone = inputs.iter().map(|input| predictor.embed(&[input], None, None).unwrap().remove(0));
    [alone.collect(), predictor.embed(&inputs, None, None).unwrap()]
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn quantised_on_the_way_a_text_gives_the_same_in_every_company() {
    let mut graph = encoder();
    quantise(&mut graph);
    let workshop = Workshop::new(graph);
    // What the graph says is enough, with and without a run.
    let untried = workshop.create().unwrap();
    assert!(untried.runs_alone() && untried.manifest().runs_alone);
    let created = workshop.try_out().unwrap();
    let [note] = created.notes.as_slice() else { panic!("{:?}", created.notes) };
    assert!(note.contains("DynamicQuantizeLinear") || note.contains("MatMul"), "{note}");
    let predictor = open(created.bundle);
    let [alone, together] = alone_and_together(&predictor);
    assert_eq!(alone, together);
}

/// An encoder that adds to each state the mean of all states over these axes.
fn with_mean_over(axes: &[i64]) -> GraphProto {
    let mut graph = encoder();
    let mean = vec![attr::ints("axes", axes), attr::int("keepdims", 1)];
    replace(
        &mut graph,
        "states",
        vec![
            node("Add", &["sum", "bent"], "raw"),
            node_with("ReduceMean", &["raw"], "mean", mean),
            node("Add", &["raw", "mean"], "states"),
        ],
    );
    graph
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_model_that_reads_its_padding_gives_the_same_in_every_company() {
    let workshop = Workshop::new(with_mean_over(&[1]));
    let created = workshop.try_out().unwrap();
    let [note] = created.notes.as_slice() else { panic!("{:?}", created.notes) };
    assert!(note.contains("padding"), "{note}");
    assert!(created.bundle.runs_alone());
    let predictor = open(created.bundle);
    let [alone, together] = alone_and_together(&predictor);
    assert_eq!(alone, together);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_model_that_mixes_its_texts_is_refused() {
    let message = Workshop::new(with_mean_over(&[0])).refusal();
    assert!(message.contains("depends on the other texts"), "{message}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_model_that_rounds_and_mixes_its_texts_runs_them_alone() {
    // Quantisation by hand: one scale for all texts, and a rounding.
    let mut graph = encoder();
    let all = vec![attr::int("keepdims", 0)];
    replace(
        &mut graph,
        "states",
        vec![
            node("Add", &["sum", "bent"], "raw"),
            node("Abs", &["raw"], "sizes"),
            node_with("ReduceMax", &["sizes"], "largest", all),
            node("Div", &["raw", "largest"], "shares"),
            node("Round", &["shares"], "steps"),
            node("Mul", &["steps", "largest"], "states"),
        ],
    );
    let created = Workshop::new(graph).try_out().unwrap();
    assert!(created.bundle.runs_alone(), "{:?}", created.notes);
    assert!(created.notes.iter().any(|note| note.contains("others of a run")));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn floats_run_together() {
    let workshop = Workshop::new(encoder());
    let predictor = open(workshop.try_out().unwrap().bundle);
    assert!(!predictor.bundle().runs_alone());
    let [alone, together] = alone_and_together(&predictor);
    for (alone, together) in alone.iter().flatten().zip(together.iter().flatten()) {
        assert!((alone - together).abs() < 1e-5, "{alone} {together}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn adapters_work_on_models_in_which_every_weight_is_an_input() {
    // Up to IR version 3, what is listed as an input and has an initializer cannot be replaced.
    let mut graph = encoder();
    let weights = graph.initializer.iter().map(|tensor| {
        let dims: Vec<String> = tensor.dims.iter().map(i64::to_string).collect();
        let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
        crate::model::value(tensor.name(), tensor.data_type(), &dims)
    });
    let weights: Vec<_> = weights.collect();
    graph.input.extend(weights);
    let workshop = Workshop::of(graph, 3);
    let bundle = workshop.try_out().unwrap().bundle;
    assert_eq!(bundle.model().proto.ir_version, Some(4));
    let predictor = open(bundle);
    let part = Component::Lora(LoraConfig { rank: 2, alpha: 2.0, ..LoraConfig::default() });
    let sites = predictor.sites(TaskKind::Classification).unwrap();
    let shapes = tensor_shapes(std::slice::from_ref(&part), sites).unwrap();
    let tensors = shapes.into_iter().map(|(name, shape)| {
        let values = floats(&name, &shape).float_data;
        (name, Tensor { shape, values: values.into() })
    });
    let mut adapter = Adapter::headless(
        predictor.bundle().backbone_hash().to_owned(),
        vec![part],
        tensors.collect(),
    );
    adapter.labels = vec!["on".to_owned(), "off".to_owned()];
    for (name, shape) in [("head.weight", vec![HIDDEN, 2]), ("head.bias", vec![2])] {
        let values = floats(name, &shape).float_data;
        adapter.tensors.insert(name.to_owned(), Tensor { shape, values: values.into() });
    }
    let loaded = predictor.load(adapter).unwrap();
    let input = encoded(&predictor, "ABC");
    let input = [&input];
    let bare = predictor.embed(&input, None, None).unwrap();
    let adapted = predictor.embed(&input, Some(&loaded), None).unwrap();
    let change = bare[0].iter().zip(&adapted[0]).map(|(bare, with)| (bare - with).abs());
    assert!(change.fold(0.0, f32::max) > 1e-3, "{bare:?} {adapted:?}");
}
