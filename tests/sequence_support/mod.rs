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
