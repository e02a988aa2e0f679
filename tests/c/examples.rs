//! Real examples as the C programs read them: tab-separated lines from the intents and slots data.
#![allow(dead_code, reason = "each test file uses its part of this module")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes a file with `count` examples of each label in each language and gives its path.
pub fn write(folder: &Path, languages: &[&str], labels: &[&str], count: usize) -> PathBuf {
    let mut lines = String::new();
    for language in languages {
        let examples = read("intents", language);
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

/// Writes a file with the words, tags and labels of the first `count` sentences of each language
/// that have a slot, and gives its path.
pub fn write_tagged(folder: &Path, languages: &[&str], count: usize) -> PathBuf {
    let mut lines = String::new();
    for language in languages {
        let is_slot = |tag: &Value| tag.as_str().is_some_and(|tag| tag.starts_with("B-"));
        let list = |one: &Value, name: &str| -> Vec<String> {
            let parts = one[name].as_array().expect("a list").iter();
            parts.map(|part| part.as_str().expect("a text").to_owned()).collect()
        };
        let examples = read("slots", language).into_iter();
        let slotted =
            examples.filter(|one| one["tags"].as_array().is_some_and(|t| t.iter().any(is_slot)));
        for one in slotted.take(count) {
            let (words, tags) = (list(&one, "words"), list(&one, "tags"));
            assert!(words.iter().all(|word| !word.contains(char::is_whitespace)), "{words:?}");
            let label = one["label"].as_str().expect("a text");
            let (words, tags) = (words.join(" "), tags.join(" "));
            lines.push_str(&format!("{language}\t{label}\t{words}\t{tags}\n"));
        }
    }
    let path = folder.join("tagged.tsv");
    fs::write(&path, lines).expect("a writable folder");
    path
}

/// The training examples of a language.
fn read(data: &str, language: &str) -> Vec<Value> {
    let source = super::support::in_repository(".cache/data").join(data).join("train");
    let source = source.join(format!("{language}.jsonl"));
    let text = fs::read_to_string(&source)
        .unwrap_or_else(|cause| panic!("{}: {cause}: run `make setup`", source.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}
