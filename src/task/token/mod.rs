//! Tasks about words: one tag per word, alone (token classification) or with a label of the whole
//! input (intent and slots).
//!
//! The caller splits the words, or [`words`] splits a raw text. Each word is tokenized by itself,
//! and its first token carries its tag. Only adjacent characters of scripts without spaces are
//! tokenized together, because a backbone knows little about them alone; those that share a token
//! have one tag, which continues. Tags are plain (`NOUN`) or BIO tags (`B-place`, `I-place`, `O`),
//! for which the best valid sequence is decoded.
//!
//! Input: a text or words. Output: a tag for each word, and the spans that the tags mark.

mod decode;
mod path;
pub mod score;
mod target;

pub(super) use decode::{decode, metrics, probabilities, score};
pub use path::Transitions;
pub(super) use target::{add_joint_loss, add_loss, encode_tags, target_values};

use super::sample::{Encoded, PlacedWord};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::example::{Input, words};

/// Splits a text, or takes the caller's words, and tokenizes the words.
pub(super) fn encode(bundle: &Bundle, input: &Input) -> Result<Encoded> {
    input.check()?;
    let joined = input.text();
    let placed: Vec<words::Word<'_>> = match input {
        Input::Text(text) => words::split(text),
        Input::Words(list) => words::joined(&joined, list),
        Input::Pair(..) => {
            let message = "expected a text or words, found a pair of texts";
            return Err(Error::new(Code::TaskKind, message));
        }
    };
    let manifest = bundle.manifest();
    let runs = placed.chunk_by(|_, word| word.joins);
    let runs: Vec<Vec<&str>> = runs.map(|run| run.iter().map(|word| word.text).collect()).collect();
    let encoded = bundle.tokenizer().encode_words(&manifest.prefix, &runs, manifest.tokens_max)?;
    let word = |(word, token): (&words::Word<'_>, Option<usize>)| PlacedWord {
        token,
        byte_start: word.byte,
        byte_end: word.byte + word.text.len(),
        char_start: word.character,
        char_end: word.character + word.text.chars().count(),
    };
    let words = placed.iter().zip(encoded.first).map(word).collect();
    Ok(Encoded { encoding: encoded.encoding, words })
}
