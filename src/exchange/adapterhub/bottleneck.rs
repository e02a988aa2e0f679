//! Reads bottleneck adapters of AdapterHub.

use super::folder::AdapterFolder;
use crate::adapter::{
    Activation, BottleneckConfig, BottleneckTensor, Component, Placement, Tensor, TensorId,
};
use crate::error::Result;
use crate::exchange::fields::Fields;
use crate::exchange::message::{malformed, unsupported};
use crate::exchange::names::{Modules, missing};
use crate::exchange::options::{Backbone, ReadOptions};
use crate::exchange::prefix::layer_number;
use crate::exchange::skipped;
use crate::exchange::tensors::{TensorFile, transposed};
use crate::sites::{Role, Site};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Settings that have no effect after training, or only together with another one.
const WITHOUT_EFFECT: [&str; 17] = [
    "adapter_residual_before_ln",
    "dropout",
    "factorized_phm_W",
    "factorized_phm_rule",
    "hypercomplex_nonlinearity",
    "init_weights",
    "init_weights_seed",
    "inv_adapter_reduction_factor",
    "learn_phm",
    "phm_bias",
    "phm_c_init",
    "phm_dim",
    "phm_init_range",
    "phm_rank",
    "shared_W_phm",
    "shared_phm_rule",
    "stochastic_depth",
];

/// The reasons why settings are refused.
const REASONS: [(&str, &str); 6] = [
    ("cross_adapter", "adapters after cross-attention have no place here; expected false"),
    ("inv_adapter", "invertible adapters after the embeddings have no place here; expected null"),
    ("ln_after", "norms inside of an adapter have no place here; expected false"),
    ("ln_before", "norms inside of an adapter have no place here; expected false"),
    ("phm_layer", "Compacter's layers have no place here; expected false"),
    ("use_gating", "gates have no place here; expected false"),
];

/// Architectures that normalise after the residual sum, where the input of a parallel adapter (the
/// residual) is the input of the feed-forward.
const NORM_AFTER_SUM: [&str; 9] = [
    "albert",
    "bart",
    "bert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "roberta",
    "xlm-roberta",
];

/// The ends of the paths of bottlenecks, in architectures that give them modules of their own.
const AFTER_ATTENTION: &str = ".attention_adapters";
const AFTER_FEED_FORWARD: &str = ".output_adapters";

/// The slot of the adapter's only bottleneck.
const SLOT: usize = 0;

/// The factor on each bottleneck's output.
enum Scaling {
    Constant(f64),
    /// A tensor beside the others, with one value or one per channel.
    Learned,
}

struct Settings {
    config: BottleneckConfig,
    scaling: Scaling,
    leave_out: Vec<usize>,
}

/// Takes settings and tensors.
pub fn read(
    source: &mut AdapterFolder,
    backbone: &Backbone<'_>,
    options: &ReadOptions,
) -> Result<(Component, BTreeMap<String, Tensor>)> {
    let mut settings = Settings::take(&mut source.config, &source.model_type)?;
    let factor = source.config.take("reduction_factor");
    source.config.ignore(&WITHOUT_EFFECT);
    let file = source.config.file().to_owned();
    source.config.take_all().finish(&REASONS)?;

    let marker = format!(".adapters.{}.", source.name);
    let Located { paths, prefix: before, left_out, notes } =
        locate(&source.tensors, &marker, backbone, options)?;
    for path in &left_out {
        source.tensors.take_all(&format!("{path}{marker}"));
    }
    for note in notes {
        if !source.notes.contains(&note) {
            source.notes.push(note);
        }
    }
    let width = common_width(&source.tensors, &marker, &paths)?;
    settings.config.reduction_factor = reduction_factor(factor, width, backbone.hidden);
    let fits = settings.config.width(backbone.hidden) == width;
    if !fits || settings.config.validate().is_err() {
        let message = format!(
            "reduction_factor: expected one from 1 on that gives the width {width} of the tensors \
             at every place"
        );
        return Err(unsupported(&file, message));
    }
    let component = Component::Bottleneck(settings.config.clone());
    let mut own = BTreeMap::new();
    for site in component.select(backbone.sites)? {
        let tensors = match paths.get(&site.module) {
            Some(path) => {
                let prefix = format!("{path}{marker}");
                take_tensors(&mut source.tensors, &prefix, site, width, &settings)?
            }
            // A bottleneck that adds nothing is omitted.
            None if backbone.unread.contains(&site.module)
                || is_left_out(site, &before, &settings.leave_out) =>
            {
                zeros(site, width)
            }
            None => {
                let message = format!("there are no tensors for {}", site.module);
                let (file, found) = (source.tensors.file(), paths.keys().map(String::as_str));
                return Err(missing(file, message, (&site.module, &before), found));
            }
        };
        own.extend(BottleneckTensor::ALL.iter().map(|tensor| name(site, *tensor)).zip(tensors));
    }
    Ok((component, own))
}

