//! Evaluating: how well the versions that serve do on labelled examples.

use super::boundary::give_object;
use super::cancel::{self, CancelHandle};
use super::error::{ErrorObject, Status};
use super::example_list::ExamplesObject;
use super::handle;
use super::model::ModelHandle;
use super::object::{at, find, free, read, required};
use super::sized::{self, SizedStruct};
use super::text::{StringView, Text, text};
use crate::evaluation::Evaluation;
use crate::model::LanguageScore;
use crate::runtime::Cancel;
use std::ffi::{c_char, c_int, c_void};
use std::ops::ControlFlow;

/// A function that receives the number of evaluated examples and the number of all. It runs on the
/// thread that called `polygraft_model_evaluate`. It returns 0 to continue and any other value to
/// cancel. It must return normally: exceptions and longjmp may not leave it.
pub type StepCallback =
    Option<unsafe extern "C" fn(step: usize, steps_count: usize, user: *mut c_void) -> c_int>;

/// The scores of an evaluation, by language.
pub struct ScoresObject {
    languages: Vec<Scored>,
    mean: Scored,
}

/// One evaluation with the texts that C views.
struct Scored {
    language: Text,
    served_by: Text,
    examples_count: u64,
    version: u32,
    score: f64,
    metrics: Vec<(Text, f64)>,
}

impl Scored {
    fn new(evaluation: &Evaluation) -> Self {
        let metrics = evaluation.metrics.iter();
        Self {
            language: Text::new(""),
            served_by: Text::new(""),
            examples_count: 0,
            version: 0,
            score: evaluation.score,
            metrics: metrics.map(|metric| (Text::new(metric.name), metric.value)).collect(),
        }
    }

    fn of_language(score: &LanguageScore) -> Self {
        Self {
            language: Text::new(score.language.as_str()),
            served_by: Text::new(score.served_by.as_str()),
            examples_count: score.examples as u64,
            version: score.version,
            ..Self::new(&score.evaluation)
        }
    }

    fn entry(&self) -> ScoreEntry {
        ScoreEntry {
            struct_size: size_of::<ScoreEntry>() as u32,
            version: self.version,
            language: self.language.view(),
            served_by: self.served_by.view(),
            examples_count: self.examples_count,
            score: self.score,
            metrics_count: self.metrics.len() as u64,
        }
    }

    fn metric(&self, index: usize) -> Option<MetricEntry> {
        let (name, value) = self.metrics.get(index)?;
        Some(MetricEntry { name: name.view(), value: *value })
    }
}

impl ScoresObject {
    fn new(scores: &[LanguageScore]) -> Self {
        let mut mean = Scored::new(&Evaluation::mean(scores.iter().map(|one| &one.evaluation)));
        mean.examples_count = scores.iter().map(|one| one.examples as u64).sum();
        Self { languages: scores.iter().map(Scored::of_language).collect(), mean }
    }
}

/// How well the version that serves a language does on the examples in it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ScoreEntry {
    /// `sizeof(polygraft_score)`, set by the caller before the struct is filled.
    pub struct_size: u32,
    /// The number of the version that served; 0 in a mean.
    pub version: u32,
    /// The language of the examples; an empty text in a mean.
    pub language: StringView,
    /// The language whose version served; an empty text in a mean.
    pub served_by: StringView,
    /// The number of examples.
    pub examples_count: u64,
    /// The mean score of the examples, from 0 to 1: what the gate of an update compares.
    pub score: f64,
    /// The number of metrics.
    pub metrics_count: u64,
}

// SAFETY: repr(C); numbers and views of raw pointers only; `struct_size` first.
unsafe impl SizedStruct for ScoreEntry {
    const NAME: &'static str = "polygraft_score";
}

/// A metric, such as `accuracy` or `macro_f1`. The struct is returned by value and never gets new
/// fields.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MetricEntry {
    /// The usual name of the metric; an empty text if there is none.
    pub name: StringView,
    /// Its value; NaN if there is none.
    pub value: f64,
}

const NO_METRIC: MetricEntry = MetricEntry { name: StringView::EMPTY, value: f64::NAN };

