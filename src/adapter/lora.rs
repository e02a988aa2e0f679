//! LoRA: the settings of a low-rank product beside a frozen linear layer.
//!
//! `y = x W + b` becomes `y = x W + b + s (x A) B`, with `A: [inputs, rank]` and `B: [rank,
//! outputs]`. The scale `s` is `alpha / rank` (Hu et al., arXiv 2106.09685) or `alpha / sqrt(rank)`
//! (Kalajdzievski, arXiv 2312.03732).

use super::targets;
use crate::error::{Code, Error, Result};
use crate::sites::{Site, path_matches};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The names of query and value in BART, M2M100 and Marian, in T5, and in DistilBERT.
const OTHER_TARGETS: [[&str; 2]; 3] = [["q_proj", "v_proj"], ["q", "v"], ["q_lin", "v_lin"]];

/// Which sites get a low-rank product, and with which rank and scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// The rank of the product, 1 to 1024.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Divides by `sqrt(rank)` instead of `rank`.
    #[serde(default)]
    pub rank_stabilized: bool,
    /// Module-name patterns; a site is used when one matches the end of its path.
    pub targets: Vec<String>,
    /// Ranks by module-name pattern, instead of `rank`. The longest pattern that matches a module
    /// counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rank_pattern: BTreeMap<String, usize>,
    /// Numerators of the scale by pattern, instead of `alpha`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alpha_pattern: BTreeMap<String, f64>,
}

impl Default for LoraConfig {
    /// Rank 8, alpha 16, on the query and value projections.
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            rank_stabilized: false,
            targets: vec!["query".to_owned(), "value".to_owned()],
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
        }
    }
}

impl LoraConfig {
    /// Largest accepted rank; a wider product would not be low-rank for any supported backbone.
    pub const RANK_MAX: usize = 1024;

    /// Settings whose scale is 1 everywhere, for modules with these ranks; `None` without modules.
    pub fn unscaled(ranks: &BTreeMap<String, usize>, targets: Vec<String>) -> Option<Self> {
        let rank = ranks.values().copied().max()?;
        let others = ranks.iter().filter(|(_, own)| **own != rank);
        let rank_pattern: BTreeMap<String, usize> =
            others.map(|(module, own)| (module.clone(), *own)).collect();
        let numerators = rank_pattern.iter().map(|(module, own)| (module.clone(), *own as f64));
        let alpha_pattern = numerators.collect();
        let alpha = rank as f64;
        Some(Self { rank, alpha, rank_stabilized: false, targets, rank_pattern, alpha_pattern })
    }

    /// The rank at a module.
    pub fn rank_of(&self, module: &str) -> usize {
        longest(&self.rank_pattern, module).unwrap_or(self.rank)
    }

    /// The numerator of the scale at a module.
    pub fn alpha_of(&self, module: &str) -> f64 {
        longest(&self.alpha_pattern, module).unwrap_or(self.alpha)
    }

    /// The factor on the low-rank product of a module.
    pub fn scale_of(&self, module: &str) -> f32 {
        self.scale(self.alpha_of(module), self.rank_of(module))
    }

    fn scale(&self, alpha: f64, rank: usize) -> f32 {
        let rank = rank as f64;
        (alpha / if self.rank_stabilized { rank.sqrt() } else { rank }) as f32
    }

    /// Checks ranks, scales and that there is at least one target.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] naming the field, its range and what was found.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::ArgumentInvalid, message));
        let named = |field: &str, pattern: &String| format!("lora.{field}[{pattern:?}]");
        let patterns = self.rank_pattern.iter();
        let patterns = patterns.map(|(pattern, rank)| (named("rank_pattern", pattern), *rank));
        let ranks: Vec<(String, usize)> =
            [("lora.rank".to_owned(), self.rank)].into_iter().chain(patterns).collect();
        for (field, found) in &ranks {
            if *found == 0 || *found > Self::RANK_MAX {
                let max = Self::RANK_MAX;
                return invalid(format!("{field}: expected 1 to {max}, found {found}"));
            }
        }
        let patterns = self.alpha_pattern.iter();
        let patterns = patterns.map(|(pattern, alpha)| (named("alpha_pattern", pattern), *alpha));
        for (field, alpha) in [("lora.alpha".to_owned(), self.alpha)].into_iter().chain(patterns) {
            // Any module may have any of these ranks.
            let scales = || ranks.iter().map(|(_, rank)| self.scale(alpha, *rank));
            if !scales().all(|scale| scale.is_finite() && scale > 0.0) {
                return invalid(format!(
                    "{field}: expected a scale above 0 that float32 can hold, found {alpha}"
                ));
            }
        }
        targets::check("lora.targets", &self.targets)
    }

    /// These settings, adapted to the architecture: default targets that match no site are replaced
    /// by the names that query and value have there.
    #[must_use]
    pub fn fitting(mut self, sites: &[Site]) -> Self {
        let named = |target: &String| sites.iter().any(|site| site.matches(target));
        if self.targets == Self::default().targets && !self.targets.iter().all(named) {
            let owned = |pair: [&str; 2]| pair.map(str::to_owned).to_vec();
            let other = OTHER_TARGETS.into_iter().map(owned).find(|pair| pair.iter().all(named));
            self.targets = other.unwrap_or(self.targets);
        }
        self
    }

    /// The sites that the targets name, in graph order.
    ///
    /// # Errors
    /// [`Code::AdapterNoSite`] when a target matches no site, with some of the modules that exist.
    pub fn select<'a>(&self, sites: &'a [Site]) -> Result<Vec<&'a Site>> {
        targets::select(self.targets.iter(), sites)
    }
}

/// The value of the longest pattern that matches the module.
fn longest<T: Copy>(patterns: &BTreeMap<String, T>, module: &str) -> Option<T> {
    let naming = patterns.iter().filter(|(pattern, _)| path_matches(pattern, module));
    naming.max_by_key(|(pattern, _)| pattern.len()).map(|(_, value)| *value)
}
