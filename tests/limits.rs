//! `docs/limits.md` states what the constants say, and has every limit of a reader.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where bytes from outside are read.
const READERS: [&str; 11] = [
    "graph/model.rs",
    "graph/decode.rs",
    "bundle",
    "adapter/file.rs",
    "adapter/header.rs",
    "exchange",
    "gradients/values.rs",
    "store/mod.rs",
    "store/segment.rs",
    "rehearsal/file.rs",
    "example/lines.rs",
];

/// Constants of readers that bound what is shown or tried, not what is read.
const NO_LIMITS: [&str; 6] = [
    "ATTEMPTS_MAX",
    "OPENINGS_MAX",
    "CAUSE_CHARS_MAX",
    "SMALL_SIZE_BYTES_MAX",
    "STEPS_MAX",
    "SPARE_MAX",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rows of the table: file, constant, stated value.
fn rows() -> Vec<(String, String, u128)> {
    let page = include_str!("../docs/limits.md");
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, limit, place] = cells[..] else { return None };
        let mut names = place.split('`').skip(1).step_by(2);
        let (file, name) = (names.next()?, names.next()?);
        Some((file.to_owned(), name.to_owned(), limit.replace(',', "").parse().unwrap()))
    };
    page.lines().filter(|line| line.starts_with('|')).filter_map(row).collect()
}

/// The value of the constant `name` in `text`; none where there is no such constant.
fn value(text: &str, name: &str) -> Option<u128> {
    let declaration = format!("const {name}: ");
    let line = text.lines().find(|line| line.contains(&declaration))?;
    let expression = line.split(" = ").nth(1)?.trim_end_matches(';');
    let expression = expression.replace("i32::MAX as usize", "2147483647").replace('_', "");
    let expression = expression.replace("TEXTSIZEBYTESMAX", "4194304");
    let expression = expression.replace("Duration::fromsecs(", "").replace(')', "");
    let number = |text: &str| -> u128 { text.trim().parse().unwrap_or_else(|_| panic!("{line}")) };
    Some(match (expression.split_once("<<"), expression.split_once('*')) {
        (Some((base, shift)), _) => number(base) << number(shift),
        (_, Some((left, right))) => number(left) * number(right),
        _ => number(expression.trim_end_matches(".0")),
    })
}

#[test]
fn the_table_states_what_the_constants_say() {
    let rows = rows();
    assert!(rows.len() > 50, "{} rows", rows.len());
    for (file, name, stated) in rows {
        let text = fs::read_to_string(source().join(&file)).unwrap_or_else(|_| panic!("{file}"));
        assert_eq!(value(&text, &name), Some(stated), "{file}: {name}");
    }
}

#[test]
fn every_limit_of_a_reader_is_in_the_table() {
    let listed: BTreeSet<(String, String)> =
        rows().into_iter().map(|(file, name, _)| (file, name)).collect();
    let mut paths: Vec<PathBuf> = READERS.iter().map(|reader| source().join(reader)).collect();
    let (mut found, mut missing) = (0, Vec::new());
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let file = path.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some((_, rest)) = line.split_once("const ") else { continue };
            let name = rest.split(':').next().unwrap_or_default();
            // A constant that is another one is listed there.
            let is_alias = rest.split(" = ").nth(1).is_some_and(|value| value.ends_with("_MAX;"));
            let is_shown = name.contains("SHOWN") || NO_LIMITS.contains(&name);
            if !name.ends_with("_MAX") || is_shown || is_alias {
                continue;
            }
            found += 1;
            if !listed.contains(&(file.clone(), name.to_owned())) {
                missing.push(format!("{file}: {name}"));
            }
        }
    }
    assert!(found > 25, "{found} constants");
    assert!(missing.is_empty(), "not in docs/limits.md: {missing:?}");
}
