//! Damaged and hostile stores: always named, never served, never a panic.

use polygraft::Code;
use polygraft::language::Language;
use polygraft::store::{NewVersion, Store};
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const TASK: &str = "intent";

/// The files of a small, healthy store: path inside the folder and content.
static FIXTURE: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for round in 0..2 {
        let candidates = ["de", "zh-Hant"].map(|tag| NewVersion {
            language: Language::parse(tag).unwrap(),
            bytes: format!("{tag} {round}").repeat(20).into_bytes().into(),
            activate: true,
            evidence: json!({"round": round}),
        });
        store.publish(TASK, &candidates).unwrap();
    }
    let mut files = vec![PathBuf::from("state.json")];
    let objects = fs::read_dir(folder.path().join("objects")).unwrap();
    files.extend(objects.map(|entry| Path::new("objects").join(entry.unwrap().file_name())));
    files.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(folder.path().join(path)).unwrap());
    files.into_iter().map(read).collect()
});

fn fixture_copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("objects")).unwrap();
    fs::create_dir(folder.path().join("work")).unwrap();
    for (path, content) in FIXTURE.iter() {
        fs::write(folder.path().join(path), content).unwrap();
    }
    folder
}

fn state_text() -> String {
    let (_, bytes) = FIXTURE.iter().find(|(path, _)| path == Path::new("state.json")).unwrap();
    String::from_utf8(bytes.clone()).unwrap()
}

/// A pointer file with the right hash around any state, as `docs/formats.md` describes it.
fn sealed(state: &str) -> String {
    let hash = blake3::hash(state.as_bytes()).to_hex();
    format!(
        "{{\"format\":\"polygraft-store\",\"version\":2,\"blake3\":\"{hash}\",\"state\":\n\
         {state}\n}}\n"
    )
}

fn inner_state() -> String {
    let text = state_text();
    let (_, rest) = text.split_once('\n').unwrap();
    rest.strip_suffix("\n}\n").unwrap().to_owned()
}

fn open_with_state(bytes: &[u8]) -> polygraft::Result<Store> {
    let folder = fixture_copy();
    fs::write(folder.path().join("state.json"), bytes).unwrap();
    Store::open(folder.path())
}

fn damage(bytes: &[u8], at: usize, kind: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at % bytes.len();
    match kind {
        0..8 => bytes[at] ^= 1 << kind,
        8 => bytes.truncate(at),
        9 => bytes.insert(at, b'0'),
        _ => {
            bytes.remove(at);
        }
    }
    bytes
}

#[test]
fn the_pointer_file_is_json_and_sealed_as_documented() {
    let whole: serde_json::Value = serde_json::from_str(&state_text()).unwrap();
    assert_eq!(whole["state"]["tasks"][TASK]["de"]["active"], 2);
    assert_eq!(sealed(&inner_state()), state_text());
    open_with_state(sealed(&inner_state()).as_bytes()).unwrap();
}

/// Without files for failures found: the failing input is in the message.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_damaged_pointer_file_is_named(at in any::<usize>(), kind in 0u8..11) {
        let original = state_text();
        let damaged = damage(original.as_bytes(), at, kind);
        prop_assume!(damaged != original.as_bytes());
        let error = open_with_state(&damaged).unwrap_err();
        prop_assert!(matches!(error.code(), Code::StoreCorrupt | Code::StoreMalformed));
        prop_assert!(error.to_string().contains("state.json"), "{}", error);
    }

    #[test]
    fn any_bytes_as_pointer_file_are_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        let error = open_with_state(&bytes).unwrap_err();
        prop_assert_eq!(error.code(), Code::StoreMalformed);
    }

    #[test]
    fn a_sealed_state_with_any_edit_never_panics(at in any::<usize>(), kind in 0u8..11) {
        let edited = damage(inner_state().as_bytes(), at, kind);
        let Ok(edited) = String::from_utf8(edited) else { return Ok(()) };
        let folder = fixture_copy();
        fs::write(folder.path().join("state.json"), sealed(&edited)).unwrap();
        if let Ok(store) = Store::open(folder.path()) {
            let _ = store.versions(None);
            let _ = store.snapshot().unwrap().resolve(TASK, &Language::parse("zh-Hant").unwrap());
        }
    }
}

proptest! {
    // Each case waits for the disk several times, so there are fewer of them.
    #![proptest_config(cases(48))]

    #[test]
    fn a_damaged_object_is_named_and_not_served(
        file in 0usize..4, at in any::<usize>(), kind in 0u8..11
    ) {
        let folder = fixture_copy();
        let (path, content) = &FIXTURE[file];
        prop_assert!(path.starts_with("objects"));
        let damaged = damage(content, at, kind);
        prop_assume!(damaged != *content);
        fs::write(folder.path().join(path), &damaged).unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        for version in store.versions(None).unwrap() {
            let read = store.read_object(&version.hash);
            if version.hash.to_string() == name {
                let error = read.unwrap_err();
                prop_assert_eq!(error.code(), Code::StoreCorrupt);
                prop_assert!(error.to_string().contains(name), "{}", error);
            } else {
                prop_assert!(read.is_ok());
            }
        }
        let problems = store.verify().unwrap();
        prop_assert_eq!(problems.len(), 1);
        prop_assert_eq!(&problems[0].path, &folder.path().join(path));
        // Publishing the same bytes again heals the file.
        let version = store.versions(None).unwrap().into_iter()
            .find(|version| version.hash.to_string() == name).unwrap();
        let candidate = NewVersion {
            language: version.language,
            bytes: content.as_slice().into(),
            activate: false,
            evidence: json!(null),
        };
        store.publish(TASK, &[candidate]).unwrap();
        prop_assert_eq!(store.verify().unwrap(), []);
    }
}

