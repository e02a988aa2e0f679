//! The training loop: epochs of a strategy's examples, shuffled, bucketed by length, stepped.

use super::optimizer::Optimizer;
use super::options::UpdateOptions;
use super::progress::{Phase, Reporter};
use super::strategy::{Material, Strategy};
use super::trainer::{Sample, Trainer};
use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};
use crate::rehearsal::Example;
use crate::report::Training;
use crate::task::sentence::Classifier;
use std::collections::HashMap;

/// Batches that are sorted by length together; more saves padding, fewer mixes better.
const BATCHES_PER_BUCKET: usize = 16;
/// Weight of the newest loss in the running mean that progress shows.
const LOSS_SMOOTHING: f64 = 0.1;

/// Trains until the epochs, or `steps_max`, are done.
///
/// # Errors
/// [`Code::UpdateDiverged`] naming the step when the loss or gradients are no longer finite.
pub fn train(
    trainer: &mut Trainer,
    classifier: &Classifier,
    strategy: &dyn Strategy,
    material: &Material<'_>,
    options: &UpdateOptions,
    reporter: &mut Reporter<'_>,
) -> Result<Training> {
    let mut samples = Samples::new(classifier, trainer.adapter().labels);
    let per_epoch = strategy.epoch(material, 0).len();
    let steps_count = steps_count(per_epoch, options);
    let mut optimizer = Optimizer::new(options.optimizer.clone(), steps_count, trainer.sizes());
    let rules = trainer.rules(options.optimizer.head_rate_factor);
    let mut losses = Vec::with_capacity(steps_count);
    let mut smoothed = None;
    for epoch in 0.. {
        let chosen = strategy.epoch(material, epoch);
        let epoch_samples =
            chosen.iter().map(|one| samples.get(one)).collect::<Result<Vec<_>>>()?;
        let mut random = fastrand::Rng::with_seed(options.seed.wrapping_add(epoch as u64));
        for rows in batches(&epoch_samples, options.batch_size, &mut random) {
            if losses.len() == steps_count {
                return Ok(summary(&losses, material, per_epoch));
            }
            let batch: Vec<&Sample> = rows.iter().map(|&row| &epoch_samples[row]).collect();
            let (loss, mut gradients) = trainer.gradients(classifier.bundle(), &batch)?;
            let norm = optimizer.step(&mut trainer.tensors_mut(), &mut gradients, &rules);
            if !loss.is_finite() || !norm.is_finite() {
                return Err(diverged(losses.len(), loss, norm));
            }
            losses.push(loss);
            reporter.add_examples(batch.len());
            let mean = smoothed.map_or(loss, |mean: f64| mean + LOSS_SMOOTHING * (loss - mean));
            smoothed = Some(mean);
            reporter.step(Phase::Train, losses.len(), steps_count, smoothed)?;
        }
    }
    Ok(summary(&losses, material, per_epoch))
}

fn steps_count(per_epoch: usize, options: &UpdateOptions) -> usize {
    let steps = (options.epochs * per_epoch.div_ceil(options.batch_size) as f64).ceil() as usize;
    match options.steps_max {
        0 => steps.max(1),
        most => steps.clamp(1, most),
    }
}

/// Shuffles, sorts runs of some batches by length, cuts them into batches and shuffles those.
fn batches(samples: &[Sample], size: usize, random: &mut fastrand::Rng) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    random.shuffle(&mut order);
    let mut batches = Vec::new();
    for bucket in order.chunks_mut(size * BATCHES_PER_BUCKET) {
        bucket.sort_by_key(|&index| samples[index].encoding.ids.len());
        batches.extend(bucket.chunks(size).map(<[usize]>::to_vec));
    }
    random.shuffle(&mut batches);
    batches
}

fn diverged(step: usize, loss: f64, norm: f64) -> Error {
    Error::new(
        Code::UpdateDiverged,
        format!(
            "training diverged at step {step}: loss {loss}, gradient norm {norm}; a lower \
             learning rate may help"
        ),
    )
}

fn summary(losses: &[f64], material: &Material<'_>, per_epoch: usize) -> Training {
    let tenth = losses.len().div_ceil(10);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    Training {
        examples_new: material.new.len(),
        examples_rehearsed: per_epoch.saturating_sub(material.new.len()),
        steps: losses.len(),
        loss_first: mean(&losses[..tenth]),
        loss_last: mean(&losses[losses.len() - tenth..]),
        elapsed_ms: 0,
    }
}

/// Tokenizes each text once, however many epochs see it.
struct Samples<'a> {
    classifier: &'a Classifier,
    labels: HashMap<String, usize>,
    encodings: HashMap<String, Encoding>,
}

impl<'a> Samples<'a> {
    fn new(classifier: &'a Classifier, labels: Vec<String>) -> Self {
        let labels = labels.into_iter().enumerate().map(|(index, label)| (label, index)).collect();
        Self { classifier, labels, encodings: HashMap::new() }
    }

    fn get(&mut self, example: &Example) -> Result<Sample> {
        let label = *self.labels.get(&example.label).ok_or_else(|| {
            Error::new(Code::TaskUnknownLabel, format!("the label {:?} is unknown", example.label))
        })?;
        if let Some(encoding) = self.encodings.get(&example.text) {
            return Ok(Sample { encoding: encoding.clone(), label });
        }
        let encoding = self.classifier.encode(&example.text)?;
        self.encodings.insert(example.text.clone(), encoding.clone());
        Ok(Sample { encoding, label })
    }
}
