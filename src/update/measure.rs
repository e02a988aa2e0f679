//! Measures the active versions and all candidates on held-out examples, language by language. This
//! module must never decide between them.

use super::candidates::{self, CandidateSpec, PlannedCandidate};
use super::earlier::earlier;
use super::job::Job;
use super::progress::{Phase, Reporter};
use super::strategy::{StrategyKind, TrainingRun};
use super::training::Delta;
use crate::bundle::Bundle;
use crate::error::{Code, Result};
use crate::evaluation::{EvaluationSet, ExampleScore};
use crate::inference::{LoadedAdapter, Predictor};
use crate::language::Language;
use crate::rehearsal::Rehearsal;
use crate::store::{ObjectHash, Snapshot};
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The languages whose examples each adapter is evaluated on.
type Requests<K> = BTreeMap<K, BTreeSet<Language>>;

/// The score of each example, by adapter and language; NaN if an output is not finite.
type Scores<K> = BTreeMap<K, BTreeMap<Language, Vec<ExampleScore>>>;

/// The candidates of the languages, independent of what serves them.
pub struct Plan {
    pub kind: StrategyKind,
    /// The versions that the training runs started from.
    pub starts: Vec<Option<ObjectHash>>,
}

/// The measurements of one language. All lists of scores have the same held-out examples in the
/// same order.
pub struct Measured {
    /// The language.
    pub language: Language,
    /// Whether the update brought new examples in it.
    pub updated: bool,
    /// Whether it is pinned to its version.
    pub pinned: bool,
    /// The version that serves the language, with which the candidates are compared.
    pub serving: Option<ObjectHash>,
    /// The scores of that version.
    pub before: Option<Vec<ExampleScore>>,
    /// The candidates with their scores, not finite when an output is not.
    pub candidates: Vec<(PlannedCandidate, Vec<ExampleScore>)>,
    /// Which examples are of the report split.
    pub in_report_split: Vec<bool>,
}

/// What to measure for one language.
struct Requested<'a> {
    language: Language,
    /// The languages of the examples: the language itself, or all of them for the shared adapter.
    asked: Vec<&'a Language>,
    serving: Option<ObjectHash>,
    planned: Vec<PlannedCandidate>,
}

