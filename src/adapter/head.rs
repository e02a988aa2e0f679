//! The heads of an adapter, label by label: one for the whole input, one for its words.

use super::{Adapter, HEAD_BIAS, HEAD_WEIGHT, TAGS_BIAS, TAGS_WEIGHT, Tensor};
use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;

/// Which head of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadName {
    /// Of the whole input: [`HEAD_WEIGHT`] and [`HEAD_BIAS`], one output per label.
    Labels,
    /// Of each word: [`TAGS_WEIGHT`] and [`TAGS_BIAS`], one output per tag.
    Tags,
}

impl HeadName {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Labels, Self::Tags];

    /// The name of the weight, `[hidden, outputs]`.
    pub fn weight(self) -> &'static str {
        match self {
            Self::Labels => HEAD_WEIGHT,
            Self::Tags => TAGS_WEIGHT,
        }
    }

    /// The name of the bias, `[outputs]`.
    pub fn bias(self) -> &'static str {
        match self {
            Self::Labels => HEAD_BIAS,
            Self::Tags => TAGS_BIAS,
        }
    }

    /// What the outputs of this head of an adapter are called.
    pub fn names(self, adapter: &Adapter) -> &[String] {
        match self {
            Self::Labels => &adapter.labels,
            Self::Tags => &adapter.tags,
        }
    }

    /// The same, to be changed.
    pub fn names_mut(self, adapter: &mut Adapter) -> &mut Vec<String> {
        match self {
            Self::Labels => &mut adapter.labels,
            Self::Tags => &mut adapter.tags,
        }
    }
}

/// A head as one column per label: the weights, then the bias.
pub(super) struct Columns {
    /// Which head it is.
    pub head: HeadName,
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
    pub fn of(adapter: &Adapter, head: HeadName) -> Result<Self> {
        let labels = head.names(adapter);
        if labels.is_empty() {
            return Ok(Self::empty(head));
        }
        let count = labels.len();
        let values = |name: &str| adapter.tensors.get(name).map(|tensor| &tensor.values);
        let (Some(weight), Some(bias)) = (values(head.weight()), values(head.bias())) else {
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
        let by_label = labels.iter().enumerate().map(column).collect();
        Ok(Self { head, labels: labels.to_vec(), by_label })
    }

    /// A head without outputs.
    pub fn empty(head: HeadName) -> Self {
        Self { head, labels: Vec::new(), by_label: BTreeMap::new() }
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
        let (name, bias_name) = (self.head.weight(), self.head.bias());
        adapter.tensors.insert(name.to_owned(), tensor(&[hidden, count], weight));
        adapter.tensors.insert(bias_name.to_owned(), tensor(&[count], bias));
        *self.head.names_mut(adapter) = self.labels;
    }
}
