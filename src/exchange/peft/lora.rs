//! Reads LoRA of PEFT.

use super::folder::{PREFIX, SiteTensors};
use super::patterns::Patterns;
use crate::adapter::{LoraConfig, Tensor, TensorId};
use crate::error::{Error, Result};
use crate::exchange::fields::{Fields, shown};
use crate::exchange::message::{malformed, unsupported};
use crate::exchange::tensors::transposed;
use std::collections::BTreeMap;

/// The suffix of the tensors that project down.
pub const SUFFIX_A: &str = ".lora_A.weight";
/// The suffix of the tensors that project up.
pub const SUFFIX_B: &str = ".lora_B.weight";

/// Initialisations that do not change the backbone's weights. The others (PiSSA, OLoRA, CorDA,
/// LoRA-GA, LoftQ) move a part of the weights into the adapter.
const HARMLESS_INITS: [&str; 4] = ["eva", "gaussian", "mica", "orthogonal"];

/// The fields of the configuration.
pub struct Settings {
    rank: usize,
    alpha: f64,
    rank_stabilized: bool,
    rank_pattern: Patterns,
    alpha_pattern: Patterns,
}

impl Settings {
    pub fn take(config: &mut Fields) -> Result<Self> {
        if let Some(bias) = config.take("bias")
            && bias != "none"
        {
            let reason = "biases that were trained have no place here; expected \"none\"";
            return Err(config.refused("bias", &bias, reason));
        }
        if let Some(init) = config.take("init_lora_weights")
            && !init.is_boolean()
            && !init.as_str().is_some_and(|name| HARMLESS_INITS.contains(&name))
        {
            let reason = "this way of drawing initial values changes the backbone's weights, so \
                          the adapter does not fit the original ones; in Python, save it with \
                          path_initial_model_for_weight_conversion";
            return Err(config.refused("init_lora_weights", &init, reason));
        }
        Ok(Self {
            rank: config.count("r", 8)?,
            alpha: config.number("lora_alpha", 8.0)?,
            rank_stabilized: config.flag("use_rslora", false)?,
            rank_pattern: Patterns::take(config, "rank_pattern")?,
            alpha_pattern: Patterns::take(config, "alpha_pattern")?,
        })
    }

    /// Takes the tensors of every site.
    pub fn read(
        &self,
        tensors: &mut SiteTensors<'_>,
        own: &mut BTreeMap<String, Tensor>,
    ) -> Result<LoraConfig> {
        let mut config = LoraConfig {
            rank: self.rank,
            alpha: self.alpha,
            rank_stabilized: self.rank_stabilized,
            targets: Vec::new(),
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
        };
        for (path, site) in tensors.matched.sites.clone() {
            let rank = self.rank(tensors, &path)?;
            let alpha = self.alpha(tensors, &path)?;
            let down = tensors.expect(&path, SUFFIX_A, &[rank, site.inputs])?;
            let up = tensors.expect(&path, SUFFIX_B, &[site.outputs, rank])?;
            own.insert(TensorId::LoraA(&site.module).to_string(), transposed(&down));
            own.insert(TensorId::LoraB(&site.module).to_string(), transposed(&up));
            config.targets.push(site.module.clone());
            if rank != self.rank {
                config.rank_pattern.insert(site.module.clone(), rank);
            }
            if alpha != self.alpha {
                config.alpha_pattern.insert(site.module.clone(), alpha);
            }
        }
        let unfit = |error: Error| format!("r and lora_alpha: {}", error.message());
        config.validate().map_err(|error| unsupported(tensors.file.file(), unfit(error)))?;
        Ok(config)
    }

    /// The rank of the tensor, which must be one that the configuration states.
    fn rank(&self, tensors: &SiteTensors<'_>, path: &str) -> Result<usize> {
        let name = format!("{PREFIX}{path}{SUFFIX_A}");
        let found = tensors.file.shape(&name).and_then(|shape| shape.first()).copied();
        let given = self.rank_pattern.values(path);
        let fits = |rank: usize| {
            if given.is_empty() { rank == self.rank } else { given.contains(&(rank as f64)) }
        };
        let given = if given.is_empty() { vec![self.rank as f64] } else { given.clone() };
        found.filter(|rank| fits(*rank)).ok_or_else(|| {
            let found = found.map_or_else(|| "no such tensor".to_owned(), |rank| rank.to_string());
            let expected = shown(&given.into());
            malformed(
                tensors.file.file(),
                format!(
                    "{name}: expected rank {expected}, as r or rank_pattern say, found {found}"
                ),
            )
        })
    }

    /// The numerator of the scale. If several patterns match, PEFT takes the first, but does not
    /// save their order, so their values must be equal.
    fn alpha(&self, tensors: &SiteTensors<'_>, path: &str) -> Result<f64> {
        match self.alpha_pattern.values(path)[..] {
            [] => Ok(self.alpha),
            [alpha] => Ok(alpha),
            [first, second, ..] => Err(unsupported(
                tensors.file.file(),
                format!(
                    "alpha_pattern: expected one value for {path}, found {first} and {second}, and \
                     PEFT does not keep which pattern is first; name each module once"
                ),
            )),
        }
    }
}
