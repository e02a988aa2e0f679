//! Scores adapters on the test split, each adapter once per language.
//!
//! Input: adapters and the test examples. Output: scores and metrics, which are cached, also on
//! disk, by the hash of the adapter's bytes: a language that keeps its version is not scored again.
//! No other module may use the test split.

use crate::cache::{self, Key};
use crate::experiment::Experiment;
use polygraft::Result;
use polygraft::console::progress::Meter;
use polygraft::evaluation::{Evaluation, EvaluationSet, ExampleScore};
use polygraft::example::{Example, TaskKind};
use polygraft::inference::LoadedAdapter;
use polygraft::language::Language;
use polygraft::store::ObjectHash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

/// The evaluation set of the test split, and what is known of adapters on it.
pub struct TestSet {
    set: EvaluationSet,
    /// The folder of the evaluations; each file is named by the hash of an adapter.
    folder: PathBuf,
    /// What evaluations depend on besides the adapter.
    identity: String,
    known: BTreeMap<ObjectHash, BTreeMap<Language, CachedEvaluation>>,
}

/// The result of one adapter in one language.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedEvaluation {
    /// The mean score of the outputs, 0 to 1, which the gate compares.
    pub score: f64,
    /// The usual metrics for the kind of targets, by name.
    pub metrics: BTreeMap<String, f64>,
}

impl From<Evaluation> for CachedEvaluation {
    fn from(Evaluation { score, metrics }: Evaluation) -> Self {
        let metrics = metrics.into_iter().map(|one| (one.name.to_owned(), one.value)).collect();
        Self { score, metrics }
    }
}

/// The adapter that serves each language.
pub type Serving = BTreeMap<Language, (ObjectHash, Arc<LoadedAdapter>)>;

/// The evaluation of each language.
pub type Evaluations = BTreeMap<Language, CachedEvaluation>;

/// The mean score in each language, 0 to 1.
pub type Scores = BTreeMap<Language, f64>;

/// The metrics of each language by name.
pub type Metrics = BTreeMap<Language, BTreeMap<String, f64>>;

/// Only the scores.
pub fn scores(evaluations: &Evaluations) -> Scores {
    evaluations.iter().map(|(language, evaluation)| (language.clone(), evaluation.score)).collect()
}

/// Only the metrics; empty for single labels, whose score is their accuracy.
pub fn metrics(kind: TaskKind, evaluations: &Evaluations) -> Metrics {
    let kept = evaluations.iter().filter(|_| kind != TaskKind::Classification);
    kept.map(|(language, evaluation)| (language.clone(), evaluation.metrics.clone())).collect()
}

impl TestSet {
    /// Tokenizes the test examples.
    pub fn new(
        experiment: &Experiment<'_>,
        examples: &BTreeMap<Language, Vec<Example>>,
    ) -> Result<Self> {
        let bundle = experiment.predictor.bundle();
        let mut set = EvaluationSet::new(experiment.task);
        for example in examples.values().flatten() {
            set.add(bundle, example, true)?;
        }
        // The original name of this key, so that earlier caches stay valid.
        let identity = Key::new("exam 2")
            .with(bundle.backbone_hash())
            .with_json(&bundle.manifest())?
            .with_examples(examples.values().flatten())?
            .name();
        let folder = experiment.cache.join("scores");
        Ok(Self { set, folder, identity, known: BTreeMap::new() })
    }

    /// The score of an adapter on each test example of a language.
    pub fn example_scores(
        &self,
        experiment: &Experiment<'_>,
        adapter: &LoadedAdapter,
        language: &Language,
    ) -> Result<Vec<ExampleScore>> {
        let proceed = &mut |_| ControlFlow::Continue(());
        self.set.scores(&experiment.predictor, adapter, language, proceed)
    }

    /// Scores the version that serves each language.
    pub fn score(
        &mut self,
        experiment: &Experiment<'_>,
        serving: &Serving,
        title: &str,
        meter: &mut Meter,
    ) -> Result<Evaluations> {
        for (hash, _) in serving.values() {
            self.recall(hash, experiment.fresh);
        }
        let unknown: Vec<&Language> =
            serving.iter().filter(|(l, (hash, _))| !self.knows(hash, l)).map(|(l, _)| l).collect();
        let total: usize = unknown.iter().map(|language| self.set.examples_count(language)).sum();
        let phase = format!("{title}: test");
        let mut done = 0;
        let mut found = Vec::new();
        for language in unknown {
            let count = self.set.examples_count(language);
            let Some((hash, adapter)) = serving.get(language).filter(|_| count > 0) else {
                continue;
            };
            let progress =
                &mut |scored| meter.show(&phase, done + scored, total, language.as_str());
            let evaluation =
                self.set.evaluate(&experiment.predictor, adapter, language, progress)?;
            done += count;
            found.push((*hash, language.clone(), evaluation.into()));
        }
        self.remember(found)?;
        Ok(self.evaluations(serving))
    }

    fn evaluations(&self, serving: &Serving) -> Evaluations {
        let evaluation = |language: &Language| {
            let (hash, _) = serving.get(language)?;
            self.known.get(hash)?.get(language).cloned()
        };
        // A language that nothing serves has no right outputs.
        let or_nothing = |language: &Language| evaluation(language).unwrap_or_default();
        self.set.languages().map(|language| (language.clone(), or_nothing(language))).collect()
    }

    fn knows(&self, hash: &ObjectHash, language: &Language) -> bool {
        self.known.get(hash).is_some_and(|evaluations| evaluations.contains_key(language))
    }

    fn path(&self, hash: &ObjectHash) -> PathBuf {
        let name = Key::new("score 2").with(&self.identity).with(hash.as_bytes()).name();
        self.folder.join(format!("{name}.json"))
    }

    /// Loads the evaluations of an adapter from earlier runs.
    fn recall(&mut self, hash: &ObjectHash, fresh: bool) {
        if !fresh && !self.known.contains_key(hash) {
            let evaluations = cache::load(&self.path(hash)).unwrap_or_default();
            self.known.insert(*hash, evaluations);
        }
    }

    fn remember(&mut self, found: Vec<(ObjectHash, Language, CachedEvaluation)>) -> Result<()> {
        let mut changed = Vec::new();
        for (hash, language, evaluation) in found {
            self.known.entry(hash).or_default().insert(language, evaluation);
            if !changed.contains(&hash) {
                changed.push(hash);
            }
        }
        for hash in changed {
            if let Some(evaluations) = self.known.get(&hash) {
                cache::save(&self.path(&hash), evaluations)?;
            }
        }
        Ok(())
    }
}
