//! Attaching the bottlenecks of one slot at one site.
//!
//! Their defaults have width 0 and add exactly nothing.

use crate::adapter::bottleneck::{Activation, Placement};
use crate::adapter::signature::Slot;
use crate::adapter::surgery::{Surgery, node};
use crate::adapter::tensor_id::{BottleneckTensor, TensorId};
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, NodeProto};
use crate::sites::{AttachPoint, Site};
use std::collections::BTreeMap;

/// Adds the inputs and the nodes of the bottleneck in slot `number` at one site.
pub fn attach(
    surgery: &mut Surgery<'_>,
    site: &Site,
    number: usize,
    slot: &Slot,
    points: &[AttachPoint],
) -> Result<()> {
    let stem = format!("{}.bottleneck.{number}", site.module);
    let [down_weight, down_bias, up_weight, up_bias] = [
        BottleneckTensor::DownWeight,
        BottleneckTensor::DownBias,
        BottleneckTensor::UpWeight,
        BottleneckTensor::UpBias,
    ]
    .map(|tensor| TensorId::Bottleneck { module: &site.module, slot: number, tensor }.to_string());
    for (use_number, point) in points.iter().enumerate() {
        let scope = format!("{stem}.graph.{use_number}");
        let position = surgery.index.producer(&point.output).ok_or_else(|| {
            let message = format!("{}: nothing makes what is added", site.module);
            Error::new(Code::GraphMalformed, message)
        })?;
        // The bottleneck reads the output of the sub-layer with its bias.
        surgery.unfuse_bias(site, position)?;
        let mut nodes = Vec::new();
        let frozen = format!("{scope}/frozen");
        let read = match slot.placement {
            Placement::Sequential => frozen.clone(),
            Placement::Parallel => point.input.clone(),
            Placement::AfterNorm => normalised(surgery, point, &scope, &frozen, &mut nodes),
        };
        let mut push = |op: &str, part: &str, inputs: &[&str]| {
            let name = format!("{scope}/{part}");
            nodes.push(node(op, name.clone(), inputs, &name));
            name
        };
        let down = push("MatMul", "down", &[&read, &down_weight]);
        let biased = push("Add", "down_bias", &[&down, &down_bias]);
        let active = activated(surgery, slot.activation, &biased, &mut push);
        let up = push("MatMul", "up", &[&active, &up_weight]);
        let up = push("Add", "up_bias", &[&up, &up_bias]);
        surgery.after(position, frozen, |frozen, value| {
            nodes.push(node("Add", format!("{scope}/sum"), &[frozen, &up], value));
            nodes
        });
    }
    let hidden = || Dim::Known(site.outputs as i64);
    let width = || Dim::Symbol(format!("{stem}.down.width"));
    surgery.declare(&down_weight, vec![hidden(), width()], 0.0);
    surgery.declare(&down_bias, vec![width()], 0.0);
    surgery.declare(&up_weight, vec![width(), hidden()], 0.0);
    surgery.declare(&up_bias, vec![hidden()], 0.0);
    Ok(())
}

/// Appends the activation of `x` through `push` and returns the name of its value.
fn activated(
    surgery: &mut Surgery<'_>,
    activation: Activation,
    x: &str,
    push: &mut impl FnMut(&str, &str, &[&str]) -> String,
) -> String {
    match activation {
        Activation::Relu => push("Relu", "relu", &[x]),
        Activation::Silu => {
            let gate = push("Sigmoid", "sigmoid", &[x]);
            push("Mul", "silu", &[x, &gate])
        }
        Activation::Gelu => {
            let root = push("Div", "over_root", &[x, &surgery.constant(std::f32::consts::SQRT_2)]);
            let erf = push("Erf", "erf", &[&root]);
            let sum = push("Add", "one_plus", &[&erf, &surgery.constant(1.0)]);
            let product = push("Mul", "product", &[x, &sum]);
            push("Mul", "gelu", &[&product, &surgery.constant(0.5)])
        }
    }
}

/// Appends the sum of `output` and the residual, and the norm of the sum where one follows it.
fn normalised(
    surgery: &Surgery<'_>,
    point: &AttachPoint,
    scope: &str,
    output: &str,
    nodes: &mut Vec<NodeProto>,
) -> String {
    let sum = &surgery.graph.node[point.sum];
    if point.norm.is_some() && point.sum_is_norm {
        let name = format!("{scope}/norm");
        let mut copy = sum.clone();
        // The operator is symmetric in its two operands.
        copy.input[..2].clone_from_slice(&[output.to_owned(), point.residual.clone()]);
        copy.output = vec![name.clone()];
        copy.name = Some(name.clone());
        nodes.push(copy);
        return name;
    }
    let total = format!("{scope}/residual_sum");
    nodes.push(node("Add", total.clone(), &[output, &point.residual], &total));
    let Some((norm, normalised)) = &point.norm else { return total };
    let before = sum.output.first().cloned().unwrap_or_default();
    let mut renamed = BTreeMap::from([(before, total)]);
    for &position in norm {
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
    renamed.get(normalised).cloned().unwrap_or_default()
}
