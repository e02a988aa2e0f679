//! Stores of many languages: records in segments, changes of one language, damage, and stores of
//! polygraft 0.1.

use polygraft::Code;
use polygraft::language::Language;
use polygraft::store::{NewVersion, Store, VersionInfo};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

const TASK: &str = "intent";

/// Distinct tags: de-x-aaa, de-x-aab, ...
fn tags(count: usize) -> Vec<String> {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
    let tag = |n: usize| format!("de-x-{}{}{}", letter(n / 676), letter(n / 26), letter(n));
    (0..count).map(tag).collect()
}

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn candidate(tag: &str, content: &str, evidence_bytes: usize) -> NewVersion {
    let evidence = json!("e".repeat(evidence_bytes));
    NewVersion {
        language: language(tag),
        bytes: content.as_bytes().into(),
        activate: true,
        evidence,
    }
}

/// A store with two versions of every language, both in one object each.
fn large(folder: &Path, count: usize) -> Store {
    let store = Store::open(folder).unwrap();
    for content in ["one", "two"] {
        let all: Vec<_> = tags(count).iter().map(|tag| candidate(tag, content, 500)).collect();
        store.publish(TASK, &all).unwrap();
    }
    store
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder.join("records")) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn state_size_bytes(folder: &Path) -> u64 {
    fs::metadata(folder.join("state.json")).unwrap().len()
}

fn numbers(store: &Store) -> Vec<(String, u32, bool)> {
    let row = |info: &VersionInfo| (info.language.to_string(), info.number, info.active);
    store.versions(Some(TASK)).unwrap().iter().map(row).collect()
}

#[test]
fn a_change_of_one_language_writes_that_language_and_not_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = large(folder.path(), 400);
    let before = segments(folder.path());
    assert!(!before.is_empty());
    let reader = Store::open_existing(folder.path()).unwrap();
    assert_eq!(numbers(&reader), numbers(&store));
    assert_eq!(numbers(&reader).len(), 800);
    store.activate(TASK, &[(language("de-x-aab"), 1)]).unwrap();
    assert_eq!(segments(folder.path()), before, "no segment is written for one language");
    assert!(state_size_bytes(folder.path()) < 8 << 10);
    let active =
        |store: &Store, tag| store.snapshot().unwrap().active(TASK, &language(tag)).unwrap().number;
    for store in [&store, &reader, &Store::open_existing(folder.path()).unwrap()] {
        assert_eq!((active(store, "de-x-aab"), active(store, "de-x-aac")), (1, 2));
        assert_eq!(store.snapshot().unwrap().languages(TASK).count(), 400);
        assert_eq!(store.verify().unwrap(), []);
    }
    assert_eq!(store.roll_back(TASK, &language("de-x-aab")).unwrap(), Some(2));
    assert_eq!(active(&reader, "de-x-aab"), 2);
}

#[test]
fn segments_stay_few_and_what_they_hold_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let reader = Store::open(folder.path()).unwrap();
    let held = store.snapshot().unwrap();
    let mut largest_bytes = 0;
    for (round, tag) in tags(120).iter().enumerate() {
        store.publish(TASK, &[candidate(tag, &format!("{round}"), 8_000)]).unwrap();
        if round % 3 == 0 {
            store.publish(TASK, &[candidate("de-x-aaa", &format!("a {round}"), 10)]).unwrap();
        }
        largest_bytes = largest_bytes.max(state_size_bytes(folder.path()));
        assert_eq!(reader.snapshot().unwrap().languages(TASK).count(), round + 1);
    }
    assert!(largest_bytes < 72 << 10, "{largest_bytes}");
    // A segment is at least twice as large as the next; one more may wait to be removed.
    assert!((2..=9).contains(&segments(folder.path()).len()), "{:?}", segments(folder.path()));
    let reopened = Store::open(folder.path()).unwrap();
    for store in [&store, &reader, &reopened] {
        assert_eq!(numbers(store), numbers(&reopened));
        assert_eq!(store.verify().unwrap(), []);
    }
    assert_eq!(numbers(&store).len(), 120 + 40);
    assert_eq!(held.languages(TASK).count(), 0, "a held snapshot does not move");
    // Numbers continue where they were, and the newest record of a language is the valid one.
    assert_eq!(store.publish(TASK, &[candidate("de-x-aaa", "x", 1)]).unwrap()[0].number, 42);
}

#[test]
fn a_damaged_segment_is_named_wherever_the_byte_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = large(folder.path(), 200);
    let paths = segments(folder.path());
    let path = paths.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let whole = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let damages: [Damage<'_>; 5] = [
        &|bytes| bytes[0] ^= 1,
        &|bytes| bytes.truncate(bytes.len() / 2),
        &|bytes| bytes.push(b' '),
        &|bytes| bytes.clear(),
        &|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x20;
        },
    ];
    for damage in damages {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        fs::write(path, bytes).unwrap();
        let error = Store::open(folder.path()).unwrap_err();
        assert_eq!(error.code(), Code::StoreCorrupt, "{error}");
        assert!(error.to_string().contains(name), "{error}");
        let problems = store.verify().unwrap();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains(name), "{problems:?}");
    }
    fs::remove_file(path).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code::StoreCorrupt, "{error}");
    assert!(error.to_string().contains(name), "{error}");
    // A store that has read the record already continues to serve.
    store.activate(TASK, &[(language("de-x-aaa"), 1)]).unwrap();
    fs::write(path, whole).unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().verify().unwrap(), []);
}

