//! Runs of texts that have different adapters.

use super::loaded::LoadedAdapter;
use super::predictor::Predictor;
use super::request::RawOutputs;
use super::side_by_side::{RANKS, SideBySide, Tensors};
use crate::adapter::{Component, HeadName};
use crate::bundle::Encoding;
use crate::error::Result;
use crate::runtime::{Cancel, Value};

/// The most ranks and the most outputs of heads side by side in one run. All of them are computed
/// for every text, so more would cost more than a separate run.
const RANKS_MAX: usize = 512;
const COLUMNS_MAX: usize = 2_048;

impl LoadedAdapter {
    /// Whether texts with this adapter may share a run with texts of others: it is made of low-rank
    /// products and generates no text.
    pub fn runs_together(&self) -> bool {
        let is_low_rank = |component: &Component| matches!(component, Component::Lora(_));
        !self.adapter.task.generates_text() && self.adapter.components.iter().all(is_low_rank)
    }

    /// The ranks and the outputs that it adds to a run.
    fn share(&self) -> [usize; 2] {
        let rank = |component: &Component| match component {
            Component::Lora(lora) => {
                lora.rank_pattern.values().copied().fold(lora.rank, usize::max)
            }
            _ => usize::MAX,
        };
        let outputs = HeadName::ALL.map(|head| self.adapter.outputs_of(head).len());
        let ranks = self.adapter.components.iter().map(rank).max().unwrap_or(0);
        [ranks, outputs.into_iter().max().unwrap_or(0)]
    }
}

impl Predictor {
    /// Like [`Predictor::batches`], for texts with different adapters: `adapter_of` has the
    /// position of each text's adapter. Fewer texts run together where their adapters would be too
    /// many.
    pub fn batches_together(
        &self,
        encodings: &[&Encoding],
        (adapters, adapter_of): (&[&LoadedAdapter], &[usize]),
    ) -> Vec<Vec<usize>> {
        let mut batches = Vec::new();
        for whole in self.batches(encodings) {
            let (mut batch, mut present, mut sum) = (Vec::new(), Vec::new(), [0usize; 2]);
            for index in whole {
                let position = adapter_of[index];
                if !present.contains(&position) {
                    let share = adapters[position].share();
                    let more = [0, 1].map(|at| sum[at].saturating_add(share[at]));
                    if !present.is_empty() && (more[0] > RANKS_MAX || more[1] > COLUMNS_MAX) {
                        batches.push(std::mem::take(&mut batch));
                        (present, sum) = (Vec::new(), share);
                    } else {
                        sum = more;
                    }
                    present.push(position);
                }
                batch.push(index);
            }
            batches.push(batch);
        }
        batches
    }

    /// Runs texts that fit into one run, each with the adapter whose position `adapter_of` has
    /// for it, and gives for each adapter the outputs of its texts, in their order; `None` where
    /// the session cannot keep texts with different adapters apart.
    ///
    /// # Errors
    /// The errors of a run.
    pub fn run_together(
        &self,
        encodings: &[&Encoding],
        (adapters, adapter_of): (&[&LoadedAdapter], &[usize]),
        outputs: &[&str],
        cancel: Option<&Cancel>,
    ) -> Result<Option<Vec<RawOutputs>>> {
        let tensors: Vec<&Tensors> = adapters.iter().map(|one| one.inputs.as_slice()).collect();
        let side_by_side = SideBySide::new(&tensors)?;
        let ranks = side_by_side.ranks(adapter_of)?;
        let lengths: Vec<usize> = encodings.iter().map(|encoding| encoding.ids.len()).collect();
        let batch = super::batch::encode(self.bundle(), encodings)?;
        let mut inputs: Vec<(&str, &Value)> =
            batch.iter().map(|(name, value)| (*name, value)).collect();
        inputs.extend(side_by_side.inputs.iter().map(|(name, value)| (name.as_str(), value)));
        inputs.push((RANKS, &ranks));
        let Some(found) = self.encoder().run_apart(&inputs, outputs, cancel)? else {
            return Ok(None);
        };
        let of_adapter = |position: usize| {
            let values = outputs.iter().zip(&found).map(|(output, value)| {
                Ok(side_by_side.own(output, value.as_f32()?, (adapter_of, &lengths), position))
            });
            values.collect::<Result<_>>().map(RawOutputs::Tensors)
        };
        (0..adapters.len()).map(of_adapter).collect::<Result<_>>().map(Some)
    }
}
