//! What a user holds: a backbone that is open, a store of versions, and the calls that join them.
//!
//! Thin by intent: a prediction resolves the language to an active version and hands both to the
//! task; an update is begun here and lives in `update/`. A model never changes after it is opened,
//! so every method may be called from many threads at once; the store decides which versions are
//! active, and each call holds the version that it started with.

mod exchange;
mod many;
mod serve;
mod statistics;

use crate::bundle::{Bundle, BundleProgress, Verify};
use crate::error::{Code, Error, Result, ResultExt};
use crate::evaluation::{self, Evaluation, EvaluationSet};
use crate::example::{Example, Input};
use crate::inference::{Predictor, PredictorOptions, RunOptions};
use crate::language::Language;
use crate::runtime::log::{self, Severity};
use crate::runtime::{Cancel, Engine, Mode, Operators};
use crate::store::Store;
use crate::task::{self, Encoded};
use crate::update::{self, Adopted, Update, UpdateOptions};
use serve::Served;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

pub use crate::update::{Activation, ImportOptions};
pub use exchange::{ExchangeSites, ImportedVersion};
pub use statistics::{StoreStatistics, TaskStatistics};

pub use crate::inference::{FinishReason, GenerateOptions, GeneratedText};
pub use crate::task::{LabelScore, TaggedSpan, TaggedWord, Tagging, TaskOutput};

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
    /// Which operators run, in predictions and in updates.
    pub operators: Operators,
}

impl Default for ModelOptions {
    fn default() -> Self {
        let PredictorOptions { mode, threads, targets, operators } = PredictorOptions::default();
        Self { mode, threads, verify: Verify::default(), targets, operators }
    }
}

/// Options of a prediction.
#[derive(Clone, Debug, Default)]
pub struct PredictOptions {
    /// How many labels to return; 0 returns all.
    pub top_k: usize,
    /// How texts are generated.
    pub generate: GenerateOptions,
    /// Ends the prediction from another thread.
    pub cancel: Option<Cancel>,
}

impl PredictOptions {
    fn run(&self) -> RunOptions<'_> {
        RunOptions { cancel: self.cancel.as_ref(), generate: Some(&self.generate), lower: None }
    }

    /// An output with the labels that were asked for.
    fn shown(&self, mut output: TaskOutput) -> TaskOutput {
        if self.top_k > 0 {
            output.truncate_labels(self.top_k);
        }
        output
    }
}

/// The output for one input, and which version gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The output.
    pub output: TaskOutput,
    /// Whether the input is longer than the backbone reads and was cut.
    pub truncated: bool,
    /// The language whose version was used: the requested one, or what it fell back to.
    pub language: Language,
    /// The number of that version.
    pub version: u32,
}

/// How well the active version of one language does on labelled examples.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageScore {
    /// The language of the examples.
    pub language: Language,
    /// How many examples there were.
    pub examples: usize,
    /// The mean score of the examples, which the gate of an update compares, and the metrics.
    pub evaluation: Evaluation,
    /// The language whose version was used.
    pub served_by: Language,
    /// The number of that version.
    pub version: u32,
}

/// An open backbone and its store. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Model {
    predictor: Arc<Predictor>,
    store: Arc<Store>,
}

impl Model {
    /// Opens the bundle in the folder `bundle` for use with `store`.
    ///
    /// # Errors
    /// As [`Bundle::open`]; [`Code::RuntimeFailed`] when ONNX Runtime refuses the graph.
    pub fn open(
        engine: &Arc<Engine>,
        bundle: &Path,
        store: &Arc<Store>,
        options: &ModelOptions,
    ) -> Result<Self> {
        Self::open_with_progress(engine, bundle, store, options, &mut |_| {})
    }

