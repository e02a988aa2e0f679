//! The Unigram model: the best-scoring segmentation of a word into pieces (Viterbi).
//!
//! A character that no single piece covers may become unknown, at a score below every piece;
//! adjacent unknown characters become one token. Ties go to the candidate found first, which has
//! the longest last piece. This rule and the order of additions determine ids, so they must never
//! change.

use super::damaged;
use super::vocabulary::{PIECE_SIZE_BYTES_MAX, Vocabulary};
use crate::error::Result;

/// How far below the worst piece an unknown character scores.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Marks a position that no piece has reached.
const UNREACHED: u32 = u32::MAX;

/// The best way to reach one byte position.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    /// Where the last piece begins.
    start: u32,
    /// The last piece.
    id: u32,
}

/// Buffers reused from word to word.
#[derive(Default)]
pub(super) struct Scratch {
    best: Vec<Best>,
    ends: Vec<usize>,
}

impl Scratch {
    /// Appends the ids of `word` to `ids`.
    pub fn segment(
        &mut self,
        vocabulary: &Vocabulary,
        word: &str,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        self.search(vocabulary, word)?;
        self.collect(vocabulary, word.as_bytes(), ids)
    }

    /// For each id of the last word, the end of its piece as a byte offset in the word.
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// Fills `best` for every character boundary of `word`.
    fn search(&mut self, vocabulary: &Vocabulary, word: &str) -> Result<()> {
        let bytes = word.as_bytes();
        let unknown_score = vocabulary.score_min() - UNKNOWN_PENALTY;
        self.best.clear();
        self.best.resize(bytes.len() + 1, Best { score: 0.0, start: UNREACHED, id: 0 });
        for (start, character) in word.char_indices() {
            let score_here = self.best[start].score;
            let character_end = start + character.len_utf8();
            let mut covered = false;
            let end = bytes.len().min(start + PIECE_SIZE_BYTES_MAX);
            vocabulary.prefixes(&bytes[start..end], |length, id| {
                self.offer(start, start + length, vocabulary.score(id) + score_here, id);
                covered |= start + length == character_end;
            });
            if !covered {
                let id = vocabulary.unknown_id().ok_or_else(|| {
                    damaged(format!("no piece for {character:?} and no unknown piece"))
                })?;
                self.offer(start, character_end, unknown_score + score_here, id);
            }
        }
        Ok(())
    }

    fn offer(&mut self, start: usize, end: usize, score: f64, id: u32) {
        let best = &mut self.best[end];
        if best.start == UNREACHED || score > best.score {
            *best = Best { score, start: start as u32, id };
        }
    }

    /// Walks back from the end and appends the ids in text order.
    fn collect(&mut self, vocabulary: &Vocabulary, word: &[u8], ids: &mut Vec<u32>) -> Result<()> {
        let first = ids.len();
        let mut end = word.len();
        let mut unknown_end = None;
        self.ends.clear();
        while end > 0 {
            let best = self.best[end];
            // Every position visited is a character boundary, and each was reached by a piece or as
            // unknown; anything else means that the trie holds partial characters.
            if best.start == UNREACHED || best.start as usize >= end {
                return Err(damaged("the vocabulary holds pieces that are not UTF-8"));
            }
            if Some(best.id) == vocabulary.unknown_id() {
                unknown_end.get_or_insert(end);
            } else {
                if let Some(unknown_end) = unknown_end.take() {
                    push_unknown(vocabulary, &word[end..unknown_end], ids);
                    self.ends.resize(ids.len() - first, unknown_end);
                }
                ids.push(best.id);
                self.ends.push(end);
            }
            end = best.start as usize;
        }
        if let Some(unknown_end) = unknown_end {
            push_unknown(vocabulary, &word[..unknown_end], ids);
            self.ends.resize(ids.len() - first, unknown_end);
        }
        ids[first..].reverse();
        self.ends.reverse();
        Ok(())
    }
}

/// Appends, in reverse, the ids of a run of unknown characters: the piece with exactly this text,
/// else one piece per byte where the vocabulary has them, else the unknown piece.
fn push_unknown(vocabulary: &Vocabulary, text: &[u8], ids: &mut Vec<u32>) {
    if let Some(id) = vocabulary.find(text) {
        return ids.push(id);
    }
    let first = ids.len();
    if vocabulary.byte_fallback() {
        let byte_ids =
            text.iter().rev().map(|b| vocabulary.find(format!("<0x{b:02X}>").as_bytes()));
        for id in byte_ids {
            match id {
                Some(id) => ids.push(id),
                None => {
                    ids.truncate(first);
                    break;
                }
            }
        }
    }
    if ids.len() == first {
        ids.extend(vocabulary.unknown_id());
    }
}
