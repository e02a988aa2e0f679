//! The decoder of a sequence-to-sequence bundle.
//!
//! Such a bundle holds two graphs over one file of weights: the joined one, which reads a source
//! and a target and which adapters train on, and the decoder with a cache. The encoder and the
//! first step of the decoder are extracted from the joined graph. This module must never trust a
//! configuration about a graph, and never run one.
//!
//! Input: the files that Optimum writes, or the two graphs of a bundle. Output: the graphs of a
//! run.

mod folder;
mod interface;
mod join;
mod merged;
mod section;

pub use folder::FoundIds;
pub use interface::{CacheTensor, DecoderInterface};
pub use section::{Decoder, SpecialIds};

pub(super) use folder::{Folder, Parts};
pub(super) use join::Joined;

use crate::bundle::Interface;
use crate::error::{Code, Error, Result};
use crate::graph::{self, Model, TensorType, ValueInfoProto, Weights, data_type};

/// The input of target ids, int64 `[batch, target]`.
pub const INPUT_DECODER_IDS: &str = "decoder_input_ids";
/// Optimum's name for the decoder input of the encoder's states.
const INPUT_HIDDEN_STATES: &str = "encoder_hidden_states";
/// Optimum's name for the decoder input of the source's mask.
const INPUT_ENCODER_MASK: &str = "encoder_attention_mask";
/// The output of logits, float `[batch, target, vocabulary]`.
const OUTPUT_LOGITS: &str = "logits";
/// The prefix of cache inputs.
const PAST_PREFIX: &str = "past_key_values.";
/// The prefixes of cache outputs, in current and in older releases.
const PRESENT_PREFIXES: &[&str] = &["present.", "present_key_values."];

/// The graphs that generation runs. The joined graph is the bundle's own.
#[derive(Clone, Debug)]
pub struct Graphs {
    /// From source to hidden states.
    pub encoder: Model,
    /// From hidden states and a whole target to logits and caches.
    pub decoder: Model,
    /// From one more target token and the caches to logits and caches; absent if the model was
    /// exported without it.
    pub with_past: Option<Model>,
}

impl Graphs {
    /// Extracts the encoder and the decoder from the joined graph; `hidden` is the value between
    /// them.
    pub(super) fn of(
        joined: &Model,
        with_past: Option<Model>,
        interface: &DecoderInterface,
        hidden: &str,
    ) -> Result<Self> {
        let encoder = encoder_of(joined, hidden)?;
        let decoder = decoder_of(joined, hidden, &|name| name != hidden)?;
        let reads = |name: &str| Ok(decoder.graph()?.input.iter().any(|one| one.name() == name));
        for (name, what) in
            [(hidden, "cross-attention"), (&interface.input_ids, "input of targets")]
        {
            if !reads(name)? {
                let message = format!("the decoder has no {what}: it does not read {name:?}");
                return Err(Error::new(Code::GraphUnsupported, message));
            }
        }
        Ok(Self { encoder, decoder, with_past })
    }
}

/// The encoder of a joined graph, whose output is `hidden`.
pub(super) fn encoder_of(joined: &Model, hidden: &str) -> Result<Model> {
    let graph = joined.graph()?;
    let inputs = graph.input.iter().filter(|info| info.name() != INPUT_DECODER_IDS);
    let outputs = graph.output.iter().filter(|info| info.name() == hidden);
    extracted(joined, inputs.cloned().collect(), outputs.cloned().collect())
}

/// The decoder of a joined graph, with the input `hidden` and the wanted outputs.
fn decoder_of(joined: &Model, hidden: &str, gives: &dyn Fn(&str) -> bool) -> Result<Model> {
    let graph = joined.graph()?;
    let states = graph.output.iter().filter(|info| info.name() == hidden);
    let inputs = graph.input.iter().chain(states).cloned().collect();
    let outputs = graph.output.iter().filter(|info| gives(info.name())).cloned().collect();
    extracted(joined, inputs, outputs)
}

/// The room in the decoder's table of positions, if it has one.
pub(super) fn positions(
    joined: &Model,
    weights: &Weights,
    interface: &Interface,
) -> Result<Option<usize>> {
    let Some(decoder) = &interface.decoder else { return Ok(None) };
    let part = decoder_of(joined, &interface.output, &|name| name == decoder.logits)?;
    Interface::positions_of(part.graph()?, weights, &decoder.input_ids, interface.hidden)
}

fn extracted(
    model: &Model,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
) -> Result<Model> {
    let mut graph = graph::extract(model.graph()?, inputs, outputs)?;
    join::drop_unused_inputs(&mut graph);
    let mut proto = model.proto.clone();
    proto.graph = Some(graph);
    Model::new(proto, model.folder())
}

/// Prepares the decoder with a cache for adapters: it computes in float32, and its caches are
/// float32.
pub(super) fn prepare(model: &mut Model, weights: &Weights) -> Result<()> {
    graph::prepare(model, weights)?;
    for input in &mut model.graph_mut()?.input {
        let found = input.r#type.as_ref().and_then(TensorType::from_proto);
        if let Some(mut found) = found
            && matches!(found.data_type, data_type::FLOAT16 | data_type::BFLOAT16)
        {
            found.data_type = data_type::FLOAT;
            *input = found.to_value_info(input.name());
        }
    }
    Ok(())
}

/// Joins the graphs of `parts`.
pub(super) fn join(parts: Parts) -> Result<Joined> {
    let weights = Weights::map(&parts.encoder)?;
    let mut prepared = parts.encoder.clone();
    graph::prepare(&mut prepared, &weights)?;
    let encoder = Interface::read(&prepared, &weights, None)?;
    check_hidden(&parts.decoder, encoder.hidden)?;
    join::join(parts, &encoder.output)
}

/// Checks that the decoder takes hidden states of the encoder's size.
fn check_hidden(decoder: &Model, hidden: usize) -> Result<()> {
    let graph = decoder.graph()?;
    let input = graph.input.iter().find(|info| info.name() == INPUT_HIDDEN_STATES);
    let found = input.and_then(|info| TensorType::from_proto(info.r#type.as_ref()?)?.shape);
    let last = found.and_then(|dims| dims.last().and_then(|dim| dim.known()));
    match last {
        Some(last) if usize::try_from(last) != Ok(hidden) => Err(mismatch(format!(
            "the encoder gives hidden states of size {hidden}, the decoder takes size {last}"
        ))),
        _ => Ok(()),
    }
}

/// The error for files of different models.
fn mismatch(message: String) -> Error {
    Error::new(Code::GraphUnsupported, format!("the files do not belong together: {message}"))
}

pub(super) fn is_present(name: &str) -> bool {
    PRESENT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_cross(name: &str) -> bool {
    name.contains(".encoder.")
}
