//! The shell scripts of the guide run.

#![cfg(feature = "cli")]

use super::{fixture, support};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use tempfile::TempDir;

/// A folder as the guide assumes it, with `polygraft` in `bin`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    symlink(fixture("encoder"), path.join("bundle")).unwrap();
    fs::create_dir(path.join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_polygraft"), path.join("bin/polygraft")).unwrap();
    let examples = support::in_repository("examples");
    fs::copy(examples.join("light.jsonl"), path.join("light.jsonl")).unwrap();
    fs::copy(examples.join("light.jsonl"), path.join("test.jsonl")).unwrap();
    fs::copy(examples.join("guide/new.jsonl"), path.join("new.jsonl")).unwrap();
    folder
}

/// Runs a script of the guide there and gives what it printed.
fn run(folder: &TempDir, script: &str) -> String {
    let mut path = folder.path().join("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.arg(support::in_repository("examples/guide").join(script)).current_dir(folder);
    command.env("PATH", path).env("ORT_DYLIB_PATH", support::onnxruntime());
    command.env("ORT_DISABLE_TELEMETRY", "1");
    support::succeed(&command.output().unwrap())
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_first_hour_ends_with_an_answer_and_its_measuring() {
    let folder = folder();
    let said = run(&folder, "first-hour.sh");
    assert!(said.contains("activate v1, shared: first version"), "{said}");
    assert!(fs::read_to_string(folder.path().join("report.html")).unwrap().contains("<svg"));
    let said = run(&folder, "measure.sh");
    assert!(said.contains("accuracy"), "{said}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_is_shipped_learns_goes_back_and_forgets() {
    let folder = folder();
    let said = run(&folder, "ship.sh");
    assert!(said.contains("version 1 of mul, active now"), "{said}");
    assert!(said.contains("pinned to version 1"), "{said}");
    assert!(said.contains("wiped 8 examples"), "{said}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_patient_update_ends() {
    let said = run(&folder(), "patient.sh");
    assert!(said.contains("mul"), "{said}");
}
