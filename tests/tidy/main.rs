//! Style that a machine can check: line and file lengths, opening words, markdown, paths, layers.
//!
//! `CONVENTIONS.md` states the rules for people. Each test here names every place that breaks one,
//! as `file:line`, so that a failure can be fixed without reading this file.

mod layers;

use std::fs;
use std::path::{Path, PathBuf};

const LINE_CHARS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;

/// Folders that hold no text of ours: build outputs, caches, fixtures.
const SKIPPED_FOLDERS: [&str; 6] = ["target", ".cache", ".git", ".build", "fixtures", "shared"];

/// Kinds of files that people write by hand.
const TEXT_KINDS: [&str; 16] = [
    "rs",
    "md",
    "toml",
    "sh",
    "py",
    "c",
    "h",
    "cpp",
    "hpp",
    "go",
    "swift",
    "mod",
    "modulemap",
    "yml",
    "json",
    "lock",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below the repository with one of these extensions, in order.
fn files(kinds: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let hidden = name.starts_with('.') && name != ".ci";
                if !hidden && !SKIPPED_FOLDERS.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if kinds.iter().any(|kind| path.extension().is_some_and(|found| found == *kind))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no file of the kinds {kinds:?}");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The path as people type it.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The places in all `files` where `wrong` finds something in a line, as `file:line what`.
fn places(files: &[PathBuf], wrong: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut places = Vec::new();
    for path in files {
        for (index, line) in read(path).lines().enumerate() {
            if let Some(what) = wrong(line) {
                places.push(format!("{}:{} {what}", shown(path), index + 1));
            }
        }
    }
    places
}

fn assert_none(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}

#[test]
fn lines_and_files_of_rust_fit_a_screen() {
    let sources = files(&["rs"]);
    let long_lines = places(&sources, |line| {
        let count = line.chars().count();
        (count > LINE_CHARS_MAX).then(|| format!("has {count} characters"))
    });
    assert_none("lines have at most 100 characters", &long_lines);
    let mut long_files = Vec::new();
    for path in &sources {
        let count = read(path).lines().count();
        if count > FILE_LINES_MAX {
            long_files.push(format!("{} has {count} lines", shown(path)));
        }
    }
    assert_none("files have at most 500 lines", &long_files);
}

#[test]
fn every_module_says_what_it_is_for() {
    let mut silent = Vec::new();
    for path in files(&["rs"]) {
        let text = read(&path);
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if !first.starts_with("//! ") {
            silent.push(format!("{} opens with {first:?}", shown(&path)));
        }
    }
    assert_none("every module opens with //! prose", &silent);
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let banned =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("dbg", "!(")];
    let found = places(&files(&TEXT_KINDS), |line| {
        let word = banned.iter().find(|word| line.contains(**word))?;
        // A word of the same letters inside a longer one is another word.
        let at = line.find(word)?;
        let before = line[..at].chars().next_back();
        let apart = before.is_none_or(|c| !c.is_alphanumeric());
        apart.then(|| format!("says {word}"))
    });
    assert_none("work is finished, or written down where work is planned", &found);
}

#[test]
fn markdown_has_one_title_and_it_comes_first() {
    let mut wrong = Vec::new();
    for path in files(&["md"]) {
        let text = read(&path);
        let mut fenced = false;
        let mut titles = 0;
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced && line.starts_with("# ") {
                titles += 1;
            }
        }
        if titles != 1 || !text.starts_with("# ") {
            wrong.push(format!("{} has {titles} titles", shown(&path)));
        }
        if fenced {
            wrong.push(format!("{} has a code block without end", shown(&path)));
        }
    }
    assert_none("a markdown file opens with its one title", &wrong);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let homes = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), "/Users/"];
    let sources: Vec<PathBuf> = files(&TEXT_KINDS)
        .into_iter()
        .filter(|path| !path.ends_with("tests/tidy/main.rs"))
        .collect();
    let found = places(&sources, |line| {
        let home = homes.iter().find(|home| line.contains(**home))?;
        Some(format!("names {home}"))
    });
    assert_none("paths are relative to the repository or come from the environment", &found);
}

#[test]
fn lines_end_where_their_text_ends() {
    // Not Python: its long strings may hold sentences that end in blanks on purpose.
    let sources = files(&["rs", "md", "toml", "sh", "c", "h", "cpp", "hpp", "go", "swift"]);
    let trailing =
        places(&sources, |line| line.ends_with([' ', '\t']).then(|| "ends in blanks".to_owned()));
    assert_none("no blanks at the end of a line", &trailing);
    let mut unended = Vec::new();
    for path in &sources {
        let text = read(path);
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            unended.push(shown(path));
        }
    }
    assert_none("a file ends with one line feed", &unended);
}

#[test]
fn shell_scripts_stop_at_the_first_failure() {
    let mut lax = Vec::new();
    for path in files(&["sh"]) {
        let text = read(&path);
        if !text.starts_with("#!") || !text.lines().any(|line| line.starts_with("set -eu")) {
            lax.push(shown(&path));
        }
    }
    assert_none("a shell script has a #! line and set -eu", &lax);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read(&root().join("Cargo.toml"));
    let document = read(&root().join("docs/dependencies.md"));
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            names.push(name.trim().to_owned());
        }
    }
    assert!(names.len() > 10, "{names:?}");
    let unexplained: Vec<String> =
        names.into_iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert_none("docs/dependencies.md gives a reason for each dependency", &unexplained);
}

/// `make test` sets the variable: what it is to run must not be ignored unnoticed.
#[test]
fn tests_that_need_set_up_run_after_it() {
    let expected = std::env::var_os("POLYGRAFT_SET_UP").is_some();
    assert!(cfg!(set_up) || !expected, "`make setup` has run, but build.rs did not see it");
}
