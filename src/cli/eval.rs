//! `polygraft eval`: scores the active versions on labelled examples.

use crate::model::{self, ModelArgs};
use polygraft::Result;
use polygraft::console::output::{Outcome, Output};
use polygraft::console::progress::Meter;
use polygraft::console::{Global, signal};
use polygraft::example::TaskKind;
use polygraft::example::json;
use polygraft::model::LanguageScore;
use polygraft::report::{Align, Table, metric};
use polygraft::task::Metric;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The task to measure
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// Labelled examples in JSON Lines; - is standard input
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    examples: Vec<PathBuf>,
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<Outcome> {
    let examples: Vec<_> = json::read_all(&args.examples, &|| signal::check("reading examples"))?
        .into_iter()
        .map(|(example, _)| example)
        .collect();
    let kind = examples.first().map_or_else(TaskKind::default, |example| example.target.kind());
    let model = model::open(&args.model, model::open_store(&args.model.store)?, global)?;
    let mut meter = Meter::new(global.progress);
    let scores = model
        .evaluate(&args.task, &examples, &mut |step, count| meter.show("measure", step, count, ""));
    drop(meter);
    let scores = scores?;
    let means = means(&scores);
    if output.is_json() {
        print_json(args, kind, &scores, &means, output)?;
    } else {
        output.text(&table(&scores).to_string())?;
        let shown = means.iter().map(|Metric { name, value }| {
            format!("{} {}", metric::heading(name), metric::show(name, Some(*value)))
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        output.text(&format!("\nmean over {} languages  {shown}\n", scores.len()))?;
    }
    Ok(Outcome::Done)
}

/// The names of all metrics in their order.
fn names(scores: &[LanguageScore]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for metric in scores.iter().flat_map(|score| &score.metrics) {
        if !names.contains(&metric.name) {
            names.push(metric.name);
        }
    }
    names
}

/// The mean of each metric over the languages that have it. Every language has the same weight,
/// however many examples it has.
fn means(scores: &[LanguageScore]) -> Vec<Metric> {
    let mean = |name: &'static str| {
        let values: Vec<f64> = scores.iter().filter_map(|score| value(score, name)).collect();
        Metric { name, value: values.iter().sum::<f64>() / values.len() as f64 }
    };
    names(scores).into_iter().map(mean).collect()
}

fn value(score: &LanguageScore, name: &str) -> Option<f64> {
    score.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value)
}

fn table(scores: &[LanguageScore]) -> Table {
    let names = names(scores);
    let headings: Vec<String> = names.iter().map(|name| metric::heading(name)).collect();
    let mut columns =
        vec![("language", Align::Left), ("answered by", Align::Left), ("examples", Align::Right)];
    columns.extend(headings.iter().map(|heading| (heading.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    for score in scores {
        let mut cells = vec![
            score.language.to_string(),
            format!("{} v{}", score.served_by, score.version),
            score.examples.to_string(),
        ];
        cells.extend(names.iter().map(|name| metric::show(name, value(score, name))));
        table.row(cells);
    }
    table
}

fn print_json(
    args: &Args,
    kind: TaskKind,
    scores: &[LanguageScore],
    means: &[Metric],
    output: &Output,
) -> Result<()> {
    let by_name = |metrics: &[Metric]| -> Map<String, Value> {
        metrics.iter().map(|metric| (metric.name.to_owned(), json!(metric.value))).collect()
    };
    let languages: Vec<_> = scores
        .iter()
        .map(|score| {
            json!({
                "language": score.language,
                "answered_by": {"language": score.served_by, "version": score.version},
                "examples": score.examples,
                "score": score.score,
                "metrics": by_name(&score.metrics),
            })
        })
        .collect();
    let count = scores.len().max(1) as f64;
    output.document(&json!({
        "task": args.task,
        "kind": kind,
        "languages": languages,
        "score_mean": scores.iter().map(|score| score.score).sum::<f64>() / count,
        "metrics_mean": by_name(means),
    }))
}
