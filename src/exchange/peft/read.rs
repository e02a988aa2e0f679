//! Reads a folder of PEFT.

use super::folder::{SiteTensors, folder_labels, open_config};
use super::patterns::Selector;
use super::{ia3, lora};
use crate::adapter::Component;
use crate::error::Result;
use crate::exchange::fields::Fields;
use crate::exchange::head::{self, Head};
use crate::exchange::message::unsupported;
use crate::exchange::options::{Backbone, Imported, ReadOptions};
use crate::exchange::skipped;
use std::collections::BTreeMap;
use std::path::Path;

/// Fields that document the adapter's origin or training, and fields that only matter together with
/// another one.
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

/// The reasons why known fields are refused.
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

pub fn read(folder: &Path, backbone: &Backbone<'_>, options: &ReadOptions) -> Result<Imported> {
    let mut config = open_config(folder)?;
    let file = config.file().to_owned();
    let kind = config.text("peft_type")?.unwrap_or_default();
    let saved = config.texts("modules_to_save", false)?.unwrap_or_default();
    let class = model_class(&mut config)?;
    if !["LORA", "IA3"].contains(&kind.as_str()) {
        let message = format!("peft_type: expected \"LORA\" or \"IA3\", found {kind:?}");
        return Err(unsupported(&file, message));
    }
    let selector = Selector::take(&mut config, &saved)?;
    let settings = match kind.as_str() {
        "LORA" => Settings::Lora(lora::Settings::take(&mut config)?),
        _ => Settings::Ia3(ia3::Settings::take(&mut config)?),
    };
    config.ignore(&WITHOUT_EFFECT);
    config.finish(&REASONS)?;

    let mut tensors =
        SiteTensors::open(folder, backbone, (settings.suffixes(), &selector), options)?;
    let mut own = BTreeMap::new();
    let component = match &settings {
        Settings::Lora(lora) => Component::Lora(lora.read(&mut tensors, &mut own)?),
        Settings::Ia3(ia3) => Component::Ia3(ia3.read(&mut tensors, &mut own)?),
    };
    let head = match tensors.head_module(&saved) {
        Some(module) => {
            if let Some((field, class)) = &class {
                head::check_class(&file, field, class, options)?;
            }
            tensors.check_head_reads_output(options)?;
            let labels = folder_labels(folder)?;
            Some(Head::take(&mut tensors.file, &module, labels, backbone, options)?)
        }
        None => Head::zeros(backbone, options),
    };
    tensors.file.finish()?;
    let notes = skipped::notes(&tensors.matched).collect();
    Ok(Imported { adapter: head::assemble(backbone, component, own, head), notes })
}

enum Settings {
    Lora(lora::Settings),
    Ia3(ia3::Settings),
}

impl Settings {
    /// The suffixes of the kind's tensors.
    fn suffixes(&self) -> &'static [&'static str] {
        match self {
            Self::Lora(_) => &[lora::SUFFIX_A, lora::SUFFIX_B],
            Self::Ia3(_) => &[ia3::SUFFIX],
        }
    }
}

/// The class of the trained model, if the configuration states it, with the field's name.
fn model_class(config: &mut Fields) -> Result<Option<(&'static str, String)>> {
    let task = config.text("task_type")?;
    let mapping = config.object("auto_mapping")?;
    let class = match mapping {
        Some(mut mapping) => mapping.text("base_model_class")?,
        None => None,
    };
    Ok(task.map(|task| ("task_type", task)).or(class.map(|class| ("base_model_class", class))))
}
