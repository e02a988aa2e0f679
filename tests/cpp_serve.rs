//! The service in C++ answers while it learns, and ends as it should.
//!
//! It is compiled where cpp-httplib and nlohmann-json are installed, and skipped elsewhere. The
//! bundle is the small one that version 0.1.0 wrote.

#![cfg(target_os = "linux")]

#[path = "c/support.rs"]
mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
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

/// The running service.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(program: &Program, steps_max: &str) -> Self {
        let mut command = program.command();
        command.args(["--address", "localhost:0", "--steps-max", steps_max]);
        command.arg(support::in_repository("tests/fixtures/written-by-0.1.0/encoder"));
        command.arg(program.scratch("data").join("store")).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("it said {line:?}")).to_owned();
        Self { child, address }
    }

    /// Sends a request, expects a status and gives the body of the answer.
    fn ask(&self, method: &str, path: &str, body: &str, status: u16) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let expected = format!("HTTP/1.1 {status} ");
        assert!(head.starts_with(&expected), "{method} {path}: expected {status}, found {answer}");
        body.to_owned()
    }

    fn post(&self, path: &str, body: &str, status: u16) -> String {
        self.ask("POST", path, body, status)
    }

    /// Waits for the end of the running update and gives the versions that answered meanwhile.
    fn learn(&self, question: &str) -> Vec<u64> {
        let mut versions = Vec::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(300) {
            let state: Value = serde_json::from_str(&self.ask("GET", "/update", "", 200)).unwrap();
            assert_eq!(state.get("error"), None, "{state}");
            if state["running"] == json!(false) {
                return versions;
            }
            if !question.is_empty() {
                let answer = self.post("/predict", question, 200);
                let answer: Value = serde_json::from_str(&answer).unwrap();
                versions.push(answer["version"].as_u64().unwrap());
            }
        }
        panic!("the update does not end");
    }

    /// Sends SIGTERM and gives the exit status.
    fn end(mut self) -> Option<i32> {
        // SAFETY: a signal to a child that has not been waited for, so the number is still its own.
        unsafe { libc::kill(self.child.id().try_into().unwrap(), libc::SIGTERM) };
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
    }
}

fn refuses_wrong_arguments(program: &Program) {
    let run = |arguments: &[&str]| program.command().args(arguments).output().unwrap();
    let usage = run(&["bundle"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).starts_with("usage: serve "));
    let store = program.scratch("data").join("store");
    let missing = run(&["/nowhere", store.to_str().unwrap()]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("io.not_found: "));
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
    refuses_wrong_arguments(&program);
    let service = Service::start(&program, "8");
    let question = r#"{"lang": "de", "text": "w14 w66"}"#;
    assert_eq!(service.ask("GET", "/healthz", "", 200), "ok\n");
    service.post("/update", "", 400);
    service.post("/feedback", "not an example", 400);
    service.post("/predict", "not a question", 400);
    service.post("/predict", r#"{"lang": "German", "text": "w14"}"#, 400);
    service.post("/predict", &format!("{{\"text\": \"{}\"}}", "w".repeat(2 << 20)), 413);
    service.post("/predict", question, 503);
    service.ask("GET", "/nowhere", "", 404);

    let lines = (0..240).map(|index| {
        let (first, label) = if index % 2 == 0 { (10, "on") } else { (20, "off") };
        let text = format!("w{} w{} w{}", first + index % 10, 40 + index / 36, 40 + index % 36);
        json!({"lang": "de", "text": text, "label": label}).to_string() + "\n"
    });
    let feedback: String = lines.collect();
    service.post("/feedback", &feedback, 202);
    service.post("/update", "", 202);
    service.post("/update", "", 409);
    service.learn("");
    service.post("/predict", question, 200);

    service.post("/feedback", &feedback, 202);
    service.post("/update", "", 202);
    let versions = service.learn(question);
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
    service.post("/feedback", &feedback, 202);
    service.post("/update", "", 202);
    assert_eq!(service.end(), Some(0));
}
