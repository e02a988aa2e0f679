//! Records of a store whose hashes are right and whose content is hostile: segments and reports.
//! Each is read or refused within a bound of memory, and never ends in a panic. Pointer files,
//! remembered examples and tokenizers have such tests in files of their own.

#![cfg(unix)]

mod cli_support;

use cli_support::{Ran, polygraft};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What a run may map, in KiB; the command itself takes most of it.
const MEMORY_KIB_MAX: u64 = 2_500_000;

const SECONDS_MAX: u64 = 120;

const OPENING: &str = "{\"format\":\"polygraft-store\",\"version\":2,";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/written-by-0.1.0").join(name)
}

/// Runs the command on a store under the limits; it must end by itself, with or without an error.
fn run(arguments: &[&str], store: &Path) -> Ran {
    let script = format!("ulimit -v {MEMORY_KIB_MAX}; exec timeout {SECONDS_MAX} \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(polygraft().get_program()).args(arguments).arg(store);
    let ran = cli_support::run(&mut command);
    assert!([0, 1, 2, 3].contains(&ran.code), "exit code {}: {:.600}", ran.code, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{:.600}", ran.stderr);
    assert!(ran.stderr.len() < 10_000, "a message of {} bytes", ran.stderr.len());
    ran
}

/// Values that a field is not made for.
fn hostile() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(-1)),
        Just(json!(u64::MAX)),
        Just(json!(1e308)),
        Just(json!(true)),
        Just(json!("")),
        Just(json!("../../etc/passwd")),
        Just(json!("\u{202e}\n\u{0}\u{1b}[2J")),
        Just(json!("x".repeat(100_000))),
        Just(json!([])),
        Just(json!({})),
        Just(Value::from(vec![0; 10_000])),
        Just((0..100).fold(json!(0), |inner, _| json!([inner]))),
    ]
}

/// The places of all values inside of one, as JSON pointers.
fn places(value: &Value, place: &str, all: &mut Vec<String>) {
    all.push(place.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(field, &format!("{place}/{name}"), all);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{place}/{index}"), all);
            }
        }
        _ => {}
    }
}

/// The value with one of its places taken by another one, or doubled where that is an array.
fn changed(mut value: Value, at: prop::sample::Index, by: Value) -> Value {
    let mut all = Vec::new();
    places(&value, "", &mut all);
    let target = value.pointer_mut(&all[at.index(all.len())]).unwrap();
    match target {
        Value::Array(items) if by.is_boolean() => items.extend(items.clone()),
        other => *other = by,
    }
    value
}

/// A store whose records of tasks and updates are in one segment of these bytes.
fn store_with_segment(bytes: &[u8]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let hash = blake3::hash(bytes).to_hex();
    fs::create_dir(folder.path().join("records")).unwrap();
    fs::write(folder.path().join("records").join(hash.as_str()), bytes).unwrap();
    let size = bytes.len();
    let state = format!(
        "{{\n  \"generation\": 9,\n  \"segments\": [\n    {{\n      \"hash\": \"{hash}\",\n      \
         \"size_bytes\": {size}\n    }}\n  ],\n  \"tasks\": {{}},\n  \"updates\": {{}}\n}}"
    );
    let seal = blake3::hash(state.as_bytes()).to_hex();
    let frame = format!("{OPENING}\"blake3\":\"{seal}\",\"state\":\n{state}\n}}\n");
    fs::write(folder.path().join("state.json"), frame).unwrap();
    folder
}

/// The records of the fixture, in the order of its file; a parsed value sorts its keys.
fn segment() -> String {
    let text = fs::read_to_string(fixture("encoder-store/state.json")).unwrap();
    let tasks = text.find("\"tasks\": ").unwrap();
    let lines = text[tasks..text.rfind("\n}\n").unwrap()].lines().map(str::trim_start);
    let compact: String = lines.collect();
    format!("{{{}", compact.replace("\": ", "\":"))
}

#[test]
fn a_segment_is_read() {
    let store = store_with_segment(segment().as_bytes());
    let ran = run(&["versions", "--json", "--store"], store.path());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.json()["versions"].as_array().unwrap().len(), 30);
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(80))]

    #[test]
    fn a_hostile_segment_is_no_worse_than_an_error(
        at in any::<prop::sample::Index>(),
        by in hostile(),
    ) {
        let records: Value = serde_json::from_str(&segment()).unwrap();
        let store = store_with_segment(changed(records, at, by).to_string().as_bytes());
        run(&["versions", "--store"], store.path());
    }

    #[test]
    fn a_damaged_segment_is_no_worse_than_an_error(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = segment().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let store = store_with_segment(&bytes);
        run(&["versions", "--store"], store.path());
    }

    // Reports of the first builds are bound by no hash, so that any content comes to be read.
    #[test]
    fn a_hostile_report_is_no_worse_than_an_error(
        at in any::<prop::sample::Index>(),
        by in hostile(),
    ) {
        let folder = TempDir::new().unwrap();
        let reports = folder.path().join("reports/light");
        fs::create_dir_all(&reports).unwrap();
        let state = fixture("oldest-store/state.json");
        fs::copy(state, folder.path().join("state.json")).unwrap();
        let report = fs::read(fixture("encoder-store/reports/intent/000002.json")).unwrap();
        let report = changed(serde_json::from_slice(&report).unwrap(), at, by);
        fs::write(reports.join("000002.json"), report.to_string()).unwrap();
        let page = folder.path().join("page.html");
        let arguments = ["report", "--task", "light", "--stage", "2", "--html"];
        let arguments = [&arguments[..], &[page.to_str().unwrap(), "--store"]].concat();
        let ran = run(&arguments, folder.path());
        prop_assert!(ran.stdout.len() < 1_000_000, "{} bytes are printed", ran.stdout.len());
    }
}

/// Where a command stops reading examples, with the ONNX Runtime of set-up.
fn evaluate(examples: &str, standard_input: fs::File) -> Ran {
    let script = format!(
        "ulimit -v {MEMORY_KIB_MAX}; exec timeout {SECONDS_MAX} \"$0\" eval --task intent \
         --threads 1 --bundle \"$1\" --store \"$2\" --examples \"$3\""
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(polygraft().get_program());
    command.args([fixture("encoder"), fixture("encoder-store")]).arg(examples);
    for (name, value) in polygraft().get_envs() {
        command.env(name, value.unwrap());
    }
    cli_support::run(command.stdin(standard_input))
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_line_of_two_gigabytes_is_refused_in_bounded_memory() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("long.jsonl");
    // Nothing but a size: it takes no room on the disk.
    fs::File::create(&path).unwrap().set_len(2 << 30).unwrap();
    let null = fs::File::open("/dev/null").unwrap();
    for (examples, input) in [(path.to_str().unwrap(), null), ("-", fs::File::open(&path).unwrap())]
    {
        let ran = evaluate(examples, input);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains("line 1: expected at most 8388608 bytes"), "{}", ran.stderr);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn examples_come_from_standard_input_under_each_of_its_names() {
    let asked = fixture("examples/intent-asked.jsonl");
    let from_file = evaluate(asked.to_str().unwrap(), fs::File::open("/dev/null").unwrap());
    assert_eq!(from_file.code, 0, "{}", from_file.stderr);
    for name in ["-", "/dev/stdin", "/dev/fd/0"] {
        let ran = evaluate(name, fs::File::open(&asked).unwrap());
        assert_eq!((ran.code, &ran.stdout), (0, &from_file.stdout), "{name}: {}", ran.stderr);
    }
}
