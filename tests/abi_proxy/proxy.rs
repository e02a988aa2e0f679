//! The C ABI, called as C calls it: no function of the Rust API is used here.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "one promise before the implementation holds for all of its calls"
)]

use super::from_c::{c, c_path, call, defaults, filled, pointer, view};
use super::{Device, Labelled, Outcome, support};
use polygraft::ffi::engine::{self, EngineHandle, EngineOptions};
use polygraft::ffi::model::{self, ModelHandle};
use polygraft::ffi::store::{self, StoreHandle, VersionEntry, VersionsObject};
use polygraft::ffi::update::{self, UpdateHandle};
use polygraft::ffi::{
    checks, evaluate, example_list, exchange, explain, imported, predict, prediction, report,
    statistics, update_options, wipe,
};
use std::path::Path;
use std::ptr::{null, null_mut};

pub struct Proxy {
    engine: *mut EngineHandle,
    store: *mut StoreHandle,
    model: *mut ModelHandle,
}

/// The versions of a list.
fn entries(list: *const VersionsObject) -> Vec<VersionEntry> {
    // SAFETY: the list is alive.
    let count = unsafe { store::polygraft_versions_count(list) };
    let entry = |index| {
        // SAFETY: the list is alive.
        filled(|it, failure| unsafe { store::polygraft_versions_get(list, index, it, failure) })
    };
    (0..count).map(entry).collect()
}

fn named(version: &VersionEntry) -> String {
    format!("{} {} {}", view(version.task), view(version.language), version.number)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // SAFETY: the handles are this device's.
        unsafe {
            model::polygraft_model_close(&raw mut self.model);
            store::polygraft_store_close(&raw mut self.store);
            engine::polygraft_engine_close(&raw mut self.engine);
        }
    }
}

// SAFETY of all calls below: handles are open, texts live until the call has ended, outputs are
// local variables, and every object is freed once after its last view was copied.
impl Device for Proxy {
    fn open(bundle: &Path, folder: &Path) -> Outcome<Self> {
        let mut it = Self { engine: null_mut(), store: null_mut(), model: null_mut() };
        let library = c_path(&support::onnxruntime());
        let mut options: EngineOptions = defaults(engine::polygraft_engine_options_init);
        options.onnxruntime_path = library.as_ptr();
        let (bundle, folder) = (c_path(bundle), c_path(folder));
        unsafe {
            call(|failure| {
                engine::polygraft_engine_open(&raw const options, &raw mut it.engine, failure)
            })?;
            let store = &raw mut it.store;
            call(|failure| store::polygraft_store_open(folder.as_ptr(), store, failure))?;
            let (engine, store, model) = (it.engine, it.store, &raw mut it.model);
            call(|failure| {
                model::polygraft_model_open(engine, bundle.as_ptr(), store, null(), model, failure)
            })?;
        }
        Ok(it)
    }

    fn teach(&self, task: &str, examples: &[Labelled], gate: bool) -> Outcome<Vec<String>> {
        let mut options: update_options::UpdateOptions =
            defaults(update_options::polygraft_update_options_init);
        let targets = [c("q"), c("v")];
        let targets = targets.each_ref().map(|target| target.as_ptr());
        (options.lora_targets, options.lora_targets_count) = (targets.as_ptr(), 2);
        (options.seed, options.steps_max, options.gate_enabled) = (5, 4, gate.into());
        let task = c(task);
        let mut update: *mut UpdateHandle = null_mut();
        let mut report = null_mut();
        let taught = unsafe {
            call(|failure| {
                let model = self.model;
                let update = &raw mut update;
                update::polygraft_update_begin(
                    model,
                    task.as_ptr(),
                    &raw const options,
                    update,
                    failure,
                )
            })?;
            let added = examples.iter().try_for_each(|(tag, text, label)| {
                let (tag, text, label) = (c(tag), c(text), c(label));
                let texts = (tag.as_ptr(), text.as_ptr(), label.as_ptr());
                call(|failure| {
                    polygraft::ffi::examples::polygraft_update_add(
                        update, texts.0, texts.1, texts.2, failure,
                    )
                })
            });
            let (none, nobody) = (null(), null_mut());
            added
                .and_then(|()| {
                    call(|failure| {
                        let report = null_mut();
                        update::polygraft_update_run(update, none, report, failure, None, nobody)
                    })
                })
                .and_then(|()| {
                    let report = &raw mut report;
                    call(|failure| update::polygraft_update_commit(update, report, failure))
                })
        };
        unsafe { update::polygraft_update_close(&raw mut update) };
        taught?;
        let count = unsafe { report::polygraft_report_languages_count(report) };
        let line = |index| {
            let entry: report::LanguageEntry = filled(|entry, failure| unsafe {
                report::polygraft_report_language(report, index, entry, failure)
            });
            let bits = if entry.change.is_nan() { 0 } else { entry.change.to_bits() };
            let (language, reason) = (view(entry.language), view(entry.reason));
            format!("{language} v{} {bits:x} {reason}", entry.version)
        };
        let lines = (0..count).map(line).collect();
        unsafe { report::polygraft_report_free(&raw mut report) };
        Ok(lines)
    }

