//! Compares derived gradients with finite differences of the same graph, run by ONNX Runtime.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use polygraft::autodiff;
use polygraft::graph::{
    AttributeProto, Builder, Dim, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, Shapes,
    TensorProto, TensorType, attr, data_type,
};
use polygraft::runtime::{Engine, Session, SessionOptions, Value};
use prost::Message;

use crate::engine;

/// A graph that makes `y`, and what is compared.
pub struct Case {
    pub opset: i64,
    /// `DOUBLE`, or `FLOAT` for operators of which ONNX Runtime has no double kernel.
    pub element: i32,
    /// Whether the sizes of inputs are stated as symbols (equal sizes have equal symbols).
    pub symbolic: bool,
    pub inputs: Vec<(String, Vec<usize>, Vec<f64>)>,
    pub wanted: Vec<String>,
    pub graph: GraphProto,
}

impl Case {
    pub fn new(opset: i64) -> Self {
        let graph = GraphProto { name: Some("case".to_owned()), ..GraphProto::default() };
        let element = data_type::DOUBLE;
        Self { opset, element, symbolic: false, inputs: vec![], wanted: vec![], graph }
    }

    /// Adds an input whose gradient is compared, with `values` repeated to fill it.
    pub fn wants(mut self, name: &str, shape: &[usize], values: Vec<f64>) -> Self {
        self.wanted.push(name.to_owned());
        self.given(name, shape, values)
    }

    /// Adds an input that needs no gradient.
    pub fn given(mut self, name: &str, shape: &[usize], values: Vec<f64>) -> Self {
        let count = shape.iter().product();
        let values = values.into_iter().cycle().take(count).collect();
        self.inputs.push((name.to_owned(), shape.to_vec(), values));
        self
    }

    /// Adds an integer initializer.
    pub fn ints(mut self, name: &str, values: &[i64]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.initializer.push(initializer(
            name,
            data_type::INT64,
            &[values.len() as i64],
            bytes,
        ));
        self
    }

