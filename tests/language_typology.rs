//! The table of languages and the distances between them: whole, metric enough, and as published.

use polygraft::Code;
use polygraft::language::{Distance, Language, SERVING_DISTANCE_MAX, Typology, languages, nearest};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::str::FromStr;

/// Distances are stored in 255 steps.
const STEP: f64 = 1.0 / 255.0;

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn all() -> Vec<Language> {
    languages().map(|typology| language(typology.tag)).collect()
}

fn between(distance: Distance, one: &str, other: &str) -> f64 {
    distance.between(&language(one), &language(other)).unwrap()
}

#[test]
fn every_language_has_distances_that_are_symmetric_and_zero_on_itself() {
    let all = all();
    assert!(all.len() > 250, "{}", all.len());
    for kind in Distance::ALL {
        for (at, one) in all.iter().enumerate() {
            assert_eq!(kind.between(one, one), Some(0.0), "{one}");
            for other in &all[at + 1..] {
                let distance = kind.between(one, other).unwrap();
                assert!((0.0..=1.0).contains(&distance), "{one} {other} {distance}");
                assert_eq!(kind.between(other, one), Some(distance));
            }
        }
    }
}

#[test]
fn mixed_is_the_mean_of_syntactic_genetic_and_geographic() {
    for (one, other) in [("de", "nl"), ("fi", "ja"), ("sw", "zu")] {
        let parts = [Distance::Syntactic, Distance::Genetic, Distance::Geographic];
        let sum: f64 = parts.map(|kind| between(kind, one, other)).iter().sum();
        assert!((between(Distance::Mixed, one, other) - sum / 3.0).abs() < 1e-12);
    }
    assert_eq!(Distance::default(), Distance::Mixed);
}

#[test]
fn genetic_distances_are_those_of_the_family_trees() {
    // The published example of lang2vec: Northern Frisian has 7 ancestors, Danish shares 3.
    assert!((between(Distance::Genetic, "frr", "da") - 0.625).abs() <= STEP);
    // German has 6 ancestors, Danish 6, 3 in common.
    assert!((between(Distance::Genetic, "de", "da") - (1.0 - 3.0 / 7.0)).abs() <= STEP);
    // Basque has no kin; Finnish and Japanese are not related.
    assert_eq!(between(Distance::Genetic, "eu", "es"), 1.0);
    assert_eq!(between(Distance::Genetic, "fi", "ja"), 1.0);
}

/// The great circle between two places in degrees, in units of half the Earth's circumference.
fn great_circle(one: (f64, f64), other: (f64, f64)) -> f64 {
    let ((north, east), (to_north, to_east)) = (one, other);
    let [north, east, to_north, to_east] = [north, east, to_north, to_east].map(f64::to_radians);
    let half = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
    let chord = half(north, to_north) + north.cos() * to_north.cos() * half(east, to_east);
    2.0 * chord.sqrt().asin() / std::f64::consts::PI
}

#[test]
fn geographic_distances_are_those_on_the_globe() {
    // Roughly where the languages are spoken, by an atlas.
    let places = [
        ("en", (52.0, 0.0)),
        ("fr", (48.0, 2.0)),
        ("de", (51.0, 10.0)),
        ("fi", (62.0, 25.0)),
        ("ja", (36.0, 138.0)),
        ("sw", (-6.0, 39.0)),
        ("mi", (-40.0, 176.0)),
        ("is", (65.0, -18.0)),
    ];
    for (one, at) in places {
        for (other, there) in places {
            let (found, expected) =
                (between(Distance::Geographic, one, other), great_circle(at, there));
            assert!((found - expected).abs() < 0.03, "{one} {other}: {found}, {expected}");
        }
    }
}

#[test]
fn feature_distances_are_those_of_another_implementation() {
    // Computed from the same vectors with numpy: syntactic, phonological, inventory, featural.
    let expected = [
        ("da", "de", [0.2639, 0.3064, 0.2605, 0.2683]),
        ("de", "ja", [0.6161, 0.4498, 0.5408, 0.5644]),
        ("de", "lb", [0.2624, 0.3064, 0.2044, 0.2435]),
        ("en", "fr", [0.3970, 0.4576, 0.4688, 0.4425]),
        ("fi", "hu", [0.3295, 0.2677, 0.3336, 0.3259]),
        ("hi", "ur", [0.1997, 0.2677, 0.4212, 0.3360]),
        ("sw", "zu", [0.2276, 0.5540, 0.3982, 0.3633]),
    ];
    let kinds =
        [Distance::Syntactic, Distance::Phonological, Distance::Inventory, Distance::Featural];
    for (one, other, values) in expected {
        for (kind, value) in kinds.into_iter().zip(values) {
            let found = between(kind, one, other);
            assert!((found - value).abs() <= STEP, "{one} {other} {kind:?}: {found}, {value}");
        }
    }
}

#[test]
fn kin_are_nearer_than_strangers() {
    for kind in [Distance::Mixed, Distance::Syntactic, Distance::Genetic, Distance::Geographic] {
        assert!(between(kind, "de", "nl") < between(kind, "de", "ja"), "{kind:?}");
        assert!(between(kind, "cs", "sk") < between(kind, "cs", "fi"), "{kind:?}");
    }
}

#[test]
fn no_language_may_serve_one_of_another_family() {
    for one in all() {
        for other in all() {
            let families = [&one, &other].map(|language| language.typology().unwrap().family);
            let distance = Distance::Mixed.between(&one, &other).unwrap();
            let kin = families[0] == families[1];
            assert!(kin || distance > SERVING_DISTANCE_MAX, "{one} {other} {distance}");
        }
    }
}

