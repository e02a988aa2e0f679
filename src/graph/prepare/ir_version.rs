//! Raises models of IR version 3 to version 4.
//!
//! Up to version 3 every initializer is also listed as an input, and ONNX Runtime silently ignores
//! values that a caller passes for them, and so every adapter. From version 4 on, an initializer
//! that is no input is a constant, and one that is an input is a default that a caller may replace.
//! Nothing else differs between the two versions.

use std::collections::HashSet;

use crate::error::Result;
use crate::graph::model::Model;

/// The first version in which an initializer may be the default of an input.
const IR_VERSION_DEFAULTS: i64 = 4;

/// Raises the version of an older model to one in which inputs have defaults. Its initializers stay
/// constants, so they are removed from the inputs.
///
/// # Errors
/// [`Code::GraphMalformed`](crate::Code::GraphMalformed) for a model without a graph.
pub fn raise_ir_version(model: &mut Model) -> Result<()> {
    if model.proto.ir_version() >= IR_VERSION_DEFAULTS {
        return Ok(());
    }
    let graph = model.graph_mut()?;
    let dense = graph.initializer.iter().map(|tensor| tensor.name());
    let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
    let constants: HashSet<&str> = dense.chain(sparse.map(|values| values.name())).collect();
    graph.input.retain(|info| !constants.contains(info.name()));
    model.proto.ir_version = Some(IR_VERSION_DEFAULTS);
    Ok(())
}
