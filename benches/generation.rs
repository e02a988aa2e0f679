//! What generation costs, with and without a cache, greedily and with beams, for one source and for
//! eight, and whether a token costs more in a long target than in a short one. Prints figures of
//! one run; asserts nothing.
//!
//! `cargo bench --bench generation -- FOLDER` measures the bundle in FOLDER, which has a decoder;
//! without a folder the small fixture of an mT5, whose figures say little about real models. With
//! `--peer MODEL`, the folder that the bundle was made of, it answers the texts of
//! `MODEL/examples.jsonl` beside `transformers` instead, on the same weights.

use polygraft::bundle::{
    Bundle, CreateSequenceOptions, FoundIds, Pooling, Verify, create_sequence,
};
use polygraft::inference::generation::{GenerateOptions, Generator, StageInputs};
use polygraft::runtime::{Engine, Mode, SessionOptions};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const THREADS: usize = 2;
/// New tokens of every target.
const TOKENS: usize = 50;
/// New tokens of a short and of a long target.
const SHORT: usize = 32;
const LONG: usize = 512;
const RUNS: usize = 7;
/// Passes over the texts of a model.
const PASSES: usize = 3;
const SOURCE: &str = "lemma de: der Nachrichtensprecherinnen";

fn main() -> Outcome<()> {
    let place = tempfile::tempdir()?;
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let peer = words.iter().position(|word| word == "--peer");
    let model = peer.and_then(|position| words.get(position + 1));
    let bundle = match words.first().filter(|word| !word.starts_with('-')) {
        Some(folder) => Bundle::open(Path::new(folder), Verify::Quick)?,
        None => fixture(place.path())?,
    };
    let library = root().join(".cache/onnxruntime/libonnxruntime.so");
    let engine = Engine::open(Some(&library))?;
    let bundle = Arc::new(bundle);
    match model {
        Some(model) => beside_peer(&engine, &bundle, Path::new(model)),
        None => alone(&engine, &bundle),
    }
}

/// Modes, beams, sources, with and without a cache.
fn alone(engine: &Arc<Engine>, bundle: &Arc<Bundle>) -> Outcome<()> {
    println!("{}: {TOKENS} tokens, {THREADS} threads, median of {RUNS}", bundle.folder().display());
    for mode in [Mode::Lean, Mode::Fast] {
        let options = SessionOptions { mode, threads: THREADS, ..SessionOptions::default() };
        let generator = Generator::open(engine, bundle, &options, &[])?;
        for (beams, rows) in [(1, 1), (1, 8), (4, 1), (4, 8)] {
            for use_cache in [true, false] {
                let options = generate_options(beams, TOKENS, use_cache);
                let seconds = measure(bundle, &generator, rows, &options)?;
                let cache = if use_cache { "with cache" } else { "without" };
                println!(
                    "{mode:?}, {beams} beams, {rows} sources, {cache}: {:.1} ms, {:.0} tokens/s",
                    1e3 * seconds,
                    (rows * TOKENS) as f64 / seconds
                );
            }
        }
        long_beside_short(bundle, &generator, mode)?;
    }
    Ok(())
}

/// The cost of a token of one long target beside that of a short one, greedily. None ends early.
fn long_beside_short(bundle: &Arc<Bundle>, generator: &Generator, mode: Mode) -> Outcome<()> {
    let long = LONG.min(bundle.decoder()?.tokens_max);
    let per_token = |tokens: usize| -> Outcome<f64> {
        let mut options = generate_options(1, tokens, true);
        options.min_new_tokens = tokens;
        Ok(1e6 * measure(bundle, generator, 1, &options)? / tokens as f64)
    };
    let (short_us, long_us) = (per_token(SHORT)?, per_token(long)?);
    println!(
        "{mode:?}, a token of {SHORT}: {short_us:.0} us, of {long}: {long_us:.0} us, ratio {:.2}",
        long_us / short_us
    );
    Ok(())
}

fn generate_options(num_beams: usize, max_new_tokens: usize, use_cache: bool) -> GenerateOptions {
    GenerateOptions { num_beams, max_new_tokens, use_cache, ..GenerateOptions::default() }
}

