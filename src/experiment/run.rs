//! One run: the stages of updates with one strategy and one seed, with the gate off and on.
//!
//! Input: a base. Output: a cached [`Record`] per gate. With one stage, the strategy trains once
//! and is judged with the gate off and on. With several stages, the gate's decisions change the
//! start of the next stage, so each gate setting has its own chain of stages on its own copy of the
//! base. This module must never let two gate settings share a store.

use crate::base::Base;
use crate::cache::{self, Key};
use crate::evidence;
use crate::experiment::{Experiment, TASK};
use crate::test_set::{self, Evaluations, Metrics, Scores, Serving, TestSet};
use crate::timing::Timing;
use polygraft::console::progress::Meter;
use polygraft::error::ResultExt;
use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::report::{Decision, LanguageReport, Report};
use polygraft::store::{ObjectHash, Store};
use polygraft::update::{StrategyKind, Update};
use polygraft::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The results of one strategy with one gate and one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The name of the setting.
    pub setting: String,
    /// The name of the strategy.
    pub strategy: String,
    /// Whether the gate was on.
    pub gate: bool,
    /// The seed of training and of the selection of examples.
    pub seed: u64,
    /// The mean score of the base on the test examples of each language.
    pub base: Scores,
    /// Its metrics; absent when the score is the only one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub base_metrics: Metrics,
    /// The results of each stage.
    pub stages: Vec<StageRecord>,
}

/// The results of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The languages with new data.
    pub updated: Vec<Language>,
    /// The languages in which the stage activated a version.
    pub activated: Vec<Language>,
    /// The mean score of the version that serves each language after the stage.
    pub scores: Scores,
    /// Its metrics; absent when the score is the only one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: Metrics,
    /// What the gate stated about the chosen candidate of each language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub estimates: BTreeMap<Language, Stated>,
    /// New training examples.
    pub examples_new: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Time by phase.
    pub timing: Timing,
}

/// What the gate stated about the chosen candidate of a language, before it was tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stated {
    /// The kind and strength of the candidate.
    pub candidate: String,
    /// The expected change in score.
    pub change: f64,
    /// The lower bound of the change with the gate's confidence.
    pub lower_bound: f64,
    /// The upper bound with the same confidence.
    pub upper_bound: f64,
    /// The chance that the candidate is worse.
    pub loss_chance: f64,
}

impl Stated {
    fn of(entry: &LanguageReport) -> Option<Self> {
        let chosen = entry.chosen_candidate()?;
        Some(Self {
            candidate: chosen.name(),
            change: chosen.change?,
            lower_bound: chosen.lower_bound?,
            upper_bound: chosen.upper_bound?,
            loss_chance: chosen.loss_chance?,
        })
    }
}

/// A strategy and a seed on a base.
pub struct Run<'a> {
    pub experiment: &'a Experiment<'a>,
    pub base: &'a Base,
    pub base_evaluations: &'a Evaluations,
    pub stages: &'a [Vec<Example>],
    pub strategy: StrategyKind,
    pub seed: u64,
}

