//! What decides an answer beside weights and adapter, and the identity made of it.

use polygraft::Code;
use polygraft::reading::Reading;

fn reading() -> Reading {
    Reading {
        tokenizer: "a".repeat(64),
        prefix: "query: ".to_owned(),
        pooling: "mean".to_owned(),
        layers: None,
        tokens_max: 512,
        output: "states".to_owned(),
        decoder: Some("d".repeat(64)),
    }
}

/// Each field, changed alone.
fn changed() -> Vec<(&'static str, Reading)> {
    vec![
        ("tokenizer", Reading { tokenizer: "b".repeat(64), ..reading() }),
        ("prefix", Reading { prefix: "query:".to_owned(), ..reading() }),
        ("pooling", Reading { pooling: "cls".to_owned(), ..reading() }),
        ("layers", Reading { layers: Some("normalise".to_owned()), ..reading() }),
        ("tokens_max", Reading { tokens_max: 511, ..reading() }),
        ("output", Reading { output: "pooled".to_owned(), ..reading() }),
        ("decoder", Reading { decoder: Some("e".repeat(64)), ..reading() }),
        ("decoder", Reading { decoder: None, ..reading() }),
    ]
}

#[test]
fn every_field_changes_the_identity_and_is_named() {
    let backbone = "c".repeat(64);
    let mut identities = vec![reading().identity(&backbone)];
    identities.push(reading().identity(&"f".repeat(64)));
    for (name, other) in changed() {
        identities.push(other.identity(&backbone));
        let found = reading().differences(&other);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{name}: trained with ")), "{found:?}");
    }
    let count = identities.len();
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), count);
    assert_eq!(reading().differences(&reading()), Vec::<String>::new());
}

#[test]
fn a_prefix_cannot_pretend_to_be_another_setting() {
    let one = Reading { prefix: "a\npooling \"cls\"".to_owned(), ..reading() };
    let text = "a\"\npooling \"cls".to_owned();
    let other = Reading { prefix: text, ..reading() };
    assert_ne!(one.identity("x"), other.identity("x"));
}

#[test]
fn plain_is_the_mean_without_a_prefix() {
    let plain = Reading { prefix: String::new(), ..reading() };
    assert!(plain.is_plain());
    assert!(!Reading { layers: Some("normalise".to_owned()), ..plain.clone() }.is_plain());
    assert!(!Reading { pooling: "cls".to_owned(), ..plain }.is_plain());
    assert!(!reading().is_plain());
}

#[test]
fn hashes_and_lengths_are_checked() {
    reading().check().unwrap();
    for bad in [
        Reading { tokenizer: "A".repeat(64), ..reading() },
        Reading { decoder: Some(String::new()), ..reading() },
        Reading { prefix: "x".repeat((1 << 16) + 1), ..reading() },
    ] {
        let error = bad.check().unwrap_err();
        assert_eq!(error.code(), Code::AdapterMalformed);
        assert!(error.message().len() < 300, "{error}");
    }
}
