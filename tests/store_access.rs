//! Who may change what: reading changes nothing, nothing outside the store is touched, tasks do not
//! disturb each other, and what cannot serve is not activated.
#![cfg(unix)]

use polygraft::Code;
use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::rehearsal::{Limits, Rehearsal};
use polygraft::store::{NewVersion, ObjectHash, Store};
use polygraft::update::Update;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const TASK: &str = "intent";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn candidate(tag: &str, content: &str) -> NewVersion {
    let bytes = content.as_bytes().into();
    NewVersion { language: language(tag), bytes, activate: true, evidence: json!(null) }
}

fn rehearsal(folder: &Path) -> polygraft::Result<Rehearsal> {
    Rehearsal::open(folder, TASK, Limits { held_out_percent: 0, ..Limits::default() })
}

fn remember(folder: &Path, text: &str) -> polygraft::Result<()> {
    let mut rehearsal = rehearsal(folder)?;
    rehearsal.add(&[Example::labelled(language("de"), text, "on")], 1)?;
    rehearsal.save()
}

/// A store with two versions and remembered examples.
fn filled(folder: &Path) -> Store {
    let store = Store::open(folder).unwrap();
    store.publish(TASK, &[candidate("de", "one")]).unwrap();
    store.publish(TASK, &[candidate("de", "two")]).unwrap();
    remember(folder, "Licht an").unwrap();
    store
}

/// Every path below a folder with its content.
fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
            found.push((entry.path(), fs::read(entry.path()).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_store_that_must_be_there_is_never_created() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["absent", "empty"] {
        let path = folder.path().join(name);
        if name == "empty" {
            fs::create_dir(&path).unwrap();
        }
        let error = Store::open_existing(&path).unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    assert!(!folder.path().join("absent").exists());
    assert_eq!(fs::read_dir(folder.path().join("empty")).unwrap().count(), 0);
    fs::write(folder.path().join("empty/holiday.jpg"), b"").unwrap();
    let error = Store::open_existing(&folder.path().join("empty")).unwrap_err();
    assert_eq!(error.code(), Code::StoreMalformed, "{error}");
}

#[test]
fn reading_changes_nothing_and_the_next_writer_tidies_up() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let work = folder.path().join("work");
    for name in ["state.json", "0123", "intent.checkpoint", "other.checkpoint.partial"] {
        fs::write(work.join(name), b"left behind").unwrap();
    }
    let before = tree(folder.path());
    for open in [Store::open, Store::open_existing] {
        let store = open(folder.path()).unwrap();
        store.versions(None).unwrap();
        let active = store.snapshot().unwrap().active(TASK, &language("de")).unwrap();
        store.read_object(&active.hash).unwrap();
        assert_eq!(store.verify().unwrap(), []);
        rehearsal(folder.path()).unwrap();
        polygraft::update::history(&store, TASK).unwrap();
    }
    assert_eq!(tree(folder.path()), before);
    Store::open(folder.path()).unwrap().pin(TASK, &language("de")).unwrap();
    let left: Vec<_> = fs::read_dir(&work).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["intent.checkpoint"]);
}

#[test]
fn what_an_update_is_writing_is_left_alone_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let partial = folder.path().join("work/intent.checkpoint.partial");
    let mut updating = rehearsal(folder.path()).unwrap();
    updating.add(&[Example::labelled(language("de"), "Licht aus", "off")], 1).unwrap();
    fs::write(&partial, b"half of it").unwrap();
    store.pin(TASK, &language("de")).unwrap();
    assert!(partial.exists(), "it belongs to whoever holds the lock of the task");
    let error = Update::discard_checkpoint(&store, TASK).unwrap_err();
    assert_eq!(error.code(), Code::StoreLocked, "{error}");
    drop(updating);
    store.unpin(TASK, &language("de")).unwrap();
    assert!(!partial.exists());
}

#[test]
fn links_in_place_of_the_parts_of_a_store_are_refused_and_not_followed() {
    let parts = ["work", "objects", "records", "reports", "rehearsal", "lock", "state.json"];
    for part in parts.into_iter().chain(["rehearsal/intent", "reports/intent"]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        drop(filled(&path));
        fs::create_dir_all(path.join("reports/intent")).unwrap();
        fs::create_dir_all(path.join("records")).unwrap();
        let theirs = folder.path().join("theirs");
        fs::rename(path.join(part), &theirs).unwrap();
        symlink(&theirs, path.join(part)).unwrap();
        if theirs.is_dir() {
            fs::write(theirs.join("mine.txt"), b"mine").unwrap();
        }
        let before = tree(folder.path());
        let error = if part.ends_with("/intent") {
            let history = |store: &Store| polygraft::update::history(store, TASK).map(|_| ());
            let store = Store::open(&path).unwrap();
            remember(&path, "Licht aus").and_then(|()| history(&store)).unwrap_err()
        } else {
            Store::open_existing(&path).unwrap_err();
            Store::open(&path).unwrap_err()
        };
        let text = error.to_string();
        assert!(text.contains(part) && text.contains("found a symbolic link"), "{part}: {text}");
        assert!(matches!(error.code(), Code::StoreMalformed | Code::IoRead), "{part}: {text}");
        if part != "reports/intent" {
            assert_eq!(tree(folder.path()), before, "{part}");
        }
        assert!(!theirs.is_dir() || theirs.join("mine.txt").exists());
    }
}

