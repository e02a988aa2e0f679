//! Update with progress and cancel: teaches the task `light` the examples of a file.
//!
//! Run it with `cargo run --example update -- BUNDLE STORE EXAMPLES`. A line of EXAMPLES is
//! `{"lang": "de", "text": "Licht an", "label": "on"}`. Ctrl-C cancels; nothing has changed then.

use polygraft::example::json;
use polygraft::model::{Model, ModelOptions};
use polygraft::report::Report;
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::{Progress, ProgressCallback, UpdateOptions};
use polygraft::{Code, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{ops::ControlFlow, path::Path, sync::Arc};

/// Trains, and activates every language that did not get worse. `proceed` receives the progress and
/// may break, which is the error [`Code::Cancelled`].
pub fn update(
    bundle: &Path,
    store: &Path,
    examples: &Path,
    options: UpdateOptions,
    proceed: ProgressCallback<'_>,
) -> Result<Report> {
    let engine = Engine::open(None)?; // finds ONNX Runtime and says where it looked
    let store = Arc::new(Store::open(store)?);
    let model = Model::open(&engine, bundle, &store, &ModelOptions::default())?;
    let mut update = model.begin_update("light", options)?;
    json::read(&[examples.to_owned()], &mut |example, _| update.add(example))?;
    update.run(proceed)?;
    update.commit()
}

/// Set by Ctrl-C.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Shows how far the update is, and cancels it after Ctrl-C.
fn show(progress: &Progress) -> ControlFlow<()> {
    let Progress { phase, step, steps_count, fraction, .. } = progress;
    eprint!("\r{} {step}/{steps_count}, {:.0} % ", phase.name(), 100.0 * fraction);
    match STOPPED.load(Ordering::Relaxed) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

extern "C" fn stop(_signal: libc::c_int) {
    STOPPED.store(true, Ordering::Relaxed);
}

#[allow(dead_code, reason = "the tests call the functions themselves")]
fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [bundle, store, examples] = &arguments[..] else {
        eprintln!("usage: update BUNDLE STORE EXAMPLES");
        std::process::exit(2);
    };
    // SAFETY: the handler only stores to an atomic, which a signal handler may do.
    unsafe { libc::signal(libc::SIGINT, stop as *const () as libc::sighandler_t) };
    let options = UpdateOptions { new_labels: true, ..UpdateOptions::default() };
    let (bundle, store, examples) = (Path::new(bundle), Path::new(store), Path::new(examples));
    match update(bundle, store, examples, options, &mut show) {
        Ok(report) => println!("\n{report}"),
        Err(error) if error.code() == Code::Cancelled => {
            eprintln!("\ninterrupted: nothing has changed");
            std::process::exit(130);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
