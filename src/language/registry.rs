//! The registered languages, their names, and the tag that a name probably means.
//!
//! Two lists of text are compiled in: codes of ISO 639 and names of languages.
//! `tools/typology/registry.py` describes and writes them. Both are searched in place, so that they
//! cost no memory and no time at start.

use super::{Language, TAG_SIZE_BYTES_MAX, typology};
use strsim::osa_distance;

/// Lines of `code<tab>name`, with `<tab>tag` if another code replaces this one.
static CODES: &str = include_str!("codes.txt");
/// Lines of `name<tab>tag`, for names that are not in the list of codes.
static NAMES: &str = include_str!("names.txt");
/// The mark of a withdrawn code that no other code replaces.
const NO_SUCCESSOR: &str = "-";

/// The entry of one primary subtag in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registered {
    pub name: &'static str,
    /// The code that replaces it: `he` for `iw`, `de` for `deu`.
    pub replacement: Option<&'static str>,
}

/// The entry of a code of ISO 639-1, 639-2, 639-3 or 639-5, withdrawn or not, in small letters.
pub(super) fn code(primary: &str) -> Option<Registered> {
    let line = line_of(CODES, primary)?;
    let (name, replacement) = line.split_once('\t').unwrap_or((line, NO_SUCCESSOR));
    Some(Registered { name, replacement: Some(replacement).filter(|tag| *tag != NO_SUCCESSOR) })
}

/// Whether ISO 639 reserves a primary subtag for private use: `qaa` to `qtz`.
pub(super) fn is_private(primary: &str) -> bool {
    matches!(primary.as_bytes(), [b'q', b'a'..=b't', b'a'..=b'z'])
}

/// The tag that a text which is no tag probably means: `de` for `German`, `deutsch` or `germna`,
/// `de-AT` for `german-AT` and `de_AT.UTF-8`, `ja` for `jp`.
pub(super) fn meant(text: &str) -> Option<Language> {
    if text.len() > TAG_SIZE_BYTES_MAX {
        return None;
    }
    let before = |end: &[char]| text.split(end).next().filter(|part| *part != text);
    let tag = before(&['.', '@']).unwrap_or(text).replace('_', "-");
    let named_first = || {
        let (name, rest) = text.split_once(['-', '_'])?;
        let language = named(name)?;
        registered(&format!("{language}-{}", rest.replace('_', "-"))).or(Some(language))
    };
    named(text)
        .or_else(|| before(&['(', ',', '/']).and_then(named))
        .or_else(|| registered(&tag))
        .or_else(named_first)
        .or_else(|| misspelt(text))
}

fn registered(tag: &str) -> Option<Language> {
    Language::read(tag).ok().filter(Language::is_registered)
}

fn named(text: &str) -> Option<Language> {
    let name = plain(text);
    let tag = line_of(NAMES, &name).or_else(|| {
        let first = name.chars().next()?;
        let begins =
            |called: &str| called.chars().next().is_some_and(|c| c.to_lowercase().eq([first]));
        let mut lines = CODES.lines().filter_map(|line| line.split_once('\t'));
        // A line with a third column has the name of a code that another code has replaced.
        lines.find(|(_, called)| begins(called) && plain(called) == name).map(|(code, _)| code)
    })?;
    registered(tag)
}

/// The language whose name differs in one letter, or in two if the name is long. Only well-known
/// languages are considered, because among thousands of names most words are similar to one.
fn misspelt(text: &str) -> Option<Language> {
    let name = plain(text);
    let size = name.chars().count();
    let differing_max = match size {
        ..5 => return None,
        5..8 => 1,
        _ => 2,
    };
    let is_known = |tag: &str| {
        let primary = tag.split('-').next().unwrap_or(tag);
        primary.len() == 2 || typology::is_listed(primary)
    };
    let codes = CODES.lines().filter_map(|line| line.split_once('\t'));
    let names = NAMES.lines().filter_map(|line| line.split_once('\t'));
    let near = codes
        .map(|(code, called)| (called, code))
        .chain(names)
        .filter(|(called, tag)| {
            is_known(tag) && called.chars().count().abs_diff(size) <= differing_max
        })
        .map(|(called, tag)| (osa_distance(&plain(called), &name), tag))
        .filter(|(differing, _)| *differing <= differing_max)
        .min();
    registered(near?.1)
}

/// The name in small letters, with one blank between words however they are joined.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || "-_(),".contains(c));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").to_lowercase()
}

/// Finds the text after `key` and a tab in a list whose lines are in the order of their bytes.
fn line_of(list: &'static str, key: &str) -> Option<&'static str> {
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = list.as_bytes()[..middle].iter().rposition(|byte| *byte == b'\n');
        let start = before.map_or(0, |end| end + 1);
        let line = list[start..].lines().next()?;
        let (found, rest) = line.split_once('\t')?;
        match found.cmp(key) {
            std::cmp::Ordering::Equal => return Some(rest),
            std::cmp::Ordering::Less => low = start + line.len() + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_both_lists_is_found_and_leads_to_a_registered_tag() {
        for (list, is_codes) in [(CODES, true), (NAMES, false)] {
            let mut before = "";
            for line in list.lines() {
                let (key, rest) = line.split_once('\t').expect("a key and what belongs to it");
                assert!(before < key, "{before:?} stands before {key:?}");
                assert_eq!(line_of(list, key), Some(rest));
                before = key;
                let tag =
                    if is_codes { code(key).and_then(|code| code.replacement) } else { Some(rest) };
                let language = tag.map(Language::parse).transpose().expect("a registered tag");
                let newer = language.as_ref().and_then(Language::replacement);
                assert_eq!(newer, None, "{line}: the newest tag is given at once");
            }
        }
        for absent in ["", "a", "zzzz", "german\t", "\u{10ffff}"] {
            assert_eq!(line_of(CODES, absent), None, "{absent:?}");
        }
    }

    #[test]
    fn every_language_of_the_table_of_distances_is_registered() {
        for language in super::super::languages() {
            assert!(code(language.tag).is_some(), "{}", language.tag);
            assert!(code(language.iso639_3).is_some(), "{}", language.iso639_3);
        }
    }
}
