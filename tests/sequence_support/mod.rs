//! Bundles of the sequence-to-sequence fixtures, and what PyTorch made of them.

use std::path::{Path, PathBuf};

use polygraft::bundle::{self, Bundle, CreateSequenceOptions, FoundIds, Pooling};

/// The models under `tests/fixtures/sequence`.
pub const FIXTURES: [&str; 2] = ["mt5", "m2m100"];

/// The folder of a model as Optimum writes it.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sequence").join(name)
}

/// Options for a bundle named `bundle` in the folder `place`.
pub fn options(folder: PathBuf, place: &Path) -> CreateSequenceOptions {
    CreateSequenceOptions {
        folder,
        tokenizer: None,
        pooling: Pooling::Mean,
        prefix: String::new(),
        tokens_max: None,
        target_tokens_max: None,
        ids: FoundIds::default(),
        out: place.join("bundle"),
        overwrite: false,
    }
}

/// The bundle of a fixture.
pub fn create(name: &str, place: &Path) -> Bundle {
    bundle::create_sequence(&options(fixture(name), place), &mut |_| {}).expect("a bundle")
}

/// The bundle of a fixture, made of its merged decoder.
pub fn create_of_merged(name: &str, place: &Path) -> Bundle {
    let folder = place.join("merged");
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_owned();
        if file != "decoder_model.onnx" && file != "decoder_with_past_model.onnx" {
            std::fs::copy(&path, folder.join(file)).unwrap();
        }
    }
    bundle::create_sequence(&options(folder, place), &mut |_| {}).expect("a bundle")
}

/// What `transformers` generates.
#[derive(serde::Deserialize)]
pub struct Oracle {
    /// Token ids.
    pub sources: Vec<Vec<u32>>,
    /// The tokens that end a target.
    pub ends: Vec<u32>,
    /// By options.
    pub cases: Vec<Case>,
}

/// What comes out with some options.
#[derive(Debug, serde::Deserialize)]
pub struct Case {
    pub beams: usize,
    pub tokens_max: usize,
    #[serde(default = "one")]
    pub length_penalty: f32,
    pub forced_begin: Option<u32>,
    pub outputs: Vec<Vec<u32>>,
    pub scores: Option<Vec<f32>>,
}

fn one() -> f32 {
    1.0
}

impl Oracle {
    pub fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/sequence");
        let text = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}
