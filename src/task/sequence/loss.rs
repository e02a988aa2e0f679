//! The loss of teacher forcing, as graph nodes.
//!
//! With teacher forcing, the decoder reads the right target shifted by one token. The loss of every
//! token is `-(1 - s) log p(target) - s / V sum_v log p(v)`, with the smoothing `s` over a
//! vocabulary of `V` (Szegedy et al., "Rethinking the Inception Architecture", arXiv 1512.00567,
//! section 7), times the token's weight. The target's log probability is gathered by its id, so no
//! tensor of the vocabulary's size is needed besides those of the softmax.

use crate::bundle::{Bundle, DecoderInterface, INPUT_DECODER_IDS};
use crate::error::{Code, Error, Result};
use crate::graph::{Builder, Dim, GraphProto, TensorType, attr, data_type};
use crate::inference::heads;
use crate::runtime::Value;
use crate::task::{TargetValues, loss};

/// The target ids, int64 `[batch, target, 1]`.
pub const TARGET_IDS: &str = "polygraft.target_ids";
/// The weight of each target id, float `[batch, target, 1]`; 0 after the end of a row.
pub const TARGET_WEIGHTS: &str = "polygraft.target_weights";
/// The share of every weight that is spread over the whole vocabulary, a scalar.
pub const SMOOTHING: &str = "polygraft.smoothing";

/// Adds the loss to a graph with logits; returns its name.
///
/// # Errors
/// [`Code::GraphUnsupported`] when the graph has no input for target ids.
pub(in crate::task) fn add(graph: &mut GraphProto, bundle: &Bundle) -> Result<String> {
    let DecoderInterface { input_ids, logits, vocabulary, .. } =
        bundle.decoder()?.interface.clone();
    let input = graph.input.iter().find(|info| info.name() == input_ids);
    let stated = input.and_then(|info| TensorType::from_proto(info.r#type.as_ref()?)?.shape);
    let Some([batch, target]) = stated.as_deref() else {
        let message = format!("the joined graph has no input {input_ids:?} [batch, target]");
        return Err(Error::new(Code::GraphUnsupported, message));
    };
    let shape = || vec![batch.clone(), target.clone(), Dim::Known(1)];
    for (name, kind, shape) in [
        (TARGET_IDS, data_type::INT64, shape()),
        (TARGET_WEIGHTS, data_type::FLOAT, shape()),
        (SMOOTHING, data_type::FLOAT, vec![]),
    ] {
        graph.input.push(TensorType::new(kind, shape).to_value_info(name));
    }
    let mut builder = Builder::new(graph, "polygraft/text/");
    let log = builder.node("LogSoftmax", &[&logits], vec![attr::int("axis", -1)]);
    let axis = vec![attr::int("axis", 2)];
    let picked = builder.node("GatherElements", &[&log, TARGET_IDS], axis);
    let one = builder.constant_f32(1.0);
    let rest = builder.node("Sub", &[&one, SMOOTHING], vec![]);
    let own = builder.node("Mul", &[&picked, &rest], vec![]);
    let all = heads::with_axes(&mut builder, bundle.interface().opset, "ReduceSum", &log, 2, true);
    let size = builder.constant_f32(vocabulary as f32);
    let share = builder.node("Div", &[SMOOTHING, &size], vec![]);
    let smooth = builder.node("Mul", &[&all, &share], vec![]);
    let sum = builder.node("Add", &[&own, &smooth], vec![]);
    let weighted = builder.node("Mul", &[&sum, TARGET_WEIGHTS], vec![]);
    let total = loss::sum(&mut builder, &weighted);
    Ok(builder.node("Neg", &[&total], vec![]))
}

/// The values of the target inputs. Each row of `targets` is the start token and the rest; every
/// token but the start has the weight `weight`.
pub(super) fn values(targets: &[&[u32]], weight: f32, smoothing: f32) -> Result<TargetValues> {
    let longest = targets.iter().map(|target| target.len()).max().unwrap_or(1).max(2) - 1;
    let shape = [targets.len(), longest];
    let (mut given, mut wanted, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for target in targets {
        let count = target.len().saturating_sub(1);
        // The padding has no effect: attention looks back only, and the weights are 0.
        let padding = longest - count;
        let id = |&id: &u32| i64::from(id);
        given.extend(target.iter().take(count).map(id));
        given.extend(std::iter::repeat_n(0, padding));
        wanted.extend(target.iter().skip(1).map(id));
        wanted.extend(std::iter::repeat_n(0, padding));
        weights.extend(std::iter::repeat_n(weight, count));
        weights.extend(std::iter::repeat_n(0.0, padding));
    }
    let picked = [shape[0], shape[1], 1];
    Ok(vec![
        (INPUT_DECODER_IDS, Value::i64(&shape, given)?),
        (TARGET_IDS, Value::i64(&picked, wanted)?),
        (TARGET_WEIGHTS, Value::f32(&picked, weights)?),
        (SMOOTHING, Value::f32(&[], vec![smoothing])?),
    ])
}
