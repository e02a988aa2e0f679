//! Adapters as safetensors files (`docs/formats.md`, "Adapter").
//!
//! The description (backbone hash, reading, components, labels) is one JSON text under one metadata
//! key: safetensors writes its metadata from a hash map, and a single key keeps the bytes of equal
//! adapters equal.

use super::component::{Component, validate};
use super::contents::{Adapter, NumberScale};
use super::header::{TENSORS_MAX, open_tensors};
use super::lora::LoraConfig;
use super::tensor::Tensor;
use crate::error::{Code, Error, Result};
use crate::example::TaskKind;
use crate::reading::Reading;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The name of the format, which is also the metadata key of the description.
pub const FORMAT_NAME: &str = "polygraft-adapter";
/// The version that this library writes. It also reads version 1, whose adapters have one LoRA, and
/// version 2, whose adapters do not state how texts are read.
pub const FORMAT_VERSION: u32 = 3;
/// The version of files without a reading.
const VERSION_WITHOUT_READING: u32 = 2;
/// Largest adapter file that is read, in bytes.
pub const ADAPTER_BYTES_MAX: u64 = 1 << 30;
/// Most labels that a head may have.
const LABELS_MAX: usize = 65_536;
const LABEL_BYTES_MAX: usize = 1_024;

#[derive(Serialize, Deserialize)]
struct Description {
    version: u32,
    backbone: String,
    /// The identity of backbone and reading, for tools that compare a single text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reading: Option<Reading>,
    #[serde(rename = "parts")]
    components: Vec<Component>,
    labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "is_classification", rename = "answer")]
    task: TaskKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<NumberScale>,
}

/// Whether this is the task kind of files that name none.
fn is_classification(kind: &TaskKind) -> bool {
    *kind == TaskKind::Classification
}

/// The description in version 1.
#[derive(Deserialize)]
struct LoraDescription {
    kind: String,
    backbone: String,
    lora: LoraConfig,
    labels: Vec<String>,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Serialises tensors as a safetensors file with one metadata entry.
///
/// # Errors
/// The error of safetensors when the values do not fill a shape.
pub fn tensors_to_bytes(
    tensors: &BTreeMap<String, Tensor>,
    key: &str,
    text: String,
) -> Result<Vec<u8>, SafeTensorError> {
    let bytes = |tensor: &Tensor| -> Vec<u8> {
        tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    };
    let bytes: Vec<Vec<u8>> = tensors.values().map(bytes).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, tensor), bytes)| {
        Ok((name, TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?))
    });
    let views = views.collect::<Result<Vec<_>, SafeTensorError>>()?;
    safetensors::serialize(views, Some(HashMap::from([(key.to_owned(), text)])))
}

impl Adapter {
    /// Checks the description: settings in their ranges, labels distinct and of bounded length.
    ///
    /// # Errors
    /// [`Code::AdapterMalformed`] naming the field, what was expected and what was found.
    pub(crate) fn check_description(&self) -> Result<()> {
        self.description().check()
    }

    fn description(&self) -> Description {
        let (reading, backbone) = (&self.reading, &self.backbone);
        Description {
            version: if reading.is_some() { FORMAT_VERSION } else { VERSION_WITHOUT_READING },
            backbone: backbone.clone(),
            identity: reading.as_ref().map(|reading| reading.identity(backbone)),
            reading: reading.clone(),
            components: self.components.clone(),
            labels: self.labels.clone(),
            tags: self.tags.clone(),
            task: self.task,
            scale: self.scale,
        }
    }

    /// Serialises the adapter. Equal adapters give equal bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_string(&self.description()).map_err(malformed)?;
        tensors_to_bytes(&self.tensors, FORMAT_NAME, text).map_err(malformed)
    }

    /// Parses an adapter file. [`Adapter::check`] tells whether the adapter fits a backbone.
    ///
    /// # Errors
    /// [`Code::AdapterMalformed`] naming the field, what was expected and what was found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > ADAPTER_BYTES_MAX {
            let found = bytes.len();
            return Err(malformed(format!(
                "expected at most {ADAPTER_BYTES_MAX} bytes, found {found}"
            )));
        }
        let file = open_tensors(bytes, TENSORS_MAX).map_err(malformed)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get(FORMAT_NAME));
        let text =
            text.ok_or_else(|| malformed(format!("the metadata key {FORMAT_NAME:?} is missing")))?;
        let description = Description::read(text)?;
        description.check()?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            tensors.insert(name.to_owned(), read_tensor(name, &view)?);
        }
        let Description { backbone, reading, components, labels, tags, task, scale, .. } =
            description;
        Ok(Self { backbone, reading, components, labels, tags, task, scale, tensors })
    }
}

