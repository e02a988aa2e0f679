//! Scoring adapters on the test split, each adapter once per language.
//!
//! Adapters and the test examples flow in; counts of right answers flow out. Counts are remembered,
//! also on disk, by the hash of the adapter's bytes: a language that keeps its version is not
//! scored again. The test split is seen here and nowhere else.

use super::Bench;
use super::cache::{self, Key};
use crate::progress::Meter;
use polygraft::Result;
use polygraft::bundle::Encoding;
use polygraft::language::Language;
use polygraft::rehearsal::Example;
use polygraft::store::ObjectHash;
use polygraft::task::sentence::{Classifier, LoadedAdapter};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The test examples of every language, tokenized.
pub struct Exam {
    languages: BTreeMap<Language, Questions>,
    /// Where counts are kept; the name of an adapter's file is its key.
    folder: PathBuf,
    /// What counts depend on beside the adapter.
    identity: String,
    known: BTreeMap<ObjectHash, BTreeMap<Language, usize>>,
}

struct Questions {
    texts: Vec<Encoding>,
    labels: Vec<String>,
}

/// The adapter that serves each language.
pub type Serving = BTreeMap<Language, (ObjectHash, Arc<LoadedAdapter>)>;

/// The share of right answers in each language, 0 to 1.
pub type Scores = BTreeMap<Language, f64>;

impl Exam {
    /// Tokenizes the test examples.
    pub fn new(
        classifier: &Classifier,
        examples: &BTreeMap<Language, Vec<Example>>,
        cache: &std::path::Path,
    ) -> Result<Self> {
        let mut languages = BTreeMap::new();
        for (language, examples) in examples {
            let texts = examples.iter().map(|example| classifier.encode(&example.text));
            let texts = texts.collect::<Result<Vec<_>>>()?;
            let labels = examples.iter().map(|example| example.label.clone()).collect();
            languages.insert(language.clone(), Questions { texts, labels });
        }
        let bundle = classifier.bundle();
        let identity = Key::new("exam 1")
            .with(bundle.backbone_hash())
            .with_json(&bundle.manifest())?
            .with_json(examples)?
            .name();
        Ok(Self { languages, folder: cache.join("scores"), identity, known: BTreeMap::new() })
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
            |language: &&Language| self.languages.get(*language).map_or(0, |q| q.texts.len());
        let total: usize = unknown.iter().map(question_count).sum();
        let mut done = 0;
        let mut found = Vec::new();
        for language in unknown {
            let (Some((hash, adapter)), Some(questions)) =
                (serving.get(language), self.languages.get(language))
            else {
                continue;
            };
            let labels: Vec<&str> = questions.labels.iter().map(String::as_str).collect();
            let phase = format!("{title}: test");
            let outcome =
                bench.classifier.correct(&questions.texts, &labels, adapter, &mut |answered| {
                    meter.show(&phase, done + answered, total, language.as_str())
                })?;
            done += questions.texts.len();
            found.push((*hash, language.clone(), outcome.iter().filter(|right| **right).count()));
        }
        self.remember(found)?;
        Ok(self.shares(serving))
    }

    fn shares(&self, serving: &Serving) -> Scores {
        let mut scores = Scores::new();
        for (language, questions) in &self.languages {
            let correct = serving
                .get(language)
                .and_then(|(hash, _)| self.known.get(hash))
                .and_then(|counts| counts.get(language))
                // Where nothing serves, nothing is right.
                .copied()
                .unwrap_or(0);
            scores.insert(language.clone(), correct as f64 / questions.texts.len() as f64);
        }
        scores
    }

    fn knows(&self, hash: &ObjectHash, language: &Language) -> bool {
        self.known.get(hash).is_some_and(|counts| counts.contains_key(language))
    }

    fn path(&self, hash: &ObjectHash) -> PathBuf {
        let name = Key::new("score 1").with(&self.identity).with(hash.as_bytes()).name();
        self.folder.join(format!("{name}.json"))
    }

    /// Loads what is known of an adapter from earlier runs.
    fn recall(&mut self, hash: &ObjectHash, fresh: bool) {
        if !fresh && !self.known.contains_key(hash) {
            let counts = cache::load(&self.path(hash)).unwrap_or_default();
            self.known.insert(*hash, counts);
        }
    }

    fn remember(&mut self, found: Vec<(ObjectHash, Language, usize)>) -> Result<()> {
        let mut changed = Vec::new();
        for (hash, language, correct) in found {
            self.known.entry(hash).or_default().insert(language, correct);
            if !changed.contains(&hash) {
                changed.push(hash);
            }
        }
        for hash in changed {
            if let Some(counts) = self.known.get(&hash) {
                cache::save(&self.path(&hash), counts)?;
            }
        }
        Ok(())
    }
}
