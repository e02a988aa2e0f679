//! One block of an encoder as exporters write it, with low-rank products on queries and values, and
//! the same with a loss and all gradients.

use polygraft::autodiff;
use polygraft::graph::{
    AttributeProto, Builder, Dim, GraphProto, Model, ModelProto, OperatorSetIdProto, Shapes,
    TensorType, attr, data_type,
};
use polygraft::runtime::Value;
use std::path::Path;

const OPSET: i64 = 17;

/// The sizes of a block.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub texts: usize,
    pub tokens: usize,
    pub heads: usize,
    /// Of one head.
    pub size: usize,
    /// The width between the two layers after the attention.
    pub wide: usize,
    pub rank: usize,
}

/// A model of one block.
pub struct Block {
    pub model: Model,
    pub outputs: Vec<String>,
    sizes: Sizes,
    parameters: Vec<(String, Vec<usize>)>,
}

impl Block {
    /// The result alone.
    pub fn prediction(sizes: Sizes) -> Block {
        let (graph, parameters) = block(sizes);
        Self::new(graph, vec!["result".to_owned()], sizes, parameters)
    }

    /// The result, and the gradients of all low-rank products and, unless the block is the lowest
    /// one, of its input.
    pub fn training(sizes: Sizes, is_lowest: bool) -> Block {
        let (mut graph, parameters) = block(sizes);
        let mut builder = Builder::new(&mut graph, "loss/");
        let weighted = builder.node("Mul", &["result", "cotangent"], vec![]);
        let none = vec![attr::int("keepdims", 0)];
        builder.node_named("ReduceSum", "", &[&weighted], &["loss"], none);
        graph.input.push(tokens(&sizes).to_value_info("cotangent"));
        let mut wanted: Vec<String> = parameters.iter().map(|(name, _)| name.clone()).collect();
        if !is_lowest {
            wanted.push("x".to_owned());
        }
        let mut shapes = Shapes::infer(&graph, OPSET, None).unwrap();
        let gradients =
            autodiff::backward(&mut graph, OPSET, &mut shapes, "loss", &wanted).unwrap();
        let outputs = gradients.into_values().chain(["result".to_owned()]).collect();
        Self::new(graph, outputs, sizes, parameters)
    }

    /// Gelu and its gradient alone, for rows of 16 numbers.
    pub fn gelu() -> Block {
        let mut graph = GraphProto { name: Some("gelu".to_owned()), ..GraphProto::default() };
        let rows = TensorType::new(data_type::FLOAT, vec![symbol("rows"), Dim::Known(16)]);
        graph.input.push(rows.to_value_info("x"));
        let mut layers = Layers { builder: Builder::new(&mut graph, "gelu/"), seed: 0 };
        let active = layers.gelu("x");
        let none = vec![attr::int("keepdims", 0)];
        layers.builder.node_named("Identity", "", &[&active], &["result"], vec![]);
        layers.builder.node_named("ReduceSum", "", &["result"], &["loss"], none);
        let wanted = ["x".to_owned()];
        let mut shapes = Shapes::infer(&graph, OPSET, None).unwrap();
        let gradients =
            autodiff::backward(&mut graph, OPSET, &mut shapes, "loss", &wanted).unwrap();
        let outputs = gradients.into_values().chain(["result".to_owned()]).collect();
        let sizes = Sizes { texts: 1, tokens: 1, heads: 1, size: 16, wide: 1, rank: 1 };
        Self::new(graph, outputs, sizes, Vec::new())
    }

    fn new(
        mut graph: GraphProto,
        outputs: Vec<String>,
        sizes: Sizes,
        parameters: Vec<(String, Vec<usize>)>,
    ) -> Block {
        let float = |name: &String| TensorType::unranked(data_type::FLOAT).to_value_info(name);
        graph.output = outputs.iter().map(float).collect();
        let opset = OperatorSetIdProto { domain: None, version: Some(OPSET) };
        let proto = ModelProto {
            ir_version: Some(8),
            opset_import: vec![opset],
            graph: Some(graph),
            ..ModelProto::default()
        };
        Block { model: Model::new(proto, Path::new(".")).unwrap(), outputs, sizes, parameters }
    }

    /// Of the input `x`.
    pub fn shape(&self) -> [usize; 3] {
        [self.sizes.texts, self.sizes.tokens, self.sizes.heads * self.sizes.size]
    }

    /// Values of all inputs; the first is `x`. The last token of every second text is masked.
    pub fn inputs(&self, seed: u64) -> Vec<(String, Value)> {
        let shape = self.shape();
        let [texts, tokens, _] = shape;
        let mask = (0..texts * tokens).map(|index| {
            let is_last = tokens > 1 && index % tokens == tokens - 1;
            if is_last && index / tokens % 2 == 1 { f32::MIN } else { 0.0 }
        });
        let x = numbers(seed, shape.iter().product(), 1.5);
        let mut inputs = vec![
            ("x".to_owned(), Value::f32(&shape, x).unwrap()),
            ("mask".to_owned(), Value::f32(&[texts, 1, 1, tokens], mask.collect()).unwrap()),
        ];
        if self.outputs.len() > 1 {
            let cotangent = numbers(seed + 1, shape.iter().product(), 1.0);
            inputs.push(("cotangent".to_owned(), Value::f32(&shape, cotangent).unwrap()));
        }
        for (name, shape) in &self.parameters {
            let values = numbers(seed + 2, shape.iter().product(), 0.3);
            inputs.push((name.clone(), Value::f32(shape, values).unwrap()));
        }
        inputs
    }
}

fn symbol(name: &str) -> Dim {
    Dim::Symbol(name.to_owned())
}

