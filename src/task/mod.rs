//! Tasks: what is predicted, and how inputs become tensors and tensors become answers.
//!
//! A [`Task`] encodes inputs, adds a loss to the backbone's graph, decodes what a run gives and
//! says how good an answer is. Each kind of answer has one; [`of`] gives it. The tasks of a family
//! share a folder: `sentence` (labels and numbers), `token` (tags), and `sequence` (texts). A
//! [`Predictor`] holds the sessions that they run on, and a [`TrialRun`] tries what a new bundle
//! can do. Flowing in: inputs, a bundle, adapters. Flowing out: graphs to run and answers. This
//! part must never decide what to train on or what to activate; the only state in it that changes
//! is which adapter inputs a session has.

pub mod batch;
mod cache;
mod finite;
mod given;
pub mod heads;
pub mod inference;
mod predictor;
mod probabilities;
mod proof;
pub mod sentence;
pub mod sequence;
pub mod token;
mod trial;

pub use given::{Given, LabelScore, TaggedSpan, TaggedWord};
pub use predictor::{LoadedAdapter, Predictor, PredictorOptions, encode_batch};
pub use sequence::{Finish, GenerateOptions, GeneratedText};
pub use token::PlacedWord;
pub use trial::{TRIAL_TOKENS_MAX, TrialRun};

use crate::adapter::{Adapter, HeadName};
use crate::bundle::{Bundle, Encoding};
use crate::error::{Code, Error, Result};
use crate::example::{Input, Target, TaskKind};
use crate::graph::{GraphProto, Model};
use crate::runtime::{Cancel, Value};

/// One kind of answer: how it is learnt, given and judged.
pub trait Task: Send + Sync {
    /// The kind of answer.
    fn kind(&self) -> TaskKind;

    /// The graph that the task learns on: texts to hidden states, unless it says otherwise.
    fn backbone<'a>(&self, bundle: &'a Bundle) -> &'a Model {
        bundle.encoder()
    }

    /// The heads that an adapter of this task has.
    fn heads(&self) -> &'static [HeadName];

    /// Tokenizes an input with the bundle's prefix, cut to the length that the backbone reads.
    ///
    /// # Errors
    /// As [`Input::check`]; [`Code::TaskKind`] for a kind of input that the task does not take.
    fn encode(&self, bundle: &Bundle, input: &Input) -> Result<Encoded>;

    /// Adds inputs for targets and the scalar [`heads::LOSS`] to a graph that has the heads.
    fn add_loss(&self, graph: &mut GraphProto, bundle: &Bundle) -> Result<()>;

    /// The expected answer in numbers.
    ///
    /// # Errors
    /// [`Code::TaskUnknownLabel`] for a label or tag that the adapter does not have.
    fn target(
        &self,
        bundle: &Bundle,
        adapter: &Adapter,
        input: &Encoded,
        answer: &Target,
    ) -> Result<EncodedTarget>;

    /// The values of the inputs that [`Task::add_loss`] added, for the samples of one run.
    fn target_values(
        &self,
        adapter: &Adapter,
        samples: &[&Sample],
        totals: &Totals,
    ) -> Result<Vec<(&'static str, Value)>>;

    /// Answers inputs that fit into one run, in their order.
    fn answer(
        &self,
        predictor: &Predictor,
        inputs: &[&Encoded],
        adapter: &LoadedAdapter,
        options: &AnswerOptions<'_>,
    ) -> Result<Vec<Given>>;

    /// How good an answer is: 0 for wrong, 1 for right. The mean over examples is what the gate
    /// compares.
    fn score(&self, adapter: &Adapter, given: &Given, expected: &Target) -> f32;

    /// How good the answers to many inputs are, by the metrics that the field reports, most telling
    /// first. One that nothing can be said about is left out.
    fn metrics(&self, adapter: &Adapter, given: &[Given], expected: &[Target]) -> Vec<Metric>;
}

/// A figure about many answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// What it is called.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
}

