//! Adapters of AdapterHub's library `adapters`: a folder with `adapter_config.json` and
//! `adapter.safetensors`, and with `head_config.json` and `model_head.safetensors` for a head.
//!
//! A bottleneck's tensors are called after the module whose output it changes,
//! `<path>.adapters.<name>.adapter_down.0.weight`; LoRA and (IA)3 after the linear layer itself,
//! `<path>.loras.<name>.lora_A`. What each setting does is in `methods/modeling.py` and
//! `methods/lora.py` of the library; those that compute something else than the kinds here do are
//! refused.

mod bottleneck;
mod lora;
mod write;

pub use write::write;

use super::fields::{Fields, shown};
use super::files::{CONFIG_BYTES_MAX, read as read_file};
use super::head::{self, Head};
use super::tensors::TensorFile;
use super::{Backbone, CONFIG_NAME, Imported, ReadOptions, malformed, pickled, unsupported};
use crate::adapter::ADAPTER_BYTES_MAX;
use crate::error::Result;
use serde_json::Value;
use std::path::Path;

/// The file with the adapter's tensors.
pub const TENSORS_NAME: &str = "adapter.safetensors";
/// The same in a form that is not read.
const PICKLE_NAME: &str = "pytorch_adapter.bin";
/// The configuration of the head.
pub const HEAD_CONFIG_NAME: &str = "head_config.json";
/// The file with the head's tensors.
pub const HEAD_TENSORS_NAME: &str = "model_head.safetensors";
/// The same in a form that is not read.
const HEAD_PICKLE_NAME: &str = "pytorch_model_head.bin";
/// The configuration of an AdapterFusion.
const FUSION_NAME: &str = "adapter_fusion_config.json";
/// What the version of this library begins with; others wrote other settings under the same names.
const VERSION_PREFIX: &str = "adapters.";

/// Fields beside the settings that say where an adapter comes from.
const WITHOUT_EFFECT: [&str; 5] = ["model_class", "model_name", "model_type", "type", "version"];

/// The settings of an adapter and what stands beside them.
struct Source {
    name: String,
    config: Fields,
    tensors: TensorFile,
    /// The library's version, if it is one of 1.0 or newer.
    version: String,
    model_type: String,
    /// What there is to tell of the translation.
    notes: Vec<String>,
}

