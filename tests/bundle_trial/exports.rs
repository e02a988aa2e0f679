//! Models as the usual exporters write them: none is refused, and what the graph says about the
//! longest text is what runs.

use std::path::{Path, PathBuf};

use crate::model::Workshop;

/// The architectures of encoders under `tests/fixtures/backbones`, and the tokens that a text may
/// have: 64 rows of positions, of which RoBERTa's kind leaves two to the padding; 512 is what is
/// taken for models that compute positions.
const ENCODERS: [(&str, usize); 17] = [
    ("albert", 64),
    ("bert", 64),
    ("byt5-encoder", 512),
    ("deberta-v2", 512),
    ("distilbert", 64),
    ("electra", 64),
    ("m2m100-encoder", 64),
    ("marian-encoder", 64),
    ("mbart-encoder", 64),
    ("modernbert", 512),
    ("mpnet", 62),
    ("mt5-encoder", 512),
    ("nomic-bert", 512),
    ("roberta", 62),
    ("roformer", 64),
    ("t5-encoder", 512),
    ("xlm-roberta", 62),
];

/// The model files of an architecture.
fn files(architecture: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/backbones");
    let entries = std::fs::read_dir(folder.join(architecture)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|kind| kind == "onnx")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no model of {architecture}");
    paths
}

#[test]
fn every_export_tells_its_longest_text() {
    for (architecture, expected) in ENCODERS {
        for path in files(architecture) {
            let workshop = Workshop::from_file(&path);
            let found = workshop.create().unwrap().manifest().tokens_max;
            assert_eq!(found, expected, "{}", path.display());
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn no_export_is_refused_after_a_run() {
    // The last file of each is of the newest operators or of ONNX Runtime's own.
    for (architecture, expected) in ENCODERS {
        let all = files(architecture);
        let quantised = all.iter().filter(|path| path.to_string_lossy().contains(".int8."));
        for path in quantised.chain(all.last()) {
            let created = Workshop::from_file(path).try_out().unwrap();
            assert_eq!(created.bundle.manifest().tokens_max, expected, "{}", path.display());
            let runs_alone = path.to_string_lossy().contains(".int8.");
            assert_eq!(created.bundle.runs_alone(), runs_alone, "{}", path.display());
            assert_eq!(created.notes.len(), usize::from(runs_alone), "{:?}", created.notes);
        }
    }
}
