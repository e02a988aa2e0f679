//! The start of a training run: the adapter that serves its language, with new labels appended, or
//! a new one.

use super::options::UpdateOptions;
use crate::adapter::{Adapter, BottleneckTensor, Component, HeadName, Tensor, TensorId};
use crate::error::{Code, Error, Result};
use crate::example::{Example, Number, Target, TaskKind};
use crate::inference::{LoadedAdapter, Predictor, heads};
use crate::task::Task;
use crate::task::sentence::regression::{VALUE_LABEL, scale_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The bound of a new head's weights: small, so that training starts from nearly equal
/// probabilities.
const HEAD_BOUND: f32 = 0.02;

/// The labels and tags that a head needs.
#[derive(Default)]
pub struct Names<'a> {
    labels: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    /// Adds the labels and tags of an adapter.
    pub fn add_adapter(&mut self, adapter: &'a Adapter) {
        self.labels.extend(adapter.labels.iter().map(String::as_str));
        self.tags.extend(adapter.tags.iter().map(String::as_str));
    }

    /// Adds the labels and tags in the targets of examples.
    pub fn add_examples(&mut self, examples: &'a [Example]) {
        let targets = || examples.iter().map(|example| &example.target);
        self.labels.extend(targets().flat_map(Target::labels).map(String::as_str));
        self.tags.extend(targets().flat_map(Target::tags).map(String::as_str));
        if targets().any(|target| target.kind() == TaskKind::Regression) {
            self.labels.insert(VALUE_LABEL);
        }
    }

    fn of(&self, head: HeadName) -> &BTreeSet<&'a str> {
        match head {
            HeadName::Labels => &self.labels,
            HeadName::Tags => &self.tags,
        }
    }
}

/// Refuses an adapter of another kind of task.
pub fn check_kind(task: Task, adapter: &Adapter) -> Result<()> {
    let (found, expected) = (task.kind(), adapter.task);
    if found == expected {
        return Ok(());
    }
    let message = format!("the task is {expected}, not {found}");
    Err(Error::new(Code::TaskKind, message))
}

/// Checks that there is something to learn, and that the labels of the new `examples` are among the
/// `known` ones; before the first update nothing is known.
///
/// # Errors
/// [`Code::UpdateNoExamples`] without examples, [`Code::UpdateOneClass`] with too few labels to
/// distinguish, [`Code::TaskUnknownLabel`] for a new label that is not allowed.
pub fn check_labels(
    task: Task,
    examples: &[Example],
    known: &Names<'_>,
    new_allowed: bool,
) -> Result<()> {
    if examples.is_empty() {
        return Err(Error::new(Code::UpdateNoExamples, "the update has no examples"));
    }
    let mut found = Names::default();
    found.add_examples(examples);
    for head in task.heads() {
        let what = match head {
            HeadName::Labels => "label",
            HeadName::Tags => "tag",
        };
        // In multi-label classification, one label is enough, because it may apply or not.
        let least = match task.kind() {
            TaskKind::MultiLabel | TaskKind::Regression => 1,
            _ => 2,
        };
        check_names(what, found.of(*head), known.of(*head), least, new_allowed)?;
    }
    Ok(())
}

fn check_names(
    what: &str,
    found: &BTreeSet<&str>,
    known: &BTreeSet<&str>,
    least: usize,
    new_allowed: bool,
) -> Result<()> {
    let new = found.difference(known).next();
    if let (Some(name), false) = (new, new_allowed || known.is_empty()) {
        let some: Vec<_> = known.iter().take(5).copied().collect();
        return Err(Error::new(
            Code::TaskUnknownLabel,
            format!(
                "the {what} {name:?} is not one of the task's {} {what}s ({}{}); if it is meant, \
                 set the option new_labels (--new-labels of the command, NewLabels in Go)",
                known.len(),
                some.join(", "),
                if known.len() > some.len() { ", ..." } else { "" }
            ),
        ));
    }
    if found.union(known).count() < least {
        let found = found.first().copied().unwrap_or_default();
        let message =
            format!("all examples have the {what} {found:?}; at least {least} are needed");
        return Err(Error::new(Code::UpdateOneClass, message));
    }
    Ok(())
}

/// What a training run starts from.
pub struct Start {
    /// The adapter.
    pub adapter: Adapter,
    /// Whether its heads are new, or have labels that no version was trained for.
    pub is_head_new: bool,
    /// The version that the adapter was made from; `None` for a new one.
    pub version: Option<Arc<LoadedAdapter>>,
}

/// Makes what a training run starts from.
pub struct Initialiser<'a> {
    /// Provides the sites and the hidden size.
    pub predictor: &'a Predictor,
    /// Determines the heads.
    pub task: Task,
    /// Provide the component of a new adapter and the seed.
    pub options: &'a UpdateOptions,
}

