//! Measuring adapters on held-out examples, language by language.

use super::progress::{Phase, Reporter};
use crate::bundle::Encoding;
use crate::error::{Code, Result};
use crate::language::Language;
use crate::rehearsal::Rehearsal;
use crate::task::sentence::{Classifier, LoadedAdapter};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The held-out examples of every language, tokenized once for all measurements.
pub struct Exam {
    languages: BTreeMap<Language, Questions>,
}

/// The examples of one language; the same position everywhere is the same example.
#[derive(Default)]
struct Questions {
    texts: Vec<Encoding>,
    labels: Vec<String>,
    reporting: Vec<bool>,
}

/// Which adapter answers the questions of which languages.
pub type Requests<K> = BTreeMap<K, BTreeSet<Language>>;

/// For each adapter and language whether each answer was right.
pub type Answers<K> = BTreeMap<K, BTreeMap<Language, Vec<bool>>>;

impl Exam {
    /// Tokenizes all held-out examples.
    pub fn new(classifier: &Classifier, rehearsal: &Rehearsal) -> Result<Self> {
        let mut languages = BTreeMap::<Language, Questions>::new();
        for language in rehearsal.languages() {
            for example in rehearsal.held_out(language) {
                let questions = languages.entry(language.clone()).or_default();
                questions.texts.push(classifier.encode(&example.text)?);
                questions.labels.push(example.label.clone());
                questions.reporting.push(rehearsal.is_reporting(example));
            }
        }
        Ok(Self { languages })
    }

    /// The languages that have questions.
    pub fn languages(&self) -> impl Iterator<Item = &Language> {
        self.languages.keys()
    }

    /// Which of a language's questions are for reporting; the others are for choosing.
    pub fn reporting(&self, language: &Language) -> &[bool] {
        self.languages.get(language).map_or(&[], |questions| &questions.reporting)
    }

    /// Lets every adapter answer the questions that are asked of it. Adapters come from `load` one
    /// at a time and are dropped when they have answered.
    ///
    /// # Errors
    /// [`Code::Cancelled`] when the reporter says so; whatever a run fails with.
    pub fn take<K: Ord + Clone>(
        &self,
        classifier: &Classifier,
        phase: Phase,
        requests: &Requests<K>,
        load: &mut dyn FnMut(&K) -> Result<Arc<LoadedAdapter>>,
        reporter: &mut Reporter<'_>,
    ) -> Result<Answers<K>> {
        let asked = |languages: &BTreeSet<Language>| -> usize {
            languages.iter().map(|language| self.reporting(language).len()).sum()
        };
        let total = requests.values().map(asked).sum();
        let mut done = 0;
        reporter.step(phase, done, total, None)?;
        let mut answers = Answers::new();
        for (key, languages) in requests {
            let adapter = load(key)?;
            let mut by_language = BTreeMap::new();
            for language in languages {
                let Some(questions) = self.languages.get(language) else { continue };
                let progress = &mut |answered| reporter.step(phase, done + answered, total, None);
                let answered = answer(classifier, questions, &adapter, progress)?;
                done += questions.texts.len();
                by_language.insert(language.clone(), answered);
            }
            answers.insert(key.clone(), by_language);
        }
        reporter.step(phase, total, total, None)?;
        Ok(answers)
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
