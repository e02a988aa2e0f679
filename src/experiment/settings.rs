//! The settings of an experiment.
//!
//! Input: a JSON file, whose fields are explained in `docs/results.md`. Output: checked settings.
//! An optional field that is missing takes the library's default. This module must never ignore an
//! unknown field, because a mistyped one would change what is measured.

use polygraft::console::file;
use polygraft::error::ResultExt;
use polygraft::language::Language;
use polygraft::rehearsal::Limits;
use polygraft::update::{GateOptions, StrategyKind, UpdateOptions};
use polygraft::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path};

/// The largest settings file, in bytes.
const SIZE_BYTES_MAX: u64 = 1 << 20;
/// Bounds that stop a mistyped count from running for a year.
const COUNT_MAX: usize = 100_000;
const STAGES_MAX: usize = 1_000;

/// One experiment: a base, stages of updates, and what to compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The name in results.
    pub name: String,
    /// The name of the data set in results.
    pub dataset: String,
    /// The folder of the data set, below one of the folders of `--data`.
    pub data: String,
    /// The languages that are trained, measured and counted.
    pub languages: Vec<Language>,
    /// The number of test examples that each language is scored on.
    pub test_examples_per_language: usize,
    /// Takes held-out examples from the split `dev` only and training examples from `train` only;
    /// otherwise both come from both.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_out_from_dev: bool,
    /// Allows a language that has fewer examples than wanted to use all it has, with at least one
    /// for the test; otherwise that is an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fewer_allowed: bool,
    /// The training data and options of the base.
    pub base: Base,
    /// The updates in their order.
    pub stages: Vec<Stage>,
    /// The training options of every update.
    pub update: Training,
    /// The limits of the earlier data that an update may use.
    pub rehearsal: RehearsalBounds,
    /// The gate's options when it is on.
    #[serde(default)]
    pub gate: Gate,
    /// The options of the strategy `uriel`.
    #[serde(default)]
    pub uriel: Uriel,
    /// The strategies by name; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategies: Option<Vec<String>>,
    /// Whether the gate is on; both when absent.
    #[serde(default = "both", skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<bool>,
    /// The seeds, with one run each; a seed also selects the examples.
    pub seeds: Vec<u64>,
}

fn both() -> Vec<bool> {
    vec![false, true]
}

/// The base: one adapter for all languages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Training examples in each language.
    pub examples_per_language: usize,
    /// Held-out examples in each language, which the gate of the updates measures on.
    pub held_out_per_language: usize,
    /// The training options of the base.
    pub training: Training,
    /// Rank of the adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora_rank: Option<usize>,
    /// The modules that the adapter attaches to, as in `--targets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora_targets: Option<Vec<String>>,
    /// Numerator of the adapter's scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora_alpha: Option<f64>,
}

/// One update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The languages with new data.
    pub languages: Vec<Language>,
    /// New training examples in each of them.
    pub examples_per_language: usize,
    /// New held-out examples in each of them.
    #[serde(default)]
    pub held_out_per_language: usize,
    /// Examples in each of them that nothing else may use, of which the first
    /// `examples_per_language` are the new ones: settings that differ in that number alone share
    /// their base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_per_language: Option<usize>,
    /// The share of the new training examples that get another label, drawn at random: an update
    /// that should not be activated. Only for classification.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wrong_labels_share: f64,
}

fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

/// Training options; an absent one takes the library's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the examples.
    pub epochs: f64,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Examples of one optimiser step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Factor on the learning rate of the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_rate_factor: Option<f64>,
    /// The fraction of all steps in which the learning rate rises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_fraction: Option<f64>,
    /// Decoupled weight decay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Rehearsed examples per new example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal_ratio: Option<f64>,
    /// How much the outputs of the starting version count for rehearsed examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distillation: Option<f64>,
}

/// The bounds of the rehearsal buffer, after the base and after every stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsalBounds {
    /// Training examples per language.
    pub examples_per_language_max: usize,
    /// Held-out examples per language.
    pub held_out_per_language_max: usize,
    /// The percentage of examples that are held out.
    pub held_out_percent: u8,
}

