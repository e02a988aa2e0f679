//! The cells: which files there are, which adapters each gets, and what must hold.

use std::path::PathBuf;

use crate::cell;
use crate::oracle::Oracle;
use crate::page;
use crate::record::{self, Row};

/// The kinds of adapter in the oracles.
const KINDS: [&str; 3] = ["lora", "bottleneck", "ia3"];

/// Weights as a file's name tells them. Other weights than float32 have their own oracles,
/// `ARCHITECTURE.WEIGHTS.safetensors`, computed from the rounded weights.
/// With each the minimum number of green cells.
const WEIGHTS: [(&str, usize); 4] = [("fp32", 40), ("fp16", 3), ("int8", 3), ("q4", 3)];

/// The largest relative error against PyTorch, whatever the weights.
const ERROR_MAX: f64 = 1e-4;

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
}

impl File {
    fn new(path: PathBuf) -> Self {
        let name = path.file_name().unwrap().to_str().unwrap();
        let stem = name.strip_suffix(".onnx").unwrap();
        let (stem, weights) = stem.split_once('.').unwrap_or((stem, "fp32"));
        let (exporter, opset) = stem.rsplit_once('-').unwrap();
        let known = WEIGHTS.into_iter().map(|(known, _)| known).find(|known| *known == weights);
        let weights = known.unwrap_or_else(|| panic!("{name}: unknown weights"));
        let (exporter, opset) = (exporter.to_owned(), opset.parse().unwrap());
        Self { exporter, opset, weights, path }
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
    let folder = root().join("tests/oracle/backbones");
    let float = folder.join(format!("{architecture}.safetensors"));
    match weights {
        "fp32" => Oracle::read(&float, None),
        _ => {
            let rounded = folder.join(format!("{architecture}.{weights}.safetensors"));
            Oracle::read(&rounded, Some(&float))
        }
    }
}

/// The kinds of adapter that a file is run with.
fn kinds(oracle: &Oracle) -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().filter(|kind| oracle.has(kind))
}

/// Runs every cell of an architecture and compares with what is on record.
pub fn check(architecture: &str) {
    let mut rows = Vec::new();
    for file in files(architecture) {
        let oracle = oracle(architecture, file.weights);
        for kind in kinds(&oracle) {
            let result = cell::run(&file.path, &oracle, kind, ERROR_MAX);
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
            for kind in kinds(&oracle(architecture, file.weights)) {
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
    for (weights, green_min) in WEIGHTS {
        let green = rows.iter().filter(|row| row.weights == weights && row.is_green()).count();
        assert!(green >= green_min, "{green} green cells with weights in {weights}");
    }
    for row in rows.iter().filter(|row| !row.is_green()) {
        assert!(page::is_explained(&row.reason), "page.rs says nothing about {}", row.reason);
    }
    record::check_page(&rows);
}
