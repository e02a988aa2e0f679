//! Regression: a number, such as a similarity, a grade or a rating.

use super::{TARGETS, WEIGHT, score};
use crate::adapter::{Adapter, NumberScale};
use crate::error::{Code, Error, Result};
use crate::graph::{Builder, GraphProto};
use crate::inference::finite;
use crate::inference::heads::LOGITS;
use crate::runtime::Value;
use crate::task::{Metric, TargetValues, Totals, loss};

/// The name of the head's one output.
pub const VALUE_LABEL: &str = "value";

/// Adds `weight * sum((logits - targets)^2)`, on the scale of the head; returns its name.
pub(in crate::task) fn add_loss(graph: &mut GraphProto) -> String {
    loss::declare_targets(graph, TARGETS, &["batch", "labels"]);
    loss::declare_targets(graph, WEIGHT, &[]);
    let mut builder = Builder::new(graph, "polygraft/number/");
    let error = builder.node("Sub", &[LOGITS, TARGETS], vec![]);
    let square = builder.node("Mul", &[&error, &error], vec![]);
    let total = loss::sum(&mut builder, &square);
    builder.node("Mul", &[&total, WEIGHT], vec![])
}

/// Converts a number to the scale of the head.
pub(in crate::task) fn encode_target(adapter: &Adapter, number: f64) -> f32 {
    let NumberScale { mean, standard_deviation } = scale(adapter);
    ((number - mean) / standard_deviation) as f32
}

/// The targets of samples with these numbers, and the weight of one sample.
pub(in crate::task) fn target_values(numbers: Vec<f32>, totals: &Totals) -> Result<TargetValues> {
    Ok(vec![
        (TARGETS, Value::f32(&[numbers.len(), 1], numbers)?),
        (WEIGHT, Value::f32(&[], vec![totals.sample_weight()])?),
    ])
}

/// Converts the output of the head to a number.
pub(in crate::task) fn decode(adapter: &Adapter, row: &[f32]) -> Result<f64> {
    let NumberScale { mean, standard_deviation } = scale(adapter);
    let output = row.first().ok_or_else(|| Error::new(Code::Internal, "there is no output"))?;
    let number = mean + standard_deviation * f64::from(*output);
    finite::check_number("numbers", number).map(|()| number)
}

/// `1 - |error| / standard deviation`, at least 0.
pub(in crate::task) fn score(adapter: &Adapter, given: f64, expected: f64) -> f32 {
    (1.0 - (given - expected).abs() / scale(adapter).standard_deviation).max(0.0) as f32
}

/// The metrics of pairs of an expected number and the given one.
pub(in crate::task) fn metrics(pairs: &[(f64, f64)]) -> Vec<Metric> {
    Metric::known([("spearman", score::spearman(pairs)), ("mean_error", score::mean_error(pairs))])
}

fn scale(adapter: &Adapter) -> NumberScale {
    adapter.scale.unwrap_or(NumberScale { mean: 0.0, standard_deviation: 1.0 })
}

/// The scale of a new head: the mean and the standard deviation of its first numbers.
pub fn scale_of(numbers: impl Iterator<Item = f64> + Clone) -> NumberScale {
    let count = numbers.clone().count().max(1) as f64;
    let mean = numbers.clone().sum::<f64>() / count;
    let variance = numbers.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let standard_deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    NumberScale { mean, standard_deviation }
}
