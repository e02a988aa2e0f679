//! The service in C++ answers while it learns, and ends as it should.
//!
//! It is compiled where cpp-httplib and nlohmann-json are installed, and skipped elsewhere. The
//! bundle is the small one that version 0.1.0 wrote.

#![cfg(target_os = "linux")]

#[path = "c/service.rs"]
mod service;
#[path = "c/support.rs"]
mod support;

use serde_json::{Value, json};
use service::{Service, feedback, wait};
use std::fs;
use std::process::Command;
use support::Program;

/// The flags for the libraries of the service; nothing if they are not installed.
fn flags() -> Option<Vec<String>> {
    let ask = Command::new("pkg-config").args(["--cflags", "--libs", "cpp-httplib"]).output();
    let said = ask.ok().filter(|said| said.status.success())?;
    let probe = "#include <httplib.h>\n#include <nlohmann/json.hpp>\n";
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("probe.cpp");
    fs::write(&source, probe).unwrap();
    let mut compiler = Command::new("c++");
    let found = compiler.args(["-std=c++17", "-E", "-o", "/dev/null"]).arg(source).output().ok()?;
    let flags = String::from_utf8(said.stdout).ok()?;
    // The library stands before the source that needs it.
    let kept = std::iter::once("-Wl,--no-as-needed").chain(flags.split_whitespace());
    found.status.success().then(|| kept.map(str::to_owned).collect())
}

/// Waits for the end of the running update and gives the versions that answered meanwhile.
fn learn(service: &Service, question: &str) -> Vec<u64> {
    let mut versions = Vec::new();
    wait(|| {
        let state: Value = serde_json::from_str(&service.ask("GET", "/update", "", 200)).unwrap();
        assert_eq!(state.get("error"), None, "{state}");
        if !question.is_empty() {
            let answer = service.post("/predict", question, 200);
            let answer: Value = serde_json::from_str(&answer).unwrap();
            versions.push(answer["version"].as_u64().unwrap());
        }
        state["running"] == json!(false)
    });
    versions
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_service_answers_while_it_learns() {
    let Some(flags) = flags() else {
        eprintln!("skipped: needs cpp-httplib, nlohmann-json and pkg-config");
        return;
    };
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let program = Program::compile("examples/cpp/serve/main.cpp", &flags);
    service::refuses_wrong_arguments(&program);
    let service = Service::start(&program, "localhost", "8");
    let question = r#"{"lang": "de", "text": "w14 w66"}"#;
    assert_eq!(service.ask("GET", "/healthz", "", 200), "ok\n");
    service.post("/update", "", 400);
    service.post("/feedback", "not an example", 400);
    service.post("/predict", "not a question", 400);
    service.post("/predict", r#"{"lang": "German", "text": "w14"}"#, 400);
    service.post("/predict", &format!("{{\"text\": \"{}\"}}", "w".repeat(2 << 20)), 413);
    service.post("/predict", question, 503);
    service.ask("GET", "/nowhere", "", 404);

    service.post("/feedback", &feedback(), 202);
    service.post("/update", "", 202);
    service.post("/update", "", 409);
    learn(&service, "");
    service.post("/predict", question, 200);

    service.post("/feedback", &feedback(), 202);
    service.post("/update", "", 202);
    let versions = learn(&service, question);
    assert!(versions.contains(&1), "{versions:?}");
    let metrics = service.ask("GET", "/metrics", "", 200);
    for expected in [
        "\npolygraft_updates_total 2\n",
        "\npolygraft_update_running 0\n",
        "\npolygraft_feedback_waiting 0\n",
        "\npolygraft_prediction_errors_total 3\n",
        "polygraft_prediction_seconds_bucket{le=\"+Inf\"} ",
    ] {
        assert!(metrics.contains(expected), "expected {expected} in {metrics}");
    }

    // It ends in the middle of an update, which then has changed nothing.
    service.post("/feedback", &feedback(), 202);
    service.post("/update", "", 202);
    assert_eq!(service.end(), Some(0));
}
