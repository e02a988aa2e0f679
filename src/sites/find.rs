//! Finds the sites of a graph and the names of their modules.
//!
//! Exporters name modules differently. A weight keeps its module name (`encoder.layer.0...weight`)
//! or gets a serial number (`onnx::MatMul_1017`); then the module path is in the node's name
//! (`/encoder/layer.0/attention/self/query/MatMul`) or in the scopes that the dynamo exporter
//! writes beside it. Quantisers drop both; then the name of the bias may remain. All forms give the
//! same site name.
//!
//! Layers that share a weight are one site with several nodes, as they are one module in the
//! framework that the backbone comes from: one adapter tensor serves every call.

use super::linear::{Linear, View, linears};
use super::site::{Role, Site};
use super::sublayer;
use crate::error::Result;
use crate::graph::{GraphProto, Index, NodeProto, Weights, values_behind};
use std::collections::{BTreeMap, HashMap};

/// The node property in which the dynamo exporter writes the modules around a node.
const SCOPES_KEY: &str = "pkg.torch.onnx.name_scopes";

/// Finds every site of `graph`, in graph order. Layers with the same path and different weights get
/// a serial number after the first, so that names stay unique. A malformed graph has no sites.
pub fn find_sites(graph: &GraphProto, weights: &Weights) -> Vec<Site> {
    let Ok(index) = Index::new(graph) else { return Vec::new() };
    let view = View::of_weights(graph, &index, weights);
    let linears = linears(&view);
    let roles = roles(&view, &linears);
    let mut by_weight = HashMap::<&str, usize>::new();
    let mut by_path = HashMap::<String, Vec<(usize, &str)>>::new();
    let mut sites: Vec<Site> = Vec::new();
    for (&node, linear) in &linears {
        let path = module_path(graph, &index, node, &linear.weight);
        let known = by_path.entry(path.clone()).or_default();
        // An exporter that folds constants may store a copy of a shared weight for each use.
        let same = known.iter().filter(|(_, weight)| equal(weights, weight, &linear.weight));
        let same = same.map(|(site, _)| *site);
        let same = by_weight.get(linear.weight.as_str()).copied().into_iter().chain(same).next();
        // The same matrix with its axes exchanged is another layer.
        let shape = (linear.inputs, linear.outputs);
        if let Some(site) = same.and_then(|site| sites.get_mut(site))
            && (site.inputs, site.outputs) == shape
        {
            if known.is_empty() && is_later_use(&site.module, &path) {
                site.module.clone_from(&path);
                known.extend(same.map(|site| (site, linear.weight.as_str())));
            }
            site.nodes.push(node);
            continue;
        }
        known.push((sites.len(), &linear.weight));
        by_weight.insert(&linear.weight, sites.len());
        let module = if known.len() == 1 { path } else { format!("{path}.{}", known.len()) };
        let role = roles.get(&node).copied().unwrap_or(Role::Other);
        let Linear { inputs, outputs, .. } = *linear;
        sites.push(Site { module, nodes: vec![node], inputs, outputs, role });
    }
    sites
}

/// The modules of those `sites` that none of the `outputs` of `graph` depends on, such as a pooler
/// where hidden states are the output.
///
/// # Errors
/// [`Code::GraphMalformed`](crate::Code::GraphMalformed) for a graph with a cycle.
pub fn unread_sites(graph: &GraphProto, sites: &[Site], outputs: &[&str]) -> Result<Vec<String>> {
    let read = values_behind(graph, outputs)?;
    let is_read = |position: &usize| {
        let outputs = graph.node.get(*position).map(|node| node.output.as_slice());
        outputs.unwrap_or_default().iter().any(|name| read.contains(name))
    };
    let unread = sites.iter().filter(|site| !site.nodes.iter().any(is_read));
    Ok(unread.map(|site| site.module.clone()).collect())
}

/// Whether `path` is `first` with the serial number that exporters add for later uses of a module
/// (`query_1`). The uses need not be in that order in the graph.
fn is_later_use(path: &str, first: &str) -> bool {
    let number = path.strip_prefix(first).and_then(|rest| rest.strip_prefix('_'));
    number.is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// Whether two initializers have the same values.
fn equal(weights: &Weights, left: &str, right: &str) -> bool {
    match (weights.get(left), weights.get(right)) {
        (Some(left), Some(right)) => left.dims == right.dims && left.bytes == right.bytes,
        _ => false,
    }
}

/// The roles by node, for the layers that have one.
fn roles(view: &View<'_>, linears: &BTreeMap<usize, Linear>) -> HashMap<usize, Role> {
    let mut roles = HashMap::new();
    for found in sublayer::find(view, linears) {
        if found.is_attention {
            roles.insert(found.last, Role::AttentionOutput);
        } else {
            roles.insert(found.last, Role::FeedForwardOutput);
            for other in found.nodes.into_iter().filter(|node| linears.contains_key(node)) {
                roles.entry(other).or_insert(Role::FeedForwardInput);
            }
        }
    }
    roles
}

/// The dotted module path from the weight's name, the scopes, the node's name or the bias's name.
fn module_path(graph: &GraphProto, index: &Index, position: usize, weight: &str) -> String {
    let node = &graph.node[position];
    if let Some((path, rest)) = weight.rsplit_once(".weight")
        && !path.contains("::")
        && !path.is_empty()
        && (rest.is_empty() || rest.starts_with(['_', '.']))
    {
        return path.to_owned();
    }
    if let Some(path) = scope(node) {
        return path;
    }
    let mut parts: Vec<_> = node.name().split('/').filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 {
        parts.pop();
    } else if let Some(path) = bias_path(graph, index, node) {
        return path;
    }
    if parts.is_empty() { weight.to_owned() } else { parts.join(".") }
}

/// The module whose bias is added to the output of `node`.
fn bias_path(graph: &GraphProto, index: &Index, node: &NodeProto) -> Option<String> {
    let product = node.output.first()?;
    let [user] = index.consumers(product) else { return None };
    let sum = graph.node.get(*user).filter(|sum| sum.op_type() == "Add")?;
    let mut terms = sum.input.iter().filter(|term| *term != product);
    let path = terms.find_map(|term| term.strip_suffix(".bias"))?;
    (!path.is_empty()).then(|| path.to_owned())
}

/// The innermost module of the scopes that the dynamo exporter wrote, such as `['', 'encoder',
/// 'encoder.layer.0', 'encoder.layer.0.query', 'linear_3']`; the last entry is the operation
/// itself.
fn scope(node: &NodeProto) -> Option<String> {
    let property = node.metadata_props.iter().find(|entry| entry.key() == SCOPES_KEY)?;
    let list = property.value().strip_prefix('[')?.strip_suffix(']')?;
    let scopes: Vec<&str> =
        list.split(',').map(|scope| scope.trim().trim_matches(['\'', '"'])).collect();
    let [.., module, _] = scopes.as_slice() else { return None };
    (!module.is_empty()).then(|| (*module).to_owned())
}
