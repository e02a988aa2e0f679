//! The probability of a target, which the gate compares, beside values computed by hand: logits are
//! logarithms of small whole numbers, so that probabilities are fractions.

use polygraft::adapter::Adapter;
use polygraft::bundle::Encoding;
use polygraft::example::{Number, Target, TaskKind};
use polygraft::inference::RawOutputs;
use polygraft::task::{Encoded, PlacedWord, Task};

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|one| (*one).to_owned()).collect()
}

fn adapter() -> Adapter {
    let mut adapter = Adapter::headless(String::new(), Vec::new(), Default::default());
    adapter.labels = names(&["a", "b"]);
    adapter.tags = names(&["O", "B-x", "I-x"]);
    adapter
}

/// An input of four tokens with words at these tokens.
fn input(words: &[Option<usize>]) -> Encoded {
    let word = |token: &Option<usize>| PlacedWord {
        token: *token,
        byte_start: 0,
        byte_end: 0,
        char_start: 0,
        char_end: 0,
    };
    let encoding = Encoding { ids: vec![0; 4], truncated: false, type_ids: Vec::new() };
    Encoded { encoding, words: words.iter().map(word).collect() }
}

fn logits(weights: &[f32]) -> Vec<f32> {
    weights.iter().map(|weight| weight.ln()).collect()
}

fn found(kind: TaskKind, input: &Encoded, target: &Target, raw: Vec<Vec<f32>>) -> f32 {
    let raw = RawOutputs::Tensors(raw);
    let found = Task::of(kind).target_probabilities(&adapter(), &[input], &[target], &raw);
    found.unwrap().expect("probabilities")[0]
}

fn close(found: f32, expected: f32) {
    assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
}

#[test]
fn a_label_has_its_share_of_the_weights_and_an_unknown_one_none() {
    let of = |label: &str| {
        let target = Target::Classification(label.to_owned());
        found(TaskKind::Classification, &input(&[]), &target, vec![logits(&[1.0, 3.0])])
    };
    close(of("a"), 0.25);
    close(of("b"), 0.75);
    close(of("c"), 0.0);
}

#[test]
fn labels_that_apply_and_labels_that_do_not_count_alike() {
    let of = |labels: &[&str]| {
        let target = Target::MultiLabel(names(labels));
        // Odds of 3 to 1 and of 1 to 4.
        found(TaskKind::MultiLabel, &input(&[]), &target, vec![logits(&[3.0, 0.25])])
    };
    close(of(&["a"]), (0.75 + 0.8) / 2.0);
    close(of(&["b"]), (0.25 + 0.2) / 2.0);
    close(of(&[]), (0.25 + 0.8) / 2.0);
}

/// The second and third word share a token, the last one has none.
#[test]
fn tags_are_averaged_over_words_with_a_token_of_their_own() {
    let words = input(&[Some(1), Some(2), Some(2), None]);
    let padding = [1.0; 3];
    let weights = [padding, [1.0, 2.0, 1.0], [1.0, 1.0, 8.0], padding].concat();
    let tags = names(&["B-x", "I-x", "I-x", "O"]);
    let expected = (0.5 + 0.8 + 0.0) / 3.0;
    let target = Target::TokenClassification(tags.clone());
    close(found(TaskKind::TokenClassification, &words, &target, vec![logits(&weights)]), expected);
    let target = Target::IntentAndSlots { label: "b".to_owned(), tags };
    let raw = vec![logits(&[1.0, 3.0]), logits(&weights)];
    close(found(TaskKind::IntentAndSlots, &words, &target, raw), (0.75 + expected) / 2.0);
}

#[test]
fn numbers_and_texts_have_no_probability_and_wrong_shapes_are_an_error() {
    let one = input(&[]);
    let raw = RawOutputs::Tensors(vec![vec![0.0; 3]]);
    let of = |kind, target: &Target| {
        Task::of(kind).target_probabilities(&adapter(), &[&one], &[target], &raw)
    };
    let number = Target::Regression(Number(1.0));
    assert_eq!(of(TaskKind::Regression, &number).unwrap(), None);
    let text = Target::SequenceToSequence("x".to_owned());
    assert_eq!(of(TaskKind::SequenceToSequence, &text).unwrap(), None);
    let label = Target::Classification("a".to_owned());
    assert!(of(TaskKind::Classification, &label).is_err(), "three logits for two labels");
    assert!(of(TaskKind::TokenClassification, &label).is_err(), "a label for tags");
}
