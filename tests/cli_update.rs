//! The command on the real bundle and real intents: update, predict, roll back, cancel, exit codes.

#![cfg(feature = "cli")]

mod cli_support;

use cli_support::{Ran, cache, polygraft, run};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A store, and examples for it, in a folder of their own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// `count` training sentences in German and Finnish.
    fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut examples = fs::File::create(folder.path().join("examples.jsonl")).unwrap();
        for tag in ["de", "fi"] {
            let path = cache(&format!("data/intents/train/{tag}.jsonl"));
            let text = fs::read_to_string(path).expect("the data; `make setup` brings it");
            for line in text.lines().take(count) {
                writeln!(examples, "{line}").unwrap();
            }
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command on this store and the reference bundle.
    fn command(&self, name: &str) -> Command {
        let mut command = polygraft();
        command.args([name, "--task", "intent", "--threads", "2", "--bundle"]);
        command.arg(cache("bundle/e5-small")).arg("--store").arg(self.path("store"));
        command
    }

    fn update(&self, more: &[&str]) -> Ran {
        let mut command = self.command("update");
        run(command.arg("--examples").arg(self.path("examples.jsonl")).args(more))
    }

    fn state(&self) -> String {
        fs::read_to_string(self.path("store").join("state.json")).unwrap()
    }
}

