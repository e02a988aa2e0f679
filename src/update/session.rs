//! The training session: the forward, loss and backward graph of one adapter, and its tensors.
//!
//! The session shares the bundle's mapping with the inference session. A step runs its batch in
//! micro-batches of bounded size and adds their gradients in a fixed order.

use super::footprint;
use super::optimizer::Rule;
use crate::adapter::{self, Adapter, HeadName, InputSignature, Tensor, TensorId};
use crate::autodiff;
use crate::bundle::{Bundle, Encoding};
use crate::error::{Code, Error, Result, ResultExt};
use crate::graph::{Model, Shapes, TensorType, data_type};
use crate::inference::{LowerStates, batch, heads};
use crate::runtime::{Engine, Session, SessionOptions, Value};
use crate::sites::find_sites;
use crate::task::loss::LOSS;
use crate::task::{Sample, Task, Totals};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One trainable tensor.
struct Parameter {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
    /// The factor from the stored tensor to the run input: the scale of its component.
    scale: f32,
}

/// The limits of one run of the training graph.
#[derive(Clone, Copy, Debug)]
pub struct MicroBatch {
    /// The largest number of tokens, padding included.
    pub tokens_max: usize,
    /// The largest estimated size in bytes; 0 sets no limit.
    pub bytes_max: u64,
    /// [`Totals::smoothing`] of every batch.
    pub smoothing: f32,
}

/// A training session and the tensors that it trains.
pub struct TrainingSession {
    session: Session,
    parameters: Vec<Parameter>,
    /// Output names: the loss, then the gradient of each parameter.
    outputs: Vec<String>,
    adapter: Adapter,
    micro_batch_tokens_max: usize,
    smoothing: f32,
    /// Where the graph begins, if not at the texts.
    lower: Option<Arc<LowerStates>>,
}

impl TrainingSession {
    /// Derives the backward graph for `adapter` on the bundle's backbone and opens it. The memory
    /// of a step is kept for the next one. The graph begins at `lower` states where `adapter`
    /// attaches above them alone.
    pub fn open(
        engine: &Arc<Engine>,
        bundle: &Bundle,
        task: Task,
        adapter: Adapter,
        options: SessionOptions,
        limits: MicroBatch,
        lower: Option<Arc<LowerStates>>,
    ) -> Result<Self> {
        let deriving = || "deriving the training graph".to_owned();
        let derived = derive(bundle, task, &adapter, lower.as_deref()).context(deriving)?;
        let Derived { model, outputs, bytes_per_token, is_cut } = derived;
        let lower = lower.filter(|_| is_cut);
        let micro_batch_tokens_max = match limits.bytes_max {
            0 => limits.tokens_max,
            most => limits.tokens_max.min((most / bytes_per_token.max(1)).max(1) as usize),
        };
        let options = SessionOptions { keep_memory: true, ..options };
        let session = Session::open_model(engine, model, Some(bundle.weights()), &options)?;
        let parameters = parameters(&adapter);
        let smoothing = limits.smoothing;
        Ok(Self { session, parameters, outputs, adapter, micro_batch_tokens_max, smoothing, lower })
    }

    /// Whether the session can train `adapter`: it must have the same components and sites. Ranks
    /// and the number of labels may differ, because the graph does not fix them.
    pub fn fits(&self, adapter: &Adapter) -> bool {
        self.adapter.is_alike(adapter)
    }

    /// Continues with another adapter that fits.
    pub fn restart(&mut self, adapter: Adapter) {
        self.parameters = parameters(&adapter);
        self.adapter = adapter;
    }

    /// The kept states that the graph begins at, if it does not begin at the texts.
    pub fn lower(&self) -> Option<&LowerStates> {
        self.lower.as_deref()
    }

