//! LoRA: a low-rank product beside a frozen linear layer.
//!
//! `y = x W + b` becomes `y = x W + b + (x A) B`, with `A: [inputs, rank]` and `B: [rank, outputs]`
//! as graph inputs. Their defaults have rank 0, and a rank-0 product adds exactly nothing. The
//! scale
//! `alpha / rank` (Hu et al., arXiv 2106.09685) or `alpha / sqrt(rank)` (Kalajdzievski, arXiv
//! 2312.03732) is folded into `B` when an adapter is loaded, so the graph knows no scale.

use super::site::Site;
use crate::error::{Code, Error, Result};
use crate::graph::{Bytes, Dim, GraphProto, Index, NodeProto, TensorProto, TensorType, data_type};
use serde::{Deserialize, Serialize};

/// Which sites an adapter uses and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Width of the low-rank product, 1 to 1024.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Divides by `sqrt(rank)` instead of `rank`.
    #[serde(default)]
    pub rank_stabilized: bool,
    /// Module-name patterns; a site is used when one matches the end of its path.
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    /// Rank 8, alpha 16, on the query and value projections.
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            rank_stabilized: false,
            targets: vec!["query".to_owned(), "value".to_owned()],
        }
    }
}

impl LoraConfig {
    /// Largest rank that is accepted; wider products are no longer low-rank for any backbone here.
    pub const RANK_MAX: usize = 1024;

    /// The factor on the low-rank product.
    pub fn scale(&self) -> f32 {
        let rank = self.rank as f64;
        (self.alpha / if self.rank_stabilized { rank.sqrt() } else { rank }) as f32
    }

    /// Checks rank, alpha and that there is at least one target.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::ArgumentInvalid, message));
        if self.rank == 0 || self.rank > Self::RANK_MAX {
            let max = Self::RANK_MAX;
            return invalid(format!("lora.rank: expected 1 to {max}, found {}", self.rank));
        }
        if !self.scale().is_finite() || self.scale() <= 0.0 {
            return invalid(format!(
                "lora.alpha: expected a scale above 0 that float32 can hold, found {}",
                self.alpha
            ));
        }
        if self.targets.is_empty() || self.targets.iter().any(String::is_empty) {
            return invalid("lora.targets: expected at least one module name".to_owned());
        }
        Ok(())
    }

    /// The sites that the targets name, in graph order.
    ///
    /// # Errors
    /// [`Code::AdapterNoSite`] when a target names none, with some of the modules that exist.
    pub fn select<'a>(&self, sites: &'a [Site]) -> Result<Vec<&'a Site>> {
        for target in &self.targets {
            if !sites.iter().any(|site| site.matches(target)) {
                let known: Vec<_> = sites.iter().take(8).map(|site| site.module.as_str()).collect();
                return Err(Error::new(
                    Code::AdapterNoSite,
                    format!(
                        "no module of the backbone is named {target:?}; it has {} linear layers: \
                         {}",
                        sites.len(),
                        known.join(", ")
                    ),
                ));
            }
        }
        let chosen = |site: &&Site| self.targets.iter().any(|target| site.matches(target));
        Ok(sites.iter().filter(chosen).collect())
    }
}

/// Adds the LoRA inputs and products of `sites` to `graph`.
///
/// `sites` must have been found in this very graph. With `defaults` each input also gets its rank-0
/// initializer, so that a run may leave it out; a training graph has no use for that.
///
/// # Errors
/// [`Code::GraphMalformed`] when a site does not point at a linear layer of this graph.
pub fn attach(graph: &mut GraphProto, sites: &[&Site], defaults: bool) -> Result<()> {
    let index = Index::new(graph)?;
    let mut plans = Vec::with_capacity(sites.len());
    for site in sites {
        let node = graph.node.get(site.node).filter(|node| node.output.len() == 1);
        let node = node.ok_or_else(|| {
            Error::new(
                Code::GraphMalformed,
                format!("{}: node {} is not a linear layer", site.module, site.node),
            )
        })?;
        plans.push((*site, node.input[0].clone(), summand(graph, &index, site.node)));
    }
    // Insertions shift later indices, so the highest position goes first.
    plans.sort_by_key(|(_, _, position)| std::cmp::Reverse(*position));
    for (site, input, position) in plans {
        insert_product(graph, site, &input, position);
    }
    for site in sites {
        let rank = || Dim::Symbol(format!("{}.rank", site.module));
        let down = vec![Dim::Known(site.inputs as i64), rank()];
        let up = vec![rank(), Dim::Known(site.outputs as i64)];
        declare(graph, &site.lora_a(), down, defaults);
        declare(graph, &site.lora_b(), up, defaults);
    }
    Ok(())
}

/// The node whose output the product is added to: the bias addition that follows a MatMul where
/// there is one, because ONNX Runtime fuses the two as long as nothing stands between them.
fn summand(graph: &GraphProto, index: &Index, node: usize) -> usize {
    let output = &graph.node[node].output[0];
    match index.consumers(output) {
        [next]
            if graph.node[*next].op_type() == "Add" && graph.node[node].op_type() == "MatMul" =>
        {
            let other = graph.node[*next].input.iter().find(|name| *name != output);
            let is_bias = other.is_some_and(|name| index.producer(name).is_none());
            if is_bias { *next } else { node }
        }
        _ => node,
    }
}

/// Inserts `(x A) B` after the node at `position` and adds it to that node's output.
fn insert_product(graph: &mut GraphProto, site: &Site, input: &str, position: usize) {
    let output = graph.node[position].output[0].clone();
    let name = |part: &str| format!("{}.lora/{part}", site.module);
    let frozen = name("frozen");
    graph.node[position].output[0] = frozen.clone();
    let node = |op: &str, part: &str, inputs: [&str; 2], output: &str| NodeProto {
        name: Some(name(part)),
        op_type: Some(op.to_owned()),
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    };
    let down = node("MatMul", "down", [input, &site.lora_a()], &name("down"));
    let up = node("MatMul", "up", [&name("down"), &site.lora_b()], &name("up"));
    let sum = node("Add", "sum", [&frozen, &name("up")], &output);
    graph.node.splice(position + 1..position + 1, [down, up, sum]);
}

/// Declares a float32 input of `shape`; with `default`, an initializer in which every symbolic
/// extent is 0 makes the input optional.
pub fn declare(graph: &mut GraphProto, name: &str, shape: Vec<Dim>, default: bool) {
    if default {
        graph.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(data_type::FLOAT),
            dims: shape.iter().map(|dim| dim.known().unwrap_or(0)).collect(),
            raw_data: Some(Bytes::new()),
            ..TensorProto::default()
        });
    }
    graph.input.push(TensorType::new(data_type::FLOAT, shape).to_value_info(name));
}
