//! The files of a PEFT folder: a configuration, tensors, and optionally labels.

use super::patterns::{Selector, is_end};
use crate::adapter::Tensor;
use crate::error::Result;
use crate::exchange::fields::{Described, Fields};
use crate::exchange::format::CONFIG_NAME;
use crate::exchange::message::{malformed, unsupported};
use crate::exchange::names::{Matched, Modules, missing};
use crate::exchange::options::{Backbone, ReadOptions};
use crate::exchange::prefix::Prefix;
use crate::exchange::tensors::TensorFile;
use crate::exchange::{head, skipped};
use crate::sites::Site;
use std::collections::BTreeSet;
use std::path::Path;

pub const TENSORS_NAME: &str = "adapter_model.safetensors";
/// The same as a pickle, which is not read.
const PICKLE_NAME: &str = "adapter_model.bin";
/// The model's configuration, which may be beside an adapter.
pub const MODEL_CONFIG_NAME: &str = "config.json";
pub const PREFIX: &str = "base_model.model.";

/// The fields of a configuration in a description.
const SHOWN: [&[&str]; 2] = [
    &["peft_type", "task_type", "r", "lora_alpha", "use_rslora", "rank_pattern"],
    &["alpha_pattern", "target_modules", "feedforward_modules", "modules_to_save"],
];

/// Describes the settings, the labels and the tensors of a folder.
pub fn describe(folder: &Path) -> Result<(Described, Option<Vec<String>>, TensorFile)> {
    let tensors = TensorFile::open(folder, TENSORS_NAME, PICKLE_NAME)?;
    let settings = open_config(folder)?.settings(&SHOWN.concat());
    Ok((settings, folder_labels(folder)?, tensors))
}

pub fn open_config(folder: &Path) -> Result<Fields> {
    Fields::open(&folder.join(CONFIG_NAME))
}

/// The labels in the model's configuration beside the adapter, if there is one.
pub fn folder_labels(folder: &Path) -> Result<Option<Vec<String>>> {
    let file = folder.join(MODEL_CONFIG_NAME);
    if !file.exists() {
        return Ok(None);
    }
    head::labels(&mut Fields::open(&file)?)
}

pub struct SiteTensors<'a> {
    /// The tensors that have not been taken yet.
    pub file: TensorFile,
    /// The sites by PEFT's path, without [`PREFIX`].
    pub matched: Matched<'a>,
}

impl<'a> SiteTensors<'a> {
    /// Reads the tensors and finds their sites.
    pub fn open(
        folder: &Path,
        backbone: &Backbone<'a>,
        (suffixes, selector): (&[&str], &Selector),
        options: &ReadOptions,
    ) -> Result<Self> {
        let mut tensors = TensorFile::open(folder, TENSORS_NAME, PICKLE_NAME)?;
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
        skipped::take(&file, &modules, &mut matched, backbone.unread)?;
        for path in &matched.left_out {
            for suffix in suffixes {
                tensors.take(&format!("{PREFIX}{path}{suffix}"));
            }
        }
        let unread = |site: &Site| backbone.unread.contains(&site.module);
        check_complete(&file, (&modules, &unread), &matched.prefix, &paths, selector)?;
        Ok(Self { file: tensors, matched })
    }

    pub fn expect(&mut self, path: &str, suffix: &str, shape: &[usize]) -> Result<Tensor> {
        self.file.expect(&format!("{PREFIX}{path}{suffix}"), shape)
    }

    /// The path of the module that is the head, by the names of the tensors. A module that is not
    /// one linear layer does not count, so its tensors are left over.
    pub fn head_module(&self, saved: &[String]) -> Option<String> {
        let weights = self.file.names().filter_map(|name| name.strip_suffix(".weight"));
        let mut modules = weights.filter(|path| saved.iter().any(|name| is_end(name, path)));
        modules.next().map(str::to_owned)
    }

    /// Refuses a head after an adapted module that was left out, because the head would read
    /// another input here.
    pub fn check_head_reads_output(&self, options: &ReadOptions) -> Result<()> {
        match self.matched.left_out.iter().find(|_| !options.head_on_pooled) {
            None => Ok(()),
            Some(path) => {
                let message = format!(
                    "it has a head and an adapter on {path}, which stands behind the backbone's \
                     output; if the head reads the pooled hidden states and not {path}, say so \
                     with --head-on-pooled"
                );
                Err(unsupported(self.file.file(), message))
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
        // The other model may lack modules after its output, such as a pooler.
        let first =
            module.strip_prefix(prefix.ours.as_str()).and_then(|rest| rest.split('.').next());
        let may_lack = is_unread(site) || first.is_some_and(skipped::is_head);
        if selector.selects(&path) && !found.contains(&path) && !may_lack {
            let message = format!("{PREFIX}{path} has no tensors, but target_modules selects it");
            let found = found.iter().map(String::as_str);
            return Err(missing(file, message, (&path, &prefix.theirs), found));
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
