//! What an adapter holds, and the checks that bind it to one backbone and one reading.

use super::bottleneck::BottleneckConfig;
use super::component::{Component, tensor_shapes, validate};
use super::ia3::Ia3Config;
use super::lora::LoraConfig;
use super::tensor::Tensor;
use super::tensor_id::{BottleneckTensor, HeadInputs, HeadName, TensorId};
use crate::error::{Code, Error, Result};
use crate::example::TaskKind;
use crate::reading::Reading;
use crate::sites::Site;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many tensors an error names.
const PROBLEMS_SHOWN_MAX: usize = 24;

/// A complete adapter for one task: the tensors of its components and the head of the task.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// blake3 hash (hexadecimal) of the backbone that the adapter was trained on.
    pub backbone: String,
    /// How texts were read when it was trained; absent in files older than version 3.
    pub reading: Option<Reading>,
    /// Its components, bottom to top: at most one LoRA, one (IA)3 and
    /// [`BOTTLENECKS_MAX`](super::BOTTLENECKS_MAX) bottlenecks.
    pub components: Vec<Component>,
    /// The label of each output of the head, in order; empty without a head.
    pub labels: Vec<String>,
    /// The tag of each output of the head for words, in order; empty without such a head.
    pub tags: Vec<String>,
    /// The kind of task that it was trained for.
    pub task: TaskKind,
    /// For regression: how the output of the head is converted to a number.
    pub scale: Option<NumberScale>,
    /// All tensors by name, stored unscaled.
    pub tensors: BTreeMap<String, Tensor>,
}

/// A number is `mean + standard_deviation * output`, so that a new head starts at a sensible value
/// and training does not depend on the unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberScale {
    /// The mean of the first numbers that the head was trained on.
    pub mean: f64,
    /// Their standard deviation; more than 0.
    #[serde(rename = "spread")]
    pub standard_deviation: f64,
}

impl Adapter {
    /// An adapter without a head and without a reading.
    pub fn headless(
        backbone: String,
        components: Vec<Component>,
        tensors: BTreeMap<String, Tensor>,
    ) -> Self {
        Self {
            backbone,
            reading: None,
            components,
            labels: Vec::new(),
            tags: Vec::new(),
            task: TaskKind::default(),
            scale: None,
            tensors,
        }
    }

    /// Checks that the adapter belongs to the backbone with hash `backbone`, whose sites are
    /// `sites` and whose heads read vectors of the size `inputs`.
    ///
    /// # Errors
    /// [`Code::AdapterBaseMismatch`] with both hashes; [`Code::AdapterTensors`] naming
    /// each missing, extra and misshapen tensor.
    pub fn check(
        &self,
        backbone: &str,
        sites: &[Site],
        inputs: impl Into<HeadInputs>,
    ) -> Result<()> {
        if self.backbone != backbone {
            return Err(Error::new(
                Code::AdapterBaseMismatch,
                format!(
                    "the adapter was trained on another backbone: expected {backbone}, found {}",
                    self.backbone
                ),
            ));
        }
        let expected = self.expected_shapes(sites, inputs.into())?;
        let mut problems = Vec::new();
        for (name, shape) in &expected {
            match self.tensors.get(name) {
                None => problems.push(format!("{name} is missing, expected shape {shape:?}")),
                Some(tensor) if tensor.shape != *shape => problems
                    .push(format!("{name} has shape {:?}, expected {shape:?}", tensor.shape)),
                Some(_) => {}
            }
        }
        for name in self.tensors.keys().filter(|name| !expected.contains_key(*name)) {
            problems.push(format!("{name:.200} is extra: the backbone has no such adapter tensor"));
        }
        if problems.is_empty() {
            return Ok(());
        }
        let more = problems.len().saturating_sub(PROBLEMS_SHOWN_MAX);
        problems.truncate(PROBLEMS_SHOWN_MAX);
        if more > 0 {
            problems.push(format!("and {more} more tensors"));
        }
        Err(Error::new(Code::AdapterTensors, problems.join("; ")))
    }

    /// Checks that texts are read as they were when the adapter was trained. An adapter without a
    /// reading is accepted where texts are read plainly, see [`Reading::is_plain`].
    ///
    /// # Errors
    /// [`Code::AdapterIdentityMismatch`] naming every setting that differs, with both values.
    pub fn check_reading(&self, bundle: &Reading) -> Result<()> {
        let message = match &self.reading {
            Some(own) if own == bundle => return Ok(()),
            Some(own) => format!(
                "texts are read in another way than when the adapter was trained: {}",
                own.differences(bundle).join("; ")
            ),
            None if bundle.is_plain() => return Ok(()),
            None => format!(
                "the adapter does not say how texts were read when it was trained (its file is of \
                 before version 3), and the bundle reads them with the pooling {:?} and the prefix \
                 {:?}; if that is what it was trained with, say so once with `polygraft store \
                 adopt`",
                bundle.pooling, bundle.prefix
            ),
        };
        Err(Error::new(Code::AdapterIdentityMismatch, message))
    }

