//! Writes a folder that PEFT reads.
//!
//! Every module is named by its whole path, so that PEFT adapts exactly these modules and no other
//! one with a similar name.

use super::folder::{MODEL_CONFIG_NAME, PREFIX, TENSORS_NAME};
use super::{ia3, lora};
use crate::adapter::{Adapter, Component, Ia3Config, LoraConfig, Tensor, TensorId};
use crate::error::Result;
use crate::exchange::format::CONFIG_NAME;
use crate::exchange::head::label_maps;
use crate::exchange::message::unsupported;
use crate::exchange::options::{Backbone, WriteOptions};
use crate::exchange::output::{Paths, head_tensors, json_bytes, number, only_component};
use crate::exchange::tensors::{reshaped, serialize, transposed};
use crate::files::write_new_folder;
use crate::sites::Site;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const HEAD_MODULE: &str = "classifier";

pub fn write(
    adapter: &Adapter,
    folder: &Path,
    backbone: &Backbone<'_>,
    options: &WriteOptions,
) -> Result<()> {
    let component = only_component(adapter, "PEFT", folder)?;
    let sites = component.select(backbone.sites)?;
    let paths = Paths::new(options, &sites);
    let mut tensors = BTreeMap::new();
    let mut config = match component {
        Component::Lora(lora) => lora_files(adapter, lora, &sites, &paths, &mut tensors),
        Component::Ia3(ia3) => ia3_files(adapter, ia3, &sites, &paths, &mut tensors),
        Component::Bottleneck(_) => {
            return Err(unsupported(folder, "PEFT has no bottleneck adapters; AdapterHub has"));
        }
    }?;
    let mut files = Vec::new();
    if !options.without_head && !adapter.labels.is_empty() {
        let module = options.head_module.as_deref().unwrap_or(HEAD_MODULE);
        tensors.extend(head_tensors(adapter, &format!("{PREFIX}{module}"))?);
        config.insert("modules_to_save".to_owned(), json!([module]));
        let (by_number, by_label) = label_maps(&adapter.labels);
        let labels = json!({"id2label": by_number, "label2id": by_label});
        files.push((MODEL_CONFIG_NAME, json_bytes(&labels)));
    }
    files.push((CONFIG_NAME, json_bytes(&Value::Object(config))));
    files.push((TENSORS_NAME, serialize(&tensors)?));
    write_new_folder(folder, &files)
}

/// The configuration of a kind, with its `own` fields.
fn config(kind: &str, own: Value) -> Map<String, Value> {
    let common = json!({
        "peft_type": kind,
        "auto_mapping": null,
        "base_model_name_or_path": null,
        "exclude_modules": null,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "modules_to_save": null,
        "revision": null,
        "task_type": null,
    });
    let mut fields = Map::new();
    for part in [common, own] {
        fields.extend(part.as_object().cloned().unwrap_or_default());
    }
    fields
}

fn lora_files(
    adapter: &Adapter,
    settings: &LoraConfig,
    sites: &[&Site],
    paths: &Paths,
    tensors: &mut BTreeMap<String, Tensor>,
) -> Result<Map<String, Value>> {
    let (mut ranks, mut alphas) = (Map::new(), Map::new());
    let mut targets = Vec::new();
    for site in sites {
        let path = paths.of(&site.module);
        let down = transposed(adapter.tensor(&TensorId::LoraA(&site.module).to_string())?);
        let up = transposed(adapter.tensor(&TensorId::LoraB(&site.module).to_string())?);
        tensors.insert(format!("{PREFIX}{path}{}", lora::SUFFIX_A), down);
        tensors.insert(format!("{PREFIX}{path}{}", lora::SUFFIX_B), up);
        let (rank, alpha) = (settings.rank_of(&site.module), settings.alpha_of(&site.module));
        if rank != settings.rank {
            ranks.insert(path.clone(), rank.into());
        }
        if alpha != settings.alpha {
            alphas.insert(path.clone(), number(alpha));
        }
        targets.push(path);
    }
    let own = json!({
        "r": settings.rank,
        "lora_alpha": number(settings.alpha),
        "use_rslora": settings.rank_stabilized,
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "target_modules": targets,
        "bias": "none",
        "init_lora_weights": true,
        "lora_dropout": 0.0,
    });
    Ok(config("LORA", own))
}

fn ia3_files(
    adapter: &Adapter,
    settings: &Ia3Config,
    sites: &[&Site],
    paths: &Paths,
    tensors: &mut BTreeMap<String, Tensor>,
) -> Result<Map<String, Value>> {
    let (mut targets, mut feed_forward) = (Vec::new(), Vec::new());
    for site in sites {
        let path = paths.of(&site.module);
        let factors = adapter.tensor(&TensorId::Ia3(&site.module, None).to_string())?;
        let count = factors.values.len();
        let shape = if settings.is_on_input(site) {
            feed_forward.push(path.clone());
            [1, count]
        } else {
            [count, 1]
        };
        tensors.insert(format!("{PREFIX}{path}{}", ia3::SUFFIX), reshaped(factors, &shape));
        targets.push(path);
    }
    let own = json!({
        "target_modules": targets,
        "feedforward_modules": feed_forward,
        "init_ia3_weights": true,
    });
    Ok(config("IA3", own))
}
