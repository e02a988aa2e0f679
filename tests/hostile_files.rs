//! Small files that ask for much: each is refused by the command within a bound of memory and time,
//! never by a panic or a kill. The limits themselves stand in `docs/limits.md`.

#![cfg(unix)]

mod cli_support;

use cli_support::{Ran, polygraft};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What a run may map, in KiB: the command itself, its threads' stacks and 1 GB for a file.
const MEMORY_KIB_MAX: u64 = 2_500_000;

/// How long a run may take before it is stopped, in seconds. Some machines are slow; what is meant
/// is that it ends.
const SECONDS_MAX: u64 = 120;

/// Runs the command under the limits.
fn limited<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    let program = polygraft().get_program().to_owned();
    let script = format!("ulimit -v {MEMORY_KIB_MAX}; exec timeout {SECONDS_MAX} \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(program).args(arguments);
    command.stdin(std::process::Stdio::null());
    cli_support::run(&mut command)
}

/// The run ended with an error of its own that says `what`.
fn assert_refused(ran: &Ran, what: &str) {
    assert!([1, 2, 3].contains(&ran.code), "exit code {}: {:.600}", ran.code, ran.stderr);
    assert!(ran.stderr.contains(what), "expected {what:?} in {:.600}", ran.stderr);
    assert!(ran.stderr.len() < 10_000, "a message of {} bytes", ran.stderr.len());
}

fn file(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A length-delimited field of a protocol buffer.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag << 3 | 2][..], &varint(content.len()), content].concat()
}

/// A model around the fields of a graph: IR version 8, operator set 17.
fn model(graph: &[u8]) -> Vec<u8> {
    [&[0x08, 8][..], &field(8, &[0x10, 17]), &field(7, graph)].concat()
}

/// A safetensors file without values.
fn safetensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
}

#[test]
fn an_adapter_whose_tensors_share_a_long_shape() {
    // Each of 20,000 tables points at one vector of 40,000 dimensions: 6 GB of numbers.
    const TABLES: usize = 20_000;
    let mut bytes: Vec<u8> = Vec::new();
    let put = |bytes: &mut Vec<u8>, number: u32| bytes.extend(number.to_le_bytes());
    // Root offset and identifier, then the root's field list and table: version 1, a list.
    put(&mut bytes, 24);
    bytes.extend(b"TORT");
    for entry in [12_u16, 12, 4, 0, 0, 8, 0, 0] {
        bytes.extend(entry.to_le_bytes());
    }
    put(&mut bytes, 16);
    put(&mut bytes, 1);
    put(&mut bytes, 4);
    put(&mut bytes, TABLES as u32);
    // A field list and a table for all: no name, the shape, FLOAT, no data.
    let list = bytes.len();
    let table = list + 4 * TABLES + 12;
    for element in 0..TABLES {
        put(&mut bytes, (table - list - 4 * element) as u32);
    }
    for entry in [12_u16, 12, 0, 4, 8, 0] {
        bytes.extend(entry.to_le_bytes());
    }
    put(&mut bytes, 12);
    put(&mut bytes, 8);
    put(&mut bytes, 1);
    put(&mut bytes, 40_000);
    bytes.resize(bytes.len() + 8 * 40_000, 0);
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "shared.onnx_adapter", &bytes);
    let ran = limited([OsStr::new("adapter"), OsStr::new("show"), path.as_os_str()]);
    assert_refused(&ran, "more dimensions than any tensor");
}

#[test]
fn a_header_of_a_million_tensors() {
    let entry = r#":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    let entries: Vec<String> = (0..1_000_000).map(|name| format!("\"{name}\"{entry}")).collect();
    let metadata = r#""__metadata__":{"polygraft-adapter":"{}"}"#;
    let bytes = safetensors(&format!("{{{metadata},{}}}", entries.join(",")));
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "many.safetensors", &bytes);
    let ran = limited([OsStr::new("adapter"), OsStr::new("show"), path.as_os_str()]);
    assert_refused(&ran, "more than 65536 tensors");
    let peft = folder.path().join("peft");
    fs::create_dir(&peft).unwrap();
    fs::write(peft.join("adapter_config.json"), r#"{"peft_type":"LORA","r":8}"#).unwrap();
    fs::rename(path, peft.join("adapter_model.safetensors")).unwrap();
    let ran = limited([OsStr::new("adapter"), OsStr::new("show"), peft.as_os_str()]);
    assert_refused(&ran, "more than 65536 tensors");
}

