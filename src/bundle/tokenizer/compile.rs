//! Turns a `tokenizer.json` with a Unigram model into a compiled tokenizer, and loads the others.
//!
//! The library reads the file once, here, and its own numbers are taken over bit for bit: scores
//! decide ids, so they must not be parsed a second way.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokenizers::models::unigram::Unigram;
use tokenizers::pipeline::{PipelineModel, PipelineTokenizer};

use super::stages::{self, AddedTokenText, StagesText};
use super::vocabulary::{self, Source};
use super::{damaged, guarded, library_error};
use crate::error::Result;

/// The largest id a vocabulary may give; the library allocates a table up to it.
const ID_MAX: u64 = 1 << 24;

/// Compiles the text of a `tokenizer.json`; `None` when its model is not a Unigram and therefore
/// runs in the library.
pub fn compile(text: &str) -> Result<Option<Vec<u8>>> {
    let mut value = canonical(text)?;
    if value["model"]["type"].as_str() != Some("Unigram") {
        return Ok(None);
    }
    let model = value["model"].take();
    let added_tokens = added_tokens(value["added_tokens"].take())?;
    let groups = groups(value)?;
    let stages = serde_json::to_vec(&StagesText { groups, added_tokens })
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
    write(unigram, &stages, source_hash).map(Some)
}

fn write(unigram: &Unigram, stages: &[u8], source_hash: [u8; 32]) -> Result<Vec<u8>> {
    let mut seen = HashSet::new();
    let mut pieces = Vec::with_capacity(unigram.len());
    for (text, _) in unigram.vocab() {
        // A text that occurs twice has the one id that the library looks up for it.
        if seen.insert(text.as_str()) {
            let id = unigram
                .token_to_id(text)
                .ok_or_else(|| damaged(format!("the piece {text:?} has no id")))?;
            pieces.push((text.as_bytes(), id));
        }
    }
    vocabulary::write(Source {
        pieces,
        scores: unigram.vocab().iter().map(|&(_, score)| score).collect(),
        unknown_id: unigram.unk_id().and_then(|id| u32::try_from(id).ok()),
        byte_fallback: unigram.byte_fallback(),
        stages,
        source_hash,
    })
}

/// Loads a tokenizer whose model runs in the library; also returns one more than the largest id
/// in its vocabulary.
pub(super) fn load_library(text: &str) -> Result<(PipelineTokenizer, usize)> {
    let value = canonical(text)?;
    let id_end = id_end(&value["model"]["vocab"])?;
    let text = value.to_string();
    drop(value);
    let library = guarded("reading the tokenizer", || tokenizers::from_json(&text))?
        .map_err(library_error)?;
    stages::check_normalizers(&library)?;
    Ok((library, id_end))
}

/// Parses the text and brings it to the library's current format version.
fn canonical(text: &str) -> Result<Value> {
    let mut value: Value = serde_json::from_str(text)
        .map_err(|cause| damaged(format!("tokenizer.json is not JSON: {cause}")))?;
    guarded("reading the tokenizer", || tokenizers::canonicalize_value(&mut value))?
        .map_err(|cause| damaged(cause.to_string()))?;
    Ok(value)
}

/// Takes the added tokens, in ascending order of their ids.
fn added_tokens(value: Value) -> Result<Vec<AddedTokenText>> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let mut tokens: Vec<AddedTokenText> = serde_json::from_value(value)
        .map_err(|cause| damaged(format!("the added tokens: {cause}")))?;
    tokens.sort_by_key(|token| token.id);
    Ok(tokens)
}

/// Splits a configuration at its steps that collapse spaces and gives each part the smallest model.
fn groups(mut value: Value) -> Result<Vec<Value>> {
    let mut chains: Vec<Vec<Value>> = vec![Vec::new()];
    for step in flatten(value["normalizer"].take()) {
        if collapses_spaces(&step)? {
            chains.push(Vec::new());
        } else if let Some(chain) = chains.last_mut() {
            chain.push(step);
        }
    }
    value["added_tokens"] = json!([]);
    // What joins tokens to a text is kept where the library knows it; encoding needs none.
    let decoder =
        json!({ "version": "2.0", "decoder": value["decoder"], "model": smallest_model() });
    let is_known = guarded("reading the decoder", || tokenizers::from_json(&decoder.to_string()));
    if !is_known.is_ok_and(|read| read.is_ok()) {
        value["decoder"] = Value::Null;
    }
    value["model"] = smallest_model();
    let outer = json!({ "version": "2.0", "model": value["model"] });
    let last = chains.len() - 1;
    let group = |(index, chain)| {
        let mut group = if index == last { value.clone() } else { outer.clone() };
        group["normalizer"] = json!({ "type": "Sequence", "normalizers": Value::Array(chain) });
        group
    };
    Ok(chains.into_iter().enumerate().map(group).collect())
}

fn smallest_model() -> Value {
    json!({ "type": "Unigram", "unk_id": 0, "vocab": [["", 0.0]] })
}

/// The steps of a normaliser, nested sequences opened, in order.
fn flatten(normalizer: Value) -> Vec<Value> {
    match normalizer {
        Value::Null => Vec::new(),
        Value::Object(mut object) if object.get("type") == Some(&json!("Sequence")) => {
            match object.remove("normalizers") {
                Some(Value::Array(steps)) => steps.into_iter().flat_map(flatten).collect(),
                _ => Vec::new(),
            }
        }
        step => vec![step],
    }
}

/// Whether a step is the pattern ` {2,}` replaced by one space; other patterns are refused here,
/// with a clearer message than the library's.
fn collapses_spaces(step: &Value) -> Result<bool> {
    match step["pattern"]["Regex"].as_str() {
        Some(" {2,}") if step["content"] == " " => Ok(true),
        Some(pattern) => Err(damaged(format!(
            "the normaliser replaces the pattern {pattern:?}, of all patterns only \" {{2,}}\" by \
             one space is supported"
        ))),
        None => Ok(false),
    }
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
