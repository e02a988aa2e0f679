//! Style that a machine can check: line and file lengths, opening words, markdown, paths, layers.
//!
//! `CONVENTIONS.md` states the rules for people. Each test here names every place that breaks one,
//! as `file:line`, so that a failure can be mended without reading this file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

const LINE_CHARS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;

/// Folders that hold no text of ours: build outputs, caches, fixtures.
const SKIPPED_FOLDERS: [&str; 6] = ["target", ".cache", ".git", ".build", "fixtures", "shared"];

/// Kinds of files that people write by hand.
const TEXT_KINDS: [&str; 14] = [
    "rs",
    "md",
    "toml",
    "sh",
    "py",
    "c",
    "h",
    "go",
    "swift",
    "mod",
    "modulemap",
    "yml",
    "json",
    "lock",
];

/// Which parts a part may use. The same table is drawn in `ARCHITECTURE.md`.
const LAYERS: [(&str, &[&str]); 23] = [
    ("error", &[]),
    ("named", &["error"]),
    ("files", &["error"]),
    ("graph", &["error", "files"]),
    ("language", &["error"]),
    ("reading", &["error"]),
    ("example", &["error", "language"]),
    ("bundle", &["error", "files", "graph", "reading"]),
    ("autodiff", &["error", "graph"]),
    ("sites", &["error", "graph"]),
    ("adapter", &["error", "example", "graph", "reading", "sites"]),
    ("exchange", &["error", "adapter", "example", "files", "graph", "reading", "sites"]),
    ("runtime", &["error", "graph"]),
    ("gradients", &["error", "adapter", "autodiff", "graph", "runtime", "sites"]),
    ("report", &["error", "language"]),
    ("store", &["error", "files", "language"]),
    ("rehearsal", &["error", "example", "files", "language", "store"]),
    ("inference", &["error", "adapter", "bundle", "example", "graph", "runtime", "sites"]),
    ("task", &["error", "adapter", "bundle", "example", "graph", "inference", "runtime"]),
    ("evaluation", &["error", "bundle", "example", "inference", "language", "task"]),
    (
        "update",
        &[
            "error",
            "adapter",
            "autodiff",
            "bundle",
            "evaluation",
            "example",
            "files",
            "graph",
            "inference",
            "language",
            "reading",
            "rehearsal",
            "report",
            "runtime",
            "sites",
            "store",
            "task",
        ],
    ),
    ("console", &["error", "bundle", "files", "report", "runtime"]),
    (
        "model",
        &[
            "error",
            "bundle",
            "evaluation",
            "example",
            "inference",
            "language",
            "runtime",
            "store",
            "task",
            "update",
        ],
    ),
];

/// What the two faces of the library may use of it.
const FFI_MAY_NOT_USE: [&str; 2] = ["autodiff", "graph"];
const CLI_MAY_NOT_USE: [&str; 2] = ["autodiff", "ffi"];

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
#[cfg_attr(not(set_up), ignore = "needs make setup")]
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
        .filter(|path| path.file_name().is_none_or(|name| name != "tidy.rs"))
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
    let sources = files(&["rs", "md", "toml", "sh", "c", "h", "go", "swift"]);
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

/// The part that `src/PART/...` or `src/PART.rs` belongs to; none for `src/lib.rs`.
fn part_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(root().join("src")).ok()?;
    let first = below.components().next()?.as_os_str().to_string_lossy().into_owned();
    let part = first.trim_end_matches(".rs").to_owned();
    (part != "lib").then_some(part)
}

/// The code of a file: its text without comments, in as many lines.
fn code_of(path: &Path) -> String {
    read(path)
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n")
        .collect()
}

/// The paths in `code` that begin with `crate_name`, each with its line: groups in braces are
/// spelled out, and a name after `as` is the last segment.
fn paths_named(code: &str, crate_name: &str) -> Vec<(usize, Vec<String>)> {
    let mut paths = Vec::new();
    for (at, matched) in code.match_indices(crate_name) {
        // `some_crate::` is another name that ends alike.
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let mut found = Vec::new();
        spell_out(&code[at + matched.len()..], &[], &mut found);
        paths.extend(found.into_iter().map(|path| (line, path)));
    }
    paths
}