impl Settings {
    fn take(config: &mut Fields, model_type: &str) -> Result<Self> {
        let activation = activation(config)?;
        let placement = placement(config, model_type)?;
        let scaling = match config.take("scaling") {
            None => Scaling::Constant(1.0),
            Some(Value::Number(number)) => Scaling::Constant(number.as_f64().unwrap_or(f64::NAN)),
            Some(Value::String(text)) if ["learned", "channel"].contains(&text.as_str()) => {
                Scaling::Learned
            }
            Some(other) => {
                return Err(config.wrong(
                    "scaling",
                    "a number, \"learned\" or \"channel\"",
                    &other,
                ));
            }
        };
        let scale = if let Scaling::Constant(scale) = scaling { scale } else { 1.0 };
        let leave_out = config.counts("leave_out")?.unwrap_or_default();
        let config = BottleneckConfig {
            reduction_factor: 1.0,
            activation,
            placement,
            attention: config.flag("mh_adapter", false)?,
            feed_forward: config.flag("output_adapter", false)?,
            scale,
        };
        Ok(Self { config, scaling, leave_out })
    }
}

fn activation(config: &mut Fields) -> Result<Activation> {
    let name = config.text("non_linearity")?.unwrap_or_default();
    match name.to_lowercase().as_str() {
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        "silu" | "swish" => Ok(Activation::Silu),
        _ => {
            let reason = "expected \"relu\", \"gelu\", \"silu\" or \"swish\"";
            Err(config.refused("non_linearity", &name.into(), reason))
        }
    }
}

fn placement(config: &mut Fields, model_type: &str) -> Result<Placement> {
    let is_parallel = config.flag("is_parallel", false)?;
    let norm_before = config.flag("original_ln_before", false)?;
    let norm_after = config.flag("original_ln_after", true)?;
    let residual = config.take("residual_before_ln").unwrap_or(true.into());
    if !norm_after {
        let reason = "the residual sum and its norm always follow here; expected true";
        return Err(config.refused("original_ln_after", &false.into(), reason));
    }
    if is_parallel {
        if !NORM_AFTER_SUM.contains(&model_type) {
            let reason = "in an architecture that may normalise before the feed-forward, a \
                          parallel adapter reads what a bottleneck here does not";
            return Err(config.refused("is_parallel", &true.into(), reason));
        }
        return Ok(Placement::Parallel);
    }
    // Without the norm before it, the residual is the sub-layer's output whatever this setting is.
    let is_plain = residual == Value::Bool(true) || !norm_before && residual == Value::Bool(false);
    if !is_plain {
        let reason = "the residual around an adapter is the sub-layer's output; expected true";
        return Err(config.refused("residual_before_ln", &residual, reason));
    }
    Ok(if norm_before { Placement::AfterNorm } else { Placement::Sequential })
}

/// Where the tensors of bottlenecks are.
#[derive(Default)]
struct Located {
    /// AdapterHub's path of each site that has tensors, by our module path.
    paths: BTreeMap<String, String>,
    /// The prefix of our module paths.
    prefix: String,
    /// The paths of bottlenecks on which the output does not depend.
    left_out: Vec<String>,
    notes: Vec<String>,
}

/// Finds the sites of the bottlenecks that have tensors.
fn locate(
    tensors: &TensorFile,
    marker: &str,
    backbone: &Backbone<'_>,
    options: &ReadOptions,
) -> Result<Located> {
    let file = tensors.file();
    let paths: BTreeSet<&str> =
        tensors.names().filter_map(|name| Some(name.split_once(marker)?.0)).collect();
    let mut located = Located::default();
    for (suffix, places) in places(backbone.sites) {
        let here: BTreeSet<String> = paths
            .iter()
            .map(|path| without_suffix(path))
            .filter(|(_, its_suffix)| *its_suffix == suffix)
            .map(|(owner, _)| owner.to_owned())
            .collect();
        let modules = Modules::under(places);
        let mut matched = modules.matched(file, &here, options)?;
        skipped::take(file, &modules, &mut matched, backbone.unread)?;
        located.left_out.extend(matched.left_out.iter().map(|path| format!("{path}{suffix}")));
        located.notes.extend(skipped::notes(&matched));
        if !here.is_empty() {
            located.prefix.clone_from(&matched.prefix.ours);
        }
        for (path, site) in matched.sites {
            located.paths.insert(site.module.clone(), format!("{path}{suffix}"));
        }
    }
    if located.paths.is_empty() {
        return Err(malformed(file, format!("expected tensors *{marker}*")));
    }
    Ok(located)
}

