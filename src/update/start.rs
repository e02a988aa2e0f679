//! The adapter that training starts from: the active shared one, with new labels appended, or a
//! fresh one.

use super::options::UpdateOptions;
use crate::adapter::{Adapter, HEAD_BIAS, HEAD_WEIGHT, LoraConfig, Tensor};
use crate::error::{Code, Error, Result};
use crate::rehearsal::Example;
use crate::task::sentence::Classifier;
use std::collections::{BTreeMap, BTreeSet};

/// Spread of a fresh head's weights: small, so that training starts from nearly equal
/// probabilities.
const HEAD_SPREAD: f32 = 0.02;

/// The starting adapter for `examples`, of which `training` are trained on.
///
/// # Errors
/// [`Code::UpdateNoExamples`] without training examples, [`Code::UpdateOneClass`] when there is
/// nothing to tell apart, [`Code::TaskUnknownLabel`] for a new label that is not allowed.
pub fn adapter(
    classifier: &Classifier,
    previous: Option<&Adapter>,
    examples: &[Example],
    training: &[Example],
    options: &UpdateOptions,
) -> Result<Adapter> {
    if training.is_empty() {
        return Err(Error::new(
            Code::UpdateNoExamples,
            format!(
                "the update has no training examples: {} were added, all of them held out",
                examples.len()
            ),
        ));
    }
    let known: &[String] = previous.map_or(&[], |adapter| &adapter.labels);
    let labels = merge_labels(known, examples, options.new_labels || previous.is_none())?;
    if labels.len() < 2 {
        return Err(Error::new(
            Code::UpdateOneClass,
            format!("all examples have the label {:?}; at least two are needed", labels[0]),
        ));
    }
    let mut random = fastrand::Rng::with_seed(options.seed);
    let Some(previous) = previous else {
        return fresh(classifier, labels, &options.lora, &mut random);
    };
    Ok(grow(previous, labels, &mut random))
}

/// The known labels in their order, then the new ones sorted.
fn merge_labels(known: &[String], examples: &[Example], allowed: bool) -> Result<Vec<String>> {
    let found: BTreeSet<&str> = examples.iter().map(|example| example.label.as_str()).collect();
    let new: Vec<&str> =
        found.into_iter().filter(|label| !known.iter().any(|known| known == label)).collect();
    if let (Some(label), false) = (new.first(), allowed) {
        let some: Vec<_> = known.iter().take(5).map(String::as_str).collect();
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
    Ok(known.iter().map(String::as_str).chain(new).map(str::to_owned).collect())
}

/// `A` uniform as in the LoRA reference implementation (Kaiming with a = sqrt(5): bound
/// `1 / sqrt(inputs)`), `B` zero, so that the first step starts from the bare backbone.
fn fresh(
    classifier: &Classifier,
    labels: Vec<String>,
    lora: &LoraConfig,
    random: &mut fastrand::Rng,
) -> Result<Adapter> {
    let mut tensors = BTreeMap::new();
    for site in lora.select(classifier.sites())? {
        let bound = 1.0 / (site.inputs as f32).sqrt();
        let down = uniform(random, site.inputs * lora.rank, bound);
        let up = vec![0.0; lora.rank * site.outputs];
        tensors.insert(site.lora_a(), tensor(&[site.inputs, lora.rank], down));
        tensors.insert(site.lora_b(), tensor(&[lora.rank, site.outputs], up));
    }
    let hidden = classifier.bundle().interface().hidden;
    let weight = uniform(random, hidden * labels.len(), HEAD_SPREAD);
    tensors.insert(HEAD_WEIGHT.to_owned(), tensor(&[hidden, labels.len()], weight));
    tensors.insert(HEAD_BIAS.to_owned(), tensor(&[labels.len()], vec![0.0; labels.len()]));
    let backbone = classifier.bundle().backbone_hash().to_owned();
    Ok(Adapter { backbone, lora: lora.clone(), labels, tensors })
}

/// The previous adapter with a head for `labels`, which begin with the previous ones.
fn grow(previous: &Adapter, labels: Vec<String>, random: &mut fastrand::Rng) -> Adapter {
    let mut adapter = previous.clone();
    let (old, new) = (previous.labels.len(), labels.len());
    if old < new {
        if let Some(weight) = adapter.tensors.get_mut(HEAD_WEIGHT) {
            let mut values = Vec::with_capacity(weight.values.len() / old * new);
            for row in weight.values.chunks_exact(old) {
                values.extend_from_slice(row);
                values.extend(uniform(random, new - old, HEAD_SPREAD));
            }
            *weight = tensor(&[weight.shape[0], new], values);
        }
        if let Some(bias) = adapter.tensors.get_mut(HEAD_BIAS) {
            let mut values = bias.values.to_vec();
            values.resize(new, 0.0);
            *bias = tensor(&[new], values);
        }
    }
    adapter.labels = labels;
    adapter
}

fn tensor(shape: &[usize], values: Vec<f32>) -> Tensor {
    Tensor { shape: shape.to_vec(), values: values.into() }
}

/// Values spread evenly over `-bound..bound`.
fn uniform(random: &mut fastrand::Rng, count: usize, bound: f32) -> Vec<f32> {
    (0..count).map(|_| (random.f32() * 2.0 - 1.0) * bound).collect()
}
