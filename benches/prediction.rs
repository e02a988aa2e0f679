//! What a prediction costs: with a LoRA adapter beside the bare backbone, in many languages at
//! once, after an activation, in memory, and as the first one of a process. Prints figures and
//! ratios of one run; asserts nothing.
//!
//! `cargo bench --bench prediction` needs the reference bundle (`make bundle`).

use polygraft::adapter::{
    Adapter, Component, HEAD_BIAS, HEAD_WEIGHT, LoraConfig, Tensor, TensorId,
};
use polygraft::bundle::Encoding;
use polygraft::evaluation;
use polygraft::example::{Input, TaskKind};
use polygraft::graph::{Model as GraphModel, Weights};
use polygraft::inference::{RunOptions, batch};
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions};
use polygraft::runtime::{Engine, Mode, Operators, Session, SessionOptions};
use polygraft::store::{NewVersion, Store};
use polygraft::task::{Encoded, Task};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Tells the process to measure its own memory in this mode and leave.
const MEMORY_CHILD: &str = "POLYGRAFT_BENCH_MEMORY";
/// Tells the process to make its first prediction with the store in this folder and leave.
const FIRST_CHILD: &str = "POLYGRAFT_BENCH_FIRST";
/// Tells the process to load graph and tokenizer without polygraft's parts and leave.
const FLOOR_CHILD: &str = "POLYGRAFT_BENCH_FLOOR";
const TASK: &str = "bench";
const MIXED_TASK: &str = "bench-mixed";
const THREADS: usize = 2;

/// One sentence in each of 16 languages, of the length that commands have.
const SENTENCES: [(&str, &str); 16] = [
    ("en", "turn on the light in the kitchen"),
    ("de", "schalte das Licht in der Küche ein"),
    ("fr", "allume la lumière dans la cuisine"),
    ("es", "enciende la luz de la cocina"),
    ("it", "accendi la luce in cucina"),
    ("pt", "acenda a luz da cozinha"),
    ("nl", "doe het licht in de keuken aan"),
    ("sv", "tänd lampan i köket"),
    ("pl", "włącz światło w kuchni"),
    ("cs", "rozsviť světlo v kuchyni"),
    ("ru", "включи свет на кухне"),
    ("tr", "mutfaktaki ışığı aç"),
    ("fi", "sytytä valo keittiöön"),
    ("hu", "kapcsold fel a villanyt a konyhában"),
    ("ja", "キッチンの電気をつけて"),
    ("zh", "打开厨房的灯"),
];

