//! Stops a writer after each of its steps and opens what it left behind.

use super::*;
use crate::files::faults;
use serde_json::json;
use std::fs;

const TASK: &str = "intent";

fn candidate(tag: &str, content: &str, activate: bool) -> Candidate {
    let language = Language::parse(tag).unwrap();
    Candidate { language, bytes: content.as_bytes().into(), activate, evidence: json!({"seed": 1}) }
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
            let of = |tag: &str| candidate(tag, &format!("{generation} {tag}"), true);
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
        let both = [candidate("de", "new de", true), candidate("fr", "new fr", true)];
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
fn a_stopped_creation_is_taken_up_again() {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("store");
        let (outcome, trace) = faults::run(steps, || Store::open(&path).unwrap());
        let ended = outcome.is_some();
        drop(outcome);
        let store = Store::open(&path).unwrap_or_else(|error| panic!("{error} after {trace:?}"));
        store.publish(TASK, &[candidate("de", "first", true)]).unwrap();
        assert_eq!(active_contents(&store)[0].as_deref(), Some("first"));
        if ended {
            return;
        }
    }
}
