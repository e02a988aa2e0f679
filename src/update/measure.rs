//! Measuring adapters on held-out examples, language by language.

use super::progress::{Phase, Reporter};
use crate::error::{Code, Result};
use crate::example::Target;
use crate::language::Language;
use crate::rehearsal::Rehearsal;
use crate::task::{Encoded, LoadedAdapter, Predictor, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The held-out examples of every language, tokenized once for all measurements.
pub struct Exam {
    task: &'static dyn Task,
    languages: BTreeMap<Language, Questions>,
}

/// The examples of one language; the same position everywhere is the same example.
#[derive(Default)]
struct Questions {
    inputs: Vec<Encoded>,
    answers: Vec<Target>,
    reporting: Vec<bool>,
}

/// Which adapter answers the questions of which languages.
pub type Requests<K> = BTreeMap<K, BTreeSet<Language>>;

/// For each adapter and language the score of each answer; not a number where the adapter gives
/// numbers that are not finite.
pub type Answers<K> = BTreeMap<K, BTreeMap<Language, Vec<f32>>>;

impl Exam {
    /// Tokenizes all held-out examples.
    pub fn new(
        predictor: &Predictor,
        task: &'static dyn Task,
        rehearsal: &Rehearsal,
    ) -> Result<Self> {
        let mut languages = BTreeMap::<Language, Questions>::new();
        for language in rehearsal.languages() {
            for example in rehearsal.held_out(language) {
                let questions = languages.entry(language.clone()).or_default();
                questions.inputs.push(task.encode(predictor.bundle(), &example.input)?);
                questions.answers.push(example.target.clone());
                questions.reporting.push(rehearsal.is_in_report_split(example));
            }
        }
        Ok(Self { task, languages })
    }

    /// The languages that have questions.
    pub fn languages(&self) -> impl Iterator<Item = &Language> {
        self.languages.keys()
    }

    /// Which of a language's questions are for reporting; the others are for choosing.
    pub fn reporting(&self, language: &Language) -> &[bool] {
        self.languages.get(language).map_or(&[], |questions| &questions.reporting)
    }

    /// How many questions there are in all languages together.
    pub fn questions_count(&self) -> usize {
        self.languages.values().map(|questions| questions.reporting.len()).sum()
    }

    /// How many answers the requests ask for.
    pub fn answers_count<K>(&self, requests: &Requests<K>) -> usize {
        let asked = requests.values().flatten().map(|language| self.reporting(language).len());
        asked.sum()
    }

    /// Lets every adapter answer the questions that are asked of it. Adapters come from `load` one
    /// at a time and are dropped when they have answered.
    ///
    /// # Errors
    /// [`Code::Cancelled`] when the reporter says so; whatever a run fails with.
    pub fn take<K: Ord + Clone>(
        &self,
        predictor: &Predictor,
        phase: Phase,
        requests: &Requests<K>,
        load: &mut dyn FnMut(&K) -> Result<Arc<LoadedAdapter>>,
        reporter: &mut Reporter<'_>,
    ) -> Result<Answers<K>> {
        let total = self.answers_count(requests);
        let mut done = 0;
        reporter.step(phase, done, total, None)?;
        let mut answers = Answers::new();
        for (key, languages) in requests {
            let adapter = load(key)?;
            let mut by_language = BTreeMap::new();
            for language in languages {
                let Some(questions) = self.languages.get(language) else { continue };
                let progress = &mut |answered| reporter.step(phase, done + answered, total, None);
                let answered = answer(predictor, self.task, questions, &adapter, progress)?;
                done += questions.inputs.len();
                by_language.insert(language.clone(), answered);
            }
            answers.insert(key.clone(), by_language);
        }
        reporter.step(phase, total, total, None)?;
        Ok(answers)
    }
}

fn answer(
    predictor: &Predictor,
    task: &dyn Task,
    questions: &Questions,
    adapter: &LoadedAdapter,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut stopped = None;
    let report = &mut |answered| match progress(answered) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            stopped = Some(error);
            ControlFlow::Break(())
        }
    };
    let outcome = predictor.scores(task, &questions.inputs, &questions.answers, adapter, report);
    match (outcome, stopped) {
        (Err(error), Some(stopped)) if error.code() == Code::Cancelled => Err(stopped),
        // That is a result, too, about this adapter alone.
        (Err(error), _) if error.code() == Code::RuntimeNotFinite => {
            Ok(vec![f32::NAN; questions.inputs.len()])
        }
        (outcome, _) => outcome,
    }
}

/// The mean score; `None` without any.
pub fn mean(scores: &[f32]) -> Option<f64> {
    let total: f64 = scores.iter().map(|score| f64::from(*score)).sum();
    (!scores.is_empty()).then(|| total / scores.len() as f64)
}
