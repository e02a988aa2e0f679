//! What a strategy plans with: the training data, training runs, candidates, and the draws that
//! strategies share.
//!
//! Input: new and remembered examples. Output: those of an epoch, in an order that follows from the
//! seed. This file must never know a strategy.

use crate::example::Example;
use crate::language::Language;
use crate::report::CandidateKind;
use std::collections::BTreeMap;

/// What a strategy may draw from.
pub struct TrainingData<'a> {
    /// The new training examples of the update.
    pub new: &'a [Example],
    /// Training examples of earlier updates, from the rehearsal buffer.
    pub remembered: &'a [Example],
    /// Rehearsed examples per new one.
    pub rehearsal_ratio: f64,
    /// The update's seed.
    pub seed: u64,
}

impl<'a> TrainingData<'a> {
    /// The languages that have new training examples, in order.
    pub fn languages(&self) -> Vec<Language> {
        self.new_by_language().into_keys().cloned().collect()
    }

    pub(super) fn new_by_language(&self) -> BTreeMap<&'a Language, Vec<&'a Example>> {
        by_language(self.new)
    }

    /// The new examples of one language.
    pub(super) fn new_in(&self, language: &Language) -> Vec<&'a Example> {
        self.new.iter().filter(|example| example.language == *language).collect()
    }

    /// How many examples are rehearsed beside `count` new ones.
    pub(super) fn rehearsed_count(&self, count: usize) -> usize {
        (count as f64 * self.rehearsal_ratio).round() as usize
    }
}

/// One training of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingRun {
    /// Whose new examples it is about; [`Language::shared`] for all of them. It starts from what
    /// serves this language.
    pub language: Language,
}

/// A candidate version of a language, made of the deltas of the training runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What it is called in reports.
    pub kind: CandidateKind,
    /// How it is made.
    pub body: Body,
}

/// How a candidate is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The adapter that the training run at this position ended with.
    Whole(usize),
    /// What serves the language now, plus weighted shares of the deltas.
    Sum(Vec<DeltaShare>),
}

/// The share that one delta has in a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct DeltaShare {
    /// The position of the training run.
    pub run: usize,
    /// Factor on its delta, more than 0, at most 1.
    pub weight: f64,
    /// The typological distance that the weight came from, if it did.
    pub distance: Option<f64>,
}

/// Plans an update.
pub trait Strategy: Send + Sync {
    /// The trainings, at least one.
    fn runs(&self, data: &TrainingData<'_>) -> Vec<TrainingRun>;

    /// The examples of one epoch of a training run, counted from 0, in any order: the training loop
    /// shuffles them. Equal data, training run and epoch give equal examples.
    fn epoch<'a>(
        &self,
        data: &TrainingData<'a>,
        run: &TrainingRun,
        epoch: usize,
    ) -> Vec<&'a Example>;

    /// What the gate may choose from for a language, first the one that is taken when the gate is
    /// off. A language with none keeps what it has.
    fn candidates(&self, runs: &[TrainingRun], language: &Language) -> Vec<Candidate>;
}

/// One training run about all new examples: how `naive` and `replay` train, and how every strategy
/// trains while nothing serves the task yet.
pub(super) fn joint() -> Vec<TrainingRun> {
    vec![TrainingRun { language: Language::shared() }]
}

/// The candidate that a joint training run gives every language.
pub(super) fn joint_candidate() -> Vec<Candidate> {
    vec![Candidate { kind: CandidateKind::Shared, body: Body::Whole(0) }]
}

pub(super) fn by_language(examples: &[Example]) -> BTreeMap<&Language, Vec<&Example>> {
    let mut languages = BTreeMap::<_, Vec<_>>::new();
    for example in examples {
        languages.entry(&example.language).or_default().push(example);
    }
    languages
}

/// A random generator that is the same for equal seed, training run and epoch.
pub(super) fn random(data: &TrainingData<'_>, run: &TrainingRun, epoch: usize) -> fastrand::Rng {
    let mut hasher = blake3::Hasher::new_derive_key("polygraft strategy 1: examples of an epoch");
    hasher.update(&data.seed.to_le_bytes());
    hasher.update(&(epoch as u64).to_le_bytes());
    hasher.update(run.language.as_str().as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    fastrand::Rng::with_seed(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

/// Takes one from each list in turn until `wanted` are taken or all lists are empty.
pub(super) fn round_robin<'a, 'b: 'a>(
    lists: impl Iterator<Item = &'a Vec<&'b Example>> + Clone,
    wanted: usize,
) -> Vec<&'b Example> {
    let longest = lists.clone().map(Vec::len).max().unwrap_or(0);
    let turns =
        (0..longest).flat_map(|turn| lists.clone().filter_map(move |list| list.get(turn).copied()));
    turns.take(wanted).collect()
}

/// Up to `wanted` remembered examples, spread evenly over their languages.
pub(super) fn rehearse<'a>(
    data: &TrainingData<'a>,
    wanted: usize,
    random: &mut fastrand::Rng,
) -> Vec<&'a Example> {
    let mut languages = by_language(data.remembered);
    for remembered in languages.values_mut() {
        random.shuffle(remembered);
    }
    // Where fewer are wanted than there are languages, the ones that come first are chosen at
    // random.
    let mut lists: Vec<_> = languages.into_values().collect();
    random.shuffle(&mut lists);
    round_robin(lists.iter(), wanted)
}
