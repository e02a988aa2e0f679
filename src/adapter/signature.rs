//! The input signature of a graph: which adapter inputs it has, and which tensor goes to which.
//!
//! Input: the components of adapters. Output: names of graph inputs. A training graph has the
//! inputs of one adapter. An inference graph serves many: its signature grows by what each of them
//! needs, and never changes what is there. Adapters of one shape share their inputs. Two
//! bottlenecks may have the same slot and yet another activation or placement; each form gets a
//! slot of its own in the graph then, and an adapter uses those of its forms, in its order. What an
//! adapter does not use keeps its default and changes nothing.

use super::bottleneck::{Activation, Placement};
use super::component::{Component, with_slots};
use super::tensor_id::{BottleneckTensor, Side, TensorId};
use crate::error::Result;
use crate::sites::Site;
use std::collections::{BTreeMap, BTreeSet};

/// The adapter inputs of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputSignature {
    /// The modules with a low-rank product.
    pub(super) lora: BTreeSet<String>,
    /// The name of the factors by module and by which side of it is multiplied.
    pub(super) ia3: BTreeMap<(String, Side), String>,
    /// The bottlenecks, lowest first.
    pub(super) slots: Vec<Slot>,
}

/// Bottlenecks of one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub placement: Placement,
    pub activation: Activation,
    /// The last linear layers of the sub-layers where they stand.
    pub modules: BTreeSet<String>,
}

/// The input of each tensor that has another name than the tensor.
pub type Renamed = BTreeMap<String, String>;

impl InputSignature {
    /// The signature of one adapter: every tensor is an input of its name.
    ///
    /// # Errors
    /// As [`Component::select`].
    pub fn of(components: &[Component], sites: &[Site]) -> Result<Self> {
        let mut signature = Self::default();
        signature.admit(components, sites)?;
        Ok(signature)
    }

    /// Adds what an adapter of these components needs and is not there yet, and says which of its
    /// tensors go to inputs of another name.
    ///
    /// # Errors
    /// As [`Component::select`]; the signature may then have grown partly.
    pub fn admit(&mut self, components: &[Component], sites: &[Site]) -> Result<Renamed> {
        let mut renamed = Renamed::new();
        let mut lowest = 0;
        for (component, slot) in with_slots(components) {
            let chosen = component.select(sites)?;
            match component {
                Component::Lora(_) => {
                    self.lora.extend(chosen.iter().map(|site| site.module.clone()));
                }
                Component::Ia3(ia3) => {
                    for site in chosen {
                        let on_input = ia3.is_on_input(site);
                        let side = if on_input { Side::Input } else { Side::Output };
                        let own = TensorId::Ia3(&site.module, None).to_string();
                        let input = self.admit_ia3(&site.module, side);
                        if input != own {
                            renamed.insert(own, input);
                        }
                    }
                }
                Component::Bottleneck(bottleneck) => {
                    let form = (bottleneck.placement, bottleneck.activation);
                    let found = self.admit_slot(form, lowest);
                    lowest = found + 1;
                    for site in chosen {
                        self.slots[found].modules.insert(site.module.clone());
                        if found != slot {
                            renamed.extend(renamed_slot(&site.module, slot, found));
                        }
                    }
                }
            }
        }
        Ok(renamed)
    }

    /// What of the signature lies at these sites: one session of several that share an
    /// adapter has some of its sites only.
    pub fn within(&self, sites: &[Site]) -> Self {
        let modules: BTreeSet<&str> = sites.iter().map(|site| site.module.as_str()).collect();
        let mut signature = self.clone();
        signature.lora.retain(|module| modules.contains(module.as_str()));
        signature.ia3.retain(|(module, _), _| modules.contains(module.as_str()));
        for slot in &mut signature.slots {
            slot.modules.retain(|module| modules.contains(module.as_str()));
        }
        signature
    }

    fn admit_ia3(&mut self, module: &str, side: Side) -> String {
        let other = if side == Side::Input { Side::Output } else { Side::Input };
        let taken = self.ia3.contains_key(&(module.to_owned(), other));
        let name = self.ia3.entry((module.to_owned(), side));
        name.or_insert_with(|| TensorId::Ia3(module, taken.then_some(side)).to_string()).clone()
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

/// The inputs of the tensors of a bottleneck whose own slot is another one than the graph's.
fn renamed_slot(module: &str, own: usize, found: usize) -> impl Iterator<Item = (String, String)> {
    BottleneckTensor::ALL.iter().map(move |&tensor| {
        let name = |slot| TensorId::Bottleneck { module, slot, tensor }.to_string();
        (name(own), name(found))
    })
}
