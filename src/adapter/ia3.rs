//! (IA)3: a learnt factor on each output, or each input, of a linear layer.
//!
//! `y = x W + b` becomes `y = (x W + b) * l` with `l: [outputs]`, or `y = (x * l) W + b` with
//! `l: [inputs]` (Liu et al., arXiv 2205.05638: keys and values are multiplied at the output, the
//! feed-forward inside, which is the input of its last layer). The factors start at one, which is
//! their default and changes nothing.

use super::attach::{Surgery, node};
use super::lora::{check_targets, unknown_target};
use super::site::Site;
use crate::error::Result;
use crate::graph::Dim;
use serde::{Deserialize, Serialize};

/// Which sites get factors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ia3Config {
    /// Module-name patterns of the layers whose output is multiplied.
    pub targets: Vec<String>,
    /// Module-name patterns of the layers whose input is multiplied; a layer that both lists name
    /// is one of these.
    pub feed_forward_targets: Vec<String>,
}

impl Default for Ia3Config {
    /// Keys and values, as BERT-like backbones name them, and the last layer of each feed-forward.
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
        let all: Vec<String> = self.all_targets().cloned().collect();
        check_targets("ia3.targets", &all)
    }

    /// The sites that the targets name, in graph order.
    ///
    /// # Errors
    /// [`Code::AdapterNoSite`](crate::error::Code::AdapterNoSite) when a target names none.
    pub fn select<'a>(&self, sites: &'a [Site]) -> Result<Vec<&'a Site>> {
        for target in self.all_targets() {
            if !sites.iter().any(|site| site.matches(target)) {
                return Err(unknown_target(target, sites));
            }
        }
        let chosen = |site: &&Site| self.all_targets().any(|target| site.matches(target));
        Ok(sites.iter().filter(chosen).collect())
    }

    /// Whether it is the input of this site that is multiplied.
    pub fn is_on_input(&self, site: &Site) -> bool {
        self.feed_forward_targets.iter().any(|target| site.matches(target))
    }

    fn all_targets(&self) -> impl Iterator<Item = &String> {
        self.targets.iter().chain(&self.feed_forward_targets)
    }
}

/// Adds the input `name` and the products of one site.
pub(super) fn attach(
    surgery: &mut Surgery<'_>,
    site: &Site,
    name: &str,
    on_input: bool,
) -> Result<()> {
    for (number, &position) in site.nodes.iter().enumerate() {
        let label = |part: &str| format!("{name}.{number}/{part}");
        surgery.node(site, position)?;
        if on_input {
            let product = label("product");
            let read = &mut surgery.graph.node[position].input[0];
            let input = std::mem::replace(read, product.clone());
            surgery.before(position, node("Mul", product.clone(), &[&input, name], &product));
        } else {
            let place = surgery.whole(position);
            surgery.unfuse_bias(site, place)?;
            surgery.after(place, label("frozen"), |frozen, value| {
                vec![node("Mul", label("product"), &[frozen, name], value)]
            });
        }
    }
    let size = if on_input { site.inputs } else { site.outputs };
    surgery.declare(name, vec![Dim::Known(size as i64)], 1.0);
    Ok(())
}
