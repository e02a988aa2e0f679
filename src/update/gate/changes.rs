//! Paired changes: how a candidate does on the selection examples, compared with the active
//! version.
//!
//! Where a task has probabilities, the change of an example is that of the calibrated probability
//! of its target. It has a smaller variance than the change from wrong to right, so fewer examples
//! are needed. Training also makes a model more certain of everything, right or wrong, which raises
//! the mean probability and improves no output. The log-odds of a candidate are therefore divided
//! by how much sharper they are than those of the active version, which is temperature scaling (Guo
//! et al., arXiv 1706.04599) with the active version as the reference. This module must never
//! decide anything.

use super::posterior::Measurement;
use crate::evaluation::ExampleScore;

/// Added as examples of unchanged sharpness, so that a few examples cannot set the temperature.
const SHARPNESS_EXAMPLES: f64 = 20.0;
/// Log-odds beyond this say nothing more; single precision ends there.
const LOG_ODDS_MAX: f64 = 12.0;
/// The weight of the assumed variance against that of all languages, in examples.
const ASSUMED_EXAMPLES: f64 = 4.0;
/// The variance of a change that is assumed before any was seen: half of it is a changed answer in
/// every 12 examples.
pub const ASSUMED_VARIANCE: f64 = 0.04;
/// The weight of the variance of all languages against that of one language, in examples.
const POOLED_EXAMPLES: f64 = 8.0;

/// The scores of the active version and of a candidate on the same examples of one language.
pub type Pair<'a> = (&'a [ExampleScore], &'a [ExampleScore]);

/// The mean change of each language by candidates of the same kind, with the variance of its error.
pub fn measurements(pairs: &[Pair<'_>]) -> Vec<Measurement> {
    let changes: Vec<Vec<f64>> = changes(pairs);
    let moments: Vec<Moments> = changes.iter().map(|changes| Moments::of(changes)).collect();
    let degrees: f64 = moments.iter().map(|one| (one.count - 1.0).max(0.0)).sum();
    let squares: f64 = moments.iter().map(|one| one.squares).sum();
    let pooled = (squares + ASSUMED_EXAMPLES * ASSUMED_VARIANCE) / (degrees + ASSUMED_EXAMPLES);
    moments.iter().map(|one| one.measurement(pooled)).collect()
}

/// The change of every example.
fn changes(pairs: &[Pair<'_>]) -> Vec<Vec<f64>> {
    let temperature = temperature(pairs);
    let change = |(before, after): (&ExampleScore, &ExampleScore)| match odds(before, after) {
        Some((before, after)) => chance(after / temperature) - chance(before),
        None => f64::from(after.score) - f64::from(before.score),
    };
    let of_one = |(before, after): &Pair<'_>| before.iter().zip(after.iter()).map(change).collect();
    pairs.iter().map(of_one).collect()
}

/// How much sharper the candidates' probabilities are than those of the active versions; 1 where
/// the task has no probabilities.
fn temperature(pairs: &[Pair<'_>]) -> f64 {
    let examples = pairs.iter().flat_map(|(before, after)| before.iter().zip(after.iter()));
    let odds: Option<Vec<_>> = examples.map(|(before, after)| odds(before, after)).collect();
    let odds = odds.unwrap_or_default();
    let before: f64 = odds.iter().map(|(before, _)| before.abs()).sum();
    let after: f64 = odds.iter().map(|(_, after)| after.abs()).sum();
    let unchanged = SHARPNESS_EXAMPLES * before / odds.len().max(1) as f64;
    if before > 0.0 { (after + unchanged) / (before + unchanged) } else { 1.0 }
}

/// The log-odds of the target before and after.
fn odds(before: &ExampleScore, after: &ExampleScore) -> Option<(f64, f64)> {
    Some((log_odds(before.probability?), log_odds(after.probability?)))
}

fn log_odds(probability: f32) -> f64 {
    let probability = f64::from(probability);
    (probability.ln() - (-probability).ln_1p()).clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX)
}

fn chance(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

struct Moments {
    count: f64,
    mean: f64,
    /// The sum of squared differences to the mean.
    squares: f64,
}

impl Moments {
    fn of(changes: &[f64]) -> Self {
        let count = changes.len() as f64;
        let mean = changes.iter().sum::<f64>() / count.max(1.0);
        let squares = changes.iter().map(|change| (change - mean).powi(2)).sum();
        Self { count, mean, squares }
    }

    fn measurement(&self, pooled: f64) -> Measurement {
        let degrees = (self.count - 1.0).max(0.0);
        let variance = (self.squares + POOLED_EXAMPLES * pooled) / (degrees + POOLED_EXAMPLES);
        // Without examples the variance is infinite.
        Measurement { mean: self.mean, variance: variance / self.count }
    }
}
