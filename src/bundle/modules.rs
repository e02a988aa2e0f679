//! Reads what a folder of sentence-transformers says about a model: pooling, the layers after it,
//! the token limit and the prompts.
//!
//! This module must never guess: a module, a setting or a file that changes the vector and is not
//! known here is refused by its name.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

use super::layers::{LayerActivation, NewLayer};
use super::manifest::Pooling;
use crate::error::{Code, Error, Result, ResultExt, listed};
use crate::files::read_within;
use crate::graph::{bf16, f16};

const MODULES: &str = "modules.json";
const CONFIG: &str = "config.json";
const TRANSFORMER_CONFIG: &str = "sentence_bert_config.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const PROMPTS: &str = "config_sentence_transformers.json";
const WEIGHTS: &str = "model.safetensors";
const PICKLE: &str = "pytorch_model.bin";

/// The largest configuration that is read, in bytes.
const JSON_SIZE_BYTES_MAX: u64 = 1 << 20;
/// The largest file of a layer's weights, in bytes.
const WEIGHTS_SIZE_BYTES_MAX: u64 = 1 << 30;
/// The largest header of that file, in bytes; two tensors need a few hundred.
const HEADER_SIZE_BYTES_MAX: u64 = 1 << 16;
/// The largest number of modules.
const MODULES_MAX: usize = 16;

/// The poolings by their names in sentence-transformers, and by the flags of older folders.
const POOLINGS: [(&str, &str, Option<Pooling>); 6] = [
    ("cls", "pooling_mode_cls_token", Some(Pooling::Cls)),
    ("max", "pooling_mode_max_tokens", Some(Pooling::Max)),
    ("mean", "pooling_mode_mean_tokens", Some(Pooling::Mean)),
    ("mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", None),
    ("weightedmean", "pooling_mode_weightedmean_tokens", Some(Pooling::WeightedMean)),
    ("lasttoken", "pooling_mode_lasttoken", Some(Pooling::Last)),
];

/// The activations by the last part of their name.
const ACTIVATIONS: [(&str, LayerActivation); 6] = [
    ("Identity", LayerActivation::Identity),
    ("Tanh", LayerActivation::Tanh),
    ("ReLU", LayerActivation::Relu),
    ("GELU", LayerActivation::Gelu),
    ("Sigmoid", LayerActivation::Sigmoid),
    ("SiLU", LayerActivation::Silu),
];

/// What a folder of sentence-transformers says about its model.
#[derive(Clone, Debug, PartialEq)]
pub struct Modules {
    /// How hidden states are pooled.
    pub pooling: Pooling,
    /// What the pooled vector passes, in order.
    pub layers: Vec<NewLayer>,
    /// The most tokens of a text; absent where the folder does not say.
    pub tokens_max: Option<usize>,
    /// Texts to put before an input, by what they are for, such as `query`.
    pub prompts: Vec<(String, String)>,
    /// The name of the prompt that is put before every input.
    pub default_prompt: Option<String>,
    /// Whether the tokens of a prompt are pooled like others. Where they are not, a bundle with a
    /// prefix would give other vectors.
    pub include_prompt: bool,
}