    /// The number of values of each parameter, in order.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + '_ {
        self.parameters.iter().map(|parameter| parameter.values.len())
    }

    /// How each parameter is trained: the head has its own rate, and only matrices decay, not
    /// biases and factors.
    pub fn rules(&self, head_rate_factor: f64) -> Vec<Rule> {
        let rule = |parameter: &Parameter| {
            let heads = HeadName::ALL.into_iter().flat_map(|head| [head.weight(), head.bias()]);
            let is_head = heads.into_iter().any(|name| name == parameter.name);
            let rate_factor = if is_head { head_rate_factor } else { 1.0 };
            Rule { decays: parameter.shape.len() > 1, rate_factor }
        };
        self.parameters.iter().map(rule).collect()
    }

    /// Keeps the first factor of every low-rank product as it is: at a rate of 0 neither a step
    /// nor weight decay changes it.
    pub fn freeze_down(&self, rules: &mut [Rule]) {
        for (parameter, rule) in self.parameters.iter().zip(rules) {
            if let Some(TensorId::LoraA(_)) = TensorId::parse(&parameter.name) {
                rule.rate_factor = 0.0;
            }
        }
    }

    /// The tensors, for the optimiser.
    pub fn tensors_mut(&mut self) -> Vec<&mut [f32]> {
        self.parameters.iter_mut().map(|parameter| parameter.values.as_mut_slice()).collect()
    }

    /// The adapter with the current tensors.
    pub fn adapter(&self) -> Adapter {
        let tensor = |parameter: &Parameter| {
            let values = parameter.values.as_slice().into();
            (parameter.name.clone(), Tensor { shape: parameter.shape.clone(), values })
        };
        let tensors = self.parameters.iter().map(tensor).collect();
        Adapter { tensors, ..self.adapter.clone() }
    }

    /// The mean loss of a batch and the gradient of every parameter, in order.
    pub fn gradients(
        &self,
        bundle: &Bundle,
        task: Task,
        samples: &[&Sample],
    ) -> Result<(f64, Vec<Vec<f32>>)> {
        let mut loss = 0.0;
        let mut sums: Vec<Vec<f32>> = self.sizes().map(|size| vec![0.0; size]).collect();
        let inputs = self.parameter_inputs()?;
        let lengths: Vec<usize> = samples.iter().map(|one| one.tokens_count()).collect();
        let totals = Totals { smoothing: self.smoothing, ..Totals::of(samples) };
        for rows in batch::by_length(&lengths, samples.len(), self.micro_batch_tokens_max) {
            let micro: Vec<&Sample> = rows.iter().map(|&row| samples[row]).collect();
            let outputs = self.run(bundle, task, &micro, &totals, &inputs)?;
            loss += f64::from(outputs[0].as_f32()?.first().copied().unwrap_or(f32::NAN));
            for (sum, gradient) in sums.iter_mut().zip(&outputs[1..]) {
                add(sum, gradient.as_f32()?)?;
            }
        }
        for (sum, parameter) in sums.iter_mut().zip(&self.parameters) {
            if parameter.scale != 1.0 {
                sum.iter_mut().for_each(|value| *value *= parameter.scale);
            }
        }
        Ok((loss, sums))
    }

    /// The parameters as run inputs, scaled.
    fn parameter_inputs(&self) -> Result<Vec<Value>> {
        let value = |parameter: &Parameter| {
            let values = parameter.values.iter().map(|value| value * parameter.scale).collect();
            Value::f32(&parameter.shape, values)
        };
        self.parameters.iter().map(value).collect()
    }

    fn run(
        &self,
        bundle: &Bundle,
        task: Task,
        samples: &[&Sample],
        totals: &Totals,
        parameters: &[Value],
    ) -> Result<Vec<Value>> {
        let encodings: Vec<&Encoding> =
            samples.iter().map(|sample| &sample.input.encoding).collect();
        let batch = batch::encode(bundle, &encodings)?;
        let mut targets = task.target_values(&self.adapter, samples, totals)?;
        task.mix_soft_targets(&self.adapter, samples, &mut targets)?;
        let mut inputs: Vec<(&str, &Value)> =
            targets.iter().map(|(name, value)| (*name, value)).collect();
        let states = self.lower.as_ref().map(|lower| lower.states(&encodings)).transpose()?;
        // A graph that begins at states reads no ids, and no inputs that only ids go with.
        let is_taken = |name: &str| self.session.input_names().iter().any(|input| input == name);
        let texts = batch.iter().filter(|(name, _)| states.is_none() || is_taken(name));
        inputs.extend(texts.map(|(name, value)| (*name, value)));
        inputs.extend(self.lower.as_ref().map(|lower| lower.input()).zip(states.as_ref()));
        let names = self.parameters.iter().map(|parameter| parameter.name.as_str());
        inputs.extend(names.zip(parameters));
        let outputs: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        self.session.run(&inputs, &outputs, None)
    }
}

