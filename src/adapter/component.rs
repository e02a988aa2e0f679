//! The components of an adapter: one per kind, or several bottlenecks on top of each other.

use super::bottleneck::BottleneckConfig;
use super::ia3::Ia3Config;
use super::kind::Kind;
use super::lora::LoraConfig;
use super::tensor_id::{BottleneckTensor, TensorId};
use crate::error::{Code, Error, Result};
use crate::sites::{Site, in_top_layers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest number of stacked bottlenecks.
pub const BOTTLENECKS_MAX: usize = 4;

/// One component of an adapter, with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Component {
    /// Low-rank products.
    Lora(LoraConfig),
    /// A bottleneck at every sub-layer that the settings select.
    Bottleneck(BottleneckConfig),
    /// Factors on activations.
    Ia3(Ia3Config),
}

impl Component {
    /// The kind of the component.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Lora(_) => Kind::Lora,
            Self::Bottleneck(_) => Kind::Bottleneck,
            Self::Ia3(_) => Kind::Ia3,
        }
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] naming the field, its range and what was found.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Lora(lora) => lora.validate(),
            Self::Bottleneck(bottleneck) => bottleneck.validate(),
            Self::Ia3(ia3) => ia3.validate(),
        }
    }

    /// The sites that the component uses, in graph order.
    ///
    /// # Errors
    /// [`Code::AdapterNoSite`] when a setting matches no site.
    pub fn select<'a>(&self, sites: &'a [Site]) -> Result<Vec<&'a Site>> {
        match self {
            Self::Lora(lora) => lora.select(sites),
            Self::Bottleneck(bottleneck) => bottleneck.select(sites),
            Self::Ia3(ia3) => ia3.select(sites),
        }
    }

    /// These settings for the sites in the top `count` layers alone, which are then named one by
    /// one; unchanged for a `count` of 0.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] for a bottleneck, which names no sites, and where the backbone
    /// does not number its layers; those of [`Component::select`].
    pub fn in_top_layers(self, sites: &[Site], count: usize) -> Result<Self> {
        if count == 0 {
            return Ok(self);
        }
        let invalid = |why: String| Error::new(Code::ArgumentInvalid, format!("layers_top: {why}"));
        let chosen = self.select(sites)?;
        let top = in_top_layers(&chosen, count).ok_or_else(|| {
            let lies_in_none = chosen.iter().find(|site| site.layer().is_none());
            let module = lies_in_none.map_or("", |site| site.module.as_str());
            invalid(format!("the module {module:?} has no layer's number; name modules instead"))
        })?;
        let modules = |sites: Vec<&Site>| sites.iter().map(|site| site.module.clone()).collect();
        match self {
            Self::Lora(lora) => Ok(Self::Lora(LoraConfig { targets: modules(top), ..lora })),
            Self::Ia3(ia3) => {
                let (ends, others) = top.into_iter().partition(|site| ia3.is_on_input(site));
                let (targets, feed_forward_targets) = (modules(others), modules(ends));
                Ok(Self::Ia3(Ia3Config { targets, feed_forward_targets }))
            }
            Self::Bottleneck(_) => {
                Err(invalid("a bottleneck attaches to every layer; expected 0".to_owned()))
            }
        }
    }

    /// The tensors that the component has at a site, with their shapes; a bottleneck uses `slot`.
    pub fn tensors_at<'a>(&self, site: &'a Site, slot: usize) -> Vec<(TensorId<'a>, Vec<usize>)> {
        let module = site.module.as_str();
        match self {
            Self::Lora(lora) => {
                let rank = lora.rank_of(module);
                vec![
                    (TensorId::LoraA(module), vec![site.inputs, rank]),
                    (TensorId::LoraB(module), vec![rank, site.outputs]),
                ]
            }
            Self::Bottleneck(bottleneck) => {
                let (hidden, width) = (site.outputs, bottleneck.width(site.outputs));
                let entry = |&tensor: &BottleneckTensor| {
                    let id = TensorId::Bottleneck { module, slot, tensor };
                    (id, tensor.shape(hidden, width))
                };
                BottleneckTensor::ALL.iter().map(entry).collect()
            }
            Self::Ia3(ia3) => {
                let size = if ia3.is_on_input(site) { site.inputs } else { site.outputs };
                vec![(TensorId::Ia3(module, None), vec![size])]
            }
        }
    }
}

/// Checks each component of an adapter, and that the components can be combined.
///
/// # Errors
/// [`Code::ArgumentInvalid`] naming the field, or the kind of which there are too many.
pub fn validate(components: &[Component]) -> Result<()> {
    for (kind, most) in [(Kind::Lora, 1), (Kind::Bottleneck, BOTTLENECKS_MAX), (Kind::Ia3, 1)] {
        let found = components.iter().filter(|component| component.kind() == kind).count();
        if found > most {
            let message = format!("parts: expected at most {most} {}, found {found}", kind.name());
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
    }
    components.iter().try_for_each(Component::validate)
}

/// The components, each bottleneck with its slot: 0 for the lowest one.
pub fn with_slots(components: &[Component]) -> impl Iterator<Item = (&Component, usize)> {
    let mut slot = 0;
    components.iter().map(move |component| {
        let own = slot;
        slot += usize::from(component.kind() == Kind::Bottleneck);
        (component, own)
    })
}

/// The name and shape of every tensor that `components` have on a backbone with these sites.
///
/// # Errors
/// [`Code::AdapterNoSite`] when a component matches no site.
pub fn tensor_shapes(
    components: &[Component],
    sites: &[Site],
) -> Result<BTreeMap<String, Vec<usize>>> {
    let mut shapes = BTreeMap::new();
    for (component, slot) in with_slots(components) {
        for site in component.select(sites)? {
            let tensors = component.tensors_at(site, slot).into_iter();
            shapes.extend(tensors.map(|(id, shape)| (id.to_string(), shape)));
        }
    }
    Ok(shapes)
}
