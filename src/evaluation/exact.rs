//! Counts the outputs that are exactly their targets.

use crate::example::{Target, TaskKind};
use crate::task::TaskOutput;

/// How many outputs are exactly their targets. Numbers hardly ever are, and are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExactMatches {
    /// The outputs that were compared.
    pub compared: usize,
    /// Those that are exactly their targets.
    pub matching: usize,
}

impl ExactMatches {
    /// Compares an output with its target.
    pub fn add(&mut self, output: &TaskOutput, target: &Target) {
        if target.kind() != TaskKind::Regression {
            self.compared += 1;
            self.matching += usize::from(output.matches(target));
        }
    }

    /// The share of outputs that match; `None` when none were compared.
    pub fn share(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.matching as f64 / self.compared as f64)
    }
}
