//! Adapter files of ONNX Runtime, `.onnx_adapter`: a flatbuffer with the identifier `TORT`.
//!
//! The schema is `onnxruntime/lora/adapter_format/adapter_schema.fbs` of ONNX Runtime: a list of
//! named tensors, which `OrtLoraAdapter` passes to the graph inputs of these names. So scales are
//! folded into the tensors, and there are no settings. An import refuses what names and shapes do
//! not determine.

use super::flat::{Buffer, Damage, Table, Writer};
use super::head::Head;
use super::message::{malformed, unsupported};
use super::names::Modules;
use super::options::{Backbone, Imported, ReadOptions};
use super::tensors::{FloatFormat, finite};
use super::{files, skipped};
use crate::adapter::{
    ADAPTER_BYTES_MAX, Adapter, Component, HEAD_BIAS, HEAD_WEIGHT, Ia3Config, LoraConfig,
    TENSORS_MAX, Tensor, TensorId,
};
use crate::error::Result;
use crate::files::PartialFile;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The file identifier, at byte 4.
pub const IDENTIFIER: &[u8; 4] = b"TORT";
/// The only version of the format so far.
const FORMAT_VERSION: i32 = 1;
/// The number of FLOAT in the schema's `TensorDataType`.
const FLOAT: i32 = 1;
const FLOAT16: i32 = 10;
const BFLOAT16: i32 = 16;
/// The largest number of dimensions of a parameter. Those of adapters have one or two.
const RANK_MAX: usize = 8;
/// The largest number of parameters in a file.
const PARAMETERS_MAX: usize = TENSORS_MAX;
/// The part of a name that marks a tensor of a bottleneck.
const BOTTLENECK: &str = ".bottleneck.";

pub fn read(path: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Imported> {
    let bytes = files::read(path, ADAPTER_BYTES_MAX)?;
    let (mut tensors, notes) = under_our_names(path, parse(path, &bytes)?, backbone, options)?;
    let has_head = tensors.contains_key(HEAD_WEIGHT) || tensors.contains_key(HEAD_BIAS);
    if let Some(name) = tensors.keys().find(|name| name.contains(BOTTLENECK)) {
        let reason = "the file does not say which activation and placement a bottleneck has";
        return Err(unsupported(path, format!("{name}: {reason}; keep polygraft's own file")));
    }
    let components = [lora(path, backbone, &tensors)?, ia3(path, backbone, &tensors)?];
    let components: Vec<Component> = components.into_iter().flatten().collect();
    if components.is_empty() {
        let message = "expected parameters named <module>.lora_A, .lora_B or .ia3 after the \
                       backbone's layers";
        return Err(unsupported(path, message));
    }
    let labels = match (&options.labels, has_head) {
        (Some(labels), true) => labels.clone(),
        (None, true) => {
            let message =
                "the file holds a head but no labels; give them in their order with --labels";
            return Err(unsupported(path, message));
        }
        (_, false) => match Head::zeros(backbone, options) {
            None => Vec::new(),
            Some(head) => {
                tensors.extend(head.tensors);
                head.labels
            }
        },
    };
    let backbone = backbone.hash.to_owned();
    // The check after every reader finds tensors that belong to no component.
    let adapter = Adapter { labels, ..Adapter::headless(backbone, components, tensors) };
    Ok(Imported { adapter, notes })
}

/// The tensors under the names of the backbone's sites, without those on which its output does not
/// depend, and the notes on both.
fn under_our_names(
    path: &Path,
    tensors: BTreeMap<String, Tensor>,
    backbone: &Backbone<'_>,
    options: &ReadOptions,
) -> Result<(BTreeMap<String, Tensor>, Vec<String>)> {
    let module = |name: &str| match TensorId::parse(name)? {
        TensorId::LoraA(module) | TensorId::LoraB(module) | TensorId::Ia3(module, None) => {
            Some(module.to_owned())
        }
        _ => None,
    };
    let paths: BTreeSet<String> = tensors.keys().filter_map(|name| module(name)).collect();
    if paths.is_empty() {
        return Ok((tensors, Vec::new()));
    }
    let modules = Modules::new(backbone.sites);
    let mut matched = modules.matched(path, &paths, options)?;
    skipped::take(path, &modules, &mut matched, backbone.unread)?;
    let notes = skipped::notes(&matched).collect();
    let ours = |(name, tensor): (String, Tensor)| match module(&name) {
        None => Some((name, tensor)),
        Some(path) => {
            let site = matched.sites.get(&path)?;
            Some((format!("{}{}", site.module, &name[path.len()..]), tensor))
        }
    };
    Ok((tensors.into_iter().filter_map(ours).collect(), notes))
}

/// The low-rank component that names and shapes determine. The tensors include the scales, so the
/// numerator of each scale is its rank.
fn lora(
    path: &Path,
    backbone: &Backbone<'_>,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Option<Component>> {
    let mut ranks = BTreeMap::new();
    for site in backbone.sites {
        if let Some(down) = tensors.get(&TensorId::LoraA(&site.module).to_string()) {
            let [_, rank] = down.shape[..] else {
                let (name, found) = (TensorId::LoraA(&site.module).to_string(), &down.shape);
                let message = format!("{name}: expected shape [inputs, rank], found {found:?}");
                return Err(malformed(path, message));
            };
            ranks.insert(site.module.clone(), rank);
        }
    }
    let targets = ranks.keys().cloned().collect();
    Ok(LoraConfig::unscaled(&ranks, targets).map(Component::Lora))
}

/// The factors that names and shapes determine.
fn ia3(
    path: &Path,
    backbone: &Backbone<'_>,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Option<Component>> {
    let mut config = Ia3Config { targets: Vec::new(), feed_forward_targets: Vec::new() };
    for site in backbone.sites {
        let Some(factors) = tensors.get(&TensorId::Ia3(&site.module, None).to_string()) else {
            continue;
        };
        let count = factors.values.len();
        if site.inputs == site.outputs {
            let message = format!(
                "{}: the layer has as many inputs as outputs, and the file does not say which of \
                 them are multiplied; keep polygraft's own file",
                TensorId::Ia3(&site.module, None)
            );
            return Err(unsupported(path, message));
        }
        let list = if count == site.inputs {
            &mut config.feed_forward_targets
        } else {
            &mut config.targets
        };
        list.push(site.module.clone());
    }
    let is_empty = config.targets.is_empty() && config.feed_forward_targets.is_empty();
    Ok((!is_empty).then_some(Component::Ia3(config)))
}

/// The tensors of a file by name.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let damaged = |damage: Damage| malformed(path, damage);
    let root = Buffer::new(bytes).root(IDENTIFIER).map_err(damaged)?;
    let version = root.i32(0).map_err(damaged)?;
    if version != FORMAT_VERSION {
        let message = format!("format_version: expected {FORMAT_VERSION}, found {version}");
        return Err(unsupported(path, message));
    }
    let mut tensors = BTreeMap::new();
    // Several parameters may share bytes, but together they may not claim more than the file has;
    // otherwise a small file could fill the memory.
    let mut left = bytes.len();
    for (position, table) in
        root.tables(3, PARAMETERS_MAX).map_err(damaged)?.into_iter().enumerate()
    {
        let (name, tensor) = parameter(path, position, &table, &mut left)?;
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(malformed(path, format!("parameter {name:?} is there twice")));
        }
    }
    Ok(tensors)
}