fn tokens(sizes: &Sizes) -> TensorType {
    let width = (sizes.heads * sizes.size) as i64;
    let shape = vec![symbol("texts"), symbol("tokens"), Dim::Known(width)];
    TensorType::new(data_type::FLOAT, shape)
}

/// Appends named layers to a graph.
struct Layers<'a> {
    builder: Builder<'a>,
    seed: u64,
}

impl Layers<'_> {
    fn weight(&mut self, shape: &[usize], limit: f32) -> String {
        self.seed += 1;
        let values = numbers(self.seed, shape.iter().product(), limit);
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let dims: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        self.builder.constant(data_type::FLOAT, &dims, bytes)
    }

    fn node(&mut self, operator: &str, inputs: &[&str], options: Vec<AttributeProto>) -> String {
        self.builder.node(operator, inputs, options)
    }

    fn linear(&mut self, x: &str, from: usize, to: usize) -> String {
        let weight = self.weight(&[from, to], (3.0 / from as f32).sqrt());
        let bias = self.weight(&[to], 0.5);
        let product = self.node("MatMul", &[x, &weight], vec![]);
        self.node("Add", &[&bias, &product], vec![])
    }

    fn adapted(&mut self, x: &str, name: &str, width: usize) -> String {
        let frozen = self.linear(x, width, width);
        let low = self.node("MatMul", &[x, &format!("{name}.lora_A")], vec![]);
        let high = self.node("MatMul", &[&low, &format!("{name}.lora_B")], vec![]);
        self.node("Add", &[&frozen, &high], vec![])
    }

    fn heads(&mut self, x: &str, sizes: &Sizes, axes: &[i64]) -> String {
        let shape = self.builder.constant_i64(&[0, 0, sizes.heads as i64, sizes.size as i64]);
        let apart = self.node("Reshape", &[x, &shape], vec![]);
        self.node("Transpose", &[&apart], vec![attr::ints("perm", axes)])
    }

    fn gelu(&mut self, x: &str) -> String {
        let [root, one, half] =
            [2f32.sqrt(), 1.0, 0.5].map(|value| self.builder.constant_f32(value));
        let error = self.node("Div", &[x, &root], vec![]);
        let error = self.node("Erf", &[&error], vec![]);
        let error = self.node("Add", &[&error, &one], vec![]);
        let product = self.node("Mul", &[x, &error], vec![]);
        self.node("Mul", &[&product, &half], vec![])
    }

    fn normalized(&mut self, x: &str, residual: &str, width: usize) -> String {
        let sum = self.node("Add", &[x, residual], vec![]);
        let (scale, shift) = (self.weight(&[width], 1.0), self.weight(&[width], 0.5));
        let options = vec![attr::int("axis", -1), attr::float("epsilon", 1e-5)];
        self.node("LayerNormalization", &[&sum, &scale, &shift], options)
    }
}

fn block(sizes: Sizes) -> (GraphProto, Vec<(String, Vec<usize>)>) {
    let width = sizes.heads * sizes.size;
    let mut graph = GraphProto { name: Some("block".to_owned()), ..GraphProto::default() };
    graph.input.push(tokens(&sizes).to_value_info("x"));
    let one = Dim::Known(1);
    let mask = vec![symbol("texts"), one.clone(), one, symbol("tokens")];
    graph.input.push(TensorType::new(data_type::FLOAT, mask).to_value_info("mask"));
    let mut parameters = Vec::new();
    for name in ["query", "value"] {
        let rank = || symbol(&format!("{name}.rank"));
        let wide = || Dim::Known(width as i64);
        for (tensor, dims, shape) in [
            ("lora_A", vec![wide(), rank()], vec![width, sizes.rank]),
            ("lora_B", vec![rank(), wide()], vec![sizes.rank, width]),
        ] {
            let name = format!("{name}.{tensor}");
            graph.input.push(TensorType::new(data_type::FLOAT, dims).to_value_info(&name));
            parameters.push((name, shape));
        }
    }
    let mut layers = Layers { builder: Builder::new(&mut graph, "block/"), seed: 100 };
    let query = layers.adapted("x", "query", width);
    let key = layers.linear("x", width, width);
    let value = layers.adapted("x", "value", width);
    let query = layers.heads(&query, &sizes, &[0, 2, 1, 3]);
    let key = layers.heads(&key, &sizes, &[0, 2, 3, 1]);
    let value = layers.heads(&value, &sizes, &[0, 2, 1, 3]);
    let scores = layers.node("MatMul", &[&query, &key], vec![]);
    let root = layers.builder.constant_f32((sizes.size as f32).sqrt());
    let scores = layers.node("Div", &[&scores, &root], vec![]);
    let scores = layers.node("Add", &[&scores, "mask"], vec![]);
    let shares = layers.node("Softmax", &[&scores], vec![attr::int("axis", -1)]);
    let context = layers.node("MatMul", &[&shares, &value], vec![]);
    let context = layers.node("Transpose", &[&context], vec![attr::ints("perm", &[0, 2, 1, 3])]);
    let joined = layers.builder.constant_i64(&[0, 0, width as i64]);
    let context = layers.node("Reshape", &[&context, &joined], vec![]);
    let attended = layers.linear(&context, width, width);
    let attended = layers.normalized(&attended, "x", width);
    let wide = layers.linear(&attended, width, sizes.wide);
    let active = layers.gelu(&wide);
    let narrow = layers.linear(&active, sizes.wide, width);
    let result = layers.normalized(&narrow, &attended, width);
    layers.builder.node_named("Identity", "", &[&result], &["result"], vec![]);
    (graph, parameters)
}

/// Numbers between `-limit` and `limit` that follow from the seed.
fn numbers(seed: u64, count: usize, limit: f32) -> Vec<f32> {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (random >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| limit * next()).collect()
}