    /// Like [`Model::open`], reporting how far the hashing of the bundle's files is: seconds for
    /// large weights that are met first, see [`Verify`].
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_with_progress(
        engine: &Arc<Engine>,
        bundle: &Path,
        store: &Arc<Store>,
        options: &ModelOptions,
        progress: &mut dyn FnMut(BundleProgress),
    ) -> Result<Self> {
        let opened = Arc::new(Bundle::open_with_progress(bundle, options.verify, progress)?);
        let ModelOptions { mode, threads, targets, operators, .. } = options.clone();
        let options = PredictorOptions { mode, threads, targets, operators };
        let predictor = Predictor::open(engine, &opened, &options)
            .context(|| format!("opening the bundle {}", bundle.display()))?;
        log::log(Severity::Info, "polygraft", || {
            format!("opened the bundle {} in mode {mode}", bundle.display())
        });
        Ok(Self { predictor: Arc::new(predictor), store: store.clone() })
    }

    /// The store that the model was opened with.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The inference session and what it was built from.
    pub fn predictor(&self) -> &Arc<Predictor> {
        &self.predictor
    }

    fn bundle(&self) -> &Bundle {
        self.predictor.bundle()
    }

    /// Predicts one input.
    ///
    /// # Errors
    /// [`Code::StoreNoVersion`] when no version serves the language, [`Code::TaskName`] for what
    /// cannot be a task, [`Code::TaskEmptyText`], [`Code::TaskTooLong`], [`Code::TaskKind`] for a
    /// kind of input that the task does not take, [`Code::AdapterBaseMismatch`] and
    /// [`Code::AdapterIdentityMismatch`] for a version that was trained with another bundle,
    /// [`Code::RuntimeNotFinite`] when the model gives a number that is not finite,
    /// [`Code::Cancelled`].
    pub fn predict(
        &self,
        task: &str,
        language: &Language,
        input: impl Into<Input>,
        options: &PredictOptions,
    ) -> Result<Prediction> {
        let mut predictions = self.predict_batch(task, language, &[input.into()], options)?;
        let prediction = predictions.pop();
        prediction.ok_or_else(|| Error::new(Code::Internal, "one input gave no prediction"))
    }

    /// Predicts several inputs in one language, all with the same version.
    ///
    /// # Errors
    /// As [`Model::predict`]; an error about an input names its position.
    pub fn predict_batch(
        &self,
        task: &str,
        language: &Language,
        inputs: &[Input],
        options: &PredictOptions,
    ) -> Result<Vec<Prediction>> {
        let served = self.serve(task, language)?;
        let encoded = encode_all(inputs, |_, input| served.task.encode(self.bundle(), input))?;
        let how = options.run();
        let proceed = &mut |_| ControlFlow::Continue(());
        let Served { task, adapter, .. } = &served;
        let outputs = evaluation::predict(&self.predictor, *task, adapter, &encoded, &how, proceed);
        let outputs = outputs.map_err(|error| served.named(error))?;
        let predictions = outputs.into_iter().zip(&encoded);
        let one = |(output, input)| served.prediction(options.shown(output), input);
        Ok(predictions.map(one).collect())
    }

    /// Generates a text for one text and emits it as it grows: `on_chunk` hears new text in whole
    /// characters (with several beams all of it at the end) and may break to end it.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn generate(
        &self,
        task: &str,
        language: &Language,
        input: impl Into<Input>,
        options: &PredictOptions,
        on_chunk: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Prediction> {
        let served = self.serve(task, language)?;
        let input = served.task.encode(self.bundle(), &input.into())?;
        let Served { task, adapter, .. } = &served;
        let (predictor, how) = (&self.predictor, options.run());
        let output = evaluation::stream(predictor, *task, adapter, &input, &how, on_chunk);
        let output = output.map_err(|error| served.named(error))?;
        Ok(served.prediction(output, &input))
    }

