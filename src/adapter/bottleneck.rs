//! Bottleneck adapters: a small network of two layers at the end of a sub-layer.
//!
//! `h` becomes `h + s up(act(down(x)))`, where `h` is what the sub-layer adds to the residual
//! stream and `x` depends on the placement. Houlsby et al. (arXiv 1902.00751) take `x = h` after
//! attention and feed-forward, Pfeiffer et al. (arXiv 2005.00247) the normalised sum after the
//! feed-forward, He et al. (arXiv 2110.04366) the input of the feed-forward. Several bottlenecks at
//! one place stand on top of each other, as a task adapter on a language adapter (MAD-X, Pfeiffer
//! et al., arXiv 2005.00052): each takes the `h` that the one below it made.

use super::attach::{Surgery, node};
use super::layout::Slot;
use super::linear::{Linear, View};
use super::norm::Norm;
use super::part::named;
use super::site::{Role, Site};
use super::sublayer::{self, SubLayer};
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, NodeProto};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// The size of the hidden states divided by that of the bottleneck, 1/64 to 65536.
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
    /// That of Houlsby et al.
    fn default() -> Self {
        Self::of(Placement::default())
    }
}

impl BottleneckConfig {
    /// The sub-layers for which the placement was published, a sixteenth of the hidden size.
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

    /// Smallest reduction factor that is accepted: the sum of many bottlenecks may be wide.
    pub const REDUCTION_FACTOR_MIN: f64 = 1.0 / 64.0;
    /// Largest reduction factor that is accepted.
    pub const REDUCTION_FACTOR_MAX: f64 = 65_536.0;

