//! Scoring adapters on the test split, each adapter once per language.
//!
//! Adapters and the test examples flow in; scores and metrics flow out. They are remembered, also
//! on disk, by the hash of the adapter's bytes: a language that keeps its version is not scored
//! again. The test split is seen here and nowhere else.

use crate::Bench;
use crate::cache::{self, Key};
use polygraft::Result;
use polygraft::console::progress::Meter;
use polygraft::example::{Example, Target, TaskKind};
use polygraft::language::Language;
use polygraft::store::ObjectHash;
use polygraft::task::{AnswerOptions, Encoded, LoadedAdapter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

/// The test examples of every language, tokenized.
pub struct Exam {
    languages: BTreeMap<Language, Questions>,
    /// Where outcomes are kept; the name of an adapter's file is its key.
    folder: PathBuf,
    /// What outcomes depend on beside the adapter.
    identity: String,
    known: BTreeMap<ObjectHash, BTreeMap<Language, Outcome>>,
}

struct Questions {
    inputs: Vec<Encoded>,
    expected: Vec<Target>,
}

/// How one adapter did in one language.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The mean score of the answers, 0 to 1: what the gate compares.
    pub score: f64,
    /// What is usual to report for the kind of answer, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// The adapter that serves each language.
pub type Serving = BTreeMap<Language, (ObjectHash, Arc<LoadedAdapter>)>;

/// How each language is served.
pub type Outcomes = BTreeMap<Language, Outcome>;

/// The mean score in each language, 0 to 1.
pub type Scores = BTreeMap<Language, f64>;

/// The metrics of each language by name.
pub type Metrics = BTreeMap<Language, BTreeMap<String, f64>>;

/// The scores alone.
pub fn scores(outcomes: &Outcomes) -> Scores {
    outcomes.iter().map(|(language, outcome)| (language.clone(), outcome.score)).collect()
}

/// The metrics alone; none for single labels, whose score is their accuracy already.
pub fn metrics(kind: TaskKind, outcomes: &Outcomes) -> Metrics {
    let kept = outcomes.iter().filter(|_| kind != TaskKind::Classification);
    kept.map(|(language, outcome)| (language.clone(), outcome.metrics.clone())).collect()
}

impl Exam {
    /// Tokenizes the test examples.
    pub fn new(bench: &Bench<'_>, examples: &BTreeMap<Language, Vec<Example>>) -> Result<Self> {
        let bundle = bench.predictor.bundle();
        let mut languages = BTreeMap::new();
        for (language, examples) in examples {
            let inputs = examples.iter().map(|example| bench.task.encode(bundle, &example.input));
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            let expected = examples.iter().map(|example| example.target.clone()).collect();
            languages.insert(language.clone(), Questions { inputs, expected });
        }
        let identity = Key::new("exam 2")
            .with(bundle.backbone_hash())
            .with_json(&bundle.manifest())?
            .with_examples(examples.values().flatten())?
            .name();
        let folder = bench.cache.join("scores");
        Ok(Self { languages, folder, identity, known: BTreeMap::new() })
    }

    /// Scores what serves each language.
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
        let question_count =
            |language: &&Language| self.languages.get(*language).map_or(0, |q| q.inputs.len());
        let total: usize = unknown.iter().map(question_count).sum();
        let mut done = 0;
        let mut found = Vec::new();
        for language in unknown {
            let (Some((hash, adapter)), Some(questions)) =
                (serving.get(language), self.languages.get(language))
            else {
                continue;
            };
            let phase = format!("{title}: test");
            let outcome = questions.ask(bench, adapter, &mut |answered| {
                meter.show(&phase, done + answered, total, language.as_str())
            })?;
            done += questions.inputs.len();
            found.push((*hash, language.clone(), outcome));
        }
        self.remember(found)?;
        Ok(self.outcomes(serving))
    }

    fn outcomes(&self, serving: &Serving) -> Outcomes {
        let outcome = |language: &Language| {
            let (hash, _) = serving.get(language)?;
            self.known.get(hash)?.get(language).cloned()
        };
        // Where nothing serves, nothing is right.
        let or_nothing = |language: &Language| outcome(language).unwrap_or_default();
        self.languages.keys().map(|language| (language.clone(), or_nothing(language))).collect()
    }

    fn knows(&self, hash: &ObjectHash, language: &Language) -> bool {
        self.known.get(hash).is_some_and(|outcomes| outcomes.contains_key(language))
    }

    fn path(&self, hash: &ObjectHash) -> PathBuf {
        let name = Key::new("score 2").with(&self.identity).with(hash.as_bytes()).name();
        self.folder.join(format!("{name}.json"))
    }

    /// Loads what is known of an adapter from earlier runs.
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

impl Questions {
    /// Lets an adapter answer all of them.
    fn ask(
        &self,
        bench: &Bench<'_>,
        adapter: &LoadedAdapter,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        let Bench { task, predictor, .. } = bench;
        let options = AnswerOptions::default();
        let given = predictor.answer(*task, &self.inputs, adapter, &options, progress)?;
        let adapter = adapter.adapter();
        let score =
            |(given, expected): (_, &Target)| f64::from(task.score(adapter, given, expected));
        let total: f64 = given.iter().zip(&self.expected).map(score).sum();
        let metrics = task.metrics(adapter, &given, &self.expected).into_iter();
        Ok(Outcome {
            score: total / given.len().max(1) as f64,
            metrics: metrics.map(|metric| (metric.name.to_owned(), metric.value)).collect(),
        })
    }
}
