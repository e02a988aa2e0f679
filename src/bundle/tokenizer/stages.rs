//! Everything around a compiled model: added tokens, normaliser, splitting into words, template.
//!
//! The stages are the `tokenizers` library's own parts, read from a small JSON text that the
//! compiler put beside the vocabulary. One step is ours: the pattern ` {2,}`, which nearly every
//! SentencePiece conversion contains to collapse runs of spaces and for which the library would
//! need a regular-expression engine. It stands between two groups of library normalisers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::decoders::DecoderRuntime;
use tokenizers::pipeline::{
    Normalizer, PipelineNormalizer, PipelinePostProcessor, PipelineTokenizer, PreTokenizer,
    PreTokenizerScratch, Segment, SpecialSegmentIterator, normalize_all,
};
use tokenizers::vocab::bucket_added_vocabulary::{AddedToken, AddedVocabulary};

use super::unigram::Scratch;
use super::vocabulary::{PIECE_SIZE_BYTES_MAX, Vocabulary};
use super::{damaged, library_error};
use crate::error::Result;

/// The JSON kept in a compiled tokenizer.
#[derive(Serialize, Deserialize)]
pub(super) struct StagesText {
    /// Tokenizer configurations with the smallest model; between each two of them, runs of spaces
    /// are collapsed. The last one also holds the pre-tokenizer and the template.
    pub groups: Vec<Value>,
    /// The added tokens, in ascending order of the ids they ask for.
    pub added_tokens: Vec<AddedTokenText>,
}

/// One entry of `added_tokens`, as in `tokenizer.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AddedTokenText {
    pub id: u32,
    pub content: String,
    pub single_word: bool,
    pub lstrip: bool,
    pub rstrip: bool,
    pub normalized: bool,
    pub special: bool,
}

/// More groups or tokens than any tokenizer has; keeps a hostile file cheap.
const GROUPS_MAX: usize = 64;
const ADDED_TOKENS_MAX: usize = 1 << 16;

/// The stages, ready to run.
pub(super) struct Stages {
    /// Never empty.
    groups: Vec<PipelineTokenizer>,
    pub(super) added: AddedVocabulary,
    added_id_end: usize,
    added_by_id: BTreeMap<u32, AddedToken>,
}

impl Stages {
    /// Reads the stages that lie beside `vocabulary`.
    pub fn read(vocabulary: &Vocabulary) -> Result<Self> {
        let text: StagesText = serde_json::from_slice(vocabulary.stages())
            .map_err(|cause| damaged(format!("the stages of the compiled tokenizer: {cause}")))?;
        if text.groups.is_empty() || text.groups.len() > GROUPS_MAX {
            return Err(damaged(format!(
                "the compiled tokenizer has {} groups of stages, expected 1 to {GROUPS_MAX}",
                text.groups.len()
            )));
        }
        if text.added_tokens.len() > ADDED_TOKENS_MAX {
            return Err(damaged(format!(
                "the tokenizer adds {} tokens, expected at most {ADDED_TOKENS_MAX}",
                text.added_tokens.len()
            )));
        }
        let long = |token: &&AddedTokenText| token.content.len() > PIECE_SIZE_BYTES_MAX;
        if let Some(token) = text.added_tokens.iter().find(long) {
            return Err(damaged(format!(
                "the added token {} has {} bytes, expected at most {PIECE_SIZE_BYTES_MAX}",
                token.id,
                token.content.len()
            )));
        }
        let groups: Vec<PipelineTokenizer> = text
            .groups
            .iter()
            .map(|group| tokenizers::from_json(&group.to_string()).map_err(library_error))
            .collect::<Result<_>>()?;
        groups.iter().try_for_each(check_normalizers)?;
        let mut added = AddedVocabulary::new();
        let tokens = text.added_tokens.into_iter().map(AddedTokenText::into_token);
        added
            .add_tokens(
                tokens,
                vocabulary.pieces_count(),
                |token| vocabulary.find(token.as_bytes()),
                Some(&Declared(&groups)),
            )
            .map_err(library_error)?;
        let added_id_end = added_id_end(&added);
        let added_by_id = added.get_added_tokens_decoder().into_iter().collect();
        Ok(Self { groups, added, added_id_end, added_by_id })
    }