impl Initialiser<'_> {
    /// The start of a training run: a version with the `names` that it lacks appended in sorted
    /// order; without a version, a new adapter for all of them.
    pub fn start(
        &self,
        version: Option<Arc<LoadedAdapter>>,
        names: &Names<'_>,
        examples: &[Example],
    ) -> Result<Start> {
        let mut adapter = match &version {
            Some(version) => version.adapter().clone(),
            None => self.headless(examples)?,
        };
        // It is trained with the reading of this bundle, even if its start has none.
        adapter.reading = Some(self.predictor.bundle().reading().clone());
        let mut is_head_new = version.is_none();
        for head in self.task.heads() {
            let before = adapter.outputs_of(*head).len();
            grow(&mut adapter, *head, names.of(*head), self.options.seed);
            is_head_new |= adapter.outputs_of(*head).len() > before;
        }
        Ok(Start { adapter, is_head_new, version })
    }

    /// An adapter that changes nothing yet, so that the first step starts from the bare backbone.
    /// Factors are one; down projections are uniform as in the LoRA reference implementation
    /// (Kaiming with a = sqrt(5): bound `1 / sqrt(inputs)`); all other tensors are zero. Its heads
    /// have no outputs yet.
    fn headless(&self, examples: &[Example]) -> Result<Adapter> {
        let random = &mut fastrand::Rng::with_seed(self.options.seed);
        let (bundle, sites) = (self.predictor.bundle(), self.predictor.sites(self.task.kind())?);
        let component = match self.options.component() {
            Component::Lora(lora) => Component::Lora(lora.fitting(sites)),
            other => other,
        };
        let component = component.in_top_layers(sites, self.options.layers_top)?;
        let mut tensors = BTreeMap::new();
        for site in component.select(sites)? {
            for (id, shape) in component.tensors_at(site, 0) {
                let size = shape.iter().product();
                let values = match id {
                    TensorId::LoraA(_)
                    | TensorId::Bottleneck { tensor: BottleneckTensor::DownWeight, .. } => {
                        uniform(random, size, 1.0 / (shape[0] as f32).sqrt())
                    }
                    TensorId::Ia3(..) => vec![1.0; size],
                    _ => vec![0.0; size],
                };
                tensors.insert(id.to_string(), tensor(&shape, values));
            }
        }
        for head in self.task.heads() {
            let inputs = heads::inputs(bundle).of(*head);
            tensors.insert(head.weight().to_owned(), tensor(&[inputs, 0], Vec::new()));
            tensors.insert(head.bias().to_owned(), tensor(&[0], Vec::new()));
        }
        let numbers = examples.iter().filter_map(|example| match example.target {
            Target::Regression(Number(value)) => Some(value),
            _ => None,
        });
        let task = self.task.kind();
        let scale = (task == TaskKind::Regression).then(|| scale_of(numbers));
        let bare = Adapter::headless(bundle.backbone_hash().to_owned(), vec![component], tensors);
        Ok(Adapter { task, scale, ..bare })
    }
}

/// Adds outputs for the missing names to a head. The old columns do not change, so old names keep
/// their scores.
fn grow(adapter: &mut Adapter, head: HeadName, names: &BTreeSet<&str>, seed: u64) {
    let known = adapter.outputs_of(head);
    let missing = names.iter().filter(|name| !known.iter().any(|old| old == *name));
    let missing: Vec<String> = missing.map(|name| (*name).to_owned()).collect();
    let (Some(weight), Some(bias)) =
        (adapter.tensors.get(head.weight()), adapter.tensors.get(head.bias()))
    else {
        return;
    };
    let (hidden, old) = (weight.shape[0], known.len());
    let columns: Vec<Vec<f32>> = missing.iter().map(|name| column(name, hidden, seed)).collect();
    let count = old + missing.len();
    let mut values = Vec::with_capacity(hidden * count);
    for row in 0..hidden {
        values.extend_from_slice(&weight.values[row * old..(row + 1) * old]);
        values.extend(columns.iter().map(|column| column[row]));
    }
    let mut biases = bias.values.to_vec();
    biases.resize(count, 0.0);
    adapter.outputs_of_mut(head).extend(missing);
    adapter.tensors.insert(head.weight().to_owned(), tensor(&[hidden, count], values));
    adapter.tensors.insert(head.bias().to_owned(), tensor(&[count], biases));
}

/// The weights of a new label. They depend only on the label and the seed, so that every training
/// run of an update starts with the same ones and their deltas can be added.
fn column(label: &str, hidden: usize, seed: u64) -> Vec<f32> {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(label.as_bytes()).as_bytes();
    let own = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    uniform(&mut fastrand::Rng::with_seed(seed ^ own), hidden, HEAD_BOUND)
}

fn tensor(shape: &[usize], values: Vec<f32>) -> Tensor {
    Tensor { shape: shape.to_vec(), values: values.into() }
}

/// Values that are uniform in `-bound..bound`.
fn uniform(random: &mut fastrand::Rng, count: usize, bound: f32) -> Vec<f32> {
    (0..count).map(|_| (random.f32() * 2.0 - 1.0) * bound).collect()
}
