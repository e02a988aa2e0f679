//! Checks for any ONNX file whether adapters on the model can be trained: what stops gradients
//! between its first float output and the adapter sites, by the rules of the training graph.

use serde::Serialize;

use crate::autodiff::{Obstacle, obstacles};
use crate::error::Result;
use crate::graph::{FunctionLeft, GraphProto, Model, Shapes, Weights, data_type};
use crate::sites::find_sites;

/// Whether adapters can be trained, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trainability {
    /// Whether gradients of `output` reach every site.
    pub trainable: bool,
    /// The output that gradients start from: the first float output with two axes or more.
    pub output: Option<String>,
    /// The number of sites.
    pub sites: usize,
    /// What stops gradients, nearest to the output first.
    pub obstacles: Vec<Obstacle>,
}

/// Checks whether adapters on a model can be trained.
///
/// # Errors
/// Those of [`Shapes::infer`].
pub fn trainability(model: &Model, weights: &Weights) -> Result<Trainability> {
    let graph = model.graph()?;
    let opset = model.opset("").unwrap_or(0);
    let sites = find_sites(graph, weights);
    let shapes = Shapes::infer(graph, opset, Some(weights))?;
    let nodes = sites.iter().flat_map(|site| &site.nodes);
    let from: Vec<String> =
        nodes.filter_map(|&node| graph.node.get(node)?.output.first().cloned()).collect();
    let output = float_output(graph, &shapes);
    let found = match &output {
        Some(output) if !from.is_empty() => {
            let found = obstacles(graph, opset, &shapes, &from, std::slice::from_ref(output));
            found.into_iter().map(|obstacle| of_function(model, obstacle)).collect()
        }
        _ => Vec::new(),
    };
    let trainable = output.is_some() && !from.is_empty() && found.is_empty();
    Ok(Trainability { trainable, output, sites: sites.len(), obstacles: found })
}

/// If the obstacle is a function of the model, explains why it was not inlined.
fn of_function(model: &Model, obstacle: Obstacle) -> Obstacle {
    let domain = if obstacle.domain == "ai.onnx" { "" } else { &obstacle.domain };
    let mut left = model.functions_left().iter();
    match left.find(|left| left.domain == domain && left.name == obstacle.operator) {
        None => obstacle,
        Some(FunctionLeft { reason, .. }) => Obstacle {
            reason: format!("it is a function of the model that cannot be inlined: {reason}"),
            advice: "export the model with its functions inlined, as onnx.inliner in Python does"
                .to_owned(),
            ..obstacle
        },
    }
}

/// The first float output with two axes or more; an unknown type or rank also counts.
fn float_output(graph: &GraphProto, shapes: &Shapes) -> Option<String> {
    use data_type::{BFLOAT16, DOUBLE, FLOAT, FLOAT16};
    let is_float = |name: &&str| {
        let element = shapes.data_type(name);
        element.is_none_or(|known| matches!(known, FLOAT | DOUBLE | FLOAT16 | BFLOAT16))
            && shapes.rank(name).is_none_or(|rank| rank >= 2)
    };
    graph.output.iter().map(|info| info.name()).find(is_float).map(str::to_owned)
}
