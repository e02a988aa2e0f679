//! The tokenizer of the reference bundle, against two oracles: ids saved from the upstream Python
//! package (`tests/oracle/tokenizer_ids.py`) and the Rust library run on the same file.

use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::LazyLock;

use polygraft::Code;
use polygraft::bundle::tokenizer::{TEXT_SIZE_BYTES_MAX, Tokenizer, compile};
use polygraft::example::words;
use proptest::prelude::*;
use serde_json::{Value, json};

/// More than any text of these tests has.
const NO_LIMIT: usize = 1 << 20;

fn cached(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache").join(path);
    assert!(path.exists(), "{} is missing: run `make setup` first", path.display());
    path
}

static REFERENCE_TEXT: LazyLock<String> =
    LazyLock::new(|| std::fs::read_to_string(cached("backbone/e5-small/tokenizer.json")).unwrap());

static COMPILED: LazyLock<Tokenizer> =
    LazyLock::new(|| Tokenizer::from_json(&REFERENCE_TEXT).unwrap());

/// The library on the same file. It has no regular expressions in this build, so the step that
/// collapses runs of spaces becomes twelve that halve them: equal for runs of up to 4096 spaces.
static LIBRARY: LazyLock<tokenizers::pipeline::PipelineTokenizer> = LazyLock::new(|| {
    let mut value: Value = serde_json::from_str(&REFERENCE_TEXT).unwrap();
    let steps = value["normalizer"]["normalizers"].as_array_mut().unwrap();
    let position = steps.iter().position(|step| step["type"] == "Replace").unwrap();
    assert_eq!(steps[position]["pattern"]["Regex"], " {2,}");
    let halve = json!({ "type": "Replace", "pattern": { "String": "  " }, "content": " " });
    steps.splice(position..=position, std::iter::repeat_n(halve, 12));
    tokenizers::canonicalize_value(&mut value).unwrap();
    tokenizers::from_json(&value.to_string()).unwrap()
});

fn library_ids(text: &str) -> Vec<u32> {
    let encodings = LIBRARY.encode(text, &Default::default()).wait().unwrap();
    encodings[0].ids().iter().map(|token| token.id()).collect()
}

