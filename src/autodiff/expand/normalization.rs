//! Skip connections that ONNX Runtime fuses with the normalization of their sum.

use super::writer::Parts;
use crate::error::Result;
use crate::graph::attr;

/// `layer_normalization(x + skip + bias)`, of inputs x, skip, scale, shift, bias.
pub(super) fn skip_layer(parts: &mut Parts<'_, '_>) -> Result<()> {
    let sum = sum(parts, 4)?;
    let scale = parts.required(2)?;
    let mut inputs = vec![sum.as_str(), scale];
    inputs.extend(parts.input(3));
    let epsilon = parts.float("epsilon", 1e-12);
    let options = vec![attr::int("axis", -1), attr::float("epsilon", epsilon as f32)];
    parts.result("LayerNormalization", &inputs, options);
    Ok(())
}

/// `rms_normalization(x + skip + bias)`, of inputs x, skip, scale, bias.
pub(super) fn skip_simplified(parts: &mut Parts<'_, '_>) -> Result<()> {
    let sum = sum(parts, 3)?;
    let scale = parts.required(2)?;
    let epsilon = parts.float("epsilon", 1e-12);
    let options = vec![attr::int("axis", -1), attr::float("epsilon", epsilon as f32)];
    parts.result("SimplifiedLayerNormalization", &[&sum, scale], options);
    Ok(())
}

/// The sum of x, skip and the input at `bias`; the fourth output is that sum.
fn sum(parts: &mut Parts<'_, '_>, bias: usize) -> Result<String> {
    if parts.output(1).or(parts.output(2)).is_some() {
        return Err(parts.refuse("its mean or deviation is an output"));
    }
    let (mut left, mut right) = (parts.required(0)?.to_owned(), parts.required(1)?);
    if let Some(bias) = parts.input(bias) {
        left = parts.node("Add", &[&left, right], vec![]);
        right = bias;
    }
    Ok(match parts.output(3) {
        None => parts.node("Add", &[&left, right], vec![]),
        Some(output) => {
            parts.named(("", "Add"), &[&left, right], output, vec![]);
            output.to_owned()
        }
    })
}
