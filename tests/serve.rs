//! The services in Rust and in C answer while they learn, and end as they should. That in C++ is in
//! `cpp_serve.rs`.

#![cfg(target_os = "linux")]

#[path = "../examples/rust/serve.rs"]
mod serve;
#[path = "c/service.rs"]
mod service;
#[path = "c/support.rs"]
mod support;

use polygraft::model::{Model, ModelOptions};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use serde_json::{Value, json};
use service::{Service, ask, feedback, wait};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use support::Program;

/// Asks the service in Rust, which runs in this process.
fn check(address: &str) {
    let post = |path: &str, body: &str, status: u16| ask(address, "POST", path, body, status);
    let get = |path: &str| ask(address, "GET", path, "", 200);
    let question = r#"{"lang": "de", "text": "w14 w66"}"#;
    assert_eq!(get("/healthz"), "ok\n");
    post("/update", "", 400);
    post("/feedback", "not an example", 400);
    post("/predict", "not a question", 400);
    post("/predict", r#"{"lang": "German", "text": "w14"}"#, 400);
    post("/predict", &"w".repeat(2 << 20), 413);
    post("/predict", question, 503);
    ask(address, "GET", "/nowhere", "", 404);

    // Waits for the end of the running update, and gives the versions that answered meanwhile.
    let learn = |asks: bool| {
        let mut versions = Vec::new();
        wait(|| {
            let state: Value = serde_json::from_str(&get("/update")).unwrap();
            assert_eq!(state.get("error"), None, "{state}");
            if asks {
                let answer: Value = serde_json::from_str(&post("/predict", question, 200)).unwrap();
                versions.push(answer["version"].as_u64().unwrap());
            }
            state["running"] == json!(false)
        });
        versions
    };
    post("/feedback", &feedback(), 202);
    post("/update", "", 202);
    post("/update", "", 409);
    learn(false);
    post("/feedback", &feedback(), 202);
    post("/update", "", 202);
    let versions = learn(true);
    assert!(versions.contains(&1), "{versions:?}");
    let metrics = get("/metrics");
    for expected in ["\npolygraft_updates_total 2\n", "\npolygraft_prediction_errors_total 3\n"] {
        assert!(metrics.contains(expected), "expected {expected} in {metrics}");
    }
    // It ends in the middle of an update, which then has changed nothing.
    post("/feedback", &feedback(), 202);
    post("/update", "", 202);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_service_in_rust_answers_while_it_learns() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Some(&support::onnxruntime())).unwrap();
    let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
    let bundle = support::in_repository("tests/fixtures/written-by-0.1.0/encoder");
    let model = Model::open(&engine, &bundle, &store, &ModelOptions::default()).unwrap();
    let listener = TcpListener::bind("localhost:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = serve::Service::new(&model, 8);
    thread::scope(|scope| {
        let serving = scope.spawn(|| service.serve(&listener));
        // Without its end, a failure of a check would wait for ever.
        let checked = scope.spawn(|| check(&address)).join();
        service.end(&listener);
        serving.join().unwrap();
        checked.unwrap();
    });
    let numbers = store.versions(Some(serve::TASK)).unwrap();
    assert!(numbers.iter().all(|version| version.number <= 2), "{numbers:?}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_service_in_c_answers_while_it_learns() {
    let program = Program::compile("examples/c/serve.c", &[]);
    service::refuses_wrong_arguments(&program);
    let service = Service::start(&program, "127.0.0.1", "8");
    assert_eq!(service.ask("GET", "/healthz", "", 200), "ok\n");
    service.post("/update", "", 400);
    service.post("/feedback", "not an example", 400);
    service.post("/predict/German", "w14 w66", 400);
    service.post("/predict/de", "a\0b", 400);
    service.post("/predict/de", &"w".repeat(2 << 20), 413);
    service.post("/predict/de", "w14 w66", 503);
    service.ask("GET", "/nowhere", "", 404);

    let state = || service.ask("GET", "/update", "", 200);
    service.post("/feedback", &feedback(), 202);
    service.post("/update", "", 202);
    service.post("/update", "", 409);
    wait(|| state().starts_with("idle "));
    assert!(state().contains("\nupdates 1\nposts that wait 0\nchanged: de 1"), "{}", state());

    service.post("/feedback", &feedback(), 202);
    service.post("/update", "", 202);
    let mut versions = Vec::new();
    wait(|| {
        let answer = service.post("/predict/de", "w14 w66", 200);
        versions.push(answer.trim().rsplit('\t').next().unwrap().to_owned());
        state().starts_with("idle ")
    });
    assert!(versions.contains(&"1".to_owned()), "{versions:?}");
    assert!(state().contains("\nupdates 2\n"), "{}", state());

    // It ends in the middle of an update, which then has changed nothing.
    service.post("/feedback", &feedback(), 202);
    service.post("/update", "", 202);
    assert_eq!(service.end(), Some(0));
}
