//! Code in documents, which is an excerpt of a file that is compiled and run.
#![allow(dead_code, reason = "each test file uses its part of this module")]

use std::fs;
use std::path::Path;

/// A block of code in a document.
pub struct Block {
    /// What follows the fence: `rust`, `sh`.
    pub language: String,
    /// The lines inside.
    pub text: String,
    /// The comment on the line before the block, without its marks.
    pub comment: Option<String>,
    /// The line of the fence, from 1.
    pub line: usize,
}

/// A text file of the repository.
pub fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// The lines of a file between a line with `begin` and one with `end`, moved to the left together.
pub fn excerpt(path: &str, begin: &str, end: &str) -> String {
    let text = read(path);
    let ends_with = |line: &str, mark: &str| {
        // In C and Markdown a comment has an end.
        line.trim_end_matches([' ', '*', '/', '-', '>']).ends_with(mark)
    };
    let mut lines = text.lines().skip_while(|line| !ends_with(line, begin));
    assert!(lines.next().is_some(), "{path} has no mark {begin:?}");
    let inside: Vec<&str> = lines.take_while(|line| !ends_with(line, end)).collect();
    assert!(text.lines().any(|line| ends_with(line, end)), "{path} has no mark {end:?}");
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = inside.iter().filter(|line| !line.is_empty()).map(indent).min().unwrap_or(0);
    let moved = inside.iter().map(|line| format!("{}\n", line.get(common..).unwrap_or_default()));
    // gofmt wants a blank line between a function and the mark after it.
    format!("{}\n", moved.collect::<String>().trim_end())
}

/// The blocks of code of a document, in order.
pub fn blocks(path: &str) -> Vec<Block> {
    let text = read(path);
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text = inside.map(|line| format!("{line}\n")).collect();
            let comment = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
            let (language, comment) = (language.to_owned(), comment.map(str::to_owned));
            blocks.push(Block { language, text, comment, line: index + 1 });
        }
        before = line;
    }
    blocks
}

/// Where the links of a document lead to, those to other sites left out.
pub fn links(path: &str) -> Vec<String> {
    let mut fenced = false;
    let mut links = Vec::new();
    for line in read(path).lines() {
        fenced ^= line.starts_with("```");
        if fenced {
            continue;
        }
        let targets = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
        let targets = targets.map(|rest| rest.split(')').next().unwrap_or_default());
        links.extend(targets.filter(|target| !target.starts_with("http")).map(str::to_owned));
    }
    links
}
