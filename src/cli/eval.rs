//! `polygraft eval`: how often the active versions are right on labelled examples.

use crate::model::{self, ModelArgs};
use crate::output::{Outcome, Output};
use crate::progress::Meter;
use crate::{Global, examples};
use polygraft::Result;
use polygraft::model::LanguageScore;
use polygraft::report::{Align, Table, percent};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The task to measure
    #[arg(long, value_name = "NAME")]
    task: String,
    /// Labelled examples in JSON Lines; - is standard input
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    examples: Vec<PathBuf>,
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<Outcome> {
    let examples: Vec<_> =
        examples::read_all(&args.examples)?.into_iter().map(|(example, _)| example).collect();
    let model = model::open(&args.model, model::open_store(&args.model.store)?, global)?;
    let mut meter = Meter::new(global.progress);
    let scores = model
        .evaluate(&args.task, &examples, &mut |step, count| meter.show("measure", step, count, ""));
    drop(meter);
    let scores = scores?;
    if output.is_json() {
        print_json(args, &scores, output)?;
    } else {
        output.text(&table(&scores).to_string())?;
        let mean = percent(Some(mean_accuracy(&scores)));
        output.text(&format!("\nmean over {} languages  {mean}\n", scores.len()))?;
    }
    Ok(Outcome::Done)
}

fn accuracy(score: &LanguageScore) -> f64 {
    score.metrics.first().map_or(0.0, |metric| metric.value)
}

/// How many answers were right.
fn correct(score: &LanguageScore) -> usize {
    (accuracy(score) * score.examples as f64).round() as usize
}

/// Every language counts the same, however many examples it has.
fn mean_accuracy(scores: &[LanguageScore]) -> f64 {
    let count = scores.len().max(1) as f64;
    scores.iter().map(accuracy).sum::<f64>() / count
}

fn table(scores: &[LanguageScore]) -> Table {
    let mut table = Table::new(&[
        ("language", Align::Left),
        ("answered by", Align::Left),
        ("examples", Align::Right),
        ("correct", Align::Right),
        ("accuracy", Align::Right),
    ]);
    for score in scores {
        table.row([
            score.language.to_string(),
            format!("{} v{}", score.served_by, score.version),
            score.examples.to_string(),
            correct(score).to_string(),
            percent(Some(accuracy(score))),
        ]);
    }
    table
}

fn print_json(args: &Args, scores: &[LanguageScore], output: &Output) -> Result<()> {
    let languages: Vec<_> = scores
        .iter()
        .map(|score| {
            json!({
                "language": score.language,
                "answered_by": {"language": score.served_by, "version": score.version},
                "examples": score.examples,
                "correct": correct(score),
                "accuracy": accuracy(score),
            })
        })
        .collect();
    output.document(&json!({
        "task": args.task,
        "languages": languages,
        "accuracy_mean": mean_accuracy(scores),
    }))
}
