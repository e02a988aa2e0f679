//! Forgetting remembered examples by language, label and day.

use polygraft::example::{Example, Input, Target};
use polygraft::language::Language;
use polygraft::rehearsal::{Limits, Rehearsal, Which};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const TASK: &str = "intent";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn example(tag: &str, number: usize) -> Example {
    Example::labelled(language(tag), &format!("text {number}"), ["on", "off"][number % 2])
}

/// A buffer on disk with ten examples a day in two languages, from day 100 on.
fn fill(days: u32) -> (tempfile::TempDir, Rehearsal) {
    let folder = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    for day in 0..days {
        let first = day as usize * 10;
        let examples = ["de", "fr"].map(|tag| (first..first + 10).map(move |n| example(tag, n)));
        let examples: Vec<_> = examples.into_iter().flatten().collect();
        rehearsal.add_on(&examples, 1, 100 + day).unwrap();
    }
    rehearsal.save().unwrap();
    (folder, rehearsal)
}

fn count(rehearsal: &Rehearsal, tag: &str) -> usize {
    let stats = rehearsal.stats().into_iter().find(|one| one.language == language(tag));
    stats.map_or(0, |one| one.training + one.held_out)
}

#[test]
fn conditions_are_met_together_and_what_is_saved_is_forgotten() {
    let (folder, mut rehearsal) = fill(2);
    let which = Which {
        language: Some(language("de")),
        label: Some("on".into()),
        added_before_unix_ms: Some(101 * DAY_MS),
    };
    let forgotten = rehearsal.forget(&which).unwrap();
    assert_eq!(forgotten.languages, BTreeMap::from([(language("de"), 5)]));
    assert_eq!(forgotten.oldest_day, Some(100));
    rehearsal.save().unwrap();
    let again = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    assert_eq!((count(&again, "de"), count(&again, "fr")), (15, 20));
    let bytes = std::fs::read(folder.path().join("rehearsal/intent/examples.jsonl")).unwrap();
    let lines = String::from_utf8(bytes).unwrap();
    assert!(!lines.contains(r#""language":"de","text":"text 4","#), "{lines}");
}

#[test]
fn a_known_example_keeps_its_first_day() {
    let (_folder, mut rehearsal) = fill(1);
    rehearsal.add_on(&[example("de", 3)], 1, 500).unwrap();
    rehearsal.save().unwrap();
    let late = Which { added_before_unix_ms: Some(100 * DAY_MS + 1), ..Which::default() };
    assert_eq!(rehearsal.forget(&late).unwrap().examples_count(), 20);
}

#[test]
fn tags_are_found_by_their_kind() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(polygraft::store::Store::open(folder.path()).unwrap());
    let mut rehearsal = Rehearsal::open_in(&store, TASK, Limits::default()).unwrap();
    let tagged = |text: &str, tags: &[&str]| Example {
        language: language("de"),
        input: Input::Words(text.split(' ').map(str::to_owned).collect()),
        target: Target::TokenClassification(tags.iter().map(|tag| (*tag).to_owned()).collect()),
    };
    let examples = [
        tagged("Licht in Berlin", &["O", "O", "B-place"]),
        tagged("Licht um acht", &["O", "O", "B-time"]),
    ];
    rehearsal.add(&examples, 1).unwrap();
    rehearsal.save().unwrap();
    drop(rehearsal);
    let mut rehearsal = Rehearsal::open_saved(&store, TASK).unwrap();
    let place = Which { label: Some("place".into()), ..Which::default() };
    assert_eq!(rehearsal.forget(&place).unwrap().examples_count(), 1);
}

#[test]
fn a_buffer_is_opened_with_the_percentage_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(polygraft::store::Store::open(folder.path()).unwrap());
    let limits = Limits { held_out_percent: 50, ..Limits::default() };
    let mut rehearsal = Rehearsal::open_in(&store, TASK, limits).unwrap();
    rehearsal.add(&(0..50).map(|n| example("de", n)).collect::<Vec<_>>(), 1).unwrap();
    rehearsal.save().unwrap();
    let saved = Rehearsal::open_saved(&store, TASK).unwrap();
    assert_eq!(saved.stats(), rehearsal.stats());
    assert!(Rehearsal::open_in(&store, TASK, Limits::default()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_forgotten_and_what_stays_is_everything(
        days in 1_u32..4, before in 99_u64..105, label in proptest::option::of(0_usize..2),
        tag in proptest::option::of(0_usize..2),
    ) {
        let (_folder, mut rehearsal) = fill(days);
        let all = count(&rehearsal, "de") + count(&rehearsal, "fr");
        let which = Which {
            language: tag.map(|tag| language(["de", "fr"][tag])),
            label: label.map(|label| ["on", "off"][label].to_owned()),
            added_before_unix_ms: Some(before * DAY_MS),
        };
        let forgotten = rehearsal.forget(&which).unwrap();
        let expected_days = before.saturating_sub(100).min(u64::from(days)) as usize;
        let share = 20 / if tag.is_some() { 2 } else { 1 } / if label.is_some() { 2 } else { 1 };
        prop_assert_eq!(forgotten.examples_count(), expected_days * share);
        let left = count(&rehearsal, "de") + count(&rehearsal, "fr");
        prop_assert_eq!(left + forgotten.examples_count(), all);
        prop_assert_eq!(rehearsal.forget(&which).unwrap().examples_count(), 0);
    }
}
