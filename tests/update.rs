//! The update as a transaction, on the real bundle and real intents.

mod support;

use polygraft::adapter::Adapter;
use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::model::{Model, PredictOptions};
use polygraft::rehearsal::{Limits, Rehearsal, Split};
use polygraft::report::{Decision, Report};
use polygraft::update::{GateOptions, Phase, Progress, StrategyKind, UpdateOptions};
use polygraft::{Code, Error};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{TASK, inputs, intents, label, language, open, proceed, quick, relabel};

fn update(model: &Model, examples: &[Example], options: UpdateOptions) -> Result<Report, Error> {
    let mut update = model.begin_update(TASK, options)?;
    for example in examples {
        update.add(example.clone())?;
    }
    update.run(&mut proceed)?;
    update.commit()
}

/// A first version in three languages.
fn with_base(folder: &Path) -> Model {
    let model = open(folder);
    let examples: Vec<Example> =
        ["en", "de", "fi"].iter().flat_map(|tag| intents(tag, "train", 0, 60)).collect();
    update(&model, &examples, quick(12)).unwrap();
    model
}

fn answers(model: &Model, tag: &str) -> Vec<(String, f32, u32)> {
    let texts = intents(tag, "test", 0, 8);
    let options = PredictOptions { top_k: 1, ..PredictOptions::default() };
    let predictions = model.predict_batch(TASK, &language(tag), &inputs(&texts), &options).unwrap();
    let answer = |prediction: polygraft::model::Prediction| {
        let best = &prediction.output.labels().unwrap()[0];
        (best.label.clone(), best.probability, prediction.version)
    };
    predictions.into_iter().map(answer).collect()
}

