//! The input signature of a graph: its adapter inputs, and which tensor belongs to which input.
//!
//! A training graph has the inputs of one adapter. An inference graph serves many: its signature
//! grows by what each of them needs, and never changes what it already has. Adapters of the same
//! shape share their inputs. Two bottlenecks of different adapters may have the same slot but
//! another activation or placement; then each form gets its own slot in the graph, and an adapter
//! uses the slots of its forms in its order. Inputs that an adapter does not use keep their
//! defaults and change nothing.

use super::bottleneck::{Activation, Placement};
use super::component::{Component, with_slots};
use super::tensor_id::{BottleneckTensor, Side, TensorId};
use crate::error::Result;
use crate::sites::Site;
use std::collections::{BTreeMap, BTreeSet};

/// The adapter inputs of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputSignature {
    /// The modules that have a low-rank product.
    pub(super) lora: BTreeSet<String>,
    /// The input name of the factors, by module and multiplied side.
    pub(super) ia3: BTreeMap<(String, Side), String>,
    /// The bottlenecks, lowest first.
    pub(super) slots: Vec<Slot>,
}

/// Bottlenecks with one placement and activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub placement: Placement,
    pub activation: Activation,
    /// The last linear layers of the sub-layers that have this bottleneck.
    pub modules: BTreeSet<String>,
}

/// The graph input of each tensor whose input has another name.
pub type Renamed = BTreeMap<String, String>;

impl InputSignature {
    /// The signature of one adapter: every tensor is an input of the same name.
    ///
    /// # Errors
    /// As [`Component::select`].
    pub fn of(components: &[Component], sites: &[Site]) -> Result<Self> {
        let mut signature = Self::default();
        signature.admit(components, sites)?;
        Ok(signature)
    }

    /// Adds the inputs that an adapter of these components lacks, and returns the tensors that
    /// belong to inputs of another name.
    ///
    /// # Errors
    /// As [`Component::select`]; the signature may then have grown in part.
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

    /// The part of the signature at these sites, for a model that is split into several sessions,
    /// each with some of the sites.
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

/// The inputs of a bottleneck's tensors when the graph has it in another slot.
fn renamed_slot(module: &str, own: usize, found: usize) -> impl Iterator<Item = (String, String)> {
    BottleneckTensor::ALL.iter().map(move |&tensor| {
        let name = |slot| TensorId::Bottleneck { module, slot, tensor }.to_string();
        (name(own), name(found))
    })
}
