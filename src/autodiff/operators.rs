//! Facts about the operators that gradients can pass.
//!
//! Rules and expansions each have a table of these facts.

use crate::graph::{NodeProto, canonical_domain};

/// One row of a table; `D` is how the operator is derived: a rule or an expansion.
#[derive(Clone, Copy)]
pub(super) struct OperatorFacts<D> {
    /// The domain; empty for the standard one.
    pub domain: &'static str,
    pub operator: &'static str,
    /// The first opset of the domain in which `derive` holds: 11, or the one that added the
    /// operator.
    pub since_opset: i64,
    pub derive: D,
    /// The forms that are refused or derived in part; empty when there are none.
    pub limits: &'static str,
    /// Whether the first output carries a gradient although its elements are integers.
    pub has_quantised_output: bool,
    /// Whether the outputs after the first get no gradient although they are floats.
    pub has_statistics: bool,
}

impl<D: Copy> OperatorFacts<D> {
    pub const fn standard(operator: &'static str, since_opset: i64, derive: D) -> Self {
        Self {
            domain: "",
            operator,
            since_opset,
            derive,
            limits: "",
            has_quantised_output: false,
            has_statistics: false,
        }
    }

    /// An operator of ONNX Runtime's own domain.
    pub const fn microsoft(operator: &'static str, derive: D) -> Self {
        Self { domain: "com.microsoft", ..Self::standard(operator, 1, derive) }
    }

    pub const fn limits(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    /// Marks the first output as quantised: it carries the gradient of the values it represents.
    pub const fn quantised(self) -> Self {
        Self { has_quantised_output: true, ..self }
    }

    /// Marks the other outputs as statistics without a gradient.
    pub const fn with_statistics(self) -> Self {
        Self { has_statistics: true, ..self }
    }

    /// Whether an output carries a gradient; `None` where its element type decides.
    pub fn carries_gradient(&self, output: usize) -> Option<bool> {
        match output {
            0 if self.has_quantised_output => Some(true),
            0 => None,
            _ => self.has_statistics.then_some(false),
        }
    }
}

/// The facts about a node's operator.
pub(super) fn find<D>(
    table: &'static [OperatorFacts<D>],
    node: &NodeProto,
) -> Option<&'static OperatorFacts<D>> {
    let key = (canonical_domain(node.domain()), node.op_type());
    table.iter().find(|facts| (facts.domain, facts.operator) == key)
}
