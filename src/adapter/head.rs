//! The heads of an adapter by label: one for the whole input, one for its words.
//!
//! Heads must always be combined by label, never by position.

use super::contents::Adapter;
use super::tensor_id::HeadName;
use crate::error::{Code, Error, Result};
use ndarray::{Array1, ArrayView1, Axis};
use std::collections::BTreeMap;

/// A head as one column per label: the weights, then the bias.
pub struct Columns {
    pub head: HeadName,
    /// The labels in the order of the outputs.
    pub labels: Vec<String>,
    pub by_label: BTreeMap<String, Array1<f32>>,
}

impl Columns {
    /// Reads a head of an adapter; without labels it has no columns.
    ///
    /// # Errors
    /// [`Code::AdapterTensors`] when one of its tensors is missing or has the wrong size.
    pub fn of(adapter: &Adapter, head: HeadName) -> Result<Self> {
        let labels = adapter.outputs_of(head);
        if labels.is_empty() {
            return Ok(Self::empty(head));
        }
        let count = labels.len();
        let tensors = &adapter.tensors;
        let (Some(weight), Some(bias)) = (tensors.get(head.weight()), tensors.get(head.bias()))
        else {
            return Err(Error::new(Code::AdapterTensors, "the head is missing".to_owned()));
        };
        let (weight, bias) = (weight.matrix(head.weight())?, bias.vector(head.bias())?);
        if bias.len() != count || weight.ncols() != count {
            let message = format!("the head does not have {count} outputs");
            return Err(Error::new(Code::AdapterTensors, message));
        }
        let columns = weight.axis_iter(Axis(1)).zip(&bias);
        let column = |((weights, bias), label): ((ArrayView1<'_, f32>, &f32), &String)| {
            (label.clone(), weights.iter().chain([bias]).copied().collect())
        };
        let by_label = columns.zip(labels).map(column).collect();
        Ok(Self { head, labels: labels.to_vec(), by_label })
    }

    /// A head without outputs.
    pub fn empty(head: HeadName) -> Self {
        Self { head, labels: Vec::new(), by_label: BTreeMap::new() }
    }

    /// Replaces this head of an adapter.
    ///
    /// # Errors
    /// [`Code::AdapterTensors`] when the columns are of different sizes.
    pub fn write(self, adapter: &mut Adapter) -> Result<()> {
        if self.labels.is_empty() {
            return Ok(());
        }
        let columns = self.labels.iter().filter_map(|label| self.by_label.get(label));
        let columns: Vec<ArrayView1<'_, f32>> = columns.map(|column| column.view()).collect();
        let unfit = |_| {
            let message = "the columns of the head are of different sizes";
            Error::new(Code::AdapterTensors, message)
        };
        let all = ndarray::stack(Axis(1), &columns).map_err(unfit)?;
        let hidden = all.nrows().saturating_sub(1);
        let (weight, bias) = all.view().split_at(Axis(0), hidden);
        let bias = bias.flatten().into_owned();
        let (name, bias_name) = (self.head.weight(), self.head.bias());
        adapter.tensors.insert(name.to_owned(), weight.to_owned().into());
        adapter.tensors.insert(bias_name.to_owned(), bias.into());
        *adapter.outputs_of_mut(self.head) = self.labels;
        Ok(())
    }
}