#[test]
fn facts_about_languages() {
    let facts = |tag: &str| language(tag).typology().unwrap();
    let (iso639_3, name, family) = ("deu", "German", "Indo-European");
    assert_eq!(facts("de"), Typology { tag: "de", iso639_3, name, family, observed: true });
    assert_eq!(facts("eu").family, "Isolate");
    assert_eq!((facts("ja").family, facts("fi").family), ("Japonic", "Uralic"));
    // Nobody described Slovak for these vectors: its features are predicted from its neighbours.
    assert!(!facts("sk").observed && !facts("lb").observed);
    assert_eq!(language("mi").iso639_3(), Some("mri"));
}

#[test]
fn one_language_is_found_under_all_its_tags() {
    let same = [
        ("he", &["iw", "heb", "he-IL", "HEB"][..]),
        ("id", &["in", "ind", "id-Latn-ID"]),
        ("tl", &["fil", "tgl", "fil-PH"]),
        ("zh", &["cmn", "zho", "chi", "zh-Hant", "zh-CN", "zh-Hans-SG", "cmn-Hant"]),
        ("ar", &["arb", "ara", "ar-EG"]),
        ("pt", &["por", "pt-BR"]),
        ("sr", &["srp", "sr-Latn", "sr-Cyrl-RS"]),
        ("fa", &["pes", "fas", "per", "prs"]),
        ("de", &["deu", "ger", "de-CH-1996", "de-u-co-phonebk"]),
        ("sw", &["swa", "swh"]),
        ("nb", &["nob"]),
        ("nn", &["nno"]),
        ("tw", &["ak", "twi", "aka"]),
    ];
    for (tag, others) in same {
        for other in others {
            let found = language(other).typology().map(|typology| typology.tag);
            assert_eq!(found, Some(tag), "{other}");
            assert_eq!(Distance::Mixed.between(&language(tag), &language(other)), Some(0.0));
        }
    }
    assert_eq!(between(Distance::Syntactic, "no", "nb"), 0.0);
    assert!(between(Distance::Mixed, "nn", "nb") > 0.0);
}

#[test]
fn what_is_no_language_is_near_to_nothing() {
    for tag in ["und", "zxx", "mis", "mul", "und-Latn", "mul-Latn", "x-own", "i-klingon", "qaa"] {
        let odd = language(tag);
        assert_eq!((odd.typology(), odd.iso639_3()), (None, None), "{tag}");
        assert_eq!(Distance::Mixed.between(&odd, &language("de")), None);
        assert_eq!(Distance::Genetic.between(&language("de"), &odd), None);
        assert_eq!(Distance::Genetic.between(&odd, &odd), None);
        assert_eq!(nearest(&odd, all().iter(), Distance::Mixed, 5), []);
        let first = tag.split('-').next().unwrap();
        assert_eq!(odd.is_undetermined(), ["und", "zxx", "mis"].contains(&first), "{tag}");
    }
}

#[test]
fn the_nearest_come_first_and_ties_are_in_the_order_of_tags() {
    let among = ["ja", "nl", "lb", "de", "sv", "und", "nl-BE"].map(language);
    let near = nearest(&language("de"), among.iter(), Distance::Mixed, 4);
    let tags: Vec<&str> = near.iter().map(|(other, _)| other.as_str()).collect();
    assert_eq!(tags, ["lb", "nl", "nl-BE", "sv"]);
    assert!(near.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    assert_eq!(nearest(&language("de"), among.iter(), Distance::Mixed, 0), []);
    assert_eq!(nearest(&language("de"), among.iter(), Distance::Mixed, 99).len(), 5);
}

#[test]
fn names_of_distances_go_there_and_back() {
    for kind in Distance::ALL {
        assert_eq!(Distance::from_str(kind.name()).unwrap(), *kind);
        assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.name()));
    }
    let error = Distance::from_str("far").unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid);
    assert!(error.to_string().contains("mixed, syntactic, geographic, genetic"), "{error}");
    assert!(Distance::from_str(&"x".repeat(9999)).unwrap_err().to_string().len() < 300);
}

#[test]
fn every_listed_language_is_canonical_and_listed_once() {
    let all: Vec<Typology> = languages().collect();
    let tags: BTreeSet<&str> = all.iter().map(|typology| typology.tag).collect();
    assert_eq!(tags.len(), all.len());
    for typology in &all {
        let listed = language(typology.tag);
        assert_eq!(listed.as_str(), typology.tag);
        assert_eq!(listed.typology().as_ref(), Some(typology));
        assert_eq!(language(typology.iso639_3).typology().as_ref(), Some(typology));
        assert!(typology.iso639_3.len() == 3 && !typology.name.is_empty());
        assert!(!typology.family.is_empty());
    }
}

proptest! {
    #[test]
    fn any_tag_has_a_distance_or_none(
        one in "[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", other in "[A-Za-z]{2,3}(-[A-Za-z]{4})?"
    ) {
        let (Ok(one), Ok(other)) = (Language::parse(&one), Language::parse(&other)) else {
            return Ok(());
        };
        let known = one.typology().is_some() && other.typology().is_some();
        for kind in Distance::ALL {
            let distance = kind.between(&one, &other);
            prop_assert_eq!(distance.is_some(), known);
            prop_assert_eq!(distance, kind.between(&other, &one));
            if one.primary() == other.primary() && known {
                prop_assert_eq!(distance, Some(0.0));
            }
        }
    }
}