    /// The pooled hidden states of texts, one vector each: by the version that serves the language
    /// in `task`, or by the bare backbone without one. Of length 1 if `normalise`, so that the
    /// product of two is their cosine.
    ///
    /// # Errors
    /// As [`Model::predict_batch`]; [`Code::RuntimeNotFinite`] also for a vector of zeros that is
    /// to be of length 1.
    pub fn embed(
        &self,
        language: &Language,
        task: Option<&str>,
        inputs: &[Input],
        normalise: bool,
    ) -> Result<Vec<Vec<f32>>> {
        let served = task.map(|task| self.serve(task, language)).transpose()?;
        let encoded = encode_all(inputs, |_, input| task::sentence::encode(self.bundle(), input))?;
        let encodings: Vec<_> = encoded.iter().map(|input| &input.encoding).collect();
        let adapter = served.as_ref().map(|served| served.adapter.as_ref());
        let mut vectors =
            self.predictor.embed(&encodings, adapter, None).map_err(|error| match &served {
                Some(served) => served.named(error),
                None => error,
            })?;
        if normalise {
            vectors.iter_mut().try_for_each(|vector| to_unit_length(vector))?;
        }
        Ok(vectors)
    }

    /// Measures, per language, how well the active version does on examples. `progress` hears how
    /// many examples of how many are done and may break.
    ///
    /// # Errors
    /// As [`Model::predict`]; [`Code::TaskUnknownLabel`] for a label that the serving adapter does
    /// not know: scoring it as a mistake would hide a spelling error in the examples;
    /// [`Code::TaskKind`] for targets of another kind than the task's.
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
        for (language, of_language) in languages {
            let served = self.serve(task, language)?;
            let (bundle, adapter) = (self.bundle(), served.adapter.adapter());
            let mut set = EvaluationSet::new(served.task);
            for example in &of_language {
                let context = || format!("{:?} in {language}", example.input.text());
                let input = set.add(bundle, example, false).context(context)?;
                served.task.target(bundle, adapter, input, &example.target).context(context)?;
            }
            let report = &mut |predicted| progress(done + predicted, examples.len());
            let evaluation = set.evaluate(&self.predictor, &served.adapter, language, report);
            let evaluation = evaluation.map_err(|error| served.named(error))?;
            scores.push(LanguageScore {
                language: language.clone(),
                examples: of_language.len(),
                evaluation,
                served_by: served.language,
                version: served.version,
            });
            done += of_language.len();
        }
        Ok(scores)
    }

    /// Begins an update of `task`.
    ///
    /// # Errors
    /// As [`Update::begin`].
    pub fn begin_update(&self, task: &str, options: UpdateOptions) -> Result<Update> {
        Update::begin(self.predictor.clone(), self.store.clone(), task, options)
    }

    /// Binds every active version that does not say how texts were read when it was trained to this
    /// bundle; see [`update::adopt`].
    ///
    /// # Errors
    /// As [`update::adopt`].
    pub fn adopt(&self) -> Result<Vec<Adopted>> {
        update::adopt(&self.predictor, &self.store)
    }

    /// Which version serves `language` now, loaded and ready: the language whose version
    /// it is, and its number.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn served_version(&self, task: &str, language: &Language) -> Result<(Language, u32)> {
        let served = self.serve(task, language)?;
        Ok((served.language, served.version))
    }
}

/// Tokenizes inputs with their positions; an error about one names its position.
fn encode_all<T>(
    inputs: &[T],
    encode: impl Fn(usize, &T) -> Result<Encoded>,
) -> Result<Vec<Encoded>> {
    let one = |(position, input): (usize, &T)| {
        encode(position, input).context(|| format!("text {} of {}", position + 1, inputs.len()))
    };
    inputs.iter().enumerate().map(one).collect()
}

/// Divides a vector by its length. A vector of zeros has no direction: the division would give
/// numbers that are not finite.
fn to_unit_length(vector: &mut [f32]) -> Result<()> {
    // In double precision the squares of large and of small values stay apart from infinity and 0.
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length == 0.0 {
        let message = "the vector is all zeros, so it cannot be scaled to length 1: the weights \
                       may be damaged (`polygraft bundle verify` tells)";
        return Err(Error::new(Code::RuntimeNotFinite, message));
    }
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    Ok(())
}
