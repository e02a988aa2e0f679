//! Decodes tokens that come one by one, without decoding the earlier ones again.
//!
//! After a cut, the text of further tokens does not depend on the tokens before it, as long as
//! these have any text: decoders treat only the first token, the beginning of the text and the
//! tokens of one character in a special way. So the tokens before the first cut stand in for all
//! earlier ones, and each step decodes them and the tokens since the last cut. With a decoder that
//! looks further, every step decodes everything. The text must never differ from that of
//! [`Tokenizer::decode`] for the same tokens.

use tokenizers::Decoder;
use tokenizers::decoders::DecoderRuntime;

use super::{Tokenizer, guarded, library_error};
use crate::error::{Code, Error, Result};

/// The text of the tokens so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct IncrementalText {
    text: String,
    /// The bytes of the text before the last cut.
    fixed: usize,
    /// The first tokens, up to the first cut after a text; they stand in for all before `since`.
    first: Vec<u32>,
    /// The bytes of their text.
    first_bytes: usize,
    /// The tokens since the last cut.
    since: Vec<u32>,
}

impl IncrementalText {
    /// Adds a token.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<()> {
        self.cut(tokenizer)?;
        self.since.push(id);
        let decoded = match self.first.is_empty() {
            true => tokenizer.decode(&self.since)?,
            false => tokenizer.decode(&[&self.first[..], &self.since].concat())?,
        };
        let new = decoded.strip_prefix(&self.text[..self.first_bytes]).ok_or_else(|| {
            Error::new(Code::Internal, "the decoder changed the text before a cut")
        })?;
        self.text.truncate(self.fixed);
        self.text.push_str(new);
        Ok(())
    }

    /// The text of all tokens.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number of bytes at the beginning of the text that the last token did not change.
    pub fn unchanged_bytes(&self) -> usize {
        self.fixed
    }

    /// Cuts the text after the last token if that is possible.
    fn cut(&mut self, tokenizer: &Tokenizer) -> Result<()> {
        // The bytes of a character may be incomplete.
        let new = &self.text[self.fixed..];
        if new.ends_with(char::REPLACEMENT_CHARACTER) || !tokenizer.may_cut(&self.since)? {
            return Ok(());
        }
        if self.first.is_empty() {
            if self.text.is_empty() {
                return Ok(());
            }
            self.first = std::mem::take(&mut self.since);
            self.first_bytes = self.text.len();
        }
        self.since.clear();
        self.fixed = self.text.len();
        Ok(())
    }
}

impl Tokenizer {
    /// Whether the decoder's text may be cut behind these tokens, whole characters provided.
    fn may_cut(&self, ids: &[u32]) -> Result<bool> {
        let mut steps = Vec::new();
        self.stages.decoder()?.into_iter().for_each(|decoder| flatten(decoder, &mut steps));
        if !looks_at_characters_only(&steps) {
            return Ok(false);
        }
        let bytes = steps.iter().position(|step| matches!(step, DecoderRuntime::ByteFallback(_)));
        let Some(bytes) = bytes else { return Ok(true) };
        // Bytes are decoded together with all bytes around them.
        let Some(last) = ids.iter().rev().find_map(|&id| self.token(id)) else { return Ok(true) };
        let mut last = vec![last];
        for step in &steps[..bytes] {
            last =
                guarded("decoding a token", || step.decode_chain(last))?.map_err(library_error)?;
        }
        Ok(!last.iter().any(|token| token.starts_with("<0x")))
    }
}

/// The steps of a decoder, with nested sequences flattened.
fn flatten<'a>(decoder: &'a DecoderRuntime, steps: &mut Vec<&'a DecoderRuntime>) {
    match decoder {
        DecoderRuntime::Sequence(members) => members.iter().for_each(|one| flatten(one, steps)),
        step => steps.push(step),
    }
}

