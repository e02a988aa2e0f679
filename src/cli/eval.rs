//! `polygraft eval`: scores the active versions on labelled examples.

use crate::model::{self, ModelArgs};
use polygraft::Result;
use polygraft::console::output::{ExitStatus, Output};
use polygraft::console::progress::Meter;
use polygraft::console::{Global, signal};
use polygraft::evaluation::Evaluation;
use polygraft::example::{TaskKind, json};
use polygraft::model::LanguageScore;
use polygraft::report::{Align, Table, metric};
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

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<ExitStatus> {
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
    let mean = Evaluation::mean(scores.iter().map(|score| &score.evaluation));
    if output.is_json() {
        print_json(args, kind, &scores, &mean, output)?;
    } else {
        output.text(&table(&scores, &mean).to_string())?;
        let shown = mean.metrics.iter().map(|one| {
            format!("{} {}", metric::heading(one.name), metric::show(one.name, Some(one.value)))
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        output.text(&format!("\nmean over {} languages  {shown}\n", scores.len()))?;
    }
    Ok(ExitStatus::Done)
}

fn table(scores: &[LanguageScore], mean: &Evaluation) -> Table {
    let names = || mean.metrics.iter().map(|metric| metric.name);
    let headings: Vec<String> = names().map(metric::heading).collect();
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
        cells.extend(names().map(|name| metric::show(name, score.evaluation.metric(name))));
        table.row(cells);
    }
    table
}

fn print_json(
    args: &Args,
    kind: TaskKind,
    scores: &[LanguageScore],
    mean: &Evaluation,
    output: &Output,
) -> Result<()> {
    let metrics = |evaluation: &Evaluation| -> Map<String, Value> {
        let metrics = evaluation.metrics.iter();
        metrics.map(|metric| (metric.name.to_owned(), json!(metric.value))).collect()
    };
    let languages: Vec<_> = scores
        .iter()
        .map(|score| {
            json!({
                "language": score.language,
                "answered_by": {"language": score.served_by, "version": score.version},
                "examples": score.examples,
                "score": score.evaluation.score,
                "metrics": metrics(&score.evaluation),
            })
        })
        .collect();
    output.document(&json!({
        "task": args.task,
        "kind": kind,
        "languages": languages,
        "score_mean": mean.score,
        "metrics_mean": metrics(mean),
    }))
}