#[test]
fn a_part_that_becomes_a_link_while_the_store_is_open_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = filled(&path);
    for part in ["work", "objects"] {
        let theirs = folder.path().join(part);
        fs::rename(path.join(part), &theirs).unwrap();
        fs::write(theirs.join("mine.txt"), b"mine").unwrap();
        symlink(&theirs, path.join(part)).unwrap();
        let before = tree(&theirs);
        store.publish(TASK, &[candidate("de", "three")]).unwrap_err();
        assert_eq!(tree(&theirs), before);
        fs::remove_file(path.join(part)).unwrap();
        fs::rename(&theirs, path.join(part)).unwrap();
    }
    fs::remove_file(path.join("objects/mine.txt")).unwrap();
    assert_eq!(store.publish(TASK, &[candidate("de", "three")]).unwrap()[0].number, 3);
}

#[test]
fn a_version_whose_content_is_lost_is_not_activated_and_the_serving_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let de = language("de");
    store.publish(TASK, &[candidate("fr", "un"), candidate("de", "three")]).unwrap();
    store.publish(TASK, &[candidate("fr", "deux")]).unwrap();
    let path = folder.path().join("objects").join(ObjectHash::of(b"two").to_string());
    let serving = |tag| store.snapshot().unwrap().active(TASK, &language(tag)).unwrap().number;
    for damage in ["missing", "cut", "flipped"] {
        match damage {
            "missing" => fs::remove_file(&path).unwrap(),
            "cut" => fs::write(&path, b"tw").unwrap(),
            _ => fs::write(&path, b"twO").unwrap(),
        }
        let generation = store.snapshot().unwrap().generation();
        let both = [(language("fr"), 1), (de.clone(), 2)];
        for error in [
            store.activate(TASK, &both).unwrap_err(),
            store.activate(TASK, &[(de.clone(), 2)]).unwrap_err(),
            store.roll_back(TASK, &de).unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::StoreCorrupt, "{damage}: {error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        assert_eq!((serving("de"), serving("fr")), (3, 2));
        assert_eq!(store.snapshot().unwrap().generation(), generation);
    }
    fs::write(&path, b"two").unwrap();
    assert_eq!(store.roll_back(TASK, &de).unwrap(), Some(2));
}

#[test]
fn a_change_of_one_task_is_none_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let seen = store.snapshot().unwrap();
    store.publish("other", &[candidate("de", "theirs")]).unwrap();
    store.pin("other", &language("de")).unwrap();
    assert_eq!(seen.task_generation(TASK), store.snapshot().unwrap().task_generation(TASK));
    let three = [candidate("de", "three")];
    store.publish(TASK, &three).unwrap();
    assert!(store.snapshot().unwrap().task_generation(TASK) > seen.generation());
}

#[test]
fn remembered_examples_that_are_lost_or_damaged_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let _store = filled(folder.path());
    let file = folder.path().join("rehearsal/intent/examples.jsonl");
    let saved = fs::read(&file).unwrap();
    remember(folder.path(), "Licht aus").unwrap();
    let newest = fs::read(&file).unwrap();
    assert_ne!(saved, newest);
    // The earlier file is intact, but it is not the one that the store records.
    fs::write(&file, &saved).unwrap();
    let error = rehearsal(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code::RehearsalMalformed, "{error}");
    assert!(error.to_string().contains("examples.jsonl"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = rehearsal(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code::RehearsalMalformed, "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
    // Discarding is the way out, and is recorded.
    Rehearsal::discard(folder.path(), TASK).unwrap();
    assert_eq!(rehearsal(folder.path()).unwrap().languages().count(), 0);
    fs::write(&file, &newest).unwrap();
    assert_eq!(rehearsal(folder.path()).unwrap().languages().count(), 0, "what is wiped stays so");
    remember(folder.path(), "Licht aus").unwrap();
    assert_eq!(rehearsal(folder.path()).unwrap().training().count(), 1);
}
