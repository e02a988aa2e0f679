//! Real examples as the C programs read them: tab-separated lines from the intents data.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes a file with `count` examples of each label in each language and gives its path.
pub fn write(folder: &Path, languages: &[&str], labels: &[&str], count: usize) -> PathBuf {
    let mut lines = String::new();
    for language in languages {
        let source = super::support::in_repository(".cache/data/intents/train");
        let source = source.join(format!("{language}.jsonl"));
        let text = fs::read_to_string(&source)
            .unwrap_or_else(|cause| panic!("{}: {cause}: run `make setup`", source.display()));
        let examples: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
        for label in labels {
            let chosen = examples.iter().filter(|one| one["label"] == *label).take(count);
            for one in chosen {
                let field = |name: &str| one[name].as_str().expect("a text").to_owned();
                let (text, label) = (field("text"), field("label"));
                assert!(!text.contains(['\t', '\n']), "{text}");
                lines.push_str(&format!("{language}\t{text}\t{label}\n"));
            }
        }
    }
    let path = folder.join("examples.tsv");
    fs::write(&path, lines).expect("a writable folder");
    path
}
