//! Reads LoRA and (IA)3 of AdapterHub, which keeps both under `loras`.

use super::folder::{AdapterFolder, VERSION_PREFIX};
use crate::adapter::{Component, Ia3Config, LoraConfig, Tensor, TensorId};
use crate::error::Result;
use crate::exchange::message::{malformed, unsupported};
use crate::exchange::names::{Modules, missing};
use crate::exchange::options::{Backbone, ReadOptions};
use crate::exchange::prefix::layer_number;
use crate::exchange::skipped;
use crate::exchange::tensors::{TensorFile, reshaped, scaled, transposed};
use crate::sites::Site;
use std::collections::{BTreeMap, BTreeSet};

/// Settings that have no effect after training, or that repeat what the tensors say.
const WITHOUT_EFFECT: [&str; 8] = [
    "attn_matrices",
    "dropout",
    "dtype",
    "init_weights",
    "init_weights_seed",
    "intermediate_lora",
    "output_lora",
    "selfattn_lora",
];

/// The reasons why settings are refused.
const REASONS: [(&str, &str); 4] = [
    ("use_dora", "DoRA rescales the backbone's weights; expected false"),
    ("use_gating", "gates have no place here; expected false"),
    ("vera_d", "VeRA shares random matrices between layers; expected null"),
    ("vera_b", "VeRA shares random matrices between layers; expected null"),
];

/// Takes settings and tensors.
pub fn read(
    source: &mut AdapterFolder,
    backbone: &Backbone<'_>,
    options: &ReadOptions,
) -> Result<(Component, BTreeMap<String, Tensor>)> {
    let config = &mut source.config;
    let mode = config.text("composition_mode")?.unwrap_or_default();
    let rank = config.count("r", 8)?;
    let mut alpha = config.number("alpha", 8.0)?;
    let leave_out = config.counts("leave_out")?.unwrap_or_default();
    if !["add", "scale"].contains(&mode.as_str()) {
        return Err(config.wrong("composition_mode", "\"add\" or \"scale\"", &mode.into()));
    }
    config.ignore(&WITHOUT_EFFECT);
    config.take_all().finish(&REASONS)?;
    // Before 1.1.0 the library did not apply the scale in training (its pull request 770).
    if is_before_scale(&source.version) {
        alpha = rank as f64;
    }

    let marker = format!(".loras.{}.", source.name);
    let paths: BTreeSet<String> = source
        .tensors
        .names()
        .filter_map(|name| Some(name.split_once(&marker)?.0.to_owned()))
        .collect();
    if paths.is_empty() {
        return Err(malformed(source.tensors.file(), format!("expected tensors *{marker}*")));
    }
    let modules = Modules::new(backbone.sites);
    let file = source.tensors.file().to_owned();
    let mut matched = modules.matched(&file, &paths, options)?;
    skipped::take(&file, &modules, &mut matched, backbone.unread)?;
    for path in &matched.left_out {
        source.tensors.take_all(&format!("{path}{marker}"));
    }
    source.notes.extend(skipped::notes(&matched));
    let found = &matched.sites;
    let chosen: Vec<&Site> = found.values().copied().collect();
    let is_read = |site: &&Site| !backbone.unread.contains(&site.module);
    let read: Vec<&Site> = backbone.sites.iter().filter(is_read).collect();
    check_layers(&source.tensors, &matched.prefix.ours, (&read, &chosen), &leave_out)?;
    if mode == "add" {
        read_lora(&mut source.tensors, &marker, found, rank, alpha)
    } else {
        read_ia3(&mut source.tensors, &marker, found, alpha / rank.max(1) as f64)
    }
}

fn read_lora(
    tensors: &mut TensorFile,
    marker: &str,
    found: &BTreeMap<String, &Site>,
    rank: usize,
    alpha: f64,
) -> Result<(Component, BTreeMap<String, Tensor>)> {
    let mut own = BTreeMap::new();
    for (path, site) in found {
        let down = tensors.expect(&format!("{path}{marker}lora_A"), &[rank, site.inputs])?;
        let up = tensors.expect(&format!("{path}{marker}lora_B"), &[site.outputs, rank])?;
        own.insert(TensorId::LoraA(&site.module).to_string(), transposed(&down));
        own.insert(TensorId::LoraB(&site.module).to_string(), transposed(&up));
    }
    let targets = found.values().map(|site| site.module.clone()).collect();
    let config = LoraConfig { rank, alpha, targets, ..LoraConfig::default() };
    config.validate().map_err(|error| unsupported(tensors.file(), error.message()))?;
    Ok((Component::Lora(config), own))
}

fn read_ia3(
    tensors: &mut TensorFile,
    marker: &str,
    found: &BTreeMap<String, &Site>,
    scale: f64,
) -> Result<(Component, BTreeMap<String, Tensor>)> {
    let mut own = BTreeMap::new();
    for (path, site) in found {
        let factors = tensors.expect(&format!("{path}{marker}lora_B"), &[site.outputs, 1])?;
        let factors = reshaped(&factors, &[site.outputs]);
        own.insert(TensorId::Ia3(&site.module, None).to_string(), scaled(&factors, scale as f32));
    }
    let targets = found.values().map(|site| site.module.clone()).collect();
    let config = Ia3Config { targets, feed_forward_targets: Vec::new() };
    Ok((Component::Ia3(config), own))
}

/// Checks that every layer that is not left out has the same tensors, to detect a file that lost
/// some.
fn check_layers(
    tensors: &TensorFile,
    before: &str,
    (sites, chosen): (&[&Site], &[&Site]),
    leave_out: &[usize],
) -> Result<()> {
    let kinds: BTreeSet<String> = chosen.iter().map(|site| kind(&site.module)).collect();
    for site in sites.iter().filter(|site| kinds.contains(&kind(&site.module))) {
        let left_out =
            layer_number(&site.module, before).is_some_and(|layer| leave_out.contains(&layer));
        let is_there = chosen.iter().any(|one| one.module == site.module);
        if is_there == left_out {
            let found = if is_there { "tensors" } else { "none" };
            let message = format!(
                "{}: expected tensors in every layer but those of leave_out {leave_out:?}, found \
                 {found}",
                site.module
            );
            let found = chosen.iter().map(|one| one.module.as_str());
            let found = found.filter(|_| !is_there);
            return Err(missing(tensors.file(), message, (&site.module, before), found));
        }
    }
    Ok(())
}

/// A module path without its layer number.
fn kind(module: &str) -> String {
    let is_number = |part: &str| part.parse::<usize>().is_ok();
    let parts = module.split('.').map(|part| if is_number(part) { "*" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

/// Whether a version `adapters.X.Y.Z` is older than 1.1.0.
fn is_before_scale(version: &str) -> bool {
    let numbers = version.strip_prefix(VERSION_PREFIX).unwrap_or(version);
    let mut numbers = numbers.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (1, 1)
}
