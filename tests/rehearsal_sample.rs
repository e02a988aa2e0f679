//! What a rehearsal buffer keeps: its bounds, its balance, its wall between training and held-out.

use polygraft::Code;
use polygraft::example::{Example, Input};
use polygraft::language::Language;
use polygraft::rehearsal::{Limits, Rehearsal, Split};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const TASK: &str = "intent";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn example(tag: &str, text: &str, label: &str) -> Example {
    Example::labelled(language(tag), text, label)
}

fn all_training() -> Limits {
    Limits { held_out_percent: 0, ..Limits::default() }
}

fn text(example: &Example) -> &str {
    let Input::Text(text) = &example.input else { panic!("{example:?}") };
    text
}

fn label(example: &Example) -> &str {
    &example.target.labels()[0]
}

fn texts<'a>(examples: impl Iterator<Item = &'a Example>) -> BTreeSet<&'a str> {
    examples.map(text).collect()
}

fn file(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("rehearsal").join(TASK).join("examples.jsonl")).unwrap()
}

#[test]
fn examples_come_back_after_saving() {
    let folder = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    assert_eq!(rehearsal.languages().count(), 0);
    let examples: Vec<_> = (0..50)
        .flat_map(|n| {
            [("de", "an"), ("zh-Hant", "aus\n\"\u{0}\u{1f600}")]
                .map(|(tag, label)| example(tag, &format!("Satz {n} \"quoted\" żółw\n"), label))
        })
        .collect();
    let summary = rehearsal.add(&examples, 1).unwrap();
    assert_eq!((summary.added, summary.dropped), (100, 0));
    rehearsal.save().unwrap();
    drop(rehearsal);

    let rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    assert_eq!(rehearsal.task(), TASK);
    let tags: Vec<_> = rehearsal.languages().map(Language::as_str).collect();
    assert_eq!(tags, ["de", "zh-Hant"]);
    let mut kept: Vec<_> = rehearsal.training().cloned().collect();
    for tag in tags {
        let held_out: Vec<_> = rehearsal.held_out(&language(tag)).cloned().collect();
        assert!(held_out.iter().all(|one| rehearsal.split(one) == Split::HeldOut));
        assert!(!held_out.is_empty());
        kept.extend(held_out);
    }
    assert!(rehearsal.training().all(|one| rehearsal.split(one) == Split::Training));
    assert_eq!(kept.iter().collect::<BTreeSet<_>>(), examples.iter().collect());
    let stats = rehearsal.stats();
    assert_eq!(stats[0].training, rehearsal.training_in(&language("de")).count());
    assert_eq!(stats[0].training + stats[0].held_out, 50);
    let lines_size: u64 = stats.iter().map(|entry| entry.size_bytes).sum();
    let bytes = file(folder.path());
    let header_size = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(lines_size + header_size as u64, bytes.len() as u64);
}

#[test]
fn nothing_is_written_before_saving() {
    let folder = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    rehearsal.add(&[example("de", "Licht an", "on")], 1).unwrap();
    drop(rehearsal);
    let rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    assert_eq!(rehearsal.languages().count(), 0);
}

#[test]
fn the_newest_label_wins() {
    let folder = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::open(folder.path(), TASK, all_training()).unwrap();
    rehearsal.add(&[example("de", "Licht an", "on"), example("nl", "Licht an", "on")], 1).unwrap();
    let again = [
        example("de", "  licht   AN ", "off"),
        example("nl", "Licht an", "on"),
        example("nl", "nieuw", "on"),
    ];
    let summary = rehearsal.add(&again, 2).unwrap();
    assert_eq!((summary.added, summary.relabelled, summary.repeated), (1, 1, 1));
    let german: Vec<_> = rehearsal.training_in(&language("de")).collect();
    assert_eq!(german, [&again[0]]);
}

#[test]
fn the_split_depends_on_language_and_text_alone() {
    let folder = tempfile::tempdir().unwrap();
    let one = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    let tight = Limits { examples_per_language_max: 3, ..Limits::default() };
    let other = Rehearsal::open(folder.path(), "another-task", tight).unwrap();
    let mut held_out = 0;
    let mut differs_by_language = 0;
    for n in 0..10_000 {
        let text = format!("Satz Nummer {n}");
        let german = example("de", &text, "on");
        let split = one.split(&german);
        assert_eq!(other.split(&example("de", &text.to_uppercase(), "off")), split);
        assert_eq!(other.split(&example("DE", &format!(" {text}\t"), "off")), split);
        held_out += usize::from(split == Split::HeldOut);
        differs_by_language += usize::from(one.split(&example("nl", &text, "on")) != split);
    }
    // Binomial with p = 0.2 and 2 x 0.2 x 0.8; six standard deviations.
    assert!((1_760..=2_240).contains(&held_out), "{held_out}");
    assert!((2_920..=3_480).contains(&differs_by_language), "{differs_by_language}");
}

