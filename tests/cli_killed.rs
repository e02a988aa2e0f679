//! A command that makes a bundle and is killed: the bundle that was there stays whole, and the next
//! command removes what the killed one has left.

#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;

use cli_support::{polygraft, run};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KILLS_COUNT: u32 = 24;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters").join(name)
}

fn create(out: &Path) -> Command {
    let mut command = polygraft();
    command
        .args(["bundle", "create", "--overwrite", "--progress", "none", "--pooling", "mean"])
        .arg("--onnx")
        .arg(fixture("backbone.onnx"))
        .arg("--tokenizer")
        .arg(fixture("tokenizer.json"))
        .arg("--out")
        .arg(out);
    command
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_killed_creation_leaves_the_old_bundle_and_nothing_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("bundle");
    let begun = Instant::now();
    assert_eq!(run(&mut create(&out)).code, 0);
    let whole = begun.elapsed();
    for kill in 0..KILLS_COUNT {
        let mut command = create(&out);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // From just after the start to after the end.
        std::thread::sleep(whole.max(Duration::from_millis(20)) * kill / (KILLS_COUNT - 2));
        // One that has ended already cannot be killed, which is a moment like any other.
        let _ = child.kill();
        child.wait().unwrap();
        let verified = run(polygraft().args(["bundle", "verify"]).arg(&out));
        assert_eq!(verified.code, 0, "after kill {kill}: {}", verified.stderr);
    }
    // What a run of a version without locks, or of another machine, may have left.
    std::fs::create_dir(folder.path().join(".polygraft-bundle-left")).unwrap();
    assert_eq!(run(&mut create(&out)).code, 0);
    assert_eq!(names(folder.path()), ["bundle"]);
}
