//! Splits a raw text into words with their positions.
//!
//! Word boundaries are those of Unicode (Standard Annex 29), with three additional rules. White
//! space separates words and belongs to none. A combining sign is never a word of its own, also in
//! scripts without spaces, where every character with its signs is a word: a better split would
//! need a dictionary, and a tagger learns to join such words. One punctuation mark between two
//! letters or digits joins them (`e-mail`, `10:30`, `a@b.com`), as Unicode does for an apostrophe.
//! Every character except white space belongs to exactly one word.
//!
//! This module must never depend on a tokenizer: words must be the same for every backbone, because
//! each tag of an example belongs to a word.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// A word and its position in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The text of the word.
    pub text: &'a str,
    /// Its first byte.
    pub byte: usize,
    /// Its first character, counted in Unicode scalar values.
    pub character: usize,
    /// Whether it follows the word before it without a gap, both in a script without spaces.
    pub joins: bool,
}

impl Word<'_> {
    /// The bytes that it covers.
    pub fn bytes(&self) -> Range<usize> {
        self.byte..self.byte + self.text.len()
    }
}

/// How a piece between two boundaries affects the word that it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Letters or digits of a script with spaces.
    Letters,
    /// A number sign that Unicode separates, such as a superscript 2; it belongs to adjacent
    /// letters.
    Numeral,
    /// One letter of a script without spaces.
    Alone,
    /// One punctuation mark, which may join the letters around it.
    Mark,
    /// Anything else.
    Other,
}

/// The text between two Unicode boundaries, without white space.
#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
    class: Class,
}

/// Splits a text into words, in order.
pub fn split(text: &str) -> Vec<Word<'_>> {
    let pieces = pieces(text);
    let mut words = Vec::with_capacity(pieces.len());
    let (mut character, mut counted) = (0, 0);
    let (mut at, mut alone_until) = (0, None);
    while let Some(&Piece { start, class, .. }) = pieces.get(at) {
        let last = last_joined(&pieces, at);
        let end = pieces[last].end;
        character += text[counted..start].chars().count();
        counted = start;
        let joins = class == Class::Alone && alone_until == Some(start);
        alone_until = (class == Class::Alone).then_some(end);
        words.push(Word { text: &text[start..end], byte: start, character, joins });
        at = last + 1;
    }
    words
}

/// The positions of `words` in `joined`, which is the words joined by single spaces.
pub fn joined<'a>(joined: &'a str, words: &[String]) -> Vec<Word<'a>> {
    let (mut byte, mut character) = (0, 0);
    let place = |word: &String| {
        let text = joined.get(byte..byte + word.len()).unwrap_or_default();
        let placed = Word { text, byte, character, joins: false };
        byte += word.len() + 1;
        character += word.chars().count() + 1;
        placed
    };
    words.iter().map(place).collect()
}

/// The last piece of the word that begins with the piece at `first`.
fn last_joined(pieces: &[Piece], first: usize) -> usize {
    let follows = |at: usize| pieces.get(at).filter(|piece| piece.start == pieces[at - 1].end);
    let is_letters = |class: Class| matches!(class, Class::Letters | Class::Numeral);
    let mut last = first;
    while is_letters(pieces[last].class) {
        match follows(last + 1).map(|piece| piece.class) {
            Some(Class::Numeral) => last += 1,
            Some(Class::Letters) if pieces[last].class == Class::Numeral => last += 1,
            Some(Class::Mark) if follows(last + 2).is_some_and(|next| is_letters(next.class)) => {
                last += 2;
            }
            _ => break,
        }
    }
    last
}

/// The text between Unicode boundaries. A boundary within a user-perceived character does not
/// count, such as the one before the Thai vowel sign am.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut characters = text.grapheme_indices(true).map(|(start, _)| start).peekable();
    for (segment_start, segment) in text.split_word_bound_indices() {
        for part in segment.split(is_space).filter(|part| !part.is_empty()) {
            let start = segment_start + (part.as_ptr() as usize - segment.as_ptr() as usize);
            let end = start + part.len();
            while characters.next_if(|character| *character < start).is_some() {}
            let begins = characters.peek() == Some(&start);
            match pieces.last_mut() {
                Some(before) if before.end == start && !begins => before.end = end,
                _ => pieces.push(Piece { start, end, class: class(part) }),
            }
        }
    }
    pieces
}

/// White space and the zero-width space, which some writers of Khmer, Thai and other scripts put
/// between words.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || letter == '\u{200B}'
}

fn class(piece: &str) -> Class {
    let mut letters = piece.chars();
    let Some(first) = letters.next() else { return Class::Other };
    if first.is_ascii_alphanumeric() {
        Class::Letters
    } else if first.is_alphanumeric() {
        match (stands_alone(first), first.is_alphabetic()) {
            (false, _) => Class::Letters,
            (true, true) => Class::Alone,
            (true, false) => Class::Numeral,
        }
    } else if piece.contains(char::is_alphanumeric) {
        // An underscore belongs to the letters after it.
        Class::Letters
    } else if letters.next().is_none() && !is_picture(first) {
        Class::Mark
    } else {
        Class::Other
    }
}

/// Whether Unicode has a word boundary between two of this character. Letters for which that is
/// true are those of scripts without spaces.
fn stands_alone(letter: char) -> bool {
    has_boundary(&[letter, letter])
}

/// Whether a character is a pictograph: of all marks, only pictographs are held together by a
/// joiner before them.
fn is_picture(mark: char) -> bool {
    !mark.is_ascii() && !has_boundary(&['a', '\u{200D}', mark])
}

/// Whether Unicode has a word boundary between these characters.
fn has_boundary(letters: &[char]) -> bool {
    let text: String = letters.iter().collect();
    text.split_word_bounds().nth(1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn punctuation_stands_alone_at_the_ends_only() {
        assert_eq!(
            texts("  Don't (e-mail) me, 3.5 times... "),
            ["Don't", "(", "e-mail", ")", "me", ",", "3.5", "times", ".", ".", "."]
        );
        assert_eq!(texts("a--b"), ["a", "-", "-", "b"]);
        assert_eq!(
            texts("l’eau à 10:30, a.b@c.org!"),
            ["l’eau", "à", "10:30", ",", "a.b@c.org", "!"]
        );
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
        let joined = |text| split(text).iter().map(|word| word.joins).collect::<Vec<bool>>();
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
            let words = split(&text);
            let mut expected = text.char_indices().enumerate()
                .filter(|(_, (_, letter))| !is_space(*letter));
            for word in &words {
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
}
