//! Which adapter inputs a graph has, and how an adapter's tensors find them.
//!
//! A training graph has the inputs of one adapter. An inference graph serves many: its layout grows
//! by what each of them needs, and never changes what is there. Adapters of one shape share their
//! inputs. Two bottlenecks may have the same slot and yet another activation or placement; each
//! form gets a slot of its own in the graph then, and an adapter uses those of its forms, in its
//! order. What an adapter does not use keeps its default and changes nothing.

use super::bottleneck::{Activation, Placement};
use super::part::{BOTTLENECK_TENSORS, Part, with_slots};
use super::site::Site;
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};

/// The adapter inputs of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The modules with a low-rank product.
    pub(super) lora: BTreeSet<String>,
    /// The name of the factors by module and by whether its input is multiplied.
    pub(super) ia3: BTreeMap<(String, bool), String>,
    /// The bottlenecks, lowest first.
    pub(super) slots: Vec<Slot>,
}

/// Bottlenecks of one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub placement: Placement,
    pub activation: Activation,
    /// The last linear layers of the sub-layers where they stand.
    pub modules: BTreeSet<String>,
}

/// The input of each tensor that has another name than the tensor.
pub type Renamed = BTreeMap<String, String>;

impl Layout {
    /// The layout of one adapter: every tensor is an input of its name.
    ///
    /// # Errors
    /// As [`Part::select`].
    pub fn of(parts: &[Part], sites: &[Site]) -> Result<Self> {
        let mut layout = Self::default();
        layout.admit(parts, sites)?;
        Ok(layout)
    }

    /// Adds what an adapter of these parts needs and is not there yet, and says which of its
    /// tensors go to inputs of another name.
    ///
    /// # Errors
    /// As [`Part::select`]; the layout may then have grown in part.
    pub fn admit(&mut self, parts: &[Part], sites: &[Site]) -> Result<Renamed> {
        let mut renamed = Renamed::new();
        let mut lowest = 0;
        for (part, slot) in with_slots(parts) {
            let chosen = part.select(sites)?;
            match part {
                Part::Lora(_) => self.lora.extend(chosen.iter().map(|site| site.module.clone())),
                Part::Ia3(ia3) => {
                    for site in chosen {
                        let name = self.admit_ia3(site, ia3.is_on_input(site));
                        if name != site.ia3() {
                            renamed.insert(site.ia3(), name);
                        }
                    }
                }
                Part::Bottleneck(bottleneck) => {
                    let form = (bottleneck.placement, bottleneck.activation);
                    let found = self.admit_slot(form, lowest);
                    lowest = found + 1;
                    for site in chosen {
                        self.slots[found].modules.insert(site.module.clone());
                        if found != slot {
                            for tensor in BOTTLENECK_TENSORS {
                                let (own, input) =
                                    (site.bottleneck(slot, tensor), site.bottleneck(found, tensor));
                                renamed.insert(own, input);
                            }
                        }
                    }
                }
            }
        }
        Ok(renamed)
    }

    /// The part of the layout that lies at these sites: one session of several that share an
    /// adapter has some of its sites only.
    pub fn within(&self, sites: &[Site]) -> Self {
        let modules: BTreeSet<&str> = sites.iter().map(|site| site.module.as_str()).collect();
        let mut layout = self.clone();
        layout.lora.retain(|module| modules.contains(module.as_str()));
        layout.ia3.retain(|(module, _), _| modules.contains(module.as_str()));
        for slot in &mut layout.slots {
            slot.modules.retain(|module| modules.contains(module.as_str()));
        }
        layout
    }

    fn admit_ia3(&mut self, site: &Site, on_input: bool) -> String {
        let taken = self.ia3.contains_key(&(site.module.clone(), !on_input));
        let name = self.ia3.entry((site.module.clone(), on_input)).or_insert_with(|| {
            let side = if on_input { "input" } else { "output" };
            if taken { format!("{}.{side}", site.ia3()) } else { site.ia3() }
        });
        name.clone()
    }

    /// The first slot of this form at or above `lowest`.
    fn admit_slot(&mut self, form: (Placement, Activation), lowest: usize) -> usize {
        let (placement, activation) = form;
        let fits = |slot: &Slot| (slot.placement, slot.activation) == form;
        let found = self.slots.iter().skip(lowest).position(fits);
        found.map_or_else(
            || {
                self.slots.push(Slot { placement, activation, modules: BTreeSet::new() });
                self.slots.len() - 1
            },
            |position| lowest + position,
        )
    }
}
