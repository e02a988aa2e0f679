//! The text inputs of a backbone's graph.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result, listed};
use crate::graph::{GraphProto, TensorType, ValueInfoProto, Weights, data_type, shape_text};

/// The input of token ids, int64 `[batch, sequence]`.
pub const INPUT_IDS: &str = "input_ids";
/// The input that is 1 for tokens and 0 for padding, int64 `[batch, sequence]`.
pub const INPUT_ATTENTION_MASK: &str = "attention_mask";
/// The optional input of segment ids, int64 `[batch, sequence]`.
pub const INPUT_TOKEN_TYPE_IDS: &str = "token_type_ids";

/// The names of the graph's inputs; each is int64 `[batch, sequence]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Token ids.
    pub input_ids: String,
    /// 1 for tokens, 0 for padding.
    pub attention_mask: String,
    /// Segment ids, all 0; absent where the graph has no such input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type_ids: Option<String>,
}

impl Inputs {
    /// Reads the inputs; `weights` are those of the graph.
    pub(super) fn read(graph: &GraphProto, weights: &Weights) -> Result<Self> {
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
        Ok(Self {
            input_ids: need(INPUT_IDS)?,
            attention_mask: need(INPUT_ATTENTION_MASK)?,
            token_type_ids: has(INPUT_TOKEN_TYPE_IDS).then(|| INPUT_TOKEN_TYPE_IDS.to_owned()),
        })
    }
}

/// The error for a graph that cannot be used as an encoder of texts.
pub(super) fn unsupported(message: impl std::fmt::Display) -> Error {
    Error::new(Code::GraphUnsupported, format!("the graph is no encoder of texts: {message}"))
}
