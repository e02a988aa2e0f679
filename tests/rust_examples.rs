//! The programs in `examples/rust`, after each other, as their readers would run them. Those that
//! the guide quotes are in `tests/guide.rs`.
//!
//! The bundle is the small one that version 0.1.0 wrote.

#[path = "../examples/rust/classify.rs"]
mod classify;
#[path = "../examples/rust/hot_swap.rs"]
mod hot_swap;
#[path = "../examples/rust/ship.rs"]
mod ship;
#[path = "c/support.rs"]
mod support;
#[path = "../examples/rust/update.rs"]
mod update;

use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::report::Report;
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::UpdateOptions;
use polygraft::{Code, Result};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn bundle() -> PathBuf {
    support::in_repository("tests/fixtures/written-by-0.1.0/encoder")
}

/// Teaches a store the sentences about lights, unless it is stopped at the first step.
fn learn(store: &Path, proceed: ControlFlow<()>) -> Result<Report> {
    let options = UpdateOptions { new_labels: true, steps_max: 3, ..UpdateOptions::default() };
    let examples = support::in_repository("examples/light.jsonl");
    update::update(&bundle(), store, &examples, options, &mut |progress| {
        assert!((0.0..=1.0).contains(&progress.fraction), "{}", progress.fraction);
        proceed
    })
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_scenarios_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let texts = ["Licht an".to_owned(), "dunkel".to_owned()];

    // An update that is cancelled changes nothing.
    let stopped = learn(&store, ControlFlow::Break(())).unwrap_err();
    assert_eq!(stopped.code(), Code::Cancelled);
    let refused = classify::classify(&bundle(), &store, "de", &texts).unwrap_err();
    assert_eq!(refused.code(), Code::StoreNoVersion);

    let report = learn(&store, ControlFlow::Continue(())).unwrap();
    assert!(report.languages.iter().any(|entry| entry.version == Some(1)), "{report}");
    let answers = classify::classify(&bundle(), &store, "de", &texts).unwrap();
    assert_eq!(answers.len(), 2);
    let shown = classify::shown(&answers[0]);
    assert!(shown.starts_with('o') && shown.ends_with("(de version 1)"), "{shown}");

    let options = UpdateOptions { steps_max: 2, ..hot_swap::options() };
    let examples = support::in_repository("examples/light.jsonl");
    let answered = hot_swap::hot_swap(&bundle(), &store, &examples, options).unwrap();
    // The last question came after the commit.
    assert!(answered.contains_key(&2), "{answered:?}");
    assert!(answered.keys().all(|version| [1, 2].contains(version)), "{answered:?}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_base_adapter_is_shipped_and_what_was_learnt_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (maker, device) = (path("maker"), path("device"));
    let language = |tag: &str| Language::parse(tag).unwrap();
    let engine = Engine::open(Some(&support::onnxruntime())).unwrap();
    let open = |folder: &Path| {
        let store = Arc::new(Store::open(folder).unwrap());
        Model::open(&engine, &bundle(), &store, &ModelOptions::default()).unwrap()
    };
    learn(&maker, ControlFlow::Continue(())).unwrap();
    let examples = support::in_repository("examples/light.jsonl");
    let options = UpdateOptions { steps_max: 2, ..hot_swap::options() };
    hot_swap::hot_swap(&bundle(), &maker, &examples, options).unwrap();

    let model = open(&maker);
    ship::export(&model, &language("mul"), &path("base.adapter")).unwrap();
    let imported = ship::install(&open(&device), &path("base.adapter")).unwrap();
    assert_eq!(imported.version.number, 1);
    let answers = classify::classify(&bundle(), &device, "tr", &["ışığı".to_owned()]).unwrap();
    assert!(classify::shown(&answers[0]).ends_with("(mul version 1)"), "{:?}", answers[0]);

    let (store, german) = (model.store(), language("de"));
    assert_eq!(ship::roll_back(store, &german).unwrap(), Some(1));
    assert!(store.snapshot().unwrap().is_pinned("light", &german));
    let wiped = ship::wipe(store, &german).unwrap();
    assert!(wiped.retired && wiped.examples[&german] > 0 && !wiped.learnt.is_empty(), "{wiped:?}");
    let left = store.versions(Some("light")).unwrap();
    assert!(left.iter().all(|version| version.language != german), "{left:?}");
}
