//! Layers: a part of the library uses only parts below it, and its files use each other one way.

use super::{assert_none, files, read, root, shown};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Which parts a part may use. The same table is drawn in `ARCHITECTURE.md`.
const LAYERS: [(&str, &[&str]); 26] = [
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
    ("kernels", &["error", "graph"]),
    ("runtime", &["error", "graph", "kernels"]),
    ("gradients", &["error", "adapter", "autodiff", "graph", "runtime", "sites"]),
    ("report", &["error", "language"]),
    ("store", &["error", "files", "language"]),
    ("rehearsal", &["error", "example", "files", "language", "store"]),
    ("inference", &["error", "adapter", "bundle", "example", "files", "graph", "runtime", "sites"]),
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
            "adapter",
            "bundle",
            "evaluation",
            "example",
            "exchange",
            "graph",
            "inference",
            "language",
            "rehearsal",
            "report",
            "runtime",
            "sites",
            "store",
            "task",
            "update",
        ],
    ),
    (
        "federate",
        &[
            "error",
            "adapter",
            "bundle",
            "evaluation",
            "example",
            "inference",
            "language",
            "model",
            "rehearsal",
            "report",
            "store",
            "update",
        ],
    ),
    (
        "diagnosis",
        &[
            "error",
            "adapter",
            "bundle",
            "model",
            "rehearsal",
            "report",
            "runtime",
            "store",
            "update",
        ],
    ),
];

/// What the two faces of the library may use of it.
const FFI_MAY_NOT_USE: [&str; 2] = ["autodiff", "graph"];
const CLI_MAY_NOT_USE: [&str; 2] = ["autodiff", "ffi"];

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
const WITHOUT_CIRCLES: [&str; 11] = [
    "files",
    "graph",
    "autodiff",
    "sites",
    "adapter",
    "exchange",
    "store",
    "inference",
    "update",
    "ffi",
    "experiment",
];

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
        // The visibility of an item is not a use of it.
        let code = code_of(path).replace("pub(in crate::", "pub(");
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