/// The modules that bottlenecks belong to, with their sites, by the end of the bottleneck's path.
///
/// A bottleneck belongs to a module around the sub-layer's last linear layer: in BERT the module
/// that ends with it, in other architectures `attention_adapters` and `output_adapters` of a layer.
fn places(sites: &[Site]) -> [(&'static str, BTreeMap<String, &Site>); 3] {
    let attention = owners(sites, Role::AttentionOutput);
    let feed_forward = owners(sites, Role::FeedForwardOutput);
    let of_one_sub_layer = attention
        .iter()
        .filter(|(path, _)| !feed_forward.contains_key(*path))
        .chain(feed_forward.iter().filter(|(path, _)| !attention.contains_key(*path)))
        .map(|(path, site)| (path.clone(), *site))
        .collect();
    [(AFTER_ATTENTION, attention), (AFTER_FEED_FORWARD, feed_forward), ("", of_one_sub_layer)]
}

/// The path of the module that a bottleneck belongs to, and the end of the bottleneck's own path.
fn without_suffix(path: &str) -> (&str, &'static str) {
    [AFTER_ATTENTION, AFTER_FEED_FORWARD]
        .into_iter()
        .find_map(|suffix| Some((path.strip_suffix(suffix)?, suffix)))
        .unwrap_or((path, ""))
}

/// The modules that contain exactly one site of a role, with that site.
fn owners(sites: &[Site], role: Role) -> BTreeMap<String, &Site> {
    let mut found: BTreeMap<String, Vec<&Site>> = BTreeMap::new();
    for site in sites.iter().filter(|site| site.role == role) {
        for (end, _) in site.module.match_indices('.') {
            found.entry(site.module[..end].to_owned()).or_default().push(site);
        }
    }
    let single = found.into_iter().filter(|(_, sites)| sites.len() == 1);
    single.map(|(path, sites)| (path, sites[0])).collect()
}

fn common_width(
    tensors: &TensorFile,
    marker: &str,
    paths: &BTreeMap<String, String>,
) -> Result<usize> {
    let mut common: Option<usize> = None;
    for path in paths.values() {
        let name = format!("{path}{marker}adapter_down.0.weight");
        let width = tensors.shape(&name).and_then(|shape| shape.first()).copied().unwrap_or(0);
        match common {
            Some(other) if other != width => {
                let message = format!(
                    "{name} has the width {width} and others {other}: a bottleneck here has one \
                     width at every place"
                );
                return Err(unsupported(tensors.file(), message));
            }
            _ => common = Some(width),
        }
    }
    Ok(common.unwrap_or(0))
}

/// The factor of the settings, or the one from the hidden size to the width.
fn reduction_factor(given: Option<Value>, width: usize, hidden: usize) -> f64 {
    let given = given.and_then(|value| value.as_f64());
    given.unwrap_or_else(|| hidden as f64 / width.max(1) as f64)
}

/// The tensors of the bottleneck at a site, in the order of [`BottleneckTensor::ALL`].
fn take_tensors(
    tensors: &mut TensorFile,
    prefix: &str,
    site: &Site,
    width: usize,
    settings: &Settings,
) -> Result<Vec<Tensor>> {
    let hidden = site.outputs;
    let mut take = |name: &str, shape: &[usize]| tensors.expect(&format!("{prefix}{name}"), shape);
    let down = take("adapter_down.0.weight", &[width, hidden])?;
    let down_bias = take("adapter_down.0.bias", &[width])?;
    let mut up = transposed(&take("adapter_up.weight", &[hidden, width])?);
    let mut up_bias = take("adapter_up.bias", &[hidden])?;
    if let Scaling::Learned = settings.scaling {
        let name = format!("{prefix}scaling");
        let count = tensors.shape(&name).map_or(1, |shape| shape.iter().product());
        // One value or one per channel; anything else does not fit this shape.
        let shape = if count == 1 { [1] } else { [hidden] };
        let factors = tensors.expect(&name, &shape)?;
        up = by_channel(&up, &factors);
        up_bias = by_channel(&up_bias, &factors);
    }
    Ok(vec![transposed(&down), down_bias, up, up_bias])
}

/// Each value times the factor of its channel, the last axis.
fn by_channel(tensor: &Tensor, factors: &Tensor) -> Tensor {
    let factors = factors.values.iter().cycle();
    let values = tensor.values.iter().zip(factors).map(|(value, factor)| value * factor);
    Tensor { shape: tensor.shape.clone(), values: values.collect() }
}

/// The tensors of a bottleneck that adds nothing.
fn zeros(site: &Site, width: usize) -> Vec<Tensor> {
    let shapes = BottleneckTensor::ALL.iter().map(|tensor| tensor.shape(site.outputs, width));
    shapes.map(|shape| Tensor::zeros(&shape)).collect()
}

/// Our name of a tensor of the only bottleneck at a site.
fn name(site: &Site, tensor: BottleneckTensor) -> String {
    TensorId::Bottleneck { module: &site.module, slot: SLOT, tensor }.to_string()
}

fn is_left_out(site: &Site, before: &str, leave_out: &[usize]) -> bool {
    layer_number(&site.module, before).is_some_and(|number| leave_out.contains(&number))
}
