//! Predicting inputs that several adapters answer together.

use super::{all, run_all};
use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};
use crate::inference::{LoadedAdapter, Predictor, Request, RunOptions};
use crate::task::{Encoded, Task, TaskOutput};
use std::ops::ControlFlow;

/// An adapter that answers some of the inputs, and its task.
#[derive(Clone, Copy)]
pub struct Answering<'a> {
    /// The task of the adapter.
    pub task: Task,
    /// The adapter.
    pub adapter: &'a LoadedAdapter,
}

/// Predicts inputs, in their order, each with the adapter at its position in `which`. Texts with
/// different adapters share runs where their adapters and the session allow it. `named` adds the
/// position of the adapter to an error about its outputs.
///
/// # Errors
/// As [`super::predict`]; [`Code::Internal`] when `which` does not fit.
pub fn predict_many(
    predictor: &Predictor,
    answering: &[Answering<'_>],
    (inputs, which): (&[Encoded], &[usize]),
    options: &RunOptions<'_>,
    named: &dyn Fn(usize, Error) -> Error,
) -> Result<Vec<TaskOutput>> {
    if which.len() != inputs.len() || which.iter().any(|&position| position >= answering.len()) {
        return Err(Error::new(Code::Internal, "inputs without an adapter to answer them"));
    }
    let call = Many { predictor, answering, inputs, which, options, named };
    let mut outputs: Vec<Option<TaskOutput>> = vec![None; inputs.len()];
    call.together(&mut outputs)?;
    for position in 0..answering.len() {
        let own = call.of(|at| which[at] == position && outputs[at].is_none());
        call.alone(position, &own, &mut outputs).map_err(|error| named(position, error))?;
    }
    all(outputs)
}

/// The arguments of one call.
struct Many<'a> {
    predictor: &'a Predictor,
    answering: &'a [Answering<'a>],
    inputs: &'a [Encoded],
    which: &'a [usize],
    options: &'a RunOptions<'a>,
    named: &'a dyn Fn(usize, Error) -> Error,
}

impl Many<'_> {
    /// The positions of some inputs.
    fn of(&self, is_meant: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..self.inputs.len()).filter(|&at| is_meant(at)).collect()
    }

    /// Predicts what can share runs; leaves the rest without an output.
    fn together(&self, outputs: &mut [Option<TaskOutput>]) -> Result<()> {
        let can = |one: &Answering<'_>| one.adapter.runs_together();
        let Some(first) = self.answering.iter().find(|one| can(one)) else { return Ok(()) };
        let Request::Outputs(names) = first.task.request() else { return Ok(()) };
        let kind = first.task.kind();
        let own = self.of(|at| {
            let one = &self.answering[self.which[at]];
            can(one) && one.task.kind() == kind
        });
        let encodings: Vec<&Encoding> = own.iter().map(|&at| &self.inputs[at].encoding).collect();
        let adapters: Vec<&LoadedAdapter> = self.answering.iter().map(|one| one.adapter).collect();
        let which: Vec<usize> = own.iter().map(|&at| self.which[at]).collect();
        for batch in self.predictor.batches_together(&encodings, (&adapters, &which)) {
            let batch: Vec<usize> = batch.into_iter().map(|index| own[index]).collect();
            if !self.run(&batch, names, outputs)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Runs the inputs at these positions; false if the session cannot run them together.
    fn run(
        &self,
        batch: &[usize],
        names: &[&str],
        outputs: &mut [Option<TaskOutput>],
    ) -> Result<bool> {
        let mut present: Vec<usize> = batch.iter().map(|&at| self.which[at]).collect();
        present.sort_unstable();
        present.dedup();
        if let [position] = present.as_slice() {
            self.alone(*position, batch, outputs)
                .map_err(|error| (self.named)(*position, error))?;
            return Ok(true);
        }
        let encodings: Vec<&Encoding> = batch.iter().map(|&at| &self.inputs[at].encoding).collect();
        let adapters: Vec<&LoadedAdapter> =
            present.iter().map(|&position| self.answering[position].adapter).collect();
        let place = |at: &usize| present.partition_point(|&position| position < self.which[*at]);
        let which: Vec<usize> = batch.iter().map(place).collect();
        let (both, cancel) = ((adapters.as_slice(), which.as_slice()), self.options.cancel);
        let Some(found) = self.predictor.run_together(&encodings, both, names, cancel)? else {
            return Ok(false);
        };
        for (&position, raw) in present.iter().zip(found) {
            let own: Vec<usize> =
                batch.iter().copied().filter(|&at| self.which[at] == position).collect();
            let texts: Vec<&Encoded> = own.iter().map(|&at| &self.inputs[at]).collect();
            let Answering { task, adapter } = self.answering[position];
            let decoded = task.decode(adapter.adapter(), &texts, raw);
            let decoded = decoded.map_err(|error| (self.named)(position, error))?;
            own.into_iter().zip(decoded).for_each(|(at, output)| outputs[at] = Some(output));
        }
        Ok(true)
    }

    /// Predicts the inputs at the positions `own` with one adapter, in runs of its own.
    fn alone(
        &self,
        position: usize,
        own: &[usize],
        outputs: &mut [Option<TaskOutput>],
    ) -> Result<()> {
        let Answering { task, adapter } = self.answering[position];
        let chosen: Vec<&Encoded> = own.iter().map(|&at| &self.inputs[at]).collect();
        let (predictor, options) = (self.predictor, self.options);
        let proceed = &mut |_| ControlFlow::Continue(());
        run_all(predictor, task, adapter, &chosen, options, proceed, &mut |indices, texts, raw| {
            let decoded = task.decode(adapter.adapter(), texts, raw)?;
            for (index, output) in indices.iter().zip(decoded) {
                outputs[own[*index]] = Some(output);
            }
            Ok(())
        })
    }
}
