//! Compiles a `tokenizer.json` with a Unigram model, and prepares the stages of the others.
//!
//! The library reads the file once, here, and its numbers are used bit for bit: scores determine
//! ids, so they must never be parsed by other code.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokenizers::models::unigram::Unigram;
use tokenizers::pipeline::PipelineModel;

use super::stages::{AddedTokenText, StagesText};
use super::vocabulary_file::{self, Contents};
use super::words::MarkedCharacters;
use super::{around, damaged, guarded, library, library_error};
use crate::error::Result;

/// The largest id that a vocabulary may have; the library allocates a table up to it.
const ID_MAX: u64 = 1 << 24;

/// Compiles the text of a `tokenizer.json`; `None` when its model is not a Unigram and therefore
/// runs in the library.
///
/// # Errors
/// [`Code::BundleTokenizer`](crate::Code::BundleTokenizer) for a file that is malformed, or that
/// has a stage which cannot be run; the stage is named.
pub fn compile(text: &str) -> Result<Option<Vec<u8>>> {
    let mut value = parse(text)?;
    if around::model_kind(&value) != "Unigram" {
        return Ok(None);
    }
    let split = around::take_split(&mut value)?;
    library::canonicalize(&mut value)?;
    let model = std::mem::replace(&mut value["model"], library::smallest_model());
    let added_tokens = added_tokens(value["added_tokens"].take())?;
    value["added_tokens"] = json!([]);
    let stages = around::stages(value, split, added_tokens)?;
    let is_extended = stages.is_extended();
    let stages = serde_json::to_vec(&stages)
        .map_err(|cause| damaged(format!("writing the stages: {cause}")))?;
    let unigram_text = json!({ "version": "2.0", "model": model }).to_string();
    drop(model);
    let library = guarded("reading the vocabulary", || tokenizers::from_json(&unigram_text))?
        .map_err(library_error)?;
    drop(unigram_text);
    let PipelineModel::Unigram(unigram) = library.get_model() else {
        return Err(damaged("the model is tagged Unigram but is not one"));
    };
    let source_hash = *blake3::hash(text.as_bytes()).as_bytes();
    write(unigram, &stages, is_extended, source_hash).map(Some)
}

fn write(
    unigram: &Unigram,
    stages: &[u8],
    is_extended: bool,
    source_hash: [u8; 32],
) -> Result<Vec<u8>> {
    let mut seen = HashSet::new();
    let mut pieces = Vec::with_capacity(unigram.len());
    for (text, _) in unigram.vocab() {
        // A text that occurs twice has the one id that the library returns for it.
        if seen.insert(text.as_str()) {
            let id = unigram
                .token_to_id(text)
                .ok_or_else(|| damaged(format!("the piece {text:?} has no id")))?;
            pieces.push((text.as_bytes(), id));
        }
    }
    vocabulary_file::write(Contents {
        pieces,
        scores: unigram.vocab().iter().map(|&(_, score)| score).collect(),
        unknown_id: unigram.unk_id().and_then(|id| u32::try_from(id).ok()),
        byte_fallback: unigram.byte_fallback(),
        stages,
        is_extended,
        source_hash,
    })
}

/// The stages of a tokenizer whose model runs in the library, with the model in the last group;
/// also returns one more than the largest id in its vocabulary, and the marked characters.
pub(super) fn library_stages(text: &str) -> Result<(StagesText, usize, MarkedCharacters)> {
    let mut value = parse(text)?;
    let split = around::take_split(&mut value)?;
    library::canonicalize(&mut value)?;
    let id_end = id_end(&value["model"]["vocab"])?;
    let added_tokens = added_tokens(value["added_tokens"].clone())?;
    let marked = marked_characters(&value["model"]);
    Ok((around::stages(value, split, added_tokens)?, id_end, marked))
}

/// The one-character tokens with the suffix that marks the end of a word; empty without a suffix.
fn marked_characters(model: &Value) -> MarkedCharacters {
    let suffix = model["end_of_word_suffix"].as_str().filter(|suffix| !suffix.is_empty());
    let Some(suffix) = suffix else { return MarkedCharacters::new() };
    let marked = |(token, id): (&String, &Value)| {
        let mut characters = token.strip_suffix(suffix)?.chars();
        let first = characters.next().filter(|_| characters.next().is_none())?;
        Some((first, u32::try_from(id.as_u64()?).ok()?))
    };
    model["vocab"].as_object().into_iter().flatten().filter_map(marked).collect()
}

fn parse(text: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(text)
        .map_err(|cause| damaged(format!("tokenizer.json is not JSON: {cause}")))?;
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(damaged("tokenizer.json is no JSON object")),
    }
}

/// Removes the added tokens from a configuration and sorts them by id.
fn added_tokens(value: Value) -> Result<Vec<AddedTokenText>> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let mut tokens: Vec<AddedTokenText> = serde_json::from_value(value)
        .map_err(|cause| damaged(format!("the added tokens: {cause}")))?;
    tokens.sort_by_key(|token| token.id);
    Ok(tokens)
}

/// One more than the largest id; refuses ids that would make the library allocate without bound.
fn id_end(vocabulary: &Value) -> Result<usize> {
    let mut end = 0;
    for (token, id) in vocabulary.as_object().into_iter().flatten() {
        let id = id.as_u64().filter(|&id| id <= ID_MAX).ok_or_else(|| {
            damaged(format!("the token {token:?} has the id {id}, expected 0 to {ID_MAX}"))
        })?;
        end = end.max(id as usize + 1);
    }
    Ok(end)
}
