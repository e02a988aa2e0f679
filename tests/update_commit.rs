//! Commits: all of an update or nothing, whatever goes wrong and whoever acts meanwhile.
#![cfg(unix)]

mod support;

use polygraft::Code;
use polygraft::example::Example;
use polygraft::model::Model;
use polygraft::rehearsal::{Limits, Rehearsal};
use polygraft::report::Decision;
use polygraft::store::{NewVersion, Store};
use polygraft::update::{GateOptions, Phase, Update, UpdateOptions, history};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use support::{TASK, cache, intents, label, language, open, proceed, quick};

/// A store with a first version, made once.
static BASE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let mut update = model.begin_update(TASK, options(4)).unwrap();
    for example in ["en", "de", "fi"].iter().flat_map(|tag| intents(tag, "train", 0, 40)) {
        update.add(example).unwrap();
    }
    update.run(&mut proceed).unwrap();
    update.commit().unwrap();
    folder
});

fn options(steps_max: usize) -> UpdateOptions {
    UpdateOptions { gate: GateOptions { enabled: false, ..Default::default() }, ..quick(steps_max) }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn base() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(BASE.path(), folder.path());
    folder
}

/// An update that has run.
fn ready(model: &Model, options: UpdateOptions, skip: usize) -> Update {
    let mut update = model.begin_update(TASK, options).unwrap();
    for example in intents("de", "train", skip, 30) {
        update.add(example).unwrap();
    }
    update.run(&mut proceed).unwrap();
    update
}

fn numbers(folder: &Path) -> Vec<(String, u32, bool)> {
    let versions = Store::open_existing(folder).unwrap().versions(Some(TASK)).unwrap();
    versions.into_iter().map(|one| (one.language.to_string(), one.number, one.active)).collect()
}

