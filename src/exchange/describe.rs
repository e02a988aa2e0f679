//! Describes a file or folder without a backbone, for people who look before they import.

use super::format::Format;
use super::message::in_file;
use super::tensors::TensorFile;
use super::{adapterhub, files, ort_adapter, peft};
use crate::adapter::{ADAPTER_BYTES_MAX, Adapter, Tensor};
use crate::error::{Code, Error, Result};
use crate::example::TaskKind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The content of an adapter's file or folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Description {
    /// The name of the format.
    pub format: &'static str,
    /// The settings of the configuration, by field; values are JSON.
    pub settings: Vec<(String, String)>,
    /// The kind of task, if the format states it.
    pub task: Option<TaskKind>,
    /// The labels of the head, if they are known.
    pub labels: Option<Vec<String>>,
    /// The tags of the head for words, if the format has one.
    pub tags: Option<Vec<String>>,
    /// Every tensor.
    pub tensors: Vec<TensorInfo>,
    /// The number of values of all tensors.
    pub parameters: usize,
}

/// A tensor's name and shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Its name in the file.
    pub name: String,
    /// The extent of each axis.
    pub shape: Vec<usize>,
}

/// Describes what is at `path`. An adapter that can be described cannot always be imported.
///
/// # Errors
/// As [`Format::detect`], and [`Code::AdapterMalformed`] naming the file.
pub fn describe(path: &Path) -> Result<Description> {
    let format = Format::detect(path)?;
    let found = match format {
        Format::Own => own(path)?,
        Format::OnnxAdapter => {
            let bytes = files::read(path, ADAPTER_BYTES_MAX)?;
            let tensors = infos(&ort_adapter::parse(path, &bytes)?);
            Description { tensors, ..Description::default() }
        }
        Format::Peft => {
            let (settings, labels, tensors) = peft::describe(path)?;
            Description { settings, labels, tensors: listed(&tensors), ..Description::default() }
        }
        Format::AdapterHub => {
            let (settings, labels, tensors) = adapterhub::describe(path)?;
            let tensors = tensors.iter().flat_map(listed).collect();
            Description { settings, labels, tensors, ..Description::default() }
        }
    };
    let parameters = found.tensors.iter().map(|info| info.shape.iter().product::<usize>()).sum();
    Ok(Description { format: format.name(), parameters, ..found })
}

fn own(path: &Path) -> Result<Description> {
    let bytes = files::read(path, ADAPTER_BYTES_MAX)?;
    let adapter = Adapter::from_bytes(&bytes).map_err(|error| in_file(error, path))?;
    let mut settings = vec![("backbone".to_owned(), format!("{:?}", adapter.backbone))];
    if let Some(reading) = &adapter.reading {
        let identity = reading.identity(&adapter.backbone);
        settings.push(("identity".to_owned(), format!("{identity:?}")));
        settings.push(("reading".to_owned(), json_text("a reading", reading)?));
    }
    for (position, component) in adapter.components.iter().enumerate() {
        settings.push((format!("component {position}"), json_text("a component", component)?));
    }
    Ok(Description {
        settings,
        task: Some(adapter.task),
        tensors: infos(&adapter.tensors),
        labels: Some(adapter.labels),
        tags: Some(adapter.tags),
        ..Description::default()
    })
}

fn json_text(what: &str, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|cause| Error::new(Code::Internal, format!("writing {what} as JSON: {cause}")))
}

fn infos(tensors: &BTreeMap<String, Tensor>) -> Vec<TensorInfo> {
    let info = |(name, tensor): (&String, &Tensor)| TensorInfo {
        name: name.clone(),
        shape: tensor.shape.clone(),
    };
    tensors.iter().map(info).collect()
}

fn listed(tensors: &TensorFile) -> Vec<TensorInfo> {
    let info = |name: &str| TensorInfo {
        name: name.to_owned(),
        shape: tensors.shape(name).unwrap_or_default().to_vec(),
    };
    tensors.names().map(info).collect()
}