#[test]
fn hostile_states_with_a_right_hash_are_refused() {
    let state = inner_state();
    let edits = [
        ("\"active\": 2", "\"active\": 7"),
        ("\"active\": 2", "\"active\": -2"),
        ("\"pinned\": false", "\"pinned\": 3"),
        ("\"pinned\": false", "\"pinned\": false, \"extra\": 1"),
        ("\"number\": 1", "\"number\": 0"),
        ("\"number\": 1", "\"number\": 2"),
        ("\"number\": 2", "\"number\": 99999999999"),
        ("\"parent\": 1", "\"parent\": 2"),
        ("\"intent\"", "\"../intent\""),
        ("\"intent\"", "\"INTENT\""),
        ("\"de\"", "\"DE\""),
        ("\"de\"", "\"not a language\""),
        ("\"generation\": 2", "\"generation\": 2, \"generation\": 2"),
        ("\"generation\": 2", "\"generation\":  2"),
        ("\"object\": \"", "\"object\": \"../"),
    ];
    for (from, to) in edits {
        assert!(state.contains(from), "{from}");
        let edited = state.replacen(from, to, 1);
        let error = open_with_state(sealed(&edited).as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::StoreMalformed, "{to}");
        assert!(error.to_string().contains("state.json"), "{error}");
    }
    let deep = "[".repeat(100_000);
    let error = open_with_state(sealed(&deep).as_bytes()).unwrap_err();
    assert_eq!(error.code(), Code::StoreMalformed);
}

#[test]
fn evidence_that_is_no_json_is_found_but_serving_goes_on() {
    let edited = inner_state().replacen(r#""{\"round\":0}""#, r#""{broken""#, 1);
    let folder = fixture_copy();
    fs::write(folder.path().join("state.json"), sealed(&edited)).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.versions(None).unwrap_err().code(), Code::StoreMalformed);
    assert_eq!(store.verify().unwrap().len(), 1);
    let active = store.snapshot().unwrap().active(TASK, &Language::parse("de").unwrap()).unwrap();
    store.read_object(&active.hash).unwrap();
}

#[test]
fn another_format_version_is_named() {
    let newer = state_text().replacen("\"version\":2", "\"version\":12", 1);
    let error = open_with_state(newer.as_bytes()).unwrap_err();
    assert_eq!(error.code(), Code::StoreMalformed);
    let message = error.to_string();
    assert!(message.contains("\"12\"") && message.contains("reads version 1"), "{message}");
}

#[test]
fn a_false_size_is_refused_before_reading() {
    let state = inner_state();
    let size = state.split("\"size_bytes\": ").nth(1).unwrap().split(',').next().unwrap();
    let from = format!("\"size_bytes\": {size},");
    let edited = state.replace(&from, "\"size_bytes\": 18446744073709551615,");
    let folder = fixture_copy();
    fs::write(folder.path().join("state.json"), sealed(&edited)).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let active = store.snapshot().unwrap().active(TASK, &Language::parse("de").unwrap()).unwrap();
    assert_eq!(store.read_object(&active.hash).unwrap_err().code(), Code::StoreCorrupt);
}

#[test]
fn a_lost_pointer_file_is_not_taken_for_an_empty_store() {
    let folder = fixture_copy();
    let store = Store::open(folder.path()).unwrap();
    fs::remove_file(folder.path().join("state.json")).unwrap();
    assert_eq!(store.snapshot().unwrap_err().code(), Code::NotFound);
    assert_eq!(store.verify().unwrap().len(), 1);
    let error = Store::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code::StoreMalformed);
    assert!(error.to_string().contains("objects exist"), "{error}");
}

#[test]
fn a_folder_with_other_things_is_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("holiday.jpg"), b"").unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code::StoreMalformed);
    assert!(error.to_string().contains("holiday.jpg"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was littered");
    Store::open(&folder.path().join("holiday.jpg")).unwrap_err();
}

#[test]
fn a_pointer_file_damaged_while_open_is_noticed() {
    let folder = fixture_copy();
    let store = Store::open(folder.path()).unwrap();
    let held = store.snapshot().unwrap();
    fs::write(folder.path().join("state.json"), b"rubbish").unwrap();
    assert_eq!(store.snapshot().unwrap_err().code(), Code::StoreMalformed);
    assert_eq!(held.active(TASK, &Language::parse("de").unwrap()).unwrap().number, 2);
}

#[cfg(unix)]
#[test]
fn links_and_folders_in_place_of_files_are_refused() {
    let folder = fixture_copy();
    let (path, content) = &FIXTURE[0];
    let object = folder.path().join(path);
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), content).unwrap();
    fs::remove_file(&object).unwrap();
    std::os::unix::fs::symlink(outside.path(), &object).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert!(store.verify().unwrap()[0].message.contains("not a regular file"));
    fs::remove_file(&object).unwrap();
    fs::create_dir(&object).unwrap();
    assert!(store.verify().unwrap()[0].message.contains("not a regular file"));
    fs::remove_dir(&object).unwrap();
    assert!(store.verify().unwrap()[0].message.contains("is missing"));

    // A planted link under the name of the writer's work file is replaced, not followed.
    fs::write(outside.path(), b"precious").unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("work/state.json")).unwrap();
    store.roll_back(TASK, &Language::parse("de").unwrap()).unwrap();
    assert_eq!(fs::read(outside.path()).unwrap(), b"precious");
}
