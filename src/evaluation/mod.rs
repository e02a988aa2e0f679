//! Evaluation: predicting inputs, and measuring how well an adapter does on labelled examples.
//!
//! This is the only module that joins tasks and inference: [`predict`] batches encoded inputs, runs
//! them and decodes the outputs; [`predict_many`] does so with an adapter for each input, and
//! [`stream`] for one input while its text is generated; an [`EvaluationSet`] scores an adapter on
//! examples. The gate, `Model` and the experiment all use these functions. This module must never
//! decide anything by a score.
//!
//! Input: a predictor, a task, a loaded adapter, encoded inputs or examples. Output: task outputs,
//! scores, metrics.

mod exact;
mod many;
mod set;

pub use exact::ExactMatches;
pub use many::{AssignedInputs, TaskAdapter, predict_many};
pub use set::{Evaluation, EvaluationSet, ExampleScore};

use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};
use crate::inference::{LoadedAdapter, Predictor, RawOutputs, RunOptions};
use crate::task::{Encoded, Task, TaskOutput};
use std::ops::ControlFlow;

/// Predicts inputs, in their order. Inputs of similar length run together, unless the bundle says
/// that each runs alone. After each run, `progress` receives the number of finished inputs and may
/// break; then the error is [`Code::Cancelled`].
///
/// # Errors
/// [`Code::TaskKind`] for an adapter of another task, [`Code::RuntimeNotFinite`] when an output is
/// not finite; the errors of a run.
pub fn predict(
    predictor: &Predictor,
    task: Task,
    adapter: &LoadedAdapter,
    inputs: &[Encoded],
    options: &RunOptions<'_>,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<TaskOutput>> {
    let inputs: Vec<&Encoded> = inputs.iter().collect();
    let mut outputs: Vec<Option<TaskOutput>> = vec![None; inputs.len()];
    run_all(predictor, task, adapter, &inputs, options, progress, &mut |indices, chosen, raw| {
        for (index, output) in indices.iter().zip(task.decode(adapter.adapter(), chosen, raw)?) {
            outputs[*index] = Some(output);
        }
        Ok(())
    })?;
    all(outputs)
}

/// What receives the raw outputs of a run: the positions of its inputs, the inputs, the outputs.
type OnRun<'a> = &'a mut dyn FnMut(&[usize], &[&Encoded], RawOutputs) -> Result<()>;

/// Runs all inputs, similar lengths together.
fn run_all(
    predictor: &Predictor,
    task: Task,
    adapter: &LoadedAdapter,
    inputs: &[&Encoded],
    options: &RunOptions<'_>,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    on_run: OnRun<'_>,
) -> Result<()> {
    task.check("an adapter", adapter.adapter().task)?;
    let encodings: Vec<&Encoding> = inputs.iter().map(|input| &input.encoding).collect();
    let mut done = 0;
    let ignore = &mut |_: usize, _: &str| ControlFlow::Continue(());
    for indices in predictor.batches(&encodings) {
        let chosen: Vec<&Encoded> = indices.iter().map(|&index| inputs[index]).collect();
        on_run(&indices, &chosen, run(predictor, task, adapter, &chosen, options, ignore)?)?;
        done += indices.len();
        if progress(done).is_break() {
            return Err(Error::new(Code::Cancelled, "cancelled by the caller"));
        }
    }
    Ok(())
}

/// The values of all inputs.
fn all<T>(found: Vec<Option<T>>) -> Result<Vec<T>> {
    let all: Option<Vec<T>> = found.into_iter().collect();
    all.ok_or_else(|| Error::new(Code::Internal, "an input has no output"))
}

/// Predicts one input of a task that generates text. `on_chunk` receives new text in whole
/// characters and may break to end it.
///
/// # Errors
/// [`Code::TaskKind`] for a task that generates no text; those of [`predict`].
pub fn stream(
    predictor: &Predictor,
    task: Task,
    adapter: &LoadedAdapter,
    input: &Encoded,
    options: &RunOptions<'_>,
    on_chunk: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> Result<TaskOutput> {
    task.check("an adapter", adapter.adapter().task)?;
    if !task.kind().generates_text() {
        let message = format!("expected a task that generates text, found {}", task.kind());
        return Err(Error::new(Code::TaskKind, message));
    }
    let emit = &mut |_: usize, chunk: &str| on_chunk(chunk);
    let raw = run(predictor, task, adapter, &[input], options, emit)?;
    let output = task.decode(adapter.adapter(), &[input], raw)?.pop();
    output.ok_or_else(|| Error::new(Code::Internal, "one input gave no text"))
}

/// Runs inputs that fit into one run.
fn run(
    predictor: &Predictor,
    task: Task,
    adapter: &LoadedAdapter,
    inputs: &[&Encoded],
    options: &RunOptions<'_>,
    on_chunk: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
) -> Result<RawOutputs> {
    let encodings: Vec<&Encoding> = inputs.iter().map(|input| &input.encoding).collect();
    predictor.run(&encodings, adapter, task.request(), options, on_chunk)
}