/// Options of `uriel`; an absent one takes the library's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uriel {
    /// The name of the distance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<String>,
    /// The distance at which a language still gets 37 % of the delta of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The largest number of languages that one language learns from; 0 sets no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<usize>,
    /// `combine` or `sample`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<String>,
}

/// Options of the gate; an absent one takes the library's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The loss of score that still counts as not worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// One-sided confidence of the bound that is compared with the margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

impl Setting {
    /// Reads and checks a settings file.
    pub fn read(path: &Path) -> Result<Self> {
        let place = || path.display().to_string();
        let text = file::read(path, SIZE_BYTES_MAX)?;
        if text.len() as u64 > SIZE_BYTES_MAX {
            let what = format!("expected at most {SIZE_BYTES_MAX} bytes, found more");
            return Err(invalid(&what)).context(place);
        }
        let setting: Self = serde_json::from_slice(&text)
            .map_err(|cause| invalid(&cause.to_string()))
            .context(place)?;
        setting.check().context(place)?;
        Ok(setting)
    }

    /// The strategies to compare, in the file's order or the library's.
    pub fn strategies(&self) -> Result<Vec<StrategyKind>> {
        match &self.strategies {
            None => Ok(StrategyKind::ALL.to_vec()),
            Some(names) => names.iter().map(|name| name.parse()).collect(),
        }
    }

    /// The limits of the rehearsal buffer as library options.
    pub fn limits(&self) -> Limits {
        Limits {
            examples_per_language_max: self.rehearsal.examples_per_language_max,
            held_out_per_language_max: self.rehearsal.held_out_per_language_max,
            held_out_percent: self.rehearsal.held_out_percent,
            ..Limits::default()
        }
    }

    /// The options of the base's training. There is no gate, because nothing is served yet; a base
    /// stays in the cache when the gate's defaults change.
    pub fn base_options(&self, seed: u64) -> UpdateOptions {
        let mut options = self.options(&self.base.training, StrategyKind::Naive, seed);
        set(&mut options.lora.rank, self.base.lora_rank);
        set(&mut options.lora.alpha, self.base.lora_alpha);
        set(&mut options.lora.targets, self.base.lora_targets.clone());
        options.gate = GateOptions { enabled: false, margin: 0.0, confidence: 0.5 };
        options
    }

    /// The options of an update.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] for an unknown name of a distance or form of sharing.
    pub fn update_options(
        &self,
        strategy: StrategyKind,
        gate: bool,
        seed: u64,
    ) -> Result<UpdateOptions> {
        let mut options = self.options(&self.update, strategy, seed);
        options.gate = self.gate_options(gate);
        let Uriel { distance, temperature, neighbours, sharing } = &self.uriel;
        set(&mut options.uriel.distance, distance.as_deref().map(str::parse).transpose()?);
        set(&mut options.uriel.temperature, *temperature);
        set(&mut options.uriel.neighbours, *neighbours);
        set(&mut options.uriel.sharing, sharing.as_deref().map(str::parse).transpose()?);
        Ok(options)
    }

    /// The options of the gate, on or off.
    pub fn gate_options(&self, enabled: bool) -> GateOptions {
        let mut gate = GateOptions { enabled, ..GateOptions::default() };
        set(&mut gate.margin, self.gate.margin);
        set(&mut gate.confidence, self.gate.confidence);
        gate
    }

    fn options(&self, training: &Training, strategy: StrategyKind, seed: u64) -> UpdateOptions {
        let mut options = UpdateOptions {
            strategy,
            seed,
            epochs: training.epochs,
            new_labels: true,
            rehearsal: self.limits(),
            ..UpdateOptions::default()
        };
        options.optimizer.learning_rate = training.learning_rate;
        set(&mut options.batch_size, training.batch_size);
        set(&mut options.rehearsal_ratio, training.rehearsal_ratio);
        set(&mut options.distillation, training.distillation);
        set(&mut options.optimizer.head_rate_factor, training.head_rate_factor);
        set(&mut options.optimizer.warmup_fraction, training.warmup_fraction);
        set(&mut options.optimizer.weight_decay, training.weight_decay);
        options
    }

