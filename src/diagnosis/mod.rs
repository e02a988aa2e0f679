//! Checks this machine, a bundle and a store, and says what it found, as data.
//!
//! Input: the paths of what is to be checked. Output: one [`Check`] for each subject, with a state
//! and lines for people. Nothing is an error here: what cannot be opened is a check that is wrong.
//! This part must never change or repair anything.

mod stored;

use crate::bundle::{Bundle, Verify};
use crate::error::{Code, Error};
use crate::report::size;
use crate::runtime::{self, Engine, Mode};
use crate::store::Problem;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

named! {
    /// The outcome of a check.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum State {
        /// Nothing is wrong.
        Ok = "ok",
        /// Worth knowing, and nothing is wrong.
        Note = "note",
        /// Something is wrong.
        Wrong = "wrong",
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The outcome.
    pub state: State,
    /// What was checked: `machine`, `onnxruntime`, `bundle`, `manifest`, `store`, `task`,
    /// `reports`, `rehearsal`, `model`, `versions`.
    pub subject: &'static str,
    /// What was found, one line each.
    pub details: Vec<String>,
    /// The code of what is wrong, if it is one error.
    #[serde(skip)]
    pub code: Option<Code>,
}

impl Check {
    /// The check of a file of a store that does not match its record.
    pub fn of_problem(problem: Problem) -> Self {
        let details = vec![format!("[{}] {}", problem.code, problem.message)];
        Self { state: State::Wrong, subject: "store", details, code: Some(problem.code) }
    }
}

/// What is checked, and how.
#[derive(Clone, Copy, Debug)]
pub struct Subjects<'a> {
    /// The ONNX Runtime library; searched for if absent, see [`runtime::find`].
    pub onnxruntime: Option<&'a Path>,
    /// The folder of a bundle.
    pub bundle: Option<&'a Path>,
    /// The folder of a store, which is not created.
    pub store: Option<&'a Path>,
    /// How the bundle's weights are held during the check.
    pub mode: Mode,
    /// How much of the bundle is checked.
    pub verify: Verify,
}

impl Default for Subjects<'_> {
    fn default() -> Self {
        let (mode, verify) = (Mode::default(), Verify::Full);
        Self { onnxruntime: None, bundle: None, store: None, mode, verify }
    }
}

/// The note on a manifest that does not state its own hash.
pub const UNSEALED: &str = "the manifest does not state its own hash (polygraft 0.1 wrote \
                            none), so an edit of its prefix, pooling or limits would not show; \
                            adapters trained from now on record them";

/// Checks everything. With a bundle and a store without fault the model is opened as for
/// predictions, and every active version is loaded.
pub fn diagnose(subjects: &Subjects<'_>) -> Vec<Check> {
    let mut checks = Checks::default();
    check_machine(&mut checks);
    let engine = check_runtime(subjects.onnxruntime, &mut checks);
    let bundle_is_right = check_bundle(subjects.bundle, subjects.verify, &mut checks);
    let store = stored::check_store(subjects.store, &mut checks);
    if let (Some(engine), Some(bundle), true) = (&engine, subjects.bundle, bundle_is_right) {
        stored::check_model(engine, bundle, store, subjects.mode, &mut checks);
    }
    checks.0
}

/// Whether no check is wrong.
pub fn all_right(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state != State::Wrong)
}

/// The results so far.
#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, state: State, subject: &'static str, details: Vec<String>) {
        self.0.push(Check { state, subject, details, code: None });
    }

    fn wrong(&mut self, subject: &'static str, error: &Error) {
        let text = format!("[{}] {error}", error.code());
        let details = text.lines().map(str::to_owned).collect();
        self.0.push(Check { state: State::Wrong, subject, details, code: Some(error.code()) });
    }
}

fn check_machine(checks: &mut Checks) {
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let version = env!("CARGO_PKG_VERSION");
    let line = format!("polygraft {version} on {system} {processor}, {cores} cores");
    checks.add(State::Ok, "machine", vec![line]);
}

fn check_runtime(path: Option<&Path>, checks: &mut Checks) -> Option<Arc<Engine>> {
    match Engine::open(path) {
        Ok(engine) => {
            let found = format!("{} at {}", engine.version(), engine.library_path().display());
            let mut details = vec![found];
            for candidate in runtime::find(path) {
                let state = match candidate.exists {
                    Some(true) => "is there",
                    Some(false) => "not there",
                    None => "left to the loader",
                };
                let (place, path) = (candidate.place, candidate.path.display());
                details.push(format!("looked for: {place}: {path} ({state})"));
            }
            let oldest = runtime::VERSION_MINOR_MIN;
            details.push(format!("oldest that works: 1.{oldest}; telemetry is switched off"));
            checks.add(State::Ok, "onnxruntime", details);
            Some(engine)
        }
        Err(error) => {
            checks.wrong("onnxruntime", &error);
            None
        }
    }
}

fn check_bundle(folder: Option<&Path>, verify: Verify, checks: &mut Checks) -> bool {
    let Some(folder) = folder else {
        checks.add(State::Note, "bundle", vec!["not looked at: no bundle was given".to_owned()]);
        return false;
    };
    match Bundle::open(folder, verify) {
        Ok(bundle) => {
            let manifest = bundle.manifest();
            let size_bytes = manifest.files.iter().map(|file| file.size_bytes).sum();
            let files = format!("{} files, {}", manifest.files.len(), size(size_bytes));
            let what = if verify == Verify::Quick { "sizes" } else { "every hash" };
            checks.add(
                State::Ok,
                "bundle",
                vec![
                    format!("{}: {files}, {what} as stated", folder.display()),
                    format!("backbone {}", bundle.backbone_hash()),
                    format!("identity {}", bundle.identity()),
                ],
            );
            if manifest.blake3.is_none() {
                checks.add(State::Note, "manifest", vec![UNSEALED.to_owned()]);
            }
            true
        }
        Err(error) => {
            checks.wrong("bundle", &error);
            false
        }
    }
}
