//! The interface of a backbone's graph: its text inputs and its hidden states.
//!
//! This module must never take any of these from a configuration.

use super::decoder::DecoderInterface;
use super::inputs::{Inputs, unsupported};
use super::outputs::{self, OutputRole};
use super::tables::Tables;
use super::tokenizer::Tokenizer;
use crate::error::{Code, Error, Result};
use crate::graph::{GraphProto, Index, Model, Shapes, TensorType, ValueInfoProto, Weights};

/// How a graph is used as an encoder of texts.
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
    /// The number of token ids with an embedding; `None` if unknown.
    pub embeddings: Option<usize>,
    /// The most tokens of a text; `None` if the graph has no table of positions.
    pub positions: Option<usize>,
    /// Rows of that table, including rows that are not positions of a text.
    pub position_rows: Option<usize>,
    /// The interface of the decoder, for a backbone with one.
    pub decoder: Option<DecoderInterface>,
}

impl Interface {
    /// Reads the interface; `output` names the output, by default the first one that can be hidden
    /// states.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] for a graph that is no such encoder, saying what it lacks.
    pub fn read(model: &Model, weights: &Weights, output: Option<&str>) -> Result<Self> {
        let graph = model.graph()?;
        let opset = model
            .opset("")
            .ok_or_else(|| unsupported("it imports no version of the standard operators"))?;
        let inputs = Inputs::read(graph, weights)?;
        let index = Index::new(graph)?;
        let tables = Tables { graph, index: &index, weights };
        let words = tables.words(&inputs.input_ids);
        let (output, hidden) = read_output(graph, opset, weights, output, words)?;
        let positions = tables.positions(&inputs, hidden);
        Ok(Self {
            embeddings: words.map(|(rows, _)| rows),
            positions: positions.map(|found| found.tokens),
            position_rows: positions.map(|found| found.rows),
            inputs,
            output,
            hidden,
            opset,
            decoder: None,
        })
    }

    /// The number of tokens that fit in the table of positions: a table that is not looked up by
    /// `ids`. `None` if there is none.
    pub(super) fn positions_of(
        graph: &GraphProto,
        weights: &Weights,
        ids: &str,
        hidden: usize,
    ) -> Result<Option<usize>> {
        let tables = Tables { graph, index: &Index::new(graph)?, weights };
        let (input_ids, attention_mask) = (ids.to_owned(), String::new());
        let inputs = Inputs { input_ids, attention_mask, token_type_ids: None };
        Ok(tables.positions(&inputs, hidden).map(|found| found.tokens))
    }

    /// Checks that every id of the tokenizer has an embedding.
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

/// The output's name and the size of its last dimension. `words` are the rows and the width of the
/// token embedding table.
fn read_output(
    graph: &GraphProto,
    opset: i64,
    weights: &Weights,
    wanted: Option<&str>,
    words: Option<(usize, usize)>,
) -> Result<(String, usize)> {
    let stated = |output: &ValueInfoProto| output.r#type.as_ref().and_then(TensorType::from_proto);
    let considered = graph.output.iter().filter(|output| match wanted {
        Some(name) => output.name() == name,
        None => true,
    });
    // Exporters often omit inferable types; shape inference runs only where they are missing.
    let mut inferred = None;
    let mut refused = Vec::new();
    for output in considered {
        let mut found = stated(output);
        if found.as_ref().and_then(outputs::hidden_size).is_none() {
            if inferred.is_none() {
                inferred = Some(Shapes::infer(graph, opset, Some(weights))?);
            }
            let shape = inferred.as_ref().and_then(|shapes| shapes.get(output.name()));
            found = shape.cloned().or(found);
        }
        match outputs::judge(output.name(), found.as_ref(), words) {
            OutputRole::Hidden(size) => return Ok((output.name().to_owned(), size)),
            // An output that the caller names is accepted as hidden states.
            OutputRole::Other(Some(size), _) if wanted.is_some() => {
                return Ok((output.name().to_owned(), size));
            }
            OutputRole::Other(_, reason) => refused.push(reason),
        }
    }
    Err(unsupported(outputs::refusal(graph, wanted, &refused)))
}
