//! The setting of AdapterHub that selects given linear layers for LoRA or (IA)3.
//!
//! A setting selects kinds of modules in every layer but those left out. A set of modules that no
//! setting selects is refused.

use crate::error::{Error, Result};
use crate::exchange::message::unsupported;
use crate::exchange::output::number;
use crate::exchange::prefix::layer_number;
use crate::sites::{Role, Site};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The modules of an attention that a setting selects, with their letters.
const ATTENTION: [(&str, &str); 3] = [("query", "q"), ("key", "k"), ("value", "v")];

/// What the tensors do to the output of a linear layer.
#[derive(Clone, Copy)]
pub enum Composition {
    /// Add a low-rank product, as LoRA does.
    Add,
    /// Multiply it by factors, as (IA)3 does.
    Scale,
}

/// The kinds of modules that have tensors, and the layers in which they have none.
pub struct LoraSelection {
    /// The letters of the modules of an attention.
    attention: Vec<&'static str>,
    /// The first linear layer of the feed-forward.
    intermediate: bool,
    /// Its last linear layer.
    output: bool,
    /// The numbers of the layers without tensors.
    leave_out: BTreeSet<usize>,
}

impl LoraSelection {
    /// What selects exactly `sites` among `all` sites of a backbone; `within` is the prefix of
    /// their module paths.
    ///
    /// # Errors
    /// `adapter.unsupported` naming modules of one kind of which only some are in `sites`, or a
    /// module that no setting selects.
    pub fn of(folder: &Path, within: &str, sites: &[&Site], all: &[Site]) -> Result<Self> {
        let layer = |site: &Site| layer_number(&site.module, within);
        let layers: BTreeSet<usize> = sites.iter().filter_map(|site| layer(site)).collect();
        let others = all.iter().filter_map(layer);
        let leave_out: BTreeSet<usize> = others.filter(|layer| !layers.contains(layer)).collect();
        let is_left = |site: &Site| layer(site).is_some_and(|layer| leave_out.contains(&layer));
        let candidates: Vec<&Site> = all.iter().filter(|site| !is_left(site)).collect();
        let selects = |is_meant: &dyn Fn(&Site) -> bool| {
            let meant = candidates.iter().copied().filter(|site| is_meant(site));
            is_selected(folder, sites, meant)
        };
        let mut attention = Vec::new();
        for (name, letter) in ATTENTION {
            if selects(&|site| is_attention(site, name))? {
                attention.push(letter);
            }
        }
        let intermediate = selects(&|site| site.role == Role::FeedForwardInput)?;
        let output = selects(&|site| site.role == Role::FeedForwardOutput)?;
        match sites.iter().find(|site| !has_setting(site)) {
            Some(site) => Err(no_setting(folder, site)),
            None => Ok(Self { attention, intermediate, output, leave_out }),
        }
    }

    /// The setting as the library writes it.
    pub fn setting(&self, composition: Composition, rank: usize, alpha: f64) -> Value {
        let (mode, initial) = match composition {
            Composition::Add => ("add", "lora"),
            Composition::Scale => ("scale", "ia3"),
        };
        json!({
            "architecture": "lora",
            "alpha": number(alpha),
            "attn_matrices": self.attention,
            "composition_mode": mode,
            "dropout": 0.0,
            "init_weights": initial,
            "intermediate_lora": self.intermediate,
            "leave_out": self.leave_out,
            "output_lora": self.output,
            "r": rank,
            "selfattn_lora": !self.attention.is_empty(),
            "use_dora": false,
            "use_gating": false,
        })
    }
}

/// Whether a setting for the `meant` modules is on: all of them are among `sites`, or none is.
fn is_selected<'a>(
    folder: &Path,
    sites: &[&Site],
    meant: impl Iterator<Item = &'a Site>,
) -> Result<bool> {
    let is_chosen = |site: &&Site| sites.iter().any(|one| one.module == site.module);
    let (chosen, left): (Vec<&Site>, Vec<&Site>) = meant.partition(is_chosen);
    match (chosen.first(), left.first()) {
        (Some(chosen), Some(left)) => Err(unsupported(
            folder,
            format!(
                "{} has an adapter and {} has none: a setting of AdapterHub takes a module in \
                 every layer or in none",
                chosen.module, left.module
            ),
        )),
        (chosen, _) => Ok(chosen.is_some()),
    }
}

fn is_attention(site: &Site, name: &str) -> bool {
    site.module.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
}

/// Whether a setting selects modules of this kind.
fn has_setting(site: &Site) -> bool {
    let in_attention = ATTENTION.iter().any(|(name, _)| is_attention(site, name));
    in_attention || [Role::FeedForwardInput, Role::FeedForwardOutput].contains(&site.role)
}

/// The error for a module that no setting selects.
pub fn no_setting(folder: &Path, site: &Site) -> Error {
    let message = format!("{}: no setting of AdapterHub chooses such a module", site.module);
    unsupported(folder, message)
}
