//! Reads adapters from files: polygraft's own format, or plain tensors by name.
//!
//! A script in another framework writes a file without our description in two lines. The names of
//! its tensors then determine the components, and everything else has a fixed value: LoRA of scale
//! 1; sequential bottlenecks with ReLU and scale 1; (IA)3 on the output, except on the input of a
//! feed-forward's last layer. Other settings need our description. This module must never guess a
//! setting that the names and shapes do not determine.

use crate::adapter::{
    Adapter, BottleneckConfig, BottleneckTensor, Component, FORMAT_NAME, Ia3Config, LoraConfig,
    Tensor, TensorId,
};
use crate::error::{Code, Error, Result, ResultExt};
use crate::sites::{Role, Site};
use safetensors::SafeTensors;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::read_values;

/// Reads an adapter for a model with these sites, from a file of either form.
///
/// # Errors
/// [`Code::AdapterMalformed`] for bytes of neither form, or for tensors whose names do not
/// determine a component. [`super::Gradients::open`] checks whether the tensors fit the model.
pub fn read_adapter(bytes: &[u8], sites: &[Site]) -> Result<Adapter> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
    if header.metadata().as_ref().is_some_and(|metadata| metadata.contains_key(FORMAT_NAME)) {
        return Adapter::from_bytes(bytes);
    }
    let mut tensors = BTreeMap::new();
    for (name, value) in read_values(bytes)? {
        let values = value.as_f32().context(|| format!("adapter tensor {name}"))?;
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(malformed(format!("{name}[{position}] is not a finite number")));
        }
        let shape = value.shape().iter().map(|&size| size as usize).collect();
        tensors.insert(name, Tensor { shape, values: Arc::from(values) });
    }
    let components = components(&tensors, sites)?;
    Ok(Adapter::headless(String::new(), components, tensors))
}

/// The components that the names and shapes determine.
fn components(tensors: &BTreeMap<String, Tensor>, sites: &[Site]) -> Result<Vec<Component>> {
    let mut lora = LoraConfig { targets: Vec::new(), ..LoraConfig::default() };
    let mut ia3 = Ia3Config { targets: Vec::new(), feed_forward_targets: Vec::new() };
    let mut slots = BTreeSet::new();
    for (name, tensor) in tensors {
        match TensorId::parse(name) {
            Some(TensorId::LoraA(module)) => {
                // The scale is alpha / rank.
                let rank = tensor.shape.get(1).copied().unwrap_or(0);
                lora.targets.push(module.to_owned());
                lora.rank_pattern.insert(module.to_owned(), rank);
                lora.alpha_pattern.insert(module.to_owned(), rank as f64);
            }
            Some(TensorId::LoraB(_)) => {}
            Some(TensorId::Ia3(module, None)) => {
                let site = sites.iter().find(|site| site.module == module);
                let is_end = site.is_some_and(|site| site.role == Role::FeedForwardOutput);
                let list = if is_end { &mut ia3.feed_forward_targets } else { &mut ia3.targets };
                list.push(module.to_owned());
            }
            Some(TensorId::Bottleneck { slot, .. }) => drop(slots.insert(slot)),
            _ => return Err(unknown(name)),
        }
    }
    let mut components = Vec::new();
    for slot in slots {
        components.push(Component::Bottleneck(bottleneck(tensors, sites, slot)?));
    }
    if !lora.targets.is_empty() {
        components.push(Component::Lora(lora));
    }
    if !ia3.targets.is_empty() || !ia3.feed_forward_targets.is_empty() {
        components.push(Component::Ia3(ia3));
    }
    Ok(components)
}

/// The settings of the bottlenecks in a slot: their placement and width.
fn bottleneck(
    tensors: &BTreeMap<String, Tensor>,
    sites: &[Site],
    slot: usize,
) -> Result<BottleneckConfig> {
    let mut config = BottleneckConfig::default();
    let mut roles = Vec::new();
    for site in sites {
        let (module, tensor) = (site.module.as_str(), BottleneckTensor::DownWeight);
        let name = TensorId::Bottleneck { module, slot, tensor }.to_string();
        let Some(tensor) = tensors.get(&name) else { continue };
        let &[hidden, width] = tensor.shape.as_slice() else {
            let found = &tensor.shape;
            return Err(malformed(format!("{name}: expected [hidden, width], found {found:?}")));
        };
        // Half a unit more than the width, so that rounding cannot reduce it by one.
        config.reduction_factor = hidden as f64 / (width as f64 + 0.5);
        roles.push(site.role);
    }
    if roles.is_empty() {
        return Err(malformed(format!("no module of the model has a bottleneck in slot {slot}")));
    }
    config.attention = roles.contains(&Role::AttentionOutput);
    config.feed_forward = roles.contains(&Role::FeedForwardOutput);
    Ok(config)
}

fn unknown(name: &str) -> Error {
    malformed(format!(
        "the name {name:?} is none of MODULE.lora_A, MODULE.lora_B, MODULE.ia3 and \
         MODULE.bottleneck.SLOT.{{down,up}}.{{weight,bias}}"
    ))
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::AdapterMalformed, format!("malformed adapter: {cause}"))
}
