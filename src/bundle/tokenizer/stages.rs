//! Everything around a model: added tokens, normaliser, splitting into words, template.
//!
//! The stages are the `tokenizers` library's own, read from small JSON texts: the compiler stores
//! them beside a compiled vocabulary, and for other models they are made from `tokenizer.json` when
//! it is opened. Steps that the library cannot run are placed between two groups of its normalisers
//! (see `normalize`) or replace its pre-tokenizer (see `split`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::decoders::DecoderRuntime;
use tokenizers::pipeline::{
    Normalizer, PipelinePostProcessor, PipelineTokenizer, PreTokenizer, PreTokenizerScratch,
    Segment, Span, SpecialSegmentIterator,
};
use tokenizers::vocab::bucket_added_vocabulary::{AddedToken, AddedVocabulary};

use super::normalize::{Between, Chains, Growth};
use super::pattern::Pattern;
use super::split::Split;
use super::vocabulary::PIECE_SIZE_BYTES_MAX;
use super::{charsmap, damaged, library_error};
use crate::error::Result;

/// The JSON kept in a compiled tokenizer.
#[derive(Serialize, Deserialize)]
pub(super) struct StagesText {
    /// Tokenizer configurations; a pattern is replaced between each two of them. The last one also
    /// holds the model (in a compiled tokenizer the smallest one, as in all others), the
    /// pre-tokenizer and the template.
    pub groups: Vec<Value>,
    /// The replacements between the groups; if empty, runs of spaces are collapsed everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub between: Vec<BetweenText>,
    /// The pre-tokenizers that run here instead of in the library, as in `tokenizer.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Vec<Value>>,
    /// The reason why the decoder is unusable, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_refused: Option<String>,
    /// The added tokens, in ascending order of their requested ids.
    pub added_tokens: Vec<AddedTokenText>,
}

/// A pattern and its replacement.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BetweenText {
    pub pattern: String,
    pub content: String,
}

impl BetweenText {
    /// The replacement that nearly every SentencePiece conversion has; version 0.1 knows no other.
    pub fn is_spaces(&self) -> bool {
        self.pattern == " {2,}" && self.content == " "
    }
}

impl StagesText {
    /// Whether readers of version 0.1 would run other stages than these.
    pub fn is_extended(&self) -> bool {
        self.split.is_some() || !self.between.is_empty()
    }

    fn check(&self) -> Result<()> {
        let count = self.groups.len();
        if count == 0 || count > GROUPS_MAX {
            return Err(damaged(format!(
                "the tokenizer has {count} groups of stages, expected 1 to {GROUPS_MAX}"
            )));
        }
        if !self.between.is_empty() && self.between.len() != count - 1 {
            let found = self.between.len();
            return Err(damaged(format!("{found} patterns stand between {count} groups")));
        }
        if self.added_tokens.len() > ADDED_TOKENS_MAX {
            return Err(damaged(format!(
                "the tokenizer adds {} tokens, expected at most {ADDED_TOKENS_MAX}",
                self.added_tokens.len()
            )));
        }
        let long = |token: &&AddedTokenText| token.content.len() > PIECE_SIZE_BYTES_MAX;
        if let Some(token) = self.added_tokens.iter().find(long) {
            return Err(damaged(format!(
                "the added token {} has {} bytes, expected at most {PIECE_SIZE_BYTES_MAX}",
                token.id,
                token.content.len()
            )));
        }
        Ok(())
    }

