//! Figures of the runs: the shares of languages that improve or lose, and by how much.
//!
//! Input: records. Output: rows, one per setting, strategy and gate, each a mean over seeds with
//! its standard deviation. Changes are those of the served test score relative to the base. This
//! module must never measure or round anything.

use crate::run::{Record, StageRecord};
use crate::test_set::{Metrics, Scores};
use polygraft::example::TaskKind;
use polygraft::language::Language;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One row of `cml.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The data set.
    pub dataset: String,
    /// The name of the setting.
    pub setting: String,
    /// The number of consecutive updates.
    pub stages: usize,
    /// The kind of targets, if it is not one label.
    #[serde(default, skip_serializing_if = "is_label")]
    pub kind: TaskKind,
    /// The name of the strategy.
    pub strategy: String,
    /// Whether the gate was on.
    pub gate: bool,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The number of languages.
    pub languages: usize,
    /// The means over seeds.
    #[serde(flatten)]
    pub mean: Figures,
    /// The sample standard deviations over seeds; absent with one seed.
    #[serde(flatten)]
    pub deviations: Option<StandardDeviations>,
    /// The metrics of the kind of targets by name, if there are more than the score.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Change>,
}

/// A metric before and after, each a mean over languages and seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub base_mean: f64,
    pub mean: f64,
}

/// Whether the score is the accuracy of single labels.
pub fn is_label(kind: &TaskKind) -> bool {
    *kind == TaskKind::Classification
}

/// The figures of one run after its last stage, or their means over seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Mean score of the base over languages.
    pub base_mean: f64,
    /// Mean score over languages after the last stage.
    pub mean: f64,
    /// The share of languages that are better than with the base.
    pub improved_share: f64,
    /// The share of languages that are worse.
    pub lost_share: f64,
    /// Sum of the score drops over languages, positive.
    pub loss_total: f64,
    /// Mean change over the languages that had new data.
    pub gain_updated_mean: f64,
    /// The largest drop of one language, positive; 0 when none lost.
    pub worst: f64,
}

/// Sample standard deviations over seeds, each of the figure of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StandardDeviations {
    pub base_mean_sd: f64,
    pub mean_sd: f64,
    pub improved_share_sd: f64,
    pub lost_share_sd: f64,
    pub loss_total_sd: f64,
    pub gain_updated_mean_sd: f64,
    pub worst_sd: f64,
}

/// The figures after one stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The stage, counted from 1.
    pub stage: usize,
    /// The figures relative to the base, means over seeds.
    #[serde(flatten)]
    pub mean: Figures,
}

impl Figures {
    /// Compares scores with those of the base; `updated` are the languages with new data.
    pub fn of(base: &Scores, scores: &Scores, updated: &BTreeSet<&Language>) -> Self {
        let change = |(language, before): (&Language, &f64)| {
            let after = scores.get(language).copied().unwrap_or_default();
            (updated.contains(language), after - before)
        };
        let changes: Vec<(bool, f64)> = base.iter().map(change).collect();
        let share = |which: &dyn Fn(f64) -> bool| {
            let count = changes.iter().filter(|(_, change)| which(*change)).count();
            count as f64 / changes.len() as f64
        };
        let losses = changes.iter().map(|(_, change)| (-change).max(0.0));
        let gains = changes.iter().filter(|(updated, _)| *updated).map(|(_, change)| *change);
        Self {
            base_mean: mean(base.values().copied()),
            mean: mean(scores.values().copied()),
            improved_share: share(&|change| change > 0.0),
            lost_share: share(&|change| change < 0.0),
            loss_total: losses.clone().sum(),
            gain_updated_mean: mean(gains),
            worst: losses.fold(0.0, f64::max),
        }
    }

    /// The figures of a record after stage `index`.
    pub fn after(record: &Record, index: usize) -> Self {
        let stages: &[StageRecord] = record.stages.get(..=index).unwrap_or_default();
        let updated = stages.iter().flat_map(|stage| &stage.updated).collect();
        let scores = stages.last().map_or(&record.base, |stage| &stage.scores);
        Self::of(&record.base, scores, &updated)
    }

    fn all(&self) -> [f64; 7] {
        let Self { base_mean, mean, improved_share, lost_share, .. } = *self;
        let Self { loss_total, gain_updated_mean, worst, .. } = *self;
        [base_mean, mean, improved_share, lost_share, loss_total, gain_updated_mean, worst]
    }

    fn from_all(all: [f64; 7]) -> Self {
        let [base_mean, mean, improved_share, lost_share, loss_total, gain_updated_mean, worst] =
            all;
        Self { base_mean, mean, improved_share, lost_share, loss_total, gain_updated_mean, worst }
    }

    /// The mean of each figure.
    pub fn mean(runs: &[Self]) -> Self {
        Self::from_all(std::array::from_fn(|index| mean(runs.iter().map(|run| run.all()[index]))))
    }

    /// The sample standard deviation of each figure; `None` for a single run.
    pub fn deviations(runs: &[Self]) -> Option<StandardDeviations> {
        if runs.len() < 2 {
            return None;
        }
        let deviation = |index: usize| {
            let middle = mean(runs.iter().map(|run| run.all()[index]));
            let squares = runs.iter().map(|run| (run.all()[index] - middle).powi(2));
            (squares.sum::<f64>() / (runs.len() - 1) as f64).sqrt()
        };
        let [
            base_mean_sd,
            mean_sd,
            improved_share_sd,
            lost_share_sd,
            loss_total_sd,
            gain_updated_mean_sd,
            worst_sd,
        ] = std::array::from_fn(deviation);
        Some(StandardDeviations {
            base_mean_sd,
            mean_sd,
            improved_share_sd,
            lost_share_sd,
            loss_total_sd,
            gain_updated_mean_sd,
            worst_sd,
        })
    }
}

/// The row of the records of one setting, strategy and gate; one record per seed.
pub fn row(dataset: &str, kind: TaskKind, records: &[&Record]) -> Option<Row> {
    let first = records.first()?;
    let stages = first.stages.len();
    let last = stages.checked_sub(1)?;
    let runs: Vec<Figures> = records.iter().map(|record| Figures::after(record, last)).collect();
    Some(Row {
        dataset: dataset.to_owned(),
        setting: first.setting.clone(),
        stages,
        kind,
        strategy: first.strategy.clone(),
        gate: first.gate,
        seeds: records.iter().map(|record| record.seed).collect(),
        languages: first.base.len(),
        mean: Figures::mean(&runs),
        deviations: Figures::deviations(&runs),
        metrics: changes(records),
    })
}

/// Every metric before and after.
fn changes(records: &[&Record]) -> BTreeMap<String, Change> {
    let last = || records.iter().filter_map(|record| record.stages.last());
    let names = records.iter().flat_map(|record| record.base_metrics.values());
    let names: BTreeSet<&String> = names.flat_map(BTreeMap::keys).collect();
    let change = |name: &String| Change {
        base_mean: metric_mean(records.iter().map(|record| &record.base_metrics), name),
        mean: metric_mean(last().map(|stage| &stage.metrics), name),
    };
    names.into_iter().map(|name| (name.clone(), change(name))).collect()
}

/// The mean of one metric over the languages and runs that have it.
fn metric_mean<'a>(runs: impl Iterator<Item = &'a Metrics>, name: &str) -> f64 {
    mean(runs.flat_map(BTreeMap::values).filter_map(|metrics| metrics.get(name).copied()))
}

/// The figures after every stage, for the same records.
pub fn drift(records: &[&Record]) -> Vec<Drift> {
    let stages = records.first().map_or(0, |record| record.stages.len());
    let after = |index: usize| {
        let runs: Vec<Figures> =
            records.iter().map(|record| Figures::after(record, index)).collect();
        Drift { stage: index + 1, mean: Figures::mean(&runs) }
    };
    (0..stages).map(after).collect()
}

/// The mean of some numbers; 0 if there are none.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    polygraft::task::mean(values).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(values: [f64; 4]) -> Scores {
        let tags = ["de", "fi", "hi", "tr"].map(|tag| Language::parse(tag).expect("a tag"));
        tags.into_iter().zip(values).collect()
    }

    #[test]
    fn figures_match_a_hand_count() {
        let base = scores([0.5, 0.75, 0.25, 1.0]);
        let after = scores([0.75, 0.5, 0.25, 0.875]);
        let german = Language::parse("de").expect("a tag");
        let finnish = Language::parse("fi").expect("a tag");
        let figures = Figures::of(&base, &after, &BTreeSet::from([&german, &finnish]));
        let expected = Figures {
            base_mean: 0.625,
            mean: 0.59375,
            improved_share: 0.25,
            lost_share: 0.5,
            loss_total: 0.375,
            gain_updated_mean: 0.0,
            worst: 0.25,
        };
        assert_eq!(figures, expected);
    }

    #[test]
    fn seeds_are_averaged_with_their_deviations() {
        let run = |mean| Figures { mean, ..Figures::default() };
        let runs = [run(0.5), run(0.75), run(1.0)];
        assert_eq!(Figures::mean(&runs).mean, 0.75);
        assert_eq!(Figures::deviations(&runs).map(|one| one.mean_sd), Some(0.25));
        assert_eq!(Figures::deviations(&runs[..1]), None);
    }
}
