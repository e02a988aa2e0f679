//! Adapters of the library PEFT: a folder with `adapter_config.json` and
//! `adapter_model.safetensors`.
//!
//! A LoRA is `base_model.model.<path>.lora_A.weight` `[rank, inputs]` and `.lora_B.weight`
//! `[outputs, rank]`, (IA)3 `.ia3_l` `[outputs, 1]` or `[1, inputs]`; a head is a module of
//! `modules_to_save`, whole. What a configuration selects is compared with the tensors that are
//! there.

mod ia3;
mod lora;
mod patterns;
mod write;

pub use write::{json_bytes, number, tensor, write};

use super::fields::{Fields, shown};
use super::files::{CONFIG_BYTES_MAX, read as read_file};
use super::head::{self, Head};
use super::names::{Modules, Prefix};
use super::tensors::TensorFile;
use super::{Backbone, CONFIG_NAME, ReadOptions, malformed, pickled, unsupported};
use crate::adapter::{ADAPTER_BYTES_MAX, Adapter, Part, Site, Tensor};
use crate::error::Result;
use patterns::{Selector, is_end};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The file with the tensors.
pub const TENSORS_NAME: &str = "adapter_model.safetensors";
/// The file with the tensors in a form that is not read.
const PICKLE_NAME: &str = "adapter_model.bin";
/// The model's configuration, which may lie beside an adapter.
pub const MODEL_CONFIG_NAME: &str = "config.json";
/// What stands in front of every path.
pub const PREFIX: &str = "base_model.model.";

/// Fields that say where an adapter comes from or how it was trained, and those that only matter
/// together with another one.
const WITHOUT_EFFECT: [&str; 17] = [
    "base_model_name_or_path",
    "corda_config",
    "eva_config",
    // The tensors have the same shapes either way.
    "fan_in_fan_out",
    "inference_mode",
    "init_ia3_weights",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "velora_config",
    "loaded_in_4bit",
    "loaded_in_8bit",
];

/// Why known fields are refused.
const REASONS: [(&str, &str); 13] = [
    ("alora_invocation_tokens", "an aLoRA works from a certain token on; expected null"),
    ("arrow_config", "Arrow chooses between adapters token by token; expected null"),
    ("ensure_weight_tying", "tied adapters of embeddings have no place here; expected false"),
    ("kasa_config", "KaSA cuts singular values off the backbone's weights; expected null"),
    ("layer_replication", "it builds another backbone out of copied layers; expected null"),
    ("lora_bias", "a bias of the low-rank product has no place here; expected false"),
    ("megatron_config", "layers of Megatron are not supported; expected null"),
    ("monteclora_config", "MonteCLoRA draws random samples; expected null"),
    ("target_parameters", "adapters on parameters that are no linear layers; expected null"),
    ("trainable_token_indices", "trained embeddings of tokens have no place here; expected null"),
    ("use_bdlora", "block-diagonal factors are not supported; expected null"),
    ("use_dora", "DoRA rescales the backbone's weights; expected false"),
    ("use_qalora", "QALoRA pools the inputs; expected false"),
];

/// Reads a folder.
pub fn read(folder: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Adapter> {
    let mut config = open_config(folder)?;
    let file = config.file().to_owned();
    let kind = config.text("peft_type")?.unwrap_or_default();
    let saved = config.texts("modules_to_save", false)?.unwrap_or_default();
    let class = model_class(&mut config)?;
    let selector = match kind.as_str() {
        "LORA" | "IA3" => Selector::take(&mut config, &saved)?,
        other => {
            let message = format!("peft_type: expected \"LORA\" or \"IA3\", found {other:?}");
            return Err(unsupported(&file, message));
        }
    };
    let settings = match kind.as_str() {
        "LORA" => Settings::Lora(lora::Settings::take(&mut config)?),
        _ => Settings::Ia3(ia3::Settings::take(&mut config)?),
    };
    config.ignore(&WITHOUT_EFFECT);
    config.finish(&REASONS)?;

    let mut source = Source::open(folder, backbone, settings.suffixes(), selector)?;
    let mut own = BTreeMap::new();
    let part = match &settings {
        Settings::Lora(lora) => Part::Lora(lora.read(&mut source, &mut own)?),
        Settings::Ia3(ia3) => Part::Ia3(ia3.read(&mut source, &mut own)?),
    };
    let head = match head_module(&source.tensors, &saved) {
        Some(module) => {
            if let Some((field, class)) = &class {
                head::check_class(&file, field, class, options)?;
            }
            let labels = folder_labels(folder)?;
            Some(Head::take(&mut source.tensors, &module, labels, backbone, options)?)
        }
        None => Head::fresh(backbone, options),
    };
    source.tensors.finish()?;
    Ok(head::assemble(backbone, part, own, head))
}

/// The settings of one kind.
enum Settings {
    Lora(lora::Settings),
    Ia3(ia3::Settings),
}

impl Settings {
    /// What the names of the kind's tensors end in.
    fn suffixes(&self) -> &'static [&'static str] {
        match self {
            Self::Lora(_) => &[lora::SUFFIX_A, lora::SUFFIX_B],
            Self::Ia3(_) => &[ia3::SUFFIX],
        }
    }
}

