//! The parts of an adapter: one per kind, or several bottlenecks on top of each other.

use super::bottleneck::BottleneckConfig;
use super::ia3::Ia3Config;
use super::lora::LoraConfig;
use super::site::Site;
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Most bottlenecks that stand on top of each other.
pub const BOTTLENECKS_MAX: usize = 4;

/// The tensors of one bottleneck, in the order in which they are used.
pub(super) const BOTTLENECK_TENSORS: [&str; 4] =
    ["down.weight", "down.bias", "up.weight", "up.bias"];

/// What an adapter may be made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A low-rank product beside a linear layer.
    #[default]
    Lora,
    /// A small network of two layers at the end of a sub-layer.
    Bottleneck,
    /// A factor on each output, or each input, of a linear layer.
    Ia3,
}

impl Kind {
    /// All kinds.
    pub const ALL: &'static [Kind] = &[Self::Lora, Self::Bottleneck, Self::Ia3];

    /// The name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Bottleneck => "bottleneck",
            Self::Ia3 => "ia3",
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named("adapter kind", Self::ALL, Self::name, text)
    }
}

/// The one of `all` whose name is `text`.
pub(super) fn named<T: Copy>(
    what: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        let message = format!("{what}: expected one of {}, found {text:?}", names.join(", "));
        Error::new(Code::ArgumentInvalid, message)
    })
}

/// One part of an adapter, with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Part {
    /// Low-rank products.
    Lora(LoraConfig),
    /// A bottleneck at every sub-layer it names.
    Bottleneck(BottleneckConfig),
    /// Factors on activations.
    Ia3(Ia3Config),
}

impl Part {
    /// What kind of part it is.
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

    /// The sites that the part uses, in graph order.
    ///
    /// # Errors
    /// [`Code::AdapterNoSite`] when a setting names no site.
    pub fn select<'a>(&self, sites: &'a [Site]) -> Result<Vec<&'a Site>> {
        match self {
            Self::Lora(lora) => lora.select(sites),
            Self::Bottleneck(bottleneck) => bottleneck.select(sites),
            Self::Ia3(ia3) => ia3.select(sites),
        }
    }

    /// The name and shape of each tensor that the part has at a site, a bottleneck in `slot`.
    pub fn tensors_at(&self, site: &Site, slot: usize) -> Vec<(String, Vec<usize>)> {
        match self {
            Self::Lora(lora) => {
                let rank = lora.rank_of(&site.module);
                vec![
                    (site.lora_a(), vec![site.inputs, rank]),
                    (site.lora_b(), vec![rank, site.outputs]),
                ]
            }
            Self::Bottleneck(bottleneck) => {
                let (hidden, width) = (site.outputs, bottleneck.width(site.outputs));
                let shapes = [vec![hidden, width], vec![width], vec![width, hidden], vec![hidden]];
                let names = BOTTLENECK_TENSORS.map(|tensor| site.bottleneck(slot, tensor));
                names.into_iter().zip(shapes).collect()
            }
            Self::Ia3(ia3) => {
                let size = if ia3.is_on_input(site) { site.inputs } else { site.outputs };
                vec![(site.ia3(), vec![size])]
            }
        }
    }
}

/// Checks each of an adapter's parts and that they may stand together.
///
/// # Errors
/// [`Code::ArgumentInvalid`].
pub fn validate(parts: &[Part]) -> Result<()> {
    for (kind, most) in [(Kind::Lora, 1), (Kind::Bottleneck, BOTTLENECKS_MAX), (Kind::Ia3, 1)] {
        let found = parts.iter().filter(|part| part.kind() == kind).count();
        if found > most {
            let message = format!("parts: expected at most {most} {}, found {found}", kind.name());
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
    }
    parts.iter().try_for_each(Part::validate)
}

/// The parts with, for each bottleneck, its slot: 0 for the lowest one.
pub fn with_slots(parts: &[Part]) -> impl Iterator<Item = (&Part, usize)> {
    let mut slot = 0;
    parts.iter().map(move |part| {
        let own = slot;
        slot += usize::from(part.kind() == Kind::Bottleneck);
        (part, own)
    })
}

/// The name and shape of every tensor that `parts` have on a backbone with these sites.
///
/// # Errors
/// [`Code::AdapterNoSite`] when a part names no site.
pub fn tensor_shapes(parts: &[Part], sites: &[Site]) -> Result<BTreeMap<String, Vec<usize>>> {
    let mut shapes = BTreeMap::new();
    for (part, slot) in with_slots(parts) {
        for site in part.select(sites)? {
            shapes.extend(part.tensors_at(site, slot));
        }
    }
    Ok(shapes)
}
