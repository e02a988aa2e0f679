//! What is on record about the matrix: `docs/results/backbones.json`, and the page made of it.

use std::path::PathBuf;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::matrix::root;
use crate::page::page;

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub architecture: String,
    pub exporter: String,
    pub opset: i64,
    pub weights: String,
    pub adapter: String,
    /// The largest relative error of a gradient; none where there are no gradients.
    pub gradient_error: Option<f64>,
    /// `green` or `red`.
    pub status: String,
    /// Why a cell is red.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What tells cells apart.
pub type Key = (String, String, i64, String, String);

impl Row {
    pub fn new(
        architecture: &str,
        exporter: &str,
        opset: i64,
        weights: &str,
        adapter: &str,
        result: Result<f64, String>,
    ) -> Self {
        let own = str::to_owned;
        let status = own(if result.is_ok() { "green" } else { "red" });
        // Two digits: the rest differs between processors.
        let rounded = result.as_ref().ok().map(|error| format!("{error:.1e}").parse().unwrap());
        Self {
            architecture: own(architecture),
            exporter: own(exporter),
            opset,
            weights: own(weights),
            adapter: own(adapter),
            gradient_error: rounded,
            status,
            reason: result.err().unwrap_or_default(),
        }
    }

    pub fn is_green(&self) -> bool {
        self.status == "green"
    }

    pub fn key(&self) -> Key {
        let Self { architecture, exporter, opset, weights, adapter, .. } = self.clone();
        (architecture, exporter, opset, weights, adapter)
    }
}

fn path() -> PathBuf {
    root().join("docs/results/backbones.json")
}

fn page_path() -> PathBuf {
    root().join("docs/backbones.md")
}

pub fn is_blessing() -> bool {
    std::env::var_os("POLYGRAFT_BLESS").is_some()
}

/// The rows on record, in order.
pub fn read() -> Vec<Row> {
    match std::fs::read_to_string(path()) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) if is_blessing() => Vec::new(),
        Err(error) => panic!("{}: {error}", path().display()),
    }
}

/// Compares the rows of an architecture with those on record, or puts them there.
pub fn compare(architecture: &str, rows: &[Row]) {
    /// The tests of several architectures share the files.
    static WRITING: Mutex<()> = Mutex::new(());
    if is_blessing() {
        let _guard = WRITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut all = read();
        all.retain(|row| row.architecture != architecture);
        all.extend_from_slice(rows);
        all.sort_by_key(Row::key);
        let lines: Vec<String> =
            all.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
        std::fs::write(path(), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
        std::fs::write(page_path(), page(&all)).unwrap();
        return;
    }
    let recorded = read();
    let mut wrong = Vec::new();
    for row in rows {
        let before = recorded.iter().find(|recorded| recorded.key() == row.key());
        match before {
            Some(before) if before.status == row.status => {}
            Some(before) if before.is_green() => {
                wrong.push(format!("{:?} turned red: {}", row.key(), row.reason));
            }
            Some(_) => wrong.push(format!("{:?} turned green: record it", row.key())),
            None => wrong.push(format!("{:?} is not on record", row.key())),
        }
    }
    assert!(wrong.is_empty(), "POLYGRAFT_BLESS=1 records anew:\n  {}", wrong.join("\n  "));
}

/// Checks that the page is the one that the rows give.
pub fn check_page(rows: &[Row]) {
    let written = std::fs::read_to_string(page_path()).unwrap();
    assert_eq!(written, page(rows), "run the test with POLYGRAFT_BLESS=1");
}