    /// Adds an initializer of 32-bit integers.
    pub fn int32s(mut self, name: &str, dims: &[i64], values: &[i32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.initializer.push(initializer(name, data_type::INT32, dims, bytes));
        self
    }

    /// Adds an initializer of 64-bit integers of any rank.
    pub fn int64s(mut self, name: &str, dims: &[i64], values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.initializer.push(initializer(name, data_type::INT64, dims, bytes));
        self
    }

    /// Adds a number of the element type; `dims` are all 1.
    pub fn number(mut self, name: &str, dims: &[i64], value: f64) -> Self {
        let bytes = match self.element {
            data_type::FLOAT => (value as f32).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        };
        self.graph.initializer.push(initializer(name, self.element, dims, bytes));
        self
    }

    /// Makes `output` from `input`, with the same sizes but in a way that hides them.
    pub fn hiding(self, input: &str, output: &str) -> Self {
        let shape = &self.inputs.iter().find(|given| given.0 == input).unwrap().1;
        let sizes: Vec<f64> = shape.iter().map(|&size| size as f64).collect();
        let (given, cast) = (format!("{output} as numbers"), format!("{output} as sizes"));
        let to = vec![attr::int("to", data_type::INT64.into())];
        self.given(&given, &[sizes.len()], sizes).node("Cast", &[&given], &cast, to).node(
            "Reshape",
            &[input, &cast],
            output,
            vec![],
        )
    }

    /// Adds a node with one output.
    pub fn node(self, op: &str, inputs: &[&str], output: &str, attrs: Vec<AttributeProto>) -> Self {
        self.node_of("", op, inputs, &[output], attrs)
    }

    pub fn node_of(
        mut self,
        domain: &str,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Self {
        self.graph.node.push(NodeProto {
            name: Some(format!("node {}", self.graph.node.len())),
            op_type: Some(op.to_owned()),
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: outputs.iter().map(|&name| name.to_owned()).collect(),
            attribute,
            ..NodeProto::default()
        });
        self
    }

    /// The graph with inputs declared and, as `loss`, the sum of the weighted elements of `y`.
    pub fn with_loss(&self) -> (GraphProto, Shapes) {
        let mut graph = self.graph.clone();
        for (name, shape, _) in &self.inputs {
            let dim = |&size: &usize| match size {
                size if self.symbolic && size > 1 => Dim::Symbol(format!("size {size}")),
                size => Dim::Known(size as i64),
            };
            let shape = shape.iter().map(dim).collect();
            graph.input.push(TensorType::new(self.element, shape).to_value_info(name));
        }
        let unranked = TensorType::unranked(self.element);
        graph.input.push(unranked.to_value_info("weights"));
        let mut builder = Builder::new(&mut graph, "loss/");
        let weighted = builder.node("Mul", &["y", "weights"], vec![]);
        builder.node_named(
            "ReduceSum",
            "",
            &[&weighted],
            &["loss"],
            vec![attr::int("keepdims", 0)],
        );
        // The weights have the shape of y; saying so is what the caller of a graph would do.
        let inferred = Shapes::infer(&graph, self.opset, None).unwrap();
        if let Some(mut known) = inferred.get("y").cloned() {
            for (axis, dim) in known.shape.iter_mut().flatten().enumerate() {
                if dim.is_unknown() {
                    *dim = Dim::Symbol(format!("size {axis} of y"));
                }
            }
            graph.value_info.push(known.to_value_info("y"));
            graph.input.pop();
            graph.input.push(known.to_value_info("weights"));
        }
        let shapes = Shapes::infer(&graph, self.opset, None).unwrap();
        (graph, shapes)
    }

    /// Derives the gradients.
    pub fn derive(&self) -> polygraft::Result<(GraphProto, BTreeMap<String, String>)> {
        let (mut graph, mut shapes) = self.with_loss();
        let gradients =
            autodiff::backward(&mut graph, self.opset, &mut shapes, "loss", &self.wanted)?;
        Ok((graph, gradients))
    }

    /// Derives the gradients and compares each with central differences.
    pub fn check(&self) {
        let (mut graph, gradients) = self.derive().unwrap();
        let names = gradients.values().map(String::as_str).chain(["loss", "y"]);
        let outputs = names.map(|name| TensorType::unranked(self.element).to_value_info(name));
        graph.output = outputs.collect();
        let appended: Vec<_> = graph.node.iter().map(|node| node.op_type()).collect();
        let appended = appended.join(" ");
        let session = open(&graph, self.opset);
        let plain = self.result();
        self.check_inferred(&plain);
        let weights = self.weights(&plain);
        let wanted: Vec<&str> = gradients.values().map(String::as_str).chain(["y"]).collect();
        let mut derived = self.run(&session, &self.inputs, Some(&weights), &wanted);
        let result = derived.pop().unwrap();
        // ONNX Runtime fuses a decomposed normalization of doubles with the wrong epsilon.
        if self.element == data_type::FLOAT {
            self.check_forward(&result, &plain, &appended);
        }
        for (name, gradient) in gradients.keys().zip(derived) {
            let position = self.inputs.iter().position(|input| input.0 == *name).unwrap();
            let shape: Vec<i64> = self.inputs[position].1.iter().map(|&s| s as i64).collect();
            assert_eq!(gradient.shape(), shape, "gradient of {name}; nodes: {appended}");
            let found = self.elements(&gradient);
            let expected = self.differences(&session, &weights, position);
            let scale = expected.iter().fold(1.0, |scale: f64, value| scale.max(value.abs()));
            let tolerance = scale * if self.element == data_type::DOUBLE { 1e-6 } else { 2e-3 };
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() <= tolerance,
                    "gradient of {name}: {found}, differences say {expected}; nodes: {appended}"
                );
            }
        }
    }

    /// Whether `y` has the type and the sizes that were inferred for it.
    fn check_inferred(&self, found: &Value) {
        let (graph, _) = self.with_loss();
        let inferred = Shapes::infer(&GraphProto { value_info: vec![], ..graph }, self.opset, None);
        let inferred = inferred.unwrap();
        let known = inferred.data_type("y");
        assert!(known.is_none_or(|known| known == self.element), "the type of y: {known:?}");
        let Some(shape) = inferred.shape("y") else { return };
        assert_eq!(shape.len(), found.shape().len(), "the rank of y; inferred {shape:?}");
        for (dim, &size) in shape.iter().zip(found.shape()) {
            let agrees = match dim {
                Dim::Known(known) => *known == size,
                Dim::Symbol(symbol) => match symbol.strip_prefix("size ").map(str::parse::<i64>) {
                    Some(Ok(stated)) => stated == size,
                    _ => true,
                },
                Dim::Unknown => true,
            };
            assert!(agrees, "y is {:?}, inferred {shape:?}", found.shape());
        }
    }

