//! `polygraft predict`: the labels of one text, of lines of text, or of labelled examples.

use crate::lines::Lines;
use crate::model::{self, ModelArgs};
use crate::output::{Outcome, Output};
use crate::{Global, examples, signal};
use polygraft::error::ResultExt;
use polygraft::example::{Answer, Input};
use polygraft::language::Language;
use polygraft::model::{Model, PredictOptions, Prediction};
use polygraft::report::percent;
use polygraft::{Code, Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Texts that are predicted in one run of the model.
const BATCH_SIZE: usize = 16;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The task to predict
    #[arg(long, value_name = "NAME")]
    task: String,
    /// The language of the text, a BCP 47 tag such as de or zh-Hant-TW
    #[arg(long, value_name = "TAG", required_unless_present = "examples")]
    language: Option<String>,
    /// How many labels to print, the most probable first; 0 prints all
    #[arg(long, default_value_t = 3, value_name = "K")]
    top_k: usize,
    /// Labelled examples (JSON Lines, - for standard input), each predicted in its own language
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "language"])]
    examples: Option<PathBuf>,
    /// The text; - reads one text per line from standard input
    #[arg(required_unless_present = "examples")]
    text: Option<String>,
}

/// A text to predict, and what its source says about it.
struct Query {
    language: Language,
    input: Input,
    expected: Option<Answer>,
    place: String,
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<Outcome> {
    let language = args.language.as_deref().map(|tag| model::language("--language", tag));
    let language = language.transpose()?;
    let model = model::open(&args.model, model::open_store(&args.model.store)?, global)?;
    let mut batches = Batches::new(args, &model, output);
    match (&args.examples, &args.text, language) {
        (Some(path), ..) => examples::read(std::slice::from_ref(path), &mut |example, place| {
            batches.add(Query {
                language: example.language,
                input: example.input,
                expected: Some(example.answer),
                place: place.to_owned(),
            })
        })?,
        (None, Some(text), Some(language)) if text == "-" => {
            let mut lines = Lines::open(Path::new("-"))?;
            while let Some(line) = lines.next_line()? {
                let (input, language) = (Input::Text(line.text), language.clone());
                batches.add(Query { language, input, expected: None, place: line.place })?;
            }
        }
        (None, Some(text), Some(language)) => return one(args, &model, &language, text, output),
        // clap has made sure of a text and its language, or of examples.
        _ => return Err(Error::new(Code::ArgumentInvalid, "expected a text or --examples")),
    }
    batches.finish()?;
    Ok(Outcome::Done)
}

/// Predicts the one text of the command line and prints a line per label.
fn one(
    args: &Args,
    model: &Model,
    language: &Language,
    text: &str,
    output: &Output,
) -> Result<Outcome> {
    let options = PredictOptions { top_k: args.top_k, cancel: None };
    let prediction = model.predict(&args.task, language, text, &options)?;
    if output.is_json() {
        let query = Query {
            language: language.clone(),
            input: text.into(),
            expected: None,
            place: String::new(),
        };
        output.json_line(&to_json(&query, &prediction))?;
        return Ok(Outcome::Done);
    }
    let width = prediction.given.labels.iter().map(|score| score.label.chars().count()).max();
    let width = width.unwrap_or(0);
    for score in &prediction.given.labels {
        let probability = percent(Some(f64::from(score.probability)));
        output.text(&format!("{:<width$}  {probability:>7}\n", score.label))?;
    }
    let cut =
        if prediction.given.truncated { "; the text was cut to what the model reads" } else { "" };
    output.note(format!("answered by {} version {}{cut}", prediction.language, prediction.version));
    Ok(Outcome::Done)
}

/// Collects queries of one language and predicts them together.
struct Batches<'a> {
    task: &'a str,
    options: PredictOptions,
    model: &'a Model,
    output: &'a Output,
    pending: Vec<Query>,
    labelled: usize,
    correct: usize,
}

impl<'a> Batches<'a> {
    fn new(args: &'a Args, model: &'a Model, output: &'a Output) -> Self {
        let options = PredictOptions { top_k: args.top_k, cancel: None };
        let (pending, labelled, correct) = (Vec::new(), 0, 0);
        Self { task: &args.task, options, model, output, pending, labelled, correct }
    }

    fn add(&mut self, query: Query) -> Result<()> {
        if signal::interrupted() {
            return Err(Error::new(Code::Cancelled, "cancelled while predicting"));
        }
        query.input.check().context(|| query.place.clone())?;
        let other = self.pending.last().is_some_and(|last| last.language != query.language);
        if other || self.pending.len() == BATCH_SIZE {
            self.flush()?;
        }
        self.pending.push(query);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let Some(first) = pending.first() else { return Ok(()) };
        let inputs: Vec<Input> = pending.iter().map(|query| query.input.clone()).collect();
        let predictions = self
            .model
            .predict_batch(self.task, &first.language, &inputs, &self.options)
            .context(|| format!("predicting from {}", first.place))?;
        for (query, prediction) in pending.iter().zip(&predictions) {
            let best = prediction.given.labels.first().map_or("", |score| score.label.as_str());
            if let Some([label]) = query.expected.as_ref().map(Answer::labels) {
                self.labelled += 1;
                self.correct += usize::from(label == best);
            }
            if self.output.is_json() {
                self.output.json_line(&to_json(query, prediction))?;
            } else {
                self.output.text(&line(query, prediction))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.flush()?;
        if self.labelled > 0 && !self.output.is_json() {
            let (correct, labelled) = (self.correct, self.labelled);
            let accuracy = percent(Some(correct as f64 / labelled as f64));
            self.output.note(format!("{correct} of {labelled} as labelled ({accuracy})"));
        }
        Ok(())
    }
}

/// One text per line: the language, the best label, its probability, the text.
fn line(query: &Query, prediction: &Prediction) -> String {
    let best = prediction.given.labels.first();
    let label = best.map_or("", |score| score.label.as_str());
    let probability = percent(best.map(|score| f64::from(score.probability)));
    let mark = match query.expected.as_ref().map(Answer::labels) {
        Some([expected]) if expected != label => format!("  (labelled {expected})"),
        _ => String::new(),
    };
    let text: String = query.input.text().chars().filter(|c| !c.is_control()).collect();
    format!("{:<8}  {label:<32}  {probability:>7}  {text}{mark}\n", query.language)
}

fn to_json(query: &Query, prediction: &Prediction) -> serde_json::Value {
    let labels: Vec<_> = prediction
        .given
        .labels
        .iter()
        .map(|score| json!({"label": score.label, "probability": score.probability}))
        .collect();
    let mut value = json!({
        "lang": query.language,
        "text": query.input.text(),
        "labels": labels,
        "answered_by": {"language": prediction.language, "version": prediction.version},
        "truncated": prediction.given.truncated,
    });
    if let Some([label]) = query.expected.as_ref().map(Answer::labels) {
        value["expected"] = json!(label);
    }
    value
}
