//! Compares gradients with finite differences of the forward pass.
//!
//! The derivative along one entry is computed from four runs by the five-point stencil `(8 (f(h) -
//! f(-h)) - (f(2h) - f(-2h))) / 12h`, whose error falls with the fourth power of `h` (Abramowitz
//! and Stegun 25.3.6). Runs compute in float32, so a difference of outputs contains rounding
//! errors. It is summed against the cotangent in double precision, and the tolerance allows for the
//! remaining rounding and for kinks, of which models with ReLU have many: a step across one
//! measures the mean of two slopes. An entry agrees when
//!
//! `|difference - gradient| <= 0.01 * largest + rounding / h + bend + scatter`,
//! `largest`: the largest gradient compared in the tensor,
//! `rounding = 16 * 2^-24 * |output * cotangent|`,
//! `bend = |f(2h) - 2 f(0) + f(-2h)| / 4h`,
//! `scatter = |(f(h) - f(-h)) / 2h - (f(2h) - f(-2h)) / 4h|`,
//!
//! where every output may be off by 16 units in its last place, independently of the others. Some
//! graphs are off by more; then the differences over one and over two steps do not agree either.
//! `h` is as small as rounding allows: `rounding / h` is half a percent of the tensor's largest
//! gradient, with `h` from 0.0001 to 0.01. A tensor whose largest gradient is below ten times
//! `rounding / h` is reported as too small to tell, not as correct.
//!
//! Where a node between tensor and output rounds, such as a quantisation, an entry that does not
//! agree shows the rounding step and not a wrong gradient; the verdict then says that differences
//! cannot judge. This module must never report an undecidable gradient as correct.

use super::{Found, Gradients};
use crate::adapter::Tensor;
use crate::error::Result;
use crate::runtime::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How gradients are compared.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The number of entries compared per tensor: the one with the largest gradient, and random
    /// others.
    pub entries_max: usize,
    /// The seed of the random choice.
    pub seed: u64,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { entries_max: 3, seed: 0 }
    }
}

/// The result of comparing one tensor.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The tensor's name.
    pub tensor: String,
    /// The number of entries compared.
    pub entries: usize,
    /// The Euclidean norm of the whole gradient.
    pub gradient_norm: f64,
    /// The largest absolute gradient among the entries compared.
    pub largest: f64,
    /// The difference between gradient and finite difference, of the entry with the largest ratio
    /// of difference to tolerance.
    pub difference: f64,
    /// The tolerance for the same entry.
    pub tolerance: f64,
    /// The verdict.
    pub verdict: Verdict,
}

named! {
    /// Whether gradients and finite differences agree.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Verdict {
        /// Every entry agrees, and wrong gradients would have differed.
        Agrees = "agrees",
        /// The gradients are so small that rounding hides whether they are correct.
        TooSmall = "too small to tell",
        /// An entry differs by more than the tolerance.
        Differs = "differs",
        /// An entry differs, but a node between tensor and output rounds, so the difference does
        /// not show a wrong gradient.
        Rounded = "cannot be judged by differences",
    }
}

/// The smallest and largest step for entries of about 1 or less; larger entries take larger steps.
const STEPS: (f64, f64) = (1e-4, 1e-2);
/// The share of the largest gradient that rounding may add to a difference; it decides the step.
const ROUNDING_SHARE: f64 = 0.005;
/// The share of the largest gradient that an entry may differ by.
const RELATIVE: f64 = 0.01;
/// Units in the last place by which each output may be off.
const ROUNDING_ULPS: f64 = 16.0;
/// A gradient is distinguishable from rounding when it is larger by this factor.
const DECISIVE: f64 = 10.0;

/// Compares the gradients that a run at `tensors` computed with finite differences.
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
    let weights = cotangent.as_f32()?;
    let products = found.output.as_f32()?.iter().zip(weights);
    let products: Vec<f64> = products.map(|(y, c)| f64::from(*y) * f64::from(*c)).collect();
    let size = products.iter().map(|product| product * product).sum::<f64>().sqrt();
    let rounding = ROUNDING_ULPS * f64::from(f32::EPSILON) / 2.0 * size;
    let value = products.iter().sum();
    let point = Point { graph, tensors, inputs, cotangent, value, rounding };
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut checked = Vec::with_capacity(found.gradients.len());
    for (name, gradient) in &found.gradients {
        let Some(tensor) = tensors.get(name) else { continue };
        let entries = choose(&gradient.values, options.entries_max, &mut random);
        checked.push(point.check_tensor(name, tensor, gradient, &entries)?);
    }
    Ok(checked)
}

