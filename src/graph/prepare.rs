//! Brings a backbone's graph into the form that adapters attach to; the results stay the same.
//!
//! - Model-local functions are inlined, so that the graph shows everything that is computed.
//! - Graphs that compute in 16 bits compute in float32, over weights that stay stored in 16 bits:
//!   adapters are float32, gradients need it, and ONNX Runtime's CPU kernels upcast anyway, node by
//!   node.
//! - Products that quantise their activation in separate nodes become one node from float to float.
//! - Nodes that compute from weights alone come first, so that their results live briefly.
//! - Models of an IR version in which inputs cannot have defaults are raised to one in which they
//!   can.
//!
//! Input: a model as its file states it. Output: the same model, changed in memory only. This
//! module must never convert weights, only the nodes that read them.

mod dynamic_product;
mod ir_version;
mod store;
mod upcast;

pub use ir_version::raise_ir_version;
pub use store::store_upcast;
pub(crate) use upcast::{bf16, f16};

use super::index::constants_first;
use super::inline::inline_functions;
use super::model::{MICROSOFT, Model, canonical_domain};
use super::proto::OperatorSetIdProto;
use super::weights::Weights;
use crate::error::Result;

/// Prepares the graph of `model`, whose weights are `weights`.
///
/// Errors: [`Code::GraphMalformed`](crate::Code::GraphMalformed) when two nodes produce one value.
pub fn prepare(model: &mut Model, weights: &Weights) -> Result<()> {
    raise_ir_version(model)?;
    inline_functions(model)?;
    let graph = model.graph_mut()?;
    upcast::upcast(graph);
    let has_fused = dynamic_product::fuse(graph, weights)?;
    constants_first(graph);
    let imports = &mut model.proto.opset_import;
    if has_fused && !imports.iter().any(|set| canonical_domain(set.domain()) == MICROSOFT) {
        let (domain, version) = (Some(MICROSOFT.to_owned()), Some(1));
        imports.push(OperatorSetIdProto { domain, version });
    }
    Ok(())
}
