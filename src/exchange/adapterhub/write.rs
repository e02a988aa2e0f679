//! Writes a folder that AdapterHub's library reads.
//!
//! A setting there selects kinds of modules in every layer, by names that depend on the
//! architecture. This module writes the names of BERT and of models with the same structure
//! (`query`, `key`, `value`, `intermediate.dense`, `output.dense`), and refuses a set of modules
//! that no setting selects.

use super::folder::{HEAD_CONFIG_NAME, HEAD_TENSORS_NAME, TENSORS_NAME};
use crate::adapter::{
    Activation, Adapter, BottleneckConfig, BottleneckTensor, Component, Placement, Tensor, TensorId,
};
use crate::error::{Code, Error, Result};
use crate::exchange::format::CONFIG_NAME;
use crate::exchange::head::label_maps;
use crate::exchange::message::unsupported;
use crate::exchange::options::{Backbone, WriteOptions};
use crate::exchange::output::{Paths, head_tensors, json_bytes, number, only_component};
use crate::exchange::prefix::layer_number;
use crate::exchange::tensors::{reshaped, serialize, transposed};
use crate::files::write_new_folder;
use crate::sites::{Role, Site};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
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
/// The modules of an attention that a setting selects, with their letters.
const ATTENTION: [(&str, &str); 3] = [("query", "q"), ("key", "k"), ("value", "v")];

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
    let name = options.name.as_deref().unwrap_or(NAME);
    if name.is_empty() || name.contains(['.', '/']) {
        let message = format!("name: expected text without dots and slashes, found {name:?}");
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    let sites = component.select(backbone.sites)?;
    let paths = Paths::new(options, &sites);
    let mut output = Output { folder, adapter, name, paths, tensors: BTreeMap::new() };
    let settings = match component {
        Component::Bottleneck(config) => output.bottleneck(config, &sites)?,
        Component::Lora(config) => {
            if !config.rank_pattern.is_empty() || !config.alpha_pattern.is_empty() {
                let message = "ranks and scales by module have no place in AdapterHub's LoRA";
                return Err(unsupported(folder, message));
            }
            let rank = config.rank as f64;
            let alpha = config.alpha * if config.rank_stabilized { rank.sqrt() } else { 1.0 };
            output.loras(&sites, backbone.sites, false, config.rank, alpha)?
        }
        Component::Ia3(config) => {
            if let Some(site) = sites.iter().find(|site| config.is_on_input(site)) {
                let message =
                    format!("{}: AdapterHub's (IA)3 multiplies outputs, not inputs", site.module);
                return Err(unsupported(folder, message));
            }
            output.loras(&sites, backbone.sites, true, 1, 1.0)?
        }
    };
    let (model_type, model_class) = model(folder, options)?;
    let described = |settings: Value| {
        json!({
            "config": settings,
            "hidden_size": backbone.hidden,
            "model_class": model_class,
            "model_type": model_type,
            "name": name,
            "version": VERSION,
        })
    };
    let mut files = vec![
        (CONFIG_NAME, json_bytes(&described(settings))),
        (TENSORS_NAME, serialize(&output.tensors)?),
    ];
    if !options.without_head && !adapter.labels.is_empty() {
        if !backbone.first_token {
            let message = "AdapterHub's heads read the hidden state of the first token, but this \
                           backbone's bundle pools otherwise; leave the head out";
            return Err(unsupported(folder, message));
        }
        let (settings, tensors) = head(adapter, name)?;
        files.push((HEAD_CONFIG_NAME, json_bytes(&described(settings))));
        files.push((HEAD_TENSORS_NAME, serialize(&tensors)?));
    }
    write_new_folder(folder, &files)
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

/// The state of a folder that is being written.
struct Output<'a> {
    folder: &'a Path,
    adapter: &'a Adapter,
    name: &'a str,
    paths: Paths,
    tensors: BTreeMap<String, Tensor>,
}

