//! Where a course starts: at the adapter that serves its language, with new labels appended, or at
//! a fresh one.

use super::options::UpdateOptions;
use crate::adapter::{Adapter, HEAD_BIAS, HEAD_WEIGHT, Part, Tensor};
use crate::error::{Code, Error, Result};
use crate::rehearsal::Example;
use crate::task::sentence::Classifier;
use std::collections::{BTreeMap, BTreeSet};

/// Spread of a fresh head's weights: small, so that training starts from nearly equal
/// probabilities.
const HEAD_SPREAD: f32 = 0.02;

/// Checks that there is something to learn, and that the labels of the new `examples` are among the
/// `known` ones; nothing is known before the first update.
///
/// # Errors
/// [`Code::UpdateNoExamples`] when no example is for training, [`Code::UpdateOneClass`] when there
/// is nothing to tell apart, [`Code::TaskUnknownLabel`] for a new label that is not allowed.
pub fn check_labels(
    examples: &[Example],
    training_count: usize,
    known: &BTreeSet<&str>,
    new_allowed: bool,
) -> Result<()> {
    if training_count == 0 {
        let count = examples.len();
        let message = format!(
            "the update has no training examples: {count} were added, all of them held out"
        );
        return Err(Error::new(Code::UpdateNoExamples, message));
    }
    let found: BTreeSet<&str> = examples.iter().map(|example| example.label.as_str()).collect();
    let new = found.difference(known).next();
    if let (Some(label), false) = (new, new_allowed || known.is_empty()) {
        let some: Vec<_> = known.iter().take(5).copied().collect();
        return Err(Error::new(
            Code::TaskUnknownLabel,
            format!(
                "the label {label:?} is not one of the task's {} labels ({}{}); allow new labels \
                 if it is meant",
                known.len(),
                some.join(", "),
                if known.len() > some.len() { ", ..." } else { "" }
            ),
        ));
    }
    if found.union(known).count() < 2 {
        let label = found.first().copied().unwrap_or_default();
        let message = format!("all examples have the label {label:?}; at least two are needed");
        return Err(Error::new(Code::UpdateOneClass, message));
    }
    Ok(())
}

/// The adapter to start from: `previous` with those of the `labels` appended that it lacks, sorted;
/// or, without a previous one, a fresh one for them.
pub fn adapter(
    classifier: &Classifier,
    previous: Option<&Adapter>,
    labels: &BTreeSet<&str>,
    options: &UpdateOptions,
) -> Result<Adapter> {
    match previous {
        Some(previous) => Ok(grow(previous, labels, options.seed)),
        None => fresh(classifier, labels, options.part(), options.seed),
    }
}

/// An adapter that changes nothing yet, so that the first step starts from the bare backbone:
/// factors of one, and for the rest what projects down uniform as in the LoRA reference
/// implementation (Kaiming with a = sqrt(5): bound `1 / sqrt(inputs)`) and everything else zero.
fn fresh(
    classifier: &Classifier,
    labels: &BTreeSet<&str>,
    part: Part,
    seed: u64,
) -> Result<Adapter> {
    let random = &mut fastrand::Rng::with_seed(seed);
    let mut tensors = BTreeMap::new();
    for site in part.select(classifier.sites())? {
        for (name, shape) in part.tensors_at(site, 0) {
            let size = shape.iter().product();
            let values = if name.ends_with(".lora_A") || name.ends_with(".down.weight") {
                uniform(random, size, 1.0 / (shape[0] as f32).sqrt())
            } else if name.ends_with(".ia3") {
                vec![1.0; size]
            } else {
                vec![0.0; size]
            };
            tensors.insert(name, tensor(&shape, values));
        }
    }
    let hidden = classifier.bundle().interface().hidden;
    tensors.insert(HEAD_WEIGHT.to_owned(), tensor(&[hidden, 0], Vec::new()));
    tensors.insert(HEAD_BIAS.to_owned(), tensor(&[0], Vec::new()));
    let backbone = classifier.bundle().backbone_hash().to_owned();
    let headless = Adapter { backbone, parts: vec![part], labels: Vec::new(), tensors };
    Ok(grow(&headless, labels, seed))
}

/// The previous adapter with a head for the missing labels, too. The old columns stay as they are,
/// so old labels keep their scores.
fn grow(previous: &Adapter, labels: &BTreeSet<&str>, seed: u64) -> Adapter {
    let mut adapter = previous.clone();
    let missing = labels.iter().filter(|label| !previous.labels.iter().any(|old| old == *label));
    let missing: Vec<String> = missing.map(|label| (*label).to_owned()).collect();
    let (Some(weight), Some(bias)) =
        (previous.tensors.get(HEAD_WEIGHT), previous.tensors.get(HEAD_BIAS))
    else {
        return adapter;
    };
    let (hidden, old) = (weight.shape[0], previous.labels.len());
    let columns: Vec<Vec<f32>> = missing.iter().map(|label| column(label, hidden, seed)).collect();
    let mut values = Vec::with_capacity(hidden * (old + missing.len()));
    for row in 0..hidden {
        values.extend_from_slice(&weight.values[row * old..(row + 1) * old]);
        values.extend(columns.iter().map(|column| column[row]));
    }
    let mut biases = bias.values.to_vec();
    biases.resize(old + missing.len(), 0.0);
    adapter.labels.extend(missing);
    let count = adapter.labels.len();
    adapter.tensors.insert(HEAD_WEIGHT.to_owned(), tensor(&[hidden, count], values));
    adapter.tensors.insert(HEAD_BIAS.to_owned(), tensor(&[count], biases));
    adapter
}

/// The weights of a new label. They depend on the label and the seed alone, so that every course of
/// an update begins with the same ones and what they teach can be added up.
fn column(label: &str, hidden: usize, seed: u64) -> Vec<f32> {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(label.as_bytes()).as_bytes();
    let own = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    uniform(&mut fastrand::Rng::with_seed(seed ^ own), hidden, HEAD_SPREAD)
}

fn tensor(shape: &[usize], values: Vec<f32>) -> Tensor {
    Tensor { shape: shape.to_vec(), values: values.into() }
}

/// Values spread evenly over `-bound..bound`.
fn uniform(random: &mut fastrand::Rng, count: usize, bound: f32) -> Vec<f32> {
    (0..count).map(|_| (random.f32() * 2.0 - 1.0) * bound).collect()
}
