//! The inputs and outputs of a decoder: target tokens, logits and caches.

use serde::{Deserialize, Serialize};

use super::{INPUT_DECODER_IDS, OUTPUT_LOGITS, PAST_PREFIX, PRESENT_PREFIXES, mismatch};
use crate::error::{Code, Error, Result};
use crate::graph::{
    Dim, GraphProto, Model, Shapes, TensorType, ValueInfoProto, Weights, data_type, shape_text,
};

/// The interface that the graphs state for their use as a decoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecoderInterface {
    /// The input of target ids, int64 `[batch, target]`.
    pub input_ids: String,
    /// The output of logits, float `[batch, target, vocabulary]`.
    pub logits: String,
    /// The number of token ids that have a logit.
    pub vocabulary: usize,
    /// The cache between steps: keys and values of every layer, of the target and of the source.
    pub cache: Vec<CacheTensor>,
}

/// One tensor of the cache, float `[batch, heads, length, size]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheTensor {
    /// The output that holds it.
    pub present: String,
    /// The input that takes it in the next step; absent without a decoder with a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<String>,
    /// Whether it belongs to the source, so that only the first step computes it.
    pub cross: bool,
    /// The number of heads.
    pub heads: usize,
    /// The size of one head.
    pub size: usize,
}

impl DecoderInterface {
    /// Reads the interface of the joined graph and, if there is one, of the decoder with a cache.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] saying what is missing or does not fit together.
    pub(in crate::bundle) fn read(
        joined: &Model,
        with_past: Option<&Model>,
        weights: &Weights,
    ) -> Result<Self> {
        let graph = joined.graph()?;
        if !graph.input.iter().any(|info| info.name() == INPUT_DECODER_IDS) {
            return Err(unsupported(format!(
                "the joined graph has no input {INPUT_DECODER_IDS:?}"
            )));
        }
        let shapes = Shapes::infer(graph, joined.opset("").unwrap_or(0), Some(weights))?;
        let vocabulary = vocabulary(graph, &shapes)?;
        let mut cache = presents(graph, &shapes)?;
        let mut interface = Self {
            input_ids: INPUT_DECODER_IDS.to_owned(),
            logits: OUTPUT_LOGITS.to_owned(),
            vocabulary,
            cache: Vec::new(),
        };
        if let Some(later) = with_past {
            let graph = later.graph()?;
            let shapes = Shapes::infer(graph, later.opset("").unwrap_or(0), Some(weights))?;
            let found = self::vocabulary(graph, &shapes)?;
            if found != vocabulary {
                return Err(mismatch(format!(
                    "the decoder has {vocabulary} logits, the decoder with past {found}"
                )));
            }
            connect(&mut cache, graph, &shapes)?;
        }
        interface.cache = cache;
        Ok(interface)
    }

    /// The number of decoder layers.
    pub fn layers(&self) -> usize {
        self.cache.iter().filter(|tensor| tensor.cross).count() / 2
    }
}

fn unsupported(message: String) -> Error {
    Error::new(Code::GraphUnsupported, format!("the graphs are no decoder of texts: {message}"))
}

fn vocabulary(graph: &GraphProto, shapes: &Shapes) -> Result<usize> {
    let output = graph.output.iter().find(|info| info.name() == OUTPUT_LOGITS);
    let output =
        output.ok_or_else(|| unsupported(format!("there is no output {OUTPUT_LOGITS:?}")))?;
    match dims(output, shapes).as_deref() {
        Some([_, _, Dim::Known(size)]) if *size > 0 => Ok(*size as usize),
        found => Err(unsupported(format!(
            "expected {OUTPUT_LOGITS:?} to be [batch, target, vocabulary] of known vocabulary, \
             found {}",
            shape_text(found)
        ))),
    }
}

/// The stated or inferred dimensions of a value.
fn dims(info: &ValueInfoProto, shapes: &Shapes) -> Option<Vec<Dim>> {
    let stated = info.r#type.as_ref().and_then(TensorType::from_proto).and_then(|t| t.shape);
    let last_known = |dims: &Vec<Dim>| dims.last().is_some_and(|dim| dim.known().is_some());
    stated.filter(last_known).or_else(|| shapes.shape(info.name()).map(<[Dim]>::to_vec))
}

