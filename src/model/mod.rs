//! What a user holds: a backbone that is open, a store of versions, and the calls that join them.
//!
//! Thin by intent: a prediction resolves the language to an active version and hands both to the
//! task; an update is begun here and lives in `update/`. A model never changes after it is opened,
//! so every method may be called from many threads at once; which versions are active is the
//! store's to say, and each call holds the version that it started with.

use crate::bundle::{Bundle, Verify};
use crate::error::{Code, Error, Result, ResultExt};
use crate::language::{Language, SERVING_DISTANCE_MAX};
use crate::rehearsal::Example;
use crate::runtime::{Cancel, Mode, Runtime};
use crate::store::{ActiveVersion, Store};
use crate::task::sentence::{Classifier, ClassifierOptions, LoadedAdapter, rank_labels};
use crate::update::{Update, UpdateOptions};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

pub use crate::task::sentence::LabelScore;

/// How a model is opened.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// How ONNX Runtime holds the weights.
    pub mode: Mode,
    /// Threads of one prediction; 0 takes all cores.
    pub threads: usize,
    /// How much of the bundle is verified before it is used.
    pub verify: Verify,
    /// Module-name patterns of the sites that adapters may use.
    pub targets: Vec<String>,
}

impl Default for ModelOptions {
    fn default() -> Self {
        let ClassifierOptions { mode, threads, targets } = ClassifierOptions::default();
        Self { mode, threads, verify: Verify::default(), targets }
    }
}

/// Options of a prediction.
#[derive(Clone, Debug, Default)]
pub struct PredictOptions {
    /// How many labels to return; 0 returns all.
    pub top_k: usize,
    /// Ends the prediction from another thread.
    pub cancel: Option<Cancel>,
}

/// The answer to one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Labels with their probabilities, highest first.
    pub labels: Vec<LabelScore>,
    /// Whose version answered: the language asked for, or what it fell back to.
    pub language: Language,
    /// The number of that version.
    pub version: u32,
    /// The text was longer than the backbone reads and was cut.
    pub truncated: bool,
}

/// How well the active version of one language answers labelled examples.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageScore {
    /// The language of the examples.
    pub language: Language,
    /// How many examples there were.
    pub examples: usize,
    /// How many were answered right.
    pub correct: usize,
    /// Whose version answered.
    pub served_by: Language,
    /// The number of that version.
    pub version: u32,
}

/// An open backbone and its store. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Model {
    classifier: Arc<Classifier>,
    store: Arc<Store>,
}

/// The version that serves a call, held until the call ends.
struct Served {
    adapter: Arc<LoadedAdapter>,
    language: Language,
    version: u32,
}

impl Model {
    /// Opens the bundle in the folder `bundle` for use with `store`.
    ///
    /// # Errors
    /// As [`Bundle::open`]; [`Code::RuntimeFailed`] when ONNX Runtime refuses the graph.
    pub fn open(
        runtime: &Arc<Runtime>,
        bundle: &Path,
        store: &Arc<Store>,
        options: &ModelOptions,
    ) -> Result<Self> {
        let context = || format!("opening the bundle {}", bundle.display());
        let opened = Arc::new(Bundle::open(bundle, options.verify).context(context)?);
        let ModelOptions { mode, threads, targets, .. } = options.clone();
        let options = ClassifierOptions { mode, threads, targets };
        let classifier = Classifier::open(runtime, &opened, &options).context(context)?;
        Ok(Self { classifier: Arc::new(classifier), store: store.clone() })
    }

    /// The store that the model was opened with.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The inference session and what it was built from.
    pub fn classifier(&self) -> &Arc<Classifier> {
        &self.classifier
    }

    /// Predicts the label of one text.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] when no version serves the language, [`Code::TaskEmptyText`],
    /// [`Code::TaskTooLong`], [`Code::Cancelled`].
    pub fn predict(
        &self,
        task: &str,
        language: &Language,
        text: &str,
        options: &PredictOptions,
    ) -> Result<Prediction> {
        let mut predictions = self.predict_batch(task, language, &[text], options)?;
        let prediction = predictions.pop();
        prediction.ok_or_else(|| Error::new(Code::Internal, "one text gave no prediction"))
    }