impl Metric {
    /// Those of some figures that there is something to say about.
    fn known<const N: usize>(figures: [(&'static str, Option<f64>); N]) -> Vec<Self> {
        let metric =
            |(name, value): (&'static str, Option<f64>)| Some(Self { name, value: value? });
        figures.into_iter().filter_map(metric).collect()
    }
}

/// The task that learns and gives answers of this kind.
///
/// # Errors
/// [`Code::TaskKind`] for a kind that nothing here can learn.
pub fn of(kind: TaskKind) -> Result<&'static dyn Task> {
    match kind {
        TaskKind::Classification => Ok(&sentence::Classes),
        TaskKind::MultiLabel => Ok(&sentence::LabelSets),
        TaskKind::Regression => Ok(&sentence::Numbers),
        TaskKind::TokenClassification => Ok(&token::Tags),
        TaskKind::IntentAndSlots => Ok(&token::LabelAndTags),
        TaskKind::SequenceToSequence => Ok(&sequence::Texts),
    }
}

/// A tokenized input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens.
    pub encoding: Encoding,
    /// The words and where they are, for tasks that answer word by word.
    pub words: Vec<PlacedWord>,
}

/// A target in numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum EncodedTarget {
    /// The position of a label.
    Classification(usize),
    /// The positions of labels.
    MultiLabel(Vec<usize>),
    /// A number in the scale of the head.
    Regression(f32),
    /// The position of each word's tag.
    TokenClassification(Vec<usize>),
    /// The position of a label, and of each word's tag.
    IntentAndSlots(usize, Vec<usize>),
    /// Tokens of a text, behind the one that every target starts with.
    SequenceToSequence(Vec<u32>),
}

/// A training example in numbers.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The input.
    pub input: Encoded,
    /// The answer.
    pub target: EncodedTarget,
}

impl Sample {
    /// How many tokens a run has to hold for it.
    pub fn tokens_count(&self) -> usize {
        let target = match &self.target {
            EncodedTarget::SequenceToSequence(tokens) => tokens.len(),
            _ => 0,
        };
        self.input.encoding.ids.len() + target
    }

    /// How many answers it has that are learnt one by one: words, or tokens of a text.
    pub fn parts_count(&self) -> usize {
        match &self.target {
            EncodedTarget::TokenClassification(_) | EncodedTarget::IntentAndSlots(..) => {
                token::tagged_tokens(&self.input.words).len()
            }
            EncodedTarget::SequenceToSequence(tokens) => tokens.len().saturating_sub(1),
            _ => 1,
        }
    }
}

/// What a batch holds in all its micro-batches, so that each can carry its share of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Totals {
    /// Examples.
    pub samples: usize,
    /// The sum of [`Sample::parts_count`].
    pub parts: usize,
    /// The share of a part's weight that goes to all answers alike; only texts have it.
    pub smoothing: f32,
}

impl Totals {
    /// Counts a batch.
    pub fn of(samples: &[&Sample]) -> Self {
        let parts = samples.iter().map(|sample| sample.parts_count()).sum();
        Self { samples: samples.len(), parts, smoothing: 0.0 }
    }

    /// The weight of one example in the mean over examples.
    pub fn sample_weight(&self) -> f32 {
        1.0 / self.samples.max(1) as f32
    }

    /// The weight of one part in the mean over parts.
    pub fn part_weight(&self) -> f32 {
        1.0 / self.parts.max(1) as f32
    }
}

/// How inputs are answered.
#[derive(Clone, Copy, Default)]
pub struct AnswerOptions<'a> {
    /// Ends the run from another thread.
    pub cancel: Option<&'a Cancel>,
    /// How texts are generated; by default greedily, as far as the bundle allows.
    pub generate: Option<&'a GenerateOptions>,
}

/// Where a label or tag stands among those of an adapter.
fn position(what: &str, names: &[String], name: &str) -> Result<usize> {
    names.iter().position(|known| known == name).ok_or_else(|| {
        let message =
            format!("the {what} {name:?} is not one of the {} of the adapter", names.len());
        Error::new(Code::TaskUnknownLabel, message)
    })
}

/// An answer of another kind than the task's.
fn wrong_answer(expected: TaskKind, found: &Target) -> Error {
    let message = format!("expected a target of {expected}, found one of {}", found.kind());
    Error::new(Code::TaskKind, message)
}
