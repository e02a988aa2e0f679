//! Reads a folder of AdapterHub.

use super::folder::{
    AdapterFolder, HEAD_CONFIG_NAME, HEAD_PICKLE_NAME, HEAD_TENSORS_NAME, WITHOUT_EFFECT,
};
use super::{bottleneck, lora};
use crate::error::Result;
use crate::exchange::fields::Fields;
use crate::exchange::head::{self, Head};
use crate::exchange::message::unsupported;
use crate::exchange::options::{Backbone, Imported, ReadOptions};
use crate::exchange::tensors::TensorFile;
use serde_json::Value;
use std::path::Path;

const FUSION_NAME: &str = "adapter_fusion_config.json";
pub fn read(folder: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Imported> {
    let fusion = folder.join(FUSION_NAME);
    if fusion.exists() {
        let message = "AdapterFusion attends over several adapters, which has no place here";
        return Err(unsupported(&fusion, message));
    }
    let mut source = AdapterFolder::open(folder, backbone)?;
    let architecture = source.config.text("architecture")?;
    let (component, tensors) = match architecture.as_deref() {
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
    let adapter = head::assemble(backbone, component, tensors, head);
    Ok(Imported { adapter, notes: source.notes })
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
    let mut outer = Fields::open(&file)?;
    let (name, config) = (outer.text("name")?, outer.object("config")?);
    let name = outer.required("name", name)?;
    let mut config = outer.required("config", config)?;
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
                       backbone's bundle pools otherwise";
        return Err(unsupported(&file, message));
    }
    let labels = head::labels(&mut config)?;
    config.ignore(&["num_labels", "activation_function", "bias", "dropout_prob"]);
    config.finish(&[])?;
    let mut tensors = TensorFile::open(folder, HEAD_TENSORS_NAME, HEAD_PICKLE_NAME)?;
    let head = Head::take(&mut tensors, &format!("heads.{name}.1"), labels, backbone, options)?;
    tensors.finish()?;
    Ok(Some(head))
}