/// Whether the steps convert each token by itself, but for the first one, the beginning of the text
/// and the bytes of a character.
fn looks_at_characters_only(steps: &[&DecoderRuntime]) -> bool {
    let replaces = |step: &&DecoderRuntime| matches!(step, DecoderRuntime::Replace(_));
    // Whether the tokens have become one text.
    let mut is_text = false;
    steps.iter().enumerate().all(|(index, step)| match step {
        DecoderRuntime::Replace(_)
        | DecoderRuntime::Metaspace(_)
        | DecoderRuntime::WordPiece(_) => !is_text,
        DecoderRuntime::ByteFallback(_) => !is_text && steps[..index].iter().all(replaces),
        DecoderRuntime::ByteLevel(_) => !std::mem::replace(&mut is_text, true),
        DecoderRuntime::Fuse(_) => {
            is_text = true;
            true
        }
        DecoderRuntime::Strip(strip) => {
            strip.stop == 0 && strip.content != char::REPLACEMENT_CHARACTER
        }
        // The last token and equal neighbours are special to these.
        DecoderRuntime::BPE(_) | DecoderRuntime::CTC(_) | DecoderRuntime::Sequence(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tokenizer::byte_tokenizer;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const PIECES: [&str; 20] = [
        "<pad>", "▁a", "b", "▁", "##c", "d</w>", "<0xE5>", "<0x8F>", "<0xAB>", "<0x61>", "e ",
        " f", "Ġg", "Ã", "©", ".", "'s", "|", "灯", "\u{fffd}",
    ];

    fn decoders() -> Vec<Value> {
        let replace = json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " });
        let (bytes, fuse) = (json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" }));
        let strip = |start: usize, stop: usize| {
            let (kind, content) = ("Strip", " ");
            json!({ "type": kind, "content": content, "start": start, "stop": stop })
        };
        let metaspace = |scheme: &str| {
            json!({
                "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true,
            })
        };
        let word_piece = json!({ "type": "WordPiece", "prefix": "##", "cleanup": true });
        let byte_level = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
            "use_regex": false,
        });
        let ctc = json!({
            "type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": true,
        });
        let made = json!({ "type": "Replace", "pattern": { "String": "b" }, "content": "<0xE5>" });
        let sequence = |steps: Vec<&Value>| json!({ "type": "Sequence", "decoders": steps });
        vec![
            Value::Null,
            metaspace("always"),
            metaspace("never"),
            word_piece.clone(),
            byte_level.clone(),
            ctc,
            json!({ "type": "BPEDecoder", "suffix": "</w>" }),
            sequence(vec![&replace, &bytes, &fuse, &strip(1, 0)]),
            sequence(vec![&replace, &bytes, &fuse]),
            sequence(vec![&made, &bytes, &fuse, &strip(2, 0)]),
            sequence(vec![&bytes, &metaspace("always")]),
            sequence(vec![&fuse, &replace]),
            sequence(vec![&fuse, &strip(1, 1)]),
            sequence(vec![&replace, &byte_level, &strip(1, 0)]),
            sequence(vec![&word_piece, &fuse]),
        ]
    }

    /// Each decoder with a model that the library runs and with a compiled one.
    fn tokenizers() -> Vec<(String, Tokenizer)> {
        let words: serde_json::Map<_, _> =
            PIECES.iter().enumerate().map(|(id, piece)| ((*piece).to_owned(), json!(id))).collect();
        let scored: Vec<_> = PIECES.iter().map(|piece| json!([piece, -1.0])).collect();
        let models = [
            json!({ "type": "WordLevel", "vocab": words, "unk_token": "<pad>" }),
            json!({ "type": "Unigram", "vocab": scored, "unk_id": 0, "byte_fallback": false }),
        ];
        let pad = json!({
            "id": 0, "content": "<pad>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        });
        let mut all = vec![("bytes".to_owned(), Tokenizer::from_json(&byte_tokenizer()).unwrap())];
        for decoder in decoders() {
            for model in &models {
                let text = json!({
                    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [pad],
                    "normalizer": null, "pre_tokenizer": null, "post_processor": null,
                    "decoder": decoder, "model": model,
                });
                let name = format!("{} {decoder}", model["type"]);
                all.push((name, Tokenizer::from_json(&text.to_string()).unwrap()));
            }
        }
        for name in ["sequence/mbart", "sequence/m2m100", "embedders", "adapters"] {
            let path =
                format!("{}/tests/fixtures/{name}/tokenizer.json", env!("CARGO_MANIFEST_DIR"));
            all.push((name.to_owned(), Tokenizer::open(path.as_ref()).unwrap()));
        }
        all
    }

    /// Pushes the ids; every text must be that of decoding everything.
    fn check(name: &str, tokenizer: &Tokenizer, ids: &[u32]) -> IncrementalText {
        let mut one = IncrementalText::default();
        for end in 1..=ids.len() {
            let before = one.text().to_owned();
            match (one.push(tokenizer, ids[end - 1]), tokenizer.decode(&ids[..end])) {
                (Ok(()), Ok(text)) => assert_eq!(one.text(), text, "{name}, {:?}", &ids[..end]),
                (Err(_), Err(_)) => break,
                (found, expected) => panic!("{name}: {found:?}, {expected:?}"),
            }
            let same = one.unchanged_bytes();
            assert_eq!(&one.text()[..same], &before[..same], "{name}, {:?}", &ids[..end]);
        }
        one
    }

    #[test]
    fn the_text_is_that_of_decoding_everything() {
        let all = tokenizers();
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        // The tokens of a byte tokenizer begin at 3, and ASCII is not all there is.
        let ids = prop::collection::vec(prop_oneof![4 => 0u32..22, 1 => 60u32..262], 0..40);
        let pass = runner.run(&ids, |ids| {
            all.iter().for_each(|(name, tokenizer)| drop(check(name, tokenizer, &ids)));
            Ok(())
        });
        pass.unwrap();
    }

    #[test]
    fn only_tokens_since_the_last_whole_character_are_decoded() {
        for (name, tokenizer) in tokenizers() {
            // Special and unknown tokens among others.
            let ids: Vec<u32> = [1, 2, 0, 4, 3, 999].repeat(50);
            let one = check(&name, &tokenizer, &ids);
            let decoded = one.first.len() + one.since.len();
            let whole = ["CTC", "BPEDecoder", "\"stop\":1", "[{\"type\":\"Fuse\"},{\"c"];
            let looks_further = whole.iter().any(|part| name.contains(part));
            let expected = if looks_further { ids.len() } else { 16 };
            assert!(decoded <= expected && (decoded > 16) == looks_further, "{name}: {decoded}");
        }
        let tokenizer = Tokenizer::from_json(&byte_tokenizer()).unwrap();
        let ids = tokenizer.encode_plain(&"灯aé".repeat(50), 1000).unwrap().ids;
        let one = check("bytes", &tokenizer, &ids);
        assert!(one.first.len() + one.since.len() <= 5, "{one:?}");
    }
}