impl Job<'_> {
    /// Measures every language that has held-out examples, a version or new data, then `mul`.
    pub fn measure(
        &self,
        snapshot: &Snapshot,
        held_out: &EvaluationSet,
        deltas: &[Delta],
        plan: &Plan,
        reporter: &mut Reporter<'_>,
    ) -> Result<Vec<Measured>> {
        let requested = self.requested(snapshot, held_out, deltas, plan)?;
        let (mut stored, mut made) = (Requests::new(), Requests::new());
        for one in &requested {
            let asked = || one.asked.iter().copied().cloned();
            if let Some(hash) = one.serving {
                stored.entry(hash).or_insert_with(BTreeSet::new).extend(asked());
            }
            for planned in &one.planned {
                made.entry(planned.spec.clone()).or_insert_with(BTreeSet::new).extend(asked());
            }
        }
        reporter.expect(Phase::MeasureBefore, requested_count(held_out, &stored));
        reporter.expect(Phase::MeasureAfter, requested_count(held_out, &made));
        let predictor = self.predictor;
        let load = &mut |hash: &ObjectHash| self.load(hash);
        let before = evaluate(held_out, predictor, Phase::MeasureBefore, &stored, load, reporter)?;
        let make = &mut |spec: &CandidateSpec| {
            self.make(spec, deltas).and_then(|one| predictor.load(one)).map(Arc::new)
        };
        let after = evaluate(held_out, predictor, Phase::MeasureAfter, &made, make, reporter)?;

        let measured = |Requested { language, asked, serving, planned }: Requested<'_>| Measured {
            updated: self.examples.iter().any(|one| one.language == language),
            pinned: snapshot.is_pinned(self.task, &language),
            serving,
            // A version whose outputs are not finite has no right answers.
            before: serving.and_then(|hash| before.get(&hash)).map(|scores| {
                let scores = gather(scores, &asked).into_iter();
                scores
                    .map(|one| if one.is_finite() { one } else { ExampleScore::default() })
                    .collect()
            }),
            candidates: planned
                .into_iter()
                .map(|one| {
                    let scores = after.get(&one.spec).map(|scores| gather(scores, &asked));
                    (one, scores.unwrap_or_default())
                })
                .collect(),
            in_report_split: asked
                .iter()
                .flat_map(|language| held_out.is_in_report_split(language))
                .copied()
                .collect(),
            language,
        };
        Ok(requested.into_iter().map(measured).collect())
    }

    /// What to measure for each language.
    fn requested<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        held_out: &'a EvaluationSet,
        deltas: &[Delta],
        plan: &Plan,
    ) -> Result<Vec<Requested<'a>>> {
        let mut languages: BTreeSet<&Language> = snapshot.languages(self.task).collect();
        languages.extend(held_out.languages());
        languages.extend(self.examples.iter().map(|one| &one.language));
        let shared = Language::shared();
        languages.remove(&shared);
        let each = languages.into_iter().map(|language| (language.clone(), vec![language]));
        // The shared adapter is measured on the examples of every language.
        let all = each.chain([(shared, held_out.languages().collect())]);
        let runs: Vec<TrainingRun> = deltas.iter().map(|one| one.run.clone()).collect();
        let strategy = plan.kind.strategy(self.options.uriel);
        let request = |(language, asked): (Language, Vec<&'a Language>)| {
            let serving = snapshot.resolve(self.task, &language).map(|(_, version)| version.hash);
            // Without a training run there are no deltas, so there are no candidates.
            if runs.is_empty() {
                return Ok(Requested { language, asked, serving, planned: Vec::new() });
            }
            let (strategy, starts) = (strategy.as_ref(), &plan.starts);
            let mut planned = candidates::plan(strategy, &runs, starts, &language, serving);
            // A version that cannot be loaded, such as one of another bundle, is no candidate.
            let earlier = earlier(snapshot, self.task, &language)?;
            let earlier = earlier.filter(|hash| self.load(hash).is_ok());
            planned.extend(earlier.map(PlannedCandidate::earlier));
            Ok(Requested { language, asked, serving, planned })
        };
        all.map(request).collect()
    }
}

/// The scores on the examples of the languages `asked`, concatenated.
fn gather(
    scores: &BTreeMap<Language, Vec<ExampleScore>>,
    asked: &[&Language],
) -> Vec<ExampleScore> {
    asked.iter().filter_map(|language| scores.get(*language)).flatten().copied().collect()
}

/// All held-out examples, tokenized.
pub fn held_out(bundle: &Bundle, task: Task, rehearsal: &Rehearsal) -> Result<EvaluationSet> {
    let mut set = EvaluationSet::new(task);
    for example in rehearsal.languages().flat_map(|language| rehearsal.held_out(language)) {
        set.add(bundle, example, rehearsal.is_in_report_split(example))?;
    }
    Ok(set)
}

/// The number of examples in all languages together.
pub fn examples_count(set: &EvaluationSet) -> usize {
    set.languages().map(|language| set.examples_count(language)).sum()
}

/// The number of examples that the requests need.
fn requested_count<K>(set: &EvaluationSet, requests: &Requests<K>) -> usize {
    requests.values().flatten().map(|language| set.examples_count(language)).sum()
}

/// Evaluates every adapter on the examples of its requested languages. `load` returns one adapter
/// at a time, which is dropped after its evaluation.
///
/// # Errors
/// [`Code::Cancelled`] when the reporter breaks; the errors of a run.
fn evaluate<K: Ord + Clone>(
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

/// The score of an adapter on each example of a language; not finite when an output is not.
pub fn scores_of(
    set: &EvaluationSet,
    predictor: &Predictor,
    adapter: &LoadedAdapter,
    language: &Language,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<ExampleScore>> {
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
        // This is a result for this adapter only, not a failure of the update.
        (Err(error), _) if error.code() == Code::RuntimeNotFinite => {
            Ok(vec![ExampleScore::NOT_FINITE; set.examples_count(language)])
        }
        (outcome, _) => outcome,
    }
}
