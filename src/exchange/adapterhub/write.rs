//! Writes a folder that AdapterHub's library reads.
//!
//! The names of modules depend on the architecture. This module writes those of BERT and of models
//! with the same structure (`query`, `key`, `value`, `intermediate.dense`, `output.dense`).

use super::folder::{HEAD_CONFIG_NAME, HEAD_TENSORS_NAME, TENSORS_NAME};
use super::selection::{Composition, LoraSelection, no_setting};
use crate::adapter::{
    Activation, Adapter, BottleneckConfig, BottleneckTensor, Component, Placement, Tensor, TensorId,
};
use crate::error::{Code, Error, Result};
use crate::exchange::format::CONFIG_NAME;
use crate::exchange::head::label_maps;
use crate::exchange::message::unsupported;
use crate::exchange::options::{Backbone, WriteOptions};
use crate::exchange::output::{Paths, head_tensors, json_bytes, number, only_component};
use crate::exchange::tensors::{reshaped, serialize, transposed};
use crate::files::write_new_folder;
use crate::sites::Site;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The default name of an adapter.
const NAME: &str = "polygraft";
/// The library version whose settings are written.
const VERSION: &str = "adapters.1.3.0";
/// The architectures that name their modules as BERT does, with the library's class.
const MODELS: [(&str, &str); 4] = [
    ("bert", "BertAdapterModel"),
    ("electra", "ElectraAdapterModel"),
    ("roberta", "RobertaAdapterModel"),
    ("xlm-roberta", "XLMRobertaAdapterModel"),
];
/// The library's names of a bottleneck's tensors, in the order of [`BottleneckTensor::ALL`].
const BOTTLENECK_TENSORS: [&str; 4] =
    ["adapter_down.0.weight", "adapter_down.0.bias", "adapter_up.weight", "adapter_up.bias"];

pub fn write(
    adapter: &Adapter,
    folder: &Path,
    backbone: &Backbone<'_>,
    options: &WriteOptions,
) -> Result<()> {
    let component = only_component(adapter, "AdapterHub", folder)?;
    let name = adapter_name(options)?;
    let sites = component.select(backbone.sites)?;
    let writer = Writer { folder, adapter, name, paths: Paths::new(options, &sites) };
    let Contents { setting, tensors } = writer.contents(component, &sites, backbone.sites)?;
    let (model_type, model_class) = model(folder, options)?;
    let described = |setting: Value| {
        json!({
            "config": setting,
            "hidden_size": backbone.hidden,
            "model_class": model_class,
            "model_type": model_type,
            "name": name,
            "version": VERSION,
        })
    };
    let mut files =
        vec![(CONFIG_NAME, json_bytes(&described(setting))), (TENSORS_NAME, serialize(&tensors)?)];
    if !options.without_head && !adapter.labels.is_empty() {
        if !backbone.first_token {
            let message = "AdapterHub's heads read the hidden state of the first token, but this \
                           backbone's bundle pools otherwise; leave the head out";
            return Err(unsupported(folder, message));
        }
        let Contents { setting, tensors } = head(adapter, name)?;
        files.push((HEAD_CONFIG_NAME, json_bytes(&described(setting))));
        files.push((HEAD_TENSORS_NAME, serialize(&tensors)?));
    }
    write_new_folder(folder, &files)
}

/// The name that the library knows the adapter by.
fn adapter_name(options: &WriteOptions) -> Result<&str> {
    let name = options.name.as_deref().unwrap_or(NAME);
    if name.is_empty() || name.contains(['.', '/']) {
        let message = format!("name: expected text without dots and slashes, found {name:?}");
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    Ok(name)
}

/// The architecture and its model class; only this class accepts the head.
fn model(folder: &Path, options: &WriteOptions) -> Result<(&'static str, &'static str)> {
    let encoder = if options.encoder.is_empty() { "bert" } else { options.encoder.as_str() };
    let given = options.model_type.as_deref().unwrap_or(encoder);
    MODELS.into_iter().find(|(model_type, _)| *model_type == given).ok_or_else(|| {
        let known: Vec<&str> = MODELS.iter().map(|(model_type, _)| *model_type).collect();
        let message = format!("model_type: expected one of {}, found {given:?}", known.join(", "));
        unsupported(folder, message)
    })
}

/// A setting of the library and the tensors that go with it.
struct Contents {
    setting: Value,
    tensors: BTreeMap<String, Tensor>,
}

/// What the setting and the tensors of a folder are made from.
struct Writer<'a> {
    folder: &'a Path,
    adapter: &'a Adapter,
    /// The library's name of the adapter.
    name: &'a str,
    paths: Paths,
}

