//! Generation, compared with `transformers.generate` token for token (`tests/oracle/sequence/`).

use crate::engine;
use crate::support::{self, Case, FIXTURES, Oracle};
use polygraft::Code;
use polygraft::bundle::{CreateSequenceOptions, create_sequence};
use polygraft::inference::generation::{
    FinishReason, GenerateOptions, GeneratedText, Generator, StageInputs,
};
use polygraft::runtime::{Cancel, SessionOptions};
use std::ops::ControlFlow;
use std::sync::Arc;

fn generator(name: &str, merged: bool) -> (tempfile::TempDir, Generator) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = match merged {
        true => support::create_of_merged(name, folder.path()),
        false => support::create(name, folder.path()),
    };
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let generator = Generator::open(&engine::engine(), &Arc::new(bundle), &options, &[]).unwrap();
    (folder, generator)
}

fn options(case: &Case) -> GenerateOptions {
    GenerateOptions {
        num_beams: case.beams,
        max_new_tokens: case.tokens_max,
        min_new_tokens: case.tokens_min,
        length_penalty: case.length_penalty,
        repetition_penalty: case.repetition_penalty,
        no_repeat_ngram_size: case.no_repeat,
        forced_bos_token_id: case.forced_begin,
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
        let mut chunks = vec![String::new(); sources.len()];
        let mut on_chunk = |row: usize, chunk: &str| {
            chunks[row].push_str(chunk);
            ControlFlow::Continue(())
        };
        let found = generator.generate(&sources, &bare, &options, None, &mut on_chunk).unwrap();
        for (row, one) in found.iter().enumerate() {
            let what = format!("{name}, {case:?}, row {row}");
            assert_eq!(one.ids, case.outputs[row], "{what}");
            assert_eq!(one.text, chunks[row], "{what}");
            let ended = oracle.ends.contains(one.ids.last().unwrap());
            assert_eq!(
                one.finish_reason,
                if ended { FinishReason::End } else { FinishReason::Length },
                "{what}"
            );
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
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn mt5_with_cache() {
    check("mt5", false, true);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn mt5_without_cache() {
    check("mt5", false, false);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn m2m100_with_cache() {
    check("m2m100", false, true);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn m2m100_without_cache() {
    check("m2m100", false, false);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn mbart_with_cache() {
    check("mbart", false, true);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn mbart_without_cache() {
    check("mbart", false, false);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn marian_with_cache() {
    check("marian", false, true);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn marian_without_cache() {
    check("marian", false, false);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_merged_decoder_is_the_same_model() {
    for name in FIXTURES {
        check(name, true, true);
    }
}

/// A batch of two sources, greedily, 12 tokens.
fn generate(
    generator: &Generator,
    options: &GenerateOptions,
    cancel: Option<&Cancel>,
    on_chunk: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
) -> polygraft::Result<Vec<GeneratedText>> {
    let oracle = Oracle::read("mt5");
    let sources: Vec<&[u32]> = oracle.sources[..2].iter().map(Vec::as_slice).collect();
    let options =
        GenerateOptions { max_new_tokens: options.max_new_tokens.min(12), ..options.clone() };
    generator.generate(&sources, &StageInputs::default(), &options, cancel, on_chunk)
}

fn twelve() -> GenerateOptions {
    GenerateOptions { max_new_tokens: 12, ..GenerateOptions::default() }
}

fn proceed(_: usize, _: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_text_a_callback_and_a_switch_end_a_generation() {
    let (_folder, generator) = generator("mt5", false);
    let whole = generate(&generator, &twelve(), None, &mut proceed).unwrap();
    let text = &whole[0].text;
    // A stop string that begins with the third character of the whole text.
    let (at, _) = text.char_indices().nth(2).unwrap();
    let end = text.char_indices().nth(4).map_or(text.len(), |(end, _)| end);
    let stop = text[at..end].to_owned();
    let first = text.find(&stop).unwrap();
    for num_beams in [1, 3] {
        let stopping = GenerateOptions { stop_strings: vec![stop.clone()], num_beams, ..twelve() };
        let mut heard = [String::new(), String::new()];
        let found = generate(&generator, &stopping, None, &mut |row, chunk| {
            heard[row].push_str(chunk);
            ControlFlow::Continue(())
        });
        let found = found.unwrap();
        assert_eq!([&found[0].text, &found[1].text], heard.each_ref());
        assert!(found.iter().all(|one| !one.text.contains(&stop)));
        if num_beams == 1 {
            assert_eq!(
                (found[0].text.as_str(), found[0].finish_reason),
                (&text[..first], FinishReason::Stopped)
            );
            assert!(whole[0].ids.starts_with(&found[0].ids), "{found:?}");
        }
    }

    let mut chunks = 0;
    let found = generate(&generator, &twelve(), None, &mut |row, _| {
        chunks += 1;
        if row == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let found = found.unwrap();
    assert_eq!(found[0].finish_reason, FinishReason::Stopped);
    assert!(found[0].ids.len() < whole[0].ids.len() && chunks > 1);
    assert_eq!(found[1].ids, whole[1].ids);

    let cancel = Cancel::new();
    let found = generate(&generator, &twelve(), Some(&cancel), &mut |_, _| {
        cancel.cancel();
        ControlFlow::Continue(())
    });
    let found = found.unwrap();
    assert!(found.iter().all(|one| one.finish_reason == FinishReason::Cancelled), "{found:?}");
    assert!(whole[0].ids.starts_with(&found[0].ids) && found[0].ids.len() < whole[0].ids.len());
    // Cancelled before the beginning, with beams: there is no text, and no callback.
    let beams = GenerateOptions { num_beams: 2, ..twelve() };
    let found = generate(&generator, &beams, Some(&cancel), &mut |_, _| panic!("heard")).unwrap();
    assert!(
        found.iter().all(|one| one.ids.is_empty() && one.finish_reason == FinishReason::Cancelled)
    );
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn bad_sources_and_options_are_refused() {
    let (_folder, generator) = generator("mt5", false);
    let bare = StageInputs::default();
    let code = |source: &[u32], options: &GenerateOptions| {
        let found = generator.generate(&[&[5, 1], source], &bare, options, None, &mut proceed);
        found.unwrap_err().code()
    };
    let long = vec![5; 513];
    assert_eq!(code(&[], &twelve()), Code::TaskEmptyText);
    assert_eq!(code(&long, &twelve()), Code::TaskTooLong);
    assert_eq!(code(&[272], &twelve()), Code::ArgumentInvalid);
    for options in [
        GenerateOptions { num_beams: 0, ..twelve() },
        GenerateOptions { num_beams: 65, ..twelve() },
        // A model that never ends is ended by the bundle's limit, which no option exceeds.
        GenerateOptions { max_new_tokens: 513, ..twelve() },
        GenerateOptions { length_penalty: f32::NAN, ..twelve() },
        GenerateOptions { stop_strings: vec![String::new()], ..twelve() },
        GenerateOptions { stop_strings: vec!["x".to_owned(); 17], ..twelve() },
        GenerateOptions { forced_bos_token_id: Some(272), ..twelve() },
    ] {
        assert_eq!(code(&[5], &options), Code::ArgumentInvalid, "{options:?}");
    }
    let none = generator.generate(&[], &bare, &twelve(), None, &mut proceed).unwrap();
    assert!(none.is_empty());
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_model_that_never_ends_is_ended_by_its_bundle() {
    let place = tempfile::tempdir().unwrap();
    let mut options = support::options(support::fixture("mt5"), place.path());
    options.target_tokens_max = Some(7);
    let bundle = polygraft::bundle::create_sequence(&options, &mut |_| {}).unwrap();
    let session = SessionOptions { threads: 1, ..SessionOptions::default() };
    let engine = engine::engine();
    let generator = Generator::open(&engine, &Arc::new(bundle), &session, &[]).unwrap();
    let usual = GenerateOptions::default();
    let source = &Oracle::read("mt5").sources[0];
    let found = generator.generate(&[source], &StageInputs::default(), &usual, None, &mut proceed);
    let found = found.unwrap();
    assert_eq!((found[0].ids.len(), found[0].finish_reason), (7, FinishReason::Length));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn batches_of_many_sources_keep_their_order() {
    let (_folder, generator) = generator("mt5", false);
    let sources: Vec<Vec<u32>> = (0..70u32)
        .map(|row| (0..1 + row % 9).map(|n| 3 + (row * 31 + n * 7) % 200).collect())
        .collect();
    let all: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
    let options = GenerateOptions { max_new_tokens: 5, ..GenerateOptions::default() };
    let bare = StageInputs::default();
    let together = generator.generate(&all, &bare, &options, None, &mut proceed).unwrap();
    for row in [0, 8, 33, 69] {
        let alone = generator.generate(&all[row..=row], &bare, &options, None, &mut proceed);
        assert_eq!(alone.unwrap()[0].ids, together[row].ids, "row {row}");
    }
}

/// Random tensors of every kind of part on all linear layers: what the decoder does with a cache
/// is what it does without, so every session has the adapter in the same places.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn adapters_act_alike_with_and_without_cache() {
    for name in FIXTURES {
        let folder = tempfile::tempdir().unwrap();
        let bundle = Arc::new(support::create(name, folder.path()));
        let session = SessionOptions { threads: 1, ..SessionOptions::default() };
        let generator = Generator::open(&engine::engine(), &bundle, &session, &[]).unwrap();
        let modules: Vec<String> = generator.sites().iter().map(|s| s.module.clone()).collect();
        let oracle = Oracle::read(name);
        let sources: Vec<&[u32]> = oracle.sources.iter().map(Vec::as_slice).collect();
        let mut seen = Vec::new();
        for (seed, part) in support::components(&modules).into_iter().enumerate() {
            let adapter = support::random(&bundle, generator.sites(), part, seed as u32);
            let inputs = generator.load(&adapter).unwrap();
            let run = |use_cache, num_beams| {
                let options = GenerateOptions {
                    max_new_tokens: 10,
                    use_cache,
                    num_beams,
                    ..Default::default()
                };
                let found =
                    generator.generate(&sources, &inputs, &options, None, &mut proceed).unwrap();
                found.into_iter().map(|one| one.ids).collect::<Vec<_>>()
            };
            assert_eq!(run(true, 1), run(false, 1), "{name}, kind {seed}");
            assert_eq!(run(true, 3), run(false, 3), "{name}, kind {seed}");
            seen.push(run(true, 1));
        }
        seen.dedup();
        assert_eq!(seen.len(), 3, "every adapter changes what is said");
        // An adapter of another backbone is refused by every session.
        let part = support::components(&modules).remove(0);
        let mut foreign = support::random(&bundle, generator.sites(), part, 1);
        foreign.backbone = "0".repeat(64);
        assert_eq!(generator.load(&foreign).err().unwrap().code(), Code::AdapterBaseMismatch);
    }
}

/// Finite tensors that overflow in the model: no text is made from its logits, greedily or with
/// beams, with the cache or without.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn no_text_is_made_of_numbers_that_are_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Arc::new(support::create("mt5", folder.path()));
    let session = SessionOptions { threads: 1, ..SessionOptions::default() };
    let generator = Generator::open(&engine::engine(), &bundle, &session, &[]).unwrap();
    let modules: Vec<String> = generator.sites().iter().map(|s| s.module.clone()).collect();
    let part = support::components(&modules).remove(0);
    let mut adapter = support::random(&bundle, generator.sites(), part, 1);
    for tensor in adapter.tensors.values_mut() {
        tensor.values = tensor.values.iter().map(|value| value * 1.0e38).collect();
    }
    let inputs = generator.load(&adapter).unwrap();
    for (use_cache, num_beams) in [(true, 1), (false, 1), (true, 3), (false, 3)] {
        let options = GenerateOptions { use_cache, num_beams, ..Default::default() };
        let mut chunks = 0;
        let mut hear = |_: usize, _: &str| {
            chunks += 1;
            ControlFlow::Continue(())
        };
        let found = generator.generate(&[&[5, 6, 7]], &inputs, &options, None, &mut hear);
        let error = found.err().unwrap();
        assert_eq!(error.code(), Code::RuntimeNotFinite, "{error}");
        assert_eq!(chunks, 0);
    }
}

/// What decides a text beside the weights is bound to the adapter: the special tokens, the limits.
#[test]
fn an_adapter_is_bound_to_the_decoder_s_settings() {
    let folder = tempfile::tempdir().unwrap();
    let trained = support::create("mt5", folder.path());
    let part = polygraft::adapter::Component::Ia3(polygraft::adapter::Ia3Config {
        targets: vec!["q".to_owned()],
        feed_forward_targets: Vec::new(),
    });
    let sites = polygraft::sites::find_sites(trained.model().graph().unwrap(), trained.weights());
    let adapter = support::random(&trained, &sites, part, 1);
    let usual = support::options(support::fixture("mt5"), folder.path());
    for (name, change) in [
        ("target", |options: &mut CreateSequenceOptions| options.target_tokens_max = Some(9)),
        ("start", |options| options.ids.decoder_start_token_id = Some(2)),
        ("end", |options| options.ids.eos_token_ids = vec![1, 2]),
        ("pad", |options| options.ids.pad_token_id = Some(1)),
        ("forced", |options| options.ids.forced_bos_token_id = Some(5)),
    ] as [(&str, fn(&mut CreateSequenceOptions)); 5]
    {
        let mut options = usual.clone();
        options.out = folder.path().join(name);
        change(&mut options);
        let other = create_sequence(&options, &mut |_| {}).unwrap();
        assert_eq!(other.backbone_hash(), trained.backbone_hash(), "{name}");
        let error = adapter.check_reading(other.reading()).unwrap_err();
        assert_eq!(error.code(), Code::AdapterIdentityMismatch, "{name}");
        assert!(error.to_string().contains("decoder: trained with"), "{name}: {error}");
    }
    adapter.check_reading(trained.reading()).unwrap();
}
