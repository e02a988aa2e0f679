//! Refuses inputs whose extents were fixed when a model was exported.
//!
//! A graph that was exported without dynamic dimensions accepts only the number of texts and tokens
//! that it was traced with. Only declared shapes are checked; a trial run finds what is fixed
//! inside the graph.

use crate::error::{Code, Error, Result};
use crate::graph::{Dim, GraphProto, TensorType, Weights, data_type};

/// How to export without fixed extents.
pub const EXPORT_ADVICE: &str = "export with the first two dimensions of every input dynamic \
    (torch.onnx.export: dynamic_axes or dynamic_shapes), or with \
    `optimum-cli export onnx --task feature-extraction`";

/// Checks that every required input of token ids and masks takes any number of texts of any length.
///
/// # Errors
/// [`Code::BundleUnusable`] naming the input, the fixed extent and how to export.
pub(super) fn check(graph: &GraphProto, weights: &Weights) -> Result<()> {
    for input in graph.input.iter().filter(|input| weights.get(input.name()).is_none()) {
        let found = input.r#type.as_ref().and_then(TensorType::from_proto);
        let Some(shape) = found.filter(|found| found.data_type == data_type::INT64) else {
            continue;
        };
        let dims = shape.shape.unwrap_or_default();
        for (dim, what) in dims.iter().zip(["texts", "tokens"]) {
            if let Dim::Known(size) = dim {
                return Err(Error::new(
                    Code::BundleUnusable,
                    format!(
                        "the input {:?} takes exactly {size} {what}, expected any number of them; \
                         {EXPORT_ADVICE}",
                        input.name()
                    ),
                ));
            }
        }
    }
    Ok(())
}
