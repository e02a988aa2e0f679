//! The guide in `docs/guide`: its code is that of files that run, its links lead somewhere, and the
//! programs and scripts that were written for it do what it says.
//!
//! Bundles and stores are the small ones that version 0.1.0 wrote, where nothing else is said.

#![cfg(unix)]

#[path = "guide/commands.rs"]
mod commands;
mod excerpts;
#[path = "../examples/rust/migrate.rs"]
mod migrate;
#[path = "../examples/rust/patient.rs"]
mod patient;
#[path = "guide/programs.rs"]
mod programs;
#[path = "c/support.rs"]
mod support;
#[path = "../examples/rust/threshold.rs"]
mod threshold;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const FOLDER: &str = "docs/guide";

/// A file that version 0.1.0 wrote.
fn fixture(name: &str) -> PathBuf {
    support::in_repository("tests/fixtures/written-by-0.1.0").join(name)
}

/// The pages of the guide, as paths in the repository.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(support::in_repository(FOLDER)).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let mut pages: Vec<_> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("{FOLDER}/{name}")).collect();
    pages.sort();
    pages
}

/// What a comment `from FILE`, `from FILE: MARK` or `from FILE: COUNT`, of lines, stands for.
fn source(comment: &str) -> Option<String> {
    let named = comment.strip_prefix("from ")?;
    let (path, name) = named.split_once(": ").unwrap_or((named, ""));
    let text = match (name, name.parse::<usize>()) {
        (_, Ok(count)) => {
            excerpts::read(path).lines().take(count).map(|line| format!("{line}\n")).collect()
        }
        ("README", _) => excerpts::excerpt(path, "README: begin", "README: end"),
        ("", _) => excerpts::excerpt(path, "guide: begin", "guide: end"),
        _ => {
            let (begin, end) = (format!("guide: begin {name}"), format!("guide: end {name}"));
            excerpts::excerpt(path, &begin, &end)
        }
    };
    Some(text)
}

/// With `POLYGRAFT_BLESS=1` it copies the excerpts into the pages.
#[test]
fn code_blocks_are_excerpts_of_files_that_run() {
    let bless = std::env::var_os("POLYGRAFT_BLESS").is_some();
    let mut count = 0;
    for page in pages() {
        let mut text = excerpts::read(&page);
        for block in excerpts::blocks(&page) {
            let place = format!("{page}:{}", block.line);
            let comment = block.comment.as_deref().unwrap_or_default();
            if block.language == "text" || comment.starts_with("not run here: ") {
                continue;
            }
            count += 1;
            let expected = source(comment).unwrap_or_else(|| {
                panic!("{place}: expected a line <!-- from FILE --> before it, found {comment:?}")
            });
            if bless {
                let fenced =
                    |inside: &str| format!("{comment} -->\n```{}\n{inside}```", block.language);
                text = text.replacen(&fenced(&block.text), &fenced(&expected), 1);
            } else {
                assert_eq!(block.text, expected, "{place}: see POLYGRAFT_BLESS in the guide");
            }
        }
        if bless {
            fs::write(support::in_repository(&page), text).unwrap();
        }
    }
    assert!(count > 15, "{count}");
}

/// The anchors of the headings of a document, as web sites of Markdown make them.
fn anchors(path: &str) -> BTreeSet<String> {
    let text = excerpts::read(path);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let kept = line.trim_start_matches('#').trim().chars();
        let kept = kept.filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let folder = support::in_repository(FOLDER);
    for page in pages() {
        for target in excerpts::links(&page) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = folder.join(file);
            assert!(path.exists(), "{page} links to {target}");
            if !anchor.is_empty() {
                let document = format!("{FOLDER}/{file}");
                assert!(anchors(&document).contains(anchor), "{page} links to {target}");
            }
        }
    }
}

#[test]
fn every_chapter_is_in_the_summary_and_on_the_first_page() {
    let chapters: BTreeSet<_> =
        pages().iter().map(|page| page[FOLDER.len() + 1..].to_owned()).collect();
    let chapters = &chapters - &BTreeSet::from(["README.md".to_owned(), "SUMMARY.md".to_owned()]);
    for contents in ["SUMMARY.md", "README.md"] {
        let links = excerpts::links(&format!("{FOLDER}/{contents}"));
        let listed: BTreeSet<_> =
            links.into_iter().filter(|link| !link.contains('/') && link != "README.md").collect();
        assert_eq!(listed, chapters, "{contents}");
    }
}