fn main() -> Outcome<()> {
    if let Ok(mode) = std::env::var(MEMORY_CHILD) {
        return memory_child(if mode == "fast" { Mode::Fast } else { Mode::Lean });
    }
    if let Some(store) = std::env::var_os(FIRST_CHILD) {
        return first_child(Path::new(&store));
    }
    if let Ok(part) = std::env::var(FLOOR_CHILD) {
        return floor_child(&part);
    }
    let folder = tempfile::tempdir()?;
    for mode in [Mode::Lean, Mode::Fast] {
        println!("mode {mode:?}, {THREADS} threads");
        let model = open(&folder.path().join(format!("{mode:?}")), mode)?;
        adapter_overhead(&model, mode)?;
        mixed(&model)?;
        activation(&model)?;
        drop(model);
        callers(&folder.path().join(format!("{mode:?}")), mode)?;
    }
    for mode in ["lean", "fast"] {
        let child = Command::new(std::env::current_exe()?).env(MEMORY_CHILD, mode).output()?;
        print!("{}", String::from_utf8_lossy(&child.stdout));
        eprint!("{}", String::from_utf8_lossy(&child.stderr));
    }
    first_prediction(&folder.path().join("Lean"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn engine() -> Outcome<Arc<Engine>> {
    Ok(Engine::open(Some(&root().join(".cache/onnxruntime/libonnxruntime.so")))?)
}

fn bundle_folder() -> PathBuf {
    root().join(".cache/bundle/e5-small")
}

/// The reference bundle with a store of two versions of English, made of fixed numbers.
fn open(store: &Path, mode: Mode) -> Outcome<Model> {
    let store = Arc::new(Store::open(store)?);
    let options = ModelOptions { mode, threads: THREADS, ..ModelOptions::default() };
    let model = Model::open(&engine()?, &bundle_folder(), &store, &options)?;
    for version in 1..=2 {
        let candidate = NewVersion {
            language: Language::parse("en")?,
            bytes: adapter(&model, version)?.to_bytes()?.into(),
            activate: true,
            evidence: serde_json::Value::Null,
        };
        store.publish(TASK, &[candidate])?;
    }
    Ok(model)
}

/// An adapter of rank 8 whose values follow a fixed formula; their size does not change the cost.
fn adapter(model: &Model, version: usize) -> Outcome<Adapter> {
    let lora = LoraConfig::default();
    let predictor = model.predictor();
    let hidden = predictor.bundle().interface().hidden;
    let labels: Vec<String> = (0..42).map(|index| format!("label {index}")).collect();
    let tensor = |shape: &[usize]| Tensor {
        shape: shape.to_vec(),
        values: (0..shape.iter().product())
            .map(|index: usize| 0.02 * ((index * version) as f32).sin())
            .collect(),
    };
    let mut tensors = BTreeMap::new();
    for site in lora.select(predictor.sites(TaskKind::Classification)?)? {
        tensors
            .insert(TensorId::LoraA(&site.module).to_string(), tensor(&[site.inputs, lora.rank]));
        tensors
            .insert(TensorId::LoraB(&site.module).to_string(), tensor(&[lora.rank, site.outputs]));
    }
    tensors.insert(HEAD_WEIGHT.to_owned(), tensor(&[hidden, labels.len()]));
    tensors.insert(HEAD_BIAS.to_owned(), tensor(&[labels.len()]));
    let bundle = predictor.bundle();
    let (backbone, reading) = (bundle.backbone_hash().to_owned(), Some(bundle.reading().clone()));
    Ok(Adapter {
        labels,
        reading,
        ..Adapter::headless(backbone, vec![Component::Lora(lora)], tensors)
    })
}

/// The same tokens through a session of the untouched backbone and through the model.
fn adapter_overhead(model: &Model, mode: Mode) -> Outcome<()> {
    let predictor = model.predictor();
    let bundle = predictor.bundle();
    let options = SessionOptions { mode, threads: THREADS, ..SessionOptions::default() };
    let weights = bundle.weights();
    let bare = Session::open(&engine()?, &bundle.model().to_bytes(), Some(weights), &options)?;
    let loaded = predictor.load(adapter(model, 1)?)?;
    let (task, how) = (Task::of(TaskKind::Classification), RunOptions::default());
    println!("  batch x tokens    bare ms    with adapter ms    ratio");
    for (rows, tokens) in [(1, 16), (16, 16), (16, 64)] {
        let ids = (0..tokens).map(|index| 1_000 + 37 * index as u32).collect();
        let texts = vec![Encoding { ids, truncated: false, type_ids: Vec::new() }; rows];
        let input = |encoding: &Encoding| Encoded { encoding: encoding.clone(), words: Vec::new() };
        let encoded: Vec<Encoded> = texts.iter().map(input).collect();
        let batch = batch::encode(bundle, &texts.iter().collect::<Vec<_>>())?;
        let inputs: Vec<_> = batch.iter().map(|(name, value)| (*name, value)).collect();
        let output = bundle.interface().output.as_str();
        let (mut bare_times, mut adapter_times) = (Vec::new(), Vec::new());
        for _ in 0..repetitions(rows * tokens) {
            let start = Instant::now();
            black_box(bare.run(&inputs, &[output], None)?);
            bare_times.push(start.elapsed());
            let start = Instant::now();
            let proceed = &mut |_| ControlFlow::Continue(());
            black_box(evaluation::predict(predictor, task, &loaded, &encoded, &how, proceed)?);
            adapter_times.push(start.elapsed());
        }
        let (bare, with) = (median(&mut bare_times), median(&mut adapter_times));
        let shape = format!("{rows}x{tokens}");
        println!("  {shape:>14} {bare:>10.2} {with:>18.2} {:>8.3}", with / bare);
    }
    Ok(())
}

/// Predictions per second of one caller, and of two at once, of a model with one thread a run.
fn callers(store: &Path, mode: Mode) -> Outcome<()> {
    const PREDICTIONS: usize = 60;
    let store = Arc::new(Store::open(store)?);
    let options = ModelOptions { mode, threads: 1, ..ModelOptions::default() };
    let model = Model::open(&engine()?, &bundle_folder(), &store, &options)?;
    let language = Language::parse("en")?;
    let call = || -> polygraft::Result<()> {
        for _ in 0..PREDICTIONS {
            let answer = model.predict(TASK, &language, SENTENCES[0].1, &PredictOptions::default());
            black_box(answer?);
        }
        Ok(())
    };
    call()?;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let start = Instant::now();
        call()?;
        one.push(start.elapsed());
        let start = Instant::now();
        std::thread::scope(|scope| {
            let other = scope.spawn(call);
            call().and(other.join().expect("a caller panicked"))
        })?;
        two.push(start.elapsed());
    }
    let per_second = |times: &mut [Duration]| 1e3 * PREDICTIONS as f64 / median(times);
    let (one, two) = (per_second(&mut one), 2.0 * per_second(&mut two));
    println!(
        "  one thread a run: {one:.0} predictions per second by one caller, {two:.0} by two \
         ({:.2} x)",
        two / one
    );
    Ok(())
}

/// 64 texts in 16 languages, each answered by its own version: in one call, in a call for each
/// language, and in a call for each text.
fn mixed(model: &Model) -> Outcome<()> {
    let version = |(number, (tag, _)): (usize, &(&str, &str))| -> Outcome<NewVersion> {
        Ok(NewVersion {
            language: Language::parse(tag)?,
            bytes: adapter(model, number + 3)?.to_bytes()?.into(),
            activate: true,
            evidence: serde_json::Value::Null,
        })
    };
    let versions = SENTENCES.iter().enumerate().map(version).collect::<Outcome<Vec<_>>>()?;
    model.store().publish(MIXED_TASK, &versions)?;
    let text = |(tag, text): &(&str, &str)| -> Outcome<(Language, Input)> {
        Ok((Language::parse(tag)?, Input::Text((*text).to_owned())))
    };
    let inputs = SENTENCES.iter().cycle().take(64).map(text).collect::<Outcome<Vec<_>>>()?;
    let options = PredictOptions::default();
    let (mut together, mut by_language, mut one_by_one) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..16 {
        let start = Instant::now();
        black_box(model.predict_many(MIXED_TASK, &inputs, &options)?);
        together.push(start.elapsed());
        let start = Instant::now();
        for (language, _) in &inputs[..SENTENCES.len()] {
            let own = inputs.iter().filter(|(other, _)| other == language);
            let own: Vec<Input> = own.map(|(_, input)| input.clone()).collect();
            black_box(model.predict_batch(MIXED_TASK, language, &own, &options)?);
        }
        by_language.push(start.elapsed());
        let start = Instant::now();
        for (language, input) in &inputs {
            black_box(model.predict(MIXED_TASK, language, input.clone(), &options)?);
        }
        one_by_one.push(start.elapsed());
        if round == 0 {
            // The first round loads the versions.
            [&mut together, &mut by_language, &mut one_by_one].into_iter().for_each(Vec::clear);
        }
    }
    let times = [&mut together, &mut by_language, &mut one_by_one].map(|times| median(times));
    println!(
        "  64 texts in 16 languages: {:.1} ms in one call, {:.1} ms in one per language ({:.2} x), \
         {:.1} ms in one per text ({:.2} x)",
        times[0],
        times[1],
        times[1] / times[0],
        times[2],
        times[2] / times[0]
    );
    Ok(())
}

/// From the call that activates another version to the start of the run that uses it, as the time
/// that an activation adds to the next prediction; and the durable activation as a whole.
fn activation(model: &Model) -> Outcome<()> {
    let language = Language::parse("en")?;
    let options = PredictOptions::default();
    let predict = || model.predict(TASK, &language, "turn on the light", &options);
    let (mut durable, mut switched) = (Vec::new(), Vec::new());
    for round in 0..60 {
        let version = 1 + round % 2;
        let start = Instant::now();
        model.store().activate(TASK, &[(language.clone(), version)])?;
        durable.push(start.elapsed());
        let start = Instant::now();
        let (_, served) = model.served_version(TASK, &language)?;
        switched.push(start.elapsed());
        assert_eq!(served, version, "the activation was not seen");
        assert_eq!(predict()?.version, version);
    }
    println!(
        "  activation: the next prediction finds the new version after {:.1} us (median); \
         writing it durably took {:.2} ms before",
        median(&mut switched) * 1e3,
        median(&mut durable)
    );
    Ok(())
}

fn repetitions(tokens: usize) -> usize {
    (20_000 / tokens).clamp(15, 200)
}

/// The median in milliseconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Opens the model, predicts once, and prints what that added to this process.
fn memory_child(mode: Mode) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let (anonymous_start, _) = memory()?;
    let model = open(&folder.path().join("store"), mode)?;
    let language = Language::parse("en")?;
    model.predict(TASK, &language, "turn on the light", &PredictOptions::default())?;
    let (anonymous, file) = memory()?;
    println!(
        "memory, mode {mode:?}: {:.0} MB private after open and one prediction, {:.0} MB mapped",
        (anonymous - anonymous_start) / 1e6,
        file / 1e6
    );
    Ok(())
}

/// Processor time from the start of a process to the end of its first prediction, and of what no
/// such process can do without: a session of the untouched graph, and the `tokenizers` library with
/// the tokenizer, which polygraft compiles instead.
fn first_prediction(store: &Path) -> Outcome<()> {
    let first = processor_ms(FIRST_CHILD, store.as_os_str())?;
    let [graph, tokenizer] =
        ["graph", "tokenizer"].map(|part| processor_ms(FLOOR_CHILD, part.as_ref()));
    println!(
        "first prediction of a process, mode Lean: {first:.0} ms of processor time; a bare session \
         {:.0} ms, the `tokenizers` library's own parse {:.0} ms",
        graph?, tokenizer?
    );
    Ok(())
}

/// The median processor time of a child process, all threads, in milliseconds.
fn processor_ms(variable: &str, value: &std::ffi::OsStr) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..9 {
        let before = processor_time_of_children();
        let child = Command::new(std::env::current_exe()?).env(variable, value).output()?;
        if !child.status.success() {
            return Err(String::from_utf8_lossy(&child.stderr).into());
        }
        times.push(processor_time_of_children() - before);
    }
    Ok(median(&mut times))
}

