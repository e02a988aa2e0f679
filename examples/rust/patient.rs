//! Trains only while the device may: on the charger, say, and at the lowest priority. An update
//! that is stopped continues where it was, in this process or in the next.
//!
//! Run it with `cargo run --example patient -- BUNDLE STORE EXAMPLES`. It trains while the file
//! STORE/../charging exists.

use polygraft::example::{Example, json};
use polygraft::model::{Model, ModelOptions};
use polygraft::report::Report;
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::UpdateOptions;
use polygraft::{Code, Result};
use std::{ops::ControlFlow, path::Path, path::PathBuf, sync::Arc};

/// What an update may take here.
pub fn options() -> UpdateOptions {
    // guide: begin options
    UpdateOptions {
        background: true,            // the system's lowest priority (Linux)
        threads: 1,                  // the other cores stay free
        memory_bytes_max: 300 << 20, // of one run of the training graph, by estimate
        checkpoint_steps: 10,        // what a stop may lose
        seconds_max: 600.0,          // then it measures what it has, and ends
        ..UpdateOptions::default()
    }
    // guide: end options
}

// guide: begin train
/// Trains while it may. Nothing has been changed where it gives no report, and the same call with
/// the same examples goes on from the last checkpoint.
pub fn train(
    model: &Model,
    options: UpdateOptions,
    examples: &[Example],
    may_run: &mut dyn FnMut() -> bool,
) -> Result<Option<Report>> {
    let mut update = model.begin_update("light", options)?;
    for example in examples {
        update.add(example.clone())?;
    }
    let ran = update.run(&mut |_| match may_run() {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    });
    match ran {
        Ok(_) => update.commit().map(Some),
        Err(error) if error.code() == Code::Cancelled => Ok(None),
        Err(error) => Err(error),
    }
}
// guide: end train

#[allow(dead_code, reason = "the test of the guide calls train() itself")]
fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [bundle, store, examples] = &arguments[..] else {
        eprintln!("usage: patient BUNDLE STORE EXAMPLES");
        std::process::exit(2);
    };
    let charging = Path::new(store).with_file_name("charging");
    let engine = Engine::open(None)?;
    let store = Arc::new(Store::open(Path::new(store))?);
    let model = Model::open(&engine, Path::new(bundle), &store, &ModelOptions::default())?;
    let mut read = Vec::new();
    json::read(&[PathBuf::from(examples)], &mut |example, _| {
        read.push(example);
        Ok(())
    })?;
    match train(&model, options(), &read, &mut || charging.exists())? {
        Some(report) => println!("{report}"),
        None => println!("stopped: call again while {} exists", charging.display()),
    }
    Ok(())
}
