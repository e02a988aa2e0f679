//! The head of an adapter, label by label.

use super::{Adapter, HEAD_BIAS, HEAD_WEIGHT, Tensor};
use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;

/// A head as one column per label: the weights, then the bias.
pub(super) struct Columns {
    /// In the order of the outputs.
    pub labels: Vec<String>,
    /// The column of each label.
    pub by_label: BTreeMap<String, Vec<f32>>,
}

impl Columns {
    /// The head of an adapter; one without labels has no columns.
    ///
    /// # Errors
    /// [`Code::AdapterTensors`] when a tensor of it is missing or of another size.
    pub fn of(adapter: &Adapter) -> Result<Self> {
        if adapter.labels.is_empty() {
            return Ok(Self { labels: Vec::new(), by_label: BTreeMap::new() });
        }
        let count = adapter.labels.len();
        let values = |name: &str| adapter.tensors.get(name).map(|tensor| &tensor.values);
        let (Some(weight), Some(bias)) = (values(HEAD_WEIGHT), values(HEAD_BIAS)) else {
            return Err(Error::new(Code::AdapterTensors, "the head is missing".to_owned()));
        };
        if bias.len() != count || weight.len() % count.max(1) != 0 {
            let message = format!("the head does not have {count} outputs");
            return Err(Error::new(Code::AdapterTensors, message));
        }
        let column = |(index, label): (usize, &String)| {
            let rows = weight.chunks_exact(count).map(|row| row[index]);
            (label.clone(), rows.chain([bias[index]]).collect())
        };
        let by_label = adapter.labels.iter().enumerate().map(column).collect();
        Ok(Self { labels: adapter.labels.clone(), by_label })
    }

    /// Gives an adapter this head.
    pub fn write(self, adapter: &mut Adapter) {
        if self.labels.is_empty() {
            return;
        }
        let columns: Vec<&Vec<f32>> =
            self.labels.iter().filter_map(|label| self.by_label.get(label)).collect();
        let count = columns.len();
        let hidden = columns.first().map_or(0, |column| column.len() - 1);
        let row = |row: usize| columns.iter().map(move |column| column[row]);
        let weight: Vec<f32> = (0..hidden).flat_map(row).collect();
        let bias: Vec<f32> = row(hidden).collect();
        let tensor = |shape: &[usize], values: Vec<f32>| Tensor {
            shape: shape.to_vec(),
            values: values.into(),
        };
        adapter.tensors.insert(HEAD_WEIGHT.to_owned(), tensor(&[hidden, count], weight));
        adapter.tensors.insert(HEAD_BIAS.to_owned(), tensor(&[count], bias));
        adapter.labels = self.labels;
    }
}
