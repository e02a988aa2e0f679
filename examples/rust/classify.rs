//! Classify: asks a task for the labels of some texts.
//!
//! Run it with `cargo run --example classify -- BUNDLE STORE LANGUAGE TEXT...`. The store has the
//! task `light`, which the example `update` teaches.

use polygraft::example::Input;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions, Prediction};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use std::{path::Path, sync::Arc};

/// Asks for the best label of each text. All answers are of one version.
pub fn classify(
    bundle: &Path,
    store: &Path,
    tag: &str,
    texts: &[String],
) -> polygraft::Result<Vec<Prediction>> {
    let engine = Engine::open(None)?; // finds ONNX Runtime and says where it looked
    let store = Arc::new(Store::open_existing(store)?);
    let model = Model::open(&engine, bundle, &store, &ModelOptions::default())?;
    let inputs: Vec<_> = texts.iter().map(|text| Input::from(text.as_str())).collect();
    let options = PredictOptions { top_k: 1, ..PredictOptions::default() };
    model.predict_batch("light", &Language::parse(tag)?, &inputs, &options)
}

/// The best label, how sure the model is of it, and which version gave it.
pub fn shown(prediction: &Prediction) -> String {
    let best = prediction.output.labels().and_then(|labels| labels.first());
    let label = best.map_or_else(String::new, |it| format!("{} {:.3}", it.label, it.probability));
    format!("{label} ({} version {})", prediction.language, prediction.version)
}

#[allow(dead_code, reason = "the tests call the functions themselves")]
fn main() -> polygraft::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [bundle, store, tag, texts @ ..] = &arguments[..] else {
        eprintln!("usage: classify BUNDLE STORE LANGUAGE TEXT...");
        std::process::exit(2);
    };
    let predictions = classify(Path::new(bundle), Path::new(store), tag, texts)?;
    for (text, prediction) in texts.iter().zip(&predictions) {
        println!("{text}: {}", shown(prediction));
    }
    Ok(())
}