#[test]
fn a_publish_of_many_languages_is_seen_whole_by_another_handle() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let reader = Store::open(folder.path()).unwrap();
    let all = |content: &str| -> Vec<NewVersion> {
        tags(200).iter().map(|tag| candidate(tag, content, 600)).collect()
    };
    store.publish(TASK, &all("0")).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..8 {
                store.publish(TASK, &all(&round.to_string())).unwrap();
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let snapshot = reader.snapshot().unwrap();
            let actives: Vec<u32> = snapshot
                .languages(TASK)
                .map(|one| snapshot.active(TASK, one).unwrap().number)
                .collect();
            assert_eq!(actives.len(), 200);
            assert!(actives.iter().all(|number| *number == actives[0]));
            assert!(actives[0] >= last, "time goes forward");
            last = actives[0];
        }
    });
    assert_eq!(reader.snapshot().unwrap().generation(), 8);
}

/// The state of a store that polygraft 0.1 wrote: version 1 of the format.
fn first_format(object: &str) -> String {
    let version = |number: u32, parent: &str| {
        format!(
            r#"          {{
            "number": {number},
            "object": "{object}",
            "size_bytes": 3,
            "created_unix_ms": 1790000000000,
            "parent": {parent},
            "evidence": "{{\"held_out\":40}}"
          }}"#
        )
    };
    let state = format!(
        r#"{{
  "generation": 3,
  "tasks": {{
    "intent": {{
      "de": {{
        "active": 2,
        "pinned": false,
        "history": [
          null,
          1
        ],
        "versions": [
{},
{}
        ]
      }}
    }}
  }}
}}"#,
        version(1, "null"),
        version(2, "1")
    );
    let hash = blake3::hash(state.as_bytes()).to_hex();
    format!(
        "{{\"format\":\"polygraft-store\",\"version\":1,\"blake3\":\"{hash}\",\"state\":\n\
         {state}\n}}\n"
    )
}

#[test]
fn a_store_of_the_first_format_is_read_as_it_is_and_migrated_by_its_first_change() {
    let folder = tempfile::tempdir().unwrap();
    let hash = blake3::hash(b"one").to_hex().to_string();
    let text = first_format(&hash);
    let state_path = folder.path().join("state.json");
    fs::create_dir(folder.path().join("objects")).unwrap();
    fs::write(folder.path().join("objects").join(&hash), b"one").unwrap();
    fs::write(&state_path, &text).unwrap();

    let store = Store::open(folder.path()).unwrap();
    assert!(store.snapshot().unwrap().is_of_first_format());
    assert_eq!(numbers(&store), [("de".into(), 1, false), ("de".into(), 2, true)]);
    assert_eq!(store.verify().unwrap(), []);
    assert_eq!(fs::read_to_string(&state_path).unwrap(), text, "reading changes nothing");
    let generation = store.snapshot().unwrap().generation();
    assert_eq!(generation, 3);

    // A change of another task migrates, and is none of this task.
    let candidates = [candidate("de", "two", 1)];
    store.publish("other", &candidates).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert!(!snapshot.is_of_first_format());
    assert!(fs::read_to_string(&state_path).unwrap().contains("\"version\":2"));
    assert_eq!((snapshot.generation(), snapshot.task_generation(TASK)), (4, 3));
    assert_eq!(numbers(&store), [("de".into(), 1, false), ("de".into(), 2, true)]);
    store.publish(TASK, &candidates).unwrap();
    assert_eq!(store.roll_back(TASK, &language("de")).unwrap(), Some(2));
    let reopened = Store::open(folder.path()).unwrap();
    assert_eq!(numbers(&reopened), numbers(&store));
    assert_eq!(reopened.verify().unwrap(), []);
}

#[test]
fn a_state_that_claims_too_many_segments_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(large(folder.path(), 200));
    let text = fs::read_to_string(folder.path().join("state.json")).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    let state = rest.strip_suffix("\n}\n").unwrap();
    let start = state.find("    {\n      \"hash\"").unwrap();
    let end = start + state[start..].find("\n    }").unwrap() + "\n    }".len();
    let segment = &state[start..end];
    let many = vec![segment; 65].join(",\n");
    let edited = format!("{}{many}{}", &state[..start], &state[end..]);
    let hash = blake3::hash(edited.as_bytes()).to_hex();
    let sealed = format!(
        "{{\"format\":\"polygraft-store\",\"version\":2,\"blake3\":\"{hash}\",\"state\":\n\
         {edited}\n}}\n"
    );
    fs::write(folder.path().join("state.json"), sealed).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code::StoreMalformed, "{error}");
    assert!(error.to_string().contains("segments, at most 64"), "{error}");
}