/// The texts of the model's examples, greedily, one by one and eight at a time; then the same by
/// `transformers`, by the faster of its two kinds of attention.
fn beside_peer(engine: &Arc<Engine>, bundle: &Arc<Bundle>, model: &Path) -> Outcome<()> {
    let examples = model.join("examples.jsonl");
    let sources = read_sources(bundle, &examples)?;
    let mut own = Vec::new();
    for mode in [Mode::Lean, Mode::Fast] {
        let options = SessionOptions { mode, threads: THREADS, ..SessionOptions::default() };
        let generator = Generator::open(engine, bundle, &options, &[])?;
        for batch in [1, 8] {
            own.push((mode, batch, tokens_per_second(&generator, &sources, batch)?));
        }
    }
    let output = Command::new(root().join(".cache/venv-formats/bin/python"))
        .arg(root().join("tools/peers/generate.py"))
        .args([model, &examples])
        .args(["--threads", &THREADS.to_string()])
        .env("HF_HUB_OFFLINE", "1")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let mut peer = BTreeMap::<u64, f64>::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let speed = value["tokens_per_second"].as_f64().unwrap_or(f64::NAN);
        let fastest = peer.entry(value["batch"].as_u64().unwrap_or(0)).or_default();
        *fastest = fastest.max(speed);
    }
    println!("{} texts, greedy, {THREADS} threads; tokens per second", sources.len());
    println!("  mode  batch  polygraft  transformers  ratio");
    for (mode, batch, speed) in own {
        let other = peer.get(&batch).copied().unwrap_or(f64::NAN);
        let ratio = speed / other;
        println!("  {mode:?}  {batch:>5}  {speed:>9.0}  {other:>12.0}  {ratio:>5.2}");
    }
    Ok(())
}

fn read_sources(bundle: &Bundle, examples: &Path) -> Outcome<Vec<Vec<u32>>> {
    let mut sources = Vec::new();
    for line in std::fs::read_to_string(examples)?.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let text = value["text"].as_str().ok_or("a line without text")?;
        sources.push(bundle.tokenizer().encode(text, bundle.manifest().tokens_max)?.ids);
    }
    Ok(sources)
}

/// The median over passes; the first one warms up and does not count.
fn tokens_per_second(generator: &Generator, sources: &[Vec<u32>], batch: u64) -> Outcome<f64> {
    let (options, bare) = (GenerateOptions::default(), StageInputs::default());
    let mut speeds = Vec::new();
    for pass in 0..=PASSES {
        let start = Instant::now();
        let mut tokens = 0;
        for chunk in sources.chunks(batch as usize) {
            let chunk: Vec<&[u32]> = chunk.iter().map(Vec::as_slice).collect();
            let proceed = &mut |_: usize, _: &str| ControlFlow::Continue(());
            let found = generator.generate(&chunk, &bare, &options, None, proceed)?;
            tokens += found.iter().map(|one| one.ids.len()).sum::<usize>();
        }
        if pass > 0 {
            speeds.push(tokens as f64 / start.elapsed().as_secs_f64());
        }
    }
    speeds.sort_by(f64::total_cmp);
    Ok(speeds[speeds.len() / 2])
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(place: &Path) -> Outcome<Bundle> {
    let options = CreateSequenceOptions {
        folder: root().join("tests/fixtures/sequence/mt5"),
        tokenizer: None,
        pooling: Pooling::Mean,
        prefix: String::new(),
        tokens_max: None,
        target_tokens_max: None,
        ids: FoundIds::default(),
        upcast: false,
        out: place.join("bundle"),
        overwrite: false,
    };
    Ok(create_sequence(&options, &mut |_| {})?)
}

/// Seconds of one call that makes all tokens of each of `rows` equal sources.
fn measure(
    bundle: &Bundle,
    generator: &Generator,
    rows: usize,
    options: &GenerateOptions,
) -> Outcome<f64> {
    let ids = bundle.tokenizer().encode(SOURCE, bundle.manifest().tokens_max)?.ids;
    let sources = vec![ids.as_slice(); rows];
    let bare = StageInputs::default();
    let mut seconds = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        let proceed = &mut |_: usize, _: &str| ControlFlow::Continue(());
        let found = generator.generate(&sources, &bare, options, None, proceed)?;
        let made: usize = found.iter().map(|one| one.ids.len()).sum();
        // A target that ends early counts for what it is.
        let share = (rows * options.max_new_tokens) as f64 / made.max(1) as f64;
        seconds.push(start.elapsed().as_secs_f64() * share);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[RUNS / 2])
}