fn parameter(
    path: &Path,
    position: usize,
    table: &Table<'_>,
    left: &mut usize,
) -> Result<(String, Tensor)> {
    let damaged = |damage: Damage| malformed(path, format!("parameter {position}: {damage}"));
    let name = table.text(0).map_err(damaged)?.unwrap_or_default();
    let dims = table.i64s(1, RANK_MAX).map_err(damaged)?.unwrap_or_default();
    let data_type = table.i32(2).map_err(damaged)?;
    let data = table.bytes(3).map_err(damaged)?.unwrap_or_default();
    let shown: String = name.chars().take(200).collect();
    let wrong = |message: String| malformed(path, format!("parameter {shown:?}: {message}"));
    *left = left
        .checked_sub(name.len() + data.len())
        .ok_or_else(|| wrong("the parameters claim more bytes than the file has".to_owned()))?;
    let format = match data_type {
        FLOAT => FloatFormat::F32,
        FLOAT16 => FloatFormat::F16,
        BFLOAT16 => FloatFormat::Bf16,
        other => {
            let expected = "expected data_type 1 (FLOAT), 10 (FLOAT16) or 16 (BFLOAT16)";
            let message = format!("parameter {shown:?}: {expected}, found {other}");
            return Err(unsupported(path, message));
        }
    };
    let values = format.upcast(data);
    let shape: Option<Vec<usize>> = dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let count = shape
        .as_ref()
        .and_then(|shape| shape.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim)));
    let shape = shape.filter(|_| {
        count == Some(values.len()) && data.len() == values.len() * format.size_bytes()
    });
    let shape = shape.ok_or_else(|| {
        let found = data.len();
        wrong(format!("its {found} bytes do not fill the shape {:?}", &dims[..dims.len().min(8)]))
    })?;
    finite(&values).map_err(wrong)?;
    Ok((name.to_owned(), Tensor { shape, values: values.into() }))
}

/// Writes a file with the tensors in the form of graph inputs.
pub fn write(adapter: &Adapter, path: &Path, without_head: bool) -> Result<()> {
    let is_wanted = |name: &str| !(without_head && [HEAD_WEIGHT, HEAD_BIAS].contains(&name));
    let wanted: Vec<(&String, &Tensor)> =
        adapter.tensors.iter().filter(|(name, _)| is_wanted(name)).collect();
    let size_bytes: usize =
        wanted.iter().map(|(name, tensor)| name.len() + 4 * tensor.values.len() + 128).sum();
    if size_bytes as u64 > ADAPTER_BYTES_MAX {
        let message = format!("expected at most {ADAPTER_BYTES_MAX} bytes, found {size_bytes}");
        return Err(unsupported(path, message));
    }
    PartialFile::create(path)?.put_new(&serialize(adapter, &wanted))
}

fn serialize(adapter: &Adapter, wanted: &[(&String, &Tensor)]) -> Vec<u8> {
    let (mut writer, root) = Writer::new(IDENTIFIER);
    // The versions of adapter and model are free for the writer to choose; nothing reads them.
    let [_, _, _, list] = writer.table(root, [Some(FORMAT_VERSION), Some(1), Some(1), None]);
    let entries = writer.offsets(list, wanted.len());
    for ((name, tensor), entry) in wanted.iter().zip(entries) {
        let [name_at, dims_at, _, data_at] = writer.table(entry, [None, None, Some(FLOAT), None]);
        let scale = adapter.scale_of(name);
        let bytes: Vec<u8> =
            tensor.values.iter().flat_map(|value| (value * scale).to_le_bytes()).collect();
        let dims: Vec<i64> = tensor.shape.iter().map(|dim| *dim as i64).collect();
        writer.bytes(name_at, name.as_bytes(), 1);
        writer.i64s(dims_at, &dims);
        writer.bytes(data_at, &bytes, 8);
    }
    writer.finish()
}
