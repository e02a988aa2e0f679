//! A service of the examples that runs as a program of its own: how it is started, asked and ended.
#![allow(dead_code, reason = "each test file uses its part of this module")]

use super::support::{self, Program};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The running service.
pub struct Service {
    child: Child,
    address: String,
}

impl Service {
    /// Starts it at a free port of `host`, with the small bundle that version 0.1.0 wrote.
    pub fn start(program: &Program, host: &str, steps_max: &str) -> Self {
        let mut command = program.command();
        command.args(["--address", &format!("{host}:0"), "--steps-max", steps_max]);
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
    pub fn ask(&self, method: &str, path: &str, body: &str, status: u16) -> String {
        ask(&self.address, method, path, body, status)
    }

    /// The same as POST.
    pub fn post(&self, path: &str, body: &str, status: u16) -> String {
        self.ask("POST", path, body, status)
    }

    /// Sends SIGTERM and gives the exit status.
    pub fn end(mut self) -> Option<i32> {
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

/// Asks the service at an address.
pub fn ask(address: &str, method: &str, path: &str, body: &str, status: u16) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
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
    let found = head.split(' ').nth(1);
    let expected = status.to_string();
    assert_eq!(found, Some(expected.as_str()), "{method} {path} was answered {answer}");
    body.to_owned()
}

/// Calls `ended` until it is true.
pub fn wait(mut ended: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ended() {
        assert!(start.elapsed() < Duration::from_secs(300), "the update does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sentences that the small bundle can tell apart, as lines of JSON.
pub fn feedback() -> String {
    let lines = (0..240).map(|index| {
        let (first, label) = if index % 2 == 0 { (10, "on") } else { (20, "off") };
        let text = format!("w{} w{} w{}", first + index % 10, 40 + index / 36, 40 + index % 36);
        format!("{{\"lang\": \"de\", \"text\": \"{text}\", \"label\": \"{label}\"}}\n")
    });
    lines.collect()
}

/// What each service says of arguments that are wrong.
pub fn refuses_wrong_arguments(program: &Program) {
    let run = |arguments: &[&str]| program.command().args(arguments).output().unwrap();
    let usage = run(&["bundle"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).starts_with("usage: serve "));
    let store = program.scratch("data").join("store");
    let missing = run(&["/nowhere", store.to_str().unwrap()]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("io.not_found: "));
}