    /// Checks every field against its range.
    pub fn check(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            return Err(invalid("name: expected 1 to 64 letters, digits, '.', '_' and '-'"));
        }
        let is_plain = |part: Component| matches!(part, Component::Normal(_));
        if self.data.is_empty() || !Path::new(&self.data).components().all(is_plain) {
            return Err(invalid("data: expected a folder below --data, such as \"intents\""));
        }
        let languages: BTreeSet<&Language> = self.languages.iter().collect();
        if languages.len() < 2 || languages.len() != self.languages.len() {
            return Err(invalid("languages: expected two or more, each once"));
        }
        if self.stages.is_empty() || self.stages.len() > STAGES_MAX {
            return Err(invalid(&format!("stages: expected 1 to {STAGES_MAX}")));
        }
        for (index, stage) in self.stages.iter().enumerate() {
            let place = format!("stages[{index}]");
            let own: BTreeSet<&Language> = stage.languages.iter().collect();
            if own.is_empty() || own.len() != stage.languages.len() || !own.is_subset(&languages) {
                let expected = "expected some of the setting's languages, each once";
                return Err(invalid(&format!("{place}.languages: {expected}")));
            }
            count(&format!("{place}.examples_per_language"), stage.examples_per_language, 1)?;
            if !(0.0..=1.0).contains(&stage.wrong_labels_share) {
                return Err(invalid(&format!("{place}.wrong_labels_share: expected 0 to 1")));
            }
            count(&format!("{place}.held_out_per_language"), stage.held_out_per_language, 0)?;
            if let Some(reserved) = stage.reserved_per_language {
                let field = format!("{place}.reserved_per_language");
                count(&field, reserved, stage.examples_per_language)?;
            }
        }
        let once = |len: usize, unique: usize| len > 0 && len == unique;
        if !once(self.seeds.len(), self.seeds.iter().collect::<BTreeSet<_>>().len()) {
            return Err(invalid("seeds: expected one or more, each once"));
        }
        if !once(self.gates.len(), self.gates.iter().collect::<BTreeSet<_>>().len()) {
            return Err(invalid("gates: expected false, true or both"));
        }
        let named: Vec<&str> = self.strategies()?.iter().map(|kind| kind.name()).collect();
        if !once(named.len(), named.iter().collect::<BTreeSet<_>>().len()) {
            return Err(invalid("strategies: expected one or more, each once"));
        }
        self.check_options()
    }

    fn check_options(&self) -> Result<()> {
        count("test_examples_per_language", self.test_examples_per_language, 1)?;
        count("base.examples_per_language", self.base.examples_per_language, 1)?;
        count("base.held_out_per_language", self.base.held_out_per_language, 0)?;
        self.base_options(0).validate().context(|| "base.training")?;
        let update = self.update_options(StrategyKind::Naive, true, 0).context(|| "uriel")?;
        update.validate().context(|| "update")
    }
}

fn set<T>(option: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *option = value;
    }
}

fn count(field: &str, found: usize, least: usize) -> Result<()> {
    if (least..=COUNT_MAX).contains(&found) {
        return Ok(());
    }
    Err(invalid(&format!("{field}: expected {least} to {COUNT_MAX}, found {found}")))
}

fn invalid(what: &str) -> Error {
    Error::new(Code::ArgumentInvalid, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_committed_setting_is_valid_and_named_like_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cml");
        let mut found = 0;
        for entry in std::fs::read_dir(folder).expect("the settings").flatten() {
            let path = entry.path();
            let setting = Setting::read(&path).expect("a valid setting");
            assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&*setting.name));
            // Many updates are expensive, so they are measured on fewer languages.
            let is_cheap = setting.stages.len() == 1 && !setting.name.contains("small");
            let languages_min = if is_cheap { 30 } else { 12 };
            assert!(setting.languages.len() >= languages_min, "{}", setting.name);
            // A mean over one seed has no standard deviation.
            assert!(setting.seeds.len() >= 2, "{}", setting.name);
            found += 1;
        }
        assert!(found >= 5, "{found} settings");
    }
}
