//! `polygraft predict`: the answer to one input, to lines of inputs in one language or in many, or
//! to labelled examples.

use crate::answers::{self, Query};
use crate::generate_args::{GENERATION, GenerateArgs};
use crate::model::{self, ModelArgs};
use polygraft::console::output::{ExitStatus, Output};
use polygraft::console::{Global, signal};
use polygraft::error::ResultExt;
use polygraft::evaluation::ExactMatches;
use polygraft::example::lines::Lines;
use polygraft::example::{Input, json};
use polygraft::language::Language;
use polygraft::model::{Model, PredictOptions};
use polygraft::report::percent;
use polygraft::{Code, Error, Result};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The number of inputs that are predicted together.
const BATCH_SIZE: usize = 64;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The task to predict
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// The language of the text, a BCP 47 tag such as de or zh-Hant-TW
    #[arg(long, value_name = "TAG", required_unless_present_any = ["examples", "inputs"])]
    language: Option<String>,
    /// A second text that is judged together with the first
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["examples", "inputs", "words"])]
    pair: Option<String>,
    /// The text is words separated by white space; with - each line is a JSON array of words
    #[arg(long, conflicts_with_all = ["examples", "inputs"])]
    words: bool,
    /// How many labels to print, the most probable first; 0 prints all
    #[arg(long, default_value_t = 3, value_name = "K")]
    top_k: usize,
    /// Labelled examples (JSON Lines, - for standard input), each predicted in its own language
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "language"])]
    examples: Option<PathBuf>,
    /// Inputs with their languages (JSON Lines, - for standard input), such as
    /// {"lang": "de", "text": "Licht an"}
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "language", "examples"])]
    inputs: Option<PathBuf>,
    #[command(flatten)]
    generate: GenerateArgs,
    /// Print the generated text while it is generated
    #[arg(long, conflicts_with_all = ["examples", "inputs"], help_heading = GENERATION)]
    stream: bool,
    /// The text; - reads one text per line from standard input
    #[arg(required_unless_present_any = ["examples", "inputs"])]
    text: Option<String>,
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<ExitStatus> {
    let store = model::open_store(&args.model.store)?;
    let tag = args.language.as_deref();
    let language = tag.map(|tag| model::language_of(&store, &args.task, tag)).transpose()?;
    let model = model::open(&args.model, store, global)?;
    let mut batches = Batches::new(args, &model, output);
    if let Some(path) = &args.inputs {
        let mut lines = Lines::open(path)?;
        while let Some(line) = lines.next_line()? {
            let (language, input) = json::parse_input(&line)?;
            batches.add(Query { language, input, expected: None, place: line.place })?;
        }
        batches.finish()?;
        return Ok(ExitStatus::Done);
    }
    match (&args.examples, &args.text, language) {
        (Some(path), ..) => json::read(std::slice::from_ref(path), &mut |example, place| {
            batches.add(Query {
                language: example.language,
                input: example.input,
                expected: Some(example.target),
                place: place.to_owned(),
            })
        })?,
        (None, Some(text), _) if text == "-" && args.stream => {
            let message = "--stream: expected one text as argument, found -";
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        (None, Some(text), Some(language)) if text == "-" => {
            let mut lines = Lines::open(Path::new("-"))?;
            while let Some(line) = lines.next_line()? {
                let input = match args.words {
                    true => Input::Words(json::parse_words(&line)?),
                    false => args.input(&line.text),
                };
                let (language, place) = (language.clone(), line.place);
                batches.add(Query { language, input, expected: None, place })?;
            }
        }
        (None, Some(text), Some(language)) => {
            let place = "the text".to_owned();
            let query = Query { language, input: args.input(text), expected: None, place };
            return one(args, &model, &query, output);
        }
        // clap ensures a text and its language, or a file.
        _ => return Err(Error::new(Code::ArgumentInvalid, "expected a text or a file")),
    }
    batches.finish()?;
    Ok(ExitStatus::Done)
}

impl Args {
    fn input(&self, text: &str) -> Input {
        match &self.pair {
            Some(second) => Input::Pair(text.to_owned(), second.clone()),
            None if self.words => {
                Input::Words(text.split_whitespace().map(str::to_owned).collect())
            }
            None => Input::Text(text.to_owned()),
        }
    }

    /// Requests all labels, because whether an answer is right may depend on labels that are not
    /// printed.
    fn options(&self) -> PredictOptions {
        PredictOptions { top_k: 0, generate: self.generate.options(), cancel: None }
    }
}

/// Predicts the one input of the command line and prints the answer on several lines.
fn one(args: &Args, model: &Model, query: &Query, output: &Output) -> Result<ExitStatus> {
    query.input.check()?;
    let (language, input) = (&query.language, query.input.clone());
    if args.stream {
        if output.is_json() {
            let message = "--stream: expected text as output, found --json";
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        let prediction =
            model.generate(&args.task, language, input, &args.options(), &mut |chunk| {
                show_chunk(chunk, output)
            })?;
        output.text("\n")?;
        output.note(answers::notes(&prediction));
        return Ok(ExitStatus::Done);
    }
    let prediction = model.predict(&args.task, language, input, &args.options())?;
    if output.is_json() {
        output.json_line(&answers::to_json(query, &prediction, args.top_k))?;
        return Ok(ExitStatus::Done);
    }
    output.text(&answers::sheet(&query.input, &prediction.output, args.top_k))?;
    output.note(answers::notes(&prediction));
    Ok(ExitStatus::Done)
}

/// Prints new text immediately; breaks when it cannot be written, or after Ctrl-C.
fn show_chunk(chunk: &str, output: &Output) -> ControlFlow<()> {
    let shown: String = chunk.chars().filter(|c| !c.is_control()).collect();
    match output.text(&shown) {
        Ok(()) if !signal::interrupted() => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

/// Collects queries and predicts them together, each in its language.
struct Batches<'a> {
    task: &'a str,
    top_k: usize,
    options: PredictOptions,
    model: &'a Model,
    output: &'a Output,
    pending: Vec<Query>,
    matches: ExactMatches,
}

impl<'a> Batches<'a> {
    fn new(args: &'a Args, model: &'a Model, output: &'a Output) -> Self {
        let (pending, matches) = (Vec::new(), ExactMatches::default());
        let (task, top_k, options) = (&args.task, args.top_k, args.options());
        Self { task, top_k, options, model, output, pending, matches }
    }

    fn add(&mut self, query: Query) -> Result<()> {
        signal::check("predicting")?;
        query.input.check().context(|| query.place.clone())?;
        if self.pending.len() == BATCH_SIZE {
            self.flush()?;
        }
        self.pending.push(query);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let Some(first) = pending.first() else { return Ok(()) };
        let one = |query: &Query| (query.language.clone(), query.input.clone());
        let inputs: Vec<(Language, Input)> = pending.iter().map(one).collect();
        let predictions = self
            .model
            .predict_many(self.task, &inputs, &self.options)
            .context(|| format!("predicting from {}", first.place))?;
        for (query, prediction) in pending.iter().zip(&predictions) {
            if let Some(expected) = &query.expected {
                self.matches.add(&prediction.output, expected);
            }
            if self.output.is_json() {
                self.output.json_line(&answers::to_json(query, prediction, self.top_k))?;
            } else {
                self.output.text(&answers::line(query, prediction))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.flush()?;
        let ExactMatches { compared, matching } = self.matches;
        if compared > 0 && !self.output.is_json() {
            let share = percent(self.matches.share());
            self.output.note(format!("{matching} of {compared} as labelled ({share})"));
        }
        Ok(())
    }
}