    fn predict(&self, task: &str, language: &str, text: &str) -> Outcome<String> {
        let (task, language, text) = (c(task), c(language), c(text));
        let mut found = null_mut();
        unsafe {
            call(|failure| {
                let texts = (task.as_ptr(), language.as_ptr(), text.as_ptr());
                let (model, found) = (self.model, &raw mut found);
                predict::polygraft_model_predict(
                    model,
                    texts.0,
                    texts.1,
                    texts.2,
                    null(),
                    found,
                    failure,
                )
            })?;
            let line = format!(
                "{} {:x} by {} v{}",
                view(prediction::polygraft_prediction_label(found, 0)),
                prediction::polygraft_prediction_probability(found, 0).to_bits(),
                view(prediction::polygraft_prediction_language(found)),
                prediction::polygraft_prediction_version(found)
            );
            prediction::polygraft_prediction_free(&raw mut found);
            Ok(line)
        }
    }

    fn versions(&self, task: &str) -> Outcome<Vec<String>> {
        let task = c(task);
        let mut list = null_mut();
        let it = &raw mut list;
        call(|failure| unsafe {
            store::polygraft_store_versions(self.store, task.as_ptr(), it, failure)
        })?;
        let line = |one: &VersionEntry| {
            let (active, pinned, parent) = (one.active == 1, one.pinned == 1, one.parent);
            format!("{} {} {active} {pinned} {parent}", named(one), view(one.hash))
        };
        let lines = entries(list).iter().map(line).collect();
        unsafe { store::polygraft_versions_free(&raw mut list) };
        Ok(lines)
    }

    fn activate(&self, task: &str, language: &str, number: u32) -> Outcome<()> {
        let (task, language) = (c(task), c(language));
        let languages = [language.as_ptr()];
        call(|failure| unsafe {
            let (task, tags) = (task.as_ptr(), languages.as_ptr());
            store::polygraft_store_activate(self.store, task, tags, &raw const number, 1, failure)
        })
    }

    fn roll_back(&self, task: &str, language: &str) -> Outcome<u32> {
        let (task, language, mut number) = (c(task), c(language), 0);
        let it = &raw mut number;
        call(|failure| unsafe {
            let (task, tag) = (task.as_ptr(), language.as_ptr());
            store::polygraft_store_roll_back(self.store, task, tag, it, failure)
        })?;
        Ok(number)
    }

    fn pin(&self, task: &str, language: &str) -> Outcome<u32> {
        let (task, language, mut number) = (c(task), c(language), 0);
        let it = &raw mut number;
        call(|failure| unsafe {
            store::polygraft_store_pin(self.store, task.as_ptr(), language.as_ptr(), it, failure)
        })?;
        Ok(number)
    }

    fn unpin(&self, task: &str, language: &str) -> Outcome<()> {
        let (task, language) = (c(task), c(language));
        call(|failure| unsafe {
            store::polygraft_store_unpin(self.store, task.as_ptr(), language.as_ptr(), failure)
        })
    }

