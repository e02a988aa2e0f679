//! Stops a writer after each of its steps and opens what it left behind.

use super::*;
use crate::files::faults;
use serde_json::json;
use std::fs;

const TASK: &str = "intent";

fn new_version(tag: &str, content: &str, activate: bool) -> NewVersion {
    let language = Language::parse(tag).unwrap();
    NewVersion {
        language,
        bytes: content.as_bytes().into(),
        activate,
        evidence: json!({"seed": 1}),
    }
}

/// The active contents of `de` and `fr`, each read and verified.
fn active_contents(store: &Store) -> [Option<String>; 2] {
    let snapshot = store.snapshot().unwrap();
    ["de", "fr"].map(|tag| {
        let active = snapshot.active(TASK, &Language::parse(tag).unwrap())?;
        Some(String::from_utf8(store.read_object(&active.hash).unwrap()).unwrap())
    })
}

fn contents(de: &str, fr: &str) -> [Option<String>; 2] {
    [Some(de.to_owned()), Some(fr.to_owned())]
}

/// Stops `action` after 0, 1, 2, ... steps, each time on a fresh store that serves "old"; checks
/// that a reader and a reopened store see the whole old or the whole new state.
fn stop_everywhere(expected: [Option<String>; 2], action: impl Fn(&Store)) -> Vec<&'static str> {
    let old = contents("old de", "old fr");
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for generation in ["older", "old"] {
            let of = |tag: &str| new_version(tag, &format!("{generation} {tag}"), true);
            store.publish(TASK, &[of("de"), of("fr")]).unwrap();
        }
        let reader = Store::open(folder.path()).unwrap();
        let (outcome, trace) = faults::run(steps, || action(&store));
        drop(store);
        let seen = active_contents(&reader);
        let reopened = Store::open(folder.path()).unwrap();
        assert_eq!(active_contents(&reopened), seen, "stopped after {trace:?}");
        assert!(seen == old || seen == expected, "{seen:?} after {trace:?}");
        assert_eq!(reopened.verify().unwrap(), []);
        // The store goes on working, whatever was left, and its next writer tidies up.
        action(&reopened);
        assert_eq!(fs::read_dir(folder.path().join(WORK_NAME)).unwrap().count(), 0);
        reopened.collect_garbage().unwrap();
        assert_eq!(reopened.verify().unwrap(), []);
        if outcome.is_some() {
            assert_eq!(seen, expected);
            return trace;
        }
    }
    unreachable!("the loop ends when the action does")
}

#[test]
fn a_stopped_publish_leaves_the_old_or_the_new_state() {
    let trace = stop_everywhere(contents("new de", "new fr"), |store| {
        let both = [new_version("de", "new de", true), new_version("fr", "new fr", true)];
        store.publish(TASK, &both).unwrap();
    });
    let file = ["create", "write", "sync file", "rename"];
    let expected = [&file[..], &file, &["sync folder"], &file, &["sync folder"]].concat();
    assert_eq!(trace, expected, "content and names reach the disk before the pointer file");
}

#[test]
fn a_stopped_activation_leaves_the_old_or_the_new_state() {
    stop_everywhere(contents("older de", "older fr"), |store| {
        let both = ["de", "fr"].map(|tag| (Language::parse(tag).unwrap(), 1));
        store.activate(TASK, &both).unwrap();
    });
}

#[test]
fn a_stopped_publish_that_fills_segments_leaves_the_old_or_the_new_state() {
    let trace = stop_everywhere(contents("last de", "last fr"), |store| {
        for content in ["new", "last"] {
            let wordy = ["de", "fr"].map(|tag| {
                let evidence = json!("x".repeat(33 << 10));
                NewVersion { evidence, ..new_version(tag, &format!("{content} {tag}"), false) }
            });
            let published = store.publish(TASK, &wordy).unwrap();
            if content == "last" {
                let both = published.iter().map(|one| (one.language.clone(), one.number));
                store.activate(TASK, &both.collect::<Vec<_>>()).unwrap();
            }
        }
        assert_eq!(store.snapshot().unwrap().segments().len(), 1, "they were merged");
    });
    assert!(trace.len() > 40, "{trace:?}");
}

#[test]
fn a_stopped_update_is_there_with_its_report_and_examples_or_not_at_all() {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let reports = store.folder().create_folder("reports").unwrap();
        let action = |content: &str, stage: u32| {
            let examples = decided::stage(&reports, "examples", content.as_bytes()).unwrap();
            let name = format!("{stage}");
            let all = [new_version("de", content, true), new_version("fr", content, true)];
            let mut record = None;
            let decide = |_: &[VersionId]| {
                let hash = decided::stage(&reports, &name, content.as_bytes())?;
                let report = *record.insert(ReportRecord { stage, hash });
                Ok(Some(Decision { report, examples: ExamplesRecord { hash: Some(examples) } }))
            };
            store.publish_with(TASK, &all, |_| Ok(()), decide).unwrap();
            decided::settle(&reports, &name, &record.unwrap().hash).unwrap();
            decided::settle(&reports, "examples", &examples).unwrap();
        };
        action("old", 1);
        let (outcome, trace) = faults::run(steps, || action("new", 2));
        let reopened = Store::open(folder.path()).unwrap();
        let snapshot = reopened.snapshot().unwrap();
        let report = snapshot.report(TASK).unwrap();
        let content = if report.stage == 2 { "new" } else { "old" };
        assert_eq!(active_contents(&reopened), contents(content, content), "{trace:?}");
        let read = |name: &str, hash: &ObjectHash| {
            decided::read(&reports, name, hash, 100, Code::StoreCorrupt).unwrap()
        };
        assert_eq!(read(&format!("{}", report.stage), &report.hash), content.as_bytes());
        let examples = snapshot.examples(TASK).unwrap().hash.unwrap();
        assert_eq!(read("examples", &examples), content.as_bytes(), "{trace:?}");
        if outcome.is_some() {
            assert_eq!(content, "new");
            return;
        }
    }
}

#[test]
fn a_stopped_creation_is_taken_up_again() {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("store");
        let (outcome, trace) = faults::run(steps, || Store::open(&path).unwrap());
        let ended = outcome.is_some();
        drop(outcome);
        let store = Store::open(&path).unwrap_or_else(|error| panic!("{error} after {trace:?}"));
        store.publish(TASK, &[new_version("de", "first", true)]).unwrap();
        assert_eq!(active_contents(&store)[0].as_deref(), Some("first"));
        if ended {
            return;
        }
    }
}
