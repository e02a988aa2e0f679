//! Bottleneck adapters: a small network of two layers at the end of a sub-layer.
//!
//! `h` becomes `h + s up(act(down(x)))`, where `h` is what the sub-layer adds to the residual
//! stream and `x` depends on the placement. Houlsby et al. (arXiv 1902.00751) take `x = h` after
//! attention and feed-forward, Pfeiffer et al. (arXiv 2005.00247) the normalised sum after the
//! feed-forward, He et al. (arXiv 2110.04366) the input of the feed-forward. Several bottlenecks at
//! one place stand on top of each other, as a task adapter on a language adapter (MAD-X, Pfeiffer
//! et al., arXiv 2005.00052): each takes the `h` that the one below it made.

use super::part::named;
use super::site::{Role, Site};
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The function between the two layers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x Phi(x)`, with the error function.
    Gelu,
    /// `x sigmoid(x)`, also called swish.
    Silu,
}

impl Activation {
    /// All functions.
    pub const ALL: &'static [Self] = &[Self::Relu, Self::Gelu, Self::Silu];

    /// The name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
        }
    }
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named("activation", Self::ALL, Self::name, text)
    }
}

/// What a bottleneck reads.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// The output of the sub-layer's last linear layer (Houlsby).
    #[default]
    Sequential,
    /// The output of the norm that follows the residual sum; the sum is normalised again after what
    /// the bottleneck adds (Pfeiffer; `seq_bn` of AdapterHub). Where no norm follows, as in
    /// backbones that normalise at the beginning of a sub-layer, it reads the sum itself.
    AfterNorm,
    /// The input of the feed-forward's first linear layer.
    Parallel,
}

impl Placement {
    /// All placements.
    pub const ALL: &'static [Self] = &[Self::Sequential, Self::AfterNorm, Self::Parallel];

    /// The name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::AfterNorm => "after_norm",
            Self::Parallel => "parallel",
        }
    }
}

impl FromStr for Placement {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named("placement", Self::ALL, Self::name, text)
    }
}

/// Where bottlenecks stand, and their shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BottleneckConfig {
    /// The size of the hidden states divided by that of the bottleneck, 1 to 65536.
    pub reduction_factor: f64,
    /// Between the two layers.
    pub activation: Activation,
    /// What the bottleneck reads.
    pub placement: Placement,
    /// Whether one stands in every attention.
    pub attention: bool,
    /// Whether one stands in every feed-forward.
    pub feed_forward: bool,
    /// Factor on what the bottleneck adds, more than 0.
    pub scale: f64,
}

impl Default for BottleneckConfig {
    /// That of Houlsby et al. with a sixteenth of the hidden size.
    fn default() -> Self {
        Self {
            reduction_factor: 16.0,
            activation: Activation::default(),
            placement: Placement::default(),
            attention: true,
            feed_forward: true,
            scale: 1.0,
        }
    }
}

impl BottleneckConfig {
    /// Largest reduction factor that is accepted.
    pub const REDUCTION_FACTOR_MAX: f64 = 65_536.0;

    /// The width of the bottleneck in a sub-layer of hidden size `hidden`: at least 1.
    pub fn width(&self, hidden: usize) -> usize {
        ((hidden as f64 / self.reduction_factor) as usize).max(1)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] naming the field, its range and what was found.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::ArgumentInvalid, message));
        let (factor, most) = (self.reduction_factor, Self::REDUCTION_FACTOR_MAX);
        // Below 1 the bottleneck would be none, and its size without bound.
        if !(1.0..=most).contains(&factor) {
            return invalid(format!(
                "bottleneck.reduction_factor: expected 1 to {most}, found {factor}"
            ));
        }
        if !(self.scale as f32).is_finite() || self.scale as f32 <= 0.0 {
            return invalid(format!(
                "bottleneck.scale: expected more than 0 and what float32 can hold, found {}",
                self.scale
            ));
        }
        if !self.attention && !self.feed_forward {
            return invalid("bottleneck: expected attention, feed_forward or both".to_owned());
        }
        if self.placement == Placement::Parallel && self.attention {
            let message =
                "bottleneck.attention: a parallel bottleneck stands beside a feed-forward";
            return invalid(message.to_owned());
        }
        Ok(())
    }

    /// The last linear layer of every sub-layer that gets a bottleneck, in graph order.
    ///
    /// # Errors
    /// [`Code::AdapterNoSite`] when the backbone has no such sub-layer.
    pub fn select<'a>(&self, sites: &'a [Site]) -> Result<Vec<&'a Site>> {
        let wanted = [
            (self.attention, Role::AttentionOutput, "attention"),
            (self.feed_forward, Role::FeedForwardOutput, "feed-forward"),
        ];
        for (_, role, name) in wanted.iter().filter(|(wanted, ..)| *wanted) {
            if !sites.iter().any(|site| site.role == *role) {
                let message = format!(
                    "the backbone has no {name} whose output is a linear layer that a residual \
                     sum takes; {} linear layers were looked at",
                    sites.len()
                );
                return Err(Error::new(Code::AdapterNoSite, message));
            }
        }
        let roles: Vec<Role> =
            wanted.iter().filter(|(wanted, ..)| *wanted).map(|(_, role, _)| *role).collect();
        Ok(sites.iter().filter(|site| roles.contains(&site.role)).collect())
    }
}
