//! The head of an adapter: its tensors and the labels of its outputs.
//!
//! PyTorch stores `[labels, hidden]`; we store `[hidden, labels]`. Libraries store labels beside
//! the adapter as a map from label to number or the reverse, or not at all.

use super::fields::{Fields, shown};
use super::message::{malformed, unsupported};
use super::options::{Backbone, ReadOptions};
use super::tensors::{TensorFile, transposed};
use crate::adapter::{Adapter, Component, HEAD_BIAS, HEAD_WEIGHT, Tensor};
use crate::error::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The labels in order, and the tensors under our names.
pub struct Head {
    pub labels: Vec<String>,
    pub tensors: [(String, Tensor); 2],
}

impl Head {
    /// Takes a head from a linear layer of PyTorch, `[labels, hidden]` and `[labels]`. Without a
    /// bias it gets one of zeros.
    pub fn take(
        tensors: &mut TensorFile,
        module: &str,
        found: Option<Vec<String>>,
        backbone: &Backbone<'_>,
        options: &ReadOptions,
    ) -> Result<Self> {
        let (weight_name, bias_name) = (format!("{module}.weight"), format!("{module}.bias"));
        let count = tensors.shape(&weight_name).and_then(|shape| shape.first()).copied();
        let count = count.unwrap_or(0);
        let weight = tensors.expect(&weight_name, &[count, backbone.pooled])?;
        let bias = match tensors.shape(&bias_name) {
            Some(_) => tensors.expect(&bias_name, &[count])?,
            None => Tensor::zeros(&[count]),
        };
        let file = tensors.file();
        let labels = options.labels.clone().or(found).ok_or_else(|| {
            unsupported(
                file,
                format!(
                    "{module} has {count} outputs, but nothing says which labels they are; give \
                     the labels in their order with --labels"
                ),
            )
        })?;
        if labels.len() != count {
            let given = labels.len();
            let message = format!(
                "{module}: expected {given} outputs (labels), found {count}; --labels gives one \
                 for each"
            );
            return Err(unsupported(file, message));
        }
        Ok(Self::new(labels, transposed(&weight), bias))
    }

    /// A new, untrained head of zeros for the labels of the options; `None` without labels.
    pub fn zeros(backbone: &Backbone<'_>, options: &ReadOptions) -> Option<Self> {
        let labels = options.labels.clone()?;
        let count = labels.len();
        Some(Self::new(labels, Tensor::zeros(&[backbone.pooled, count]), Tensor::zeros(&[count])))
    }

    fn new(labels: Vec<String>, weight: Tensor, bias: Tensor) -> Self {
        let tensors = [(HEAD_WEIGHT.to_owned(), weight), (HEAD_BIAS.to_owned(), bias)];
        Self { labels, tensors }
    }
}

/// An adapter of one component with or without a head.
pub fn assemble(
    backbone: &Backbone<'_>,
    component: Component,
    mut tensors: BTreeMap<String, Tensor>,
    head: Option<Head>,
) -> Adapter {
    let labels = match head {
        None => Vec::new(),
        Some(head) => {
            tensors.extend(head.tensors);
            head.labels
        }
    };
    let bare = Adapter::headless(backbone.hash.to_owned(), vec![component], tensors);
    Adapter { labels, ..bare }
}

/// Takes the labels of a configuration, in order: `id2label` maps numbers to labels, `label2id`
/// labels to numbers.
pub fn labels(fields: &mut Fields) -> Result<Option<Vec<String>>> {
    let (by_number, by_label) = (fields.take("id2label"), fields.take("label2id"));
    let pairs: Option<Vec<(usize, String)>> = match (&by_number, &by_label) {
        (Some(Value::Object(map)), _) => map
            .iter()
            .map(|(number, label)| Some((number.parse().ok()?, label.as_str()?.to_owned())))
            .collect(),
        (None, Some(Value::Object(map))) => map
            .iter()
            .map(|(label, number)| Some((number.as_u64()? as usize, label.clone())))
            .collect(),
        (None, None) => return Ok(None),
        _ => None,
    };
    let wrong = || {
        let found = by_number.as_ref().or(by_label.as_ref()).map(shown).unwrap_or_default();
        let message = format!(
            "id2label or label2id: expected each number from 0 on with one label, found {found}"
        );
        malformed(fields.file(), message)
    };
    let pairs = pairs.ok_or_else(wrong)?;
    let count = pairs.len();
    let ordered: BTreeMap<usize, String> = pairs.into_iter().collect();
    let complete = ordered.len() == count && ordered.keys().copied().eq(0..count);
    if complete { Ok(Some(ordered.into_values().collect())) } else { Err(wrong()) }
}

/// `id2label` and `label2id` in the form that libraries write.
pub fn label_maps(labels: &[String]) -> (Value, Value) {
    let numbered = || labels.iter().enumerate();
    let by_number = numbered().map(|(number, label)| (number.to_string(), label.clone().into()));
    let by_label = numbered().map(|(number, label)| (label.clone(), number.into()));
    (Value::Object(by_number.collect()), Value::Object(by_label.collect()))
}

/// Refuses a head whose model is a task class of transformers, because such classes have additional
/// layers before the head or pool in another way, unless the options state otherwise. `field` names
/// where `class` was found: a class name, or the task that selects one.
pub fn check_class(file: &Path, field: &str, class: &str, options: &ReadOptions) -> Result<()> {
    let mut named = class.match_indices("For");
    let is_task_class = named.any(|(at, _)| class[at + 3..].starts_with(char::is_uppercase));
    let is_task = field == "task_type" && class != "FEATURE_EXTRACTION";
    if options.head_on_pooled || !(is_task || is_task_class) {
        return Ok(());
    }
    Err(unsupported(
        file,
        format!(
            "{field} is {class:?}: in most architectures such a model has layers of its own (a \
             pooler, a dense layer) between the hidden states and the head, or pools otherwise \
             than a backbone's bundle; if yours does not, say with --head-on-pooled that the head \
             reads the pooled hidden states"
        ),
    ))
}
