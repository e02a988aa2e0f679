//! Where texts enter a backbone's graph and hidden states leave it.
//!
//! Read from the graph, never believed from elsewhere: the inputs by their usual names, the output
//! of hidden states, and, as far as the graph tells, how many token ids and positions its
//! embeddings have.

use super::decoder::DecoderInterface;
use super::inputs::{Inputs, unsupported};
use super::outputs::{self, OutputRole};
use super::tables::Tables;
use super::tokenizer::Tokenizer;
use crate::error::{Code, Error, Result};
use crate::graph::{GraphProto, Index, Model, Shapes, TensorType, ValueInfoProto, Weights};

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
    /// Rows of that table. Some of them may be none of a text's positions.
    pub position_rows: Option<usize>,
    /// Where targets enter and logits leave, for a backbone with a decoder.
    pub decoder: Option<DecoderInterface>,
}

impl Interface {
    /// Reads the interface; `output` names the output, else the first one that can be hidden states
    /// is it.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] for a graph that is not such an encoder, saying what it lacks.
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

    /// How many tokens the table of positions has room for that the graph looks up with something
    /// else than what comes from `ids`; `None` if it has none.
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

/// The output's name and the size of its last dimension. `words` are rows and width of the table
/// of token embeddings.
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
    // Exporters often leave out what shape inference finds, so that runs only where needed.
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
            // Who names an output knows what it is.
            OutputRole::Other(Some(size), _) if wanted.is_some() => {
                return Ok((output.name().to_owned(), size));
            }
            OutputRole::Other(_, reason) => refused.push(reason),
        }
    }
    Err(unsupported(outputs::refusal(graph, wanted, &refused)))
}