/// Evaluates the versions of `task` that serve the languages of `examples` on these examples. It
/// trains and changes nothing.
///
/// `cancel` and `progress` may be NULL. `user` is passed to `progress` and is not read.
///
/// Ownership: the caller owns `*scores` and frees it with `polygraft_scores_free`. The caller keeps
/// everything else.
/// Threads: may be called concurrently on one model. The callback runs on this thread.
/// Errors: argument.*, cancelled, store.no_version, task.name, task.kind (targets of another kind
/// than the task's), task.unknown_label (a label that the serving version does not know),
/// task.too_long, adapter.*, runtime.failed, runtime.not_finite, store.*, io.*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_model_evaluate(
    model: *const ModelHandle,
    task: *const c_char,
    examples: *const ExamplesObject,
    cancel: *const CancelHandle,
    scores: *mut *mut ScoresObject,
    error: *mut *mut ErrorObject,
    progress: StepCallback,
    user: *mut c_void,
) -> Status {
    let is_refused = |step: usize, count: usize| {
        // SAFETY: the caller passes a function of this type that returns normally, and `user` is
        // whatever that function expects.
        progress.is_some_and(|progress| unsafe { progress(step, count, user) } != 0)
    };
    // SAFETY: pointers are NULL or valid, and texts are NUL-terminated and do not change meanwhile.
    unsafe {
        give_object(error, "scores", scores, || {
            let model = handle::borrow(model)?;
            let task = text("task", task)?;
            let examples = required("examples", examples)?;
            let cancel = cancel::token(cancel)?;
            let found = model.evaluate(task, &examples.0, &mut |step, count| {
                if cancel.as_ref().is_some_and(Cancel::is_cancelled) || is_refused(step, count) {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            Ok(ScoresObject::new(&found))
        })
    }
}

/// Returns the number of languages of an evaluation; 0 for NULL.
///
/// Ownership: the caller keeps `scores`.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_scores_count(scores: *const ScoresObject) -> usize {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { read(scores, 0, |scores| scores.languages.len()) }
}

/// Fills `score` with the score of one language. Languages are sorted by tag. The caller sets
/// `score->struct_size` before.
///
/// Ownership: the views in `*score` are valid until `scores` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: argument.null, argument.invalid (an `index` past the end, a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_scores_get(
    scores: *const ScoresObject,
    index: usize,
    score: *mut ScoreEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: the caller passes NULL or an object that is not freed, and NULL or a struct that
    // states its size truly.
    unsafe {
        sized::fill(error, "score", score, || {
            Ok(at(&required("scores", scores)?.languages, index)?.entry())
        })
    }
}

/// Fills `score` with the mean over the languages, which count the same however many examples they
/// have. The caller sets `score->struct_size` before.
///
/// Ownership: the views in `*score` are valid until `scores` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: argument.null, argument.invalid (a wrong `struct_size`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_scores_mean(
    scores: *const ScoresObject,
    score: *mut ScoreEntry,
    error: *mut *mut ErrorObject,
) -> Status {
    // SAFETY: as for `polygraft_scores_get`.
    unsafe { sized::fill(error, "score", score, || Ok(required("scores", scores)?.mean.entry())) }
}

/// Returns one metric of one language, the most informative first. NULL and an index past the end
/// give an empty name and NaN.
///
/// Ownership: the view in the metric is valid until `scores` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_scores_metric(
    scores: *const ScoresObject,
    index: usize,
    metric_index: usize,
) -> MetricEntry {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { find(scores, NO_METRIC, |scores| scores.languages.get(index)?.metric(metric_index)) }
}

/// Returns one metric of the mean over the languages. NULL and an index past the end give an empty
/// name and NaN.
///
/// Ownership: the view in the metric is valid until `scores` is freed.
/// Threads: may be called concurrently on one object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_scores_mean_metric(
    scores: *const ScoresObject,
    metric_index: usize,
) -> MetricEntry {
    // SAFETY: the caller passes NULL or an object of this library that is not freed.
    unsafe { find(scores, NO_METRIC, |scores| scores.mean.metric(metric_index)) }
}

/// Frees the scores of an evaluation and sets `*scores` to NULL. NULL and a pointer to NULL do
/// nothing.
///
/// Ownership: the function consumes `*scores`; views into it become invalid.
/// Threads: exclusive: no other thread may be using this object.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polygraft_scores_free(scores: *mut *mut ScoresObject) {
    // SAFETY: the caller passes NULL or a pointer to NULL or to an object it owns.
    unsafe { free(scores) }
}