    /// The steps between the groups, ready to run.
    fn between(&self) -> Result<Vec<Between>> {
        if self.between.is_empty() {
            return Ok((1..self.groups.len()).map(|_| Between::Spaces).collect());
        }
        let ready = |one: &BetweenText| match one.is_spaces() {
            true => Ok(Between::Spaces),
            false => Ok(Between::Pattern(Pattern::new(&one.pattern)?, one.content.clone())),
        };
        self.between.iter().map(ready).collect()
    }
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

/// Limits that no tokenizer reaches; they keep a hostile file cheap.
const GROUPS_MAX: usize = 64;
const ADDED_TOKENS_MAX: usize = 1 << 16;

/// The stages, ready to run.
pub(super) struct Stages {
    /// Never empty.
    groups: Vec<PipelineTokenizer>,
    between: Vec<Between>,
    /// The longest replacement of a character map, in bytes.
    replacement_max: usize,
    split: Option<Split>,
    /// The tokens cut out before and after normalising; absent where the last group's are used.
    added: Option<AddedVocabulary>,
    added_id_end: usize,
    added_by_id: BTreeMap<u32, AddedToken>,
    decoder_refused: Option<String>,
}

/// A model that converts words to ids.
pub(super) trait WordModel {
    /// Appends the ids of the words of `text` that `spans` denote; may stop once there are more
    /// than `room` in all.
    fn ids(&mut self, text: &str, spans: &[Span], room: usize, ids: &mut Vec<u32>) -> Result<()>;
}

impl Stages {
    /// Reads the stages around a model of `pieces_count` pieces; `find` returns the id of a piece.
    pub fn read(
        text: StagesText,
        pieces_count: usize,
        find: impl Fn(&str) -> Option<u32>,
    ) -> Result<Self> {
        let mut stages = Self::around(&text)?;
        let mut added = AddedVocabulary::new();
        let tokens = text.added_tokens.into_iter().map(AddedTokenText::into_token);
        added
            .add_tokens(tokens, pieces_count, find, Some(&Declared(&stages)))
            .map_err(library_error)?;
        stages.added_id_end = added_id_end(&added);
        stages.added_by_id = added.get_added_tokens_decoder().into_iter().collect();
        stages.added = Some(added);
        Ok(stages)
    }

    /// Reads the stages whose last group holds the model and the added tokens.
    pub fn of_library(text: StagesText) -> Result<Self> {
        let mut stages = Self::around(&text)?;
        if stages.groups.len() > 1 {
            // The last group knew only its own normaliser; its ids are correct nevertheless.
            let known = stages.last().clone();
            let find = |token: &str| known.get_added_vocabulary().token_to_id(token);
            return Self::read(text, usize::MAX >> 1, find);
        }
        stages.added_id_end = added_id_end(stages.added());
        Ok(stages)
    }

