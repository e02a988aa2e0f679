//! Hot swap: predictions run while an update trains, and use the new version once it is active.
//!
//! Run it with `cargo run --example hot_swap -- BUNDLE STORE EXAMPLES`. EXAMPLES is a file as that
//! of the example `update`, whose versions the store has already.

use polygraft::Result;
use polygraft::example::json;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::{StrategyKind, UpdateOptions};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{ops::ControlFlow, path::Path, sync::Arc, thread};

/// Asks one question while an update trains, and counts the answers of each version.
pub fn hot_swap(
    bundle: &Path,
    store: &Path,
    examples: &Path,
    options: UpdateOptions,
) -> Result<BTreeMap<u32, usize>> {
    let engine = Engine::open(None)?; // finds ONNX Runtime and says where it looked
    let store = Arc::new(Store::open(store)?);
    let model = Model::open(&engine, bundle, &store, &ModelOptions::default())?;
    let (model, ended) = (&model, &AtomicBool::new(false));
    thread::scope(|scope| {
        let answers = scope.spawn(|| serve(model, ended));
        let learnt = learn(model, examples, options);
        ended.store(true, Ordering::Release);
        let answers = answers.join().expect("a thread that does not panic")?;
        learnt.map(|()| answers)
    })
}

/// Asks until it is told to end, and once more then: a model may be used by many threads at once.
fn serve(model: &Model, ended: &AtomicBool) -> Result<BTreeMap<u32, usize>> {
    let german = Language::parse("de")?;
    let mut answers = BTreeMap::new();
    loop {
        let last = ended.load(Ordering::Acquire);
        let prediction = model.predict("light", &german, "Licht an", &PredictOptions::default())?;
        *answers.entry(prediction.version).or_default() += 1;
        if last {
            return Ok(answers);
        }
    }
}

fn learn(model: &Model, examples: &Path, options: UpdateOptions) -> Result<()> {
    let mut update = model.begin_update("light", options)?;
    json::read(&[examples.to_owned()], &mut |example, _| update.add(example))?;
    update.run(&mut |_| ControlFlow::Continue(()))?;
    update.commit()?;
    Ok(())
}

/// Without the gate, so that there is a new version whatever a few examples show.
pub fn options() -> UpdateOptions {
    let mut options =
        UpdateOptions { strategy: StrategyKind::PerLanguage, ..UpdateOptions::default() };
    options.gate.enabled = false;
    options
}

#[allow(dead_code, reason = "the tests call the functions themselves")]
fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [bundle, store, examples] = &arguments[..] else {
        eprintln!("usage: hot_swap BUNDLE STORE EXAMPLES");
        std::process::exit(2);
    };
    let (bundle, store, examples) = (Path::new(bundle), Path::new(store), Path::new(examples));
    for (version, count) in hot_swap(bundle, store, examples, options())? {
        println!("version {version} answered {count} times");
    }
    Ok(())
}