#[test]
fn graphs_of_parts_without_content() {
    let folder = TempDir::new().unwrap();
    // Nodes, initializers, values: two bytes each.
    for tag in [1, 5, 11, 12, 13] {
        let path = file(&folder, "empty.onnx", &model(&field(tag, &[]).repeat(4_000_000)));
        let ran = limited([OsStr::new("inspect"), path.as_os_str()]);
        assert_refused(&ran, "the structure of the model takes more than");
    }
    // Names of one node.
    let node = field(1, &field(1, b"").repeat(9_000_000));
    let path = file(&folder, "names.onnx", &model(&node));
    let ran = limited([OsStr::new("inspect"), path.as_os_str()]);
    assert_refused(&ran, "the structure of the model takes more than");
}

#[test]
fn subgraphs_inside_of_subgraphs() {
    let mut graph = Vec::new();
    for _ in 0..5_000 {
        // A node with an attribute that holds the graph so far.
        graph = field(1, &field(5, &field(6, &graph)));
    }
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "deep.onnx", &model(&graph));
    let ran = limited([OsStr::new("inspect"), path.as_os_str()]);
    assert_refused(&ran, "nested deeper than 100");
}

#[test]
fn an_operator_with_a_long_name() {
    let node = field(1, &[field(4, &[b'A'; 70_000]), field(2, b"y")].concat());
    let output = field(12, &field(1, b"y"));
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "long.onnx", &model(&[node, output].concat()));
    let ran = limited([OsStr::new("inspect"), path.as_os_str()]);
    assert!([0, 1].contains(&ran.code), "{}: {:.600}", ran.code, ran.stderr);
    assert!(ran.stdout.lines().all(|line| line.chars().count() < 2_000), "{:.600}", ran.stdout);
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn pipes_are_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pipe");
    pipe(&path);
    let at = |name: &str| folder.path().join(name).into_os_string();
    for (holder, name) in [
        ("bundle", "manifest.json"),
        ("peft", "adapter_config.json"),
        ("sequence", "config.json"),
        ("sequence", "encoder_model.onnx"),
    ] {
        fs::create_dir_all(at(holder)).unwrap();
        pipe(&folder.path().join(holder).join(name));
    }
    let words = |texts: &[&str]| -> Vec<std::ffi::OsString> {
        let word = |text: &&str| match text.strip_prefix('@') {
            Some(name) => at(name),
            None => text.into(),
        };
        texts.iter().map(word).collect()
    };
    for arguments in [
        &["bundle", "verify", "@bundle"][..],
        &["inspect", "@pipe"],
        &["inspect", "@bundle"],
        &["adapter", "show", "@pipe"],
        &["adapter", "show", "@peft"],
        &["adapter", "combine", "@pipe", "@pipe", "--out", "@out"],
        &[
            "bundle",
            "create",
            "--onnx",
            "@pipe",
            "--tokenizer",
            "@pipe",
            "--pooling",
            "mean",
            "--out",
            "@out",
        ],
        &["bundle", "create", "--onnx", "@sequence", "--pooling", "mean", "--out", "@out"],
    ] {
        let ran = limited(words(arguments));
        assert!([1, 2, 3].contains(&ran.code), "{arguments:?}: {}: {}", ran.code, ran.stderr);
    }
}

#[test]
fn json_that_is_nested_deeply() {
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let folder = TempDir::new().unwrap();
    let peft = folder.path().join("peft");
    fs::create_dir(&peft).unwrap();
    let config = format!(r#"{{"peft_type":"LORA","target_modules":{deep}}}"#);
    fs::write(peft.join("adapter_config.json"), config).unwrap();
    let ran = limited([OsStr::new("adapter"), OsStr::new("show"), peft.as_os_str()]);
    assert_refused(&ran, "recursion limit");
    let own = safetensors(&format!(r#"{{"__metadata__":{deep}}}"#));
    let path = file(&folder, "deep.safetensors", &own);
    let ran = limited([OsStr::new("adapter"), OsStr::new("show"), path.as_os_str()]);
    assert_refused(&ran, "invalid JSON in header");
}