    /// The width of the bottleneck in a sub-layer of hidden size `hidden`: at least 1.
    pub fn width(&self, hidden: usize) -> usize {
        // A factor that was chosen for a width may miss it by a rounding.
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

/// Where the bottlenecks of one use of a sub-layer attach, found before the surgery.
pub(super) struct Place {
    found: SubLayer,
    norm: Option<Norm>,
    /// What the feed-forward's first linear layer reads.
    beginning: String,
}

/// Finds the place of every use of a site.
///
/// # Errors
/// [`Code::AdapterNoSite`] when a use of it does not end in a residual sum.
pub(super) fn places(
    view: &View<'_>,
    linears: &BTreeMap<usize, Linear>,
    site: &Site,
) -> Result<Vec<Place>> {
    let place = |&last: &usize| {
        let found = sublayer::of(view, linears, last)?;
        let first = found.first(linears);
        let beginning = view.graph.node[first].input.get(linears.get(&first)?.input)?.clone();
        let norm = found.norm(view);
        Some(Place { found, norm, beginning })
    };
    let places = site.nodes.iter().map(place).collect::<Option<Vec<_>>>();
    places.ok_or_else(|| {
        let message = format!("{}: no residual sum takes what this layer makes", site.module);
        Error::new(Code::AdapterNoSite, message)
    })
}

/// Adds the inputs and the nodes of the bottleneck in `slot` at one site.
pub(super) fn attach(
    surgery: &mut Surgery<'_>,
    site: &Site,
    slot: usize,
    form: &Slot,
    places: &[Place],
) -> Result<()> {
    for (number, place) in places.iter().enumerate() {
        let scope = format!("{}.{number}", site.bottleneck(slot, "graph"));
        let position = surgery.index.producer(&place.found.output).ok_or_else(|| {
            let message = format!("{}: nothing makes what is added", site.module);
            Error::new(Code::GraphMalformed, message)
        })?;
        // What the sub-layer makes is read with its bias.
        surgery.unfuse_bias(site, position)?;
        let mut nodes = Vec::new();
        let frozen = format!("{scope}/frozen");
        let read = match form.placement {
            Placement::Sequential => frozen.clone(),
            Placement::Parallel => place.beginning.clone(),
            Placement::AfterNorm => normalised(surgery, place, &scope, &frozen, &mut nodes),
        };
        let up = network(surgery, site, slot, form.activation, &scope, &read, &mut nodes);
        surgery.after(position, frozen, |frozen, value| {
            nodes.push(node("Add", format!("{scope}/sum"), &[frozen, &up], value));
            nodes
        });
    }
    let hidden = || Dim::Known(site.outputs as i64);
    let width = || Dim::Symbol(format!("{}.width", site.bottleneck(slot, "down")));
    surgery.declare(&site.bottleneck(slot, "down.weight"), vec![hidden(), width()], 0.0);
    surgery.declare(&site.bottleneck(slot, "down.bias"), vec![width()], 0.0);
    surgery.declare(&site.bottleneck(slot, "up.weight"), vec![width(), hidden()], 0.0);
    surgery.declare(&site.bottleneck(slot, "up.bias"), vec![hidden()], 0.0);
    Ok(())
}

/// Appends `up(act(down(read)))`; gives the name of its value.
fn network(
    surgery: &mut Surgery<'_>,
    site: &Site,
    slot: usize,
    activation: Activation,
    scope: &str,
    read: &str,
    nodes: &mut Vec<NodeProto>,
) -> String {
    let mut push = |op: &str, part: &str, inputs: &[&str]| {
        let name = format!("{scope}/{part}");
        nodes.push(node(op, name.clone(), inputs, &name));
        name
    };
    let down = push("MatMul", "down", &[read, &site.bottleneck(slot, "down.weight")]);
    let x = push("Add", "down_bias", &[&down, &site.bottleneck(slot, "down.bias")]);
    let active = match activation {
        Activation::Relu => push("Relu", "relu", &[&x]),
        Activation::Silu => {
            let gate = push("Sigmoid", "sigmoid", &[&x]);
            push("Mul", "silu", &[&x, &gate])
        }
        Activation::Gelu => {
            let root = push("Div", "over_root", &[&x, &surgery.constant(std::f32::consts::SQRT_2)]);
            let erf = push("Erf", "erf", &[&root]);
            let sum = push("Add", "one_plus", &[&erf, &surgery.constant(1.0)]);
            let product = push("Mul", "product", &[&x, &sum]);
            push("Mul", "gelu", &[&product, &surgery.constant(0.5)])
        }
    };
    let up = push("MatMul", "up", &[&active, &site.bottleneck(slot, "up.weight")]);
    push("Add", "up_bias", &[&up, &site.bottleneck(slot, "up.bias")])
}

/// Appends the sum of `output` and the residual, and the norm of it where one follows the sum.
fn normalised(
    surgery: &Surgery<'_>,
    place: &Place,
    scope: &str,
    output: &str,
    nodes: &mut Vec<NodeProto>,
) -> String {
    let residual = &place.found.residual;
    let sum = &surgery.graph.node[place.found.sum];
    if let (Some(_), true) = (&place.norm, sublayer::is_skip_norm(sum)) {
        let name = format!("{scope}/norm");
        let mut copy = sum.clone();
        // Both operands are alike to the operator.
        copy.input[..2].clone_from_slice(&[output.to_owned(), residual.clone()]);
        copy.output = vec![name.clone()];
        copy.name = Some(name.clone());
        nodes.push(copy);
        return name;
    }
    let total = format!("{scope}/residual_sum");
    nodes.push(node("Add", total.clone(), &[output, residual], &total));
    let Some(norm) = &place.norm else { return total };
    let before = sum.output.first().cloned().unwrap_or_default();
    let mut renamed = BTreeMap::from([(before, total)]);
    for &position in &norm.nodes {
        let mut copy = surgery.graph.node[position].clone();
        for input in &mut copy.input {
            if let Some(name) = renamed.get(input) {
                input.clone_from(name);
            }
        }
        for made in &mut copy.output {
            let name = format!("{scope}/{made}");
            renamed.insert(std::mem::replace(made, name.clone()), name);
        }
        copy.name = copy.output.first().cloned();
        nodes.push(copy);
    }
    renamed.get(&norm.output).cloned().unwrap_or_default()
}
