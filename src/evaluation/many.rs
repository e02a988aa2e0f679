//! Predicting inputs that several adapters answer together.

use super::{all, run_all};
use crate::bundle::Encoding;
use crate::error::{Code, Error, Result};
use crate::inference::{LoadedAdapter, Predictor, Request, RunOptions};
use crate::task::{Encoded, Task, TaskOutput};
use std::ops::ControlFlow;

/// An adapter and its task.
#[derive(Clone, Copy)]
pub struct TaskAdapter<'a> {
    /// The task of the adapter.
    pub task: Task,
    /// The adapter.
    pub adapter: &'a LoadedAdapter,
}

/// Inputs, each with the adapter that answers it.
#[derive(Clone, Copy)]
pub struct AssignedInputs<'a> {
    /// The inputs.
    pub inputs: &'a [Encoded],
    /// The adapters that answer them.
    pub adapters: &'a [TaskAdapter<'a>],
    /// For each input, the position of its adapter in `adapters`.
    pub adapter_of: &'a [usize],
}

/// Predicts inputs, in their order, each with its own adapter. Texts with different adapters share
/// runs where their adapters and the session allow it. `with_adapter_name` adds the name of the
/// adapter at a position to an error about its outputs.
///
/// # Errors
/// As [`super::predict`]; [`Code::Internal`] when an input has no adapter.
pub fn predict_many(
    predictor: &Predictor,
    assigned: AssignedInputs<'_>,
    options: &RunOptions<'_>,
    with_adapter_name: &dyn Fn(usize, Error) -> Error,
) -> Result<Vec<TaskOutput>> {
    let AssignedInputs { inputs, adapters, adapter_of } = assigned;
    let has_adapter = |&adapter: &usize| adapter < adapters.len();
    if adapter_of.len() != inputs.len() || !adapter_of.iter().all(has_adapter) {
        return Err(Error::new(Code::Internal, "inputs without an adapter to answer them"));
    }
    let prediction = MixedPrediction { predictor, assigned, options, with_adapter_name };
    let mut outputs: Vec<Option<TaskOutput>> = vec![None; inputs.len()];
    prediction.fill_together(&mut outputs)?;
    for adapter in 0..adapters.len() {
        let left = prediction
            .inputs_where(|input| adapter_of[input] == adapter && outputs[input].is_none());
        prediction.fill_alone(adapter, &left, &mut outputs)?;
    }
    all(outputs)
}

/// The arguments of one call of [`predict_many`]. Inputs and adapters are meant by their positions.
struct MixedPrediction<'a> {
    predictor: &'a Predictor,
    assigned: AssignedInputs<'a>,
    options: &'a RunOptions<'a>,
    with_adapter_name: &'a dyn Fn(usize, Error) -> Error,
}

impl MixedPrediction<'_> {
    fn inputs_where(&self, is_meant: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..self.assigned.inputs.len()).filter(|&input| is_meant(input)).collect()
    }

    fn encodings(&self, inputs: &[usize]) -> Vec<&Encoding> {
        inputs.iter().map(|&input| &self.assigned.inputs[input].encoding).collect()
    }

    /// Predicts what can share runs; leaves the rest without an output.
    fn fill_together(&self, outputs: &mut [Option<TaskOutput>]) -> Result<()> {
        let AssignedInputs { adapters, adapter_of, .. } = self.assigned;
        let can_share = |one: &TaskAdapter<'_>| one.adapter.runs_together();
        let Some(first) = adapters.iter().find(|one| can_share(one)) else { return Ok(()) };
        let Request::Outputs(names) = first.task.request() else { return Ok(()) };
        let kind = first.task.kind();
        let sharing = self.inputs_where(|input| {
            let one = &adapters[adapter_of[input]];
            can_share(one) && one.task.kind() == kind
        });
        let loaded: Vec<&LoadedAdapter> = adapters.iter().map(|one| one.adapter).collect();
        let adapter_of_sharing: Vec<usize> =
            sharing.iter().map(|&input| adapter_of[input]).collect();
        let encodings = self.encodings(&sharing);
        for batch in self.predictor.batches_together(&encodings, (&loaded, &adapter_of_sharing)) {
            let batch: Vec<usize> = batch.into_iter().map(|index| sharing[index]).collect();
            if !self.fill_batch(&batch, names, outputs)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Predicts the inputs of one run; false if the session cannot run them together.
    fn fill_batch(
        &self,
        batch: &[usize],
        names: &[&str],
        outputs: &mut [Option<TaskOutput>],
    ) -> Result<bool> {
        let AssignedInputs { inputs, adapters, adapter_of } = self.assigned;
        let mut present: Vec<usize> = batch.iter().map(|&input| adapter_of[input]).collect();
        present.sort_unstable();
        present.dedup();
        if let [adapter] = present.as_slice() {
            self.fill_alone(*adapter, batch, outputs)?;
            return Ok(true);
        }
        let encodings = self.encodings(batch);
        let loaded: Vec<&LoadedAdapter> =
            present.iter().map(|&adapter| adapters[adapter].adapter).collect();
        let place = |&input: &usize| present.partition_point(|&one| one < adapter_of[input]);
        let places: Vec<usize> = batch.iter().map(place).collect();
        let cancel = self.options.cancel;
        let found = self.predictor.run_together(&encodings, (&loaded, &places), names, cancel)?;
        let Some(found) = found else { return Ok(false) };
        for (&adapter, raw) in present.iter().zip(found) {
            let own: Vec<usize> =
                batch.iter().copied().filter(|&input| adapter_of[input] == adapter).collect();
            let texts: Vec<&Encoded> = own.iter().map(|&input| &inputs[input]).collect();
            let TaskAdapter { task, adapter: loaded } = adapters[adapter];
            let decoded = task
                .decode(loaded.adapter(), &texts, raw)
                .map_err(|error| (self.with_adapter_name)(adapter, error))?;
            own.into_iter().zip(decoded).for_each(|(input, output)| outputs[input] = Some(output));
        }
        Ok(true)
    }

    /// Predicts inputs with one adapter, in runs of its own.
    fn fill_alone(
        &self,
        adapter: usize,
        own: &[usize],
        outputs: &mut [Option<TaskOutput>],
    ) -> Result<()> {
        let TaskAdapter { task, adapter: loaded } = self.assigned.adapters[adapter];
        let chosen: Vec<&Encoded> = own.iter().map(|&input| &self.assigned.inputs[input]).collect();
        let (predictor, options) = (self.predictor, self.options);
        let proceed = &mut |_| ControlFlow::Continue(());
        run_all(predictor, task, loaded, &chosen, options, proceed, &mut |indices, texts, raw| {
            let decoded = task.decode(loaded.adapter(), texts, raw)?;
            for (index, output) in indices.iter().zip(decoded) {
                outputs[own[*index]] = Some(output);
            }
            Ok(())
        })
        .map_err(|error| (self.with_adapter_name)(adapter, error))
    }
}
