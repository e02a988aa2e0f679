//! Words of raw texts: real sentences, and Unicode's own test file, whose boundaries they keep.
//!
//! `tests/fixtures/unicode/WordBreakTest-17.0.0.txt` is the file of the Unicode Character Database,
//! unchanged; `÷` stands where a word may end and `×` where it must not.

use polygraft::example::words;
use proptest::prelude::*;
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

fn texts(text: &str) -> Vec<&str> {
    words::split(text).into_iter().map(|word| word.text).collect()
}

#[test]
fn punctuation_stands_alone_at_the_ends_only() {
    assert_eq!(
        texts("  Don't (e-mail) me, 3.5 times... "),
        ["Don't", "(", "e-mail", ")", "me", ",", "3.5", "times", ".", ".", "."]
    );
    assert_eq!(texts("a--b"), ["a", "-", "-", "b"]);
    assert_eq!(texts("l’eau à 10:30, a.b@c.org!"), ["l’eau", "à", "10:30", ",", "a.b@c.org", "!"]);
    assert_eq!(texts("5 m² für 3,14 €"), ["5", "m²", "für", "3,14", "€"]);
    assert_eq!(texts(""), Vec::<&str>::new());
}

#[test]
fn scripts_without_spaces_fall_into_characters() {
    assert_eq!(texts("打开客厅的TV。"), ["打", "开", "客", "厅", "的", "TV", "。"]);
    assert_eq!(texts("เปิดไฟ"), ["เ", "ปิ", "ด", "ไ", "ฟ"]);
    assert_eq!(texts("がっこう"), ["が", "っ", "こ", "う"]);
    assert_eq!(texts("テレビを3台"), ["テレビ", "を", "3", "台"]);
    // A Khmer subscript letter with its coeng sign, and a zero-width space.
    assert_eq!(texts("បើក\u{200B}ភ្លើង"), ["បើ", "ក", "ភ្លើ", "ង"]);
    assert_eq!(texts("ເປີດໄຟ"), ["ເ", "ປີ", "ດ", "ໄ", "ຟ"]);
    assert_eq!(texts("မီးဖွင့်"), ["မီး", "ဖွ", "င့်"]);
}

#[test]
fn characters_join_only_where_nothing_stands_between_them() {
    let joined = |text| words::split(text).iter().map(|word| word.joins).collect::<Vec<bool>>();
    assert_eq!(joined("打开 厅TV灯光。"), [false, true, false, false, false, true, false]);
    assert_eq!(joined("น้ำ"), [false]);
    assert_eq!(joined("ไฟ"), [false, true]);
    assert_eq!(joined("no joins, here"), [false; 4]);
}

#[test]
fn signs_stay_with_their_letters() {
    for text in [
        "ışığı",
        "बत्ती",
        "ක්‍රම",
        "බලන්න",
        "ଗଡ଼",
        "ଦେଖ",
        "ಕ್ಷಮೆ",
        "বিদ্যুৎ",
        "ਘਰ਼",
        "લાઇટ",
        "விளக்கு",
        "లైట్",
        "ലൈറ്റ്",
        "བོད",
        "ەڕۆژ",
        "שָׁלוֹם",
        "مُحَمَّد",
        "ߒߞߏ߫",
        "މަރުޙަބާ",
        "한국어",
        "ትግርኛ",
        "cafe\u{301}",
        "👩‍👩‍👧",
        "🇩🇪",
        "👍🏽",
        "น้ำ",
    ] {
        assert_eq!(texts(text).len(), 1, "{text}: {:?}", texts(text));
        assert_eq!(texts(&format!("{text} {text}!")), [text, text, "!"]);
    }
    assert_eq!(texts("gut👍, 👩‍👩‍👧x"), ["gut", "👍", ",", "👩‍👩‍👧", "x"]);
}

proptest! {
    #[test]
    fn every_visible_character_is_in_one_word(text in "\\PC{0,40}") {
        let found = words::split(&text);
        let mut expected = text.char_indices().enumerate()
            .filter(|(_, (_, letter))| !letter.is_whitespace() && *letter != '\u{200B}');
        for word in &found {
            prop_assert_eq!(&text[word.byte..word.byte + word.text.len()], word.text);
            for (offset, _) in word.text.char_indices() {
                let (number, (byte, _)) = expected.next().expect("a character");
                prop_assert_eq!(byte, word.byte + offset);
                if offset == 0 {
                    prop_assert_eq!(number, word.character);
                }
            }
        }
        prop_assert!(expected.next().is_none());
    }
}