impl Output<'_> {
    fn bottleneck(&mut self, config: &BottleneckConfig, sites: &[&Site]) -> Result<Value> {
        for site in sites {
            let Some((module, "dense")) = site.module.rsplit_once('.') else {
                return Err(self.unknown(site));
            };
            let start = format!("{}.adapters.{}.", self.paths.of(module), self.name);
            for (own, theirs) in BottleneckTensor::ALL.iter().zip(BOTTLENECK_TENSORS) {
                let id = TensorId::Bottleneck { module: &site.module, slot: 0, tensor: *own };
                let value = transposed(self.adapter.tensor(&id.to_string())?);
                self.tensors.insert(format!("{start}{theirs}"), value);
            }
        }
        let activation = match config.activation {
            Activation::Relu => "relu",
            Activation::Gelu => "gelu",
            Activation::Silu => "swish",
        };
        Ok(json!({
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
        }))
    }

    fn loras(
        &mut self,
        sites: &[&Site],
        all: &[Site],
        scales: bool,
        rank: usize,
        alpha: f64,
    ) -> Result<Value> {
        let layers: BTreeSet<usize> = sites
            .iter()
            .filter_map(|site| layer_number(&site.module, &self.paths.within))
            .collect();
        let others = all.iter().filter_map(|site| layer_number(&site.module, &self.paths.within));
        let leave_out: BTreeSet<usize> = others.filter(|layer| !layers.contains(layer)).collect();
        let is_left = |site: &&Site| {
            layer_number(&site.module, &self.paths.within)
                .is_some_and(|layer| leave_out.contains(&layer))
        };
        let all: Vec<&Site> = all.iter().filter(|site| !is_left(site)).collect();
        let all = all.as_slice();
        let mut letters = Vec::new();
        for (name, letter) in ATTENTION {
            if self.chooses(sites, all, |site| is_attention(site, name))? {
                letters.push(letter);
            }
        }
        let intermediate = self.chooses(sites, all, |site| site.role == Role::FeedForwardInput)?;
        let output = self.chooses(sites, all, |site| site.role == Role::FeedForwardOutput)?;
        let is_known = |site: &Site| {
            let in_attention = ATTENTION.iter().any(|(name, _)| is_attention(site, name));
            in_attention || [Role::FeedForwardInput, Role::FeedForwardOutput].contains(&site.role)
        };
        if let Some(site) = sites.iter().find(|site| !is_known(site)) {
            return Err(self.unknown(site));
        }
        for site in sites {
            let start = format!("{}.loras.{}.", self.paths.of(&site.module), self.name);
            if scales {
                let factors =
                    self.adapter.tensor(&TensorId::Ia3(&site.module, None).to_string())?;
                let value = reshaped(factors, &[site.outputs, 1]);
                self.tensors.insert(format!("{start}lora_B"), value);
            } else {
                for (own, theirs) in [
                    (TensorId::LoraA(&site.module).to_string(), "lora_A"),
                    (TensorId::LoraB(&site.module).to_string(), "lora_B"),
                ] {
                    let value = transposed(self.adapter.tensor(&own)?);
                    self.tensors.insert(format!("{start}{theirs}"), value);
                }
            }
        }
        Ok(json!({
            "architecture": "lora",
            "alpha": number(alpha),
            "attn_matrices": letters,
            "composition_mode": if scales { "scale" } else { "add" },
            "dropout": 0.0,
            "init_weights": if scales { "ia3" } else { "lora" },
            "intermediate_lora": intermediate,
            "leave_out": leave_out,
            "output_lora": output,
            "r": rank,
            "selfattn_lora": !letters.is_empty(),
            "use_dora": false,
            "use_gating": false,
        }))
    }

    /// Whether a setting for these modules is on; it applies to all of them or to none.
    fn chooses(
        &self,
        sites: &[&Site],
        all: &[&Site],
        meant: impl Fn(&Site) -> bool,
    ) -> Result<bool> {
        let is_chosen = |site: &&Site| sites.iter().any(|one| one.module == site.module);
        let (chosen, left): (Vec<&Site>, Vec<&Site>) =
            all.iter().copied().filter(|site| meant(site)).partition(is_chosen);
        match (chosen.first(), left.first()) {
            (Some(chosen), Some(left)) => Err(unsupported(
                self.folder,
                format!(
                    "{} has an adapter and {} has none: a setting of AdapterHub takes a module in \
                     every layer or in none",
                    chosen.module, left.module
                ),
            )),
            (chosen, _) => Ok(chosen.is_some()),
        }
    }

    fn unknown(&self, site: &Site) -> Error {
        let message = format!("{}: no setting of AdapterHub chooses such a module", site.module);
        unsupported(self.folder, message)
    }
}

fn is_attention(site: &Site, name: &str) -> bool {
    site.module.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
}

fn head(adapter: &Adapter, name: &str) -> Result<(Value, BTreeMap<String, Tensor>)> {
    let (_, by_label) = label_maps(&adapter.labels);
    let settings = json!({
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
    Ok((settings, tensors.into()))
}
