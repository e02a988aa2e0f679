//! Words of raw texts end only where Unicode lets them, checked with Unicode's own test file.
//!
//! `tests/fixtures/unicode/WordBreakTest-17.0.0.txt` is the file of the Unicode Character Database,
//! unchanged; `÷` stands where a word may end and `×` where it must not.

use polygraft::example::words;
use std::collections::BTreeSet;
use std::path::Path;
use unicode_segmentation::UnicodeSegmentation;

/// Each text of the file, with the bytes at which words may begin and end.
fn cases() -> Vec<(String, BTreeSet<usize>)> {
    let file = "tests/fixtures/unicode/WordBreakTest-17.0.0.txt";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let lines = text.lines().map(|line| line.split('#').next().unwrap().trim());
    let case = |line: &str| {
        let (mut text, mut boundaries) = (String::new(), BTreeSet::new());
        for part in line.split_whitespace() {
            match part {
                "÷" => drop(boundaries.insert(text.len())),
                "×" => {}
                code => text.push(u32::from_str_radix(code, 16).unwrap().try_into().unwrap()),
            }
        }
        (text, boundaries)
    };
    lines.filter(|line| !line.is_empty()).map(case).collect()
}

#[test]
fn the_library_splits_as_unicodes_file_says() {
    let cases = cases();
    assert_eq!(cases.len(), 1944);
    for (text, expected) in cases {
        let starts = text.split_word_bound_indices().map(|(start, _)| start);
        let found: BTreeSet<usize> = starts.chain([text.len()]).collect();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn words_end_only_at_unicodes_boundaries() {
    let is_space = |letter: char| letter.is_whitespace() || letter == '\u{200B}';
    for (text, boundaries) in cases() {
        let beside_space = |byte: usize| {
            let before = text[..byte].chars().next_back();
            before.into_iter().chain(text[byte..].chars().next()).any(is_space)
        };
        let characters: BTreeSet<usize> =
            text.grapheme_indices(true).map(|(start, _)| start).collect();
        let mut covered = 0;
        for word in words::split(&text) {
            for end in [word.bytes().start, word.bytes().end] {
                assert!(boundaries.contains(&end) || beside_space(end), "{text:?} at {end}");
            }
            // A word of several pieces is letters on both sides of what joins them, or pieces of
            // one character.
            let inner = (word.byte + 1)..word.bytes().end;
            for inside in boundaries.range(inner).filter(|inside| characters.contains(inside)) {
                let is_letters = |text: &str| text.contains(char::is_alphanumeric);
                let (before, after) = word.text.split_at(inside - word.byte);
                assert!(is_letters(before) && is_letters(after), "{text:?} at {inside}");
            }
            covered += word.text.len();
        }
        let visible = text.chars().filter(|letter| !is_space(*letter)).map(char::len_utf8);
        assert_eq!(covered, visible.sum::<usize>(), "{text:?}");
    }
}
