//! The Rust API.

use super::{Device, Labelled, Outcome, support};
use polygraft::Error;
use polygraft::example::{Example, json};
use polygraft::exchange::{Format, ReadOptions, WriteOptions};
use polygraft::language::Language;
use polygraft::model::{
    Activation, ImportOptions, Model, ModelOptions, PredictOptions, StoreStatistics,
};
use polygraft::rehearsal::Which;
use polygraft::runtime::Engine;
use polygraft::store::{Store, VersionInfo};
use polygraft::update::{self, UpdateOptions};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

pub struct Direct {
    model: Model,
    store: Arc<Store>,
}

fn told(error: Error) -> (i32, String) {
    (error.code().number(), error.to_string())
}

impl Direct {
    fn language(&self, task: &str, tag: &str) -> Outcome<Language> {
        self.store.language(task, tag).map_err(told)
    }
}

/// The name of a version: task, language and number.
fn named(version: &VersionInfo) -> String {
    format!("{} {} {}", version.task, version.language, version.number)
}

impl Device for Direct {
    fn open(bundle: &Path, folder: &Path) -> Outcome<Self> {
        let engine = Engine::open(Some(&support::onnxruntime())).map_err(told)?;
        let store = Arc::new(Store::open(folder).map_err(told)?);
        let model = Model::open(&engine, bundle, &store, &ModelOptions::default()).map_err(told)?;
        Ok(Self { model, store })
    }

    fn teach(&self, task: &str, examples: &[Labelled], gate: bool) -> Outcome<Vec<String>> {
        let mut options = UpdateOptions { seed: 5, steps_max: 4, ..UpdateOptions::default() };
        options.gate.enabled = gate;
        options.lora.targets = vec!["q".into(), "v".into()];
        let mut update = self.model.begin_update(task, options).map_err(told)?;
        for (tag, text, label) in examples {
            let language = Language::parse(tag).map_err(told)?;
            update.add(Example::labelled(language, text, label)).map_err(told)?;
        }
        update.run(&mut |_| ControlFlow::Continue(())).map_err(told)?;
        let report = update.commit().map_err(told)?;
        let line = |entry: &polygraft::report::LanguageReport| {
            let change = entry.chosen_candidate().and_then(|chosen| chosen.change);
            format!(
                "{} v{} {:x} {}",
                entry.language,
                entry.version.unwrap_or(0),
                change.map_or(0, f64::to_bits),
                entry.reason
            )
        };
        Ok(report.languages.iter().map(line).collect())
    }

    fn predict(&self, task: &str, language: &str, text: &str) -> Outcome<String> {
        let language = self.language(task, language)?;
        let options = PredictOptions::default();
        let found = self.model.predict(task, &language, text, &options).map_err(told)?;
        let labels = found.output.labels().expect("labels");
        let (label, bits) = (&labels[0].label, labels[0].probability.to_bits());
        Ok(format!("{label} {bits:x} by {} v{}", found.language, found.version))
    }

    fn versions(&self, task: &str) -> Outcome<Vec<String>> {
        let versions = self.store.versions(Some(task)).map_err(told)?;
        let line = |one: &VersionInfo| {
            let (active, pinned, parent) = (one.active, one.pinned, one.parent.unwrap_or(0));
            format!("{} {} {active} {pinned} {parent}", named(one), one.hash)
        };
        Ok(versions.iter().map(line).collect())
    }

    fn activate(&self, task: &str, language: &str, number: u32) -> Outcome<()> {
        let language = self.language(task, language)?;
        self.store.activate(task, &[(language, number)]).map_err(told)
    }

    fn roll_back(&self, task: &str, language: &str) -> Outcome<u32> {
        let language = self.language(task, language)?;
        self.store.roll_back(task, &language).map(|number| number.unwrap_or(0)).map_err(told)
    }

    fn pin(&self, task: &str, language: &str) -> Outcome<u32> {
        self.store.pin(task, &self.language(task, language)?).map_err(told)
    }

    fn unpin(&self, task: &str, language: &str) -> Outcome<()> {
        self.store.unpin(task, &self.language(task, language)?).map_err(told)
    }