impl Run<'_> {
    /// The records of all wanted gates: from the cache, or measured now.
    pub fn records(&self, test_set: &mut TestSet, meter: &mut Meter) -> Result<Vec<Record>> {
        let gates = &self.experiment.setting.gates;
        let mut known = BTreeMap::new();
        for gate in gates {
            let path = self.path(*gate)?;
            let is_fresh = self.experiment.fresh || self.experiment.evidence.is_some();
            if let (false, Some(record)) = (is_fresh, cache::load::<Record>(&path)) {
                known.insert(*gate, record);
            }
        }
        let missing: Vec<bool> =
            gates.iter().copied().filter(|gate| !known.contains_key(gate)).collect();
        let chains: Vec<&[bool]> = match self.stages.len() {
            1 => vec![&missing],
            _ => missing.chunks(1).collect(),
        };
        for gates in chains.into_iter().filter(|gates| !gates.is_empty()) {
            for record in self.chain(gates, test_set, meter)? {
                cache::save(&self.path(record.gate)?, &record)?;
                known.insert(record.gate, record);
            }
        }
        Ok(gates.iter().filter_map(|gate| known.remove(gate)).collect())
    }

    /// The path of one gate's record.
    fn path(&self, gate: bool) -> Result<PathBuf> {
        let setting = self.experiment.setting;
        let options =
            self.experiment.equip(setting.update_options(self.strategy, gate, self.seed)?);
        let name = Key::new("run 3")
            .with(self.experiment.program.as_bytes())
            .with(&self.base.name)
            .with(&setting.name)
            .with(format!("{options:?}"))
            .with_json(&self.stages.iter().map(Vec::len).collect::<Vec<_>>())?
            .with_examples(self.stages.iter().flatten())?
            .with_json(self.base_evaluations)?
            .name();
        Ok(self.experiment.cache.join("runs").join(format!("{name}.json")))
    }

    /// Where the evidence of a stage goes, if it is wanted.
    fn evidence_path(&self, gates: &[bool], stage: usize) -> Option<PathBuf> {
        let (folder, setting) = (self.experiment.evidence?, &self.experiment.setting.name);
        let (strategy, seed) = (self.strategy.name(), self.seed);
        let chain = match gates {
            [true] if self.stages.len() > 1 => "-gate",
            _ => "",
        };
        let name = format!("{setting}-{strategy}-{seed}{chain}-{}.json", stage + 1);
        Some(folder.join(name))
    }

    /// Runs all stages. Several gates are possible only with one stage.
    fn chain(
        &self,
        gates: &[bool],
        test_set: &mut TestSet,
        meter: &mut Meter,
    ) -> Result<Vec<Record>> {
        let (_folder, store) = self.base.copy(self.experiment)?;
        let mut records: Vec<Record> = gates.iter().map(|gate| self.record(*gate)).collect();
        for (index, examples) in self.stages.iter().enumerate() {
            let place = || format!("stage {} with {}", index + 1, self.strategy.name());
            let stages =
                self.stage(&store, gates, index, examples, test_set, meter).context(place)?;
            for (record, stage) in records.iter_mut().zip(stages) {
                record.stages.push(stage);
            }
        }
        Ok(records)
    }

    fn record(&self, gate: bool) -> Record {
        Record {
            setting: self.experiment.setting.name.clone(),
            strategy: self.strategy.name().to_owned(),
            gate,
            seed: self.seed,
            base: test_set::scores(self.base_evaluations),
            base_metrics: test_set::metrics(self.experiment.task.kind(), self.base_evaluations),
            stages: Vec::new(),
        }
    }

    /// Trains once, then judges with every gate and scores what it would activate. The last stage
    /// need not be committed.
    fn stage(
        &self,
        store: &Arc<Store>,
        gates: &[bool],
        index: usize,
        examples: &[Example],
        test_set: &mut TestSet,
        meter: &mut Meter,
    ) -> Result<Vec<StageRecord>> {
        let setting = self.experiment.setting;
        let gate = gates.first().copied().unwrap_or_default();
        let options =
            self.experiment.equip(setting.update_options(self.strategy, gate, self.seed)?);
        let predictor = self.experiment.predictor.clone();
        let mut update = Update::begin(predictor, store.clone(), TASK, options)?;
        for example in examples {
            update.add(example.clone())?;
        }
        let title = self.title(index);
        let mut timing = Timing::default();
        update.run(&mut |progress| timing.show(meter, &title, progress))?;
        timing.finish();
        if let Some(path) = self.evidence_path(gates, index) {
            let serving = serving(self.experiment, store)?;
            evidence::write(self.experiment, test_set, &update, &serving, &path)?;
        }
        let mut stages = Vec::new();
        for gate in gates {
            let report = update.judge(setting.gate_options(*gate))?.clone();
            let mut serving = serving(self.experiment, store)?;
            for (adapter, languages) in update.chosen()? {
                let hash = ObjectHash::of(&adapter.adapter().to_bytes()?);
                for language in languages {
                    serve(&mut serving, &setting.languages, language, (hash, adapter.clone()));
                }
            }
            let evaluations = test_set.score(self.experiment, &serving, &title, meter)?;
            stages.push(self.stage_record(index, &report, &evaluations, &timing));
        }
        if index + 1 < self.stages.len() {
            update.commit()?;
        }
        Ok(stages)
    }

    fn stage_record(
        &self,
        index: usize,
        report: &Report,
        evaluations: &Evaluations,
        timing: &Timing,
    ) -> StageRecord {
        let Experiment { setting, task, .. } = self.experiment;
        let updated = setting.stages.get(index).map(|stage| stage.languages.clone());
        let activated =
            report.languages.iter().filter(|entry| entry.decision == Decision::Activate);
        StageRecord {
            updated: updated.unwrap_or_default(),
            activated: activated.map(|entry| entry.language.clone()).collect(),
            estimates: report
                .languages
                .iter()
                .filter_map(|entry| Some((entry.language.clone(), Stated::of(entry)?)))
                .collect(),
            scores: test_set::scores(evaluations),
            metrics: test_set::metrics(task.kind(), evaluations),
            examples_new: report.training.examples_new,
            steps: report.training.steps,
            timing: timing.clone(),
        }
    }

    fn title(&self, index: usize) -> String {
        let stage = match self.stages.len() {
            1 => String::new(),
            count => format!(" stage {} of {count}", index + 1),
        };
        let name = &self.experiment.setting.name;
        format!("{name} seed {} {}{stage}", self.seed, self.strategy.name())
    }
}

/// The version that a store serves for each language of the setting.
pub fn serving(experiment: &Experiment<'_>, store: &Store) -> Result<Serving> {
    let snapshot = store.snapshot()?;
    let mut serving = Serving::new();
    for language in &experiment.setting.languages {
        if let Some((_, version)) = snapshot.resolve(TASK, language) {
            let hash = version.hash;
            let read = || store.read_object(&hash);
            let adapter = experiment.predictor.load_cached(hash.as_bytes(), read)?;
            serving.insert(language.clone(), (hash, adapter));
        }
    }
    Ok(serving)
}

/// Lets an adapter serve `language`. The base has a version for every language, so a version of a
/// shorter tag or of `mul` serves no other language.
fn serve(
    serving: &mut Serving,
    languages: &[Language],
    language: Language,
    adapter: (ObjectHash, Arc<polygraft::inference::LoadedAdapter>),
) {
    if languages.contains(&language) {
        serving.insert(language, adapter);
    }
}

/// Refuses a base without a version for every language.
pub fn check_base(experiment: &Experiment<'_>, store: &Store) -> Result<()> {
    let snapshot = store.snapshot()?;
    let own: BTreeSet<&Language> = snapshot.languages(TASK).collect();
    match experiment.setting.languages.iter().find(|language| !own.contains(language)) {
        None => Ok(()),
        Some(language) => {
            let what = format!("the base has no version of its own in {language}");
            Err(Error::new(Code::Internal, what))
        }
    }
}
