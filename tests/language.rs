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

/// What the refusal of a tag suggests.
fn meant(text: &str) -> Option<String> {
    let error = Language::parse(text).unwrap_err();
    let expected = match Language::well_formed(text) {
        Ok(_) => Code::LanguageUnknown,
        Err(_) => Code::LanguageMalformed,
    };
    assert_eq!(error.code(), expected, "{error}");
    let message = error.to_string();
    assert!(message.len() < 400, "{message}");
    let (_, suggested) = message.split_once("did you mean \"")?;
    Some(suggested.split('"').next().unwrap().to_owned())
}

#[test]
fn names_and_other_spellings_are_refused_with_the_tag_that_was_meant() {
    let pairs = [
        ("German", "de"),
        ("GERMAN", "de"),
        ("german", "de"),
        ("english", "en"),
        ("Deutsch", "de"),
        ("deutsch", "de"),
        ("allemand", "de"),
        ("français", "fr"),
        ("francais", "fr"),
        ("espanol", "es"),
        ("turkish", "tr"),
        ("Farsi", "fa"),
        ("Portuguese", "pt"),
        ("Brazilian Portuguese", "pt-BR"),
        ("Chinese (Simplified)", "zh-Hans"),
        ("chinese-simplified", "zh-Hans"),
        ("日本語", "ja"),
        ("РУССКИЙ", "ru"),
        ("german-AT", "de-AT"),
        ("english_US", "en-US"),
        ("de_DE", "de-DE"),
        ("de_DE.UTF-8", "de-DE"),
        ("zh_Hant_TW", "zh-Hant-TW"),
        ("sr_RS@latin", "sr-RS"),
        ("jp", "ja"),
        ("cz", "cs"),
        ("dk", "da"),
        ("gr", "el"),
        ("ua", "uk"),
        ("cn", "zh"),
        ("US", "en"),
        ("ghotuo", "aaa"),
        ("germna", "de"),
        ("portugese", "pt"),
        ("multilingual", "mul"),
        ("unknown", "und"),
    ];
    for (written, tag) in pairs {
        assert_eq!(meant(written).as_deref(), Some(tag), "{written}");
    }
    for (written, _) in pairs.into_iter().filter(|(written, _)| written.contains('_')) {
        let error = Language::parse(written).unwrap_err().to_string();
        assert!(error.contains("'-', not '_'"), "{error}");
    }
    // Four and eight letters are reserved by BCP 47; nothing is near to these.
    for nothing in ["zzzz", "qwertyui", "xx", "qz", "", "a", &"long ".repeat(30)] {
        assert_eq!(meant(nothing), None, "{nothing}");
    }
}

#[test]
fn registered_and_private_languages_are_taken_as_they_are() {
    let registered = [
        ("kr", Some("Kanuri")),
        ("ger", Some("German")),
        ("deu-AT", Some("German")),
        ("aaa", Some("Ghotuo")),
        ("zh-yue", Some("Chinese")),
        ("gem", Some("Germanic languages")),
        ("tlh", Some("Klingon")),
        ("jap", Some("Jaruára")),
        ("azr", Some("Adzera")),
        ("dyl", Some("Bhutanese Sign Language")),
        ("de-German", Some("German")),
        ("und", Some("Unknown language")),
        ("x-german", None),
        ("qaa", None),
        ("qtz-Latn", None),
        ("i-klingon", None),
        ("de-x-home", Some("German")),
    ];
    for (tag, name) in registered {
        assert_eq!(language(tag).name(), name, "{tag}");
        assert!(language(tag).is_registered(), "{tag}");
    }
    let replaced = ["iw", "ger", "deu", "in", "mo", "fri", "azr", "de", "cmn", "x-deu"];
    let replaced = replaced.map(|tag| language(tag).replacement().unwrap_or("none"));
    assert_eq!(replaced, ["he", "de", "de", "id", "ro", "fy", "none", "none", "none", "none"]);
    for tag in ["aaa", "x-own", "tlh"] {
        assert!(language(tag).lacks_typology(), "{tag}");
    }
    for tag in ["de", "mul", "mul-Latn", "und", "zxx-Latn"] {
        assert!(!language(tag).lacks_typology(), "{tag}");
    }
}

#[test]
fn what_an_older_polygraft_wrote_is_still_read() {
    let map: BTreeMap<Language, u32> = serde_json::from_str(r#"{"GERMAN":1,"xx":2}"#).unwrap();
    assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"german":1,"xx":2}"#);
    let odd = Language::well_formed("German").unwrap();
    assert_eq!((odd.as_str(), odd.is_registered(), odd.name()), ("german", false, None));
    assert_eq!(odd.fallbacks().map(|one| one.to_string()).collect::<Vec<_>>(), ["german", "mul"]);
    assert!(Language::well_formed("de_DE").is_err());
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
