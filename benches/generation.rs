//! What generation costs, with and without a cache, greedily and with beams, for one source and for
//! eight. Prints figures of one run; asserts nothing.
//!
//! `cargo bench --bench generation -- FOLDER` measures the bundle in FOLDER, which has a decoder;
//! without a folder the small fixture of an mT5, whose figures say little about real models.

use polygraft::bundle::{
    Bundle, CreateSequenceOptions, FoundIds, Pooling, Verify, create_sequence,
};
use polygraft::runtime::{Mode, Runtime, SessionOptions};
use polygraft::task::sequence::{GenerateOptions, Generator, StageInputs};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const THREADS: usize = 2;
/// New tokens of every target.
const TOKENS: usize = 50;
const RUNS: usize = 7;
const SOURCE: &str = "lemma de: der Nachrichtensprecherinnen";

fn main() -> Outcome<()> {
    let place = tempfile::tempdir()?;
    let named = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let bundle = match named {
        Some(folder) => Bundle::open(Path::new(&folder), Verify::Quick)?,
        None => fixture(place.path())?,
    };
    let library = root().join(".cache/onnxruntime/libonnxruntime.so");
    let runtime = Runtime::open(Some(&library))?;
    let bundle = Arc::new(bundle);
    println!("{}: {TOKENS} tokens, {THREADS} threads, median of {RUNS}", bundle.folder().display());
    for mode in [Mode::Lean, Mode::Fast] {
        let options = SessionOptions { mode, threads: THREADS, ..SessionOptions::default() };
        let generator = Generator::open(&runtime, &bundle, &options, &[])?;
        for (beams, rows) in [(1, 1), (1, 8), (4, 1), (4, 8)] {
            for use_cache in [true, false] {
                let seconds = measure(&bundle, &generator, beams, rows, use_cache)?;
                let cache = if use_cache { "with cache" } else { "without" };
                println!(
                    "{mode:?}, {beams} beams, {rows} sources, {cache}: {:.1} ms, {:.0} tokens/s",
                    1e3 * seconds,
                    (rows * TOKENS) as f64 / seconds
                );
            }
        }
    }
    Ok(())
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
        out: place.join("bundle"),
        overwrite: false,
    };
    Ok(create_sequence(&options, &mut |_| {})?)
}

/// Seconds of one call that makes `TOKENS` tokens of each of `rows` equal sources.
fn measure(
    bundle: &Bundle,
    generator: &Generator,
    beams: usize,
    rows: usize,
    use_cache: bool,
) -> Outcome<f64> {
    let ids = bundle.tokenizer().encode(SOURCE, bundle.manifest().tokens_max)?.ids;
    let sources = vec![ids.as_slice(); rows];
    let options =
        GenerateOptions { beams, tokens_max: TOKENS, use_cache, ..GenerateOptions::default() };
    let bare = StageInputs::default();
    let mut seconds = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        let proceed = &mut |_: usize, _: &str| ControlFlow::Continue(());
        let found = generator.generate(&sources, &bare, &options, None, proceed)?;
        let made: usize = found.iter().map(|one| one.ids.len()).sum();
        // A target that ends early counts for what it is.
        seconds.push(start.elapsed().as_secs_f64() * (rows * TOKENS) as f64 / made.max(1) as f64);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[RUNS / 2])
}