    /// Checks that both adapters have the same backbone and, as far as they state it, the same
    /// reading.
    pub(super) fn check_goes_with(&self, other: &Self) -> Result<()> {
        if self.backbone != other.backbone {
            let (expected, found) = (&self.backbone, &other.backbone);
            let message = format!("adapters of two backbones: expected {expected}, found {found}");
            return Err(Error::new(Code::AdapterBaseMismatch, message));
        }
        match (&self.reading, &other.reading) {
            (Some(one), Some(two)) if one != two => {
                let differences = one.differences(two).join("; ");
                let message = format!("adapters that read texts in two ways: {differences}");
                Err(Error::new(Code::AdapterIdentityMismatch, message))
            }
            _ => Ok(()),
        }
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// [`Code::AdapterTensors`] when it is missing.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        let missing = || Error::new(Code::AdapterTensors, format!("{name} is missing"));
        self.tensors.get(name).ok_or_else(missing)
    }

    /// The settings of the low-rank component, if there is one.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.components.iter().find_map(|component| match component {
            Component::Lora(lora) => Some(lora),
            _ => None,
        })
    }

    /// The settings of the bottlenecks, by slot.
    pub fn bottlenecks(&self) -> impl Iterator<Item = &BottleneckConfig> {
        self.components.iter().filter_map(|component| match component {
            Component::Bottleneck(bottleneck) => Some(bottleneck),
            _ => None,
        })
    }

    /// The settings of the factors, if there are any.
    pub fn ia3(&self) -> Option<&Ia3Config> {
        self.components.iter().find_map(|component| match component {
            Component::Ia3(ia3) => Some(ia3),
            _ => None,
        })
    }

    /// The names of the outputs of a head.
    pub fn outputs_of(&self, head: HeadName) -> &[String] {
        match head {
            HeadName::Labels => &self.labels,
            HeadName::Tags => &self.tags,
        }
    }

    /// As [`outputs_of`](Self::outputs_of), for changing them.
    pub fn outputs_of_mut(&mut self, head: HeadName) -> &mut Vec<String> {
        match head {
            HeadName::Labels => &mut self.labels,
            HeadName::Tags => &mut self.tags,
        }
    }

    /// Whether one graph runs both adapters with the same inputs. Ranks, widths, scales and labels
    /// may differ; sites, placements and activations may not.
    pub fn is_alike(&self, other: &Self) -> bool {
        let forms = |adapter: &Self| -> Vec<_> {
            adapter.bottlenecks().map(|one| (one.placement, one.activation)).collect()
        };
        let ia3 = |adapter: &Self| adapter.ia3().map(|one| one.feed_forward_targets.clone());
        self.backbone == other.backbone
            && self.tensors.keys().eq(other.tensors.keys())
            && forms(self) == forms(other)
            && ia3(self) == ia3(other)
    }

    /// The factor from the stored tensor to the tensor that the graph reads: the scale of the
    /// component for the last of its tensors, otherwise 1.
    pub fn scale_of(&self, tensor: &str) -> f32 {
        let scale = match TensorId::parse(tensor) {
            Some(TensorId::LoraB(module)) => self.lora().map(|lora| lora.scale_of(module)),
            Some(TensorId::Bottleneck {
                slot,
                tensor: BottleneckTensor::UpWeight | BottleneckTensor::UpBias,
                ..
            }) => self.bottlenecks().nth(slot).map(|bottleneck| bottleneck.scale as f32),
            _ => None,
        };
        scale.unwrap_or(1.0)
    }

    /// The shape that each tensor of this adapter must have on a backbone with these sites.
    fn expected_shapes(
        &self,
        sites: &[Site],
        inputs: HeadInputs,
    ) -> Result<BTreeMap<String, Vec<usize>>> {
        validate(&self.components)?;
        let mut expected = tensor_shapes(&self.components, sites)?;
        for head in HeadName::ALL {
            let outputs = self.outputs_of(head).len();
            if outputs > 0 {
                expected.insert(head.weight().to_owned(), vec![inputs.of(head), outputs]);
                expected.insert(head.bias().to_owned(), vec![outputs]);
            }
        }
        Ok(expected)
    }
}
