//! Measuring adapters on held-out examples, language by language.

use super::progress::{Phase, Reporter};
use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};
use crate::language::Language;
use crate::rehearsal::Example;
use crate::task::sentence::{Classifier, LoadedAdapter};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The held-out examples of every language, tokenized once for both measurements.
pub struct Exam {
    languages: BTreeMap<Language, Questions>,
}

/// The examples of one language: the texts and, at the same positions, the right labels.
#[derive(Default)]
struct Questions {
    texts: Vec<Encoding>,
    labels: Vec<String>,
}

/// For each language whether each answer was right; `None` where nothing serves the language.
pub type Outcomes = BTreeMap<Language, Option<Vec<bool>>>;

impl Exam {
    /// Tokenizes `examples`.
    pub fn new<'a>(
        classifier: &Classifier,
        examples: impl Iterator<Item = &'a Example>,
    ) -> Result<Self> {
        let mut languages = BTreeMap::<Language, Questions>::new();
        for example in examples {
            let questions = languages.entry(example.language.clone()).or_default();
            questions.texts.push(classifier.encode(&example.text)?);
            questions.labels.push(example.label.clone());
        }
        Ok(Self { languages })
    }

    /// Lets the adapter that `adapter` names for each language answer that language's questions.
    ///
    /// # Errors
    /// [`Code::Cancelled`] when the reporter says so; whatever a run fails with.
    pub fn take(
        &self,
        classifier: &Classifier,
        phase: Phase,
        reporter: &mut Reporter<'_>,
        adapter: &mut dyn FnMut(&Language) -> Result<Option<Arc<LoadedAdapter>>>,
    ) -> Result<Outcomes> {
        let total = self.languages.values().map(|questions| questions.texts.len()).sum();
        let mut done = 0;
        reporter.step(phase, done, total, None)?;
        let mut outcomes = Outcomes::new();
        for (language, questions) in &self.languages {
            let outcome = match adapter(language)? {
                None => None,
                Some(adapter) => Some(answer(classifier, questions, &adapter, &mut |answered| {
                    reporter.step(phase, done + answered, total, None)
                })?),
            };
            done += questions.texts.len();
            outcomes.insert(language.clone(), outcome);
        }
        reporter.step(phase, total, total, None)?;
        Ok(outcomes)
    }
}

fn answer(
    classifier: &Classifier,
    questions: &Questions,
    adapter: &LoadedAdapter,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<bool>> {
    let labels: Vec<&str> = questions.labels.iter().map(String::as_str).collect();
    let mut stopped = None;
    let outcome =
        classifier.correct(&questions.texts, &labels, adapter, &mut |answered| match progress(
            answered,
        ) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                stopped = Some(error);
                ControlFlow::Break(())
            }
        });
    match (outcome, stopped) {
        (Err(error), Some(stopped)) if error.code() == Code::Cancelled => Err(stopped),
        (outcome, _) => outcome,
    }
}

/// The share of right answers; `None` without any.
pub fn accuracy(outcome: &[bool]) -> Option<f64> {
    let right = outcome.iter().filter(|right| **right).count();
    (!outcome.is_empty()).then(|| right as f64 / outcome.len() as f64)
}

/// One outcome over the questions of all languages, for the shared adapter. `None` when any
/// language was not served.
pub fn pooled(outcomes: &Outcomes) -> Option<Vec<bool>> {
    let all: Option<Vec<&Vec<bool>>> = outcomes.values().map(Option::as_ref).collect();
    all.map(|all| all.into_iter().flatten().copied().collect())
}

/// An error for a candidate that could not answer.
pub fn unanswered(language: &Language) -> Error {
    Error::new(Code::Internal, format!("the candidate gave no answers in {language}"))
}
