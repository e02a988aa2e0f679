//! Importing a version through the gate: what it is compared with, what other languages keep, and
//! what is refused. `tests/c/exchange.c` has the formats and the other activations.

#[path = "c/support.rs"]
mod support;

use polygraft::example::{Example, Input, Number, Target};
use polygraft::exchange::{Format, ReadOptions, WriteOptions};
use polygraft::language::Language;
use polygraft::model::{Activation, ImportOptions, Model, ModelOptions};
use polygraft::rehearsal::{Limits, Rehearsal};
use polygraft::report::{CandidateKind, Decision, ReasonKind};
use polygraft::runtime::Engine;
use polygraft::store::{ObjectHash, Store};
use polygraft::update::UpdateOptions;
use polygraft::{Code, Result};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TASK: &str = "light";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn examples(tag: &str, target: fn(usize) -> Target) -> Vec<Example> {
    let example = |number: usize| Example {
        language: language(tag),
        input: Input::from(format!("tree {number}").as_str()),
        target: target(number),
    };
    (0..40).map(example).collect()
}

fn label(number: usize) -> Target {
    Target::Classification(["on", "off"][number % 2].to_owned())
}

/// A model that has learnt labels in German, and the file of that version.
struct Taught {
    _folder: tempfile::TempDir,
    model: Model,
    file: PathBuf,
}

impl Taught {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(Some(&support::onnxruntime())).unwrap();
        let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
        let bundle = support::sequence_bundle(folder.path());
        let model = Model::open(&engine, &bundle, &store, &ModelOptions::default()).unwrap();
        let file = folder.path().join("de.safetensors");
        let taught = Self { _folder: folder, model, file };
        taught.teach(TASK, examples("de", label));
        let (to, how) = ((Format::Own, taught.file.as_path()), WriteOptions::default());
        taught.model.export(TASK, &language("de"), None, to, &how).unwrap();
        taught
    }

    fn teach(&self, task: &str, examples: Vec<Example>) {
        let mut options = UpdateOptions { steps_max: 3, ..UpdateOptions::default() };
        options.gate.enabled = false;
        options.lora.targets = vec!["q".into(), "v".into()];
        let mut update = self.model.begin_update(task, options).unwrap();
        examples.into_iter().for_each(|example| update.add(example).unwrap());
        update.run(&mut |_| ControlFlow::Continue(())).unwrap();
        update.commit().unwrap();
    }

    fn import(
        &self,
        task: &str,
        tag: &str,
        margin: f64,
    ) -> Result<polygraft::model::ImportedVersion> {
        let mut options = ImportOptions { activation: Activation::Gated, ..Default::default() };
        options.gate.margin = margin;
        let read = ReadOptions::default();
        self.model.import(task, &language(tag), Path::new(&self.file), &read, &options)
    }

    fn active(&self, tag: &str) -> Option<(u32, ObjectHash)> {
        let snapshot = self.model.store().snapshot().unwrap();
        snapshot.active(TASK, &language(tag)).map(|active| (active.number, active.hash))
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_was_not_measured_keeps_what_serves_it() {
    let taught = Taught::new();
    let store = taught.model.store();
    // English has held-out examples and no version: the shared adapter serves it.
    let mut rehearsal = Rehearsal::open_in(store, TASK, Limits::default()).unwrap();
    rehearsal.add(&examples("en", label), 1).unwrap();
    rehearsal.save().unwrap();
    drop(rehearsal);
    let shared = taught.active("mul").unwrap();

    // With no tolerance for what so few examples could hide, the version is refused and stays.
    let refused = taught.import(TASK, "de", 0.0).unwrap();
    let report = refused.report.as_ref().unwrap();
    assert_eq!((refused.version.activated, report.decision), (false, Decision::Keep));
    assert_eq!(report.chosen, Some(CandidateKind::Imported));
    assert!(
        report.selection_examples > 0 && report.report_examples + report.selection_examples < 20
    );
    assert_eq!((taught.active("de").unwrap().0, taught.active("en")), (1, None));

    let accepted = taught.import(TASK, "de", 0.9).unwrap();
    assert_eq!(accepted.report.as_ref().unwrap().reason_kind, ReasonKind::NoWorse);
    assert_eq!(taught.active("de"), Some((3, accepted.version.hash)));
    assert_eq!(taught.active("en"), Some((1, shared.1)));
    assert_eq!(taught.active("mul"), Some(shared));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_adapter_of_another_kind_is_refused() {
    let taught = Taught::new();
    let number = |number| Target::Regression(Number(number as f64));
    taught.teach("count", examples("de", number));
    let error = taught.import("count", "de", 0.9).unwrap_err();
    assert_eq!(error.code(), Code::TaskKind);
    let versions = taught.model.store().versions(Some("count")).unwrap();
    assert!(versions.iter().all(|version| version.number == 1), "{versions:?}");
}
