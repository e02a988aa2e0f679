//! Turns the stages around the model of a `tokenizer.json` into parts that can run.
//!
//! The `tokenizers` library runs most configurations unchanged. Steps that it cannot run are
//! removed from them and run by this crate: replaced patterns (`normalize`) and splits that write
//! into words or cut by patterns (`split`).

use serde_json::{Map, Value, json};
use tokenizers::decoders::DecoderRuntime;
use tokenizers::utils::search::ReplacePattern;

use super::stages::{AddedTokenText, BetweenText, StagesText};
use super::{damaged, guarded, library, split};
use crate::error::Result;

/// The most that a decoder may lengthen a text, as a multiple of its size.
const DECODED_GROWTH_MAX: usize = 64;

/// Nested sequences deeper than this are refused.
const DEPTH_MAX: usize = 16;

/// The kind of the model: as stated, or else inferred as for older files.
pub(super) fn model_kind(value: &Value) -> &str {
    let model = &value["model"];
    match model["type"].as_str() {
        Some(kind) => kind,
        None if model.get("merges").is_some() => "BPE",
        None if model.get("continuing_subword_prefix").is_some() => "WordPiece",
        None if model["vocab"].is_array() => "Unigram",
        None => "WordLevel",
    }
}

/// Removes the pre-tokenizer from a configuration if the library does not run it; returns its
/// steps.
pub(super) fn take_split(value: &mut Value) -> Result<Option<Vec<Value>>> {
    if value["pre_tokenizer"].is_null() || library_splits(value) {
        return Ok(None);
    }
    let steps = flatten(value["pre_tokenizer"].take(), "pretokenizers", 0)?;
    // Unreadable steps are reported now, and not when the compiled file is opened.
    guarded("reading the pre-tokenizers", || split::Split::read(&steps))??;
    Ok(Some(steps))
}

/// Whether the library runs the pre-tokenizer, as it is or in the form it converts it to.
fn library_splits(value: &Value) -> bool {
    let mut skeleton = json!({
        "version": value["version"], "normalizer": null, "pre_tokenizer": value["pre_tokenizer"],
        "model": { "type": model_kind(value) },
    });
    if library::canonicalize(&mut skeleton).is_err() {
        return false;
    }
    match &skeleton["pre_tokenizer"] {
        Value::Null => true,
        step => library::read_pre_tokenizer(step)
            .is_ok_and(|read| split::can_run(read.get_pre_tokenizer())),
    }
}

/// The stages of a canonical configuration, which becomes the last group without its normaliser.
pub(super) fn stages(
    mut value: Value,
    split: Option<Vec<Value>>,
    added_tokens: Vec<AddedTokenText>,
) -> Result<StagesText> {
    let (mut chains, mut between) = (vec![Vec::new()], Vec::new());
    for step in flatten(value["normalizer"].take(), "normalizers", 0)? {
        match replaced_pattern(&step)? {
            Some(replaced) => {
                between.push(replaced);
                chains.push(Vec::new());
            }
            None => chains.last_mut().into_iter().for_each(|chain| chain.push(step.clone())),
        }
    }
    if between.iter().all(BetweenText::is_spaces) {
        between.clear();
    }
    let decoder_refused = refused_decoder(&value["decoder"]);
    if decoder_refused.is_some() {
        value["decoder"] = Value::Null;
    }
    let outer = json!({ "version": "2.0", "model": library::smallest_model() });
    let last = chains.len() - 1;
    let mut groups = Vec::with_capacity(chains.len());
    for (index, chain) in chains.into_iter().enumerate() {
        let mut group = if index == last { value.take() } else { outer.clone() };
        group["normalizer"] = json!({ "type": "Sequence", "normalizers": chain });
        groups.push(group);
    }
    Ok(StagesText { groups, between, split, decoder_refused, added_tokens })
}

/// The steps of a normaliser or pre-tokenizer in order, with nested sequences flattened.
fn flatten(step: Value, members: &str, depth: usize) -> Result<Vec<Value>> {
    if depth > DEPTH_MAX {
        return Err(damaged(format!("{members} are nested deeper than {DEPTH_MAX}")));
    }
    match step {
        Value::Null => Ok(Vec::new()),
        Value::Object(mut object) if is_sequence(&object) => match object.remove(members) {
            Some(Value::Array(steps)) => {
                let mut all = Vec::new();
                for step in steps {
                    all.append(&mut flatten(step, members, depth + 1)?);
                }
                Ok(all)
            }
            _ => Err(damaged(format!("a Sequence has no list of {members}"))),
        },
        step => Ok(vec![step]),
    }
}

fn is_sequence(object: &Map<String, Value>) -> bool {
    object.get("type").and_then(Value::as_str) == Some("Sequence")
}

/// The pattern that a step replaces, if it does; the library replaces plain strings.
fn replaced_pattern(step: &Value) -> Result<Option<BetweenText>> {
    let is_replace = step["type"].as_str() == Some("Replace");
    let Some(pattern) = step["pattern"]["Regex"].as_str().filter(|_| is_replace) else {
        return Ok(None);
    };
    let Some(content) = step["content"].as_str() else {
        return Err(damaged("a Replace has no content"));
    };
    let replaced = BetweenText { pattern: pattern.to_owned(), content: content.to_owned() };
    if !replaced.is_spaces() {
        super::pattern::Pattern::new(pattern)?;
    }
    Ok(Some(replaced))
}

/// Why a decoder cannot be used: the library does not know it, or it lengthens texts without bound.
/// Tasks without text output do not need it.
fn refused_decoder(decoder: &Value) -> Option<String> {
    let text = json!({ "version": "2.0", "decoder": decoder, "model": library::smallest_model() });
    let read = guarded("reading the decoder", || tokenizers::from_json(&text.to_string()));
    let read = match read {
        Err(error) => return Some(error.message().to_owned()),
        Ok(Err(cause)) => return Some(cause.to_string()),
        Ok(Ok(read)) => read,
    };
    let growth = read.get_decoder().map_or(1, decoded_growth);
    (growth > DECODED_GROWTH_MAX)
        .then(|| format!("it can make a text {growth} times as long, at most {DECODED_GROWTH_MAX}"))
}

/// The most by which a decoder lengthens the text of its tokens, as a factor.
fn decoded_growth(decoder: &DecoderRuntime) -> usize {
    match decoder {
        DecoderRuntime::Sequence(steps) => {
            steps.iter().map(decoded_growth).fold(1, usize::saturating_mul)
        }
        DecoderRuntime::Replace(step) => match step.pattern() {
            ReplacePattern::String(pattern) if pattern.is_empty() => 1,
            ReplacePattern::String(pattern) => step.content().len().div_ceil(pattern.len()).max(1),
            ReplacePattern::Regex(_) => usize::MAX,
        },
        _ => 1,
    }
}