fn code(result: Result<Report, Error>) -> Code {
    result.expect_err("expected a failure").code()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_first_update_gives_every_language_and_the_shared_adapter_a_version() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let error = model.served_version(TASK, &language("de")).unwrap_err();
    assert_eq!(error.code(), Code::StoreNoVersion);

    let examples: Vec<Example> =
        ["en", "de"].iter().flat_map(|tag| intents(tag, "train", 0, 60)).collect();
    let report = update(&model, &examples, quick(10)).unwrap();
    let tags: Vec<&str> = report.languages.iter().map(|entry| entry.language.as_str()).collect();
    assert_eq!(tags, ["de", "en", "mul"]);
    for entry in &report.languages {
        assert_eq!((entry.decision, entry.version), (Decision::Activate, Some(1)));
        assert_eq!(entry.before, None);
        assert!(
            entry.selection_examples > 0 && (entry.report_examples == 0 || entry.after.is_some())
        );
    }
    assert_eq!(report.training.steps, 10);
    assert!(report.training.loss_last < report.training.loss_first, "{:?}", report.training);

    // Every version says how texts were read.
    let bundle = model.predictor().bundle();
    for version in model.store().versions(None).unwrap() {
        let bytes = model.store().read_object(&version.hash).unwrap();
        let adapter = Adapter::from_bytes(&bytes).unwrap();
        assert_eq!(adapter.reading.as_ref(), Some(bundle.reading()));
    }

    // A language without a version falls back to its parent or to the shared adapter.
    let (served, _) = model.served_version(TASK, &language("de-CH")).unwrap();
    assert_eq!(served, language("de"));
    let (served, _) = model.served_version(TASK, &language("ko")).unwrap();
    assert_eq!(served, Language::shared());
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_same_seed_and_threads_give_the_same_bytes() {
    let hash = || {
        let folder = tempfile::tempdir().unwrap();
        let model = open(folder.path());
        let examples = intents("en", "train", 0, 60);
        update(&model, &examples, UpdateOptions { seed: 11, ..quick(6) }).unwrap();
        let versions = model.store().versions(Some(TASK)).unwrap();
        versions.iter().map(|version| version.hash).collect::<Vec<_>>()
    };
    assert_eq!(hash(), hash());
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn rolling_back_brings_the_old_answers_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let before = answers(&model, "de");
    let options = UpdateOptions {
        gate: GateOptions { enabled: false, ..GateOptions::default() },
        ..quick(6)
    };
    let report = update(&model, &intents("de", "train", 60, 60), options).unwrap();
    assert!(report.languages.iter().all(|entry| entry.version == Some(2)), "{report:?}");
    let after = answers(&model, "de");
    assert_ne!(before, after);

    assert_eq!(model.store().roll_back(TASK, &language("de")).unwrap(), Some(1));
    assert_eq!(answers(&model, "de"), before);
    // The other languages stay on what they have.
    assert_eq!(model.served_version(TASK, &language("fi")).unwrap().1, 2);
    model.store().activate(TASK, &[(language("de"), 2)]).unwrap();
    assert_eq!(answers(&model, "de"), after);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_gate_keeps_what_would_get_worse_and_pinned_languages() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let base: Vec<Example> =
        ["en", "de", "fi"].iter().flat_map(|tag| intents(tag, "train", 0, 200)).collect();
    update(&model, &base, quick(80)).unwrap();
    model.store().pin(TASK, &language("en")).unwrap();
    let before = answers(&model, "fi");

    // German examples with shifted labels teach nonsense to every language.
    let mut examples = intents("de", "train", 200, 120);
    let labels: Vec<String> = examples.iter().map(|example| label(example).to_owned()).collect();
    for (example, label) in examples.iter_mut().zip(labels.iter().cycle().skip(1)) {
        relabel(example, label);
    }
    let mut options = UpdateOptions { strategy: "naive".parse().unwrap(), ..quick(40) };
    options.optimizer.learning_rate *= 5.0;
    let report = update(&model, &examples, options).unwrap();
    let entry =
        |tag: &str| report.languages.iter().find(|entry| entry.language.as_str() == tag).unwrap();
    assert_eq!(entry("en").reason, "pinned to its version");
    let finnish = entry("fi");
    assert_eq!((finnish.decision, finnish.version), (Decision::Keep, None), "{finnish:?}");
    let candidate = finnish.chosen_candidate().unwrap();
    assert!(candidate.gained < candidate.lost, "{finnish:?}");
    assert_eq!(answers(&model, "fi"), before);
    assert_eq!(report.summary.loss_total, 0.0);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn cancelling_changes_nothing_and_the_update_can_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let generation = model.store().snapshot().unwrap().generation();
    let mut update = model.begin_update(TASK, quick(6)).unwrap();
    for example in intents("de", "train", 60, 40) {
        update.add(example).unwrap();
    }
    for &phase in Phase::ALL {
        let error = update
            .run(&mut |progress| match progress.phase == phase {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
            .unwrap_err();
        assert_eq!(error.code(), Code::Cancelled, "{phase:?}");
        assert!(update.report().is_none());
    }
    assert_eq!(model.store().snapshot().unwrap().generation(), generation);
    let mut told = Vec::new();
    let mut tell = |progress: &Progress| {
        told.push((progress.phase, progress.fraction));
        ControlFlow::Continue(())
    };
    update.run(&mut tell).unwrap();
    assert!(update.report().is_some());
    // Phases come in the order of their numbers, and the whole only grows, up to 1 at the end.
    assert!(told.is_sorted(), "{told:?}");
    let mut phases: Vec<Phase> = told.iter().map(|(phase, _)| *phase).collect();
    phases.dedup();
    assert_eq!(phases, Phase::ALL);
    let fractions: Vec<f64> = told.iter().map(|(_, fraction)| *fraction).collect();
    assert!(fractions.is_sorted() && fractions[0] == 0.0, "{fractions:?}");
    assert_eq!(fractions.last(), Some(&1.0));
    update.abort();
    assert_eq!(model.store().snapshot().unwrap().generation(), generation);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_commit_refuses_a_store_that_changed_since_it_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let mut update = model.begin_update(TASK, quick(2)).unwrap();
    for example in intents("de", "train", 60, 40) {
        update.add(example).unwrap();
    }
    update.run(&mut proceed).unwrap();
    model.store().pin(TASK, &language("fi")).unwrap();
    assert_eq!(update.commit().unwrap_err().code(), Code::StoreChanged);
    let mut early = model.begin_update(TASK, quick(2)).unwrap();
    assert_eq!(early.commit().unwrap_err().code(), Code::UpdateState);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn unusable_examples_and_options_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    assert_eq!(code(update(&model, &[], quick(1))), Code::UpdateNoExamples);

    let strict = UpdateOptions { new_labels: false, ..quick(1) };
    let mut unknown = intents("de", "train", 0, 30);
    relabel(&mut unknown[7], "HassMakeTea");
    let error = update(&model, &unknown, strict).unwrap_err();
    assert_eq!(error.code(), Code::TaskUnknownLabel);
    assert!(error.to_string().contains("HassMakeTea"), "{error}");

    let fresh = open(&folder.path().join("fresh"));
    let mut one = intents("de", "train", 0, 30);
    one.iter_mut().for_each(|example| relabel(example, "one"));
    assert_eq!(code(update(&fresh, &one, quick(1))), Code::UpdateOneClass);

    let mut open_update = model.begin_update(TASK, quick(1)).unwrap();
    let example = |text: &str, label: &str| Example::labelled(language("de"), text, label);
    assert_eq!(open_update.add(example(" \n", "a")).unwrap_err().code(), Code::TaskEmptyText);
    assert_eq!(open_update.add(example("a", "")).unwrap_err().code(), Code::ArgumentInvalid);
    let huge = "a".repeat(100_000);
    assert_eq!(open_update.add(example(&huge, "a")).unwrap_err().code(), Code::TaskTooLong);

    let negative = UpdateOptions { epochs: -1.0, ..quick(1) };
    let error = model.begin_update(TASK, negative).err().unwrap();
    assert_eq!(error.code(), Code::ArgumentInvalid);
    assert!(error.to_string().contains("epochs"), "{error}");
    assert_eq!(model.begin_update("../x", quick(1)).err().unwrap().code(), Code::TaskName);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn divergence_is_an_error_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let state = || (answers(&model, "de"), model.store().snapshot().unwrap().generation());
    let before = state();
    let mut options = quick(60);
    options.optimizer.learning_rate = 1.0;
    // Another task begins with an adapter whose scale leaves the range of float32.
    options.lora.alpha = 1e38;
    let mut update = model.begin_update("other", options).unwrap();
    for example in intents("de", "train", 0, 40) {
        update.add(example).unwrap();
    }
    let error = update.run(&mut proceed).unwrap_err();
    assert_eq!(error.code(), Code::UpdateDiverged, "{error}");
    assert_eq!(
        update.commit().unwrap_err().code(),
        Code::UpdateState,
        "there is nothing to commit"
    );
    assert_eq!(state(), before);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn predictions_go_on_beside_an_update_and_see_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut versions = std::collections::BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                versions.extend(answers(&model, "de").into_iter().map(|(_, _, version)| version));
            }
            versions.extend(answers(&model, "de").into_iter().map(|(_, _, version)| version));
            versions
        });
        let options = UpdateOptions {
            gate: GateOptions { enabled: false, ..GateOptions::default() },
            ..quick(4)
        };
        let outcome = update(&model, &intents("de", "train", 60, 40), options);
        done.store(true, Ordering::Relaxed);
        outcome.unwrap();
        assert_eq!(reader.join().unwrap().into_iter().collect::<Vec<_>>(), [1, 2]);
    });
}

