//! Measuring adapters on held-out examples, language by language.
//!
//! Input: the held-out examples of the rehearsal buffer, and which adapter is asked about which
//! languages. Output: the score of each adapter on each example.

use super::progress::{Phase, Reporter};
use crate::bundle::Bundle;
use crate::error::{Code, Result};
use crate::evaluation::EvaluationSet;
use crate::inference::{LoadedAdapter, Predictor};
use crate::language::Language;
use crate::rehearsal::Rehearsal;
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The languages whose examples each adapter is evaluated on.
pub type Requests<K> = BTreeMap<K, BTreeSet<Language>>;

/// For each adapter and language the score of each example; not a number where the adapter gives
/// numbers that are not finite.
pub type Scores<K> = BTreeMap<K, BTreeMap<Language, Vec<f32>>>;

/// All held-out examples, tokenized.
pub fn held_out(bundle: &Bundle, task: Task, rehearsal: &Rehearsal) -> Result<EvaluationSet> {
    let mut set = EvaluationSet::new(task);
    for example in rehearsal.languages().flat_map(|language| rehearsal.held_out(language)) {
        set.add(bundle, example, rehearsal.is_in_report_split(example))?;
    }
    Ok(set)
}

/// How many examples there are in all languages together.
pub fn examples_count(set: &EvaluationSet) -> usize {
    set.languages().map(|language| set.examples_count(language)).sum()
}

/// How many examples the requests ask for.
pub fn requested_count<K>(set: &EvaluationSet, requests: &Requests<K>) -> usize {
    requests.values().flatten().map(|language| set.examples_count(language)).sum()
}

/// Evaluates every adapter on the examples of the languages that are asked for. Adapters come from
/// `load` one at a time and are dropped when they have been evaluated.
///
/// # Errors
/// [`Code::Cancelled`] when the reporter says so; whatever a run fails with.
pub fn evaluate<K: Ord + Clone>(
    set: &EvaluationSet,
    predictor: &Predictor,
    phase: Phase,
    requests: &Requests<K>,
    load: &mut dyn FnMut(&K) -> Result<Arc<LoadedAdapter>>,
    reporter: &mut Reporter<'_>,
) -> Result<Scores<K>> {
    let total = requested_count(set, requests);
    let mut done = 0;
    reporter.step(phase, done, total, None)?;
    let mut scores = Scores::new();
    for (key, languages) in requests {
        let adapter = load(key)?;
        let mut by_language = BTreeMap::new();
        for language in languages.iter().filter(|language| set.examples_count(language) > 0) {
            let progress = &mut |scored| reporter.step(phase, done + scored, total, None);
            let found = scores_of(set, predictor, &adapter, language, progress)?;
            done += found.len();
            by_language.insert(language.clone(), found);
        }
        scores.insert(key.clone(), by_language);
    }
    reporter.step(phase, total, total, None)?;
    Ok(scores)
}

fn scores_of(
    set: &EvaluationSet,
    predictor: &Predictor,
    adapter: &LoadedAdapter,
    language: &Language,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut stopped = None;
    let report = &mut |scored| match progress(scored) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            stopped = Some(error);
            ControlFlow::Break(())
        }
    };
    let outcome = set.scores(predictor, adapter, language, report);
    match (outcome, stopped) {
        (Err(error), Some(stopped)) if error.code() == Code::Cancelled => Err(stopped),
        // This is a result, too, about this adapter alone.
        (Err(error), _) if error.code() == Code::RuntimeNotFinite => {
            Ok(vec![f32::NAN; set.examples_count(language)])
        }
        (outcome, _) => outcome,
    }
}