impl Modules {
    /// Whether a folder is one of sentence-transformers.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(MODULES).is_file()
    }

    /// Reads the folder.
    ///
    /// # Errors
    /// [`Code::NotFound`] without a `modules.json`; [`Code::BundleUnusable`] naming the file, what
    /// was expected there and what was found.
    pub fn read(folder: &Path) -> Result<Self> {
        let context = || format!("reading {}", folder.display());
        Self::read_all(folder).context(context)
    }

    fn read_all(folder: &Path) -> Result<Self> {
        let path = folder.join(MODULES);
        let modules = read_json(&path)?.ok_or_else(|| {
            Error::new(Code::NotFound, format!("there is no {MODULES:?} that names its modules"))
        })?;
        let modules =
            modules.as_array().filter(|all| all.len() <= MODULES_MAX).ok_or_else(|| {
                unfit(&path, &format!("expected a list of at most {MODULES_MAX} modules"))
            })?;
        let (mut pooling, mut include_prompt, mut layers) = (None, true, Vec::new());
        let mut transformer = folder.to_owned();
        for (position, module) in modules.iter().enumerate() {
            let kind = module["type"].as_str().unwrap_or_default();
            let place = inside(folder, module["path"].as_str().unwrap_or_default())
                .ok_or_else(|| unfit(&path, "expected paths inside of the folder"))?;
            match (position, kind.rsplit('.').next().unwrap_or_default()) {
                (0, "Transformer") => transformer = place,
                (1, "Pooling") => (pooling, include_prompt) = pooling_of(&place)?,
                (2.., "Dense") => layers.push(dense(&place)?),
                (2.., "Normalize") => {
                    check_input(&place)?;
                    layers.push(NewLayer::Normalise);
                }
                // Dropout acts in training only.
                (2.., "Dropout") => {}
                _ => {
                    return Err(unfit(
                        &path,
                        &format!(
                            "module {position} is {kind:?}, expected Transformer, Pooling and then \
                             any of Dense and Normalize"
                        ),
                    ));
                }
            }
        }
        let pooling = pooling.ok_or_else(|| unfit(&path, "expected a module Pooling"))?;
        let config = read_json(&transformer.join(TRANSFORMER_CONFIG))?.unwrap_or_default();
        if config["do_lower_case"] == true {
            let path = transformer.join(TRANSFORMER_CONFIG);
            let advice = "do_lower_case is true, expected the tokenizer to lower-case texts";
            return Err(unfit(&path, advice));
        }
        let most = match config["max_seq_length"].as_u64() {
            Some(most) => Some(most),
            // Since version 5 the limit is the tokenizer's; one without a limit has a huge number.
            None => read_json(&transformer.join(TOKENIZER_CONFIG))?.unwrap_or_default()
                ["model_max_length"]
                .as_u64(),
        };
        let tokens_max = most.and_then(|most| most.try_into().ok());
        let (prompts, default_prompt) = prompts(folder)?;
        Ok(Self { pooling, layers, tokens_max, prompts, default_prompt, include_prompt })
    }

    /// The text of the prompt that is put before every input.
    pub fn default_prefix(&self) -> Option<&str> {
        let name = self.default_prompt.as_ref()?;
        let found = self.prompts.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

/// The pooling, and whether prompts take part in it.
fn pooling_of(folder: &Path) -> Result<(Option<Pooling>, bool)> {
    let path = folder.join(CONFIG);
    let config = read_json(&path)?.ok_or_else(|| unfit(&path, "expected a file"))?;
    let names: Vec<&str> = match &config["pooling_mode"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => {
            let flags = POOLINGS.iter().filter(|(_, flag, _)| config[*flag] == true);
            flags.map(|(name, ..)| *name).collect()
        }
    };
    let found = match names.as_slice() {
        [] => Some(Pooling::Mean),
        [name] => POOLINGS.iter().find(|(known, ..)| known == name).and_then(|known| known.2),
        _ => None,
    };
    if found.is_none() {
        let known = POOLINGS.iter().filter(|known| known.2.is_some()).map(|known| known.0);
        let what = format!("its pooling is {}, expected one of {}", listed(&names), listed(known));
        return Err(unfit(&path, &what));
    }
    Ok((found, config["include_prompt"] != false))
}

/// Refuses a module that reads anything but the vector of a text.
fn check_input(folder: &Path) -> Result<Value> {
    let path = folder.join(CONFIG);
    let config = read_json(&path)?.unwrap_or_default();
    for field in ["module_input_name", "module_output_name"] {
        if !matches!(config[field].as_str(), None | Some("sentence_embedding")) {
            let found = &config[field];
            let what = format!("{field} is {found:.60}, expected \"sentence_embedding\"");
            return Err(unfit(&path, &what));
        }
    }
    Ok(config)
}

fn dense(folder: &Path) -> Result<NewLayer> {
    let path = folder.join(CONFIG);
    let config = check_input(folder)?;
    if config["use_residual"] == true {
        return Err(unfit(&path, "use_residual is true, expected a layer without one"));
    }
    // Folders older than the setting lack it; their layer ends with Tanh.
    let name = config["activation_function"].as_str().unwrap_or("Tanh");
    let short = name.rsplit('.').next().unwrap_or_default();
    let known = ACTIVATIONS.iter().find(|(known, _)| *known == short);
    let activation = known.map(|(_, activation)| *activation).ok_or_else(|| {
        let known: Vec<&str> = ACTIVATIONS.iter().map(|(known, _)| *known).collect();
        let what =
            format!("activation_function is {name:.60?}, expected one of {}", listed(&known));
        unfit(&path, &what)
    })?;
    let path = folder.join(WEIGHTS);
    if !path.is_file() && folder.join(PICKLE).is_file() {
        let what = format!("its weights are in {PICKLE:?}, a pickle; expected {WEIGHTS:?}");
        return Err(unfit(folder, &what));
    }
    // Opening a pipe would wait for its writer.
    if !path.is_file() {
        return Err(unfit(&path, "expected the weights of the layer, found no file"));
    }
    let bytes = read_within(&path, WEIGHTS_SIZE_BYTES_MAX)?;
    if bytes.len() as u64 > WEIGHTS_SIZE_BYTES_MAX {
        return Err(unfit(&path, &format!("expected at most {WEIGHTS_SIZE_BYTES_MAX} bytes")));
    }
    // A header may describe a million tensors, which take gigabytes once they are parsed.
    let header = bytes.first_chunk::<8>().map_or(0, |size| u64::from_le_bytes(*size));
    if header > HEADER_SIZE_BYTES_MAX {
        let what = format!("its header has {header} bytes, expected {HEADER_SIZE_BYTES_MAX}");
        return Err(unfit(&path, &what));
    }
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|cause| unfit(&path, &format!("expected safetensors, found: {cause}")))?;
    let weight = tensors
        .tensor("linear.weight")
        .map_err(|cause| unfit(&path, &format!("expected linear.weight, found: {cause}")))?;
    let &[outputs, _] = weight.shape() else {
        let shape = weight.shape();
        return Err(unfit(&path, &format!("linear.weight is {shape:?}, expected two dimensions")));
    };
    let bias = tensors.tensor("linear.bias").ok();
    let bias = bias.map(|bias| values(&path, "linear.bias", &bias)).transpose()?;
    let weight = values(&path, "linear.weight", &weight)?;
    Ok(NewLayer::Dense { weight, bias, outputs, activation })
}

