//! `polygraft doctor`: checks this machine, a bundle and a store.

use crate::bundle::UNSEALED;
use crate::model;
use polygraft::adapter::Adapter;
use polygraft::bundle::{Bundle, Verify};
use polygraft::console::output::{ExitStatus, Output, size};
use polygraft::console::{Global, by_name};
use polygraft::model::{Model, ModelOptions};
use polygraft::rehearsal::{Memory, Rehearsal};
use polygraft::runtime::{self, Engine, Mode};
use polygraft::store::Store;
use polygraft::update::history;
use polygraft::{Error, Result};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a bundle to check
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// The folder of a store to check
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// How the bundle's weights are held during the check
    #[arg(long, default_value_t, value_name = "MODE")]
    #[arg(value_parser = by_name(Mode::ALL, Mode::name))]
    mode: Mode,
    /// How much of the bundle is checked
    #[arg(long, default_value_t = Verify::Full, value_name = "HOW")]
    #[arg(value_parser = by_name(Verify::ALL, Verify::name))]
    verify: Verify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Note,
    Wrong,
}

/// The result of one check.
#[derive(Debug, Serialize)]
struct Check {
    state: State,
    subject: &'static str,
    /// One line each.
    details: Vec<String>,
}

/// The results so far.
#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, state: State, subject: &'static str, details: Vec<String>) {
        self.0.push(Check { state, subject, details });
    }

    fn wrong(&mut self, subject: &'static str, error: &Error) {
        let text = format!("[{}] {error}", error.code());
        self.add(State::Wrong, subject, text.lines().map(str::to_owned).collect());
    }

    fn all_right(&self) -> bool {
        self.0.iter().all(|check| check.state != State::Wrong)
    }
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<ExitStatus> {
    let mut checks = Checks::default();
    check_machine(&mut checks);
    let engine = check_runtime(global.onnxruntime.as_deref(), &mut checks);
    let bundle_is_right = check_bundle(args.bundle.as_deref(), args.verify, &mut checks);
    let store = check_store(args.store.as_deref(), &mut checks);
    if let (Some(engine), Some(bundle), true) = (&engine, &args.bundle, bundle_is_right) {
        check_model(engine, bundle, store, args.mode, &mut checks);
    }
    let all_right = checks.all_right();
    if output.is_json() {
        output.document(&json!({"ok": all_right, "checks": checks.0}))?;
    } else {
        output.text(&text(&checks))?;
    }
    Ok(if all_right { ExitStatus::Done } else { ExitStatus::Failed })
}

fn text(checks: &Checks) -> String {
    let mut text = String::new();
    for check in &checks.0 {
        let state = match check.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong => "WRONG",
        };
        let mut details = check.details.iter().map(String::as_str);
        let first = details.next().unwrap_or_default();
        text.push_str(&format!("{state:<5}  {:<12}  {first}\n", check.subject));
        for detail in details {
            text.push_str(&format!("{:21}{}\n", "", detail.trim_start()));
        }
    }
    let end = if checks.all_right() { "Nothing is wrong." } else { "Something is wrong." };
    text.push_str(&format!("\n{end}\n"));
    text
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
        checks.add(State::Note, "bundle", vec!["not looked at: no --bundle was given".to_owned()]);
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

fn check_store(folder: Option<&Path>, checks: &mut Checks) -> Option<Arc<Store>> {
    let Some(folder) = folder else {
        checks.add(State::Note, "store", vec!["not looked at: no --store was given".to_owned()]);
        return None;
    };
    let checked = model::open_store(folder).and_then(|store| {
        let problems = store.verify()?;
        let count = if problems.is_empty() { store.versions(None)?.len() } else { 0 };
        Ok((Arc::new(store), problems, count))
    });
    match checked {
        Ok((store, problems, count)) if problems.is_empty() => {
            let line = format!("{}: {count} versions, every hash as stated", folder.display());
            checks.add(State::Ok, "store", vec![line]);
            check_tasks(&store, checks).unwrap_or_else(|error| checks.wrong("tasks", &error));
            Some(store)
        }
        Ok((_, problems, _)) => {
            let describe = |problem: polygraft::store::Problem| {
                format!("[{}] {}", problem.code, problem.message)
            };
            checks.add(State::Wrong, "store", problems.into_iter().map(describe).collect());
            None
        }
        Err(error) => {
            checks.wrong("store", &error);
            None
        }
    }
}