fn processor_time_of_children() -> Duration {
    // SAFETY: `rusage` consists of integers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call, which writes one `rusage`.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

fn first_child(store: &Path) -> Outcome<()> {
    let store = Arc::new(Store::open(store)?);
    let options = ModelOptions { threads: THREADS, ..ModelOptions::default() };
    let model = Model::open(&engine()?, &bundle_folder(), &store, &options)?;
    let language = Language::parse("en")?;
    model.predict(TASK, &language, "turn on the light", &PredictOptions::default())?;
    Ok(())
}

fn floor_child(part: &str) -> Outcome<()> {
    let folder = bundle_folder();
    if part == "tokenizer" {
        let text = std::fs::read_to_string(folder.join("tokenizer.json"))?;
        // The library reads its current version of the format only, and is built without regular
        // expressions, which the normaliser has; the pieces are what takes the time.
        let mut value: serde_json::Value = serde_json::from_str(&text)?;
        value["normalizer"] = serde_json::Value::Null;
        tokenizers::canonicalize_value(&mut value).map_err(|cause| cause.to_string())?;
        let read = tokenizers::from_json(&value.to_string());
        black_box(read.map_err(|cause| cause.to_string())?);
        return Ok(());
    }
    let options = SessionOptions {
        threads: THREADS,
        operators: Operators::Standard,
        ..SessionOptions::default()
    };
    let bytes = std::fs::read(folder.join("backbone.onnx"))?;
    let weights = Weights::map(&GraphModel::read(&folder.join("backbone.onnx"))?)?;
    black_box(Session::open(&engine()?, &bytes, Some(&weights), &options)?);
    Ok(())
}

/// Anonymous and file-backed resident bytes of this process.
fn memory() -> Outcome<(f64, f64)> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| -> Outcome<f64> {
        let line = text.lines().find(|line| line.starts_with(name)).ok_or("no such field")?;
        let kilobytes = line.split_whitespace().nth(1).ok_or("no value")?;
        Ok(kilobytes.parse::<f64>()? * 1024.0)
    };
    Ok((field("RssAnon:")?, field("RssFile:")?))
}
