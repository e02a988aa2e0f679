//! Bottlenecks: the settings of a small network of two layers at the end of a sub-layer.
//!
//! `h` becomes `h + s up(act(down(x)))`, where `h` is what the sub-layer adds to the residual
//! stream and `x` depends on the placement. Houlsby et al. (arXiv 1902.00751) take `x = h` after
//! attention and feed-forward, Pfeiffer et al. (arXiv 2005.00247) the normalised sum after the
//! feed-forward, He et al. (arXiv 2110.04366) the input of the feed-forward. Several bottlenecks at
//! one place are stacked, like a task adapter on a language adapter (MAD-X, Pfeiffer et al., arXiv
//! 2005.00052): each takes the `h` that the one below it returns.

use crate::error::{Code, Error, Result};
use crate::sites::{Role, Site};
use serde::{Deserialize, Serialize};

named! {
    /// The function between the two layers.
    #[derive(
        Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum Activation: "activation" {
        /// `max(x, 0)`.
        #[default]
        Relu = "relu",
        /// `x Phi(x)`, with the error function.
        Gelu = "gelu",
        /// `x sigmoid(x)`, also called swish.
        Silu = "silu",
    }
}

named! {
    /// What a bottleneck reads.
    #[derive(
        Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum Placement: "placement" {
        /// The output of the sub-layer's last linear layer (Houlsby et al.).
        #[default]
        Sequential = "sequential",
        /// The output of the norm that follows the residual sum; after the bottleneck has been
        /// added, the sum is normalised again (Pfeiffer et al.; `seq_bn` of AdapterHub). Where no
        /// norm follows, as in backbones that normalise at the beginning of a sub-layer, it reads
        /// the sum itself.
        AfterNorm = "after_norm",
        /// The input of the feed-forward's first linear layer.
        Parallel = "parallel",
    }
}

/// The sub-layers that get a bottleneck, and its shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BottleneckConfig {
    /// The hidden size divided by the width of the bottleneck, 1/64 to 65536.
    pub reduction_factor: f64,
    /// The function between the two layers.
    pub activation: Activation,
    /// What the bottleneck reads.
    pub placement: Placement,
    /// Whether every attention sub-layer gets a bottleneck.
    pub attention: bool,
    /// Whether every feed-forward sub-layer gets a bottleneck.
    pub feed_forward: bool,
    /// The factor on the output of the bottleneck, more than 0.
    pub scale: f64,
}

impl Default for BottleneckConfig {
    /// The settings of Houlsby et al.
    fn default() -> Self {
        Self::of(Placement::default())
    }
}

impl BottleneckConfig {
    /// The sub-layers for which the placement was published, with a sixteenth of the hidden size.
    pub fn of(placement: Placement) -> Self {
        Self {
            reduction_factor: 16.0,
            activation: Activation::default(),
            placement,
            attention: placement == Placement::Sequential,
            feed_forward: true,
            scale: 1.0,
        }
    }

    /// Smallest accepted reduction factor. A combination of many bottlenecks may be wider than the
    /// backbone.
    pub const REDUCTION_FACTOR_MIN: f64 = 1.0 / 64.0;
    /// Largest reduction factor that is accepted.
    pub const REDUCTION_FACTOR_MAX: f64 = 65_536.0;

    /// The width of the bottleneck in a sub-layer of hidden size `hidden`: at least 1.
    pub fn width(&self, hidden: usize) -> usize {
        // A factor that was computed from a width may miss that width by a rounding error.
        ((hidden as f64 / self.reduction_factor + 1e-6) as usize).max(1)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] naming the field, its range and what was found.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::ArgumentInvalid, message));
        let (least, most) = (Self::REDUCTION_FACTOR_MIN, Self::REDUCTION_FACTOR_MAX);
        if !(least..=most).contains(&self.reduction_factor) {
            let found = self.reduction_factor;
            return invalid(format!(
                "bottleneck.reduction_factor: expected {least} to {most}, found {found}"
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