/// The tensors of a folder, and the sites that they are for.
struct Source<'a> {
    tensors: TensorFile,
    /// By PEFT's path, without [`PREFIX`].
    sites: BTreeMap<String, &'a Site>,
}

impl<'a> Source<'a> {
    fn open(
        folder: &Path,
        backbone: &Backbone<'a>,
        suffixes: &[&str],
        selector: Selector,
    ) -> Result<Self> {
        let tensors = open_tensors(folder)?;
        let file = tensors.file();
        let mut paths = BTreeSet::new();
        for name in tensors.names() {
            let Some(path) = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)) else {
                continue;
            };
            let path = path.strip_prefix(PREFIX).ok_or_else(|| {
                malformed(file, format!("expected a name that begins {PREFIX:?}, found {name:?}"))
            })?;
            paths.insert(path.to_owned());
        }
        if paths.is_empty() {
            return Err(malformed(file, format!("expected tensors *{}", suffixes.join(" and *"))));
        }
        let modules = Modules::new(backbone.sites);
        let (sites, prefix) = modules.matched(file, &paths)?;
        check_complete(file, &modules, &prefix, &paths, &selector)?;
        Ok(Self { tensors, sites })
    }
}

/// Compares the modules that the configuration selects with those that have tensors.
fn check_complete(
    file: &Path,
    modules: &Modules<'_>,
    prefix: &Prefix,
    found: &BTreeSet<String>,
    selector: &Selector,
) -> Result<()> {
    for path in modules.paths().filter_map(|module| prefix.theirs(module)) {
        if selector.selects(&path) && !found.contains(&path) {
            let message = format!("{PREFIX}{path} has no tensors, but target_modules selects it");
            return Err(malformed(file, message));
        }
    }
    match found.iter().find(|path| !selector.selects(path)) {
        None => Ok(()),
        Some(path) => {
            let message = format!("{PREFIX}{path} has tensors, but target_modules leaves it out");
            Err(malformed(file, message))
        }
    }
}

/// Reads the configuration.
pub fn open_config(folder: &Path) -> Result<Fields> {
    let file = folder.join(CONFIG_NAME);
    Fields::parse(&file, &read_file(&file, CONFIG_BYTES_MAX)?)
}

/// Reads the tensors.
pub fn open_tensors(folder: &Path) -> Result<TensorFile> {
    let file = folder.join(TENSORS_NAME);
    let pickle = folder.join(PICKLE_NAME);
    if !file.exists() && pickle.exists() {
        return Err(pickled(&pickle));
    }
    TensorFile::parse(&file, &read_file(&file, ADAPTER_BYTES_MAX)?)
}

/// The labels that the model's configuration beside the adapter gives, if there is one.
pub fn folder_labels(folder: &Path) -> Result<Option<Vec<String>>> {
    let file = folder.join(MODEL_CONFIG_NAME);
    if !file.exists() {
        return Ok(None);
    }
    head::labels(&mut Fields::parse(&file, &read_file(&file, CONFIG_BYTES_MAX)?)?)
}

/// The path of the module that is the head, as the tensors name it. Modules that are not one linear
/// layer are none, and their tensors are left over.
pub fn head_module(tensors: &TensorFile, saved: &[String]) -> Option<String> {
    let weights = tensors.names().filter_map(|name| name.strip_suffix(".weight"));
    let mut modules = weights.filter(|path| saved.iter().any(|name| is_end(name, path)));
    modules.next().map(str::to_owned)
}

/// The class of the model that was trained, where the configuration says so, with the field.
fn model_class(config: &mut Fields) -> Result<Option<(&'static str, String)>> {
    let task = config.text("task_type")?;
    let mapping = config.object("auto_mapping")?;
    let class = match mapping {
        Some(mut mapping) => mapping.text("base_model_class")?,
        None => None,
    };
    Ok(task.map(|task| ("task_type", task)).or(class.map(|class| ("base_model_class", class))))
}

/// A tensor that is expected under a path and a suffix.
fn expect(source: &mut Source<'_>, path: &str, suffix: &str, shape: &[usize]) -> Result<Tensor> {
    source.tensors.expect(&format!("{PREFIX}{path}{suffix}"), shape)
}

/// The settings as texts, to be shown.
pub fn settings(config: &mut Fields) -> Vec<(String, String)> {
    let fields = ["peft_type", "task_type", "r", "lora_alpha", "use_rslora", "rank_pattern"];
    let more = ["alpha_pattern", "target_modules", "feedforward_modules", "modules_to_save"];
    let names = fields.into_iter().chain(more);
    names.filter_map(|name| Some((name.to_owned(), shown(&config.take(name)?)))).collect()
}
