//! Scoring adapters on the test split, each adapter once per language.
//!
//! Adapters and the test examples flow in; the headline metric of each language flows out. Metrics are remembered,
//! also on disk, by the hash of the adapter's bytes: a language that keeps its version is not
//! scored again. The test split is seen here and nowhere else.

use super::Bench;
use super::cache::{self, Key};
use crate::progress::Meter;
use polygraft::Result;
use polygraft::example::{Answer, Example};
use polygraft::language::Language;
use polygraft::store::ObjectHash;
use polygraft::task::{self, AnswerOptions, Encoded, LoadedAdapter, Predictor, Task};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The test examples of every language, tokenized.
pub struct Exam {
    languages: BTreeMap<Language, Questions>,
    task: &'static dyn Task,
    /// Where metrics are kept; the name of an adapter's file is its key.
    folder: PathBuf,
    /// What metrics depend on beside the adapter.
    identity: String,
    known: BTreeMap<ObjectHash, Scores>,
}

struct Questions {
    inputs: Vec<Encoded>,
    answers: Vec<Answer>,
}

/// The adapter that serves each language.
pub type Serving = BTreeMap<Language, (ObjectHash, Arc<LoadedAdapter>)>;

/// The headline metric of each language, 0 to 1.
pub type Scores = BTreeMap<Language, f64>;

impl Exam {
    /// Tokenizes the test examples.
    pub fn new(
        predictor: &Predictor,
        examples: &BTreeMap<Language, Vec<Example>>,
        cache: &std::path::Path,
    ) -> Result<Self> {
        let mut answers = examples.values().flatten().map(|example| example.answer.kind());
        let task = task::of(answers.next().unwrap_or_default())?;
        let mut languages = BTreeMap::new();
        for (language, examples) in examples {
            let bundle = predictor.bundle();
            let inputs = examples.iter().map(|example| task.encode(bundle, &example.input));
            let inputs = inputs.collect::<Result<Vec<_>>>()?;
            let answers = examples.iter().map(|example| example.answer.clone()).collect();
            languages.insert(language.clone(), Questions { inputs, answers });
        }
        let bundle = predictor.bundle();
        let identity = Key::new("exam 1")
            .with(bundle.backbone_hash())
            .with_json(&bundle.manifest())?
            .with_json(examples)?
            .name();
        let folder = cache.join("scores");
        Ok(Self { task, languages, folder, identity, known: BTreeMap::new() })
    }

    /// Scores what serves each language.
    pub fn score(
        &mut self,
        bench: &Bench<'_>,
        serving: &Serving,
        title: &str,
        meter: &mut Meter,
    ) -> Result<Scores> {
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
            let show = &mut |count| meter.show(&phase, done + count, total, language.as_str());
            let how = AnswerOptions::default();
            let given =
                bench.predictor.answer(self.task, &questions.inputs, adapter, &how, show)?;
            done += questions.inputs.len();
            let metrics = self.task.metrics(adapter.adapter(), &given, &questions.answers);
            let headline = metrics.first().map_or(0.0, |metric| metric.value);
            found.push((*hash, language.clone(), headline));
        }
        self.remember(found)?;
        Ok(self.shares(serving))
    }

    fn shares(&self, serving: &Serving) -> Scores {
        let score = |language: &Language| {
            let known = serving.get(language).and_then(|(hash, _)| self.known.get(hash));
            // Where nothing serves, nothing is right.
            known.and_then(|scores| scores.get(language)).copied().unwrap_or(0.0)
        };
        self.languages.keys().map(|language| (language.clone(), score(language))).collect()
    }

    fn knows(&self, hash: &ObjectHash, language: &Language) -> bool {
        self.known.get(hash).is_some_and(|scores| scores.contains_key(language))
    }

    fn path(&self, hash: &ObjectHash) -> PathBuf {
        let name = Key::new("score 2").with(&self.identity).with(hash.as_bytes()).name();
        self.folder.join(format!("{name}.json"))
    }

    /// Loads what is known of an adapter from earlier runs.
    fn recall(&mut self, hash: &ObjectHash, fresh: bool) {
        if !fresh && !self.known.contains_key(hash) {
            let scores = cache::load(&self.path(hash)).unwrap_or_default();
            self.known.insert(*hash, scores);
        }
    }

    fn remember(&mut self, found: Vec<(ObjectHash, Language, f64)>) -> Result<()> {
        let mut changed = Vec::new();
        for (hash, language, score) in found {
            self.known.entry(hash).or_default().insert(language, score);
            if !changed.contains(&hash) {
                changed.push(hash);
            }
        }
        for hash in changed {
            if let Some(scores) = self.known.get(&hash) {
                cache::save(&self.path(&hash), scores)?;
            }
        }
        Ok(())
    }
}
