//! Serve: answers over HTTP and learns while it answers, as `examples/go/serve` does.
//!
//! Run it with `cargo run --example serve -- [--address HOST:PORT] [--steps-max N] BUNDLE STORE`.
//!
//! | request | |
//! |---|---|
//! | `POST /predict` | `{"lang": "de", "text": "Licht an"}`, answered with a label and version |
//! | `POST /feedback` | lines such as `{"lang": "de", "text": "Licht an", "label": "on"}` |
//! | `POST /update` | trains on the feedback so far, in the background |
//! | `GET /update` | the progress of the running update, and what the last one changed |
//! | `GET /healthz` | 200 while it serves |
//! | `GET /metrics` | for Prometheus |
//!
//! An update never stops the answers: it trains at the system's lowest priority, and its versions
//! become active between two predictions. SIGINT and SIGTERM end the service: running requests are
//! answered, and a running update is cancelled and changes nothing.

mod http;
mod learner;

use http::{Request, Response};
use learner::Learner;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::{Code, Error};
use serde::Deserialize;
use serde_json::json;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{process::ExitCode, sync::Arc, thread};

/// The task that the service answers and learns.
pub const TASK: &str = "light";

/// How many requests are answered at once.
const WORKERS: usize = 16;

/// What all requests share: a model may be used by many threads at once.
pub struct Service<'a> {
    model: &'a Model,
    learner: Learner,
    ending: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
}

#[derive(Deserialize)]
struct Question {
    lang: String,
    text: String,
}

impl<'a> Service<'a> {
    /// A service that has answered nothing yet; `steps_max` 0 leaves updates without a limit.
    pub fn new(model: &'a Model, steps_max: usize) -> Self {
        let learner = Learner::new(steps_max);
        let (answered, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { model, learner, ending: AtomicBool::new(false), answered, failed }
    }

    /// Serves until [`Self::end`]; then the requests that run and the update have ended, too.
    pub fn serve(&self, listener: &TcpListener) {
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(move || {
                    while let Ok((stream, _)) = listener.accept() {
                        if self.ending.load(Ordering::Acquire) {
                            return; // the listener is only woken
                        }
                        http::answer(stream, &|request| self.route(scope, request));
                    }
                });
            }
        });
    }

    /// Ends the service: cancels an update, and wakes every worker that waits for a request.
    pub fn end(&self, listener: &TcpListener) {
        self.ending.store(true, Ordering::Release);
        self.learner.cancel();
        for _ in 0..WORKERS {
            // Connecting fails only if the listener is closed already.
            let _ = listener.local_addr().and_then(std::net::TcpStream::connect);
        }
    }

    fn route<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, request: &Request) -> Response {
        let state = || self.learner.state();
        let answer = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/predict") => self.predict(&request.body).map(|it| Response::json(200, &it)),
            ("POST", "/feedback") => {
                self.learner.remember(&request.body).map(|()| Response::json(202, &state()))
            }
            ("POST", "/update") => match self.learner.start() {
                Ok(examples) => {
                    scope.spawn(|| self.learner.learn(self.model, examples));
                    Ok(Response::json(202, &state()))
                }
                Err((status, message)) => Ok(Response::json(status, &json!({"error": message}))),
            },
            ("GET", "/update") => Ok(Response::json(200, &state())),
            ("GET", "/healthz") => Ok(Response::text("ok\n".to_owned())),
            ("GET", "/metrics") => Ok(Response::text(self.metrics())),
            _ => Ok(Response::json(404, &json!({"error": "there is no such path"}))),
        };
        answer.unwrap_or_else(|error| {
            let status = match error.code() {
                Code::StoreNoVersion => 503, // nothing has been learnt yet
                Code::Internal => 500,
                _ => 400,
            };
            Response::json(status, &json!({"error": error.to_string()}))
        })
    }

    fn predict(&self, body: &str) -> polygraft::Result<serde_json::Value> {
        let answer = serde_json::from_str(body)
            .map_err(|cause| Error::new(Code::ArgumentInvalid, cause.to_string()))
            .and_then(|asked: Question| {
                let language = Language::parse(&asked.lang)?;
                let options = PredictOptions { top_k: 1, ..PredictOptions::default() };
                self.model.predict(TASK, &language, asked.text.as_str(), &options)
            });
        let count = if answer.is_ok() { &self.answered } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        let answer = answer?;
        let best = answer.output.labels().and_then(|labels| labels.first());
        Ok(json!({
            "label": best.map(|best| &best.label),
            "probability": best.map(|best| best.probability),
            "language": answer.language.as_str(),
            "version": answer.version,
        }))
    }

    fn metrics(&self) -> String {
        let state = self.learner.state();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "# TYPE polygraft_predictions_total counter\npolygraft_predictions_total {}\n\
             # TYPE polygraft_prediction_errors_total counter\n\
             polygraft_prediction_errors_total {}\n\
             # TYPE polygraft_updates_total counter\npolygraft_updates_total {}\n\
             # TYPE polygraft_update_running gauge\npolygraft_update_running {}\n\
             # TYPE polygraft_feedback_waiting gauge\npolygraft_feedback_waiting {}\n",
            count(&self.answered),
            count(&self.failed),
            state.updates,
            u8::from(state.running),
            state.waiting,
        )
    }
}

/// Makes all threads leave SIGINT and SIGTERM to [`wait_for_signal`]. It is called before others
/// begin.
fn signals() -> libc::sigset_t {
    // SAFETY: a set of signals is plain data, which sigemptyset fills; the calls read and write
    // nothing but it.
    unsafe {
        let mut signals = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGINT);
        libc::sigaddset(&raw mut signals, libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
        signals
    }
}

fn wait_for_signal(signals: &libc::sigset_t) {
    let mut signal = 0;
    // SAFETY: both point to values that live during the call.
    unsafe { libc::sigwait(signals, &raw mut signal) };
}

fn run(address: &str, steps_max: usize, bundle: &Path, store: &Path) -> Result<(), String> {
    let signals = signals();
    let engine = Engine::open(None).map_err(|error| error.to_string())?;
    let store = Arc::new(Store::open(store).map_err(|error| error.to_string())?);
    let model = Model::open(&engine, bundle, &store, &ModelOptions::default())
        .map_err(|error| format!("{}: {error}", error.code().name()))?;
    let listener = TcpListener::bind(address).map_err(|cause| format!("{address}: {cause}"))?;
    let at = listener.local_addr().map_err(|cause| cause.to_string())?;
    eprintln!("listening on {at}");
    let service = Service::new(&model, steps_max);
    thread::scope(|scope| {
        scope.spawn(|| service.serve(&listener));
        wait_for_signal(&signals);
        service.end(&listener);
    });
    Ok(())
}

#[allow(dead_code, reason = "the tests call the functions themselves")]
fn main() -> ExitCode {
    let (mut address, mut steps_max) = ("localhost:8080".to_owned(), 0);
    let mut rest = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--address" => address = arguments.next().unwrap_or_default(),
            // Without a valid number there is no limit.
            "--steps-max" => {
                steps_max = arguments.next().and_then(|it| it.parse().ok()).unwrap_or(0);
            }
            _ => rest.push(argument),
        }
    }
    let [bundle, store] = &rest[..] else {
        eprintln!("usage: serve [--address HOST:PORT] [--steps-max N] BUNDLE STORE");
        return ExitCode::from(2);
    };
    match run(&address, steps_max, Path::new(bundle), Path::new(store)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