    fn import(&self, task: &str, language: &str, path: &Path, gate: bool) -> Outcome<String> {
        let (task, language, path) = (c(task), c(language), c_path(path));
        let mut options: exchange::ImportOptions =
            defaults(exchange::polygraft_import_options_init);
        if !gate {
            options.activation = exchange::POLYGRAFT_ACTIVATION_ALWAYS;
        }
        let mut found = null_mut();
        unsafe {
            call(|failure| {
                let texts = (task.as_ptr(), language.as_ptr(), path.as_ptr());
                let (model, found) = (self.model, &raw mut found);
                exchange::polygraft_model_import(
                    model,
                    texts.0,
                    texts.1,
                    texts.2,
                    &raw const options,
                    found,
                    failure,
                )
            })?;
            let reason = match gate {
                true => {
                    let entry: report::LanguageEntry = filled(|entry, failure| {
                        imported::polygraft_imported_decision(found, entry, failure)
                    });
                    view(entry.reason)
                }
                false => String::new(),
            };
            let number = imported::polygraft_imported_version(found);
            let activated = imported::polygraft_imported_activated(found) == 1;
            imported::polygraft_imported_free(&raw mut found);
            Ok(format!("v{number} {activated} {reason}"))
        }
    }

    fn export(&self, task: &str, language: &str, number: u32, path: &Path) -> Outcome<()> {
        let (task, language, path) = (c(task), c(language), c_path(path));
        call(|failure| unsafe {
            let texts = (task.as_ptr(), language.as_ptr(), path.as_ptr());
            let model = self.model;
            exchange::polygraft_model_export(
                model,
                texts.0,
                texts.1,
                number,
                texts.2,
                null(),
                failure,
            )
        })
    }

    fn wipe(
        &self,
        task: &str,
        language: Option<&str>,
        label: Option<&str>,
        retire: bool,
    ) -> Outcome<String> {
        let (task, language, label) = (c(task), language.map(c), label.map(c));
        let mut options: wipe::WipeOptions = defaults(wipe::polygraft_wipe_options_init);
        (options.language, options.label) = (pointer(&language), pointer(&label));
        options.retire = retire.into();
        let mut wiped = null_mut();
        let it = &raw mut wiped;
        unsafe {
            call(|failure| {
                wipe::polygraft_store_wipe(
                    self.store,
                    task.as_ptr(),
                    &raw const options,
                    it,
                    failure,
                )
            })?;
            let count = |index| {
                let entry: wipe::WipedLanguageEntry = filled(|entry, failure| {
                    wipe::polygraft_wiped_get(wiped, index, entry, failure)
                });
                format!("{} {}", view(entry.language), entry.examples_count)
            };
            let languages = wipe::polygraft_wiped_languages_count(wiped);
            let counts: Vec<_> = (0..languages).map(count).collect();
            let learnt = entries(wipe::polygraft_wiped_versions(wiped));
            let learnt: Vec<_> = learnt.iter().map(named).collect();
            let retired = wipe::polygraft_wiped_retired(wiped) == 1;
            wipe::polygraft_wiped_free(&raw mut wiped);
            Ok(format!("{counts:?} {learnt:?} {retired}"))
        }
    }

    fn remove_versions(&self, task: &str, keep_last: u32) -> Outcome<usize> {
        let task = c(task);
        let mut removed = null_mut();
        let it = &raw mut removed;
        unsafe {
            call(|failure| {
                let (store, task) = (self.store, task.as_ptr());
                wipe::polygraft_store_remove_versions(store, task, null(), keep_last, it, failure)
            })?;
            let count = store::polygraft_versions_count(removed);
            store::polygraft_versions_free(&raw mut removed);
            Ok(count)
        }
    }

