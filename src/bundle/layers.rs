//! The layers between pooling and the vector of a text, as embedders are published with them:
//! linear layers with an activation, and the scaling to length 1.
//!
//! The weights of a linear layer are initializers of the backbone's graph that no node of it reads,
//! so they are mapped, hashed and part of the backbone's hash like all others. This module must
//! never accept a layer whose weights do not have the shape that the layer before it asks for.

use serde::{Deserialize, Serialize};

use crate::graph::{GraphProto, TensorProto, Weights, data_type};

/// The largest number of layers.
const LAYERS_MAX: usize = 16;

/// One layer of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Layer {
    /// A linear layer, `activation(x weight^T + bias)`.
    Dense {
        /// The initializer of the weight, float `[outputs, inputs]`.
        weight: String,
        /// The initializer of the bias, float `[outputs]`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bias: Option<String>,
        /// The size of its result.
        outputs: usize,
        /// What follows it.
        activation: LayerActivation,
    },
    /// The vector divided by its Euclidean length.
    Normalise,
}

named! {
    /// What follows a linear layer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum LayerActivation: "activation" {
        /// Nothing.
        Identity = "identity",
        /// The hyperbolic tangent.
        Tanh = "tanh",
        /// `max(x, 0)`
        Relu = "relu",
        /// `x Φ(x)`, with the error function.
        Gelu = "gelu",
        /// `1 / (1 + exp(-x))`
        Sigmoid = "sigmoid",
        /// `x / (1 + exp(-x))`
        Silu = "silu",
    }
}

/// A layer for a new bundle, with its values.
#[derive(Clone, Debug, PartialEq)]
pub enum NewLayer {
    /// A linear layer and an activation.
    Dense {
        /// `[outputs, inputs]`, row by row.
        weight: Vec<f32>,
        /// `[outputs]`
        bias: Option<Vec<f32>>,
        /// The size of its result.
        outputs: usize,
        /// What follows it.
        activation: LayerActivation,
    },
    /// The vector divided by its Euclidean length.
    Normalise,
}

/// Puts the values of new layers into a graph; returns the layers as a manifest states them.
///
/// # Errors
/// A text that says which layer has no weight of this form.
pub(super) fn store(
    new: Vec<NewLayer>,
    graph: &mut GraphProto,
) -> std::result::Result<Vec<Layer>, String> {
    let mut keep = |name: String, dims: &[usize], values: Vec<f32>| {
        graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            data_type: Some(data_type::FLOAT),
            dims: dims.iter().map(|&size| size as i64).collect(),
            raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            ..TensorProto::default()
        });
        name
    };
    let mut layers = Vec::with_capacity(new.len());
    for (position, layer) in new.into_iter().enumerate() {
        let name = |what: &str| format!("polygraft.layers.{position}.{what}");
        layers.push(match layer {
            NewLayer::Normalise => Layer::Normalise,
            NewLayer::Dense { weight, bias, outputs, activation } => {
                if outputs == 0 || weight.len() % outputs != 0 {
                    let count = weight.len();
                    return Err(format!(
                        "layer {position}: its weight has {count} values, expected {outputs} rows \
                         of them"
                    ));
                }
                let inputs = weight.len() / outputs;
                let bias = bias.map(|bias| keep(name("bias"), &[bias.len()], bias));
                let weight = keep(name("weight"), &[outputs, inputs], weight);
                Layer::Dense { weight, bias, outputs, activation }
            }
        });
    }
    Ok(layers)
}

/// The size of the vector that layers make of a pooled state of size `hidden`.
///
/// # Errors
/// A text that says which layer does not fit its weights or the one before it.
pub(super) fn size(
    layers: &[Layer],
    weights: &Weights,
    hidden: usize,
) -> std::result::Result<usize, String> {
    if layers.len() > LAYERS_MAX {
        let count = layers.len();
        return Err(format!("it has {count} layers, expected at most {LAYERS_MAX}"));
    }
    let mut size = hidden;
    for (position, layer) in layers.iter().enumerate() {
        let Layer::Dense { weight, bias, outputs, .. } = layer else { continue };
        let expect = |name: &str, expected: &[usize]| {
            let dims: Vec<i64> = expected.iter().map(|&size| size as i64).collect();
            match weights.get(name) {
                Some(found) if found.data_type != data_type::FLOAT || found.dims != dims => {
                    let (kind, dims) = (data_type::name(found.data_type), found.dims);
                    Err(format!(
                        "layer {position}: {name:?} is {kind} {dims:?}, expected float {expected:?}"
                    ))
                }
                Some(_) => Ok(()),
                None => Err(format!("layer {position}: the graph has no weight {name:?}")),
            }
        };
        expect(weight, &[*outputs, size])?;
        bias.as_ref().map_or(Ok(()), |bias| expect(bias, &[*outputs]))?;
        size = *outputs;
    }
    Ok(size)
}

/// The layers in a few words, for the reading; the backbone's hash covers their weights.
pub(super) fn described(layers: &[Layer]) -> Option<String> {
    let words = |layer: &Layer| match layer {
        Layer::Dense { outputs, activation, bias, .. } => {
            let bias = if bias.is_some() { "" } else { " without bias" };
            format!("dense {outputs} {activation}{bias}")
        }
        Layer::Normalise => "normalise".to_owned(),
    };
    let all: Vec<String> = layers.iter().map(words).collect();
    (!all.is_empty()).then(|| all.join(", "))
}
