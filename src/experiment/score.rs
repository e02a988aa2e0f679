//! Scores adapters on the test split, each adapter once per language.
//!
//! Input: adapters and the test examples. Output: scores and metrics, which are cached, also on
//! disk, by the hash of the adapter's bytes: a language that keeps its version is not scored again.
//! No other module may use the test split.

use crate::Bench;
use crate::cache::{self, Key};
use polygraft::Result;
use polygraft::console::progress::Meter;
use polygraft::evaluation::EvaluationSet;
use polygraft::example::{Example, TaskKind};
use polygraft::inference::LoadedAdapter;
use polygraft::language::Language;
use polygraft::store::ObjectHash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The test examples of every language, tokenized.
pub struct Exam {
    set: EvaluationSet,
    /// The folder of the outcomes; each file is named by the hash of an adapter.
    folder: PathBuf,
    /// What outcomes depend on besides the adapter.
    identity: String,
    known: BTreeMap<ObjectHash, BTreeMap<Language, Outcome>>,
}

/// The result of one adapter in one language.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The mean score of the outputs, 0 to 1, which the gate compares.
    pub score: f64,
    /// The usual metrics for the kind of targets, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// The adapter that serves each language.
pub type Serving = BTreeMap<Language, (ObjectHash, Arc<LoadedAdapter>)>;

/// The outcome of each language.
pub type Outcomes = BTreeMap<Language, Outcome>;

/// The mean score in each language, 0 to 1.
pub type Scores = BTreeMap<Language, f64>;

/// The metrics of each language by name.
pub type Metrics = BTreeMap<Language, BTreeMap<String, f64>>;

/// Only the scores.
pub fn scores(outcomes: &Outcomes) -> Scores {
    outcomes.iter().map(|(language, outcome)| (language.clone(), outcome.score)).collect()
}

/// Only the metrics; empty for single labels, whose score is their accuracy.
pub fn metrics(kind: TaskKind, outcomes: &Outcomes) -> Metrics {
    let kept = outcomes.iter().filter(|_| kind != TaskKind::Classification);
    kept.map(|(language, outcome)| (language.clone(), outcome.metrics.clone())).collect()
}

impl Exam {
    /// Tokenizes the test examples.
    pub fn new(bench: &Bench<'_>, examples: &BTreeMap<Language, Vec<Example>>) -> Result<Self> {
        let bundle = bench.predictor.bundle();
        let mut set = EvaluationSet::new(bench.task);
        for example in examples.values().flatten() {
            set.add(bundle, example, true)?;
        }
        let identity = Key::new("exam 2")
            .with(bundle.backbone_hash())
            .with_json(&bundle.manifest())?
            .with_examples(examples.values().flatten())?
            .name();
        let folder = bench.cache.join("scores");
        Ok(Self { set, folder, identity, known: BTreeMap::new() })
    }

    /// Scores the version that serves each language.
    pub fn score(
        &mut self,
        bench: &Bench<'_>,
        serving: &Serving,
        title: &str,
        meter: &mut Meter,
    ) -> Result<Outcomes> {
        for (hash, _) in serving.values() {
            self.recall(hash, bench.fresh);
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
            let outcome = self.set.evaluate(&bench.predictor, adapter, language, progress)?;
            let metrics = outcome.metrics.into_iter();
            let metrics = metrics.map(|metric| (metric.name.to_owned(), metric.value)).collect();
            done += count;
            found.push((*hash, language.clone(), Outcome { score: outcome.score, metrics }));
        }
        self.remember(found)?;
        Ok(self.outcomes(serving))
    }

    fn outcomes(&self, serving: &Serving) -> Outcomes {
        let outcome = |language: &Language| {
            let (hash, _) = serving.get(language)?;
            self.known.get(hash)?.get(language).cloned()
        };
        // A language that nothing serves has no right outputs.
        let or_nothing = |language: &Language| outcome(language).unwrap_or_default();
        self.set.languages().map(|language| (language.clone(), or_nothing(language))).collect()
    }

    fn knows(&self, hash: &ObjectHash, language: &Language) -> bool {
        self.known.get(hash).is_some_and(|outcomes| outcomes.contains_key(language))
    }

    fn path(&self, hash: &ObjectHash) -> PathBuf {
        let name = Key::new("score 2").with(&self.identity).with(hash.as_bytes()).name();
        self.folder.join(format!("{name}.json"))
    }

    /// Loads the outcomes of an adapter from earlier runs.
    fn recall(&mut self, hash: &ObjectHash, fresh: bool) {
        if !fresh && !self.known.contains_key(hash) {
            let outcomes = cache::load(&self.path(hash)).unwrap_or_default();
            self.known.insert(*hash, outcomes);
        }
    }

    fn remember(&mut self, found: Vec<(ObjectHash, Language, Outcome)>) -> Result<()> {
        let mut changed = Vec::new();
        for (hash, language, outcome) in found {
            self.known.entry(hash).or_default().insert(language, outcome);
            if !changed.contains(&hash) {
                changed.push(hash);
            }
        }
        for hash in changed {
            if let Some(outcomes) = self.known.get(&hash) {
                cache::save(&self.path(&hash), outcomes)?;
            }
        }
        Ok(())
    }
}
