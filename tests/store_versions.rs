//! Publishing, activating, rolling back and pinning, as one process and its threads see it.

use polygraft::Code;
use polygraft::language::Language;
use polygraft::store::{NewVersion, ObjectHash, Store, VersionId, check_task_name};
use serde_json::json;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const TASK: &str = "intent";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn candidate(tag: &str, content: &str) -> NewVersion {
    let bytes = content.as_bytes().into();
    NewVersion { language: language(tag), bytes, activate: true, evidence: json!(null) }
}

fn publish(store: &Store, tag: &str, content: &str) -> VersionId {
    store.publish(TASK, &[candidate(tag, content)]).unwrap().remove(0)
}

fn active_number(store: &Store, tag: &str) -> Option<u32> {
    store.snapshot().unwrap().active(TASK, &language(tag)).map(|active| active.number)
}

/// The content that serves a language, through its fallbacks.
fn served(store: &Store, tag: &str) -> Option<String> {
    let (_, active) = store.snapshot().unwrap().resolve(TASK, &language(tag))?;
    Some(String::from_utf8(store.read_object(&active.hash).unwrap()).unwrap())
}

fn new_store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

#[test]
fn a_new_store_is_empty_and_reopens_as_it_was() {
    let (folder, store) = new_store();
    assert_eq!(store.snapshot().unwrap().generation(), 0);
    assert_eq!(store.versions(None).unwrap(), []);
    assert_eq!(served(&store, "de"), None);
    publish(&store, "de", "one");
    let versions = store.versions(None).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.versions(None).unwrap(), versions);
    assert_eq!(served(&store, "de").as_deref(), Some("one"));
    assert_eq!(store.path(), folder.path());
}

#[test]
fn versions_are_numbered_per_language_and_described() {
    let (_folder, store) = new_store();
    let evidence = json!({"after": 0.1 + 0.2, "held_out": 40, "text": "żółw \"quoted\""});
    let mut first = candidate("de", "first");
    first.evidence = evidence.clone();
    let ids = store.publish(TASK, &[first, candidate("fr", "other")]).unwrap();
    assert_eq!(ids.iter().map(|id| id.number).collect::<Vec<_>>(), [1, 1]);
    let second = publish(&store, "de", "second, longer");
    assert_eq!((second.number, second.activated), (2, true));
    assert_eq!(second.hash.to_string(), blake3::hash(b"second, longer").to_hex().as_str());

    let infos = store.versions(Some(TASK)).unwrap();
    let rows: Vec<_> = infos
        .iter()
        .map(|v| (v.language.as_str(), v.number, v.active, v.parent, v.size_bytes))
        .collect();
    let expected =
        [("de", 1, false, None, 5), ("de", 2, true, Some(1), 14), ("fr", 1, true, None, 5)];
    assert_eq!(rows, expected);
    assert_eq!(infos[0].evidence, evidence);
    assert!(infos[0].created_unix_ms > 1_600_000_000_000);
    assert_eq!(store.versions(Some("other")).unwrap(), []);
    assert_eq!(store.snapshot().unwrap().tasks().collect::<Vec<_>>(), [TASK]);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.languages(TASK).map(Language::as_str).collect::<Vec<_>>(), ["de", "fr"]);
}

#[test]
fn identical_bytes_are_stored_once() {
    let (folder, store) = new_store();
    store.publish(TASK, &["de", "fr", "ja"].map(|tag| candidate(tag, "same"))).unwrap();
    publish(&store, "de", "same");
    assert_eq!(fs::read_dir(folder.path().join("objects")).unwrap().count(), 1);
    assert_eq!(active_number(&store, "de"), Some(2));
}

#[test]
fn a_language_is_served_by_itself_or_its_nearest_fallback() {
    let (_folder, store) = new_store();
    publish(&store, "mul", "shared");
    publish(&store, "zh", "chinese");
    publish(&store, "zh-Hant", "traditional");
    assert_eq!(served(&store, "zh-Hant-TW").as_deref(), Some("traditional"));
    assert_eq!(served(&store, "zh-Hans").as_deref(), Some("chinese"));
    assert_eq!(served(&store, "sw").as_deref(), Some("shared"));
    let (owner, active) = store.snapshot().unwrap().resolve(TASK, &language("zh-Hans")).unwrap();
    assert_eq!((owner.as_str(), active.number), ("zh", 1));
    assert_eq!(store.snapshot().unwrap().resolve("other", &language("zh")), None);
}