fn remembered(folder: &Path) -> usize {
    let rehearsal = Rehearsal::open(folder, TASK, Limits::default()).unwrap();
    rehearsal.stats().iter().map(|one| one.training + one.held_out).sum()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_activation_meanwhile_costs_a_measuring_and_not_the_training() {
    let folder = base();
    let model = open(folder.path());
    let mut update = ready(&model, options(2), 40);
    // A change of another task does not matter.
    let object = model.store().versions(None).unwrap()[0].hash;
    let bytes = model.store().read_object(&object).unwrap().into();
    let theirs = NewVersion {
        language: language("de"),
        bytes,
        activate: true,
        evidence: serde_json::json!(null),
    };
    model.store().publish("other", &[theirs]).unwrap();
    // Nor does an activation that serves the same content, or one that was taken back.
    model.store().roll_back(TASK, &language("en")).unwrap();
    model.store().pin(TASK, &language("en")).unwrap_err();
    model.store().activate(TASK, &[(language("en"), 1)]).unwrap();
    // This does: Finnish may not change any more.
    model.store().pin(TASK, &language("fi")).unwrap();
    let mut refused = update.commit().unwrap_err();
    for _ in 0..2 {
        assert_eq!(refused.code(), Code::StoreChanged, "{refused}");
        assert!(refused.to_string().contains("measure again"), "{refused}");
        refused = update.commit().unwrap_err();
    }
    let mut phases = Vec::new();
    let measured = update.measure_again(&mut |progress| {
        phases.push(progress.phase);
        proceed(progress)
    });
    let finnish = measured.unwrap().language(&language("fi")).unwrap();
    assert_eq!(finnish.decision, Decision::Keep);
    assert!(phases.contains(&Phase::MeasureAfter) && !phases.contains(&Phase::Train), "{phases:?}");
    let report = update.commit().unwrap();
    assert_eq!(report.language(&language("de")).unwrap().version, Some(2));
    assert_eq!(report.warnings, Vec::<String>::new());
    let mut empty = model.begin_update(TASK, options(1)).unwrap();
    assert_eq!(empty.measure_again(&mut proceed).unwrap_err().code(), Code::UpdateState);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_commit_that_cannot_write_its_report_or_examples_changes_nothing_and_can_be_tried_again() {
    let folder = base();
    let model = open(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let before = (numbers(folder.path()), remembered(folder.path()));
    let mut update = ready(&model, options(2), 40);
    for part in ["reports", "rehearsal", "objects"] {
        let (path, aside) = (folder.path().join(part), elsewhere.path().join(part));
        fs::rename(&path, &aside).unwrap();
        fs::write(&path, b"").unwrap();
        update.commit().unwrap_err();
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
        assert_eq!((numbers(folder.path()), remembered(folder.path())), before, "{part}");
        assert_eq!(history(model.store(), TASK).unwrap().len(), 1, "{part}");
    }
    let report = update.commit().unwrap();
    assert_eq!(report.stage, 2);
    assert_ne!(numbers(folder.path()), before.0);
    assert!(remembered(folder.path()) > before.1);
    assert_eq!(history(model.store(), TASK).unwrap().last(), Some(&report));
    // A report that is lost or changed is named.
    let path = folder.path().join("reports").join(TASK).join("000002.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b" "].concat()).unwrap();
    let error = history(model.store(), TASK).unwrap_err();
    assert_eq!(error.code(), Code::StoreCorrupt, "{error}");
    assert!(error.to_string().contains("000002.json"), "{error}");
    fs::rename(&path, path.with_file_name("000002.json.partial")).unwrap();
    history(model.store(), TASK).unwrap_err();
    fs::write(path.with_file_name("000002.json.partial"), &whole).unwrap();
    assert_eq!(history(model.store(), TASK).unwrap().len(), 2, "decided and not yet renamed");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_cannot_be_tidied_up_after_a_commit_is_a_warning_of_its_report() {
    let folder = base();
    let model = open(folder.path());
    let mut update = ready(&model, options(2), 40);
    let checkpoint = folder.path().join("work").join(format!("{TASK}.checkpoint"));
    fs::create_dir_all(checkpoint.join("in the way")).unwrap();
    let report = update.commit().unwrap();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert!(report.warnings[0].contains(".checkpoint"), "{:?}", report.warnings);
    let language = report.language(&language("de")).unwrap();
    assert_eq!(language.version, Some(2));
    assert!(numbers(folder.path()).contains(&("de".to_owned(), 2, true)));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_checkpoint_that_a_crash_left_after_a_commit_does_not_block_the_next_update() {
    let folder = base();
    let model = open(folder.path());
    let with_checkpoints = |steps| UpdateOptions { checkpoint_steps: 1, ..options(steps) };
    let checkpoint = folder.path().join("work").join(format!("{TASK}.checkpoint"));
    let mut update = ready(&model, with_checkpoints(2), 40);
    let left = fs::read(&checkpoint).unwrap();
    update.commit().unwrap();
    assert!(!checkpoint.exists());
    fs::write(&checkpoint, &left).unwrap();
    fs::write(checkpoint.with_extension("checkpoint.partial"), &left[..100]).unwrap();
    // Other examples and other options: of a stopped update this would be refused.
    let mut next = ready(&model, with_checkpoints(3), 70);
    assert_eq!(next.report().unwrap().training.steps, 3);
    next.commit().unwrap();
    assert_eq!(fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_dry_run_needs_no_more_than_to_read_the_store() {
    let folder = base();
    let examples = folder.path().with_extension("jsonl");
    let line = |one: Example| {
        let text = one.input.text().into_owned();
        format!("{}\n", serde_json::json!({"lang": "de", "text": text, "label": label(&one)}))
    };
    let lines: String = intents("de", "train", 40, 20).into_iter().map(line).collect();
    fs::write(&examples, lines).unwrap();
    let dry_run = |store: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_polygraft"));
        command.env("ORT_DYLIB_PATH", cache("onnxruntime/libonnxruntime.so"));
        command.args(["update", "--dry-run", "--task", TASK, "--steps-max", "1", "--no-gate"]);
        command.args(["--new-labels", "--bundle"]).arg(cache("bundle/e5-small"));
        command.arg("--store").arg(store).arg("--examples").arg(&examples);
        command
    };
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for path in ["", "rehearsal", "reports", "objects", "work", "rehearsal/intent"] {
        set_mode(&folder.path().join(path), 0o555);
    }
    set_mode(&examples, 0o444);
    let mut command = dry_run(folder.path());
    // SAFETY: the call has no arguments and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        // Permissions do not bind the superuser; they bind this user.
        command.uid(65_534);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("dry run"), "{text}");
    for path in ["", "rehearsal", "reports", "objects", "work", "rehearsal/intent"] {
        set_mode(&folder.path().join(path), 0o755);
    }
    // Without a store nothing is created either.
    let absent = folder.path().join("absent");
    let output = dry_run(&absent).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!absent.exists());
    fs::remove_file(examples).unwrap();
}
