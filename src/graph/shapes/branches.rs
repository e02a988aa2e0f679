//! The rule of `If`: the type that both branches agree on, or that of the branch that is taken.
//!
//! Exporters guard special cases by comparing sizes, so the condition is often known.

use super::known::{Outputs, Uses};
use crate::graph::attr::attribute_of;
use crate::graph::proto::GraphProto;
use crate::graph::types::{Dim, TensorType};

/// The most `Identity` nodes that are followed from an output of a branch, and the most outputs
/// this is done for: each takes a search through the branch.
const IDENTITIES_MAX: usize = 8;
const OUTPUTS_MAX: usize = 64;

pub(super) fn r#if(uses: &Uses) -> Outputs {
    let branch = |name| attribute_of(uses.node, name)?.g.as_deref();
    let condition = uses.value(0).and_then(|value| value.elements.first()?.known());
    let (yes, no) = (branch("then_branch"), branch("else_branch"));
    let output = |position: usize| {
        let of = |graph: Option<&GraphProto>| made_by(uses, graph?, position);
        match condition {
            Some(0) => of(no),
            Some(_) => of(yes),
            None => agreed(of(yes)?, &of(no)?),
        }
    };
    (0..uses.node.output.len().min(OUTPUTS_MAX)).map(output).collect()
}

/// The known type of an output of a branch.
fn made_by(uses: &Uses, graph: &GraphProto, position: usize) -> Option<TensorType> {
    let info = graph.output.get(position)?;
    let mut name = info.name();
    for _ in 0..IDENTITIES_MAX {
        let Some(node) = graph.node.iter().find(|node| node.output.iter().any(|n| n == name))
        else {
            // The value comes from outside the branch or from an initializer of it.
            let is_inner = graph.initializer.iter().any(|tensor| tensor.name() == name);
            return if is_inner { stated(graph, position) } else { uses.shapes.get(name).cloned() };
        };
        match (node.op_type(), node.input.as_slice()) {
            ("Identity", [input]) => name = input,
            _ => break,
        }
    }
    stated(graph, position)
}

/// The stated type without its symbols, which have no meaning outside the branch.
fn stated(graph: &GraphProto, position: usize) -> Option<TensorType> {
    let mut stated = TensorType::from_proto(graph.output.get(position)?.r#type.as_ref()?)?;
    for dim in stated.shape.iter_mut().flatten() {
        if dim.known().is_none() {
            *dim = Dim::Unknown;
        }
    }
    Some(stated)
}

fn agreed(left: TensorType, right: &TensorType) -> Option<TensorType> {
    if left.data_type != right.data_type {
        return None;
    }
    let shape = left.shape.zip(right.shape.as_ref()).filter(|(l, r)| l.len() == r.len());
    let dim = |(l, r): (Dim, &Dim)| if l == *r { l } else { Dim::Unknown };
    let shape = shape.map(|(l, r)| l.into_iter().zip(r).map(dim).collect());
    Some(TensorType { data_type: left.data_type, shape })
}
