//! Gradients of one output of any ONNX model with respect to the tensors of an adapter.
//!
//! Input: a model, an adapter, the name of an output, the model's inputs and a cotangent of the
//! output's shape. Output: that output with the adapter attached, and the gradient of `sum(output *
//! cotangent)` with respect to every tensor of the adapter. A trainer of any loss needs nothing
//! else, and the gradients can be compared with other frameworks and with finite differences
//! ([`check()`]) before a model becomes a bundle. This part knows no task, no tokenizer and no
//! optimiser; it must never change an adapter and never guess an input.

mod check;
mod plain;
mod rounding;
mod values;

pub use check::{CheckOptions, Checked, Verdict, check, norm};
pub use plain::read_adapter;
pub use values::{VALUES_BYTES_MAX, read_values, write_values};

use crate::adapter::{self, Adapter, HeadName, InputSignature, Tensor};
use crate::autodiff;
use crate::error::{Code, Error, Result, listed};
use crate::graph::{
    Builder, GraphProto, Model, Shapes, TensorType, ValueInfoProto, Weights, attr, data_type,
    shape_text, values_behind,
};
use crate::runtime::{Engine, Session, SessionOptions, Value};
use crate::sites::find_sites;
use rounding::Rounding;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The input by which the output is multiplied.
const COTANGENT: &str = "polygraft.cotangent";
/// The output as float32, whatever type the model computes in.
const OUTPUT: &str = "polygraft.output";
/// The scalar whose gradients are computed.
const SUM: &str = "polygraft.sum";

/// The forward and backward graph of one output, open in ONNX Runtime.
#[derive(Debug)]
pub struct Gradients {
    session: Session,
    /// The inputs of the model that a run must be given, with their declared types.
    inputs: BTreeMap<String, Option<TensorType>>,
    /// The type of the output as far as known, and so of the cotangent.
    cotangent: TensorType,
    parameters: Vec<Parameter>,
    outputs: Vec<String>,
    rounding: Rounding,
}

/// One tensor of the adapter.
#[derive(Debug)]
struct Parameter {
    name: String,
    shape: Vec<usize>,
    /// The factor between the stored tensor and the graph's input (the LoRA scale on `B`).
    scale: f32,
    /// Position of the gradient among the outputs; `None` where the output does not depend on the
    /// tensor.
    gradient: Option<usize>,
}

/// The result of one run.
#[derive(Debug)]
pub struct Found {
    /// The output with the adapter attached, as float32.
    pub output: Value,
    /// The gradient of every tensor of the adapter, of the tensor's shape; zeros where the output
    /// does not depend on it.
    pub gradients: BTreeMap<String, Tensor>,
}

