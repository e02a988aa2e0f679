//! The reference backbone in both modes, and under many threads at once.

#[path = "support/backbone.rs"]
mod backbone;
#[path = "support/engine.rs"]
mod support;

use polygraft::runtime::{Mode, Session, SessionOptions};

fn open(options: SessionOptions) -> Session {
    let (model, weights) = backbone::backbone();
    Session::open(&support::engine(), &model, Some(&weights), &options).unwrap()
}

/// The texts of each thread have their own number and length.
fn inputs_of(thread: usize) -> Vec<(&'static str, polygraft::runtime::Value)> {
    backbone::inputs(1 + thread % 3, 4 + 3 * thread, thread)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn many_threads_get_what_one_thread_gets() {
    for mode in [Mode::Lean, Mode::Fast] {
        let session = open(SessionOptions { mode, threads: 2, ..SessionOptions::default() });
        let alone: Vec<Vec<f32>> = (0..8)
            .map(|thread| backbone::run(&session, &inputs_of(thread)).as_f32().unwrap().to_vec())
            .collect();
        std::thread::scope(|scope| {
            for (thread, expected) in alone.iter().enumerate() {
                let session = &session;
                scope.spawn(move || {
                    let inputs = inputs_of(thread);
                    for _ in 0..3 {
                        let result = backbone::run(session, &inputs);
                        assert_eq!(result.as_f32().unwrap(), expected, "thread {thread}");
                    }
                });
            }
        });
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn both_modes_and_any_number_of_threads_agree() {
    let inputs = backbone::inputs(3, 20, 5);
    let of = |mode, threads, deterministic| {
        let busy_wait = deterministic;
        let rest = SessionOptions::default();
        let session = open(SessionOptions { mode, threads, deterministic, busy_wait, ..rest });
        let result = backbone::run(&session, &inputs);
        assert_eq!(result.shape(), [3, 20, 384]);
        result.as_f32().unwrap().to_vec()
    };
    let reference = of(Mode::Lean, 1, true);
    let largest = reference.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.1 && largest.is_finite(), "{largest}");
    for (mode, threads, deterministic) in
        [(Mode::Lean, 2, false), (Mode::Fast, 1, false), (Mode::Fast, 0, true)]
    {
        let other = of(mode, threads, deterministic);
        let difference = reference
            .iter()
            .zip(&other)
            .fold(0.0_f32, |difference, (a, b)| difference.max((a - b).abs()));
        assert!(difference <= 1e-5 * largest, "{mode:?} {threads}: {difference} of {largest}");
    }
}