    fn import(&self, task: &str, language: &str, path: &Path, gate: bool) -> Outcome<String> {
        let activation = if gate { Activation::Gated } else { Activation::Always };
        let options = ImportOptions { activation, ..ImportOptions::default() };
        let (language, read) = (Language::parse(language).map_err(told)?, ReadOptions::default());
        let found = self.model.import(task, &language, path, &read, &options).map_err(told)?;
        let reason = found.report.map_or(String::new(), |report| report.reason);
        Ok(format!("v{} {} {reason}", found.version.number, found.version.activated))
    }

    fn export(&self, task: &str, language: &str, number: u32, path: &Path) -> Outcome<()> {
        let (language, to) = (self.language(task, language)?, (Format::Own, path));
        let how = WriteOptions::default();
        self.model.export(task, &language, Some(number), to, &how).map_err(told)
    }

    fn wipe(
        &self,
        task: &str,
        language: Option<&str>,
        label: Option<&str>,
        retire: bool,
    ) -> Outcome<String> {
        let language = language.map(|tag| self.language(task, tag)).transpose()?;
        let label = label.map(str::to_owned);
        let which = Which { language, label, added_before_unix_ms: None };
        let wiped = update::wipe(&self.store, task, &which, retire).map_err(told)?;
        let counts: Vec<_> =
            wiped.examples.iter().map(|(tag, count)| format!("{tag} {count}")).collect();
        let learnt: Vec<_> = wiped.learnt.iter().map(named).collect();
        Ok(format!("{counts:?} {learnt:?} {}", wiped.retired))
    }

    fn remove_versions(&self, task: &str, keep_last: u32) -> Outcome<usize> {
        let removed = self.store.remove_versions(task, None, keep_last as usize);
        removed.map(|removed| removed.len()).map_err(told)
    }

    fn evaluate(&self, task: &str, json_lines: &str) -> Outcome<Vec<String>> {
        let examples = json::parse_all(json_lines, "json_lines").map_err(told)?;
        let proceed = &mut |_, _| ControlFlow::Continue(());
        let scores = self.model.evaluate(task, &examples, proceed).map_err(told)?;
        let line = |one: &polygraft::model::LanguageScore| {
            let metrics = one.evaluation.metrics.iter();
            let metrics: Vec<_> = metrics
                .map(|metric| format!("{} {:x}", metric.name, metric.value.to_bits()))
                .collect();
            let (score, by) = (one.evaluation.score.to_bits(), &one.served_by);
            format!("{} {} {score:x} {by} v{} {metrics:?}", one.language, one.examples, one.version)
        };
        Ok(scores.iter().map(line).collect())
    }

    fn explain(&self, task: &str, language: &str) -> Outcome<Vec<String>> {
        let language = self.language(task, language)?;
        let steps = self.store.snapshot().map_err(told)?.explain(task, &language);
        let line = |step: &polygraft::store::Step| {
            let distance = step.distance.map_or(0, f64::to_bits);
            let (kind, version) = (step.kind as u32, step.version.unwrap_or(0));
            format!("{kind} {} {distance:x} v{version} {}", step.language, step.taken)
        };
        Ok(steps.iter().map(line).collect())
    }

    fn statistics(&self) -> Outcome<Vec<String>> {
        let all = StoreStatistics::of(&self.store).map_err(told)?;
        let versions: usize = all.tasks.iter().map(|task| task.versions_count).sum();
        let first = format!(
            "{} {versions} {} {}",
            all.generation, all.contents_count, all.contents_size_bytes
        );
        let line = |task: &polygraft::model::TaskStatistics| {
            let examples = task.examples.iter();
            let examples: Vec<_> = examples
                .map(|one| {
                    let day = one.oldest_day.map_or(0, |day| u64::from(day) * 86_400_000);
                    let (training, held_out) = (one.training, one.held_out);
                    let (pending, size) = (one.pending, one.size_bytes);
                    format!("{} {training} {held_out} {pending} {size} {day}", one.language)
                })
                .collect();
            format!(
                "{} {} {} {} {} {} {} {} {examples:?}",
                task.task,
                task.languages_count,
                task.versions_count,
                task.active_count,
                task.pinned_count,
                task.versions_size_bytes,
                task.reports_count,
                task.has_checkpoint
            )
        };
        Ok([first].into_iter().chain(all.tasks.iter().map(line)).collect())
    }

    fn verify(&self) -> Outcome<usize> {
        self.store.verify().map(|problems| problems.len()).map_err(told)
    }
}