    /// Whether `y` is the same where nodes were written out in parts.
    fn check_forward(&self, found: &Value, expected: &Value, nodes: &str) {
        assert_eq!(found.shape(), expected.shape(), "forward; nodes: {nodes}");
        let tolerance = 1e-5;
        for (found, expected) in self.elements(found).iter().zip(self.elements(expected)) {
            let scale = expected.abs().max(1.0);
            let differs = (found - expected).abs() > tolerance * scale;
            assert!(!differs, "forward: {found}, was {expected}; nodes: {nodes}");
        }
    }

    /// `y` by the forward graph alone.
    fn result(&self) -> Value {
        let (mut graph, _) = self.with_loss();
        graph.node.truncate(self.graph.node.len());
        graph.input.pop();
        graph.output.push(TensorType::unranked(self.element).to_value_info("y"));
        self.run(&open(&graph, self.opset), &self.inputs, None, &["y"]).remove(0)
    }

    fn differences(&self, session: &Session, weights: &Value, position: usize) -> Vec<f64> {
        let step = if self.element == data_type::DOUBLE { 1e-5 } else { 1e-2 };
        let mut inputs = self.inputs.clone();
        let mut result = Vec::new();
        for element in 0..inputs[position].2.len() {
            let value = inputs[position].2[element];
            let mut loss = |shifted: f64| {
                inputs[position].2[element] = shifted;
                let loss = self.run(session, &inputs, Some(weights), &["loss"]).remove(0);
                self.elements(&loss)[0]
            };
            let difference = loss(value + step) - loss(value - step);
            inputs[position].2[element] = value;
            result.push(difference / (2.0 * step));
        }
        result
    }

    /// Different numbers for each element of `y`, so that no two errors cancel.
    fn weights(&self, y: &Value) -> Value {
        let shape: Vec<usize> = y.shape().iter().map(|&size| size as usize).collect();
        let count = shape.iter().product();
        let weights = (0..count).map(|index| 0.3 + (1.7 * index as f64 + 0.4).sin());
        self.value(&shape, &weights.collect::<Vec<_>>())
    }

    fn run(
        &self,
        session: &Session,
        inputs: &[(String, Vec<usize>, Vec<f64>)],
        weights: Option<&Value>,
        outputs: &[&str],
    ) -> Vec<Value> {
        let values: Vec<_> =
            inputs.iter().map(|(_, shape, values)| self.value(shape, values)).collect();
        let names = inputs.iter().map(|input| input.0.as_str());
        let weights = weights.map(|weights| ("weights", weights));
        let given: Vec<_> = names.zip(&values).chain(weights).collect();
        session.run(&given, outputs, None).unwrap()
    }

    fn value(&self, shape: &[usize], values: &[f64]) -> Value {
        if self.element == data_type::FLOAT {
            return Value::f32(shape, values.iter().map(|&value| value as f32).collect()).unwrap();
        }
        Value::f64(shape, values.to_vec()).unwrap()
    }

    fn elements(&self, value: &Value) -> Vec<f64> {
        if self.element == data_type::FLOAT {
            return value.as_f32().unwrap().iter().map(|&value| value.into()).collect();
        }
        value.as_f64().unwrap().to_vec()
    }
}

fn initializer(name: &str, data_type: i32, dims: &[i64], bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type),
        dims: dims.to_vec(),
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    }
}

/// A graph as the bytes of a model.
pub fn model_bytes(graph: &GraphProto, opset: i64) -> Vec<u8> {
    let domains = [("", opset), ("com.microsoft", 1)];
    let opset_import = domains.map(|(domain, version)| OperatorSetIdProto {
        domain: Some(domain.to_owned()),
        version: Some(version),
    });
    let model = ModelProto {
        ir_version: Some(10),
        opset_import: opset_import.to_vec(),
        graph: Some(graph.clone()),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

fn open(graph: &GraphProto, opset: i64) -> Session {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let engine = ENGINE.get_or_init(engine::engine);
    Session::open(engine, &model_bytes(graph, opset), None, &options).unwrap()
}

/// `count` numbers between `low` and `high` that depend on `seed`.
pub fn numbers(seed: u64, count: usize, low: f64, high: f64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| low + (high - low) * next()).collect()
}