    fn around(text: &StagesText) -> Result<Self> {
        text.check()?;
        let groups: Vec<PipelineTokenizer> = text
            .groups
            .iter()
            .map(|group| tokenizers::from_json(&group.to_string()).map_err(library_error))
            .collect::<Result<_>>()?;
        let longest = groups.iter().map(charsmap::check).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            groups,
            between: text.between()?,
            replacement_max: longest.into_iter().max().unwrap_or(0),
            split: text.split.as_deref().map(Split::read).transpose()?,
            added: None,
            added_id_end: 0,
            added_by_id: BTreeMap::new(),
            decoder_refused: text.decoder_refused.clone(),
        })
    }

    /// The templates for a text and for a pair.
    pub fn templates(&self) -> &PipelinePostProcessor {
        self.last().get_post_processor()
    }

    /// One more than the largest id of an added token, or 0.
    pub fn added_id_end(&self) -> usize {
        self.added_id_end
    }

    /// The id of the padding token.
    pub fn pad_id(&self) -> u32 {
        pad_id(self.last(), self.added())
    }

    pub fn added(&self) -> &AddedVocabulary {
        self.added.as_ref().unwrap_or_else(|| self.last().get_added_vocabulary())
    }

    pub fn added_token(&self, id: u32) -> Option<AddedToken> {
        self.added_by_id.get(&id).cloned()
    }

    /// The decoder, which joins the texts of tokens.
    ///
    /// # Errors
    /// When the tokenizer has a decoder that cannot be run.
    pub fn decoder(&self) -> Result<Option<&DecoderRuntime>> {
        match &self.decoder_refused {
            Some(reason) => Err(damaged(format!("the decoder: {reason:.400}"))),
            None => Ok(self.last().get_decoder()),
        }
    }

    /// The group with the pre-tokenizer, the template and, unless compiled, the model.
    pub fn last(&self) -> &PipelineTokenizer {
        &self.groups[self.groups.len() - 1]
    }

    /// Whether words are spans of the normalised text.
    pub fn splits_by_spans(&self) -> bool {
        self.split.is_none()
    }

    /// The ids of `text` without the template; stops after the word that exceeds `room`.
    pub fn encode(&self, model: &mut impl WordModel, text: &str, room: usize) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let (mut words, mut growth) = (Words::default(), Growth::of_text());
        for segment in SpecialSegmentIterator::new(text, self.added(), false, false) {
            match segment {
                Segment::SpecialToken(id) => ids.push(id),
                Segment::Text { text, input_offset } => {
                    let normalized = self.normalize(text, input_offset, &mut growth)?;
                    for part in SpecialSegmentIterator::new(&normalized, self.added(), true, false)
                    {
                        match part {
                            Segment::SpecialToken(id) => ids.push(id),
                            Segment::Text { text, input_offset: inner } => {
                                let begins = input_offset == 0 && inner == 0;
                                let text = self.split(text, begins, &mut growth, &mut words)?;
                                model.ids(&text, &words.spans, room, &mut ids)?;
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

    /// Splits `text`, which may or may not begin the given text. The spans refer to the result.
    pub fn split<'a>(
        &self,
        text: &'a str,
        begins: bool,
        growth: &mut Growth,
        words: &mut Words,
    ) -> Result<Cow<'a, str>> {
        words.spans.clear();
        match &self.split {
            Some(split) => split.run(text, begins, growth, &mut words.scratch, &mut words.spans),
            None => {
                let library = self.last().get_pre_tokenizer();
                library
                    .pre_tokenize(text, &mut words.scratch, &mut words.spans)
                    .map_err(library_error)?;
                Ok(Cow::Borrowed(text))
            }
        }
    }

    /// Normalises the part of the given text that begins at `offset`.
    pub fn normalize<'a>(
        &self,
        text: &'a str,
        offset: usize,
        growth: &mut Growth,
    ) -> Result<Cow<'a, str>> {
        let normalized = self.chains(false).run(text, offset, growth)?;
        growth.charge(normalized.len())?;
        Ok(normalized)
    }

    fn chains(&self, declared_only: bool) -> Chains<'_> {
        let Self { groups, between, replacement_max, .. } = self;
        Chains { groups, between, replacement_max: *replacement_max, declared_only }
    }
}

/// The normaliser for added tokens: all declared steps, but not the final rewriting of spaces that
/// a split on words adds.
struct Declared<'a>(&'a Stages);

impl Normalizer for Declared<'_> {
    fn normalize<'a>(&self, input: &'a str, offset: usize) -> tokenizers::Result<Cow<'a, str>> {
        let chains = self.0.chains(true);
        chains.run(input, offset, &Growth::of_text()).map_err(|error| error.to_string().into())
    }
}

/// Buffers of one call.
#[derive(Default)]
pub(super) struct Words {
    scratch: PreTokenizerScratch,
    pub spans: Vec<Span>,
}

/// The part of a text that a span of the pre-tokenizer covers.
pub(super) fn part<'a>(text: &'a str, span: &Span) -> Result<&'a str> {
    let part = text.get(span.range());
    part.ok_or_else(|| damaged("the pre-tokenizer cut through a character"))
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
fn added_id_end(added: &AddedVocabulary) -> usize {
    added.get_vocab().values().max().map_or(0, |&id| id as usize + 1)
}

/// The id of the padding token: as configured, else by its role, else by its usual names, else 0
/// (padding is masked, so any existing id will do).
fn pad_id(library: &PipelineTokenizer, added: &AddedVocabulary) -> u32 {
    if let Some(padding) = library.get_padding() {
        return padding.pad_id;
    }
    let by_role = library.get_token_for_role("pad_token");
    let names = by_role.into_iter().chain(["<pad>", "[PAD]"]);
    names.into_iter().find_map(|name| added.token_to_id(name)).unwrap_or(0)
}