/// Reads one path or one group of paths; what follows it is returned.
fn spell_out<'a>(text: &'a str, prefix: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let mut text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        while !rest.trim_start().starts_with('}') && !rest.trim_start().is_empty() {
            let after = spell_out(rest, prefix, found).trim_start();
            rest = after.strip_prefix(',').unwrap_or(after);
            assert!(rest.len() < text.len(), "an unknown form of path: {text:.60}");
        }
        return rest.trim_start().get(1..).unwrap_or_default();
    }
    let is_part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part_of_name(c)).unwrap_or(text.len());
    let mut path = prefix.to_vec();
    path.push(text[..end].to_owned());
    text = &text[end..];
    if let Some(rest) = text.strip_prefix("::") {
        return spell_out(rest, &path, found);
    }
    if let Some(alias) = text.strip_prefix(" as ") {
        let end = alias.find(|c| !is_part_of_name(c)).unwrap_or(alias.len());
        path.push(alias[..end].to_owned());
        text = &alias[end..];
    }
    found.push(path);
    text.strip_prefix('*').unwrap_or(text)
}

/// What the parts re-export of other parts: the part and the name as it is seen there, and the part
/// that the name comes from.
fn re_exports(known: &[&str]) -> HashMap<(String, String), String> {
    let mut all = HashMap::new();
    for path in files(&["rs"]) {
        let Some(part) = part_of(&path) else { continue };
        let code = code_of(&path);
        for statement in code.split(';') {
            let Some(start) = statement.rfind("pub") else { continue };
            let Some((_, used)) = statement[start..].split_once(" use ") else { continue };
            for (_, names) in paths_named(used, "crate::") {
                let (origin, name) = (&names[0], names.last().expect("a name"));
                if known.contains(&&**origin) && *origin != part {
                    assert!(!name.is_empty(), "{} re-exports all of {origin}", shown(&path));
                    all.insert((part.clone(), name.clone()), origin.clone());
                }
            }
        }
    }
    all
}

/// The parts that a path uses: the one that it names, and those that define what it names.
fn parts_used(path: &[String], re_exports: &HashMap<(String, String), String>) -> Vec<String> {
    let mut parts = vec![path[0].clone()];
    for name in &path[1..] {
        let mut part = path[0].clone();
        while let Some(origin) = re_exports.get(&(part, name.clone())) {
            parts.push(origin.clone());
            part = origin.clone();
        }
    }
    parts
}

#[test]
fn a_part_uses_only_parts_below_it() {
    let known: Vec<&str> =
        LAYERS.iter().map(|(part, _)| *part).chain(["ffi", "cli", "experiment"]).collect();
    let re_exports = re_exports(&known);
    let mut wrong = Vec::new();
    for path in files(&["rs"]) {
        let Some(part) = part_of(&path) else { continue };
        assert!(known.contains(&part.as_str()), "{} is in no known part", shown(&path));
        let is_program = ["cli", "experiment"].contains(&&*part);
        let crate_name = if is_program { "polygraft::" } else { "crate::" };
        for (line, names) in paths_named(&code_of(&path), crate_name) {
            for used in parts_used(&names, &re_exports) {
                let is_part = known.contains(&&*used) && used != part;
                if is_part && !may_use(&part, &used) {
                    wrong.push(format!("{}:{line} uses {used}", shown(&path)));
                }
            }
        }
    }
    assert_none("a part uses only the parts that LAYERS allows", &wrong);
}

fn may_use(part: &str, used: &str) -> bool {
    match part {
        "ffi" => {
            !["cli", "console", "experiment"].contains(&used) && !FFI_MAY_NOT_USE.contains(&used)
        }
        "cli" | "experiment" => !CLI_MAY_NOT_USE.contains(&used),
        _ => LAYERS.iter().any(|(name, below)| *name == part && below.contains(&used)),
    }
}

#[test]
fn the_layers_have_no_cycle() {
    for (index, (part, below)) in LAYERS.iter().enumerate() {
        for used in *below {
            let earlier = LAYERS[..index].iter().any(|(name, _)| name == used);
            assert!(earlier, "{part} uses {used}, which must be listed above it");
        }
    }
}