#[test]
fn rolling_back_walks_the_activations_in_reverse() {
    let (_folder, store) = new_store();
    publish(&store, "mul", "shared");
    for content in ["one", "two", "three"] {
        publish(&store, "de", content);
    }
    store.activate(TASK, &[(language("de"), 1)]).unwrap();
    store.activate(TASK, &[(language("de"), 1)]).unwrap();
    let de = language("de");
    for expected in [Some(3), Some(2), Some(1), None] {
        assert_eq!(store.roll_back(TASK, &de).unwrap(), expected);
        assert_eq!(active_number(&store, "de"), expected);
    }
    assert_eq!(served(&store, "de").as_deref(), Some("shared"));
    let error = store.roll_back(TASK, &de).unwrap_err();
    assert_eq!(error.code(), Code::StoreNoVersion);
    assert!(error.to_string().contains("de"), "{error}");
    store.activate(TASK, &[(de, 2)]).unwrap();
    assert_eq!(served(&store, "de").as_deref(), Some("two"));
}

#[test]
fn the_history_is_bounded() {
    let (_folder, store) = new_store();
    publish(&store, "de", "one");
    publish(&store, "de", "two");
    for round in 0..300 {
        store.activate(TASK, &[(language("de"), 1 + round % 2)]).unwrap();
    }
    let mut depth = 0;
    while store.roll_back(TASK, &language("de")).is_ok() {
        depth += 1;
    }
    assert_eq!(depth, 256);
    assert!(active_number(&store, "de").is_some(), "forgotten history leaves a version active");
}

#[test]
fn activating_several_languages_is_all_or_nothing() {
    let (_folder, store) = new_store();
    for content in ["one", "two"] {
        store.publish(TASK, &[candidate("de", content), candidate("fr", content)]).unwrap();
    }
    let before = store.snapshot().unwrap();
    let wishes = [(language("de"), 1), (language("fr"), 9)];
    let error = store.activate(TASK, &wishes).unwrap_err();
    assert_eq!(error.code(), Code::StoreNoVersion);
    assert!(error.to_string().contains("fr: it has no version 9"), "{error}");
    let error = store.activate(TASK, &[(language("de"), 1), (language("DE"), 2)]).unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid);
    let error = store.activate("no-such-task", &wishes).unwrap_err();
    assert_eq!(error.code(), Code::StoreNoVersion);
    assert_eq!(store.snapshot().unwrap().generation(), before.generation());
    store.activate(TASK, &[(language("de"), 1), (language("fr"), 1)]).unwrap();
    assert_eq!(store.snapshot().unwrap().generation(), before.generation() + 1);
}

#[test]
fn a_pinned_language_stays_where_it_is() {
    let (_folder, store) = new_store();
    let de = language("de");
    assert_eq!(store.pin(TASK, &de).unwrap_err().code(), Code::StoreNoVersion);
    publish(&store, "de", "one");
    publish(&store, "de", "two");
    assert_eq!(store.pin(TASK, &de).unwrap(), 2);
    assert!(store.snapshot().unwrap().is_pinned(TASK, &de));
    assert!(!store.snapshot().unwrap().is_pinned(TASK, &language("fr")));
    let error = store.activate(TASK, &[(de.clone(), 1)]).unwrap_err();
    assert_eq!(error.code(), Code::StorePinned);
    assert!(error.to_string().contains("pinned to version 2"), "{error}");
    assert_eq!(store.roll_back(TASK, &de).unwrap_err().code(), Code::StorePinned);
    store.activate(TASK, &[(de.clone(), 2)]).unwrap();
    let ids = store.publish(TASK, &[candidate("de", "three"), candidate("fr", "three")]).unwrap();
    assert_eq!(ids.iter().map(|id| id.activated).collect::<Vec<_>>(), [false, true]);
    let pinned: Vec<_> =
        store.versions(None).unwrap().iter().map(|v| (v.active, v.pinned)).collect();
    assert_eq!(pinned, [(false, false), (true, true), (false, false), (true, false)]);
    store.unpin(TASK, &de).unwrap();
    store.activate(TASK, &[(de, 3)]).unwrap();
    assert_eq!(active_number(&store, "de"), Some(3));
}

#[test]
fn a_candidate_that_is_not_to_be_activated_waits() {
    let (_folder, store) = new_store();
    let mut waiting = candidate("de", "one");
    waiting.activate = false;
    assert!(!store.publish(TASK, &[waiting]).unwrap()[0].activated);
    assert_eq!(active_number(&store, "de"), None);
    store.activate(TASK, &[(language("de"), 1)]).unwrap();
    assert_eq!(active_number(&store, "de"), Some(1));
}

