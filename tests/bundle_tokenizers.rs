//! Every component of `tokenizer.json`, against the ids of Python's `tokenizers` on texts of many
//! scripts (`tests/oracle/tokenizers/make.py`); and growth, which that library does not bound.

use polygraft::Code;
use polygraft::bundle::tokenizer::{NORMALIZED_SIZE_BYTES_MAX, TEXT_SIZE_BYTES_MAX, Tokenizer};
use serde_json::{Value, json};

/// More than any text of these tests has.
const NO_LIMIT: usize = 1 << 20;

/// Where ids differ from Python's, as `docs/tokenizers.md` says: behind an added token that is
/// found in normalised text, words are not marked again.
const DIFFERENT: [&str; 1] = ["added tokens metaspace"];

/// The tokenizers of the oracle with their models put in, and what it says of them.
fn rows() -> (Value, Vec<Value>) {
    let mut lines = include_str!("oracle/tokenizers/tokenizers.jsonl").lines();
    let head: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        let model = row["tokenizer"]["model"].as_u64().unwrap();
        row["tokenizer"]["model"] = head["models"][model as usize].clone();
        row
    };
    let rows = lines.map(row).collect();
    (head, rows)
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn ids_equal_those_of_python() {
    let (head, rows) = rows();
    assert!(rows.len() > 150, "{} tokenizers", rows.len());
    let texts: Vec<&str> =
        head["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let mut wrong = Vec::new();
    for row in &rows {
        let name = row["name"].as_str().unwrap();
        let tokenizer = Tokenizer::from_json(&row["tokenizer"].to_string());
        if DIFFERENT.contains(&name) {
            continue;
        }
        let tokenizer = match tokenizer {
            Ok(tokenizer) => tokenizer,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        for (text, expected) in texts.iter().zip(row["ids"].as_array().unwrap()) {
            match tokenizer.encode(text, NO_LIMIT) {
                Ok(found) if found.ids == ids(expected) => {}
                found => wrong.push(format!("{name}: {text:?}: {found:?}, expected {expected}")),
            }
        }
        let pair = tokenizer.encode_pair(
            head["pair"][0].as_str().unwrap(),
            head["pair"][1].as_str().unwrap(),
            NO_LIMIT,
        );
        let pair = pair.unwrap();
        if pair.ids != ids(&row["pair"]["ids"]) {
            wrong.push(format!("{name}: a pair: {:?}, expected {}", pair.ids, row["pair"]["ids"]));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn texts_of_ids_equal_those_of_python() {
    let (_, rows) = rows();
    let (mut wrong, mut count) = (Vec::new(), 0);
    // Without a decoder Python puts a space between each two tokens; here they are joined.
    let has_decoder =
        |row: &&Value| row["tokenizer"]["decoder"].is_object() && row["decoded"].is_array();
    for row in rows.iter().filter(has_decoder) {
        let tokenizer = Tokenizer::from_json(&row["tokenizer"].to_string()).unwrap();
        let texts = row["decoded"].as_array().unwrap();
        for (ids_of_text, expected) in row["ids"].as_array().unwrap().iter().zip(texts) {
            let found = tokenizer.decode(&ids(ids_of_text)).unwrap();
            count += 1;
            if found != expected.as_str().unwrap() {
                wrong.push(format!("{}: {found:?}, expected {expected}", row["name"]));
            }
        }
    }
    assert!(count > 200, "{count} texts");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A tokenizer of a few words.
fn small(model: Value, parts: Value) -> String {
    let mut value = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null, "model": model,
    });
    for (name, part) in parts.as_object().unwrap() {
        value[name] = part.clone();
    }
    value.to_string()
}

fn models() -> [Value; 3] {
    let vocabulary = json!({"[UNK]": 0, "a": 1, "##a": 2});
    [
        json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
               "max_input_chars_per_word": 100, "vocab": vocabulary}),
        json!({"type": "Unigram", "unk_id": 0, "vocab": [["[UNK]", 0.0], ["a", -1.0]]}),
        json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary}),
    ]
}

#[test]
fn a_text_that_grows_without_measure_is_refused() {
    let thousand = "a".repeat(1_000);
    let text = |pattern: &str| json!({"String": pattern});
    let replace = |pattern: Value, content: &str| -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    };
    let sequence = |step: Value| json!({"type": "Sequence", "normalizers": vec![step; 8]});
    let growing = [
        sequence(replace(text("a"), &thousand)),
        sequence(replace(json!({"Regex": "a"}), &thousand)),
        sequence(replace(json!({"Regex": ""}), &thousand)),
        json!({"type": "Sequence", "normalizers": vec![json!({"type": "ByteLevel"}); 40]}),
    ];
    for model in models() {
        for normalizer in &growing {
            let json = small(model.clone(), json!({"normalizer": normalizer}));
            let error = Tokenizer::from_json(&json).unwrap().encode("aä", 64).unwrap_err();
            assert_eq!(error.code(), Code::TaskTooLong, "{error}");
        }
    }
}

#[test]
fn growth_is_that_of_all_parts_of_a_text() {
    let parts = json!({
        "normalizer": {"type": "Prepend", "prepend": "b".repeat(1 << 20)},
        "added_tokens": [{"id": 2, "content": "|", "single_word": false, "lstrip": false,
                          "rstrip": false, "normalized": false, "special": true}],
    });
    let [_, model, _] = models();
    let tokenizer = Tokenizer::from_json(&small(model, parts)).unwrap();
    let error = tokenizer.encode(&"a|".repeat(64), NO_LIMIT * 64).unwrap_err();
    assert_eq!(error.code(), Code::TaskTooLong, "{error}");
    assert!(tokenizer.encode("a|a", NO_LIMIT * 64).is_ok());
}

