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
