//! Finds out from held-out examples how sure an answer must be, and gives no answer below that.
//!
//! Run it with `cargo run --example threshold -- BUNDLE STORE TASK HELD_OUT`. A line of HELD_OUT is
//! an example as in an update; a text that no label of the task fits has the label `none`.

use polygraft::example::{Example, json};
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions};
use polygraft::runtime::Engine;
use polygraft::store::Store;
use std::{path::Path, path::PathBuf, sync::Arc};

/// The label of held-out texts that no label of the task fits.
pub const NONE: &str = "none";

/// The answer to a held-out example: how sure the model was, and whether it was right.
pub struct Answer {
    /// How sure it was, from 0 to 1.
    pub probability: f32,
    /// Whether it was the label of the example.
    pub is_right: bool,
}

// guide: begin choose
/// The lowest threshold at which so large a share of the given answers is right.
pub fn choose(answers: &mut [Answer], share_wanted: f64) -> Option<f32> {
    answers.sort_by(|one, other| other.probability.total_cmp(&one.probability));
    let (mut right, mut threshold) = (0, None);
    for (index, answer) in answers.iter().enumerate() {
        right += usize::from(answer.is_right);
        // Answers of the same probability are given together, or not at all.
        let next = answers.get(index + 1);
        let ends = next.is_none_or(|next| next.probability < answer.probability);
        if ends && right as f64 >= share_wanted * (index + 1) as f64 {
            threshold = Some(answer.probability);
        }
    }
    threshold
}
// guide: end choose

// guide: begin ask
/// The label of a text, or none where the model is not sure enough.
pub fn ask(
    model: &Model,
    task: &str,
    language: &Language,
    text: &str,
    threshold: f32,
) -> polygraft::Result<Option<String>> {
    let options = PredictOptions { top_k: 1, ..PredictOptions::default() };
    let prediction = model.predict(task, language, text, &options)?;
    let best = prediction.output.labels().and_then(|labels| labels.first());
    Ok(best.filter(|best| best.probability >= threshold).map(|best| best.label.clone()))
}
// guide: end ask

/// Asks the model for every held-out example.
pub fn answers(model: &Model, task: &str, held_out: &[Example]) -> polygraft::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for example in held_out {
        let options = PredictOptions { top_k: 1, ..PredictOptions::default() };
        let prediction = model.predict(task, &example.language, example.input.clone(), &options)?;
        let best = prediction.output.labels().and_then(|labels| labels.first());
        let expected = example.target.labels().first();
        if let (Some(best), Some(expected)) = (best, expected) {
            // A task that has learnt the label `none` answers it; that is no answer either.
            if best.label != NONE {
                let is_right = best.label == *expected;
                answers.push(Answer { probability: best.probability, is_right });
            }
        }
    }
    Ok(answers)
}

/// How many answers are given at a threshold, and how many of those are right.
pub fn given(answers: &[Answer], threshold: f32) -> (usize, usize) {
    let given = answers.iter().filter(|answer| answer.probability >= threshold);
    given.fold((0, 0), |(count, right), answer| (count + 1, right + usize::from(answer.is_right)))
}

#[allow(dead_code, reason = "the test of the guide calls the parts itself")]
fn main() -> polygraft::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [bundle, store, task, held_out] = &arguments[..] else {
        eprintln!("usage: threshold BUNDLE STORE TASK HELD_OUT");
        std::process::exit(2);
    };
    let task = task.to_string_lossy();
    let engine = Engine::open(None)?;
    let store = Arc::new(Store::open_existing(Path::new(store))?);
    let model = Model::open(&engine, Path::new(bundle), &store, &ModelOptions::default())?;
    let mut examples = Vec::new();
    json::read(&[PathBuf::from(held_out)], &mut |example, _| {
        examples.push(example);
        Ok(())
    })?;
    let fitting = examples.iter().filter(|one| one.target.labels() != [NONE]).count();
    println!("{fitting} texts with a label, {} without", examples.len() - fitting);
    let mut answers = answers(&model, &task, &examples)?;
    println!("wanted right  threshold  answers given  of these right");
    for share in [0.0, 0.8, 0.9, 0.95, 1.0] {
        let percent = 100.0 * share;
        match choose(&mut answers, share) {
            Some(threshold) => {
                let (count, right) = given(&answers, threshold);
                println!("{percent:>10.0} %  {threshold:>9.3}  {count:>13}  {right:>14}");
            }
            None => println!("{percent:>10.0} %  at no threshold"),
        }
    }
    Ok(())
}
