//! The programs in Rust that were written for the guide.

use super::threshold::{Answer, NONE, answers, ask, choose, given};
use super::{fixture, migrate, patient, support};
use polygraft::Code;
use polygraft::example::{Example, json};
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::UpdateOptions;
use std::path::Path;
use std::sync::Arc;

/// A file of examples beside the guide's programs.
fn examples(name: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let path = support::in_repository("examples").join(name);
    json::read(&[path], &mut |example, _| {
        examples.push(example);
        Ok(())
    })
    .unwrap();
    examples
}

fn open(bundle: &Path, store: &Path) -> Model {
    let engine = Engine::open(Some(&support::onnxruntime())).unwrap();
    let store = Arc::new(Store::open(store).unwrap());
    Model::open(&engine, bundle, &store, &ModelOptions::default()).unwrap()
}

#[test]
fn the_threshold_is_the_lowest_that_is_right_often_enough() {
    let answer = |(probability, is_right)| Answer { probability, is_right };
    let mut some = [(0.5, false), (0.9, true), (0.7, true), (0.8, false)].map(answer);
    // From the surest down: right, wrong, right, wrong.
    assert_eq!(choose(&mut some, 1.0), Some(0.9));
    assert_eq!(choose(&mut some, 0.6), Some(0.7));
    assert_eq!(choose(&mut some, 0.5), Some(0.5));
    assert_eq!(given(&some, 0.7), (3, 2));
    // Two answers that are as sure as each other are given together.
    let mut tied = [(0.9, true), (0.9, false)].map(answer);
    assert_eq!(choose(&mut tied, 1.0), None);
    assert_eq!(choose(&mut [], 0.5), None);
}

#[test]
fn held_out_sentences_are_apart_from_those_that_train() {
    let text = |example: &Example| example.input.text().to_lowercase();
    let trained: Vec<_> =
        ["light.jsonl", "guide/none.jsonl"].into_iter().flat_map(examples).collect();
    let held_out = examples("guide/held-out.jsonl");
    assert!(held_out.iter().all(|one| trained.iter().all(|other| text(one) != text(other))));
    let none = held_out.iter().filter(|one| one.target.labels() == [NONE]).count();
    assert_eq!((held_out.len(), none), (32, 16));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn below_the_threshold_there_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(&fixture("encoder"), folder.path());
    let options = UpdateOptions { threads: 1, ..UpdateOptions::default() };
    patient::train(&model, options, &examples("light.jsonl"), &mut || true).unwrap().unwrap();
    let english = Language::parse("en").unwrap();
    let sure = ask(&model, "light", &english, "turn on the light", 0.0).unwrap();
    assert!(sure.is_some_and(|label| label == "on" || label == "off"));
    assert_eq!(ask(&model, "light", &english, "turn on the light", 1.1).unwrap(), None);
    assert_eq!(answers(&model, "light", &examples("guide/held-out.jsonl")).unwrap().len(), 32);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_update_that_may_not_run_changes_nothing_and_runs_later() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(&fixture("encoder"), folder.path());
    let train = |may_run: bool| {
        patient::train(&model, patient::options(), &examples("light.jsonl"), &mut || may_run)
    };
    assert!(train(false).unwrap().is_none());
    assert_eq!(model.store().versions(None).unwrap(), []);
    let report = train(true).unwrap().unwrap();
    assert_eq!(report.task, "light");
    assert!(!model.store().versions(None).unwrap().is_empty());
}

/// From the small model to the reference backbone.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_task_moves_to_another_backbone_by_what_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, old) = (support::bundle(), fixture("encoder-store"));
    let language = Language::parse("de").unwrap();
    let options = PredictOptions::default();
    let engine = Engine::open(Some(&support::onnxruntime())).unwrap();
    let store = Arc::new(Store::open_existing(&old).unwrap());
    let model = Model::open(&engine, &bundle, &store, &ModelOptions::default()).unwrap();
    let error = model.predict("intent", &language, "w14 w66", &options).unwrap_err();
    assert_eq!(error.code(), Code::AdapterBaseMismatch);

    let new = folder.path().join("store");
    let options = UpdateOptions { steps_max: 2, threads: 2, ..UpdateOptions::default() };
    let report = migrate::migrate(&engine, &bundle, &old, &new, "intent", options).unwrap();
    assert!(report.languages.iter().any(|entry| entry.language == language), "{report}");
    let model = open(&bundle, &new);
    let options = PredictOptions::default();
    let answer = model.predict("intent", &language, "w14 w66", &options).unwrap();
    assert_eq!(answer.output.labels().unwrap().len(), 2);
}
