//! A round with a device in C: `examples/fleet/gateway.py` hands it the bytes over HTTP, and
//! `examples/fleet/device.c` answers and lets its gate decide.

#![cfg(unix)]

#[path = "c/support.rs"]
mod support;

use polygraft::example::Example;
use polygraft::federate::{AskOptions, AverageOptions, RoundMessage, RoundTraining, average};
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::UpdateOptions;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use support::Program;

/// The task of `device.c`.
const TASK: &str = "intent";

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts the gateway on a free port. What it prints must be kept open, or it could print no more.
fn gateway(folder: &Path) -> (Running, u16, BufReader<ChildStdout>) {
    let mut gateway = Command::new("python3")
        .arg(support::in_repository("examples/fleet/gateway.py"))
        .args(["--port", "0", "--folder"])
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut line = String::new();
    let mut said = BufReader::new(gateway.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let port = line.trim().rsplit(':').next().unwrap().parse().expect(&line);
    (Running(gateway), port, said)
}

/// The status of the gateway's answer to a request.
fn status(port: u16, request: &[u8]) -> u16 {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection.write_all(request).unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

fn taught(folder: &Path, bundle: &Path) -> Model {
    let engine = Engine::open(Some(&support::onnxruntime())).unwrap();
    let store = Arc::new(Store::open(folder).unwrap());
    let model = Model::open(&engine, bundle, &store, &ModelOptions::default()).unwrap();
    let mut options = UpdateOptions { steps_max: 3, ..UpdateOptions::default() };
    options.gate.enabled = false;
    options.lora.targets = vec!["q".into(), "v".into()];
    let mut update = model.begin_update(TASK, options).unwrap();
    let language = Language::parse("de").unwrap();
    for number in 0..40 {
        let (text, label) = (format!("tree {number}"), ["on", "off"][number % 2]);
        update.add(Example::labelled(language.clone(), &text, label)).unwrap();
    }
    update.run(&mut |_| ControlFlow::Continue(())).unwrap();
    update.commit().unwrap();
    model
}

/// Writes a file that is never seen half.
fn place(path: &Path, bytes: &[u8]) {
    let part = path.with_extension("part");
    fs::write(&part, bytes).unwrap();
    fs::rename(part, path).unwrap();
}

/// Waits until the device has sent its reply.
fn reply_of(folder: &Path, device: &mut Running) -> Vec<u8> {
    while !folder.join("reply").exists() {
        assert!(device.0.try_wait().unwrap().is_none(), "the device ended without a reply");
        std::thread::sleep(Duration::from_millis(50));
    }
    fs::read(folder.join("reply")).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_device_in_c_takes_part_over_http() {
    let flags = ["-Wl,--no-as-needed", "-ldl"];
    let program = Program::compile("examples/fleet/device.c", &flags);
    let bundle = support::sequence_bundle(&program.scratch("data"));
    let server = taught(&program.scratch("server"), &bundle);
    let languages = vec![Language::parse("de").unwrap()];
    let training = RoundTraining { steps_max: 3, ..RoundTraining::default() };
    let asked = AskOptions { languages, training, ..AskOptions::default() };
    let message = RoundMessage::ask(&server, TASK, &asked).unwrap().to_bytes().unwrap();

    let folder = program.scratch("gateway");
    let (_gateway, port, _said) = gateway(&folder);
    assert_eq!(status(port, b"GET /message HTTP/1.0\r\n\r\n"), 204);
    assert_eq!(status(port, b"GET /../message HTTP/1.0\r\n\r\n"), 404);
    assert_eq!(status(port, b"POST /reply HTTP/1.0\r\n\r\n"), 411);
    let large = b"POST /reply HTTP/1.0\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(status(port, large), 413);
    let garbage = b"POST /reply HTTP/1.0\r\nContent-Length: 8\r\n\r\ngarbage!";
    assert_eq!(status(port, garbage), 400);

    let mut lines = String::new();
    for number in 100..130 {
        let label = ["on", "off"][number % 2];
        writeln!(lines, r#"{{"lang": "de", "text": "tree {number}", "label": "{label}"}}"#)
            .unwrap();
    }
    let examples = program.scratch("files").join("new.jsonl");
    fs::write(&examples, lines).unwrap();
    place(&folder.join("message"), &message);
    let store = program.scratch("device");
    let mut command = program.command();
    command.args([&bundle, &store, &examples]).args(["127.0.0.1", &port.to_string(), "1"]);
    let mut device = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let reply = reply_of(&folder, &mut device);
    let made = average(server.store(), &message, &[&reply], &AverageOptions::default()).unwrap();
    assert_eq!((made.aggregate.replies, made.refused.len()), (1, 0));
    place(&folder.join("aggregate"), &made.aggregate.to_bytes().unwrap());
    let mut said = String::new();
    device.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(device.0.wait().unwrap().success(), "{said}");
    assert!(said.contains("applied [{"), "{said}");
    // Nothing served the language on this device, so the first version does.
    let versions = Store::open(&store).unwrap().versions(Some(TASK)).unwrap();
    assert_eq!(versions.len(), 1);
}
