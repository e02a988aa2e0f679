//! What a file or folder holds, without a backbone: for people who look before they import.

use super::files::{self, CONFIG_BYTES_MAX};
use super::tensors::TensorFile;
use super::{CONFIG_NAME, Format, adapterhub, fields::Fields, in_file, ort_adapter, peft};
use crate::adapter::{ADAPTER_BYTES_MAX, Adapter, Component, Tensor};
use crate::error::{Code, Error, Result};
use crate::example::TaskKind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What an adapter's file or folder holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// The name of the format.
    pub format: &'static str,
    /// What the configuration says, by field; values are JSON.
    pub settings: Vec<(String, String)>,
    /// The kind of answers, where the format says it.
    pub task: Option<TaskKind>,
    /// The labels of the head, where they are known.
    pub labels: Option<Vec<String>>,
    /// The tags of the head for words, where the format has one.
    pub tags: Option<Vec<String>>,
    /// Every tensor.
    pub tensors: Vec<TensorInfo>,
    /// How many numbers all tensors have together.
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

/// Reads what lies at `path`. That an adapter can be described does not mean that it can be read.
///
/// # Errors
/// As [`Format::detect`], and [`Code::AdapterMalformed`] naming the file.
pub fn describe(path: &Path) -> Result<Description> {
    let format = Format::detect(path)?;
    let Parts { settings, task, labels, tags, tensors } = match format {
        Format::Own => own(path)?,
        Format::OnnxAdapter => {
            let bytes = files::read(path, ADAPTER_BYTES_MAX)?;
            Parts { tensors: infos(&ort_adapter::parse(path, &bytes)?), ..Parts::default() }
        }
        Format::Peft => {
            let tensors = listed(&peft::open_tensors(path)?);
            let settings = peft::settings(&mut peft::open_config(path)?);
            Parts { settings, labels: peft::folder_labels(path)?, tensors, ..Parts::default() }
        }
        Format::AdapterHub => {
            let file = path.join(CONFIG_NAME);
            let mut outer = Fields::parse(&file, &files::read(&file, CONFIG_BYTES_MAX)?)?;
            let settings = adapterhub::settings(&mut outer)?;
            let tensors = adapterhub::open_all(path)?;
            let tensors = tensors.iter().flat_map(listed).collect();
            let labels = adapterhub::folder_labels(path)?;
            Parts { settings, labels, tensors, ..Parts::default() }
        }
    };
    let parameters = tensors.iter().map(|info| info.shape.iter().product::<usize>()).sum();
    let format = format.name();
    Ok(Description { format, settings, task, labels, tags, tensors, parameters })
}

/// What each format says in its own way.
#[derive(Default)]
struct Parts {
    settings: Vec<(String, String)>,
    task: Option<TaskKind>,
    labels: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    tensors: Vec<TensorInfo>,
}

fn own(path: &Path) -> Result<Parts> {
    let bytes = files::read(path, ADAPTER_BYTES_MAX)?;
    let adapter = Adapter::from_bytes(&bytes).map_err(|error| in_file(error, path))?;
    let mut settings = vec![("backbone".to_owned(), format!("{:?}", adapter.backbone))];
    if let Some(reading) = &adapter.reading {
        let text = serde_json::to_string(reading).map_err(|cause| {
            Error::new(Code::Internal, format!("writing a reading as JSON: {cause}"))
        })?;
        settings
            .push(("identity".to_owned(), format!("{:?}", reading.identity(&adapter.backbone))));
        settings.push(("reading".to_owned(), text));
    }
    for (position, part) in adapter.components.iter().enumerate() {
        settings.push((format!("part {position}"), part_text(part)?));
    }
    Ok(Parts {
        settings,
        task: Some(adapter.task),
        tensors: infos(&adapter.tensors),
        labels: Some(adapter.labels),
        tags: Some(adapter.tags),
    })
}

fn part_text(part: &Component) -> Result<String> {
    serde_json::to_string(part)
        .map_err(|cause| Error::new(Code::Internal, format!("writing a part as JSON: {cause}")))
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
