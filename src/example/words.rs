//! Words of a raw text, with their places in it.
//!
//! White space separates words; so does the border of a script that is written without spaces, in
//! which every character is a word of its own, because nothing short of a dictionary could do
//! better and a tagger learns to join them. Punctuation at either end of a word stands alone;
//! inside a word (`don't`, `3.5`, `e-mail`) it stays. Every character that is no white space
//! belongs to exactly one word. This module must never depend on a tokenizer: what is a word must
//! be the same for every backbone, since the tags of an example count them.

use std::ops::Range;

/// A word and where it stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The word itself.
    pub text: &'a str,
    /// Its first byte.
    pub byte: usize,
    /// Its first character, counted in Unicode scalar values.
    pub character: usize,
    /// Whether it goes on right where the word before it ends, both in a script that is written
    /// without spaces.
    pub joins: bool,
}

impl Word<'_> {
    /// The bytes that it covers.
    pub fn bytes(&self) -> Range<usize> {
        self.byte..self.byte + self.text.len()
    }
}

/// What a character does to the word it stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    /// Part of a word with others of its kind.
    Letter,
    /// A word of its own, with the marks that follow it.
    Alone,
    /// Belongs to the character before it.
    Mark,
    /// Stands alone at the end of a word and stays inside one.
    Punctuation,
}

/// The words of a text, in order.
pub fn split(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut chunk: Vec<(usize, usize, char)> = Vec::new();
    for (character, (byte, letter)) in text.char_indices().enumerate() {
        if class(letter) == Class::Space {
            split_chunk(text, &chunk, &mut words);
            chunk.clear();
        } else {
            chunk.push((byte, character, letter));
        }
    }
    split_chunk(text, &chunk, &mut words);
    words
}

/// The places of `words` in `joined`, which is them with one space between each two.
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

/// Splits what stands between white space; `chunk` has byte, number and value of each character.
fn split_chunk<'a>(text: &'a str, chunk: &[(usize, usize, char)], words: &mut Vec<Word<'a>>) {
    let classes: Vec<Class> = chunk.iter().map(|&(_, _, letter)| class(letter)).collect();
    let (mut start, mut alone_before) = (0, false);
    while start < chunk.len() {
        let end = start + length(&classes[start..]);
        let joins = classes[start] == Class::Alone && alone_before;
        alone_before = classes[start] == Class::Alone;
        let (byte, character, _) = chunk[start];
        let end_byte = chunk.get(end).or(chunk.last()).map_or(byte, |&(at, _, letter)| {
            if end < chunk.len() { at } else { at + letter.len_utf8() }
        });
        words.push(Word { text: &text[byte..end_byte], byte, character, joins });
        start = end;
    }
}

/// How many characters the first word of a chunk has; at least one.
fn length(classes: &[Class]) -> usize {
    let marks = |from: usize| classes[from..].iter().take_while(|one| **one == Class::Mark).count();
    if classes[0] != Class::Letter {
        return 1 + marks(1);
    }
    let mut end = 1;
    loop {
        end += marks(end);
        let punctuation =
            classes[end..].iter().take_while(|one| **one == Class::Punctuation).count();
        match classes.get(end + punctuation) {
            // Punctuation between letters joins them; more than one in a row does not.
            Some(Class::Letter) if punctuation <= 1 => end += punctuation + 1,
            _ => return end,
        }
    }
}

fn class(letter: char) -> Class {
    if letter.is_whitespace() {
        Class::Space
    } else if is_mark(letter) {
        Class::Mark
    } else if is_unspaced(letter) {
        Class::Alone
    } else if letter.is_alphanumeric() {
        Class::Letter
    } else {
        Class::Punctuation
    }
}

/// Whether the character's script is written without spaces between words.
fn is_unspaced(letter: char) -> bool {
    matches!(u32::from(letter),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F // Myanmar
        | 0x1780..=0x17FF // Khmer
        | 0x2E80..=0x2FDF // radicals
        | 0x3005..=0x3007 | 0x3040..=0x30FF // kana
        | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F
        | 0x2_0000..=0x3_FFFF)
}

/// Combining marks: the blocks of them, and those of the scripts that need them to be letters.
fn is_mark(letter: char) -> bool {
    matches!(u32::from(letter),
        0x0300..=0x036F | 0x0483..=0x0489 | 0x0591..=0x05BD | 0x05BF | 0x05C1..=0x05C2
        | 0x0610..=0x061A | 0x064B..=0x065F | 0x0670 | 0x06D6..=0x06DC | 0x06DF..=0x06E4
        | 0x0900..=0x0903 | 0x093A..=0x093C | 0x093E..=0x094F | 0x0981..=0x0983
        | 0x09BC | 0x09BE..=0x09CD | 0x0A01..=0x0A03 | 0x0A3C..=0x0A4D | 0x0A81..=0x0A83
        | 0x0ABC | 0x0ABE..=0x0ACD | 0x0B82 | 0x0BBE..=0x0BCD | 0x0C00..=0x0C04
        | 0x0C3E..=0x0C4D | 0x0C81..=0x0C83 | 0x0CBC | 0x0CBE..=0x0CCD | 0x0D00..=0x0D03
        | 0x0D3B..=0x0D3C | 0x0D3E..=0x0D4D | 0x0E31 | 0x0E34..=0x0E3A | 0x0E47..=0x0E4E
        | 0x0EB1 | 0x0EB4..=0x0EBC | 0x0EC8..=0x0ECE | 0x102B..=0x103E | 0x17B4..=0x17D3
        | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x200C..=0x200D | 0x20D0..=0x20FF
        | 0x302A..=0x302F | 0x3099..=0x309A | 0xFE00..=0xFE0F | 0xFE20..=0xFE2F)
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
        assert_eq!(texts(""), Vec::<&str>::new());
    }

    #[test]
    fn scripts_without_spaces_fall_into_characters() {
        assert_eq!(texts("打开客厅的TV。"), ["打", "开", "客", "厅", "的", "TV", "。"]);
        assert_eq!(texts("เปิดไฟ"), ["เ", "ปิ", "ด", "ไ", "ฟ"]);
        assert_eq!(texts("がっこう"), ["が", "っ", "こ", "う"]);
    }

    #[test]
    fn characters_join_only_where_nothing_stands_between_them() {
        let joined = |text| split(text).iter().map(|word| word.joins).collect::<Vec<bool>>();
        assert_eq!(joined("打开 厅TV灯光。"), [false, true, false, false, false, true, false]);
        assert_eq!(joined("น้ำ"), [false, true]);
        assert_eq!(joined("no joins, here"), [false; 4]);
    }

    #[test]
    fn marks_stay_with_their_letters() {
        assert_eq!(texts("ışığı kapat"), ["ışığı", "kapat"]);
        assert_eq!(texts("बत्ती जलाओ"), ["बत्ती", "जलाओ"]);
        assert_eq!(texts("cafe\u{301}!"), ["cafe\u{301}", "!"]);
    }

    proptest! {
        #[test]
        fn every_visible_character_is_in_one_word(text in "\\PC{0,40}") {
            let words = split(&text);
            let mut expected = text.char_indices().enumerate()
                .filter(|(_, (_, letter))| !letter.is_whitespace());
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
