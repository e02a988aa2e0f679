//! Reads (IA)3 of PEFT.

use super::folder::SiteTensors;
use super::patterns::Names;
use crate::adapter::{Ia3Config, Tensor, TensorId};
use crate::error::Result;
use crate::exchange::fields::Fields;
use crate::exchange::tensors::reshaped;
use std::collections::BTreeMap;

/// The suffix of the tensors' names.
pub const SUFFIX: &str = ".ia3_l";

/// The fields of the configuration.
pub struct Settings {
    feed_forward: Option<Names>,
}

impl Settings {
    pub fn take(config: &mut Fields) -> Result<Self> {
        Ok(Self { feed_forward: Names::take(config, "feedforward_modules")? })
    }

    /// Takes the tensors of every site.
    pub fn read(
        &self,
        tensors: &mut SiteTensors<'_>,
        own: &mut BTreeMap<String, Tensor>,
    ) -> Result<Ia3Config> {
        let mut config = Ia3Config { targets: Vec::new(), feed_forward_targets: Vec::new() };
        for (path, site) in tensors.matched.sites.clone() {
            let module = site.module.clone();
            let factors = if self.is_on_input(&path) {
                config.feed_forward_targets.push(module);
                tensors.expect(&path, SUFFIX, &[1, site.inputs])?
            } else {
                config.targets.push(module);
                tensors.expect(&path, SUFFIX, &[site.outputs, 1])?
            };
            own.insert(
                TensorId::Ia3(&site.module, None).to_string(),
                reshaped(&factors, &[factors.values.len()]),
            );
        }
        Ok(config)
    }

    fn is_on_input(&self, path: &str) -> bool {
        self.feed_forward.as_ref().is_some_and(|names| names.name_loosely(path))
    }
}