impl Gradients {
    /// Attaches `adapter` to `model` and derives the backward graph of `output`, which may be any
    /// floating-point value of the graph. The tensors of a task's head are ignored: no ONNX file
    /// has a head.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] when there is no such output or it depends on no tensor of the
    /// adapter, [`Code::AdapterTensors`] and [`Code::AdapterNoSite`] when the adapter does not fit
    /// the model, [`Code::GraphUnsupported`] naming the node that cannot be differentiated.
    pub fn open(
        engine: &Arc<Engine>,
        model: &Model,
        weights: &Weights,
        adapter: &Adapter,
        output: &str,
        options: &SessionOptions,
    ) -> Result<Self> {
        let mut model = model.clone();
        let opset = model.opset("").ok_or_else(|| {
            Error::new(Code::GraphUnsupported, "the model uses no standard operators")
        })?;
        let graph = model.graph_mut()?;
        check_output(graph, output)?;
        let inputs = model_inputs(graph);
        let mut parameters = attach(graph, weights, adapter)?;
        let cotangent = add_sum(graph, opset, weights, output)?;
        let reached = values_behind(graph, &[SUM])?;
        let wanted: Vec<String> = parameters
            .iter()
            .map(|parameter| parameter.name.clone())
            .filter(|name| reached.contains(name))
            .collect();
        if wanted.is_empty() {
            let message = format!("the output {output:?} does not depend on any adapter tensor");
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        let rounding = Rounding::find(graph, &wanted, SUM)?;
        let mut shapes = Shapes::infer(graph, opset, Some(weights))?;
        let derived = autodiff::backward(graph, opset, &mut shapes, SUM, &wanted)?;
        let mut outputs = vec![OUTPUT.to_owned()];
        for parameter in &mut parameters {
            if let Some(gradient) = derived.get(&parameter.name) {
                parameter.gradient = Some(outputs.len());
                outputs.push(gradient.clone());
            }
        }
        // Only what is read becomes an output, so nothing else is kept alive.
        let float = |name: &String| TensorType::unranked(data_type::FLOAT).to_value_info(name);
        graph.output = outputs.iter().map(float).collect();
        let session = Session::open_model(engine, model, Some(weights), options)?;
        Ok(Self { session, inputs, cotangent, parameters, outputs, rounding })
    }

    /// The inputs that every run must be given.
    pub fn input_names(&self) -> impl Iterator<Item = &str> {
        self.inputs.keys().map(String::as_str)
    }

    /// The nodes between the adapter and the output that round their input, as messages name them.
    /// Gradients pass them straight through, which finite differences cannot confirm.
    pub fn rounding_nodes(&self) -> &[String] {
        self.rounding.nodes()
    }

    /// Whether the output depends on a tensor of the adapter through such a node.
    fn is_rounded(&self, tensor: &str) -> bool {
        self.rounding.concerns(tensor)
    }

    /// The output and all gradients at `tensors`, which hold one tensor of the right shape for each
    /// of the adapter's. The cotangent is float32 and has the output's shape.
    ///
    /// # Errors
    /// [`Code::ArgumentInvalid`] naming the input or tensor that is missing, extra or of another
    /// type or shape than expected; [`Code::RuntimeFailed`] with the library's message.
    pub fn run(
        &self,
        tensors: &BTreeMap<String, Tensor>,
        inputs: &BTreeMap<String, Value>,
        cotangent: &Value,
    ) -> Result<Found> {
        let outputs: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        let mut results = self.execute(tensors, inputs, cotangent, &outputs)?;
        let mut gradients = BTreeMap::new();
        for parameter in &self.parameters {
            let count: usize = parameter.shape.iter().product();
            let values = match parameter.gradient {
                None => vec![0.0; count],
                Some(position) => {
                    let found = results[position].as_f32()?;
                    if found.len() != count {
                        let message = format!(
                            "the gradient of {} has {} values, expected {count}",
                            parameter.name,
                            found.len()
                        );
                        return Err(Error::new(Code::Internal, message));
                    }
                    found.iter().map(|value| value * parameter.scale).collect()
                }
            };
            let tensor = Tensor { shape: parameter.shape.clone(), values: values.into() };
            gradients.insert(parameter.name.clone(), tensor);
        }
        Ok(Found { output: results.swap_remove(0), gradients })
    }

    /// The output alone, without the backward pass.
    pub fn output(
        &self,
        tensors: &BTreeMap<String, Tensor>,
        inputs: &BTreeMap<String, Value>,
        cotangent: &Value,
    ) -> Result<Value> {
        Ok(self.execute(tensors, inputs, cotangent, &[OUTPUT])?.swap_remove(0))
    }

    fn execute(
        &self,
        tensors: &BTreeMap<String, Tensor>,
        inputs: &BTreeMap<String, Value>,
        cotangent: &Value,
        outputs: &[&str],
    ) -> Result<Vec<Value>> {
        self.check_inputs(inputs)?;
        if let Some(problem) = mismatch(cotangent, &self.cotangent) {
            let message = format!("the cotangent {problem}");
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        let mut parameters = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            parameters.push((parameter.name.as_str(), parameter.value(tensors)?));
        }
        let given = inputs.iter().map(|(name, value)| (name.as_str(), value));
        let parameters = parameters.iter().map(|(name, value)| (*name, value));
        let all: Vec<(&str, &Value)> =
            given.chain(parameters).chain([(COTANGENT, cotangent)]).collect();
        let results = self.session.run(&all, outputs, None)?;
        // A cotangent of another shape would be broadcast, and every gradient would be wrong.
        let (found, expected) = (cotangent.shape(), results[0].shape());
        if found != expected {
            let message = format!(
                "the cotangent has shape {found:?}, expected that of the output {expected:?}"
            );
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        Ok(results)
    }

    fn check_inputs(&self, inputs: &BTreeMap<String, Value>) -> Result<()> {
        let mut problems = Vec::new();
        for (name, stated) in &self.inputs {
            match (inputs.get(name), stated) {
                (None, _) => problems.push(format!("{name} is missing")),
                (Some(value), Some(stated)) => {
                    if let Some(problem) = mismatch(value, stated) {
                        problems.push(format!("{name} {problem}"));
                    }
                }
                (Some(_), None) => {}
            }
        }
        for name in inputs.keys().filter(|name| !self.inputs.contains_key(*name)) {
            let known: Vec<&str> = self.input_names().collect();
            problems.push(format!("{name} is no input of the model, which has {}", listed(known)));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::ArgumentInvalid, format!("inputs: {}", problems.join("; "))))
    }
}

impl Parameter {
    /// The tensor as the value of the graph's input.
    fn value(&self, tensors: &BTreeMap<String, Tensor>) -> Result<Value> {
        let wrong = |what: String| {
            let message = format!("{} {what}, expected shape {:?}", self.name, self.shape);
            Err(Error::new(Code::ArgumentInvalid, message))
        };
        match tensors.get(&self.name) {
            None => wrong("is missing".to_owned()),
            Some(tensor) if tensor.shape != self.shape => {
                wrong(format!("has shape {:?}", tensor.shape))
            }
            Some(tensor) if self.scale == 1.0 => {
                Value::f32_shared(&self.shape, Arc::clone(&tensor.values))
            }
            Some(tensor) => {
                let scaled = tensor.values.iter().map(|value| value * self.scale).collect();
                Value::f32(&self.shape, scaled)
            }
        }
    }
}

/// How a value differs from its declared type; ONNX Runtime checks symbolic sizes.
fn mismatch(value: &Value, stated: &TensorType) -> Option<String> {
    let (found, expected) = (value.element_type(), data_type::name(stated.data_type));
    if found.number() != stated.data_type && stated.data_type != data_type::UNDEFINED {
        return Some(format!("has elements of type {found}, expected {expected}"));
    }
    let dims = stated.shape.as_ref()?;
    let fits = dims.len() == value.shape().len()
        && dims.iter().zip(value.shape()).all(|(dim, size)| dim.known().is_none_or(|d| d == *size));
    (!fits).then(|| format!("has shape {:?}, expected {}", value.shape(), shape_text(Some(dims))))
}

/// The model's own inputs that have no default.
fn model_inputs(graph: &GraphProto) -> BTreeMap<String, Option<TensorType>> {
    let defaults: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    let needed = graph.input.iter().filter(|input| !defaults.contains(input.name()));
    let stated = |input: &ValueInfoProto| input.r#type.as_ref().and_then(TensorType::from_proto);
    needed.map(|input| (input.name().to_owned(), stated(input))).collect()
}

fn check_output(graph: &GraphProto, output: &str) -> Result<()> {
    let mut made = graph.node.iter().flat_map(|node| &node.output);
    if !output.is_empty() && made.any(|name| name == output) {
        return Ok(());
    }
    let known: Vec<&str> = graph.output.iter().map(|output| output.name()).collect();
    let known = listed(known);
    let message = format!("the model makes no value {output:?}; its outputs are {known}");
    Err(Error::new(Code::ArgumentInvalid, message))
}

/// Attaches the adapter; all its tensors must fit the model.
fn attach(graph: &mut GraphProto, weights: &Weights, adapter: &Adapter) -> Result<Vec<Parameter>> {
    let sites = find_sites(graph, weights);
    let mut headless = adapter.clone();
    for head in HeadName::ALL {
        headless.outputs_of_mut(head).clear();
        headless.tensors.retain(|name, _| ![head.weight(), head.bias()].contains(&name.as_str()));
    }
    headless.check(&adapter.backbone, &sites, 0)?;
    let signature = InputSignature::of(&adapter.components, &sites)?;
    adapter::attach(graph, &sites, &signature, false)?;
    let parameter = |(name, tensor): (&String, &Tensor)| Parameter {
        name: name.clone(),
        shape: tensor.shape.clone(),
        scale: adapter.scale_of(name),
        gradient: None,
    };
    Ok(headless.tensors.iter().map(parameter).collect())
}

/// Adds `sum(output * cotangent)` and returns the type of the cotangent.
fn add_sum(
    graph: &mut GraphProto,
    opset: i64,
    weights: &Weights,
    output: &str,
) -> Result<TensorType> {
    let shape = Shapes::infer(graph, opset, Some(weights))?.get(output).cloned();
    let found = shape.as_ref().map_or(data_type::UNDEFINED, |known| known.data_type);
    let is_float = [data_type::FLOAT, data_type::FLOAT16, data_type::DOUBLE].contains(&found);
    if !is_float && found != data_type::UNDEFINED {
        let name = data_type::name(found);
        let message = format!("the output {output:?} is of {name}, which has no gradient");
        return Err(Error::new(Code::ArgumentInvalid, message));
    }
    let cotangent = shape.and_then(|known| known.shape).map_or_else(
        || TensorType::unranked(data_type::FLOAT),
        |dims| TensorType::new(data_type::FLOAT, dims),
    );
    graph.input.push(cotangent.to_value_info(COTANGENT));
    let mut builder = Builder::new(graph, "polygraft/");
    let to_float = vec![attr::int("to", data_type::FLOAT.into())];
    let wide = match found {
        data_type::FLOAT => output.to_owned(),
        _ => builder.node("Cast", &[output], to_float),
    };
    builder.node_named("Identity", "", &[&wide], &[OUTPUT], vec![]);
    let product = builder.node("Mul", &[OUTPUT, COTANGENT], vec![]);
    let keep = vec![attr::int("keepdims", 0)];
    builder.node_named("ReduceSum", "", &[&product], &[SUM], keep);
    Ok(cotangent)
}
