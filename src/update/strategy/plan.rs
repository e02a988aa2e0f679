//! The parts of a strategy's plan: training data, training runs, candidates, and the random draws
//! that strategies share. This module must never depend on a strategy.

use crate::example::Example;
use crate::language::Language;
use crate::report::CandidateKind;
use std::collections::BTreeMap;

/// The examples of a pass, new and rehearsed. A handful of new examples would otherwise be repeated
/// dozens of times among as few others, which overfits and harms the language itself.
const PASS_EXAMPLES_MIN: usize = 64;

/// The examples that a strategy may select from.
pub struct TrainingData<'a> {
    /// The new training examples of the update.
    pub new: &'a [Example],
    /// Training examples of earlier updates, from the rehearsal buffer.
    pub remembered: &'a [Example],
    /// Rehearsed examples per new example.
    pub rehearsal_ratio: f64,
    /// The update's seed.
    pub seed: u64,
}

impl<'a> TrainingData<'a> {
    /// The languages with new training examples, sorted.
    pub fn languages(&self) -> Vec<Language> {
        self.new_by_language().into_keys().cloned().collect()
    }

    pub(super) fn new_by_language(&self) -> BTreeMap<&'a Language, Vec<&'a Example>> {
        by_language(self.new)
    }

    /// Whether an example of an epoch is a new one, not a rehearsed one.
    pub fn is_new(&self, example: &Example) -> bool {
        self.new.as_ptr_range().contains(&std::ptr::from_ref(example))
    }

    /// The new examples of one language.
    pub(super) fn new_in(&self, language: &Language) -> Vec<&'a Example> {
        self.new.iter().filter(|example| example.language == *language).collect()
    }

    /// How many examples are rehearsed for `count` new ones: in proportion, and so many that a pass
    /// has at least [`PASS_EXAMPLES_MIN`].
    pub(super) fn rehearsed_count(&self, count: usize) -> usize {
        if self.rehearsal_ratio == 0.0 {
            return 0;
        }
        let proportional = (count as f64 * self.rehearsal_ratio).round() as usize;
        proportional.max(PASS_EXAMPLES_MIN.saturating_sub(count))
    }
}

/// One training run of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingRun {
    /// The language of its new examples; [`Language::shared`] for all of them. It starts from the
    /// version that serves this language.
    pub language: Language,
}

/// A candidate version of a language, made of the deltas of the training runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its kind in reports.
    pub kind: CandidateKind,
    /// The factor on the deltas, more than 0, at most 1.
    pub strength: f64,
    /// How it is made.
    pub body: Body,
}

impl Candidate {
    /// A candidate with the whole deltas.
    pub fn whole(kind: CandidateKind, body: Body) -> Self {
        Self { kind, strength: 1.0, body }
    }

    /// The same with the deltas times `strength`.
    pub fn scaled(&self, strength: f64) -> Self {
        let scale = |share: DeltaShare| DeltaShare { weight: share.weight * strength, ..share };
        let shares = match self.body.clone() {
            Body::Whole(run) => vec![scale(DeltaShare { run, weight: 1.0, distance: None })],
            Body::Sum(shares) => shares.into_iter().map(scale).collect(),
        };
        Self { kind: self.kind, strength: self.strength * strength, body: Body::Sum(shares) }
    }
}

/// How a candidate is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The adapter that the training run at this position ended with.
    Whole(usize),
    /// The version that serves the language now, plus weighted deltas.
    Sum(Vec<DeltaShare>),
}

/// The share that one delta has in a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct DeltaShare {
    /// The position of the training run.
    pub run: usize,
    /// The factor on its delta, more than 0, at most 1.
    pub weight: f64,
    /// The typological distance that the weight was computed from, if any.
    pub distance: Option<f64>,
}

/// Plans an update.
pub trait Strategy: Send + Sync {
    /// The training runs, at least one.
    fn runs(&self, data: &TrainingData<'_>) -> Vec<TrainingRun>;

    /// The examples of an epoch (from 0) of a training run, in any order: the training loop
    /// shuffles them. Equal data, training run and epoch give equal examples.
    fn epoch<'a>(
        &self,
        data: &TrainingData<'a>,
        run: &TrainingRun,
        epoch: usize,
    ) -> Vec<&'a Example>;

    /// The candidates of a language for the gate; the first one is taken when the gate is off. A
    /// language without candidates keeps its version.
    fn candidates(&self, runs: &[TrainingRun], language: &Language) -> Vec<Candidate>;
}

/// One training run on all new examples: for `naive` and `replay`, and for every strategy while
/// nothing serves the task yet.
pub(super) fn joint() -> Vec<TrainingRun> {
    vec![TrainingRun { language: Language::shared() }]
}

/// The candidate that a joint training run gives every language.
pub(super) fn joint_candidate() -> Vec<Candidate> {
    vec![Candidate::whole(CandidateKind::Shared, Body::Whole(0))]
}

pub(super) fn by_language(examples: &[Example]) -> BTreeMap<&Language, Vec<&Example>> {
    let mut languages = BTreeMap::<_, Vec<_>>::new();
    for example in examples {
        languages.entry(&example.language).or_default().push(example);
    }
    languages
}

/// A random generator that depends only on the seed, the training run and the epoch.
pub(super) fn random(data: &TrainingData<'_>, run: &TrainingRun, epoch: usize) -> fastrand::Rng {
    let mut hasher = blake3::Hasher::new_derive_key("polygraft strategy 1: examples of an epoch");
    hasher.update(&data.seed.to_le_bytes());
    hasher.update(&(epoch as u64).to_le_bytes());
    hasher.update(run.language.as_str().as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    fastrand::Rng::with_seed(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

/// Takes one example from each list in turn until `wanted` are taken or all lists are empty.
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
    // If there are more languages than wanted examples, the order of the languages is random.
    let mut lists: Vec<_> = languages.into_values().collect();
    random.shuffle(&mut lists);
    round_robin(lists.iter(), wanted)
}