/// Parses a name such as `present.3.encoder.value`: layer, whether it is of the source, and value.
fn role<'a>(name: &'a str, prefixes: &[&str]) -> Option<(usize, bool, &'a str)> {
    let rest = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let (layer, rest) = rest.split_once('.')?;
    let (of, what) = rest.split_once('.')?;
    let cross = match of {
        "decoder" => false,
        "encoder" => true,
        _ => return None,
    };
    matches!(what, "key" | "value").then_some((layer.parse().ok()?, cross, what))
}

/// The cache outputs of the decoder: keys and values of both kinds for every layer from 0 on.
fn presents(graph: &GraphProto, shapes: &Shapes) -> Result<Vec<CacheTensor>> {
    let mut cache = Vec::new();
    let mut roles = Vec::new();
    for info in &graph.output {
        let Some(role) = role(info.name(), PRESENT_PREFIXES) else { continue };
        let (heads, size) = heads(info, shapes)?;
        roles.push(role);
        let present = info.name().to_owned();
        cache.push(CacheTensor { present, past: None, cross: role.1, heads, size });
    }
    let layers = roles.iter().map(|role| role.0 + 1).max().unwrap_or(0);
    let mut expected = Vec::new();
    for layer in 0..layers.min(cache.len()) {
        for cross in [false, true] {
            expected.extend(["key", "value"].map(|what| (layer, cross, what)));
        }
    }
    roles.sort_unstable();
    expected.sort_unstable();
    if roles != expected {
        return Err(unsupported(format!(
            "expected keys and values of target and source for each of {layers} layers as outputs \
             \"present.N.decoder.key\" and so on, found {} of {}",
            roles.len(),
            4 * layers
        )));
    }
    Ok(cache)
}

/// Finds for every tensor of the cache the input of the next step.
fn connect(cache: &mut [CacheTensor], graph: &GraphProto, shapes: &Shapes) -> Result<()> {
    let pasts: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|info| info.name().starts_with(PAST_PREFIX)).collect();
    if pasts.len() != cache.len() {
        return Err(mismatch(format!(
            "the decoder gives a cache of {} tensors, the decoder with past takes {}",
            cache.len(),
            pasts.len()
        )));
    }
    for tensor in cache {
        let wanted = role(&tensor.present, PRESENT_PREFIXES);
        let past = pasts.iter().find(|info| role(info.name(), &[PAST_PREFIX]) == wanted);
        let past = past.ok_or_else(|| {
            mismatch(format!("the decoder with past has no input for {:?}", tensor.present))
        })?;
        let found = heads(past, shapes)?;
        if found != (tensor.heads, tensor.size) {
            return Err(mismatch(format!(
                "{:?} has {} heads of size {}, but {:?} has {} of size {}",
                tensor.present,
                tensor.heads,
                tensor.size,
                past.name(),
                found.0,
                found.1
            )));
        }
        tensor.past = Some(past.name().to_owned());
        let is_given = |info: &ValueInfoProto| info.name() == tensor.present;
        if !tensor.cross && !graph.output.iter().any(is_given) {
            return Err(mismatch(format!(
                "the decoder with past does not give {:?}",
                tensor.present
            )));
        }
    }
    Ok(())
}

/// Number and size of the heads of a cache `[batch, heads, length, size]`.
fn heads(info: &ValueInfoProto, shapes: &Shapes) -> Result<(usize, usize)> {
    let found = dims(info, shapes);
    let kind = shapes.data_type(info.name()).unwrap_or(data_type::FLOAT);
    match found.as_deref() {
        Some([_, Dim::Known(heads), _, Dim::Known(size)])
            if *heads > 0 && *size > 0 && kind == data_type::FLOAT =>
        {
            Ok((*heads as usize, *size as usize))
        }
        _ => Err(unsupported(format!(
            "the cache {:?} is {} {}, expected float [batch, heads, length, size] of known \
             heads and size",
            info.name(),
            data_type::name(kind),
            shape_text(found.as_deref())
        ))),
    }
}
