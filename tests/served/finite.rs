//! A model that gives numbers which are not finite gives no answer.

use std::ops::ControlFlow;
use std::sync::Arc;

use polygraft::Code;
use polygraft::adapter::LoraConfig;
use polygraft::example::{Example, Input, Number, Target, TaskKind};
use polygraft::language::Language;
use polygraft::model::{PredictOptions, TaskOutput};
use polygraft::report::{Decision, ReasonKind};
use polygraft::store::Store;
use polygraft::update::{GateOptions, UpdateOptions};

use crate::small::{HIDDEN, TASK, bundle, english, head, open, store};

const KINDS: [TaskKind; 5] = [
    TaskKind::Classification,
    TaskKind::MultiLabel,
    TaskKind::Regression,
    TaskKind::TokenClassification,
    TaskKind::IntentAndSlots,
];

/// An answer that a head of the tests knows.
fn target(kind: TaskKind, words: usize) -> Target {
    let tags = || vec!["O".to_owned(); words];
    match kind {
        TaskKind::MultiLabel => Target::MultiLabel(vec!["on".to_owned()]),
        TaskKind::Regression => Target::Regression(Number(1.0)),
        TaskKind::TokenClassification => Target::TokenClassification(tags()),
        TaskKind::IntentAndSlots => Target::IntentAndSlots { label: "on".to_owned(), tags: tags() },
        _ => Target::Classification("on".to_owned()),
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_kind_of_answer_is_refused_when_it_is_not_finite() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let bundle = bundle(folder.path());
        let store = store(&folder.path().join("store"), &head(&bundle, kind));
        let model = open(bundle.folder(), &store).unwrap();
        let options = PredictOptions::default();
        let predict = |texts: &[&str]| {
            let inputs: Vec<Input> = texts.iter().map(|text| Input::from(*text)).collect();
            model.predict_batch(TASK, &english(), &inputs, &options)
        };
        assert_eq!(predict(&["a b", "c"]).unwrap().len(), 2, "{kind}");
        // The letter z has no numbers in the weights, y has infinities.
        for texts in [&["a z"][..], &["a y"], &["a b", "c z"]] {
            let error = predict(texts).unwrap_err();
            assert_eq!(error.code(), Code::RuntimeNotFinite, "{kind} {texts:?}: {error}");
            assert!(error.to_string().starts_with("version 1 of en: "), "{kind}: {error}");
            assert!(error.message().contains("bundle verify"), "{kind}: {error}");
        }
        let example = |text: &str| Example {
            language: english(),
            input: Input::from(text),
            target: target(kind, text.split(' ').count()),
        };
        let proceed = &mut |_, _| ControlFlow::Continue(());
        let scores = model.evaluate(TASK, &[example("a b"), example("c d")], proceed).unwrap();
        assert!(scores.iter().all(|score| score.evaluation.score.is_finite()), "{kind}");
        let error = model.evaluate(TASK, &[example("a b"), example("c z")], proceed).unwrap_err();
        assert_eq!(error.code(), Code::RuntimeNotFinite, "{kind}: {error}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn vectors_are_finite_and_of_length_one_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let store = store(&folder.path().join("store"), &head(&bundle, TaskKind::Classification));
    let model = open(bundle.folder(), &store).unwrap();
    for task in [None, Some(TASK)] {
        for bad in ["z", "a y b"] {
            let error = model.embed(&english(), task, &[bad.into()], true).unwrap_err();
            assert_eq!(error.code(), Code::RuntimeNotFinite, "{bad}: {error}");
        }
        // Zeros are finite, but have no direction.
        let zeros = model.embed(&english(), task, &["w".into()], false).unwrap();
        assert_eq!(zeros, [vec![0.0; HIDDEN]]);
        let error = model.embed(&english(), task, &["w".into()], true).unwrap_err();
        assert_eq!(error.code(), Code::RuntimeNotFinite, "{error}");
        // The squares of what x has are beyond single precision.
        let vectors = model.embed(&english(), task, &["x".into(), "a".into()], true).unwrap();
        for vector in vectors {
            let length: f32 = vector.iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-5, "{vector:?}");
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_number_beyond_double_precision_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let mut adapter = head(&bundle, TaskKind::Regression);
    adapter.scale.as_mut().unwrap().standard_deviation = 1.0e300;
    let store = store(&folder.path().join("store"), &adapter);
    let model = open(bundle.folder(), &store).unwrap();
    let predict = |text: &str| model.predict(TASK, &english(), text, &PredictOptions::default());
    let output = predict("a").unwrap().output;
    assert!(matches!(output, TaskOutput::Regression(number) if number.is_finite()), "{output:?}");
    assert_eq!(predict("x").unwrap_err().code(), Code::RuntimeNotFinite);
}

/// Whether an English text is held out for measuring, as `docs/formats.md` says.
fn is_held_out(text: &str) -> bool {
    let mut hasher = blake3::Hasher::new_derive_key("polygraft rehearsal 1: example key");
    hasher.update(b"en\0").update(text.as_bytes());
    let key: [u8; 8] = hasher.finalize().as_bytes()[..8].try_into().unwrap();
    u64::from_be_bytes(key) % 100 < 10
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_update_never_activates_what_is_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
    let model = open(bundle.folder(), &store).unwrap();
    let letters = || "abcdefghijklmnopq".chars();
    let text = |first: char, second: char| format!("{first} {second}");
    let label = |letter: char| if letter < 'i' { "on" } else { "off" };
    let learn = |more: Option<&str>, gate: bool| {
        let gate = GateOptions { enabled: gate, ..GateOptions::default() };
        let lora = LoraConfig { targets: vec!["query".to_owned()], ..LoraConfig::default() };
        let mut update =
            model.begin_update(TASK, UpdateOptions { gate, lora, ..Default::default() })?;
        for first in letters() {
            for second in letters() {
                let text = text(first, second);
                update.add(Example::labelled(english(), &text, label(first)))?;
            }
        }
        if let Some(more) = more {
            update.add(Example::labelled(english(), more, "on"))?;
        }
        update.run(&mut |_| ControlFlow::Continue(()))?;
        update.commit()
    };
    // The odd letter is met where candidates are measured, and not while they are trained.
    let odd =
        letters().flat_map(|letter| letters().map(move |other| format!("{letter} z {other}")));
    let odd = odd.into_iter().find(|text| is_held_out(text)).unwrap();
    let serving = |tag: &str| model.served_version(TASK, &Language::parse(tag).unwrap());
    for gate in [true, false] {
        let report = learn(Some(&odd), gate).unwrap();
        for entry in &report.languages {
            assert_eq!(entry.decision, Decision::Keep, "{entry:?}");
            assert_eq!(entry.reason_kind, ReasonKind::NotFinite, "{entry:?}");
            assert_eq!(entry.after, None, "{entry:?}");
        }
        assert_eq!(serving("en").unwrap_err().code(), Code::StoreNoVersion);
    }
}