#[test]
fn splits_that_write_into_words_are_charged_too() {
    let step = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false});
    let steps = vec![step; 40];
    let parts = json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}});
    let [_, model, _] = models();
    let tokenizer = Tokenizer::from_json(&small(model, parts)).unwrap();
    let error = tokenizer.encode("ä", 64).unwrap_err();
    assert_eq!(error.code(), Code::TaskTooLong, "{error}");
}

#[test]
fn the_longest_text_of_spaces_fits() {
    let parts = json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Punctuation", "behavior": "Isolated"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
    ]}});
    let [_, model, _] = models();
    let tokenizer = Tokenizer::from_json(&small(model, parts)).unwrap();
    let encoding = tokenizer.encode(&" ".repeat(TEXT_SIZE_BYTES_MAX), 64).unwrap();
    assert!(encoding.truncated && encoding.ids.len() == 64);
    assert_eq!(NORMALIZED_SIZE_BYTES_MAX, 4 * TEXT_SIZE_BYTES_MAX);
}

#[test]
fn patterns_end() {
    let [_, model, _] = models();
    for pattern in
        [r"(a+)+$", r"(?=(a+))\1*b", r"(a|aa)+$", r"((a{1,60}){1,60}){1,60}b", r"(?:a?){40}b"]
    {
        let parts = json!({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern},
                           "behavior": "Isolated", "invert": false}});
        // Refused, or an end with or without ids: never a search for ever.
        if let Ok(tokenizer) = Tokenizer::from_json(&small(model.clone(), parts))
            && let Err(error) = tokenizer.encode(&("a".repeat(20_000) + "c"), NO_LIMIT)
        {
            assert_eq!(error.code(), Code::BundleTokenizer, "{pattern}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_run_is_named() {
    let [_, model, _] = models();
    let split = |pattern: &str| {
        json!({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern},
               "behavior": "Isolated", "invert": false}})
    };
    let nested = (0..40).fold(
        json!({"type": "WhitespaceSplit"}),
        |inner, _| json!({"type": "Sequence", "pretokenizers": [inner]}),
    );
    let cases = [
        (split("(a"), "(a"),
        (split("(?m)a"), "option m"),
        (split(&"a".repeat(5_000)), "5000 bytes"),
        (json!({"pre_tokenizer": {"type": "Novelty"}}), "Novelty"),
        (json!({"pre_tokenizer": nested}), "nested deeper"),
        (
            json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers":
                vec![json!({"type": "ByteLevel"}); 65]}}),
            "65 pre-tokenizers",
        ),
        (json!({"normalizer": {"type": "Novelty"}}), "Novelty"),
        (json!({"normalizer": {"type": "Replace", "pattern": {"Regex": "["}, "content": ""}}), "["),
        (json!({"post_processor": {"type": "Novelty"}}), "Novelty"),
    ];
    for (parts, named) in cases {
        let error = Tokenizer::from_json(&small(model.clone(), parts)).unwrap_err();
        assert_eq!(error.code(), Code::BundleTokenizer, "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
}

#[test]
fn a_tokenizer_that_fails_on_every_text_is_found() {
    let unknown = json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": {"zebra": 0}});
    let uncovered = json!({"type": "Unigram", "unk_id": null, "vocab": [["zebra", -1.0]]});
    let silent = json!({"type": "BPE", "vocab": {"€": 0}, "merges": []});
    let words = json!({"pre_tokenizer": {"type": "WhitespaceSplit"}});
    let gone = json!({"normalizer": {"type": "Replace", "pattern": {"Regex": "."}, "content": ""}});
    let cases = [
        (unknown, words.clone(), "none of 16 texts in as many scripts can be tokenized"),
        (uncovered, json!({}), "none of 16 texts in as many scripts can be tokenized"),
        (silent, words, "none of 16 texts in as many scripts has a token"),
        (models()[1].clone(), gone, "none of 16 texts in as many scripts has a token"),
    ];
    for (model, parts, reason) in cases {
        let tokenizer = Tokenizer::from_json(&small(model, parts)).unwrap();
        let error = tokenizer.check_probes().unwrap_err();
        assert!(error.message().starts_with(reason), "{error}");
    }
    for model in models() {
        Tokenizer::from_json(&small(model, json!({}))).unwrap().check_probes().unwrap();
    }
}

#[test]
fn a_decoder_that_cannot_be_run_fails_only_when_a_text_is_made() {
    let growing = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaa"});
    let decoders = [
        json!({"type": "Novelty"}),
        json!({"type": "Sequence", "decoders": vec![growing; 12]}),
        json!({"type": "Replace", "pattern": {"Regex": "a"}, "content": "b"}),
    ];
    for model in models() {
        for decoder in &decoders {
            let json = small(model.clone(), json!({"decoder": decoder}));
            let tokenizer = Tokenizer::from_json(&json).unwrap();
            assert_eq!(tokenizer.encode("a", 8).unwrap().ids, [1]);
            let error = tokenizer.decode(&[1]).unwrap_err();
            assert!(error.message().starts_with("the decoder: "), "{error}");
        }
    }
}
