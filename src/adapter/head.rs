//! The heads of an adapter, label by label: one for the whole input, one for its words.

use super::{Adapter, HEAD_BIAS, HEAD_WEIGHT, TAGS_BIAS, TAGS_WEIGHT};
use crate::error::{Code, Error, Result};
use ndarray::{Array1, ArrayView1, Axis};
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
    pub by_label: BTreeMap<String, Array1<f32>>,
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

    /// Gives an adapter this head.
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
        *self.head.names_mut(adapter) = self.labels;
        Ok(())
    }
}