    /// Predicts the labels of several texts of one language, all with the same version.
    ///
    /// # Errors
    /// As [`Model::predict`]; an error about a text names its position.
    pub fn predict_batch(
        &self,
        task: &str,
        language: &Language,
        texts: &[&str],
        options: &PredictOptions,
    ) -> Result<Vec<Prediction>> {
        let served = self.serve(task, language)?;
        let encode = |(position, text): (usize, &&str)| {
            let encoded = self.classifier.encode(text);
            encoded.context(|| format!("text {} of {}", position + 1, texts.len()))
        };
        let encodings = texts.iter().enumerate().map(encode).collect::<Result<Vec<_>>>()?;
        let cancel = options.cancel.as_ref();
        let proceed = &mut |_| ControlFlow::Continue(());
        let rows = self.classifier.logits(&encodings, &served.adapter, cancel, proceed)?;
        let predictions = rows.iter().zip(&encodings).map(|(row, encoding)| Prediction {
            labels: rank_labels(served.adapter.labels(), row, options.top_k),
            language: served.language.clone(),
            version: served.version,
            truncated: encoding.truncated,
        });
        Ok(predictions.collect())
    }

    /// Counts, per language, how many examples the active version answers right. `progress` hears
    /// how many examples of how many are done and may break.
    ///
    /// # Errors
    /// As [`Model::predict`]; [`Code::TaskUnknownLabel`] for a label that the serving adapter does
    /// not know: scoring it as a mistake would hide a spelling error in the examples.
    pub fn evaluate(
        &self,
        task: &str,
        examples: &[Example],
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<LanguageScore>> {
        let mut languages = BTreeMap::<&Language, Vec<&Example>>::new();
        for example in examples {
            languages.entry(&example.language).or_default().push(example);
        }
        let mut done = 0;
        let mut scores = Vec::with_capacity(languages.len());
        for (language, questions) in languages {
            let served = self.serve(task, language)?;
            check_labels(&questions, &served)?;
            let encode = |question: &&Example| self.classifier.encode(&question.text);
            let encodings = questions.iter().map(encode).collect::<Result<Vec<_>>>()?;
            let labels: Vec<&str> = questions.iter().map(|one| one.label.as_str()).collect();
            let report = &mut |answered| progress(done + answered, examples.len());
            let outcome = self.classifier.correct(&encodings, &labels, &served.adapter, report)?;
            scores.push(LanguageScore {
                language: language.clone(),
                examples: questions.len(),
                correct: outcome.iter().filter(|right| **right).count(),
                served_by: served.language,
                version: served.version,
            });
            done += questions.len();
        }
        Ok(scores)
    }

    /// Begins an update of `task`.
    ///
    /// # Errors
    /// As [`Update::begin`].
    pub fn begin_update(&self, task: &str, options: UpdateOptions) -> Result<Update> {
        Update::begin(self.classifier.clone(), self.store.clone(), task, options)
    }

    /// Which version would answer in `language` now, loaded and ready: the language whose version
    /// it is, and its number.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn served_version(&self, task: &str, language: &Language) -> Result<(Language, u32)> {
        let served = self.serve(task, language)?;
        Ok((served.language, served.version))
    }

    /// The version that serves a language now, by [`crate::store::Snapshot::resolve`].
    fn serve(&self, task: &str, language: &Language) -> Result<Served> {
        let snapshot = self.store.snapshot()?;
        let (resolved, ActiveVersion { number, hash, .. }) = snapshot
            .resolve(task, language)
            .ok_or_else(|| no_version(&self.store, task, language))?;
        let read = || self.store.read_object(&hash);
        let adapter = self
            .classifier
            .load_cached(hash.as_bytes(), read)
            .context(|| format!("loading version {number} of {resolved} for the task {task:?}"))?;
        Ok(Served { adapter, language: resolved, version: number })
    }
}

fn no_version(store: &Store, task: &str, language: &Language) -> Error {
    let chain: Vec<String> = language.fallbacks().map(|tag| tag.to_string()).collect();
    let near = match language.typology() {
        Some(_) => format!(" and for languages within {SERVING_DISTANCE_MAX} of it"),
        None => String::new(),
    };
    Error::new(
        Code::StoreNoVersion,
        format!(
            "the store {} has no active version of the task {task:?} for {language} (looked for \
             {}{near})",
            store.path().display(),
            chain.join(", ")
        ),
    )
}

fn check_labels(questions: &[&Example], served: &Served) -> Result<()> {
    let labels = served.adapter.labels();
    match questions.iter().find(|question| !labels.contains(&question.label)) {
        None => Ok(()),
        Some(question) => Err(Error::new(
            Code::TaskUnknownLabel,
            format!(
                "the label {:?} of {:?} in {} is not one of the {} labels of version {}",
                question.label,
                question.text,
                question.language,
                labels.len(),
                served.version
            ),
        )),
    }
}
