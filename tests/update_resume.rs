//! Updates that are stopped, by cancelling or by killing the process, and resumed; and checkpoints
//! that belong to another update.

mod support;

use polygraft::example::Example;
use polygraft::model::Model;
use polygraft::store::Store;
use polygraft::update::{Phase, Progress, StrategyKind, Update, UpdateOptions};
use polygraft::{Code, Error};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{TASK, cache, intents, open, proceed, quick};

fn new_examples() -> Vec<Example> {
    ["de", "fi"].iter().flat_map(|tag| intents(tag, "train", 60, 40)).collect()
}

/// A store with a first version in three languages.
fn base(folder: &Path) {
    let model = open(folder);
    let mut update = model.begin_update(TASK, quick(8)).unwrap();
    for example in ["en", "de", "fi"].iter().flat_map(|tag| intents(tag, "train", 0, 60)) {
        update.add(example).unwrap();
    }
    update.run(&mut proceed).unwrap();
    update.commit().unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What the store holds: language, number and content of every version.
fn versions(folder: &Path) -> Vec<(String, u32, String)> {
    let store = Store::open(folder).unwrap();
    let versions = store.versions(Some(TASK)).unwrap();
    let row = |version: &polygraft::store::VersionInfo| {
        (version.language.to_string(), version.number, version.hash.to_string())
    };
    versions.iter().map(row).collect()
}

fn options() -> UpdateOptions {
    let gate = polygraft::update::GateOptions { enabled: false, ..Default::default() };
    UpdateOptions { checkpoint_steps: 1, seed: 3, gate, ..quick(10) }
}

fn begin(model: &Model, options: UpdateOptions) -> Update {
    let mut update = model.begin_update(TASK, options).unwrap();
    for example in new_examples() {
        update.add(example).unwrap();
    }
    update
}

fn update(model: &Model, options: UpdateOptions) -> Result<(), Error> {
    let mut update = begin(model, options);
    update.run(&mut proceed)?;
    update.commit().map(|_| ())
}

/// Breaks at a step of training.
fn stop_at(step: usize) -> impl FnMut(&Progress) -> ControlFlow<()> {
    move |progress| match progress.phase {
        Phase::Train if progress.step >= step => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_cancelled_update_goes_on_and_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (start, whole) = (folder.path().join("start"), folder.path().join("whole"));
    base(&start);
    copy(&start, &whole);
    update(&open(&whole), options()).unwrap();

    // Within the first training run, within the second one, and at the very end.
    for stop in [1, 6, 10] {
        let stopped = folder.path().join(format!("stopped-{stop}"));
        copy(&start, &stopped);
        let mut running = begin(&open(&stopped), options());
        // Progress is thinned out, so the steps go slowly enough for each one to be reported.
        let mut stop_at = stop_at(stop);
        let error = running
            .run(&mut |progress| {
                std::thread::sleep(Duration::from_millis(110));
                stop_at(progress)
            })
            .unwrap_err();
        assert_eq!(error.code(), Code::Cancelled);
        drop(running);
        assert_eq!(versions(&stopped), versions(&start), "nothing is published");

        let mut first = None;
        let mut resumed = begin(&open(&stopped), options());
        let report = resumed
            .run(&mut |progress| {
                if progress.phase == Phase::Train {
                    first.get_or_insert(progress.step);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(report.training.steps, 10);
        assert!(first.is_none_or(|first| first > stop), "{first:?} after {stop}");
        resumed.commit().unwrap();
        assert_eq!(versions(&stopped), versions(&whole), "stopped at step {stop}");
        assert!(!has_checkpoint(&stopped), "a commit removes the checkpoint");
    }
}

fn has_checkpoint(store: &Path) -> bool {
    checkpoint(store).exists()
}

fn checkpoint(store: &Path) -> PathBuf {
    store.join("work").join(format!("{TASK}.checkpoint"))
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_checkpoint_of_another_update_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    base(folder.path());
    let model = open(folder.path());
    begin(&model, options()).run(&mut stop_at(3)).unwrap_err();
    let saved = std::fs::read(checkpoint(folder.path())).unwrap();

    let mut other = options();
    other.optimizer.learning_rate = 2e-3;
    let error = update(&model, other).unwrap_err();
    assert_eq!(error.code(), Code::UpdateCheckpoint);
    let text = error.to_string();
    assert!(
        text.contains("learning_rate: 0.002") && text.contains("learning_rate: 0.001"),
        "{text}"
    );

    let mut fewer = model.begin_update(TASK, options()).unwrap();
    for example in new_examples().into_iter().skip(1) {
        fewer.add(example).unwrap();
    }
    let error = fewer.run(&mut proceed).unwrap_err();
    assert_eq!(error.code(), Code::UpdateCheckpoint);
    assert!(error.to_string().contains("examples: "), "{error}");
    assert_eq!(std::fs::read(checkpoint(folder.path())).unwrap(), saved);

    // Opening the store clears its work area, but not this.
    Store::open(folder.path()).unwrap();
    assert!(has_checkpoint(folder.path()));
    Update::discard_checkpoint(model.store(), TASK).unwrap();
    assert!(!has_checkpoint(folder.path()));
    update(&model, options()).unwrap();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_damaged_checkpoint_is_an_error_and_never_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    base(folder.path());
    let model = open(folder.path());
    begin(&model, options()).run(&mut stop_at(7)).unwrap_err();
    let whole = std::fs::read(checkpoint(folder.path())).unwrap();
    let before = versions(folder.path());
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let damages: [Damage<'_>; 5] = [
        &|bytes| bytes.truncate(bytes.len() / 2),
        &|bytes| bytes.clear(),
        &|bytes| bytes[35] ^= 0x40,
        &|bytes| bytes[60] ^= 0x01,
        &|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x01;
        },
    ];
    for (index, damage) in damages.iter().enumerate() {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        std::fs::write(checkpoint(folder.path()), &bytes).unwrap();
        let error = update(&model, options()).expect_err("a damaged checkpoint");
        assert_eq!(error.code(), Code::UpdateCheckpoint, "damage {index}: {error}");
        assert_eq!(versions(folder.path()), before);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_time_budget_ends_training_and_keeps_what_was_learnt() {
    let folder = tempfile::tempdir().unwrap();
    base(folder.path());
    let model = open(folder.path());
    let options = UpdateOptions { seconds_max: 6.0, steps_max: 0, epochs: 2_000.0, ..quick(0) };
    let mut update = begin(&model, options);
    let report = update.run(&mut proceed).unwrap();
    assert!(report.training.cut_short, "{:?}", report.training);
    assert!(report.training.steps > 0, "{:?}", report.training);
    update.commit().unwrap();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn in_the_background_the_bytes_are_the_same_and_cancelling_works() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    base(&here);
    copy(&here, &there);
    update(&open(&here), options()).unwrap();
    let model = open(&there);
    let background = UpdateOptions { background: true, ..options() };
    let mut cancelled = begin(&model, background.clone());
    assert_eq!(cancelled.run(&mut stop_at(2)).unwrap_err().code(), Code::Cancelled);
    update(&model, background).unwrap();
    assert_eq!(versions(&here), versions(&there));
}

/// Starts `polygraft update` and lets it live for `life`, or to its end.
fn update_process(store: &Path, examples: &Path, life: Option<Duration>) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polygraft"));
    command
        .env("ORT_DYLIB_PATH", cache("onnxruntime/libonnxruntime.so"))
        .args(["update", "--task", TASK, "--steps-max", "10", "--seed", "3", "--no-gate"])
        .args(["--checkpoint-steps", "1", "--threads", "2", "--new-labels"])
        .arg("--bundle")
        .arg(cache("bundle/e5-small"))
        .arg("--store")
        .arg(store)
        .arg("--examples")
        .arg(examples)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    match life {
        None => child.wait().unwrap().success(),
        Some(life) => {
            std::thread::sleep(life);
            // On Unix this is SIGKILL: the process gets no chance to tidy up.
            let _ = child.kill();
            child.wait().unwrap().success()
        }
    }
}

/// Kills an update `kills` times at random moments, resumes it each time, and compares the result.
fn survive(kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (start, whole) = (folder.path().join("start"), folder.path().join("whole"));
    base(&start);
    let examples = folder.path().join("examples.jsonl");
    let line = |one: Example| {
        let (lang, text) = (one.language.to_string(), one.input.text());
        let label = &one.target.labels()[0];
        format!("{}\n", serde_json::json!({"lang": lang, "text": text, "label": label}))
    };
    std::fs::write(&examples, new_examples().into_iter().map(line).collect::<String>()).unwrap();
    copy(&start, &whole);
    let began = Instant::now();
    assert!(update_process(&whole, &examples, None));
    let life = began.elapsed();
    let expected = versions(&whole);
    let before = versions(&start);
    assert_ne!(expected, before);
    let mut random = fastrand::Rng::with_seed(5);
    for kill in 0..kills {
        let store = folder.path().join("killed");
        copy(&start, &store);
        update_process(&store, &examples, Some(life.mul_f64(random.f64())));
        // A kill after the commit leaves nothing to do.
        if versions(&store) == before {
            assert!(update_process(&store, &examples, None), "kill {kill}");
        }
        assert_eq!(versions(&store), expected, "kill {kill}");
        assert_eq!(Store::open(&store).unwrap().verify().unwrap(), [], "kill {kill}");
        std::fs::remove_dir_all(&store).unwrap();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn killed_at_random_moments_an_update_ends_with_the_same_bytes() {
    survive(3);
}

#[test]
#[ignore = "50 kills take minutes; make test-long runs it"]
fn killed_fifty_times_an_update_ends_with_the_same_bytes() {
    survive(50);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_strategy_gives_the_same_bytes_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let start = folder.path().join("start");
    base(&start);
    for kind in StrategyKind::ALL {
        let run = |name: &str| {
            let store = folder.path().join(format!("{}-{name}", kind.name()));
            copy(&start, &store);
            update(&open(&store), UpdateOptions { strategy: *kind, ..options() }).unwrap();
            versions(&store)
        };
        assert_eq!(run("once"), run("again"), "{}", kind.name());
    }
}
