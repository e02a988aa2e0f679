//! Where texts enter a backbone's graph and hidden states leave it.
//!
//! Read from the graph, never believed from elsewhere: the inputs by their usual names, the output
//! of hidden states, and, as far as the graph tells, how many token ids and positions its
//! embeddings have.

use super::decoder::DecoderInterface;
use super::manifest::Inputs;
use super::tokenizer::Tokenizer;
use crate::error::{Code, Error, Result, listed};
use crate::graph::{
    Dim, GraphProto, Index, Model, NodeProto, Shapes, TensorType, ValueInfoProto, Weight, Weights,
    data_type, shape_text,
};

/// The input of token ids, int64 `[batch, sequence]`.
pub const INPUT_IDS: &str = "input_ids";
/// The input that is 1 for tokens and 0 for padding, int64 `[batch, sequence]`.
pub const INPUT_ATTENTION_MASK: &str = "attention_mask";
/// The optional input of segment ids, int64 `[batch, sequence]`.
pub const INPUT_TOKEN_TYPE_IDS: &str = "token_type_ids";

/// How many nodes a search follows at most; the paths it is after are much shorter.
const STEPS_MAX: usize = 32;

/// Smaller tables are of kinds of something, not of positions.
const POSITIONS_MIN: usize = 32;

/// What a graph says about its use as an encoder of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The inputs by role.
    pub inputs: Inputs,
    /// The output with the hidden states, float `[batch, sequence, hidden]`.
    pub output: String,
    /// The size of a hidden state.
    pub hidden: usize,
    /// The version of the standard operator set.
    pub opset: i64,
    /// How many token ids the graph has embeddings for; `None` if it does not tell.
    pub embeddings: Option<usize>,
    /// How many tokens a text may have; `None` if the graph has no table of positions.
    pub positions: Option<usize>,
    /// Where targets enter and logits leave, for a backbone with a decoder.
    pub decoder: Option<DecoderInterface>,
}

impl Interface {
    /// Reads the interface; `output` names the output, else the first one of fitting type is it.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] for a graph that is not such an encoder, saying what it lacks.
    pub fn read(model: &Model, weights: &Weights, output: Option<&str>) -> Result<Self> {
        let graph = model.graph()?;
        let opset = model
            .opset("")
            .ok_or_else(|| unsupported("it imports no version of the standard operators"))?;
        let inputs = read_inputs(graph, weights)?;
        let (output, hidden) = read_output(graph, opset, weights, output)?;
        let tables = Tables { graph, index: &Index::new(graph)?, weights, hidden };
        Ok(Self {
            embeddings: tables.embeddings(&inputs.input_ids),
            positions: tables.positions(&inputs),
            inputs,
            output,
            hidden,
            opset,
            decoder: None,
        })
    }

    /// Rows of the table of positions that the graph looks up with something else than what comes
    /// from `ids`; `None` if it has none.
    pub(super) fn positions_of(
        graph: &GraphProto,
        weights: &Weights,
        ids: &str,
        hidden: usize,
    ) -> Result<Option<usize>> {
        let tables = Tables { graph, index: &Index::new(graph)?, weights, hidden };
        let (input_ids, attention_mask) = (ids.to_owned(), String::new());
        Ok(tables.positions(&Inputs { input_ids, attention_mask, token_type_ids: None }))
    }

    /// Every id of the tokenizer has an embedding.
    pub fn check_tokenizer(&self, tokenizer: &Tokenizer) -> Result<()> {
        match self.embeddings {
            Some(rows) if tokenizer.vocabulary_size() > rows => Err(Error::new(
                Code::BundleTokenizer,
                format!(
                    "the tokenizer does not fit the backbone: it gives ids up to {}, expected less \
                     than {rows}, the number of embeddings",
                    tokenizer.vocabulary_size() - 1
                ),
            )),
            _ => Ok(()),
        }
    }
}

fn unsupported(message: impl std::fmt::Display) -> Error {
    Error::new(Code::GraphUnsupported, format!("the graph is no encoder of texts: {message}"))
}

fn read_inputs(graph: &GraphProto, weights: &Weights) -> Result<Inputs> {
    // An input with an initializer has a default and need not be given.
    let required: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|input| weights.get(input.name()).is_none()).collect();
    let known = [INPUT_IDS, INPUT_ATTENTION_MASK, INPUT_TOKEN_TYPE_IDS];
    for input in &required {
        if !known.contains(&input.name()) {
            return Err(unsupported(format!(
                "it needs the input {:?}, expected only {}",
                input.name(),
                listed(known)
            )));
        }
        let found = input.r#type.as_ref().and_then(TensorType::from_proto);
        let fits = |found: &TensorType| {
            found.data_type == data_type::INT64 && found.rank().is_none_or(|rank| rank == 2)
        };
        if !found.as_ref().is_some_and(fits) {
            let found = found.map_or("no tensor".to_owned(), |found| {
                let shape = shape_text(found.shape.as_deref());
                format!("{} {shape}", data_type::name(found.data_type))
            });
            let name = input.name();
            return Err(unsupported(format!("{name:?} is {found}, expected int64 of rank 2")));
        }
    }
    let has = |name: &str| required.iter().any(|input| input.name() == name);
    let need = |name: &str| match has(name) {
        true => Ok(name.to_owned()),
        false => Err(unsupported(format!("it has no input {name:?}"))),
    };
    Ok(Inputs {
        input_ids: need(INPUT_IDS)?,
        attention_mask: need(INPUT_ATTENTION_MASK)?,
        token_type_ids: has(INPUT_TOKEN_TYPE_IDS).then(|| INPUT_TOKEN_TYPE_IDS.to_owned()),
    })
}

