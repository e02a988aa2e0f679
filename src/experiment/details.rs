//! The results of a setting as they are written to `details.json`. Nothing is measured here.

use crate::base::BaseTraining;
use crate::metrics::{self, Drift, Row};
use crate::run::Record;
use crate::settings::Setting;
use polygraft::example::TaskKind;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// All results of one setting.
#[derive(Serialize)]
pub struct Details {
    /// The setting as it was run, with the changes of the command line.
    pub setting: Setting,
    /// The kind of targets, if it is not one label.
    #[serde(skip_serializing_if = "metrics::is_label")]
    pub kind: TaskKind,
    /// The hash of the data files.
    pub data: String,
    /// Threads of a run of the model; 0 takes all cores.
    pub threads: usize,
    /// The base and the examples of every seed.
    pub seeds: Vec<SeedDetails>,
    /// Every run, language by language.
    pub runs: Vec<Record>,
    /// The figures after each stage, means over seeds.
    pub drift: Vec<DriftDetails>,
}

/// The starting point of the runs of one seed.
#[derive(Serialize)]
pub struct SeedDetails {
    /// The seed.
    pub seed: u64,
    /// How the base was trained.
    pub base: BaseTraining,
    /// The ids by purpose, for data sets that have ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ids: BTreeMap<String, BTreeSet<String>>,
}

/// The figures of a strategy over the stages.
#[derive(Serialize)]
pub struct DriftDetails {
    /// The name of the strategy.
    pub strategy: String,
    /// Whether the gate was on.
    pub gate: bool,
    /// One entry per stage.
    pub stages: Vec<Drift>,
}

/// The runs of one setting by strategy and gate, in the order in which they ran.
pub fn groups(runs: &[Record]) -> Vec<Vec<&Record>> {
    let mut groups: Vec<Vec<&Record>> = Vec::new();
    for run in runs {
        let same = |other: &&Record| other.strategy == run.strategy && other.gate == run.gate;
        match groups.iter_mut().find(|group| group.first().is_some_and(same)) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

/// The rows of one setting.
pub fn rows(setting: &Setting, kind: TaskKind, runs: &[Record]) -> Vec<Row> {
    groups(runs).iter().filter_map(|group| metrics::row(&setting.dataset, kind, group)).collect()
}

/// The drift of one setting.
pub fn drift(runs: &[Record]) -> Vec<DriftDetails> {
    let details = |group: &Vec<&Record>| {
        let first = group.first()?;
        let (strategy, gate) = (first.strategy.clone(), first.gate);
        Some(DriftDetails { strategy, gate, stages: metrics::drift(group) })
    };
    groups(runs).iter().filter_map(details).collect()
}
