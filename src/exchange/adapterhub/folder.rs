//! The files of an AdapterHub folder: settings, tensors, and optionally those of a head.

use crate::error::Result;
use crate::exchange::fields::{Described, Fields, shown};
use crate::exchange::format::CONFIG_NAME;
use crate::exchange::head;
use crate::exchange::message::unsupported;
use crate::exchange::options::Backbone;
use crate::exchange::tensors::TensorFile;
use std::path::Path;

/// The file with the adapter's tensors.
pub const TENSORS_NAME: &str = "adapter.safetensors";
/// The same as a pickle, which is not read.
const PICKLE_NAME: &str = "pytorch_adapter.bin";
pub const HEAD_CONFIG_NAME: &str = "head_config.json";
/// The file with the head's tensors.
pub const HEAD_TENSORS_NAME: &str = "model_head.safetensors";
/// The same as a pickle, which is not read.
pub const HEAD_PICKLE_NAME: &str = "pytorch_model_head.bin";
/// The beginning of this library's version; others wrote other settings under the same names.
pub const VERSION_PREFIX: &str = "adapters.";

/// Fields beside the settings that only document the adapter's origin.
pub const WITHOUT_EFFECT: [&str; 5] =
    ["model_class", "model_name", "model_type", "type", "version"];

/// The settings in a description.
const SHOWN: [&[&str]; 2] = [
    &["architecture", "r", "alpha", "attn_matrices", "composition_mode"],
    &["reduction_factor", "non_linearity", "is_parallel", "mh_adapter", "output_adapter"],
];

/// The settings of an adapter and their surroundings.
pub struct AdapterFolder {
    /// The adapter's name.
    pub name: String,
    /// The settings that have not been taken yet.
    pub config: Fields,
    /// The tensors that have not been taken yet.
    pub tensors: TensorFile,
    /// The library's version, 1.0 or newer.
    pub version: String,
    /// The library's name of the architecture.
    pub model_type: String,
    pub notes: Vec<String>,
}

impl AdapterFolder {
    /// Reads the settings with their surroundings, and the tensors.
    pub fn open(folder: &Path, backbone: &Backbone<'_>) -> Result<Self> {
        let file = folder.join(CONFIG_NAME);
        let mut outer = Fields::open(&file)?;
        // The version is checked first, because other versions use the same names in other ways.
        let version = outer.text("version")?.unwrap_or_default();
        if !version.starts_with(VERSION_PREFIX) {
            let message = format!(
                "version: expected {VERSION_PREFIX}*, found {version:?}; load the adapter in \
                 Python with the library adapters and save it again"
            );
            return Err(unsupported(&file, message));
        }
        let (name, config) = (outer.text("name")?, outer.object("config")?);
        let name = outer.required("name", name)?;
        let config = outer.required("config", config)?;
        let model_type = outer.text("model_type")?.unwrap_or_default();
        if let Some(hidden) = outer.take("hidden_size")
            && hidden != backbone.hidden
        {
            let (expected, found) = (backbone.hidden, shown(&hidden));
            let message = format!(
                "hidden_size: expected {expected} on this backbone, found {found}: the adapter \
                 belongs to a model of another size"
            );
            return Err(unsupported(&file, message));
        }
        outer.ignore(&WITHOUT_EFFECT);
        outer.finish(&[])?;
        let tensors = TensorFile::open(folder, TENSORS_NAME, PICKLE_NAME)?;
        Ok(Self { name, config, tensors, version, model_type, notes: Vec::new() })
    }
}

/// Describes the settings, the labels and the tensors of a folder.
pub fn describe(folder: &Path) -> Result<(Described, Option<Vec<String>>, Vec<TensorFile>)> {
    let mut outer = Fields::open(&folder.join(CONFIG_NAME))?;
    let config = outer.object("config")?;
    let mut settings = outer.settings(&["name", "model_type", "version"]);
    settings.extend(config.into_iter().flat_map(|mut config| config.settings(&SHOWN.concat())));
    let mut files = vec![TensorFile::open(folder, TENSORS_NAME, PICKLE_NAME)?];
    let mut labels = None;
    let file = folder.join(HEAD_CONFIG_NAME);
    if file.exists() {
        files.push(TensorFile::open(folder, HEAD_TENSORS_NAME, HEAD_PICKLE_NAME)?);
        if let Some(mut config) = Fields::open(&file)?.object("config")? {
            labels = head::labels(&mut config)?;
        }
    }
    Ok((settings, labels, files))
}
