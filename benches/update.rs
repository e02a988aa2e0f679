//! What one update costs on the device: 200 new examples in 4 of 8 languages, with every strategy,
//! in `lean` mode: the time by phase and the most private memory that the process ever had. Prints
//! figures of one run; asserts nothing.
//!
//! `cargo bench --bench update` needs the reference bundle and the intents (`make bundle`).

use polygraft::example::Example;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::runtime::{Engine, Mode};
use polygraft::store::Store;
use polygraft::update::{StrategyKind, UpdateOptions};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Tells the process to measure one strategy and leave, so that each has a memory of its own.
const CHILD: &str = "POLYGRAFT_BENCH_UPDATE";
const TASK: &str = "intent";
const THREADS: usize = 2;
const LANGUAGES: [&str; 8] = ["en", "nl", "sv", "it", "de", "fi", "ru", "ar"];
/// The last ones have new data.
const UPDATED: usize = 4;

fn main() -> Outcome<()> {
    if let Ok(name) = std::env::var(CHILD) {
        return measure(name.parse()?);
    }
    let all = LANGUAGES.len();
    println!("200 new examples in {UPDATED} of {all} languages, lean, {THREADS} threads");
    for kind in StrategyKind::ALL {
        let child = Command::new(std::env::current_exe()?).env(CHILD, kind.name()).output()?;
        print!("{}", String::from_utf8_lossy(&child.stdout));
        eprint!("{}", String::from_utf8_lossy(&child.stderr));
    }
    Ok(())
}

fn measure(strategy: StrategyKind) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let store = Arc::new(Store::open(folder.path())?);
    let engine = Engine::open(Some(&cache("onnxruntime/libonnxruntime.so")))?;
    let options = ModelOptions { mode: Mode::Lean, threads: THREADS, ..ModelOptions::default() };
    let model = Model::open(&engine, &cache("bundle/e5-small"), &store, &options)?;
    let base = UpdateOptions { threads: THREADS, steps_max: 50, ..UpdateOptions::default() };
    update(&model, base, &LANGUAGES, 0, 200)?;

    let stop = Arc::new(AtomicBool::new(false));
    let peak = Arc::new(AtomicU64::new(0));
    let watcher = {
        let (stop, peak) = (stop.clone(), peak.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(private_bytes().unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    };
    // Four passes stated, so that the figure means the same whatever the library would choose.
    let options =
        UpdateOptions { strategy, threads: THREADS, epochs: 4.0, ..UpdateOptions::default() };
    let began = Instant::now();
    let steps = update(&model, options, &LANGUAGES[LANGUAGES.len() - UPDATED..], 200, 50)?;
    let seconds = began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    watcher.join().map_err(|_| "the watcher panicked")?;
    let peak_mb = peak.load(Ordering::Relaxed) as f64 / 1e6;
    let name = strategy.name();
    println!(
        "  {name:12} {seconds:6.1} s, {steps:3} steps, private memory at most {peak_mb:.0} MB"
    );
    Ok(())
}

/// Runs and commits an update; returns its optimiser steps.
fn update(
    model: &Model,
    options: UpdateOptions,
    languages: &[&str],
    skip: usize,
    count: usize,
) -> Outcome<usize> {
    let mut update = model.begin_update(TASK, options)?;
    for tag in languages {
        for example in intents(tag, skip, count)? {
            update.add(example)?;
        }
    }
    update.run(&mut |_| ControlFlow::Continue(()))?;
    Ok(update.commit()?.training.steps)
}

fn intents(tag: &str, skip: usize, count: usize) -> Outcome<Vec<Example>> {
    let text = std::fs::read_to_string(cache(&format!("data/intents/train/{tag}.jsonl")))?;
    let mut examples = Vec::new();
    for line in text.lines().skip(skip).take(count) {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let language = Language::parse(tag)?;
        examples.push(Example::labelled(language, &field("text"), &field("label")));
    }
    Ok(examples)
}

fn cache(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache").join(path)
}

/// Memory of the process that no file stands behind.
fn private_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
