//! A setting for a folder of one's own data: `--data DIR --update de,hi`, with no JSON to write.
//!
//! Input: a folder with `train/LANGUAGE.jsonl` and `test/LANGUAGE.jsonl`, perhaps also `dev`, and
//! the languages that get new data. Output: a setting whose sizes follow from the number of lines.
//! This module must never read an example.

use crate::cache;
use crate::settings::{Base, Gate, RehearsalBounds, Setting, Stage, Training, Uriel};
use polygraft::error::ResultExt;
use polygraft::language::Language;
use polygraft::update::StrategyKind;
use polygraft::{Code, Error, Result};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The share of examples that are held out, where there is no split `dev`.
const HELD_OUT_PERCENT: u8 = 30;
/// Passes over the data of the base and of the update.
const EPOCHS: f64 = 4.0;
const LEARNING_RATE: f64 = 1e-3;

/// The setting of a folder, and the folder that the setting's data is below.
///
/// # Errors
/// [`Code::NotFound`] for a folder without the files of two languages or of an updated one;
/// [`Code::IoRead`].
pub fn setting(folder: &Path, updated: &[Language]) -> Result<(Setting, PathBuf)> {
    let folder = folder.canonicalize().map_err(|cause| cache::io_read(folder, &cause))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let languages = languages(&folder)?;
    if let Some(missing) = updated.iter().find(|language| !languages.contains(language)) {
        let what = format!("--update {missing}: expected {}", file("train", missing).display());
        return Err(Error::new(Code::NotFound, what)).context(|| folder.display().to_string());
    }
    let Amounts { has_dev, trained, held_out } = Amounts::of(&folder, &languages, updated)?;
    let training =
        || Training { epochs: EPOCHS, learning_rate: LEARNING_RATE, ..Training::default() };
    // Half of the training examples of an updated language are new, at most 300.
    let stage = Stage {
        languages: updated.to_vec(),
        examples_per_language: trained.clamp(1, 300),
        held_out_per_language: 0,
        reserved_per_language: None,
        wrong_labels_share: 0.0,
    };
    let setting = Setting {
        dataset: name.clone(),
        name: name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect(),
        data: name,
        languages,
        test_examples_per_language: 240,
        held_out_from_dev: has_dev,
        fewer_allowed: true,
        base: Base {
            examples_per_language: trained.clamp(1, 200),
            held_out_per_language: held_out.min(200),
            training: training(),
            lora_rank: None,
            lora_targets: None,
            lora_alpha: None,
        },
        stages: vec![stage],
        update: training(),
        rehearsal: RehearsalBounds {
            examples_per_language_max: 20,
            held_out_per_language_max: 200,
            held_out_percent: HELD_OUT_PERCENT,
        },
        gate: Gate::default(),
        uriel: Uriel::default(),
        strategies: Some(
            [StrategyKind::Naive, StrategyKind::Uriel].map(|one| one.to_string()).into(),
        ),
        gates: vec![false, true],
        seeds: vec![1, 2, 3],
    };
    setting.check().context(|| folder.display().to_string())?;
    Ok((setting, folder.parent().unwrap_or(&folder).to_owned()))
}

/// How many examples of an updated language there are to use.
struct Amounts {
    /// Whether every language has a split `dev`, whose examples are held out.
    has_dev: bool,
    /// Half of those that are not held out.
    trained: usize,
    held_out: usize,
}

impl Amounts {
    /// The amounts that the smallest of the updated languages allows.
    fn of(folder: &Path, languages: &[Language], updated: &[Language]) -> Result<Self> {
        let has_dev = languages.iter().all(|language| folder.join(file("dev", language)).exists());
        let fewest = |split: &str| -> Result<usize> {
            let counts =
                updated.iter().map(|language| count_lines(&folder.join(file(split, language))));
            Ok(counts.collect::<Result<Vec<_>>>()?.into_iter().min().unwrap_or(0))
        };
        let open = fewest("train")?;
        let held_out = if has_dev { fewest("dev")? } else { open * 3 / 10 };
        let trained = (if has_dev { open } else { open - held_out }) / 2;
        Ok(Self { has_dev, trained, held_out })
    }
}

fn file(split: &str, language: &Language) -> PathBuf {
    Path::new(split).join(format!("{language}.jsonl"))
}

/// The languages that have a file in both splits, sorted.
fn languages(folder: &Path) -> Result<Vec<Language>> {
    let train = folder.join("train");
    let entries = fs::read_dir(&train).map_err(|cause| cache::io_read(&train, &cause))?;
    let mut languages: Vec<Language> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".jsonl")?.parse().ok())
        .filter(|language| folder.join(file("test", language)).exists())
        .collect();
    languages.sort();
    if languages.len() < 2 {
        let what = "expected train/LANGUAGE.jsonl and test/LANGUAGE.jsonl of two languages or more";
        let found = format!("{}: {what}, found {}", folder.display(), languages.len());
        return Err(Error::new(Code::NotFound, found));
    }
    Ok(languages)
}

fn count_lines(path: &Path) -> Result<usize> {
    let read = |cause| cache::io_read(path, &cause);
    let lines = BufReader::new(fs::File::open(path).map_err(read)?).split(b'\n');
    lines
        .map(|line| line.map(|line| usize::from(!line.is_empty())))
        .sum::<std::io::Result<_>>()
        .map_err(read)
}
