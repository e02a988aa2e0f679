//! Soft targets: the outputs of an earlier adapter, which count as a part of an example's target.
//!
//! Training towards them keeps what the earlier adapter answers (learning without forgetting, Li
//! and Hoiem, arXiv 1606.09282). This module must never decide which examples have them.
//!
//! Input: raw outputs of the earlier adapter; targets of a run. Output: targets of the same shape.

use super::{Encoded, Sample, TargetValues, Task};
use crate::adapter::Adapter;
use crate::error::{Code, Error, Result};
use crate::example::TaskKind;
use crate::inference::RawOutputs;
use crate::inference::probabilities::{sigmoid, softmax};
use crate::runtime::Value;

/// The outputs of an earlier adapter for one input.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftTarget {
    /// How much they count beside the target itself, 0 to 1.
    share: f32,
    /// One for each head of the task.
    heads: Vec<SoftHead>,
}

/// The outputs of one head: a row for the input, or one for each of its tokens.
#[derive(Clone, Debug, PartialEq)]
struct SoftHead {
    /// The number of names that the earlier adapter knew. Later adapters append theirs.
    names_count: usize,
    /// Probabilities, or a number on the scale of the head; `[rows, names]`.
    values: Vec<f32>,
}

impl Task {
    /// The outputs of an adapter as soft targets of the inputs of a run; none for a task that
    /// generates text.
    ///
    /// # Errors
    /// [`Code::Internal`] for outputs of another shape.
    pub fn soft_targets(
        self,
        adapter: &Adapter,
        inputs: &[&Encoded],
        raw: &RawOutputs,
        share: f32,
    ) -> Result<Vec<SoftTarget>> {
        let head = |(position, head): (usize, _)| {
            let values = raw.values(position);
            let names_count = adapter.outputs_of(head).len();
            let row = values.len() / inputs.len().max(1);
            if names_count == 0
                || row * inputs.len() != values.len()
                || !row.is_multiple_of(names_count)
            {
                let (found, names) = (values.len(), names_count);
                let message = format!("a head of {names} names gave {found} outputs");
                return Err(Error::new(Code::Internal, message));
            }
            let of = |row: &[f32]| SoftHead {
                names_count,
                values: row.chunks_exact(names_count).flat_map(|row| self.soften(row)).collect(),
            };
            Ok(values.chunks_exact(row).map(of).collect())
        };
        let heads = self.heads().iter().copied().enumerate().map(head);
        let heads: Vec<Vec<SoftHead>> = heads.collect::<Result<_>>()?;
        let of = |input: usize| SoftTarget {
            share,
            heads: heads.iter().filter_map(|head| head.get(input).cloned()).collect(),
        };
        Ok((0..inputs.len()).map(of).collect())
    }

    /// A row of logits as values of a target.
    fn soften(self, logits: &[f32]) -> Vec<f32> {
        match self.kind() {
            TaskKind::Regression => logits.to_vec(),
            TaskKind::MultiLabel => logits.iter().copied().map(sigmoid).collect(),
            _ => softmax(logits.into()).to_vec(),
        }
    }

    /// Mixes the soft targets of the samples that have some into the targets of a run.
    ///
    /// # Errors
    /// [`Code::Internal`] for targets of another type.
    pub fn mix_soft_targets(
        self,
        adapter: &Adapter,
        samples: &[&Sample],
        targets: &mut TargetValues,
    ) -> Result<()> {
        if samples.iter().all(|sample| sample.soft.is_none()) {
            return Ok(());
        }
        // The targets of the heads come first, in their order.
        for (position, (head, (_, value))) in self.heads().iter().zip(targets).enumerate() {
            let names_count = adapter.outputs_of(*head).len().max(1);
            let shape: Vec<usize> = value.shape().iter().map(|&dim| dim as usize).collect();
            let mut values = value.as_f32()?.to_vec();
            let size = values.len() / samples.len();
            for (sample, rows) in samples.iter().zip(values.chunks_exact_mut(size.max(1))) {
                let Some(soft) = &sample.soft else { continue };
                let Some(head) = soft.heads.get(position) else { continue };
                let soft_rows = head.values.chunks_exact(head.names_count);
                for (row, soft_row) in rows.chunks_exact_mut(names_count).zip(soft_rows) {
                    self.mix(row, soft_row, soft.share);
                }
            }
            *value = Value::f32(&shape, values)?;
        }
        Ok(())
    }

    /// Mixes one row. A target that the earlier adapter did not know stays as it is.
    fn mix(self, row: &mut [f32], soft: &[f32], share: f32) {
        let Some((known, new)) = row.split_at_mut_checked(soft.len()) else { return };
        let weight = match self.kind() {
            // The targets of these kinds have no weights.
            TaskKind::MultiLabel | TaskKind::Regression => 1.0,
            _ if new.iter().any(|target| *target != 0.0) => return,
            _ => known.iter().sum(),
        };
        for (target, soft) in known.iter_mut().zip(soft) {
            *target += share * (weight * soft - *target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(kind: TaskKind, row: [f32; 3], soft: &[f32]) -> [f32; 3] {
        let mut row = row;
        Task::of(kind).mix(&mut row, soft, 0.5);
        row
    }

    #[test]
    fn a_row_keeps_its_weight_and_one_without_weight_stays_empty() {
        let row = mixed(TaskKind::Classification, [0.0, 0.25, 0.0], &[0.5, 0.5, 0.0]);
        assert_eq!(row, [0.0625, 0.1875, 0.0]);
        assert_eq!(mixed(TaskKind::TokenClassification, [0.0; 3], &[0.5, 0.5, 0.0]), [0.0; 3]);
        let row = mixed(TaskKind::MultiLabel, [1.0, 0.0, 0.0], &[0.5, 0.5, 0.0]);
        assert_eq!(row, [0.75, 0.25, 0.0]);
    }

    #[test]
    fn what_the_earlier_adapter_did_not_know_has_no_soft_target() {
        let known = mixed(TaskKind::Classification, [0.0, 1.0, 0.0], &[0.5, 0.5]);
        assert_eq!(known, [0.25, 0.75, 0.0]);
        let new = mixed(TaskKind::Classification, [0.0, 0.0, 1.0], &[0.5, 0.5]);
        assert_eq!(new, [0.0, 0.0, 1.0]);
        let applies = mixed(TaskKind::MultiLabel, [1.0, 0.0, 1.0], &[0.5, 0.5]);
        assert_eq!(applies, [0.75, 0.25, 1.0]);
    }
}
