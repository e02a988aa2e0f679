//! Generation, compared with `transformers.generate` token for token (`tests/oracle/sequence/`).

#[path = "support/runtime.rs"]
mod runtime;
#[path = "sequence_support/mod.rs"]
mod sequence_support;

use polygraft::runtime::{Cancel, SessionOptions};
use polygraft::task::sequence::{Finish, GenerateOptions, Generator, StageInputs};
use sequence_support::{Case, FIXTURES, Oracle};
use std::ops::ControlFlow;
use std::sync::Arc;

fn generator(name: &str, merged: bool) -> (tempfile::TempDir, Generator) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = match merged {
        true => sequence_support::create_of_merged(name, folder.path()),
        false => sequence_support::create(name, folder.path()),
    };
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let generator = Generator::open(&runtime::runtime(), &Arc::new(bundle), &options, &[]).unwrap();
    (folder, generator)
}

fn options(case: &Case) -> GenerateOptions {
    GenerateOptions {
        beams: case.beams,
        tokens_max: case.tokens_max,
        length_penalty: case.length_penalty,
        forced_begin: case.forced_begin,
        ..GenerateOptions::default()
    }
}

/// Every case of the oracle, all sources in one batch.
fn check(name: &str, merged: bool, use_cache: bool) {
    let (_folder, generator) = generator(name, merged);
    let oracle = Oracle::read(name);
    let sources: Vec<&[u32]> = oracle.sources.iter().map(Vec::as_slice).collect();
    for case in &oracle.cases {
        let options = GenerateOptions { use_cache, ..options(case) };
        let bare = StageInputs::default();
        let mut pieces = vec![String::new(); sources.len()];
        let mut on_piece = |row: usize, piece: &str| {
            pieces[row].push_str(piece);
            ControlFlow::Continue(())
        };
        let found = generator.generate(&sources, &bare, &options, None, &mut on_piece).unwrap();
        for (row, one) in found.iter().enumerate() {
            let what = format!("{name}, {case:?}, row {row}");
            assert_eq!(one.ids, case.outputs[row], "{what}");
            assert_eq!(one.text, pieces[row], "{what}");
            let ended = oracle.ends.contains(one.ids.last().unwrap());
            assert_eq!(one.finish, if ended { Finish::End } else { Finish::Length }, "{what}");
            if let Some(scores) = &case.scores {
                let length = (one.ids.len() as f32).powf(case.length_penalty);
                let score = one.log_probability / length;
                let error = (score - scores[row]).abs();
                assert!(error < 1e-4 * scores[row].abs().max(1.0), "{what}: {score}");
            }
        }
    }
}

#[test]
fn mt5_with_cache() {
    check("mt5", false, true);
}

#[test]
fn mt5_without_cache() {
    check("mt5", false, false);
}

#[test]
fn m2m100_with_cache() {
    check("m2m100", false, true);
}

#[test]
fn m2m100_without_cache() {
    check("m2m100", false, false);
}

#[test]
fn a_merged_decoder_is_the_same_model() {
    for name in FIXTURES {
        check(name, true, true);
    }
}