/// Danish borrows what serves Norwegian when it has no version of its own. An update that activates
/// a new Norwegian version must not change Danish behind the gate's back.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_language_that_borrows_a_version_is_not_changed_by_its_neighbour() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let base: Vec<Example> =
        ["en", "nb"].iter().flat_map(|tag| intents(tag, "train", 0, 60)).collect();
    update(&model, &base, quick(12)).unwrap();
    let (served, _) = model.served_version(TASK, &language("da")).unwrap();
    assert_eq!(served, language("nb"));
    let before = answers(&model, "da");

    // All Danish examples are held out, so there is no Danish candidate; Norwegian changes.
    let mut examples = intents("nb", "train", 60, 60);
    let rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    let danish = intents("da", "train", 0, 40).into_iter();
    examples.extend(danish.filter(|one| rehearsal.split(one) == Split::HeldOut));
    drop(rehearsal);
    let gate = GateOptions { enabled: false, ..GateOptions::default() };
    let options = UpdateOptions { gate, strategy: StrategyKind::PerLanguage, ..quick(12) };
    let report = update(&model, &examples, options).unwrap();
    let danish = report.language(&language("da")).unwrap();
    assert_eq!(danish.decision, Decision::Keep, "{danish:?}");
    let norwegian = report.language(&language("nb")).unwrap();
    assert_eq!(norwegian.decision, Decision::Activate, "{norwegian:?}");
    assert_eq!(model.served_version(TASK, &language("da")).unwrap().0, language("da"));
    let content = |answers: Vec<(String, f32, u32)>| -> Vec<(String, f32)> {
        answers.into_iter().map(|(label, probability, _)| (label, probability)).collect()
    };
    assert_eq!(content(answers(&model, "da")), content(before));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn old_labels_keep_their_scores_when_the_head_grows() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let mut examples = intents("de", "train", 60, 30);
    for (index, example) in examples.iter_mut().enumerate() {
        relabel(example, &format!("Brand{}New", index % 2));
    }
    // Not allowed, nothing happens; allowed, the new labels are there and can be predicted.
    let strict = UpdateOptions { new_labels: false, ..quick(30) };
    assert_eq!(code(update(&model, &examples, strict)), Code::TaskUnknownLabel);
    let before = answers(&model, "fi");
    for kind in StrategyKind::ALL {
        let mut running = model
            .begin_update(
                TASK,
                UpdateOptions {
                    strategy: *kind,
                    gate: GateOptions { enabled: false, ..GateOptions::default() },
                    ..quick(30)
                },
            )
            .unwrap();
        examples.iter().for_each(|example| running.add(example.clone()).unwrap());
        running.run(&mut proceed).unwrap();
        let known = ["Brand0New".to_owned(), "Brand1New".to_owned()];
        for (adapter, languages) in running.chosen().unwrap() {
            let new = adapter.adapter().labels.iter().filter(|label| known.contains(label)).count();
            assert_eq!(new, 2, "{} {languages:?}", kind.name());
            let old = &adapter.adapter().labels[..adapter.adapter().labels.len() - 2];
            assert!(old.iter().all(|label| !known.contains(label)), "old labels come first");
        }
    }
    assert_eq!(answers(&model, "fi"), before, "without a commit nothing changes");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn undetermined_and_unheard_of_languages_are_updated_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let mut examples = Vec::new();
    for tag in ["und", "x-klingon", "qaa"] {
        let own = intents("en", "train", 60, 40).into_iter();
        examples.extend(own.map(|one| Example { language: language(tag), ..one }));
    }
    let report = update(&model, &examples, quick(20)).unwrap();
    for tag in ["und", "x-klingon", "qaa"] {
        let entry = report.language(&language(tag)).unwrap();
        assert!(entry.updated, "{entry:?}");
        // Nobody is near: what a language gets is its own or shared by all alike.
        for candidate in &entry.candidates {
            let foreign = candidate.shares.iter().filter(|share| share.language != entry.language);
            assert!(foreign.into_iter().all(|share| share.distance.is_none()), "{entry:?}");
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn contradictory_examples_count_once_with_the_newest_label() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let run = |examples: &[Example]| {
        let mut update = model.begin_update(TASK, quick(6)).unwrap();
        examples.iter().for_each(|example| update.add(example.clone()).unwrap());
        update.run(&mut proceed).unwrap().training.clone()
    };
    let examples = intents("de", "train", 60, 40);
    let mut contradictory = examples.clone();
    for example in &mut contradictory {
        relabel(example, "HassTurnOn");
    }
    contradictory.extend(examples.clone());
    let (plain, doubled) = (run(&examples), run(&contradictory));
    assert_eq!(plain.examples_new, doubled.examples_new);
    assert_eq!(plain.loss_last, doubled.loss_last);
}

/// A batch that does not fit is run in parts whose gradients are added up, so the mathematics stays
/// the same; only rounding differs.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_memory_budget_only_changes_how_a_batch_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let run = |memory_bytes_max: u64| {
        let options = UpdateOptions { memory_bytes_max, ..quick(6) };
        let mut update = model.begin_update(TASK, options).unwrap();
        for example in intents("de", "train", 60, 60) {
            update.add(example).unwrap();
        }
        update.run(&mut proceed).unwrap().training.clone()
    };
    let (whole, cut) = (run(0), run(20 << 20));
    assert!((whole.loss_first - cut.loss_first).abs() < 1e-4, "{whole:?} {cut:?}");
    assert!((whole.loss_last - cut.loss_last).abs() < 1e-2, "{whole:?} {cut:?}");
    assert_ne!(whole.loss_last, cut.loss_last, "the batch was cut");
}