#[test]
fn bad_arguments_are_refused_before_anything_is_written() {
    let (folder, store) = new_store();
    let fine = candidate("de", "one");
    let mut wordy = candidate("de", "one");
    wordy.evidence = json!("x".repeat(70_000));
    let twice = [fine.clone(), candidate("DE", "two")];
    assert_eq!(store.publish(TASK, &[]).unwrap_err().code(), Code::ArgumentInvalid);
    assert_eq!(store.publish(TASK, &twice).unwrap_err().code(), Code::ArgumentInvalid);
    assert_eq!(store.publish(TASK, &[wordy]).unwrap_err().code(), Code::ArgumentInvalid);
    let long = "a".repeat(65);
    for name in ["", "../up", "a/b", "Intent", ".hidden", "-dash", "a b", "ä", "a\0", &long] {
        assert_eq!(
            store.publish(name, std::slice::from_ref(&fine)).unwrap_err().code(),
            Code::TaskName
        );
        assert_eq!(check_task_name(name).unwrap_err().code(), Code::TaskName);
    }
    assert_eq!(fs::read_dir(folder.path().join("objects")).unwrap().count(), 0);
    assert_eq!(store.snapshot().unwrap().generation(), 0);
    for name in ["a", "0", "home.intents_v2-x", &long[1..]] {
        check_task_name(name).unwrap();
    }
}

#[test]
fn an_unknown_object_is_no_version() {
    let (_folder, store) = new_store();
    publish(&store, "de", "one");
    let error = store.read_object(&ObjectHash::of(b"never published")).unwrap_err();
    assert_eq!(error.code(), Code::StoreNoVersion);
}

#[test]
fn garbage_is_collected_and_versions_stay() {
    let (folder, store) = new_store();
    publish(&store, "de", "one");
    publish(&store, "de", "two");
    let objects = folder.path().join("objects");
    fs::write(objects.join(ObjectHash::of(b"orphan").to_string()), b"orphan").unwrap();
    fs::write(objects.join("README"), b"not ours").unwrap();
    assert_eq!(store.collect_garbage().unwrap(), 6);
    assert_eq!(store.collect_garbage().unwrap(), 0);
    assert_eq!(fs::read_dir(&objects).unwrap().count(), 3);
    assert_eq!(store.verify().unwrap(), []);
}

#[test]
fn threads_never_see_half_of_a_change() {
    let (_folder, store) = new_store();
    let store = Arc::new(store);
    let both = |content: &str| [candidate("de", content), candidate("fr", content)];
    store.publish(TASK, &both("0")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut generation = 0;
                while !stop.load(Ordering::Relaxed) {
                    let snapshot = store.snapshot().unwrap();
                    assert!(snapshot.generation() >= generation, "time goes forward");
                    generation = snapshot.generation();
                    let [de, fr] =
                        ["de", "fr"].map(|tag| snapshot.active(TASK, &language(tag)).unwrap().hash);
                    assert_eq!(de, fr);
                    store.read_object(&de).unwrap();
                }
            })
        })
        .collect();
    for round in 1..30 {
        store.publish(TASK, &both(&round.to_string())).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn threads_and_handles_that_write_at_once_lose_nothing() {
    let (folder, store) = new_store();
    let store = Arc::new(store);
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for round in 0..10 {
                    publish(&store, "de", &format!("{writer} {round}"));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let numbers: Vec<_> = store.versions(None).unwrap().iter().map(|v| v.number).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    let other = Store::open(folder.path()).unwrap();
    publish(&other, "de", "from another handle");
    assert_eq!(served(&store, "de").as_deref(), Some("from another handle"));
    publish(&store, "de", "and back");
    assert_eq!(served(&other, "de").as_deref(), Some("and back"));
}

#[test]
fn a_busy_store_says_so_and_still_reads() {
    let (folder, store) = new_store();
    publish(&store, "de", "one");
    let lock = fs::OpenOptions::new().write(true).open(folder.path().join("lock")).unwrap();
    lock.try_lock().unwrap();
    let error = store.publish(TASK, &[candidate("de", "two")]).unwrap_err();
    assert_eq!(error.code(), Code::StoreLocked);
    assert!(error.to_string().contains("lock"), "{error}");
    let second = Store::open(folder.path()).unwrap();
    assert_eq!(served(&second, "de").as_deref(), Some("one"));
    drop(lock);
    assert_eq!(publish(&store, "de", "two").number, 2);
}