fn entry<'a>(report: &'a Value, tag: &str) -> &'a Value {
    let languages = report["languages"].as_array().unwrap();
    languages.iter().find(|entry| entry["language"] == tag).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_update_is_reported_predicted_measured_and_rolled_back() {
    let place = Place::new(60);
    let report_path = place.path("report.json");
    let options = ["--json", "--new-labels", "--steps-max", "12", "--report"];
    let first = place.update(&[&options[..], &[report_path.to_str().unwrap()]].concat());
    assert_eq!(first.code, 0, "{}", first.stderr);
    let report = first.json();
    let written: Value = serde_json::from_slice(&fs::read(&report_path).unwrap()).unwrap();
    assert_eq!(report, written);
    assert_eq!(entry(&report, "de")["version"], 1);
    assert!(first.stderr.contains("started a new store"), "{}", first.stderr);

    let mut predict = place.command("predict");
    let one = run(predict.args(["--language", "de", "--json", "--top-k", "2", "Licht an"]));
    assert_eq!(one.code, 0, "{}", one.stderr);
    let answer = one.json();
    assert_eq!(answer["answered_by"], json!({"language": "de", "version": 1}));
    assert_eq!(answer["labels"].as_array().unwrap().len(), 2);

    // What `predict` says about the examples is what `eval` counts.
    let examples = place.path("examples.jsonl");
    let predicted = run(place.command("predict").arg("--json").arg("--examples").arg(&examples));
    let measured = run(place.command("eval").arg("--json").arg("--examples").arg(&examples));
    assert_eq!((predicted.code, measured.code), (0, 0), "{}", measured.stderr);
    let lines = predicted.json_lines();
    for tag in ["de", "fi"] {
        let right =
            |line: &&Value| line["lang"] == tag && line["labels"][0]["label"] == line["expected"];
        let right = lines.iter().filter(right).count() as f64;
        let language = entry(&measured.json(), tag).clone();
        let share = right / language["examples"].as_f64().unwrap();
        for figure in [&language["metrics"]["accuracy"], &language["score"]] {
            assert!((figure.as_f64().unwrap() - share).abs() < 1e-12, "{tag}: {figure}, {share}");
        }
    }

    let target = ["--task", "intent", "--language", "de", "--json", "--store"];
    let rolled_back = run(polygraft().arg("rollback").args(target).arg(place.path("store")));
    assert_eq!((rolled_back.code, &rolled_back.json()["active"]), (0, &Value::Null));
    let shared = run(place.command("predict").args(["--language", "de", "--json", "Licht an"]));
    assert_eq!(shared.json()["answered_by"]["language"], "mul");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_dry_run_and_a_gate_that_keeps_everything_leave_the_store_as_it_was() {
    let place = Place::new(60);
    assert_eq!(place.update(&["--new-labels", "--steps-max", "4"]).code, 0);
    let state = place.state();
    let dry = place.update(&["--steps-max", "2", "--dry-run", "--no-gate"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert_eq!(place.state(), state);

    let strict = ["--gate-confidence", "0.999999999"];
    let kept = place.update(&[&["--json", "--steps-max", "2"], &strict[..]].concat());
    // More examples than are kept would be needed, so the report names no number.
    assert_eq!(kept.code, 4, "{}", kept.stderr);
    let report = kept.json();
    let kind = entry(&report, "de")["reason_kind"].clone();
    assert!(kind == "uncertain" || kind == "worse", "{kind}");
    assert_eq!(entry(&report, "de")["examples_needed"], Value::Null);
    assert!(report["languages"].as_array().unwrap().iter().all(|one| one["decision"] == "keep"));
    let versions =
        run(polygraft().args(["versions", "--json", "--store"]).arg(place.path("store")));
    let versions = versions.json();
    let active = |one: &&Value| one["active"] == true;
    let active: Vec<_> = versions["versions"].as_array().unwrap().iter().filter(active).collect();
    assert!(active.iter().all(|one| one["number"] == 1), "{active:?}");
}

#[cfg(unix)]
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn ctrl_c_cancels_an_update_and_nothing_is_changed() {
    let place = Place::new(80);
    assert_eq!(place.update(&["--new-labels", "--steps-max", "2"]).code, 0);
    let state = place.state();
    let mut command = place.command("update");
    command.arg("--examples").arg(place.path("examples.jsonl"));
    command.args(["--epochs", "1000", "--progress", "plain"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let training = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("train: "));
    assert!(training.is_some(), "the update ended before it trained");
    let id = i32::try_from(child.id()).unwrap();
    // SAFETY: sends a signal to the process that this test has started and not yet waited for.
    assert_eq!(unsafe { libc::kill(id, libc::SIGINT) }, 0);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("error[cancelled]: ")), "{rest:?}");
    assert_eq!(place.state(), state);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn doctor_finds_a_healthy_bundle_and_a_flipped_byte() {
    let place = Place::new(30);
    assert_eq!(place.update(&["--new-labels", "--steps-max", "1"]).code, 0);
    let (bundle, store) = (cache("bundle/e5-small"), place.path("store"));
    let doctor =
        || run(polygraft().arg("doctor").arg("--bundle").arg(&bundle).arg("--store").arg(&store));
    let healthy = doctor();
    assert_eq!(healthy.code, 0, "{}", healthy.stdout);
    assert!(healthy.stdout.ends_with("Nothing is wrong.\n"), "{}", healthy.stdout);

    flip_one_byte(&first_object(&store));
    let sick = doctor();
    assert_eq!(sick.code, 1, "{}", sick.stdout);
    assert!(sick.stdout.contains("WRONG  store         [store.corrupt] "), "{}", sick.stdout);
    let mut predict = place.command("predict");
    let refused = run(predict.args(["--language", "de", "Licht an"]));
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.starts_with("error[store.corrupt]: "), "{}", refused.stderr);
}

fn first_object(store: &Path) -> PathBuf {
    fs::read_dir(store.join("objects")).unwrap().next().unwrap().unwrap().path()
}

fn flip_one_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn texts_are_read_from_standard_input() {
    let place = Place::new(30);
    assert_eq!(place.update(&["--new-labels", "--steps-max", "1"]).code, 0);
    let mut command = place.command("predict");
    command.args(["--language", "fi", "--json", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all("sytytä valo\n\nsammuta valo\r\n".as_bytes()).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    let texts: Vec<Value> = ran.json_lines().iter().map(|line| line["text"].clone()).collect();
    assert_eq!(texts, ["sytytä valo", "sammuta valo"]);
}
