//! Gradients compared with finite differences of the forward pass.
//!
//! The derivative along one entry is taken from four runs, the five-point stencil
//! `(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h`, whose error falls with the fourth power of `h`
//! (Abramowitz and Stegun 25.3.6). Runs compute in float32, so a difference of outputs carries
//! rounding; it is added up against the cotangent in double precision, and how much of it may
//! remain is part of the tolerance: an entry agrees when
//!
//! `|difference - gradient| <= 0.01 * largest gradient checked of the tensor + rounding`,
//! `rounding = 16 * 2^-24 * |output * cotangent| / h`,
//!
//! which takes every output to be off by 16 units in its last place, independently of the others.
//! A tensor whose largest gradient is below ten times the rounding is reported as too small to
//! tell, not as right.

use super::{Found, Gradients};
use crate::adapter::Tensor;
use crate::error::Result;
use crate::runtime::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How gradients are compared.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Entries compared per tensor: the one with the largest gradient, and others at random.
    pub entries_max: usize,
    /// Which random entries.
    pub seed: u64,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { entries_max: 3, seed: 0 }
    }
}

/// What the comparison of one tensor found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The tensor's name.
    pub tensor: String,
    /// How many entries were compared.
    pub entries: usize,
    /// The Euclidean norm of the whole gradient.
    pub gradient_norm: f64,
    /// The largest gradient, by absolute value, among the entries compared.
    pub largest: f64,
    /// The largest difference between a gradient and its finite difference.
    pub difference: f64,
    /// The largest difference that still agrees.
    pub tolerance: f64,
    /// What follows.
    pub verdict: Verdict,
}

/// Whether gradients and finite differences agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry agrees, and wrong ones would have shown.
    Agrees,
    /// Gradients are so small that rounding hides whether they are right.
    TooSmall,
    /// An entry differs by more than the tolerance.
    Differs,
}

impl Verdict {
    /// The word in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::TooSmall => "too small to tell",
            Self::Differs => "differs",
        }
    }
}

/// Step of a tensor whose entries are about 1 or less; larger ones take a larger step.
const STEP: f64 = 0.01;
/// Part of the largest gradient that an entry may differ by.
const RELATIVE: f64 = 0.01;
/// Units in the last place that each output may be off by.
const ROUNDING_ULPS: f64 = 16.0;
/// A gradient is told from rounding when it is larger by this factor.
const DECISIVE: f64 = 10.0;

/// Compares the gradients that a run at `tensors` found with finite differences.
///
/// # Errors
/// As [`Gradients::run`].
pub fn check(
    graph: &Gradients,
    tensors: &BTreeMap<String, Tensor>,
    inputs: &BTreeMap<String, Value>,
    cotangent: &Value,
    found: &Found,
    options: &CheckOptions,
) -> Result<Vec<Checked>> {
    let point = Point { graph, tensors, inputs, cotangent };
    let weights = cotangent.as_f32()?;
    let products = found.output.as_f32()?.iter().zip(weights);
    let products: f64 = products.map(|(y, c)| (f64::from(*y) * f64::from(*c)).powi(2)).sum();
    let rounding = ROUNDING_ULPS * f64::from(f32::EPSILON) / 2.0 * products.sqrt();
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut checked = Vec::with_capacity(found.gradients.len());
    for (name, gradient) in &found.gradients {
        let Some(tensor) = tensors.get(name) else { continue };
        let entries = choose(&gradient.values, options.entries_max, &mut random);
        checked.push(point.check_tensor(name, tensor, gradient, &entries, rounding)?);
    }
    Ok(checked)
}

/// The entry with the largest gradient and others at random, each once.
fn choose(gradient: &[f32], entries_max: usize, random: &mut fastrand::Rng) -> Vec<usize> {
    let size = |entry: &usize| gradient[*entry].abs();
    let largest = (0..gradient.len()).max_by(|a, b| size(a).total_cmp(&size(b)));
    let mut entries: Vec<usize> = largest.into_iter().take(entries_max).collect();
    let count = entries_max.min(gradient.len());
    while entries.len() < count {
        let entry = random.usize(..gradient.len());
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries
}

/// Where differences are taken.
struct Point<'a> {
    graph: &'a Gradients,
    tensors: &'a BTreeMap<String, Tensor>,
    inputs: &'a BTreeMap<String, Value>,
    cotangent: &'a Value,
}

impl Point<'_> {
    fn check_tensor(
        &self,
        name: &str,
        tensor: &Tensor,
        gradient: &Tensor,
        entries: &[usize],
        rounding: f64,
    ) -> Result<Checked> {
        let step = STEP * rms(&tensor.values).max(1.0);
        let (mut largest, mut difference) = (0.0f64, 0.0f64);
        for &entry in entries {
            let found = f64::from(gradient.values[entry]);
            let expected = self.derivative(name, tensor, entry, step)?;
            largest = largest.max(found.abs()).max(expected.abs());
            // NaN must not vanish in a maximum.
            let apart = (found - expected).abs();
            difference = if apart.is_finite() { difference.max(apart) } else { f64::INFINITY };
        }
        let floor = rounding / step;
        let tolerance = RELATIVE * largest + floor;
        let verdict = match () {
            () if difference > tolerance => Verdict::Differs,
            () if largest < DECISIVE * floor => Verdict::TooSmall,
            () => Verdict::Agrees,
        };
        Ok(Checked {
            tensor: name.to_owned(),
            entries: entries.len(),
            gradient_norm: norm(&gradient.values),
            largest,
            difference,
            tolerance,
            verdict,
        })
    }

    /// The derivative along one entry, by the five-point stencil.
    fn derivative(&self, name: &str, tensor: &Tensor, entry: usize, step: f64) -> Result<f64> {
        let value = tensor.values[entry];
        let mut moved = self.tensors.clone();
        let mut weighted = 0.0;
        // The steps that float32 really takes differ a little from those asked for.
        let up = (f64::from(value) + step) as f32;
        let step = f64::from(up) - f64::from(value);
        for (factor, weight) in [(1.0, 8.0), (-1.0, -8.0), (2.0, -1.0), (-2.0, 1.0)] {
            let mut values = tensor.values.to_vec();
            values[entry] = (f64::from(value) + factor * step) as f32;
            let shape = tensor.shape.clone();
            moved.insert(name.to_owned(), Tensor { shape, values: Arc::from(values) });
            let output = self.graph.output(&moved, self.inputs, self.cotangent)?;
            let products = output.as_f32()?.iter().zip(self.cotangent.as_f32()?);
            weighted += weight * products.map(|(y, c)| f64::from(*y) * f64::from(*c)).sum::<f64>();
        }
        Ok(weighted / (12.0 * step))
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// The root of the mean square; 0 without values.
fn rms(values: &[f32]) -> f64 {
    norm(values) / (values.len().max(1) as f64).sqrt()
}
