//! The tokenizer of models whose tokens are bytes.
//!
//! ByT5 and similar models have no vocabulary: each byte of the UTF-8 text is a token, after the
//! three tokens for padding, end and unknown (Xue et al., "ByT5: Towards a Token-Free Future with
//! Pre-trained Byte-to-Byte Models", arXiv 2105.13626). No library writes a `tokenizer.json` for
//! them, but the format can express one: a byte-pair model without merges.

use serde_json::{Map, Value, json};

/// The tokens before the byte tokens, in the order of their ids.
const SPECIAL: [&str; 3] = ["<pad>", "</s>", "<unk>"];

/// The text of the `tokenizer.json`: every text ends with `</s>`.
pub fn byte_tokenizer() -> String {
    let mut vocabulary = Map::new();
    let pieces = SPECIAL.iter().map(|&name| name.to_owned());
    let pieces = pieces.chain(byte_characters().into_iter().map(String::from));
    for (id, piece) in pieces.enumerate() {
        vocabulary.insert(piece, json!(id));
    }
    let added = |(id, name): (usize, &&str)| {
        json!({
            "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false,
    });
    let end = SPECIAL[1];
    let sequence = json!({ "Sequence": { "id": "A", "type_id": 0 } });
    let special = json!({ "SpecialToken": { "id": end, "type_id": 0 } });
    let second = json!({ "Sequence": { "id": "B", "type_id": 0 } });
    let tokenizer: Value = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": SPECIAL.iter().enumerate().map(added).collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [sequence, special],
            "pair": [sequence, special, second, special],
            "special_tokens": { end: { "id": end, "ids": [1], "tokens": [end] } },
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": [],
        },
    });
    tokenizer.to_string() + "\n"
}

/// The character that represents each byte in byte-level vocabularies: bytes with a glyph represent
/// themselves, and the others follow from U+0100 on, in order.
fn byte_characters() -> Vec<char> {
    let has_glyph = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut others = (0x100..0x200u32).filter_map(char::from_u32);
    let character = |byte: u8| {
        if has_glyph(byte) { char::from(byte) } else { others.next().unwrap_or_default() }
    };
    (0..=u8::MAX).map(character).collect()
}
