//! Who serves a language that has no version of its own.

use polygraft::language::{Distance, Language, SERVING_DISTANCE_MAX};
use polygraft::store::{NewVersion, Snapshot, Step, StepKind, Store};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const TASK: &str = "intent";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn publish(store: &Store, tags: &[&str]) {
    let candidate = |tag: &&str| NewVersion {
        language: language(tag),
        bytes: tag.as_bytes().into(),
        activate: true,
        evidence: json!(null),
    };
    let candidates: Vec<NewVersion> = tags.iter().map(candidate).collect();
    store.publish(TASK, &candidates).unwrap();
}

/// A snapshot of a store in which these languages have an active version.
fn snapshot(tags: &[&str]) -> Arc<Snapshot> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    if !tags.is_empty() {
        publish(&store, tags);
    }
    store.snapshot().unwrap()
}

fn served(snapshot: &Snapshot, tag: &str) -> Option<String> {
    Some(snapshot.resolve(TASK, &language(tag))?.0.to_string())
}

#[test]
fn the_nearest_language_serves_before_the_shared_one_and_after_shorter_tags() {
    let chained = snapshot(&["mul", "de", "ja", "fi"]);
    let pairs = [
        ("de-CH", "de"),
        ("lb", "de"),
        ("lb-LU", "de"),
        ("ltz", "de"),
        ("nl", "mul"),
        ("ja", "ja"),
        ("ko", "mul"),
        ("hu", "mul"),
        ("sw", "mul"),
    ];
    for (tag, owner) in pairs {
        assert_eq!(served(&chained, tag).as_deref(), Some(owner), "{tag}");
    }
    let few = snapshot(&["fi"]);
    assert_eq!(served(&few, "ja"), None);
    assert_eq!(few.resolve("other", &language("fi")), None);
}

#[test]
fn scripts_regions_and_old_codes_of_one_language_stand_in_for_each_other() {
    let chained = snapshot(&["mul", "zh-Hant", "he", "sr-Cyrl", "de-AT"]);
    for (tag, owner) in
        [("zh-Hans", "zh-Hant"), ("cmn", "zh-Hant"), ("iw", "he"), ("sr-Latn", "sr-Cyrl")]
    {
        assert_eq!(served(&chained, tag).as_deref(), Some(owner), "{tag}");
    }
    assert_eq!(served(&chained, "de").as_deref(), Some("de-AT"));
}

#[test]
fn what_is_no_language_is_served_by_the_shared_one_only() {
    let odd = ["und", "zxx", "mis", "mul", "x-own", "i-klingon", "qaa", "und-Latn", "mul-Latn"];
    let (with, without) = (snapshot(&["mul", "de", "en"]), snapshot(&["de", "en"]));
    for tag in odd {
        assert_eq!(served(&with, tag).as_deref(), Some("mul"), "{tag}");
        assert_eq!(served(&without, tag), None, "{tag}");
        assert!(!without.explain(TASK, &language(tag)).iter().any(|step| step.taken));
    }
    // And they serve no other language, though they have versions.
    let odd_active = snapshot(&["und", "x-own", "qaa"]);
    assert_eq!(served(&odd_active, "de"), None);
}

#[test]
fn an_activation_changes_who_is_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    publish(&store, &["mul", "es"]);
    let before = store.snapshot().unwrap();
    assert_eq!(served(&before, "gl").as_deref(), Some("es"));
    publish(&store, &["pt"]);
    assert_eq!(served(&store.snapshot().unwrap(), "gl").as_deref(), Some("pt"));
    assert_eq!(served(&before, "gl").as_deref(), Some("es"), "a snapshot does not change");
    store.roll_back(TASK, &language("pt")).unwrap();
    assert_eq!(served(&store.snapshot().unwrap(), "gl").as_deref(), Some("es"));
    store.roll_back(TASK, &language("es")).unwrap();
    assert_eq!(served(&store.snapshot().unwrap(), "gl").as_deref(), Some("mul"));
}

#[test]
fn threads_agree_on_one_snapshot() {
    let shared = snapshot(&["mul", "de", "es", "cs", "fi", "hi", "id"]);
    let tags = ["lb", "pt", "sk", "et", "ur", "ms", "ko", "und", "nl", "zh-Hant"];
    let expected =
        tags.map(|tag| served(&snapshot(&["mul", "de", "es", "cs", "fi", "hi", "id"]), tag));
    std::thread::scope(|scope| {
        for offset in 0..8 {
            let (shared, tags, expected) = (&shared, &tags, &expected);
            scope.spawn(move || {
                for turn in 0..200 {
                    let at = (offset + turn) % tags.len();
                    assert_eq!(served(shared, tags[at]), expected[at], "{}", tags[at]);
                }
            });
        }
    });
}

#[test]
fn the_chain_is_explained_step_by_step() {
    let chained = snapshot(&["mul", "de", "fi"]);
    let steps = chained.explain(TASK, &language("lb-LU"));
    let rows: Vec<_> = steps
        .iter()
        .map(|Step { language, kind, version, taken, .. }| {
            (language.as_str(), *kind, *version, *taken)
        })
        .collect();
    let expected = [
        ("lb-LU", StepKind::Own, None, false),
        ("lb", StepKind::Shorter, None, false),
        ("de", StepKind::Nearest, Some(1), true),
        ("mul", StepKind::Shared, Some(1), false),
    ];
    assert_eq!(rows, expected);
    let distance = Distance::Mixed.between(&language("lb"), &language("de"));
    assert_eq!(steps[2].distance, distance);
    assert_eq!((steps[0].distance, steps[3].distance), (Some(0.0), None));

    let steps = chained.explain(TASK, &language("ja"));
    let far = &steps[1];
    assert_eq!((far.kind, far.version, far.taken), (StepKind::TooFar, Some(1), false));
    assert!(far.distance.unwrap() > SERVING_DISTANCE_MAX);
    assert!(steps[2].taken && steps[2].language.is_shared());
}

const TAGS: [&str; 20] = [
    "mul", "de", "de-CH", "de-AT", "lb", "nl", "sv", "da", "zh", "zh-Hant", "zh-Hans", "ja", "fi",
    "et", "und", "x-own", "iw", "he", "pt-BR", "es",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_step_taken_is_the_version_that_serves(
        active in prop::sample::subsequence(&TAGS[..], 0..10),
        asked in prop::sample::select(&TAGS[..]),
    ) {
        let snapshot = snapshot(&active);
        let asked = language(asked);
        let steps = snapshot.explain(TASK, &asked);
        let taken: Vec<&Step> = steps.iter().filter(|step| step.taken).collect();
        prop_assert!(taken.len() <= 1);
        let found = snapshot.resolve(TASK, &asked);
        let owner = found.as_ref().map(|(owner, _)| owner);
        prop_assert_eq!(taken.first().map(|step| &step.language), owner);
        prop_assert_eq!(&snapshot.resolve(TASK, &asked), &found);
        // No language that may serve is skipped in favour of the shared version.
        if owner.is_none_or(Language::is_shared) {
            for tag in active.iter().filter(|tag| **tag != "mul") {
                let distance = Distance::Mixed.between(&asked, &language(tag));
                prop_assert!(distance.is_none_or(|distance| distance > SERVING_DISTANCE_MAX));
            }
        }
    }
}
