//! (IA)3: the settings of a trained factor on each output, or each input, of a linear layer.
//!
//! `y = x W + b` becomes `y = (x W + b) * l` with `l: [outputs]`, or `y = (x * l) W + b` with `l:
//! [inputs]`. Liu et al. (arXiv 2205.05638) multiply keys and values at the output and the
//! feed-forward at the input of its last layer.

use super::targets;
use crate::error::Result;
use crate::sites::Site;
use serde::{Deserialize, Serialize};

/// Which sites get factors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ia3Config {
    /// Module-name patterns of the layers whose output is multiplied.
    pub targets: Vec<String>,
    /// Module-name patterns of the layers whose input is multiplied. They take precedence over
    /// `targets`.
    pub feed_forward_targets: Vec<String>,
}

impl Default for Ia3Config {
    /// The keys and values as BERT-like backbones name them, and the last layer of each
    /// feed-forward.
    fn default() -> Self {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            targets: own(&["key", "value"]),
            feed_forward_targets: own(&["@feed_forward_output"]),
        }
    }
}

impl Ia3Config {
    /// Checks that there is at least one target and none is empty.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`](crate::error::Code::ArgumentInvalid).
    pub fn validate(&self) -> Result<()> {
        targets::check("ia3.targets", self.all_targets())
    }

    /// The sites that the targets name, in graph order.
    ///
    /// # Errors
    /// [`Code::AdapterNoSite`](crate::error::Code::AdapterNoSite) when a target matches no site.
    pub fn select<'a>(&self, sites: &'a [Site]) -> Result<Vec<&'a Site>> {
        targets::select(self.all_targets(), sites)
    }

    /// Whether the input of this site is multiplied, not its output.
    pub fn is_on_input(&self, site: &Site) -> bool {
        self.feed_forward_targets.iter().any(|target| site.matches(target))
    }

    fn all_targets(&self) -> impl Iterator<Item = &String> + Clone {
        self.targets.iter().chain(&self.feed_forward_targets)
    }
}
