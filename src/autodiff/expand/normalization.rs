//! Expands skip connections that ONNX Runtime fuses with the normalization of their sum.

use super::fused::Fused;
use crate::autodiff::emit::{Emitter, refused};
use crate::error::Result;
use crate::graph::attr;

/// `layer_normalization(x + skip + bias)`; inputs: x, skip, scale, shift, bias.
pub(super) fn skip_layer(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    let sum = sum(emit, fused, 4)?;
    let scale = fused.required(2)?;
    let mut inputs = vec![sum.as_str(), scale];
    inputs.extend(fused.input(3));
    let epsilon = fused.float("epsilon", 1e-12);
    let options = vec![attr::int("axis", -1), attr::float("epsilon", epsilon as f32)];
    fused.result(emit, "LayerNormalization", &inputs, options);
    Ok(())
}

/// `rms_normalization(x + skip + bias)`; inputs: x, skip, scale, bias.
pub(super) fn skip_simplified(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    let sum = sum(emit, fused, 3)?;
    let scale = fused.required(2)?;
    let epsilon = fused.float("epsilon", 1e-12);
    let options = vec![attr::int("axis", -1), attr::float("epsilon", epsilon as f32)];
    fused.result(emit, "SimplifiedLayerNormalization", &[&sum, scale], options);
    Ok(())
}

/// The sum of x, skip and the input at `bias`; the fourth output is that sum.
fn sum(emit: &mut Emitter<'_>, fused: &Fused<'_>, bias: usize) -> Result<String> {
    if fused.output(1).or(fused.output(2)).is_some() {
        return Err(refused("its mean or deviation is an output"));
    }
    let (mut left, mut right) = (fused.required(0)?.to_owned(), fused.required(1)?);
    if let Some(bias) = fused.input(bias) {
        left = emit.node("Add", &[&left, right], vec![]);
        right = bias;
    }
    Ok(match fused.output(3) {
        None => emit.node("Add", &[&left, right], vec![]),
        Some(output) => {
            emit.named("Add", &[&left, right], output, vec![]);
            output.to_owned()
        }
    })
}