/// The output's name and the size of its last dimension.
fn read_output(
    graph: &GraphProto,
    opset: i64,
    weights: &Weights,
    wanted: Option<&str>,
) -> Result<(String, usize)> {
    let stated = |output: &ValueInfoProto| output.r#type.as_ref().and_then(TensorType::from_proto);
    let candidates = graph.output.iter().filter(|output| match wanted {
        Some(name) => output.name() == name,
        None => true,
    });
    // Exporters often leave out what shape inference finds, so that runs only where needed.
    let mut inferred = None;
    for output in candidates {
        let mut found = stated(output);
        if found.as_ref().and_then(hidden_size).is_none() {
            if inferred.is_none() {
                inferred = Some(Shapes::infer(graph, opset, Some(weights))?);
            }
            found = inferred.as_ref().and_then(|shapes| shapes.get(output.name())).cloned();
        }
        if let Some(hidden) = found.as_ref().and_then(hidden_size) {
            return Ok((output.name().to_owned(), hidden));
        }
    }
    let names: Vec<&str> = graph.output.iter().map(|output| output.name()).collect();
    let wanted = wanted.map(|name| format!("{name:?}")).unwrap_or_else(|| "any output".to_owned());
    Err(unsupported(format!(
        "expected {wanted} to be float [batch, sequence, hidden] of known hidden size, among the \
         outputs {}",
        listed(names)
    )))
}

/// The last dimension of a float tensor of rank 3, where known.
fn hidden_size(found: &TensorType) -> Option<usize> {
    if found.data_type != data_type::FLOAT {
        return None;
    }
    match found.shape.as_deref() {
        Some([_, _, Dim::Known(hidden)]) => usize::try_from(*hidden).ok().filter(|&size| size > 0),
        _ => None,
    }
}

/// Finds the embedding tables of a graph.
struct Tables<'a> {
    graph: &'a GraphProto,
    index: &'a Index,
    weights: &'a Weights,
    hidden: usize,
}

impl<'a> Tables<'a> {
    /// Rows of the smallest table that is looked up with the token ids.
    fn embeddings(&self, input_ids: &str) -> Option<usize> {
        self.lookups()
            .filter(|lookup| self.comes_from(lookup.indices, input_ids))
            .filter_map(|lookup| rows(&lookup.table))
            .min()
    }

    /// Rows of the smallest table of hidden states that is looked up with something else than
    /// token ids and segment ids.
    fn positions(&self, inputs: &Inputs) -> Option<usize> {
        let segments = inputs.token_type_ids.as_deref().unwrap_or_default();
        self.lookups()
            .filter(|lookup| {
                lookup.table.dims.len() == 2
                    && usize::try_from(lookup.table.dims[1]) == Ok(self.hidden)
                    && !self.comes_from(lookup.indices, &inputs.input_ids)
                    && !self.comes_from(lookup.indices, segments)
            })
            .filter_map(|lookup| {
                // Positions that are counted from the mask begin behind the padding's own row.
                let offset = if self.is_counted(lookup.indices) { 2 } else { 0 };
                rows(&lookup.table)?.checked_sub(offset)
            })
            .filter(|&rows| rows >= POSITIONS_MIN)
            .min()
    }

    /// Every row lookup in an initializer.
    fn lookups(&self) -> impl Iterator<Item = Lookup<'a>> + '_ {
        self.graph.node.iter().flat_map(|node| {
            let input = |position: usize| node.input.get(position).map(String::as_str);
            let pairs = match node.op_type() {
                "Gather" => vec![(input(0), input(1))],
                // Fused: ids, segments, then the tables of words, positions and segments. The
                // positions are counted by the operator itself.
                "EmbedLayerNormalization" => vec![(input(2), input(0)), (input(3), Some(""))],
                _ => Vec::new(),
            };
            pairs.into_iter().filter_map(|(table, indices)| {
                Some(Lookup { table: self.table(table?)?, indices: indices? })
            })
        })
    }

    /// The initializer behind a value, through operators that keep its rows.
    fn table(&self, value: &str) -> Option<Weight<'a>> {
        let mut value = value;
        for _ in 0..STEPS_MAX {
            if let Some(weight) = self.weights.get(value) {
                return Some(weight);
            }
            let node = self.producer(value)?;
            if !matches!(node.op_type(), "Cast" | "DequantizeLinear" | "Identity") {
                return None;
            }
            value = node.input.first()?;
        }
        None
    }

    /// Whether `value` is `source` up to its shape and type.
    fn comes_from(&self, value: &str, source: &str) -> bool {
        let mut value = value;
        for _ in 0..STEPS_MAX {
            if value == source {
                return !source.is_empty();
            }
            let same = ["Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];
            match self.producer(value).filter(|node| same.contains(&node.op_type())) {
                Some(node) if !node.input.is_empty() => value = &node.input[0],
                _ => return false,
            }
        }
        false
    }

    /// Whether a running sum is among the nodes that make `value`.
    fn is_counted(&self, value: &'a str) -> bool {
        let mut values = vec![value];
        for _ in 0..STEPS_MAX {
            let Some(value) = values.pop() else { return false };
            let Some(node) = self.producer(value) else { continue };
            if node.op_type() == "CumSum" {
                return true;
            }
            values.extend(node.input.iter().map(String::as_str));
        }
        false
    }

    fn producer(&self, value: &str) -> Option<&'a NodeProto> {
        self.index.producer(value).map(|position| &self.graph.node[position])
    }
}

/// A lookup of rows.
struct Lookup<'a> {
    table: Weight<'a>,
    indices: &'a str,
}

fn rows(table: &Weight<'_>) -> Option<usize> {
    table.dims.first().and_then(|&rows| usize::try_from(rows).ok())
}