fn parameters(adapter: &Adapter) -> Vec<Parameter> {
    let parameter = |(name, tensor): (&String, &Tensor)| Parameter {
        name: name.clone(),
        shape: tensor.shape.clone(),
        values: tensor.values.to_vec(),
        scale: adapter.scale_of(name),
    };
    adapter.tensors.iter().map(parameter).collect()
}

/// Adds `gradient` to `sum`.
fn add(sum: &mut [f32], gradient: &[f32]) -> Result<()> {
    if sum.len() != gradient.len() {
        let (found, expected) = (gradient.len(), sum.len());
        let message = format!("a gradient has {found} values, its tensor has {expected}");
        return Err(Error::new(Code::Internal, message));
    }
    sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
    Ok(())
}

/// The backbone with the adapter's nodes, head, loss and backward graph; and the names of its
/// outputs: the loss, then the gradient of each of the adapter's tensors in the order of their
/// names.
///
/// # Errors
/// Those of deriving the graph.
pub fn training_model(bundle: &Bundle, adapter: &Adapter) -> Result<(Model, Vec<String>)> {
    let derived = derive(bundle, Task::of(adapter.task), adapter, None)?;
    Ok((derived.model, derived.outputs))
}

/// A training model.
struct Derived {
    model: Model,
    outputs: Vec<String>,
    /// Of a run.
    bytes_per_token: u64,
    /// Whether the graph begins at kept states.
    is_cut: bool,
}

/// The training model of an adapter, which begins at the `lower` states if that is possible.
fn derive(
    bundle: &Bundle,
    task: Task,
    adapter: &Adapter,
    lower: Option<&LowerStates>,
) -> Result<Derived> {
    let mut model = task.backbone(bundle).clone();
    let opset = bundle.interface().opset;
    let sites = find_sites(model.graph()?, bundle.weights());
    let signature = InputSignature::of(&adapter.components, &sites)?;
    let graph = model.graph_mut()?;
    adapter::attach(graph, &sites, &signature, false)?;
    heads::add(graph, bundle.interface(), &bundle.pooler(), task.heads(), false);
    task.add_loss(graph, bundle)?;
    let wanted: Vec<String> = adapter.tensors.keys().cloned().collect();
    let mut shapes = Shapes::infer(graph, opset, Some(bundle.weights()))?;
    let gradients: BTreeMap<String, String> =
        autodiff::backward(graph, opset, &mut shapes, LOSS, &wanted)?;
    let mut outputs = vec![LOSS.to_owned()];
    for name in &wanted {
        let gradient = gradients.get(name).ok_or_else(|| {
            Error::new(Code::Internal, format!("the backward graph has no gradient of {name}"))
        })?;
        outputs.push(gradient.clone());
    }
    let interface = bundle.interface();
    let mut inputs = vec![interface.inputs.input_ids.as_str()];
    inputs.extend(interface.decoder.as_ref().map(|decoder| decoder.input_ids.as_str()));
    let outputs_count = adapter.labels.len().max(adapter.tags.len());
    let outputs_count = i64::try_from(outputs_count).unwrap_or(i64::MAX);
    // Only the loss and the gradients are outputs, so that no other value is kept alive.
    let float = |name: &String| TensorType::unranked(data_type::FLOAT).to_value_info(name);
    graph.output = outputs.iter().map(float).collect();
    let infos = graph.output.clone();
    let cut = lower.map(|lower| lower.cut(&model, &wanted, infos)).transpose()?.flatten();
    let (is_cut, model) = (cut.is_some(), cut.unwrap_or(model));
    let graph = model.graph()?;
    let bytes_per_token = footprint::bytes_per_token(graph, &shapes, &inputs, outputs_count);
    Ok(Derived { model, outputs, bytes_per_token, is_cut })
}
