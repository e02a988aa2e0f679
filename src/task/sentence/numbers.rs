//! A number: similarity, grade, rating.

use super::{TARGETS, WEIGHT, encode, logits, score};
use crate::adapter::{Adapter, HeadName, NumberScale};
use crate::bundle::Bundle;
use crate::error::Result;
use crate::example::{Input, Number, Target, TaskKind};
use crate::graph::{Builder, GraphProto};
use crate::runtime::Value;
use crate::task::heads::{self, LOGITS};
use crate::task::{
    AnswerOptions, Encoded, EncodedTarget, Given, LoadedAdapter, Metric, Predictor, Sample, Task,
    Totals, finite, wrong_answer,
};

/// The name of the head's one output.
pub const VALUE_LABEL: &str = "value";

/// The task of answers of the kind number.
pub struct Numbers;

impl Task for Numbers {
    fn kind(&self) -> TaskKind {
        TaskKind::Regression
    }

    fn heads(&self) -> &'static [HeadName] {
        &[HeadName::Labels]
    }

    fn encode(&self, bundle: &Bundle, input: &Input) -> Result<Encoded> {
        encode(bundle, input)
    }

    /// `weight * sum((logits - targets)^2)`, in the scale of the head.
    fn add_loss(&self, graph: &mut GraphProto, _bundle: &Bundle) -> Result<()> {
        heads::declare_targets(graph, TARGETS, &["batch", "labels"]);
        heads::declare_targets(graph, WEIGHT, &[]);
        let mut builder = Builder::new(graph, "polygraft/number/");
        let error = builder.node("Sub", &[LOGITS, TARGETS], vec![]);
        let square = builder.node("Mul", &[&error, &error], vec![]);
        let total = heads::sum(&mut builder, &square);
        let loss = builder.node("Mul", &[&total, WEIGHT], vec![]);
        heads::set_loss(graph, &loss);
        Ok(())
    }

    fn target(
        &self,
        _bundle: &Bundle,
        adapter: &Adapter,
        _input: &Encoded,
        answer: &Target,
    ) -> Result<EncodedTarget> {
        match answer {
            Target::Regression(Number(value)) => {
                let NumberScale { mean, standard_deviation } = scale(adapter);
                Ok(EncodedTarget::Regression(((value - mean) / standard_deviation) as f32))
            }
            other => Err(wrong_answer(self.kind(), other)),
        }
    }

    fn target_values(
        &self,
        _adapter: &Adapter,
        samples: &[&Sample],
        totals: &Totals,
    ) -> Result<Vec<(&'static str, Value)>> {
        let target = |sample: &&Sample| match sample.target {
            EncodedTarget::Regression(value) => value,
            _ => 0.0,
        };
        let targets = samples.iter().map(target).collect();
        Ok(vec![
            (TARGETS, Value::f32(&[samples.len(), 1], targets)?),
            (WEIGHT, Value::f32(&[], vec![totals.sample_weight()])?),
        ])
    }

    fn answer(
        &self,
        predictor: &Predictor,
        inputs: &[&Encoded],
        adapter: &LoadedAdapter,
        options: &AnswerOptions<'_>,
    ) -> Result<Vec<Given>> {
        let rows = logits(predictor, inputs, adapter, options)?;
        let NumberScale { mean, standard_deviation } = scale(adapter.adapter());
        let given = rows.iter().zip(inputs).map(|(row, input)| {
            let number = row.first().map(|output| mean + standard_deviation * f64::from(*output));
            number.map_or(Ok(()), |number| finite::check_number("numbers", number))?;
            let truncated = input.encoding.truncated;
            Ok(Given { kind: self.kind(), number, truncated, ..Given::default() })
        });
        given.collect()
    }

    /// `1 - |error| / standard deviation`, at least 0.
    fn score(&self, adapter: &Adapter, given: &Given, expected: &Target) -> f32 {
        let (Some(given), Target::Regression(Number(expected))) = (given.number, expected) else {
            return 0.0;
        };
        (1.0 - (given - expected).abs() / scale(adapter).standard_deviation).max(0.0) as f32
    }

    fn metrics(&self, _adapter: &Adapter, given: &[Given], expected: &[Target]) -> Vec<Metric> {
        let pair = |(expected, given): (&Target, &Given)| match (expected, given.number) {
            (Target::Regression(Number(expected)), Some(given)) => Some((*expected, given)),
            _ => None,
        };
        let pairs: Vec<(f64, f64)> = expected.iter().zip(given).filter_map(pair).collect();
        Metric::known([
            ("spearman", score::spearman(&pairs)),
            ("mean_error", score::mean_error(&pairs)),
        ])
    }
}

fn scale(adapter: &Adapter) -> NumberScale {
    adapter.scale.unwrap_or(NumberScale { mean: 0.0, standard_deviation: 1.0 })
}

/// The scale of a new head: the mean and the standard deviation of the numbers it begins with.
pub fn scale_of(numbers: impl Iterator<Item = f64> + Clone) -> NumberScale {
    let count = numbers.clone().count().max(1) as f64;
    let mean = numbers.clone().sum::<f64>() / count;
    let variance = numbers.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let standard_deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    NumberScale { mean, standard_deviation }
}