fn assert_equals_library(text: &str) {
    let encoding = COMPILED.encode(text, NO_LIMIT).unwrap();
    assert_eq!(encoding.ids, library_ids(text), "{text:?}");
    assert!(!encoding.truncated);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn ids_equal_those_saved_from_the_upstream_package() {
    let saved = include_str!("oracle/tokenizer_ids.json");
    let rows: Vec<Value> = serde_json::from_str(saved).unwrap();
    assert!(rows.len() > 250);
    for row in rows {
        let expected: Vec<u32> = serde_json::from_value(row["ids"].clone()).unwrap();
        let text = row["text"].as_str().unwrap();
        assert_eq!(COMPILED.encode(text, NO_LIMIT).unwrap().ids, expected, "{text:?}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn ids_equal_the_library_on_real_sentences_of_every_language() {
    let mut languages = 0;
    for entry in std::fs::read_dir(cached("data/intents/test")).unwrap() {
        let lines = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        languages += 1;
        for line in lines.lines().take(60) {
            let row: Value = serde_json::from_str(line).unwrap();
            assert_equals_library(row["text"].as_str().unwrap());
        }
    }
    assert!(languages >= 12, "{languages} languages");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn ids_equal_the_library_on_any_text(text in any::<String>()) {
        assert_equals_library(&text);
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn ids_equal_the_library_on_mixed_scripts(
        text in concat!(
            r"([a-z ]{0,8}|\p{Han}{0,4}|\p{Arabic}{0,6}|\p{Thai}{0,6}|\p{Devanagari}{0,6}|",
            r"\p{M}{0,3}| {0,5}|<s>|</s>|<mask>|<unk>|▁|\p{Emoji}{0,3}){0,12}",
        )
    ) {
        assert_equals_library(&text);
    }

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn a_limit_keeps_the_first_ids_and_the_special_ones(
        text in r"(\PC{0,6} ?){0,40}", tokens_max in 3_usize..40
    ) {
        let whole = COMPILED.encode(&text, NO_LIMIT).unwrap().ids;
        let cut = COMPILED.encode(&text, tokens_max).unwrap();
        prop_assert_eq!(cut.truncated, whole.len() > tokens_max);
        prop_assert_eq!(cut.ids.len(), whole.len().min(tokens_max));
        let kept = cut.ids.len() - 1;
        prop_assert_eq!(&cut.ids[..kept], &whole[..kept]);
        prop_assert_eq!(cut.ids[kept], 2);
    }
}

/// What tokens stand for, without the space that the tokenizer puts before a text.
fn text_of(ids: &[u32]) -> String {
    COMPILED.decode(ids).unwrap().trim_start().to_owned()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn runs_of_words_are_tokenized_as_the_text_that_they_are() {
    let (mut runs_count, mut shared_count) = (0, 0);
    for language in ["th", "zh-CN", "zh-TW", "ja"] {
        let path = cached(&format!("data/intents/test/{language}.jsonl"));
        let lines = std::fs::read_to_string(path).unwrap();
        for line in lines.lines().take(100) {
            let row: Value = serde_json::from_str(line).unwrap();
            let found = words::split(row["text"].as_str().unwrap());
            let runs = found.chunk_by(|_, word| word.joins).filter(|run| run.len() > 1);
            for run in runs {
                let run: Vec<&str> = run.iter().map(|word| word.text).collect();
                let together = COMPILED.encode_words("", from_ref(&run), NO_LIMIT).unwrap();
                assert_eq!(together.encoding, COMPILED.encode(&run.concat(), NO_LIMIT).unwrap());
                let ids = &together.encoding.ids;
                let first: Vec<usize> = together.first.into_iter().map(Option::unwrap).collect();
                for (word, &token) in first.iter().enumerate() {
                    // The token holds the first character behind all words before this one.
                    let before = COMPILED.encode(&run[..word].concat(), NO_LIMIT).unwrap().ids;
                    let start = text_of(&before).len();
                    assert!(text_of(&ids[..token]).len() <= start, "{run:?} {first:?}");
                    assert!(text_of(&ids[..=token]).len() > start, "{run:?} {first:?}");
                }
                runs_count += 1;
                shared_count += first.windows(2).filter(|pair| pair[0] == pair[1]).count();
            }
        }
    }
    assert!(runs_count > 300 && shared_count > 1000, "{runs_count} runs, {shared_count} shared");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_run_that_does_not_fit_is_cut() {
    let run: Vec<&str> = "打开客厅的灯光".split("").filter(|word| !word.is_empty()).collect();
    let whole = COMPILED.encode_words("", from_ref(&run), NO_LIMIT).unwrap();
    let cut = COMPILED.encode_words("", &[run, vec!["TV"]], 5).unwrap();
    assert!(cut.encoding.truncated && cut.encoding.ids.len() == 5);
    let kept = |first: &Option<usize>| first.filter(|&token| token < 4);
    let expected: Vec<_> = whole.first.iter().map(kept).chain([None]).collect();
    assert_eq!(cut.first, expected);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn long_texts_are_cut_not_refused() {
    for unit in ["word ", "字", "ก", "\u{301}", "x", "  "] {
        let text = unit.repeat(100_000);
        let encoding = COMPILED.encode(&text, 512).unwrap();
        assert!(encoding.ids.len() <= 512, "{unit:?}");
        assert_eq!(encoding.truncated, encoding.ids.len() == 512, "{unit:?}");
    }
    let error = COMPILED.encode(&"a".repeat(TEXT_SIZE_BYTES_MAX + 1), 512).unwrap_err();
    assert_eq!(error.code(), Code::TaskTooLong);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_limit_without_room_is_an_error() {
    for tokens_max in 0..=2 {
        let error = COMPILED.encode("text", tokens_max).unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid, "{error}");
    }
    assert_eq!(COMPILED.encode("text", 3).unwrap().ids.len(), 3);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_reference_tokenizer_knows_its_size_and_padding() {
    assert!(COMPILED.is_compiled());
    assert_eq!(COMPILED.vocabulary_size(), 250_002);
    assert_eq!(COMPILED.pad_id(), 1);
}

/// A small Unigram with everything that changes ids: ties, unknown runs, byte pieces, added tokens.
fn small(byte_fallback: bool) -> Value {
    let mut vocabulary = vec![json!(["<unk>", 0.0]), json!(["▁", -2.0])];
    for (piece, score) in [("a", -1.0), ("b", -1.5), ("ab", -2.5), ("▁ab", -3.0), ("ñ", -4.0)] {
        vocabulary.push(json!([piece, score]));
    }
    if byte_fallback {
        (0..=255).for_each(|byte| vocabulary.push(json!([format!("<0x{byte:02X}>"), -9.0])));
    }
    json!({
        "version": "1.0",
        "added_tokens": [
            {"id": 600, "content": "<extra>", "single_word": false, "lstrip": true,
             "rstrip": false, "normalized": false, "special": true},
            {"id": 601, "content": "Ab", "single_word": false, "lstrip": false,
             "rstrip": false, "normalized": true, "special": false}
        ],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary,
                  "byte_fallback": byte_fallback}
    })
}

proptest! {
    #[test]
    fn small_vocabularies_equal_the_library(
        text in r"([abABñ▁ xyé🙂]|<extra>|  ){0,30}", byte_fallback in any::<bool>()
    ) {
        let mut value = small(byte_fallback);
        let ours = Tokenizer::from_json(&value.to_string()).unwrap();
        prop_assert!(ours.is_compiled());
        tokenizers::canonicalize_value(&mut value).unwrap();
        let library = tokenizers::from_json(&value.to_string()).unwrap();
        let expected = library.encode(text.as_str(), &Default::default()).wait().unwrap();
        let expected: Vec<u32> = expected[0].ids().iter().map(|token| token.id()).collect();
        prop_assert_eq!(ours.encode(&text, NO_LIMIT).unwrap().ids, expected);
    }
}

#[test]
fn other_models_run_in_the_library() {
    let value = json!({
        "version": "1.0",
        "added_tokens": [
            {"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false,
             "rstrip": false, "normalized": false, "special": true}
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "strip_accents": null,
                       "handle_chinese_chars": true, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100,
                  "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "light": 4,
                            "##s": 5, "on": 6}}
    });
    let tokenizer = Tokenizer::from_json(&value.to_string()).unwrap();
    assert!(!tokenizer.is_compiled());
    assert_eq!(tokenizer.vocabulary_size(), 7);
    assert_eq!(tokenizer.pad_id(), 0);
    let encoding = tokenizer.encode("Lights on zebra", 16).unwrap();
    assert_eq!(encoding.ids, [2, 4, 5, 6, 1, 3]);
    let cut = tokenizer.encode("Lights on zebra", 4).unwrap();
    assert_eq!((cut.ids, cut.truncated), (vec![2, 4, 5, 3], true));
}

#[test]
fn malformed_tokenizers_are_refused() {
    let edit = |change: fn(&mut Value)| {
        let mut value = small(false);
        change(&mut value);
        value.to_string()
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let broken_map = "AAEAAAAAAIA=";
    let cases = [
        String::new(),
        "{".into(),
        "[]".into(),
        "{}".into(),
        deep,
        edit(|value| value["model"]["unk_id"] = json!(7_000)),
        edit(|value| value["model"]["vocab"] = json!([])),
        edit(|value| value["model"]["vocab"][2][1] = json!("score")),
        edit(|value| value["model"]["vocab"][2][0] = json!("a".repeat(2_000))),
        edit(|value| value["added_tokens"][0]["id"] = json!(-1)),
        edit(|value| value["normalizer"] = json!({ "type": "Nonsense" })),
        edit(|value| {
            value["normalizer"] =
                json!({ "type": "Replace", "pattern": { "Regex": "(a+" }, "content": "" });
        }),
        edit(|value| {
            value["model"] = json!({ "type": "BPE", "vocab": { "a": 4e9 }, "merges": [] });
        }),
        edit(|value| value["model"] = json!({ "type": "Unigram" })),
        small(false).to_string().replace(
            r#"{"type":"Lowercase"}"#,
            &format!(r#"{{"type":"Precompiled","precompiled_charsmap":"{broken_map}"}}"#),
        ),
    ];
    for text in cases {
        let error = Tokenizer::from_json(&text).unwrap_err();
        assert_eq!(error.code(), Code::BundleTokenizer, "{error}: {text:.200}");
    }
}

/// Opens the bytes as a file; on success also encodes, which must not panic either.
fn open_and_use(bytes: &[u8]) -> polygraft::Result<()> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let tokenizer = Tokenizer::open(file.path())?;
    for text in ["ab añb <extra> zz🙂 Ab", "", "▁▁ab"] {
        if let Ok(encoding) = tokenizer.encode(text, 8) {
            let size = tokenizer.vocabulary_size();
            assert!(encoding.ids.iter().all(|&id| (id as usize) < size));
        }
    }
    Ok(())
}

static COMPILED_SMALL: LazyLock<Vec<u8>> =
    LazyLock::new(|| compile(&small(true).to_string()).unwrap().unwrap());

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_compiled_file_gives_the_ids_of_its_source() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), compile(&REFERENCE_TEXT).unwrap().unwrap()).unwrap();
    let mapped = Tokenizer::open(file.path()).unwrap();
    let text = "query: включи свет  на кухне 台所の電気";
    assert_eq!(mapped.encode(text, 64).unwrap(), COMPILED.encode(text, 64).unwrap());
}

/// Overwrites a little-endian `u32`.
fn put(bytes: &mut [u8], offset: usize, value: u32) {
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn every_damaged_field_of_a_compiled_file_is_refused() {
    let good = COMPILED_SMALL.clone();
    open_and_use(&good).unwrap();
    let field = |offset: usize| u32::from_le_bytes(good[offset..offset + 4].try_into().unwrap());
    let (pieces, nodes) = (field(48) as usize, field(52) as usize);
    let children = 80 + 8 * pieces;
    let piece_of_node = children + 4 * (nodes + 1);
    let labels = piece_of_node + 4 * nodes;
    let fields = [
        ("version", 8, 2),
        ("flags", 12, 2),
        ("pieces", 48, 0),
        ("pieces", 48, u32::MAX),
        ("pieces", 48, pieces as u32 + 1),
        ("nodes", 52, 0),
        ("nodes", 52, u32::MAX),
        ("nodes", 52, nodes as u32 - 1),
        ("unknown piece", 56, pieces as u32),
        ("stages", 60, 0),
        ("stages", 60, u32::MAX),
        ("reserved", 64, 1),
        ("score", 80 + 4, 0x7ff0_0000),
        ("first child", children, 0),
        ("child", children + 4, u32::MAX),
        ("child", children + 8, 0),
        ("last child", children + 4 * nodes, nodes as u32 - 1),
        ("piece", piece_of_node + 4, pieces as u32),
        ("labels", labels + 1, u32::MAX),
        ("stages", labels + nodes, u32::MAX),
    ];
    for (what, offset, value) in fields {
        let mut bytes = good.clone();
        put(&mut bytes, offset, value);
        let error = open_and_use(&bytes).expect_err(what);
        assert_eq!(error.code(), Code::BundleTokenizer, "{what}: {error}");
    }
    for length in [0, 1, 8, 79, 80, good.len() / 2, good.len() - 1] {
        let error = open_and_use(&good[..length]).unwrap_err();
        assert_eq!(error.code(), Code::BundleTokenizer, "{length} bytes: {error}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(open_and_use(&longer).unwrap_err().code(), Code::BundleTokenizer);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_damage_to_a_compiled_file_is_worse_than_an_error(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let mut bytes = COMPILED_SMALL.clone();
        for (index, value) in flips {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        if let Err(error) = open_and_use(&bytes) {
            prop_assert_eq!(error.code(), Code::BundleTokenizer);
        }
    }
}
