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
use super::names::{Modules, Prefix, is_number};
use super::tensors::TensorFile;
use super::{
    Backbone, CONFIG_NAME, Imported, ReadOptions, malformed, pickled, skipped, unsupported,
};
use crate::adapter::{ADAPTER_BYTES_MAX, Component, Tensor};
use crate::error::Result;
use crate::sites::Site;
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
pub fn read(folder: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Imported> {
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

    let mut source = Source::open(folder, backbone, (settings.suffixes(), &selector), options)?;
    let mut own = BTreeMap::new();
    let part = match &settings {
        Settings::Lora(lora) => Component::Lora(lora.read(&mut source, &mut own)?),
        Settings::Ia3(ia3) => Component::Ia3(ia3.read(&mut source, &mut own)?),
    };
    let head = match head_module(&source.tensors, &saved) {
        Some(module) => {
            if let Some((field, class)) = &class {
                head::check_class(&file, field, class, options)?;
            }
            source.check_head_reads_output(options)?;
            let labels = folder_labels(folder)?;
            Some(Head::take(&mut source.tensors, &module, labels, backbone, options)?)
        }
        None => Head::zeros(backbone, options),
    };
    source.tensors.finish()?;
    let notes = source.notes();
    Ok(Imported { adapter: head::assemble(backbone, part, own, head), notes })
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
    /// What stands in front of the paths.
    prefix: Prefix,
    /// The modules that the output does not depend on.
    skipped: Vec<String>,
}

impl<'a> Source<'a> {
    fn open(
        folder: &Path,
        backbone: &Backbone<'a>,
        (suffixes, selector): (&[&str], &Selector),
        options: &ReadOptions,
    ) -> Result<Self> {
        let mut tensors = open_tensors(folder)?;
        let file = tensors.file().to_owned();
        let mut paths = BTreeSet::new();
        for name in tensors.names() {
            let Some(path) = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)) else {
                continue;
            };
            let path = path.strip_prefix(PREFIX).ok_or_else(|| {
                let message = format!("expected a name that begins {PREFIX:?}, found {name:?}");
                unsupported(&file, message)
            })?;
            paths.insert(path.to_owned());
        }
        if paths.is_empty() {
            return Err(malformed(&file, format!("expected tensors *{}", suffixes.join(" and *"))));
        }
        let modules = Modules::new(backbone.sites);
        let mut matched = modules.matched(&file, &paths, options)?;
        let stray = matched.outside.iter().find(|path| !selector.selects(path));
        if let Some(path) = stray {
            return Err(modules.unknown(&file, path));
        }
        let skipped = skipped::take(&file, &modules, &mut matched, backbone.unread)?;
        for (path, suffix) in
            skipped.iter().flat_map(|path| suffixes.iter().map(move |s| (path, s)))
        {
            tensors.take(&format!("{PREFIX}{path}{suffix}"));
        }
        let unread = |site: &Site| backbone.unread.contains(&site.module);
        check_complete(&file, (&modules, &unread), &matched.prefix, &paths, selector)?;
        Ok(Self { tensors, sites: matched.sites, prefix: matched.prefix, skipped })
    }

    fn notes(&self) -> Vec<String> {
        self.prefix.note().into_iter().chain(skipped::note(&self.skipped)).collect()
    }

    /// A head behind a module that was adapted and left out would read something else here.
    fn check_head_reads_output(&self, options: &ReadOptions) -> Result<()> {
        match self.skipped.iter().find(|_| !options.head_on_pooled) {
            None => Ok(()),
            Some(path) => {
                let message = format!(
                    "it has a head and an adapter on {path}, which stands behind the backbone's \
                     output; if the head reads the pooled hidden states and not {path}, say so \
                     with --head-on-pooled"
                );
                Err(unsupported(self.tensors.file(), message))
            }
        }
    }
}

/// Compares the modules that the configuration selects with those that have tensors.
fn check_complete(
    file: &Path,
    (modules, is_unread): (&Modules<'_>, &dyn Fn(&Site) -> bool),
    prefix: &Prefix,
    found: &BTreeSet<String>,
    selector: &Selector,
) -> Result<()> {
    for (module, site) in modules.paths() {
        let Some(path) = prefix.theirs(module) else { continue };
        // The other model may lack what stands behind its output, such as a pooler.
        let first =
            module.strip_prefix(prefix.ours.as_str()).and_then(|rest| rest.split('.').next());
        let may_lack = is_unread(site) || first.is_some_and(skipped::is_head);
        if selector.selects(&path) && !found.contains(&path) && !may_lack {
            return Err(missing(file, &path, &prefix.theirs, found));
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

/// The error for a module without tensors. Where the whole layer has none and lies above all that
/// have some, the adapter is sound and belongs to a smaller model.
fn missing(file: &Path, path: &str, before: &str, found: &BTreeSet<String>) -> crate::error::Error {
    let layer = |path: &str| -> Option<u64> {
        let path = path.strip_prefix(before).unwrap_or(path);
        path.split('.').find(|part| is_number(part)).and_then(|part| part.parse().ok())
    };
    let last = found.iter().filter_map(|path| layer(path)).max();
    if layer(path) > last && last.is_some() {
        let count = last.unwrap_or(0) + 1;
        let message = format!(
            "{PREFIX}{path} has no tensors, but target_modules selects it: the adapter belongs to \
             a model of {count} layers"
        );
        return unsupported(file, message);
    }
    malformed(file, format!("{PREFIX}{path} has no tensors, but target_modules selects it"))
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