impl Writer<'_> {
    /// The contents for a component on `sites`, among all sites of the backbone.
    fn contents(&self, component: &Component, sites: &[&Site], all: &[Site]) -> Result<Contents> {
        let selection = || LoraSelection::of(self.folder, &self.paths.within, sites, all);
        match component {
            Component::Bottleneck(config) => {
                let tensors = self.bottleneck_tensors(sites)?;
                Ok(Contents { setting: bottleneck_setting(config), tensors })
            }
            Component::Lora(config) => {
                if !config.rank_pattern.is_empty() || !config.alpha_pattern.is_empty() {
                    let message = "ranks and scales by module have no place in AdapterHub's LoRA";
                    return Err(unsupported(self.folder, message));
                }
                let rank = config.rank as f64;
                let alpha = config.alpha * if config.rank_stabilized { rank.sqrt() } else { 1.0 };
                let setting = selection()?.setting(Composition::Add, config.rank, alpha);
                Ok(Contents { setting, tensors: self.lora_tensors(sites)? })
            }
            Component::Ia3(config) => {
                if let Some(site) = sites.iter().find(|site| config.is_on_input(site)) {
                    let message = format!(
                        "{}: AdapterHub's (IA)3 multiplies outputs, not inputs",
                        site.module
                    );
                    return Err(unsupported(self.folder, message));
                }
                let setting = selection()?.setting(Composition::Scale, 1, 1.0);
                Ok(Contents { setting, tensors: self.ia3_tensors(sites)? })
            }
        }
    }

    fn bottleneck_tensors(&self, sites: &[&Site]) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for site in sites {
            let Some((module, "dense")) = site.module.rsplit_once('.') else {
                return Err(no_setting(self.folder, site));
            };
            let start = format!("{}.adapters.{}.", self.paths.of(module), self.name);
            for (own, theirs) in BottleneckTensor::ALL.iter().zip(BOTTLENECK_TENSORS) {
                let id = TensorId::Bottleneck { module: &site.module, slot: 0, tensor: *own };
                let value = transposed(self.adapter.tensor(&id.to_string())?);
                tensors.insert(format!("{start}{theirs}"), value);
            }
        }
        Ok(tensors)
    }

    fn lora_tensors(&self, sites: &[&Site]) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for site in sites {
            for (own, theirs) in [
                (TensorId::LoraA(&site.module).to_string(), "lora_A"),
                (TensorId::LoraB(&site.module).to_string(), "lora_B"),
            ] {
                let value = transposed(self.adapter.tensor(&own)?);
                tensors.insert(self.lora_name(site, theirs), value);
            }
        }
        Ok(tensors)
    }

    fn ia3_tensors(&self, sites: &[&Site]) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for site in sites {
            let factors = self.adapter.tensor(&TensorId::Ia3(&site.module, None).to_string())?;
            let value = reshaped(factors, &[site.outputs, 1]);
            tensors.insert(self.lora_name(site, "lora_B"), value);
        }
        Ok(tensors)
    }

    /// The library's name of a tensor of LoRA, or of (IA)3, which it keeps as LoRA.
    fn lora_name(&self, site: &Site, tensor: &str) -> String {
        format!("{}.loras.{}.{tensor}", self.paths.of(&site.module), self.name)
    }
}

fn bottleneck_setting(config: &BottleneckConfig) -> Value {
    let activation = match config.activation {
        Activation::Relu => "relu",
        Activation::Gelu => "gelu",
        Activation::Silu => "swish",
    };
    json!({
        "adapter_residual_before_ln": false,
        "cross_adapter": false,
        "is_parallel": config.placement == Placement::Parallel,
        "leave_out": [],
        "ln_after": false,
        "ln_before": false,
        "mh_adapter": config.attention,
        "non_linearity": activation,
        "original_ln_after": true,
        "original_ln_before": config.placement == Placement::AfterNorm,
        "output_adapter": config.feed_forward,
        "reduction_factor": number(config.reduction_factor),
        "residual_before_ln": true,
        // The library does not accept an integer as a number here.
        "scaling": config.scale,
    })
}

fn head(adapter: &Adapter, name: &str) -> Result<Contents> {
    let (_, by_label) = label_maps(&adapter.labels);
    let setting = json!({
        "head_type": "classification",
        "num_labels": adapter.labels.len(),
        "layers": 1,
        "activation_function": "tanh",
        "label2id": by_label,
        "use_pooler": false,
        "bias": true,
        "dropout_prob": null,
    });
    let tensors = head_tensors(adapter, &format!("heads.{name}.1"))?;
    Ok(Contents { setting, tensors: tensors.into() })
}