fn values(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let data = view.data();
    let halves = || data.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half));
    match view.dtype() {
        Dtype::F32 => {
            Ok(data.as_chunks::<4>().0.iter().map(|one| f32::from_le_bytes(*one)).collect())
        }
        Dtype::F16 => Ok(halves().map(f16).collect()),
        Dtype::BF16 => Ok(halves().map(bf16).collect()),
        other => Err(unfit(path, &format!("{name} is {other}, expected F32, F16 or BF16"))),
    }
}

type Prompts = (Vec<(String, String)>, Option<String>);

/// The prompts of the folder, and the name of the one that is always used.
fn prompts(folder: &Path) -> Result<Prompts> {
    let config = read_json(&folder.join(PROMPTS))?.unwrap_or_default();
    let text = |(name, text): (&String, &Value)| Some((name.clone(), text.as_str()?.to_owned()));
    let prompts = config["prompts"].as_object().into_iter().flatten().filter_map(text).collect();
    Ok((prompts, config["default_prompt_name"].as_str().map(str::to_owned)))
}

/// A folder below another one, or that one itself.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let is_plain = path.is_empty() || path.split('/').all(plain);
    (is_plain && !path.contains(['\\', ':', '\0'])).then(|| folder.join(path))
}

/// The JSON of a file; `None` if it does not exist.
fn read_json(path: &Path) -> Result<Option<Value>> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = read_within(path, JSON_SIZE_BYTES_MAX)?;
    if text.len() as u64 > JSON_SIZE_BYTES_MAX {
        return Err(unfit(path, &format!("expected at most {JSON_SIZE_BYTES_MAX} bytes")));
    }
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|cause| unfit(path, &format!("expected JSON, found: {cause}")))
}

fn unfit(path: &Path, what: &str) -> Error {
    Error::new(Code::BundleUnusable, format!("{}: {what}", path.display()))
}