#[test]
fn the_split_is_the_documented_hash() {
    // An implementation of its own, from the description of the format.
    let folder = tempfile::tempdir().unwrap();
    let rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    for n in 0..200 {
        let digest = blake3::derive_key(
            "polygraft rehearsal 1: example key",
            format!("pt-BR\0frase {n} é").as_bytes(),
        );
        let bucket = u64::from_be_bytes(digest[..8].try_into().unwrap()) % 100;
        let expected = if bucket < 20 { Split::HeldOut } else { Split::Training };
        assert_eq!(rehearsal.split(&example("pt-br", &format!(" Frase  {n} É"), "x")), expected);
    }
}

#[test]
fn every_example_of_a_stream_is_as_likely_to_stay() {
    const STREAM: usize = 200;
    const KEPT: usize = 50;
    const SEEDS: u64 = 600;
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { examples_per_language_max: KEPT, ..all_training() };
    let stream: Vec<_> = (0..STREAM).map(|n| example("de", &format!("{n}"), "on")).collect();
    let mut counts = vec![0_u32; STREAM];
    for seed in 0..SEEDS {
        let mut rehearsal = Rehearsal::open(folder.path(), TASK, limits).unwrap();
        for chunk in stream.chunks(40) {
            rehearsal.add(chunk, seed).unwrap();
        }
        assert_eq!(rehearsal.training().count(), KEPT);
        for kept in rehearsal.training() {
            counts[text(kept).parse::<usize>().unwrap()] += 1;
        }
    }
    let expected = SEEDS as f64 * KEPT as f64 / STREAM as f64;
    let variance = expected * (1.0 - KEPT as f64 / STREAM as f64);
    let chi_square: f64 =
        counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / variance).sum();
    // 199 degrees of freedom: mean 199, standard deviation 20; five of them.
    assert!((99.0..299.0).contains(&chi_square), "{chi_square}");
    let early: u32 = counts[..STREAM / 2].iter().sum();
    let half = SEEDS as f64 * KEPT as f64 / 2.0;
    assert!((f64::from(early) - half).abs() < 5.0 * 61.4, "{early} of {half}: no drift in time");
}

#[test]
fn bytes_are_shared_fairly_by_languages_and_sides() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { bytes_max: 64 << 10, ..Limits::default() };
    let mut rehearsal = Rehearsal::open(folder.path(), TASK, limits).unwrap();
    for (tag, count) in [("de", 400), ("fr", 400), ("sw", 20)] {
        let examples: Vec<_> = (0..count)
            .map(|n| example(tag, &format!("{n} {}", "text ".repeat(40)), &format!("{}", n % 4)))
            .collect();
        rehearsal.add(&examples, 7).unwrap();
    }
    rehearsal.save().unwrap();
    assert!(file(folder.path()).len() as u64 <= limits.bytes_max);
    let stats = rehearsal.stats();
    assert_eq!(stats[2].training + stats[2].held_out, 20, "a small language loses nothing");
    assert!(stats[0].size_bytes.abs_diff(stats[1].size_bytes) < 2_000);
    let used: u64 = stats.iter().map(|entry| entry.size_bytes).sum();
    assert!(used > limits.bytes_max - 2_000, "the room is used: {used}");
    for entry in &stats[..2] {
        let share = entry.held_out as f64 / (entry.training + entry.held_out) as f64;
        assert!((0.15..=0.25).contains(&share), "{share}");
    }
}

#[test]
fn bad_examples_and_limits_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::open(folder.path(), TASK, Limits::default()).unwrap();
    let fine = example("de", "gut", "on");
    let cases = [
        (example("fr", " \n", "on"), Code::TaskEmptyText),
        (example("fr", &"x".repeat(100_000), "on"), Code::TaskTooLong),
        (example("fr", "bon", &"x".repeat(2_000)), Code::TaskTooLong),
        (example("fr", "bon", ""), Code::ArgumentInvalid),
    ];
    for (bad, code) in cases {
        let error = rehearsal.add(&[fine.clone(), bad], 1).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().starts_with("example 2 (fr)"), "{error}");
        assert_eq!(rehearsal.languages().count(), 0);
    }
    let limits = [
        Limits { bytes_max: 10, ..Limits::default() },
        Limits { bytes_max: u64::MAX, ..Limits::default() },
        Limits { held_out_percent: 91, ..Limits::default() },
    ];
    for limits in limits {
        let error = Rehearsal::open(folder.path(), TASK, limits).unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid);
    }
    let error = Rehearsal::open(folder.path(), "../elsewhere", Limits::default()).unwrap_err();
    assert_eq!(error.code(), Code::TaskName);
}