/// Parts whose files use each other in one direction only: none of them is part of a circle.
const WITHOUT_CIRCLES: [&str; 3] = ["sites", "adapter", "exchange"];

#[test]
fn no_file_of_a_part_uses_itself_through_others() {
    for part in WITHOUT_CIRCLES {
        let uses = uses_within(part);
        assert!(uses.len() > 3, "{part} has {} files", uses.len());
        let mut open: Vec<&String> = uses.keys().collect();
        // What uses nothing that is still open is in no circle.
        loop {
            let is_open = |used: &String| open.contains(&used);
            let blocked = |module: &&String| uses[*module].iter().any(is_open);
            let left: Vec<&String> = open.iter().copied().filter(blocked).collect();
            if left.len() == open.len() {
                break;
            }
            open = left;
        }
        let lines: Vec<String> =
            open.iter().map(|module| format!("{module} uses {:?}", uses[*module])).collect();
        assert_none("the files of a part use each other in one direction", &lines);
    }
}

/// The modules of a part that have a file, each with those that its file names.
fn uses_within(part: &str) -> HashMap<String, Vec<String>> {
    let module_of = |path: &Path| -> Option<Vec<String>> {
        let below = path.strip_prefix(root().join("src")).ok()?.with_extension("");
        let names = below.components().map(|one| one.as_os_str().to_string_lossy().into_owned());
        let mut module: Vec<String> = names.collect();
        module.pop_if(|name| name == "mod");
        (module.first().is_some_and(|first| first == part)).then_some(module)
    };
    let sources: Vec<(Vec<String>, PathBuf)> = files(&["rs"])
        .into_iter()
        .filter_map(|path| Some((module_of(&path)?, path)))
        .filter(|(module, _)| !module.last().is_some_and(|name| name.ends_with("_tests")))
        .collect();
    let known: Vec<String> = sources.iter().map(|(module, _)| module.join("::")).collect();
    // The file that a path leads to: that of the longest beginning that is a module.
    let file = |path: &[String]| {
        (1..=path.len()).rev().map(|end| path[..end].join("::")).find(|one| known.contains(one))
    };
    let used_by = |(module, path): &(Vec<String>, PathBuf)| {
        let code = code_of(path);
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        let absolute = paths_named(code, "crate::").into_iter().map(|(_, path)| path);
        let relative = paths_named(code, "super::").into_iter().map(|(_, path)| {
            let up = 1 + path.iter().take_while(|name| *name == "super").count();
            let kept = module.len().saturating_sub(up);
            [&module[..kept], &path[up - 1..]].concat()
        });
        let inner = paths_named(code, "use ")
            .into_iter()
            .map(|(_, path)| [module.as_slice(), path.as_slice()].concat());
        let own = module.join("::");
        let mut used: Vec<String> =
            absolute.chain(relative).chain(inner).filter_map(|path| file(&path)).collect();
        used.retain(|used| *used != own);
        used.sort();
        used.dedup();
        (own, used)
    };
    sources.iter().map(used_by).collect()
}

#[test]
fn paths_are_found_in_uses_and_followed_to_where_their_names_are_defined() {
    let found = |code, crate_name| -> Vec<String> {
        paths_named(code, crate_name).into_iter().map(|(_, path)| path.join(" ")).collect()
    };
    assert_eq!(found("use crate::store::Store;", "crate::"), ["store Store"]);
    let group = "use crate::{error::{self, Code},\n    graph};";
    assert_eq!(found(group, "crate::"), ["error self", "error Code", "graph"]);
    assert_eq!(found("use crate::a::{B as C, d::*};", "crate::"), ["a B C", "a d "]);
    assert_eq!(found("    crate::task::check_text(x)", "crate::"), ["task check_text"]);
    assert_eq!(found("other_crate::store", "crate::"), [""; 0]);
    assert_eq!(found("use polygraft::{Code, Result};", "polygraft::"), ["Code", "Result"]);
    let key = |part: &str| (part.to_owned(), "Kind".to_owned());
    let chain = HashMap::from([(key("a"), "b".to_owned()), (key("b"), "c".to_owned())]);
    assert_eq!(parts_used(&["a".to_owned(), "Kind".to_owned()], &chain), ["a", "b", "c"]);
}
