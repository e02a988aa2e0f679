//! The base of an experiment: a store with versions of all languages, trained once and cached.
//!
//! Input: a bundle, a setting, data and a seed. Output: a finished store in the cache. Every run
//! works on a copy of it, so all strategies start from the same bytes. The rehearsal buffer is cut
//! to the setting's bounds from the start, so the rest of the base's training data is not available
//! later.

use crate::cache::{self, Key};
use crate::experiment::{Experiment, TASK};
use crate::timing::Timing;
use polygraft::Result;
use polygraft::console::progress::Meter;
use polygraft::example::Example;
use polygraft::store::Store;
use polygraft::update::Update;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A base in the cache.
pub struct Base {
    folder: PathBuf,
    /// Its key in the cache.
    pub name: String,
    /// The numbers of its training.
    pub training: BaseTraining,
}

/// The numbers of a base's training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BaseTraining {
    /// Optimiser steps.
    pub steps: usize,
    /// Training examples of all languages.
    pub examples: usize,
    /// Mean loss of the first tenth of the steps.
    pub loss_first: f64,
    /// Mean loss of the last tenth of the steps.
    pub loss_last: f64,
    /// Time by phase.
    pub timing: Timing,
}

const STORE: &str = "store";
const RECORD: &str = "base.json";

impl Base {
    /// The base of one seed: from the cache, or trained now.
    pub fn open(
        experiment: &Experiment<'_>,
        examples: &[Example],
        seed: u64,
        meter: &mut Meter,
    ) -> Result<Self> {
        let setting = experiment.setting;
        let key = Key::new("base 2")
            .with(experiment.predictor.bundle().backbone_hash())
            .with_json(&experiment.predictor.bundle().manifest())?
            .with_examples(examples.iter())?
            .with(format!("{:?}", setting.base_options(seed)))
            .with(format!("{} threads, {:?}", experiment.threads, experiment.mode));
        let name = key.name();
        let folder = experiment.cache.join(format!("base-{name}"));
        if let (false, Some(training)) = (experiment.fresh, cache::load(&folder.join(RECORD))) {
            return Ok(Self { folder, name, training });
        }
        cache::create_folder(experiment.cache)?;
        let building = tempfile::Builder::new()
            .prefix("building-")
            .tempdir_in(experiment.cache)
            .map_err(|cause| cache::io_write("creating a folder in", experiment.cache, &cause))?;
        let training = train(experiment, &building, examples, seed, meter)?;
        cache::save(&building.path().join(RECORD), &training)?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|cause| cache::io_write("removing", &folder, &cause))?;
        }
        let built = building.keep();
        std::fs::rename(&built, &folder)
            .map_err(|cause| cache::io_write("renaming", &built, &cause))?;
        Ok(Self { folder, name, training })
    }

    /// The base's own store, which must only be read.
    pub fn store(&self) -> Result<Store> {
        Store::open(&self.folder.join(STORE))
    }

    /// A copy of the store that may be changed; dropping the folder removes it.
    pub fn copy(&self, experiment: &Experiment<'_>) -> Result<(TempDir, Arc<Store>)> {
        let copy = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(experiment.cache)
            .map_err(|cause| cache::io_write("creating a folder in", experiment.cache, &cause))?;
        let folder = copy.path().join(STORE);
        cache::copy_folder(&self.folder.join(STORE), &folder)?;
        let store = Arc::new(Store::open(&folder)?);
        Ok((copy, store))
    }
}

fn train(
    experiment: &Experiment<'_>,
    building: &TempDir,
    examples: &[Example],
    seed: u64,
    meter: &mut Meter,
) -> Result<BaseTraining> {
    let store = Arc::new(Store::open(&building.path().join(STORE))?);
    let options = experiment.equip(experiment.setting.base_options(seed));
    let mut update = Update::begin(experiment.predictor.clone(), store, TASK, options)?;
    for example in examples {
        update.add(example.clone())?;
    }
    let title = format!("{} seed {seed} base", experiment.setting.name);
    let mut timing = Timing::default();
    update.run(&mut |progress| timing.show(meter, &title, progress))?;
    timing.finish();
    let report = update.commit()?;
    Ok(BaseTraining {
        steps: report.training.steps,
        examples: report.training.examples_new,
        loss_first: report.training.loss_first,
        loss_last: report.training.loss_last,
        timing,
    })
}
