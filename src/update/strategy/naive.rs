//! `naive`: the new examples alone. Languages without new data are not looked after.

use super::{Material, Strategy};
use crate::rehearsal::Example;

/// The baseline of the paper: plain finetuning.
pub struct Naive;

impl Strategy for Naive {
    fn epoch<'a>(&self, material: &Material<'a>, _epoch: usize) -> Vec<&'a Example> {
        material.new.iter().collect()
    }
}