/// Examples with few distinct texts, languages and labels; the label follows from the text.
fn any_examples() -> impl Strategy<Value = Vec<Example>> {
    let one = (0..3_usize, 0..400_u32, 1..60_usize).prop_map(|(tag, n, length)| {
        let label = format!("label {}", (n % 10) * (n % 3) % 7);
        example(["de", "fr", "sw"][tag], &format!("{n}{}", "x".repeat(length)), &label)
    });
    proptest::collection::vec(one, 0..300)
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (1_u64 << 10..40 << 10, 0..60_usize, 0..=90_u8, 0..20_usize).prop_map(
        |(bytes_max, examples_per_language_max, held_out_percent, held_out_per_language_max)| {
            Limits {
                bytes_max,
                examples_per_language_max,
                held_out_percent,
                held_out_per_language_max,
            }
        },
    )
}

fn by_label<'a>(examples: impl Iterator<Item = &'a Example>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for example in examples {
        *counts.entry(label(example)).or_default() += 1;
    }
    counts
}

/// Labels share a limit fairly: one has fewer than another only when it has no more to give.
fn assert_fair(kept: &BTreeMap<&str, usize>, seen: &BTreeMap<&str, usize>) {
    let most = kept.values().copied().max().unwrap_or(0);
    for (label, available) in seen {
        let count = kept.get(label).copied().unwrap_or(0);
        assert!(
            count == *available || count + 1 >= most,
            "{label}: {count} of {available}, {most}"
        );
    }
}

/// Without files for failures found: the failing input is in the message.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn bounds_are_never_exceeded(
        batches in proptest::collection::vec(any_examples(), 1..4), limits in any_limits()
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut rehearsal = Rehearsal::open(folder.path(), TASK, limits).unwrap();
        for batch in &batches {
            rehearsal.add(batch, 3).unwrap();
            for entry in rehearsal.stats() {
                prop_assert!(entry.training <= limits.examples_per_language_max);
                prop_assert!(entry.held_out <= limits.held_out_per_language_max);
            }
        }
        let stats = rehearsal.stats();
        rehearsal.save().unwrap();
        if !stats.is_empty() {
            prop_assert!(file(folder.path()).len() as u64 <= limits.bytes_max);
        }
        let reopened = Rehearsal::open(folder.path(), TASK, limits).unwrap();
        prop_assert_eq!(reopened.stats(), stats);
        let tighter = Limits {
            bytes_max: 1 << 10,
            examples_per_language_max: 2,
            held_out_per_language_max: 1,
            ..limits
        };
        let tighter = Rehearsal::open(folder.path(), TASK, tighter).unwrap();
        let size: u64 = tighter.stats().iter().map(|entry| entry.size_bytes).sum();
        prop_assert!(size <= 1 << 10);
        prop_assert!(tighter.stats().iter().all(|one| one.training <= 2 && one.held_out <= 1));
    }

    #[test]
    fn labels_share_fairly_and_the_order_does_not_matter(
        examples in any_examples(), limits in any_limits(), cut in any::<prop::sample::Index>()
    ) {
        let limits = Limits { bytes_max: 1 << 20, ..limits };
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut forward = Rehearsal::open(one.path(), TASK, limits).unwrap();
        forward.add(&examples, 3).unwrap();
        let mut backward = Rehearsal::open(other.path(), TASK, limits).unwrap();
        let (head, tail) = examples.split_at(cut.index(examples.len() + 1));
        for part in [tail, head, tail] {
            backward.add(&part.iter().rev().cloned().collect::<Vec<_>>(), 3).unwrap();
        }
        prop_assert_eq!(forward.stats(), backward.stats());
        forward.save().unwrap();
        backward.save().unwrap();
        if !forward.stats().is_empty() {
            prop_assert_eq!(file(one.path()), file(other.path()));
        }
        let distinct: BTreeSet<_> = examples.iter().collect();
        for tag in ["de", "fr", "sw"].map(language) {
            let seen = |split| {
                by_label(distinct.iter().copied().filter(|example| {
                    example.language == tag && forward.split(example) == split
                }))
            };
            assert_fair(&by_label(forward.training_in(&tag)), &seen(Split::Training));
            assert_fair(&by_label(forward.held_out(&tag)), &seen(Split::HeldOut));
            let (training, held_out) = (forward.training_in(&tag), forward.held_out(&tag));
            prop_assert!(texts(training).is_disjoint(&texts(held_out)));
        }
    }
}
