//! Bundles and stores that released versions wrote: this version opens them, answers as they did,
//! reads their reports, verifies, rolls back and continues from there.

#![cfg(feature = "cli")]

mod cli_support;

use cli_support::{Ran, polygraft, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Tasks of the folder `written-by-0.1.0`, each with the bundle that it is of.
const TASKS: [(&str, &str); 7] = [
    ("intent", "encoder"),
    ("moods", "encoder"),
    ("grade", "encoder"),
    ("kinds", "encoder"),
    ("slots", "encoder"),
    ("lemma", "decoder"),
    ("light", "oldest"),
];

/// What the first builds of 0.1.0 wrote shares the model files of this bundle.
const OLDEST_MODEL: &str = "encoder";

/// Fields of `predict --json` that were renamed since: what 0.1.0 called them, and their name now.
const RENAMED: [(&str, &str); 1] = [("finish", "finish_reason")];

/// By how much a number may differ on another processor.
const TOLERANCE: f64 = 1e-3;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/written-by-0.1.0").join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A copy of a folder, since a store may be written to.
fn copied(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Copies of a bundle and its store.
struct Written {
    folder: TempDir,
}

impl Written {
    fn copy(bundle: &str) -> Self {
        let written = Self { folder: TempDir::new().unwrap() };
        copied(&fixture(&format!("{bundle}-store")), &written.store());
        if bundle == "oldest" {
            copied(&fixture(OLDEST_MODEL), &written.bundle());
            let manifest = written.bundle().join("manifest.json");
            fs::copy(fixture("oldest-manifest.json"), manifest).unwrap();
        } else {
            copied(&fixture(bundle), &written.bundle());
        }
        written
    }

    fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// A command on the store that is printed as JSON and ends well.
    fn done(&self, name: &str, task: &str, more: &[&str]) -> Ran {
        let mut command = polygraft();
        command.args([name, "--json", "--store"]).arg(self.store()).args(["--task", task]);
        let ran = run(command.args(more));
        assert_eq!(ran.code, 0, "{name} of {task}: {}{}", ran.stdout, ran.stderr);
        ran
    }

    /// A command that runs the model on examples.
    fn run_on(&self, examples: &str, name: &str, task: &str, more: &[&str]) -> Ran {
        let (bundle, examples) = (self.bundle(), fixture(&format!("examples/{examples}.jsonl")));
        let (bundle, examples) = (bundle.to_str().unwrap(), examples.to_str().unwrap());
        let files = ["--threads", "1", "--bundle", bundle, "--examples", examples];
        self.done(name, task, &[&files, more].concat())
    }

    /// The number of the active version of German.
    fn active(&self, task: &str) -> Value {
        let listed = self.done("versions", task, &[]).json();
        let versions = listed["versions"].as_array().unwrap();
        let active = |one: &&Value| one["language"] == "de" && one["active"] == true;
        let active: Vec<_> = versions.iter().filter(active).collect();
        assert_eq!((versions.len(), active.len()), (6, 1), "{task}: {listed}");
        active[0]["number"].clone()
    }
}

/// Every field that was written is there, with the same value; there may be others.
fn assert_contains(found: &Value, written: &Value, place: &str) {
    match (found, written) {
        (Value::Object(found), Value::Object(written)) => {
            for (name, value) in written {
                let renamed = RENAMED.iter().find(|(was, _)| was == name);
                let name = renamed.map_or(name.as_str(), |(_, is)| is);
                let place = format!("{place}.{name}");
                let found = found.get(name).unwrap_or_else(|| panic!("{place} is missing"));
                assert_contains(found, value, &place);
            }
        }
        (Value::Array(found), Value::Array(written)) => {
            assert_eq!(found.len(), written.len(), "{place}");
            for (index, (found, written)) in found.iter().zip(written).enumerate() {
                assert_contains(found, written, &format!("{place}[{index}]"));
            }
        }
        (Value::Number(found), Value::Number(written)) => {
            let (found, written) = (found.as_f64().unwrap(), written.as_f64().unwrap());
            assert!((found - written).abs() <= TOLERANCE, "{place}: {found}, was {written}");
        }
        _ => assert_eq!(found, written, "{place}"),
    }
}

#[test]
fn a_bundle_of_0_1_0_verifies() {
    for (bundle, sealed) in [("encoder", true), ("decoder", true), ("oldest", false)] {
        let written = Written::copy(bundle);
        let ran = run(polygraft().args(["bundle", "verify", "--json"]).arg(written.bundle()));
        assert_eq!(ran.code, 0, "{bundle}: {}", ran.stderr);
        assert_eq!(ran.json()["sealed"], sealed);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn reports_of_0_1_0_are_read() {
    for (task, bundle) in TASKS {
        let written = Written::copy(bundle);
        let reports = written.done("report", task, &[]).json();
        for (stage, report) in (1..).zip(reports.as_array().unwrap()) {
            let mut file = json(&written.store().join(format!("reports/{task}/{stage:06}.json")));
            // What binds the file to the one before is nothing to be shown.
            file.as_object_mut().unwrap().remove("previous");
            assert_contains(report, &file, task);
        }
        assert_eq!(reports[1]["stage"], 2, "{task}");
    }
}

#[test]
fn a_store_of_0_1_0_rolls_back_and_forward() {
    for (task, bundle) in TASKS {
        let written = Written::copy(bundle);
        assert_eq!(written.active(task), 2);
        written.done("rollback", task, &["--language", "de"]);
        assert_eq!(written.active(task), 1);
        written.done("activate", task, &["--language", "de", "--version", "2"]);
        assert_eq!(written.active(task), 2);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn nothing_is_wrong_with_a_store_of_0_1_0() {
    for bundle in ["encoder", "decoder", "oldest"] {
        let written = Written::copy(bundle);
        let mut command = polygraft();
        command.args(["doctor", "--json", "--bundle"]).arg(written.bundle());
        let ran = run(command.arg("--store").arg(written.store()));
        assert_eq!(ran.code, 0, "{bundle}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.json()["ok"], true);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_store_of_0_1_0_answers_as_it_did() {
    let answers = json(&fixture("answers.json"));
    for (task, bundle) in TASKS {
        let written = Written::copy(bundle);
        let found = written.run_on(&format!("{task}-asked"), "predict", task, &[]).json_lines();
        assert_contains(&Value::from(found), &answers[task], task);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_store_of_0_1_0_is_updated() {
    for (task, bundle) in TASKS {
        let (written, brought) = (Written::copy(bundle), format!("{task}-2"));
        written.run_on(&brought, "update", task, &["--steps-max", "4", "--no-gate"]);
        let reports = written.done("report", task, &[]).json();
        assert_eq!(reports[2]["stage"], 3, "{task}");
        for answer in written.run_on(&brought, "predict", task, &[]).json_lines() {
            assert_eq!(answer["answered_by"]["version"], 3, "{task}: {answer}");
        }
    }
}