    fn evaluate(&self, task: &str, json_lines: &str) -> Outcome<Vec<String>> {
        let (task, json_lines) = (c(task), c(json_lines));
        let (mut examples, mut scores) = (null_mut(), null_mut());
        unsafe {
            let it = &raw mut examples;
            call(|failure| {
                example_list::polygraft_examples_parse(json_lines.as_ptr(), it, failure)
            })?;
            let (model, it, nobody) = (self.model, &raw mut scores, null_mut());
            let evaluated = call(|failure| {
                let task = task.as_ptr();
                evaluate::polygraft_model_evaluate(
                    model,
                    task,
                    examples,
                    null(),
                    it,
                    failure,
                    None,
                    nobody,
                )
            });
            example_list::polygraft_examples_free(&raw mut examples);
            evaluated?;
            let line = |index| {
                let one: evaluate::ScoreEntry = filled(|entry, failure| {
                    evaluate::polygraft_scores_get(scores, index, entry, failure)
                });
                let metric = |position| {
                    let position = usize::try_from(position).unwrap();
                    let metric = evaluate::polygraft_scores_metric(scores, index, position);
                    format!("{} {:x}", view(metric.name), metric.value.to_bits())
                };
                let metrics: Vec<_> = (0..one.metrics_count).map(metric).collect();
                let (language, by) = (view(one.language), view(one.served_by));
                let (count, score) = (one.examples_count, one.score.to_bits());
                format!("{language} {count} {score:x} {by} v{} {metrics:?}", one.version)
            };
            let lines = (0..evaluate::polygraft_scores_count(scores)).map(line).collect();
            evaluate::polygraft_scores_free(&raw mut scores);
            Ok(lines)
        }
    }

    fn explain(&self, task: &str, language: &str) -> Outcome<Vec<String>> {
        let (task, language) = (c(task), c(language));
        let mut chain = null_mut();
        let it = &raw mut chain;
        unsafe {
            call(|failure| {
                let (task, tag) = (task.as_ptr(), language.as_ptr());
                explain::polygraft_store_explain(self.store, task, tag, it, failure)
            })?;
            let line = |index| {
                let step: explain::StepEntry = filled(|step, failure| {
                    explain::polygraft_chain_get(chain, index, step, failure)
                });
                let bits = if step.distance.is_nan() { 0 } else { step.distance.to_bits() };
                let (kind, version, serves) = (step.kind, step.version, step.serves == 1);
                format!("{kind} {} {bits:x} v{version} {serves}", view(step.language))
            };
            let lines = (0..explain::polygraft_chain_count(chain)).map(line).collect();
            explain::polygraft_chain_free(&raw mut chain);
            Ok(lines)
        }
    }

    fn statistics(&self) -> Outcome<Vec<String>> {
        let mut all = null_mut();
        let it = &raw mut all;
        unsafe {
            call(|failure| statistics::polygraft_store_count(self.store, it, failure))?;
            let sums: statistics::StoreStatisticsEntry = filled(|entry, failure| {
                statistics::polygraft_statistics_store(all, entry, failure)
            });
            let line = |index| {
                let task: statistics::TaskStatisticsEntry = filled(|entry, failure| {
                    statistics::polygraft_statistics_task(all, index, entry, failure)
                });
                let examples = |position| {
                    let position = usize::try_from(position).unwrap();
                    let one: statistics::ExamplesStatisticsEntry = filled(|entry, failure| {
                        statistics::polygraft_statistics_examples(
                            all, index, position, entry, failure,
                        )
                    });
                    let (training, held_out) = (one.training_count, one.held_out_count);
                    let (pending, size, day) =
                        (one.pending_count, one.size_bytes, one.oldest_unix_ms);
                    format!("{} {training} {held_out} {pending} {size} {day}", view(one.language))
                };
                let examples: Vec<_> = (0..task.examples_languages_count).map(examples).collect();
                format!(
                    "{} {} {} {} {} {} {} {} {examples:?}",
                    view(task.task),
                    task.languages_count,
                    task.versions_count,
                    task.active_count,
                    task.pinned_count,
                    task.versions_size_bytes,
                    task.reports_count,
                    task.has_checkpoint == 1
                )
            };
            let first = format!(
                "{} {} {} {}",
                sums.generation, sums.versions_count, sums.contents_count, sums.contents_size_bytes
            );
            let count = statistics::polygraft_statistics_tasks_count(all);
            let lines = [first].into_iter().chain((0..count).map(line)).collect();
            statistics::polygraft_statistics_free(&raw mut all);
            Ok(lines)
        }
    }

    fn verify(&self) -> Outcome<usize> {
        let mut found = null_mut();
        let it = &raw mut found;
        unsafe {
            call(|failure| checks::polygraft_store_verify(self.store, it, failure))?;
            let count = checks::polygraft_checks_count(found);
            checks::polygraft_checks_free(&raw mut found);
            Ok(count)
        }
    }
}
