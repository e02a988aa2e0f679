//! Moves a task to another backbone: a new store for the new bundle learns what the old store
//! remembers. Versions themselves cannot move, because each belongs to the weights below it.
//!
//! Run it with `cargo run --example migrate -- NEW_BUNDLE OLD_STORE NEW_STORE TASK`.

use polygraft::Result;
use polygraft::model::{Model, ModelOptions};
use polygraft::rehearsal::Rehearsal;
use polygraft::report::Report;
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::UpdateOptions;
use std::{ops::ControlFlow, path::Path, sync::Arc};

// guide: begin migrate
/// Trains the remembered examples of an old store into a new one, which serves a new bundle.
pub fn migrate(
    engine: &Arc<Engine>,
    new_bundle: &Path,
    old_store: &Path,
    new_store: &Path,
    task: &str,
    options: UpdateOptions,
) -> Result<Report> {
    let old_store = Arc::new(Store::open_existing(old_store)?); // it is only read
    let remembered = Rehearsal::open_saved(&old_store, task)?;

    let new_store = Arc::new(Store::open(new_store)?);
    let model = Model::open(engine, new_bundle, &new_store, &ModelOptions::default())?;
    let mut update = model.begin_update(task, options)?;
    for language in remembered.languages() {
        // An example is held out by its content, so what was held out stays held out.
        for example in remembered.training_in(language).chain(remembered.held_out(language)) {
            update.add(example.clone())?;
        }
    }
    update.run(&mut |_| ControlFlow::Continue(()))?;
    update.commit()
}
// guide: end migrate

#[allow(dead_code, reason = "the test of the guide calls migrate() itself")]
fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [bundle, old_store, new_store, task] = &arguments[..] else {
        eprintln!("usage: migrate NEW_BUNDLE OLD_STORE NEW_STORE TASK");
        std::process::exit(2);
    };
    let task = task.to_string_lossy();
    let options = UpdateOptions::default();
    let (old_store, new_store) = (Path::new(old_store), Path::new(new_store));
    let engine = Engine::open(None)?; // finds ONNX Runtime and says where it looked
    println!("{}", migrate(&engine, Path::new(bundle), old_store, new_store, &task, options)?);
    Ok(())
}
