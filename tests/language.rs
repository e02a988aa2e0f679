//! Language tags: one spelling, hostile text, fallback chains.

use polygraft::Code;
use polygraft::language::{Language, TAG_SIZE_BYTES_MAX};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn chain(tag: &str) -> Vec<String> {
    language(tag).fallbacks().map(|language| language.to_string()).collect()
}

#[test]
fn tags_are_canonical_whatever_the_case() {
    let pairs = [
        ("de", "de"),
        ("EN-us", "en-US"),
        ("ZH-hANT-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("SL-ROZAJ", "sl-rozaj"),
        ("de-CH-x-PHONEBK", "de-CH-x-phonebk"),
        ("I-KLINGON", "i-klingon"),
        ("X-MyOwn", "x-myown"),
    ];
    for (written, canonical) in pairs {
        assert_eq!(language(written).as_str(), canonical);
        assert_eq!(language(written), language(canonical));
    }
}

#[test]
fn malformed_tags_are_named_and_cut() {
    let long = "a-".repeat(50_000);
    let tags = ["", "d", "de_DE", "de-", "-de", "german language", "de\0", "日本語", "12", &long];
    for tag in tags {
        let error = Language::parse(tag).unwrap_err();
        assert_eq!(error.code(), Code::LanguageMalformed, "{tag:.20}");
        assert!(error.to_string().len() < 500, "the message is bounded");
    }
    let error = Language::parse("pt_BR").unwrap_err().to_string();
    assert!(error.contains("\"pt_BR\"") && error.contains("'-', not '_'"), "{error}");
}

#[test]
fn fallbacks_go_from_own_tag_to_the_shared_language() {
    assert_eq!(chain("zh-Hant-TW"), ["zh-Hant-TW", "zh-Hant", "zh", "mul"]);
    assert_eq!(chain("de"), ["de", "mul"]);
    assert_eq!(chain("swe"), ["swe", "mul"]);
    assert_eq!(chain("mul"), ["mul"]);
    assert_eq!(chain("mul-Latn"), ["mul-Latn", "mul"]);
    assert_eq!(chain("de-CH-x-a-b"), ["de-CH-x-a-b", "de-CH", "de", "mul"]);
    assert_eq!(chain("de-u-co-phonebk"), ["de-u-co-phonebk", "de-u-co", "de", "mul"]);
    assert_eq!(chain("i-klingon"), ["i-klingon", "mul"]);
    assert_eq!(chain("x-one-two"), ["x-one-two", "x-one", "mul"]);
}

#[test]
fn primary_and_shared() {
    assert_eq!(language("zh-Hant-TW").primary(), "zh");
    assert_eq!(language("x-one").primary(), "x-one");
    assert!(Language::shared().is_shared());
    assert_eq!(language("MUL"), Language::shared());
    assert!(!language("mul-Latn").is_shared());
}

#[test]
fn maps_are_searched_by_tag() {
    let languages = [language("de"), language("zh-Hant"), Language::shared()];
    let hashed: HashMap<_, _> = languages.iter().cloned().zip(0..).collect();
    let ordered: BTreeMap<_, _> = languages.iter().cloned().zip(0..).collect();
    for tag in ["de", "zh-Hant", "mul", "fr"] {
        assert_eq!(hashed.get(tag), ordered.get(tag));
    }
    assert_eq!(ordered.get("zh-Hant"), Some(&1));
}

#[test]
fn serde_goes_through_the_parser() {
    let map: BTreeMap<Language, u32> = serde_json::from_str(r#"{"DE":1}"#).unwrap();
    assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"de":1}"#);
    let error = serde_json::from_str::<Language>(r#""../etc""#).unwrap_err();
    assert!(error.to_string().contains("not a language"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,80}") {
        if let Ok(language) = Language::parse(&text) {
            prop_assert_eq!(&Language::parse(language.as_str()).unwrap(), &language);
            prop_assert!(language.as_str().eq_ignore_ascii_case(&text));
        }
    }

    #[test]
    fn tags_are_safe_names_and_their_fallbacks_are_canonical(
        text in "[A-Za-z]{1,3}(-[A-Za-z0-9]{1,8}){0,7}"
    ) {
        let Ok(language) = Language::parse(&text) else { return Ok(()) };
        prop_assert!(language.as_str().len() <= TAG_SIZE_BYTES_MAX);
        prop_assert!(language.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let chain: Vec<_> = language.fallbacks().collect();
        prop_assert_eq!(chain.first(), Some(&language));
        prop_assert!(chain.last().unwrap().is_shared());
        for link in &chain {
            prop_assert_eq!(&Language::parse(link.as_str()).unwrap(), link);
        }
        for pair in chain.windows(2) {
            prop_assert!(pair[1].is_shared() || pair[0].as_str().starts_with(pair[1].as_str()));
        }
    }
}
