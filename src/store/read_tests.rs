//! One thread reads a change; the others do not wait for it.

use super::*;
use std::sync::mpsc;

const TASK: &str = "intent";

fn new_version(content: &str) -> NewVersion {
    let bytes = content.as_bytes().into();
    let language = Language::parse("de").unwrap();
    NewVersion { language, bytes, activate: true, evidence: serde_json::json!(null) }
}

#[test]
fn threads_go_on_with_what_they_have_while_one_reads_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.publish(TASK, &[new_version("one")]).unwrap();
    let reading = store.reader();
    // Another handle stands for another process.
    Store::open(folder.path()).unwrap().publish(TASK, &[new_version("two")]).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| sender.send(store.snapshot().unwrap().generation()).unwrap());
        }
    });
    drop(sender);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [1; 4]);
    drop(reading);
    assert_eq!(store.snapshot().unwrap().generation(), 2);
}

#[test]
fn what_is_known_about_near_languages_is_kept_while_the_same_ones_are_active() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let luxembourgish = Language::parse("lb").unwrap();
    let serving = || {
        let (language, version) = store.snapshot().unwrap().resolve(TASK, &luxembourgish)?;
        Some((language.to_string(), version.number))
    };
    for (round, content) in ["one", "two", "three"].into_iter().enumerate() {
        store.publish(TASK, &[new_version(content)]).unwrap();
        assert_eq!(serving(), Some(("de".to_owned(), round as u32 + 1)));
    }
    let nearer = NewVersion { language: luxembourgish.clone(), ..new_version("own") };
    store.publish(TASK, &[nearer]).unwrap();
    assert_eq!(serving(), Some(("lb".to_owned(), 1)));
    store.roll_back(TASK, &luxembourgish).unwrap();
    assert_eq!(serving(), Some(("de".to_owned(), 3)));
    for _ in 0..3 {
        store.roll_back(TASK, &Language::parse("de").unwrap()).unwrap();
    }
    assert_eq!(serving(), None);
}
