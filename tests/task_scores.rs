//! Scores of answers, beside what scikit-learn, scipy, seqeval, rapidfuzz and sacrebleu computed.

use polygraft::task::{sentence, sequence, token};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;

/// The cases of one family from `tests/oracle/scores/scores.json`.
fn cases(family: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/scores/scores.json");
    let oracle: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = oracle[family].as_array().unwrap().clone();
    assert!(cases.len() >= 6, "{family}: {} cases", cases.len());
    cases
}

/// Compares a figure; null in the oracle is a figure that is absent.
fn same(case: &Value, figure: &str, found: Option<f64>) {
    close(&case["name"], figure, &case[figure], found);
}

fn close(name: &Value, figure: &str, expected: &Value, found: Option<f64>) {
    let close = match (expected.as_f64(), found) {
        (Some(expected), Some(found)) => (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        (expected, found) => expected.is_none() && found.is_none(),
    };
    assert!(close, "{name}, {figure}: expected {expected}, found {found:?}");
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn lists(value: &Value) -> Vec<Vec<String>> {
    value.as_array().unwrap().iter().map(strings).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
}

#[test]
fn labels_are_scored_as_scikit_learn_does() {
    for case in cases("labels") {
        let (expected, given) = (strings(&case["expected"]), strings(&case["given"]));
        let pairs: Vec<(&str, &str)> =
            expected.iter().zip(&given).map(|(e, g)| (e.as_str(), g.as_str())).collect();
        same(&case, "accuracy", sentence::score::accuracy(&pairs));
        same(&case, "macro_f1", sentence::score::macro_f1(&pairs));
    }
    assert_eq!((sentence::score::accuracy(&[]), sentence::score::macro_f1(&[])), (None, None));
}

#[test]
fn sets_of_labels_are_scored_as_scikit_learn_does() {
    for case in cases("sets") {
        let (expected, given) = (lists(&case["expected"]), lists(&case["given"]));
        let pairs: Vec<(&[String], &[String])> =
            expected.iter().zip(&given).map(|(e, g)| (e.as_slice(), g.as_slice())).collect();
        same(&case, "jaccard", sentence::score::jaccard_mean(&pairs));
        same(&case, "macro_f1", sentence::score::macro_f1_of_sets(&pairs));
    }
    let nothing: [(&[String], &[String]); 2] = [(&[], &[]), (&[], &[])];
    assert_eq!(sentence::score::jaccard_mean(&nothing), Some(1.0));
    assert_eq!(sentence::score::macro_f1_of_sets(&nothing), None);
    assert_eq!(sentence::score::jaccard_mean(&[]), None);
}

#[test]
fn numbers_are_ranked_as_scipy_does() {
    for case in cases("numbers") {
        let (expected, given) = (numbers(&case["expected"]), numbers(&case["given"]));
        let pairs: Vec<(f64, f64)> = expected.into_iter().zip(given).collect();
        same(&case, "spearman", sentence::score::spearman(&pairs));
        same(&case, "mean_error", sentence::score::mean_error(&pairs));
    }
    assert_eq!(sentence::score::spearman(&[]), None);
    assert_eq!(sentence::score::spearman(&[(1.0, 2.0)]), None);
    assert_eq!(sentence::score::mean_error(&[]), None);
}

#[test]
fn spans_are_counted_as_seqeval_does() {
    for case in cases("tags") {
        let (expected, given) = (lists(&case["expected"]), lists(&case["given"]));
        let mut all = token::score::Counts::default();
        for (text, (expected, given)) in expected.iter().zip(&given).enumerate() {
            let expected = expected.iter().map(String::as_str);
            let given = given.iter().map(String::as_str);
            all.add(expected.clone(), given.clone());
            let alone = token::score::Counts::of(expected, given).f1();
            close(&case["name"], "f1_of_each", &case["f1_of_each"][text], alone);
        }
        same(&case, "accuracy", all.accuracy());
        same(&case, "precision", all.precision());
        same(&case, "recall", all.recall());
        same(&case, "f1", all.f1());
    }
}

#[test]
fn texts_are_scored_as_sacrebleu_and_rapidfuzz_do() {
    for case in cases("texts") {
        let (expected, given) = (strings(&case["expected"]), strings(&case["given"]));
        let mut counts = sequence::score::Counts::default();
        let mut chrf = sequence::score::Chrf::default();
        for (text, (expected, given)) in expected.iter().zip(&given).enumerate() {
            counts.add(expected, given);
            chrf.add(expected, given);
            let (edits, name) = (sequence::score::edits(expected, given), &case["name"]);
            assert_eq!(case["edits"][text], edits, "{name}: {expected:?}, {given:?}");
            let alone = sequence::score::Chrf::of(expected, given).score();
            close(name, "chrf_of_each", &case["chrf_of_each"][text], Some(alone));
        }
        same(&case, "exact_match", counts.exact_match());
        assert_eq!(case["characters"], counts.characters, "{}", case["name"]);
        let edits: f64 = numbers(&case["edits"]).iter().sum();
        let rate = (counts.characters > 0).then(|| edits / counts.characters as f64);
        assert_eq!(counts.character_error_rate(), rate);
        same(&case, "chrf", Some(chrf.score()));
    }
}

#[test]
fn long_texts_are_compared() {
    let (left, right) = ("ab".repeat(1_500), "ba".repeat(1_500));
    assert_eq!(sequence::score::edits(&left, &right), 2);
    assert!(sequence::score::Chrf::of(&left, &right).score() > 0.999);
}

proptest! {
    #[test]
    fn edits_are_a_distance(texts in prop::collection::vec("[ab\u{e9}灯]{0,9}", 3)) {
        let edits = |left: usize, right: usize| sequence::score::edits(&texts[left], &texts[right]);
        prop_assert_eq!(edits(0, 1), edits(1, 0));
        prop_assert!(edits(0, 2) <= edits(0, 1) + edits(1, 2));
        prop_assert_eq!(edits(0, 1) == 0, texts[0] == texts[1]);
        let longest = texts[0].chars().count().max(texts[1].chars().count());
        prop_assert!(edits(0, 1) <= longest);
    }

    #[test]
    fn every_score_stays_in_its_range(
        labels in prop::collection::vec(("[ab]", "[abc]"), 1..20),
        values in prop::collection::vec((-9i8..9, -9i8..9), 0..20),
        text in "\\PC{0,12}",
        other in "\\PC{0,12}",
    ) {
        let pairs: Vec<_> = labels.iter().map(|(e, g)| (e.as_str(), g.as_str())).collect();
        let f1 = sentence::score::macro_f1(&pairs).unwrap();
        let accuracy = sentence::score::accuracy(&pairs).unwrap();
        prop_assert!((0.0..=1.0).contains(&f1) && (f1 == 1.0) == (accuracy == 1.0));
        let pairs: Vec<_> = values.iter().map(|(e, g)| (f64::from(*e), f64::from(*g))).collect();
        if let Some(rho) = sentence::score::spearman(&pairs) {
            prop_assert!((-1.0..=1.0).contains(&rho));
            let turned: Vec<_> = pairs.iter().map(|(e, g)| (*e, -*g)).collect();
            let against = sentence::score::spearman(&turned).unwrap();
            prop_assert!((rho + against).abs() < 1e-12);
        }
        let chrf = sequence::score::Chrf::of(&text, &other).score();
        prop_assert!((0.0..=1.0).contains(&chrf));
        let same = sequence::score::Chrf::of(&text, &text).score();
        let visible = text.chars().any(|c| !c.is_whitespace());
        prop_assert!(!visible || (same - 1.0).abs() < 1e-12);
    }
}