impl Description {
    /// Parses the description of any version.
    fn read(text: &str) -> Result<Self> {
        let unreadable = |cause| malformed(format!("metadata {FORMAT_NAME}: {cause}"));
        let Version { version } = serde_json::from_str(text).map_err(unreadable)?;
        match version {
            1 => {
                let old: LoraDescription = serde_json::from_str(text).map_err(unreadable)?;
                if old.kind != "lora" {
                    let found = &old.kind;
                    return Err(malformed(format!("kind: expected \"lora\", found {found:?}")));
                }
                let LoraDescription { backbone, lora, labels, .. } = old;
                Ok(Self {
                    version,
                    backbone,
                    identity: None,
                    reading: None,
                    components: vec![Component::Lora(lora)],
                    labels,
                    tags: Vec::new(),
                    task: TaskKind::Classification,
                    scale: None,
                })
            }
            VERSION_WITHOUT_READING => {
                let old: Self = serde_json::from_str(text).map_err(unreadable)?;
                // Older versions do not define these fields, so their values are ignored.
                Ok(Self { identity: None, reading: None, ..old })
            }
            FORMAT_VERSION => serde_json::from_str(text).map_err(unreadable),
            _ => {
                Err(malformed(format!("version: expected 1 to {FORMAT_VERSION}, found {version}")))
            }
        }
    }

    fn check(&self) -> Result<()> {
        validate(&self.components).map_err(|error| malformed(error.message()))?;
        check_names("labels", &self.labels)?;
        check_names("tags", &self.tags)?;
        self.check_identity()?;
        let refuse = |what: &str| Err(malformed(format!("{}: {what}", self.task)));
        let bad_scale = |scale: &NumberScale| {
            let deviation = scale.standard_deviation;
            !(scale.mean.is_finite() && deviation.is_finite() && deviation > 0.0)
        };
        match self.task {
            TaskKind::Regression if self.labels.len() != 1 => refuse("expected one output"),
            TaskKind::Regression if self.scale.as_ref().is_none_or(bad_scale) => {
                refuse("scale: expected a finite mean and a standard deviation above 0")
            }
            TaskKind::SequenceToSequence if !self.labels.is_empty() => refuse("expected no labels"),
            TaskKind::TokenClassification if !self.labels.is_empty() => {
                refuse("expected no labels")
            }
            TaskKind::TokenClassification | TaskKind::IntentAndSlots => Ok(()),
            _ if !self.tags.is_empty() => refuse("expected no tags"),
            _ => Ok(()),
        }
    }
}

impl Description {
    /// From version 3 on an adapter states its reading and its identity.
    fn check_identity(&self) -> Result<()> {
        if self.version < FORMAT_VERSION {
            return Ok(());
        }
        let Some(reading) = &self.reading else {
            return Err(malformed(format!("reading: expected in version {}", self.version)));
        };
        reading.check().map_err(|error| malformed(error.message()))?;
        let expected = reading.identity(&self.backbone);
        if self.identity.as_ref() == Some(&expected) {
            return Ok(());
        }
        let message = format!("identity: expected {expected}, which backbone and reading give");
        Err(malformed(message))
    }
}

/// Checks labels or tags: their number, their lengths, and that none is repeated.
fn check_names(what: &str, names: &[String]) -> Result<()> {
    let count = names.len();
    if count > LABELS_MAX {
        return Err(malformed(format!("{what}: expected 0 to {LABELS_MAX}, found {count}")));
    }
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if name.is_empty() || name.len() > LABEL_BYTES_MAX || !seen.insert(name) {
            return Err(malformed(format!(
                "{what}: {name:?} is empty, longer than {LABEL_BYTES_MAX} bytes or repeated"
            )));
        }
    }
    Ok(())
}

fn read_tensor(name: &str, view: &TensorView<'_>) -> Result<Tensor> {
    if view.dtype() != Dtype::F32 {
        return Err(malformed(format!("{name}: expected dtype F32, found {}", view.dtype())));
    }
    let (chunks, []) = view.data().as_chunks::<4>() else {
        return Err(malformed(format!("{name}: its byte length is not a multiple of 4")));
    };
    let values: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    if let Some(position) = values.iter().position(|value| !value.is_finite()) {
        return Err(malformed(format!("{name}[{position}] is not a finite number")));
    }
    Ok(Tensor { shape: view.shape().to_vec(), values: values.into() })
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::AdapterMalformed, format!("malformed adapter: {cause}"))
}
