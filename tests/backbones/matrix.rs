//! The cells: which files there are, which adapters each gets, and what must hold.

use std::path::PathBuf;

use crate::cell;
use crate::oracle::Oracle;
use crate::page;
use crate::record::{self, Row};

/// The kinds of adapter in the oracles.
const KINDS: [&str; 3] = ["lora", "bottleneck", "ia3"];

/// Weights as a file's name tells them, and the largest relative error against PyTorch. Another
/// kind of weights has its own oracles, `ARCHITECTURE.WEIGHTS.safetensors`, computed from the
/// rounded weights.
const WEIGHTS: [(&str, f64); 1] = [("fp32", 1e-4)];

/// Fewer green cells than this would be no matrix.
const GREEN_MIN: usize = 40;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One model file, told by its name: `EXPORTER-OPSET.onnx`, or `EXPORTER-OPSET.WEIGHTS.onnx` where
/// the weights are not float32.
struct File {
    path: PathBuf,
    exporter: String,
    opset: i64,
    weights: &'static str,
    error_max: f64,
}

impl File {
    fn new(path: PathBuf) -> Self {
        let name = path.file_name().unwrap().to_str().unwrap();
        let stem = name.strip_suffix(".onnx").unwrap();
        let (stem, weights) = stem.split_once('.').unwrap_or((stem, "fp32"));
        let (exporter, opset) = stem.rsplit_once('-').unwrap();
        let known = WEIGHTS.iter().find(|(known, _)| *known == weights);
        let (weights, error_max) = *known.unwrap_or_else(|| panic!("{name}: unknown weights"));
        let (exporter, opset) = (exporter.to_owned(), opset.parse().unwrap());
        Self { exporter, opset, weights, error_max, path }
    }
}

/// The model files of an architecture, in order.
fn files(architecture: &str) -> Vec<File> {
    let folder = root().join("tests/fixtures/backbones").join(architecture);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "onnx"));
    paths.sort();
    assert!(!paths.is_empty(), "{} has models", folder.display());
    paths.into_iter().map(File::new).collect()
}

/// What PyTorch computed: of the float32 weights, or of other ones where they are rounded.
fn oracle(architecture: &str, weights: &str) -> Oracle {
    let name = match weights {
        "fp32" => format!("{architecture}.safetensors"),
        _ => format!("{architecture}.{weights}.safetensors"),
    };
    Oracle::read(&root().join("tests/oracle/backbones").join(name))
}

/// Runs every cell of an architecture and compares with what is on record.
pub fn check(architecture: &str) {
    let mut rows = Vec::new();
    for file in files(architecture) {
        let oracle = oracle(architecture, file.weights);
        for kind in KINDS {
            let result = cell::run(&file.path, &oracle, kind, file.error_max);
            let File { exporter, opset, weights, .. } = &file;
            rows.push(Row::new(architecture, exporter, *opset, weights, kind, result));
        }
    }
    record::compare(architecture, &rows);
}

/// Checks that the record is about the fixtures there are, and that enough of it is green.
pub fn check_record(architectures: &[&str]) {
    if record::is_blessing() {
        return;
    }
    let rows = record::read();
    let mut cells = Vec::new();
    for architecture in architectures {
        for file in files(architecture) {
            for kind in KINDS {
                cells.push((
                    (*architecture).to_owned(),
                    file.exporter.clone(),
                    file.opset,
                    file.weights.to_owned(),
                    kind.to_owned(),
                ));
            }
        }
    }
    let mut recorded: Vec<_> = rows.iter().map(Row::key).collect();
    cells.sort();
    recorded.sort();
    assert_eq!(cells, recorded, "run the test with POLYGRAFT_BLESS=1");
    let folders = std::fs::read_dir(root().join("tests/fixtures/backbones")).unwrap();
    let folders = folders.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), architectures.len(), "every folder of fixtures has a test");
    let green = rows.iter().filter(|row| row.is_green()).count();
    assert!(green >= GREEN_MIN, "{green} green cells");
    for row in rows.iter().filter(|row| !row.is_green()) {
        assert!(page::is_explained(&row.reason), "page.rs says nothing about {}", row.reason);
    }
    record::check_page(&rows);
}
