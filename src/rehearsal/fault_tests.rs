//! Interrupts a save and a wipe after each step and opens what is left.

use super::*;
use crate::files::faults;
use crate::store::{REHEARSAL_NAME, decided};

fn example(tag: &str, text: &str) -> Example {
    let language = Language::parse(tag).unwrap();
    Example::labelled(language, text, "label")
}

fn texts(folder: &Path) -> Vec<String> {
    let limits = Limits { held_out_percent: 0, ..Limits::default() };
    let rehearsal = Rehearsal::open(folder, "intent", limits).unwrap();
    let mut texts: Vec<_> =
        rehearsal.training().map(|example| example.input.text().into_owned()).collect();
    texts.sort();
    texts
}

/// Runs once in a plain folder, and once beside the versions of a store.
fn stop_everywhere(expected: &[&str], change: impl Fn(&mut Rehearsal)) {
    stop_in(false, expected, &change);
    stop_in(true, expected, &change);
}

fn stop_in(is_store: bool, expected: &[&str], change: &impl Fn(&mut Rehearsal)) {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        if is_store {
            Store::open(folder.path()).unwrap();
        }
        let limits = Limits { held_out_percent: 0, ..Limits::default() };
        let open = || Rehearsal::open(folder.path(), "intent", limits).unwrap();
        let mut rehearsal = open();
        rehearsal.add(&[example("de", "alt"), example("fr", "vieux")], 1).unwrap();
        rehearsal.save().unwrap();
        let (outcome, trace) = faults::run(steps, || change(&mut rehearsal));
        drop(rehearsal);
        let seen = texts(folder.path());
        assert!(seen == ["alt", "vieux"] || seen == expected, "{seen:?} after {trace:?}");
        change(&mut open());
        assert_eq!(texts(folder.path()), expected);
        let partial = folder
            .path()
            .join(REHEARSAL_NAME)
            .join("intent")
            .join(decided::partial_name(FILE_NAME));
        assert!(!partial.exists());
        if outcome.is_some() {
            assert_eq!(seen, expected);
            return;
        }
    }
}

#[test]
fn a_stopped_save_leaves_the_old_or_the_new_file() {
    stop_everywhere(&["alt", "neu", "vieux"], |rehearsal| {
        rehearsal.add(&[example("de", "neu")], 1).unwrap();
        rehearsal.save().unwrap();
    });
}

#[test]
fn a_stopped_wipe_of_a_language_is_done_or_not() {
    stop_everywhere(&["vieux"], |rehearsal| {
        rehearsal.wipe(Some(&Language::parse("de").unwrap())).unwrap();
    });
}

#[test]
fn a_stopped_wipe_of_everything_is_done_or_not() {
    stop_everywhere(&[], |rehearsal| rehearsal.wipe(None).unwrap());
}
