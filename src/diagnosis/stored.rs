//! Checks what lies in a store, and whether it works on a bundle.

use super::{Checks, State};
use crate::adapter::Adapter;
use crate::bundle::Verify;
use crate::error::{Code, Result};
use crate::model::{Model, ModelOptions};
use crate::rehearsal::{Memory, Rehearsal};
use crate::report::size;
use crate::runtime::{Engine, Mode};
use crate::store::{Problem, Store};
use crate::update::history;
use std::path::Path;
use std::sync::Arc;

pub(super) fn check_store(folder: Option<&Path>, checks: &mut Checks) -> Option<Arc<Store>> {
    let Some(folder) = folder else {
        checks.add(State::Note, "store", vec!["not looked at: no store was given".to_owned()]);
        return None;
    };
    let opened = Store::open_existing(folder).map_err(|error| match error.code() {
        Code::NotFound => error.context("an update creates the store; there is none yet"),
        _ => error,
    });
    let checked = opened.and_then(|store| {
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
            let describe = |problem: Problem| format!("[{}] {}", problem.code, problem.message);
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
pub(super) fn check_model(
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