/// Checks the reports of updates and the remembered examples beside the versions.
fn check_tasks(store: &Arc<Store>, checks: &mut Checks) -> Result<()> {
    let snapshot = store.snapshot()?;
    if snapshot.is_of_first_format() {
        let line = "written by polygraft 0.1; the next change writes its records anew, and 0.1 \
                    cannot read them any more";
        checks.add(State::Note, "store", vec![line.to_owned()]);
    }
    for task in snapshot.tasks() {
        let reports = match history(store, task) {
            Ok(reports) => reports.len(),
            Err(error) => {
                checks.wrong("reports", &error);
                continue;
            }
        };
        let (state, memory) = match Rehearsal::verify(store, task) {
            Ok(Memory::Whole(count)) => (State::Ok, format!("{count} remembered examples")),
            Ok(Memory::Wiped) => (State::Ok, "remembered examples wiped".to_owned()),
            Ok(Memory::Unrecorded) => {
                // Imported versions never had remembered examples; versions of an update did.
                let state = if reports > 0 { State::Wrong } else { State::Note };
                let folder = store.path().join("rehearsal").join(task);
                (state, format!("no remembered examples in {}", folder.display()))
            }
            Err(error) => {
                checks.wrong("rehearsal", &error);
                continue;
            }
        };
        checks.add(state, "task", vec![format!("{task}: {reports} reports, {memory}")]);
    }
    Ok(())
}

/// Opens the bundle like a prediction and loads every active version.
fn check_model(
    engine: &Arc<Engine>,
    bundle: &Path,
    store: Option<Arc<Store>>,
    mode: Mode,
    checks: &mut Checks,
) {
    let before_bytes = private_bytes();
    // The bundle was checked before.
    let verify = Verify::Quick;
    let options = ModelOptions { mode, verify, ..ModelOptions::default() };
    let Some(store) = store else {
        checks.add(
            State::Note,
            "model",
            vec!["not tried: that takes a bundle and a store without fault".to_owned()],
        );
        return;
    };
    let model = match Model::open(engine, bundle, &store, &options) {
        Ok(model) => model,
        Err(error) => return checks.wrong("model", &error),
    };
    let mut line = format!("opens in mode {}", mode.name());
    if let (Some(before), Some(after)) = (before_bytes, private_bytes()) {
        let grown = size(after.saturating_sub(before));
        line.push_str(&format!(", which takes {grown} of private memory"));
    }
    checks.add(State::Ok, "model", vec![line]);
    check_versions(&model, checks);
}

fn check_versions(model: &Model, checks: &mut Checks) {
    let versions = match model.store().versions(None) {
        Ok(versions) => versions,
        Err(error) => return checks.wrong("versions", &error),
    };
    let active: Vec<_> = versions.iter().filter(|version| version.active).collect();
    let (mut wrong, mut unbound) = (Vec::new(), 0);
    for version in &active {
        let adapter = model.store().read_object(&version.hash);
        let adapter = adapter.and_then(|bytes| Adapter::from_bytes(&bytes));
        unbound += usize::from(adapter.is_ok_and(|adapter| adapter.reading.is_none()));
        if let Err(error) = model.served_version(&version.task, &version.language) {
            let place = format!("{}, {}", version.task, version.language);
            wrong.push(format!("{place}: [{}] {error}", error.code()));
        }
    }
    if wrong.is_empty() {
        let line = format!("{} active versions load on this backbone", active.len());
        checks.add(State::Ok, "versions", vec![line]);
    } else {
        checks.add(State::Wrong, "versions", wrong);
    }
    if unbound > 0 {
        let line = format!(
            "{unbound} active versions do not say how texts were read when they were trained \
             (polygraft 0.1 did not record it); `polygraft store adopt` binds them to this bundle"
        );
        checks.add(State::Note, "versions", vec![line]);
    }
}

/// The private memory of this process, if the system reports it.
fn private_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