    /// The templates around a text and around two.
    pub fn templates(&self) -> &PipelinePostProcessor {
        self.last().get_post_processor()
    }

    /// One more than the largest id of an added token, or 0.
    pub fn added_id_end(&self) -> usize {
        self.added_id_end
    }

    /// The id of the padding token.
    pub fn pad_id(&self) -> u32 {
        pad_id(self.last(), &self.added)
    }

    /// The added token with this id.
    pub fn added_token(&self, id: u32) -> Option<AddedToken> {
        self.added_by_id.get(&id).cloned()
    }

    /// What joins the texts of tokens.
    pub fn decoder(&self) -> Option<&DecoderRuntime> {
        self.last().get_decoder()
    }

    fn last(&self) -> &PipelineTokenizer {
        &self.groups[self.groups.len() - 1]
    }

    /// The ids of `text` without the template; stops behind the word that exceeds `room`.
    pub fn encode(&self, vocabulary: &Vocabulary, text: &str, room: usize) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut words = Words::default();
        for segment in SpecialSegmentIterator::new(text, &self.added, false, false) {
            match segment {
                Segment::SpecialToken(id) => ids.push(id),
                Segment::Text { text, input_offset } => {
                    let normalized = self.normalize(text, input_offset)?;
                    for part in SpecialSegmentIterator::new(&normalized, &self.added, true, false) {
                        match part {
                            Segment::SpecialToken(id) => ids.push(id),
                            Segment::Text { text, .. } => {
                                self.encode_words(vocabulary, text, room, &mut words, &mut ids)?;
                            }
                        }
                        if ids.len() > room {
                            return Ok(ids);
                        }
                    }
                }
            }
            if ids.len() > room {
                break;
            }
        }
        Ok(ids)
    }

    fn encode_words(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        room: usize,
        words: &mut Words,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        self.split(text, words)?;
        for span in &words.spans {
            words.model.segment(vocabulary, part(text, span)?, ids)?;
            if ids.len() > room {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn split(&self, text: &str, words: &mut Words) -> Result<()> {
        words.spans.clear();
        self.last()
            .get_pre_tokenizer()
            .pre_tokenize(text, &mut words.split, &mut words.spans)
            .map_err(library_error)
    }

    pub(super) fn normalize<'a>(&self, text: &'a str, offset: usize) -> Result<Cow<'a, str>> {
        let chains = self.groups.iter().map(|group| group.get_normalizers());
        normalize(chains, text, offset).map_err(library_error)
    }
}

/// Buffers of one call.
#[derive(Default)]
pub(super) struct Words {
    split: PreTokenizerScratch,
    pub spans: Vec<tokenizers::pipeline::Span>,
    pub model: Scratch,
}

/// What a span of the pre-tokenizer covers.
pub(super) fn part<'a>(text: &'a str, span: &tokenizers::pipeline::Span) -> Result<&'a str> {
    let part = text.get(span.range());
    part.ok_or_else(|| damaged("the pre-tokenizer cut through a character"))
}

/// Runs the chains in order, collapsing runs of spaces between each two.
fn normalize<'c, 'a>(
    chains: impl Iterator<Item = &'c [PipelineNormalizer]>,
    text: &'a str,
    offset: usize,
) -> tokenizers::Result<Cow<'a, str>> {
    let mut current = Cow::Borrowed(text);
    for (index, chain) in chains.enumerate() {
        if index > 0
            && let Some(collapsed) = collapse_spaces(&current)
        {
            current = Cow::Owned(collapsed);
        }
        current = match current {
            Cow::Borrowed(text) => normalize_all(chain, text, offset)?,
            Cow::Owned(text) => Cow::Owned(normalize_all(chain, &text, offset)?.into_owned()),
        };
    }
    Ok(current)
}

