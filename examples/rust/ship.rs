//! Ship: installs a base adapter, goes back to an earlier version, and forgets a language's
//! examples with what was learnt from them.
//!
//! ```sh
//! cargo run --example ship -- BUNDLE STORE export LANGUAGE FILE   # what the maker ships
//! cargo run --example ship -- BUNDLE STORE install FILE           # on a device, for all languages
//! cargo run --example ship -- BUNDLE STORE roll-back LANGUAGE
//! cargo run --example ship -- BUNDLE STORE wipe LANGUAGE
//! ```

use polygraft::Result;
use polygraft::exchange::{Format, ReadOptions, WriteOptions};
use polygraft::language::Language;
use polygraft::model::{ImportOptions, ImportedVersion, Model, ModelOptions};
use polygraft::rehearsal::Which;
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::{self, Wiped};
use std::{path::Path, sync::Arc};

const TASK: &str = "light";

/// Writes the active version of a language to a file.
pub fn export(model: &Model, language: &Language, file: &Path) -> Result<()> {
    model.export(TASK, language, None, (Format::Own, file), &WriteOptions::default())
}

/// Installs a file for every language without a version of its own. The gate activates it unless
/// the device already has something better.
pub fn install(model: &Model, file: &Path) -> Result<ImportedVersion> {
    let (read, options) = (ReadOptions::default(), ImportOptions::default());
    model.import(TASK, &Language::shared(), file, &read, &options)
}

/// Goes back to the version before, if there is one, and pins it: until it is unpinned, no update
/// replaces it.
pub fn roll_back(store: &Store, language: &Language) -> Result<Option<u32>> {
    let number = store.roll_back(TASK, language)?;
    if number.is_some() {
        store.pin(TASK, language)?;
    }
    Ok(number)
}

/// Forgets the examples of a language, and removes the versions that may have learnt from them.
pub fn wipe(store: &Arc<Store>, language: &Language) -> Result<Wiped> {
    for version in store.versions(Some(TASK))? {
        if version.pinned {
            store.unpin(TASK, &version.language)?;
        }
    }
    let which = Which { language: Some(language.clone()), ..Which::default() };
    update::wipe(store, TASK, &which, true)
}

fn show(store: &Store) -> Result<()> {
    for version in store.versions(Some(TASK))? {
        let state = if version.active { ", active" } else { "" };
        println!("  {} {}{state}", version.language, version.number);
    }
    Ok(())
}

#[allow(dead_code, reason = "the tests call the functions themselves")]
fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let [bundle, folder, action @ ..] = &arguments[..] else { usage() };
    let engine = Engine::open(None)?; // finds ONNX Runtime and says where it looked
    let store = Arc::new(Store::open(Path::new(folder))?);
    let model = Model::open(&engine, Path::new(bundle), &store, &ModelOptions::default())?;
    match action {
        ["export", tag, file] => export(&model, &Language::parse(tag)?, Path::new(file))?,
        ["install", file] => {
            println!("version {}", install(&model, Path::new(file))?.version.number);
        }
        ["roll-back", tag] => match roll_back(&store, &Language::parse(tag)?)? {
            Some(number) => println!("{tag} is back on version {number}, pinned"),
            None => println!("{tag} has no version any more"),
        },
        ["wipe", tag] => {
            let wiped = wipe(&store, &Language::parse(tag)?)?;
            let count: usize = wiped.examples.values().sum();
            println!("{count} examples and {} versions are gone", wiped.learnt.len());
        }
        _ => usage(),
    }
    show(&store)
}

fn usage() -> ! {
    eprintln!("usage: ship BUNDLE STORE (export LANGUAGE FILE | install FILE | roll-back LANGUAGE");
    eprintln!("                          | wipe LANGUAGE)");
    std::process::exit(2);
}