/// The entry with the largest gradient and distinct random others.
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

/// The point at which differences are taken.
struct Point<'a> {
    graph: &'a Gradients,
    tensors: &'a BTreeMap<String, Tensor>,
    inputs: &'a BTreeMap<String, Value>,
    cotangent: &'a Value,
    /// The sum of output times cotangent at this point.
    value: f64,
    /// The rounding error that this sum may have.
    rounding: f64,
}

/// A finite difference.
struct Slope {
    /// The derivative by the five-point stencil.
    value: f64,
    /// The deviation of the slopes on both sides from it.
    bend: f64,
    /// How far apart the central differences over one and over two steps are.
    scatter: f64,
}

impl Point<'_> {
    fn check_tensor(
        &self,
        name: &str,
        tensor: &Tensor,
        gradient: &Tensor,
        entries: &[usize],
    ) -> Result<Checked> {
        let steepest = gradient.values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let step = self.rounding / (ROUNDING_SHARE * f64::from(steepest));
        // With a zero gradient the division gives infinity or NaN, and the largest step is used.
        let step = step.min(STEPS.1).max(STEPS.0) * rms(&tensor.values).max(1.0);
        let floor = self.rounding / step;
        let mut slopes = Vec::with_capacity(entries.len());
        for &entry in entries {
            let found = f64::from(gradient.values[entry]);
            slopes.push((found, self.slope(name, tensor, entry, step)?));
        }
        let sizes = slopes.iter().map(|(found, slope)| found.abs().max(slope.value.abs()));
        let largest = sizes.fold(0.0, f64::max);
        let mut checked = Checked {
            tensor: name.to_owned(),
            entries: entries.len(),
            gradient_norm: norm(&gradient.values),
            largest,
            difference: 0.0,
            tolerance: RELATIVE * largest + floor,
            verdict: if largest < DECISIVE * floor { Verdict::TooSmall } else { Verdict::Agrees },
        };
        let rounded = self.graph.is_rounded(name);
        for (found, slope) in slopes {
            let apart = (found - slope.value).abs();
            // NaN must not vanish in a comparison.
            let apart = if apart.is_finite() { apart } else { f64::INFINITY };
            // Rounding bends every slope; agreement within that bend would prove nothing.
            let uncertain = if rounded { 0.0 } else { slope.bend + slope.scatter };
            let tolerance = RELATIVE * largest + floor + uncertain;
            if apart > tolerance {
                checked.verdict = if rounded { Verdict::Rounded } else { Verdict::Differs };
            }
            if apart * checked.tolerance > checked.difference * tolerance {
                (checked.difference, checked.tolerance) = (apart, tolerance);
            }
        }
        Ok(checked)
    }

    /// The derivative along one entry, by the five-point stencil.
    fn slope(&self, name: &str, tensor: &Tensor, entry: usize, step: f64) -> Result<Slope> {
        let value = tensor.values[entry];
        let mut moved = self.tensors.clone();
        let (mut near, mut far, mut outer) = (0.0, 0.0, 0.0);
        // The steps that float32 takes differ slightly from the requested ones.
        let up = (f64::from(value) + step) as f32;
        let step = f64::from(up) - f64::from(value);
        for factor in [1.0, -1.0, 2.0, -2.0] {
            let mut values = tensor.values.to_vec();
            values[entry] = (f64::from(value) + factor * step) as f32;
            let shape = tensor.shape.clone();
            moved.insert(name.to_owned(), Tensor { shape, values: Arc::from(values) });
            let output = self.graph.output(&moved, self.inputs, self.cotangent)?;
            let products = output.as_f32()?.iter().zip(self.cotangent.as_f32()?);
            let value = products.map(|(y, c)| f64::from(*y) * f64::from(*c)).sum::<f64>();
            if factor.abs() > 1.0 {
                far += value * factor.signum();
                outer += value - self.value;
            } else {
                near += value * factor;
            }
        }
        Ok(Slope {
            value: (8.0 * near - far) / (12.0 * step),
            bend: outer.abs() / (4.0 * step),
            scatter: (near / (2.0 * step) - far / (4.0 * step)).abs(),
        })
    }
}

/// The Euclidean norm.
pub fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// The root mean square; 0 without values.
fn rms(values: &[f32]) -> f64 {
    norm(values) / (values.len().max(1) as f64).sqrt()
}
