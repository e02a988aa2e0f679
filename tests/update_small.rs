//! Small updates, on the real bundle and real intents: what is missing is said in numbers, nothing
//! that was brought is lost, and few examples still get enough steps.

mod support;

use polygraft::example::Example;
use polygraft::model::Model;
use polygraft::rehearsal::{Limits, Rehearsal, Split};
use polygraft::report::{Decision, LanguageReport, ReasonKind, Report};
use polygraft::update::{GateOptions, Phase, Update, UpdateOptions};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use support::{TASK, intents, language, open, proceed, quick};

fn begin(model: &Model, examples: &[Example], options: &UpdateOptions) -> Update {
    let mut update = model.begin_update(TASK, options.clone()).unwrap();
    for example in examples {
        update.add(example.clone()).unwrap();
    }
    update
}

fn update(model: &Model, examples: &[Example], options: &UpdateOptions) -> Report {
    let mut update = begin(model, examples, options);
    update.run(&mut proceed).unwrap();
    update.commit().unwrap()
}

/// A first version in two languages, neither of them German.
fn with_base(folder: &Path) -> Model {
    let model = open(folder);
    let examples: Vec<Example> =
        ["en", "fi"].iter().flat_map(|tag| intents(tag, "train", 0, 40)).collect();
    update(&model, &examples, &quick(6));
    model
}

/// How many of the examples the gate chooses by.
fn selection_examples(folder: &Path, examples: &[Example]) -> usize {
    let rehearsal = Rehearsal::open(folder, TASK, Limits::default()).unwrap();
    let chooses = |one: &&Example| {
        rehearsal.split(one) == Split::HeldOut && !rehearsal.is_in_report_split(one)
    };
    examples.iter().filter(chooses).count()
}

fn german(report: &Report) -> &LanguageReport {
    report.language(&language("de")).unwrap()
}

fn pending(folder: &Path) -> usize {
    let rehearsal = Rehearsal::open(folder, TASK, Limits::default()).unwrap();
    rehearsal.pending(&language("de")).count()
}

fn remembered(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("rehearsal").join(TASK).join("examples.jsonl")).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn two_small_updates_teach_what_one_of_both_would() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [whole, halves] = folders.each_ref().map(|folder| with_base(folder.path()));
    let [whole_folder, halves_folder] = folders.each_ref().map(|folder| folder.path());
    let (first, second) = (intents("de", "train", 0, 40), intents("de", "train", 40, 40));
    let both = [first.clone(), second.clone()].concat();
    let (few, enough) =
        (selection_examples(whole_folder, &first), selection_examples(whole_folder, &both));
    assert!(0 < few && few < enough);
    let gate = GateOptions { margin: 0.0, confidence: 0.999_999, ..GateOptions::default() };
    // As many examples are kept as the strict gate would need.
    let rehearsal = Limits { held_out_per_language_max: 1_000_000, ..Limits::default() };
    let strict = UpdateOptions { gate: gate.clone(), rehearsal, ..quick(4) };
    let options = UpdateOptions { gate: GateOptions { enabled: false, ..gate }, ..strict.clone() };

    let report = update(&halves, &first, &strict);
    let entry = german(&report);
    assert_eq!((entry.decision, entry.reason_kind), (Decision::Keep, ReasonKind::TooFewExamples));
    assert_eq!(entry.selection_examples, few);
    let needed = entry.examples_needed.unwrap();
    assert!(entry.reason.ends_with(&format!("about {needed} more examples in de")), "{entry:?}");
    let waiting = pending(halves_folder);
    assert_eq!(waiting, report.training.examples_new);

    let at_once = update(&whole, &both, &options);
    let in_turn = update(&halves, &second, &options);
    for report in [&at_once, &in_turn] {
        let entry = german(report);
        assert_eq!(entry.selection_examples, enough);
        assert_ne!(entry.reason_kind, ReasonKind::TooFewExamples);
        assert_eq!(entry.examples_needed, None);
    }
    assert_eq!(in_turn.training.examples_new, at_once.training.examples_new);
    assert!(in_turn.training.examples_new > waiting);
    // Judged, they are past examples like all others.
    assert_eq!(pending(halves_folder), 0);
    assert_eq!(remembered(halves_folder), remembered(whole_folder));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_update_of_which_all_is_held_out_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_base(folder.path());
    let before = model.store().versions(Some(TASK)).unwrap().len();
    let rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    let examples = intents("de", "train", 0, 40);
    let held_out = examples.into_iter().find(|one| rehearsal.split(one) == Split::HeldOut);
    let report = update(&model, &[held_out.unwrap()], &quick(2));
    assert_eq!(report.training.steps, 0);
    let kept = |one: &LanguageReport| one.reason_kind == ReasonKind::NoCandidate;
    assert!(report.languages.iter().all(kept), "{report}");
    assert_eq!(model.store().versions(Some(TASK)).unwrap().len(), before);
    let rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    assert_eq!(rehearsal.held_out(&language("de")).count(), 1);
}

/// Two labels in a dozen short sentences.
fn lights() -> Vec<Example> {
    let texts = ["turn the light on", "lamp on please", "light on in the hall", "make it bright"];
    let example =
        |(text, label): (String, &str)| Example::labelled(language("en"), text.as_str(), label);
    let on = texts.iter().map(|text| ((*text).to_owned(), "on"));
    let off = texts.iter().map(|text| (text.replace("on", "off").replace("bright", "dark"), "off"));
    on.chain(off).map(example).collect()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn few_examples_get_many_passes_which_end_when_nothing_is_left_and_resume_to_the_same_bytes() {
    let mut options = UpdateOptions { checkpoint_steps: 1, ..quick(0) };
    options.optimizer.learning_rate = 3e-3;
    let hashes = |model: &Model| -> Vec<_> {
        let versions = model.store().versions(Some(TASK)).unwrap();
        versions.iter().map(|version| version.hash).collect()
    };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [whole, stopped] = folders.each_ref().map(|folder| open(folder.path()));
    let report = update(&whole, &lights(), &options);
    let steps = report.training.steps;
    assert!((5..options.steps_min).contains(&steps), "{:?}", report.training);
    assert!(report.training.loss_last < 0.01 && !report.training.still_falling);

    let mut running = begin(&stopped, &lights(), &options);
    // Progress is thinned out, so every step takes long enough to be reported.
    let stop = running.run(&mut |progress| match progress.phase {
        Phase::Train if progress.step >= steps / 2 => ControlFlow::Break(()),
        _ => {
            std::thread::sleep(Duration::from_millis(110));
            ControlFlow::Continue(())
        }
    });
    assert!(stop.is_err());
    drop(running);
    let resumed = update(&stopped, &lights(), &options);
    assert_eq!(resumed.training.steps, steps);
    assert_eq!(hashes(&stopped), hashes(&whole));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn stated_steps_are_obeyed_and_too_few_are_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = UpdateOptions { epochs: 9.0, ..quick(0) };
    let report = update(&open(folder.path()), &lights(), &options);
    assert_eq!(report.training.steps, 9);
    assert!(report.training.still_falling, "{:?}", report.training);
    assert!(report.to_string().contains("the loss was still falling: more epochs may help"));
}