/// `text` with each run of two or more spaces made one; `None` where there is no such run.
fn collapse_spaces(text: &str) -> Option<String> {
    let first = text.find("  ")?;
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut after_space = false;
    for character in text[first..].chars() {
        if character != ' ' || !after_space {
            out.push(character);
        }
        after_space = character == ' ';
    }
    Some(out)
}

/// The normaliser that added tokens go through: all declared steps, but not the final rewriting of
/// spaces that a split on words brings along.
struct Declared<'a>(&'a [PipelineTokenizer]);

impl Normalizer for Declared<'_> {
    fn normalize<'a>(&self, input: &'a str, offset: usize) -> tokenizers::Result<Cow<'a, str>> {
        let last = self.0.len() - 1;
        let chains =
            self.0.iter().enumerate().map(|(index, group)| match group.get_normalizers() {
                [declared @ .., PipelineNormalizer::Metaspace(_)] if index == last => declared,
                whole => whole,
            });
        normalize(chains, input, offset)
    }
}

impl AddedTokenText {
    fn into_token(self) -> AddedToken {
        AddedToken {
            content: self.content,
            single_word: self.single_word,
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            normalized: self.normalized,
            special: self.special,
        }
    }
}

/// One more than the largest id of an added token, or 0.
pub(super) fn added_id_end(added: &AddedVocabulary) -> usize {
    added.get_vocab().values().max().map_or(0, |&id| id as usize + 1)
}

/// The id of the padding token: as configured, else by its role, else by its usual names, else 0
/// (padding is masked, so any existing id will do).
pub(super) fn pad_id(library: &PipelineTokenizer, added: &AddedVocabulary) -> u32 {
    if let Some(padding) = library.get_padding() {
        return padding.pad_id;
    }
    let by_role = library.get_token_for_role("pad_token");
    let names = by_role.into_iter().chain(["<pad>", "[PAD]"]);
    names.into_iter().find_map(|name| added.token_to_id(name)).unwrap_or(0)
}

/// Checks what the library's normalisers index without looking: the tables of a character map.
pub(super) fn check_normalizers(library: &PipelineTokenizer) -> Result<()> {
    for normalizer in library.get_normalizers() {
        if let PipelineNormalizer::Precompiled(precompiled) = normalizer {
            let charsmap = precompiled.charsmap().unwrap_or_default();
            check_charsmap(charsmap)
                .map_err(|what| damaged(format!("the character map: {what}")))?;
        }
    }
    Ok(())
}

/// Checks a SentencePiece character map: `u32` size in bytes, that many bytes of a double-array
/// trie of `u32` units, then NUL-terminated replacements in UTF-8. Every unit that a lookup can
/// stand on must lead inside the array, and every value to the beginning of a character.
fn check_charsmap(charsmap: &[u8]) -> std::result::Result<(), String> {
    let (size, rest) = charsmap.split_first_chunk::<4>().ok_or("it has no header")?;
    let size = u32::from_le_bytes(*size) as usize;
    let (units, replacements) = rest.split_at_checked(size / 4 * 4).ok_or("it is truncated")?;
    let units: Vec<usize> = units
        .chunks_exact(4)
        .map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]) as usize)
        .collect();
    let replacements = std::str::from_utf8(replacements).map_err(|cause| cause.to_string())?;
    for (position, &unit) in units.iter().enumerate() {
        let is_value = unit >> 31 == 1;
        if is_value {
            continue;
        }
        let base = position ^ ((unit >> 10) << ((unit & (1 << 9)) >> 6));
        // A lookup goes on at `base` combined with any byte; the root always goes on.
        if base | 0xff >= units.len() {
            return Err(format!("unit {position} leads outside the {} units", units.len()));
        }
        let has_value = (unit >> 8) & 1 == 1;
        let value = units[base] & ((1 << 31) - 1);
        if has_value && !replacements.is_char_boundary(value) {
            return Err(format!("unit {position} has no replacement at byte {value}"));
        }
    }
    if units.is_empty() { Err("it has no units".into()) } else { Ok(()) }
}
