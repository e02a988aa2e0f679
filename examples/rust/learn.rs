//! Teaches a bundle a task from a handful of examples, then asks it: the loop of the README.
//!
//! Run it with `cargo run --example learn -- BUNDLE STORE`.

use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions, Prediction};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use polygraft::update::UpdateOptions;
use std::{ops::ControlFlow, path::Path, sync::Arc};

/// Updates the task `light` of a store and asks for one label.
// README: begin
pub fn learn(bundle: &Path, store: &Path) -> polygraft::Result<Prediction> {
    let engine = Engine::open(None)?; // finds ONNX Runtime and says where it looked
    let store = Arc::new(Store::open(store)?);
    let model = Model::open(&engine, bundle, &store, &ModelOptions::default())?;

    let mut update = model.begin_update("light", UpdateOptions::default())?;
    for (tag, text, label) in EXAMPLES {
        let language = Language::parse(tag)?;
        update.add(Example::labelled(language, text, label))?;
    }
    update.run(&mut |progress| {
        eprint!("\r{} {}/{} ", progress.phase.name(), progress.step, progress.steps_count);
        ControlFlow::Continue(()) // Break cancels: nothing is changed
    })?;
    let report = update.commit()?; // activates every language that did not get worse
    println!("\n{report}");

    let turkish = Language::parse("tr")?; // never trained: the shared adapter answers
    model.predict("light", &turkish, "ışığı kapat", &PredictOptions::default())
}
// README: end

/// Language, text, label.
pub const EXAMPLES: [(&str, &str, &str); 24] = [
    ("en", "turn on the light", "on"),
    ("en", "switch the lamp on please", "on"),
    ("en", "lights on in the kitchen", "on"),
    ("en", "make it bright in here", "on"),
    ("en", "turn off the light", "off"),
    ("en", "switch the lamp off please", "off"),
    ("en", "lights off in the kitchen", "off"),
    ("en", "make it dark in here", "off"),
    ("de", "schalte das Licht ein", "on"),
    ("de", "mach die Lampe an", "on"),
    ("de", "Licht an in der Küche", "on"),
    ("de", "es soll hell werden", "on"),
    ("de", "schalte das Licht aus", "off"),
    ("de", "mach die Lampe aus", "off"),
    ("de", "Licht aus in der Küche", "off"),
    ("de", "es soll dunkel werden", "off"),
    ("fi", "sytytä valo", "on"),
    ("fi", "laita lamppu päälle", "on"),
    ("fi", "valot päälle keittiössä", "on"),
    ("fi", "tee täällä valoisaa", "on"),
    ("fi", "sammuta valo", "off"),
    ("fi", "laita lamppu pois päältä", "off"),
    ("fi", "valot pois keittiössä", "off"),
    ("fi", "tee täällä pimeää", "off"),
];

#[allow(dead_code, reason = "the test of the README calls learn() itself")]
fn main() -> polygraft::Result<()> {
    let mut paths = std::env::args_os().skip(1);
    let (Some(bundle), Some(store)) = (paths.next(), paths.next()) else {
        eprintln!("usage: learn BUNDLE STORE");
        std::process::exit(2);
    };
    let prediction = learn(Path::new(&bundle), Path::new(&store))?;
    for score in prediction.output.labels().unwrap_or_default() {
        println!("{:<4} {:.3}", score.label, score.probability);
    }
    println!("answered by {} version {}", prediction.language, prediction.version);
    Ok(())
}
