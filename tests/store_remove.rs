//! Removing versions: what stays, what the disk no longer has, and what a segment must not bring
//! back.

use polygraft::Code;
use polygraft::language::Language;
use polygraft::store::{NewVersion, Store};
use serde_json::json;
use std::fs;
use std::path::Path;

const TASK: &str = "intent";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

/// Publishes and activates; the evidence fills the pointer file, so that records move to segments.
fn publish(store: &Store, tag: &str, content: &str, evidence_bytes: usize) -> u32 {
    let new = NewVersion {
        language: language(tag),
        bytes: content.as_bytes().into(),
        activate: true,
        evidence: json!("x".repeat(evidence_bytes)),
    };
    store.publish(TASK, &[new]).unwrap().remove(0).number
}

fn numbers(store: &Store, tag: &str) -> Vec<u32> {
    let versions = store.versions(Some(TASK)).unwrap().into_iter();
    versions.filter(|one| one.language == language(tag)).map(|one| one.number).collect()
}

fn files_count(folder: &Path, name: &str) -> usize {
    fs::read_dir(folder.join(name)).unwrap().count()
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

#[test]
fn the_active_and_the_newest_stay_and_rolling_back_passes_over_the_others() {
    let (folder, store) = store();
    for content in ["one", "two", "three", "four"] {
        publish(&store, "de", content, 1);
    }
    publish(&store, "fr", "one", 1);
    store.activate(TASK, &[(language("de"), 2)]).unwrap();
    let removed = store.remove_versions(TASK, None, 1).unwrap();
    let removed: Vec<_> = removed.iter().map(|one| (one.language.as_str(), one.number)).collect();
    assert_eq!(removed, [("de", 1), ("de", 3)]);
    assert_eq!(numbers(&store, "de"), [2, 4]);
    // The content of German version 1 is that of French version 1, so it stays.
    assert_eq!(files_count(folder.path(), "objects"), 3);
    assert_eq!(store.verify().unwrap(), []);
    // Activated were 1, 2, 3, 4, 2; of these steps 4, 2 and nothing are left.
    assert_eq!(store.roll_back(TASK, &language("de")).unwrap(), Some(4));
    assert_eq!(store.roll_back(TASK, &language("de")).unwrap(), Some(2));
    assert_eq!(store.roll_back(TASK, &language("de")).unwrap(), None);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(numbers(&store, "de"), [2, 4]);
}

#[test]
fn a_number_is_never_given_again() {
    let (folder, store) = store();
    publish(&store, "de", "one", 1);
    publish(&store, "de", "two", 1);
    store.roll_back(TASK, &language("de")).unwrap();
    assert_eq!(store.remove_versions(TASK, Some(&language("de")), 0).unwrap().len(), 1);
    assert_eq!(numbers(&store, "de"), [1]);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(publish(&store, "de", "three", 1), 3);
    assert_eq!(numbers(&store, "de"), [1, 3]);
}

#[test]
fn no_segment_brings_a_removed_version_back() {
    let (folder, store) = store();
    for number in 0..40 {
        publish(&store, "de", &format!("content {number}"), 8 << 10);
    }
    assert!(files_count(folder.path(), "records") > 0, "the records are in segments");
    assert_eq!(store.remove_versions(TASK, None, 2).unwrap().len(), 38);
    assert_eq!(files_count(folder.path(), "objects"), 2);
    assert_eq!(store.verify().unwrap(), []);
    assert_eq!(store.collect_garbage().unwrap(), 0);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(numbers(&store, "de"), [39, 40]);
    assert_eq!(publish(&store, "de", "more", 1), 41);
    assert_eq!(store.verify().unwrap(), []);
}

#[test]
fn other_handles_see_it_and_bad_names_are_refused() {
    let (folder, store) = store();
    let other = Store::open(folder.path()).unwrap();
    publish(&store, "de", "one", 1);
    publish(&store, "de", "two", 1);
    assert_eq!(numbers(&other, "de"), [1, 2]);
    store.remove_versions(TASK, None, 0).unwrap();
    assert_eq!(numbers(&other, "de"), [2]);
    let code = |result: polygraft::Result<_>| result.err().map(|error| error.code());
    assert_eq!(code(store.remove_versions("No Task", None, 0)), Some(Code::TaskName));
    let none = store.remove_versions(TASK, Some(&language("fr")), 0);
    assert_eq!(code(none), Some(Code::StoreNoVersion));
    assert_eq!(store.remove_versions("other", None, 0).unwrap(), []);
}