/// Reads a folder.
pub fn read(folder: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Imported> {
    let fusion = folder.join(FUSION_NAME);
    if fusion.exists() {
        let message = "AdapterFusion attends over several adapters, which has no place here";
        return Err(unsupported(&fusion, message));
    }
    let mut source = open(folder, backbone)?;
    let architecture = source.config.text("architecture")?;
    let (part, tensors) = match architecture.as_deref() {
        None | Some("bottleneck") => bottleneck::read(&mut source, backbone, options)?,
        Some("lora") => lora::read(&mut source, backbone, options)?,
        Some(other) => {
            let message = format!(
                "architecture: expected null (bottleneck) or \"lora\", found {other:?}, which \
                 computes something that no kind here does"
            );
            return Err(unsupported(source.config.file(), message));
        }
    };
    let head = read_head(folder, backbone, options)?;
    source.tensors.finish()?;
    let head = head.or_else(|| Head::zeros(backbone, options));
    let adapter = head::assemble(backbone, part, tensors, head);
    Ok(Imported { adapter, notes: source.notes })
}

/// Reads the configuration around the settings, and the tensors.
fn open(folder: &Path, backbone: &Backbone<'_>) -> Result<Source> {
    let file = folder.join(CONFIG_NAME);
    let mut outer = Fields::parse(&file, &read_file(&file, CONFIG_BYTES_MAX)?)?;
    let missing = |field: &str| malformed(&file, format!("{field}: expected it, found nothing"));
    // Other versions keep other things under the same names, so theirs comes first.
    let version = outer.text("version")?.unwrap_or_default();
    if !version.starts_with(VERSION_PREFIX) {
        let message = format!(
            "version: expected {VERSION_PREFIX}*, found {version:?}; load the adapter in Python \
             with the library adapters and save it again"
        );
        return Err(unsupported(&file, message));
    }
    let name = outer.text("name")?.ok_or_else(|| missing("name"))?;
    let config = outer.object("config")?.ok_or_else(|| missing("config"))?;
    let model_type = outer.text("model_type")?.unwrap_or_default();
    if let Some(hidden) = outer.take("hidden_size")
        && hidden != backbone.hidden
    {
        let (expected, found) = (backbone.hidden, shown(&hidden));
        let message = format!(
            "hidden_size: expected {expected} on this backbone, found {found}: the adapter belongs \
             to a model of another size"
        );
        return Err(unsupported(&file, message));
    }
    outer.ignore(&WITHOUT_EFFECT);
    outer.finish(&[])?;
    let tensors = open_tensors(folder, TENSORS_NAME, PICKLE_NAME)?;
    Ok(Source { name, config, tensors, version, model_type, notes: Vec::new() })
}

fn open_tensors(folder: &Path, name: &str, pickle: &str) -> Result<TensorFile> {
    let (file, pickle) = (folder.join(name), folder.join(pickle));
    if !file.exists() && pickle.exists() {
        return Err(pickled(&pickle));
    }
    TensorFile::parse(&file, &read_file(&file, ADAPTER_BYTES_MAX)?)
}

/// Reads the head, if there is one.
fn read_head(
    folder: &Path,
    backbone: &Backbone<'_>,
    options: &ReadOptions,
) -> Result<Option<Head>> {
    let file = folder.join(HEAD_CONFIG_NAME);
    if !file.exists() {
        return Ok(None);
    }
    let mut outer = Fields::parse(&file, &read_file(&file, CONFIG_BYTES_MAX)?)?;
    let missing = |field: &str| malformed(&file, format!("{field}: expected it, found nothing"));
    let name = outer.text("name")?.ok_or_else(|| missing("name"))?;
    let mut config = outer.object("config")?.ok_or_else(|| missing("config"))?;
    outer.ignore(&["hidden_size"]);
    outer.ignore(&WITHOUT_EFFECT);
    outer.finish(&[])?;
    let expected = [
        ("head_type", Value::from("classification"), "only classification heads are read"),
        ("layers", Value::from(1), "expected one linear layer"),
    ];
    for (field, expected, reason) in expected {
        match config.take(field) {
            Some(found) if found == expected => {}
            found => return Err(config.refused(field, &found.unwrap_or_default(), reason)),
        }
    }
    if config.flag("use_pooler", false)? {
        let reason = "the pooler between hidden states and head has no place here";
        return Err(config.refused("use_pooler", &true.into(), reason));
    }
    if !backbone.first_token {
        let message = "AdapterHub's heads read the hidden state of the first token, but this \
                       backbone's bundle takes the mean";
        return Err(unsupported(&file, message));
    }
    let labels = head::labels(&mut config)?;
    config.ignore(&["num_labels", "activation_function", "bias", "dropout_prob"]);
    config.finish(&[])?;
    let mut tensors = open_tensors(folder, HEAD_TENSORS_NAME, HEAD_PICKLE_NAME)?;
    let head = Head::take(&mut tensors, &format!("heads.{name}.1"), labels, backbone, options)?;
    tensors.finish()?;
    Ok(Some(head))
}

/// The labels of a folder's head, if it has one with labels.
pub fn folder_labels(folder: &Path) -> Result<Option<Vec<String>>> {
    let file = folder.join(HEAD_CONFIG_NAME);
    if !file.exists() {
        return Ok(None);
    }
    let mut outer = Fields::parse(&file, &read_file(&file, CONFIG_BYTES_MAX)?)?;
    outer.object("config")?.map_or(Ok(None), |mut config| head::labels(&mut config))
}

/// The tensors of a folder: of the adapter and, where it has one, of the head.
pub fn open_all(folder: &Path) -> Result<Vec<TensorFile>> {
    let mut files = vec![open_tensors(folder, TENSORS_NAME, PICKLE_NAME)?];
    if folder.join(HEAD_CONFIG_NAME).exists() {
        files.push(open_tensors(folder, HEAD_TENSORS_NAME, HEAD_PICKLE_NAME)?);
    }
    Ok(files)
}

/// The settings as texts, to be shown.
pub fn settings(outer: &mut Fields) -> Result<Vec<(String, String)>> {
    let mut config = outer.object("config")?;
    let outside = ["name", "model_type", "version"];
    let inside = ["architecture", "r", "alpha", "attn_matrices", "composition_mode"];
    let more = ["reduction_factor", "non_linearity", "is_parallel", "mh_adapter", "output_adapter"];
    let line = |name: &str, value: Value| (name.to_owned(), shown(&value));
    let mut lines: Vec<_> =
        outside.iter().filter_map(|name| Some(line(name, outer.take(name)?))).collect();
    if let Some(config) = &mut config {
        let names = inside.iter().chain(&more);
        lines.extend(names.filter_map(|name| Some(line(name, config.take(name)?))));
    }
    Ok(lines)
}

/// The number of the layer that a module path lies in: the first part that is a number behind what
/// stands in front of the model's own names.
fn layer_number(module: &str, before: &str) -> Option<usize> {
    let module = module.strip_prefix(before).unwrap_or(module);
    module.split('.').find_map(|part| part.parse().ok())
}
