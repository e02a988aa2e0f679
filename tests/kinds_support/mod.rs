//! A backbone of one feed-forward block, and what it computes with adapters, written out by hand.

use polygraft::adapter::{
    self, Activation, Adapter, Component, InputSignature, Placement, Renamed, Tensor, tensor_shapes,
};
use polygraft::graph::{
    GraphProto, Model, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorType, Weights,
    attr, data_type,
};
use polygraft::runtime::{Session, SessionOptions, Value};
use polygraft::sites::Site;
use std::collections::BTreeMap;
use std::path::Path;

pub const ROWS: usize = 3;
pub const HIDDEN: usize = 6;
const INNER: usize = 10;
const EPSILON: f32 = 1e-5;

/// Where the block normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// `norm(x + f(x))`.
    PostNorm,
    /// `x + f(norm(x))`, and a norm at the end of all.
    PreNorm,
}

/// How the norm after the sum is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// One operator.
    Whole,
    /// Means, powers and roots.
    Parts,
    /// Bias, sum and norm in one operator.
    Fused,
}

/// One way to write the backbone.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub block: Block,
    pub by: By,
}

/// Values of a formula, between -1 and 1.
fn values(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|index| ((seed * 37 + index * 11 + 3) as f32 * 0.7).sin()).collect()
}

/// The frozen tensors by name, with their shapes.
fn frozen() -> Vec<(&'static str, Vec<i64>, Vec<f32>)> {
    let (hidden, inner) = (HIDDEN as i64, INNER as i64);
    let near_one = |seed| values(seed, HIDDEN).iter().map(|value| 1.0 + 0.3 * value).collect();
    vec![
        ("block.inner.weight", vec![hidden, inner], values(1, HIDDEN * INNER)),
        ("inner_bias", vec![inner], values(2, INNER)),
        ("block.outer.weight", vec![inner, hidden], values(3, INNER * HIDDEN)),
        ("outer_bias", vec![hidden], values(4, HIDDEN)),
        ("gamma", vec![hidden], near_one(5)),
        ("beta", vec![hidden], values(6, HIDDEN)),
    ]
}

fn float(name: &str, dims: Vec<i64>, values: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(data_type::FLOAT),
        dims,
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        name: Some(output.to_owned()),
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// The norm of `x` as nodes.
fn norm(x: &str, output: &str, by: By) -> Vec<NodeProto> {
    if by != By::Parts {
        let mut whole = node("LayerNormalization", &[x, "gamma", "beta"], output);
        whole.attribute = vec![attr::float("epsilon", EPSILON)];
        return vec![whole];
    }
    let name = |part: &str| format!("{output}_{part}");
    let mean = |input: &str, output: &str| {
        let mut mean = node("ReduceMean", &[input], output);
        mean.attribute = vec![attr::ints("axes", &[-1])];
        mean
    };
    vec![
        mean(x, &name("mean")),
        node("Sub", &[x, &name("mean")], &name("centred")),
        node("Pow", &[&name("centred"), "two"], &name("square")),
        mean(&name("square"), &name("variance")),
        node("Add", &[&name("variance"), "epsilon"], &name("shifted")),
        node("Sqrt", &[&name("shifted")], &name("deviation")),
        node("Div", &[&name("centred"), &name("deviation")], &name("normal")),
        node("Mul", &[&name("normal"), "gamma"], &name("scaled")),
        node("Add", &[&name("scaled"), "beta"], output),
    ]
}

/// The backbone: `x` `[rows, hidden]` in, `y` of the same shape out.
pub fn tiny(form: Form) -> (Model, Weights) {
    let mut nodes = Vec::new();
    let begin = match form.block {
        Block::PostNorm => "x",
        Block::PreNorm => {
            nodes.extend(norm("x", "first_norm", form.by));
            "first_norm"
        }
    };
    nodes.extend([
        node("MatMul", &[begin, "block.inner.weight"], "inner_product"),
        node("Add", &["inner_bias", "inner_product"], "inner"),
        node("Relu", &["inner"], "active"),
        node("MatMul", &["active", "block.outer.weight"], "outer_product"),
    ]);
    if form.by == By::Fused {
        let inputs = ["x", "outer_product", "gamma", "beta", "outer_bias"];
        let mut fused = node("SkipLayerNormalization", &inputs, "y");
        fused.domain = Some("com.microsoft".to_owned());
        fused.attribute = vec![attr::float("epsilon", EPSILON)];
        nodes.push(fused);
    } else {
        nodes.push(node("Add", &["outer_product", "outer_bias"], "outer"));
        nodes.push(node("Add", &["outer", "x"], "sum"));
        nodes.extend(norm("sum", "y", form.by));
    }
    let tensors = frozen();
    let mut initializer: Vec<TensorProto> =
        tensors.iter().map(|(name, dims, values)| float(name, dims.clone(), values)).collect();
    initializer.push(float("two", vec![], &[2.0]));
    initializer.push(float("epsilon", vec![], &[EPSILON]));
    let io = |name: &str| {
        TensorType::of_dims(data_type::FLOAT, &[-1, HIDDEN as i64]).to_value_info(name)
    };
    let graph = GraphProto {
        name: Some("tiny".to_owned()),
        node: nodes,
        initializer,
        input: vec![io("x")],
        output: vec![io("y")],
        ..GraphProto::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto {
        domain: Some(domain.to_owned()),
        version: Some(version),
    };
    let proto = ModelProto {
        ir_version: Some(8),
        opset_import: vec![opset("", 17), opset("com.microsoft", 1)],
        graph: Some(graph),
        ..ModelProto::default()
    };
    let model = Model::new(proto, Path::new(".")).unwrap();
    let weights = Weights::map(&model).unwrap();
    (model, weights)
}

/// An adapter of these components with random tensors and a head of two labels.
pub fn random(components: &[Component], sites: &[Site], seed: u64) -> Adapter {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut tensor = |shape: &[usize], offset: f32| Tensor {
        shape: shape.to_vec(),
        values: (0..shape.iter().product::<usize>())
            .map(|_| offset + random.f32() * 1.2 - 0.6)
            .collect(),
    };
    let shapes = tensor_shapes(components, sites).unwrap();
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (name, shape) in shapes {
        let offset = if name.ends_with(".ia3") { 1.0 } else { 0.0 };
        tensors.insert(name, tensor(&shape, offset));
    }
    tensors.insert(adapter::HEAD_WEIGHT.to_owned(), tensor(&[HIDDEN, 2], 0.0));
    tensors.insert(adapter::HEAD_BIAS.to_owned(), tensor(&[2], 0.0));
    let labels = vec!["a".to_owned(), "b".to_owned()];
    Adapter { labels, ..Adapter::headless("tiny".to_owned(), components.to_vec(), tensors) }
}

fn input() -> Vec<f32> {
    values(9, ROWS * HIDDEN)
}

/// What the backbone with this signature answers for each adapter, and last for none if its inputs
/// have defaults.
pub fn run(
    model: &Model,
    sites: &[Site],
    signature: &InputSignature,
    adapters: &[(&Adapter, &Renamed)],
    defaults: bool,
) -> Vec<Vec<f32>> {
    let mut model = model.clone();
    adapter::attach(model.graph_mut().unwrap(), sites, signature, defaults).unwrap();
    assert!(polygraft::graph::is_topologically_sorted(model.graph().unwrap()));
    let engine = crate::engine_support::engine();
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    let session = Session::open(&engine, &model.to_bytes(), None, &options).unwrap();
    let x = Value::f32(&[ROWS, HIDDEN], input()).unwrap();
    let answer = |tensors: &[(String, Value)]| {
        let mut inputs: Vec<(&str, &Value)> = vec![("x", &x)];
        inputs.extend(tensors.iter().map(|(name, value)| (name.as_str(), value)));
        let outputs = session.run(&inputs, &["y"], None).unwrap();
        outputs[0].as_f32().unwrap().to_vec()
    };
    let mut answers: Vec<Vec<f32>> = adapters
        .iter()
        .map(|(adapter, renamed)| {
            let own = adapter.tensors.iter().filter(|(name, _)| !name.starts_with("head."));
            let scaled = own.map(|(name, tensor)| {
                let scale = adapter.scale_of(name);
                let values = tensor.values.iter().map(|value| value * scale).collect();
                let input = renamed.get(name).unwrap_or(name).clone();
                (input, Value::f32(&tensor.shape, values).unwrap())
            });
            answer(&scaled.collect::<Vec<_>>())
        })
        .collect();
    if defaults {
        answers.push(answer(&[]));
    }
    answers
}

type Rows = Vec<Vec<f64>>;

fn rows(values: &[f32], width: usize) -> Rows {
    values.chunks(width).map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect()
}

fn frozen_values(name: &str) -> Vec<f32> {
    frozen().into_iter().find(|(found, ..)| *found == name).unwrap().2
}

fn times(x: &Rows, matrix: &[f32], outputs: usize) -> Rows {
    let term = |row: &Vec<f64>, column: usize| {
        let terms = row.iter().enumerate();
        terms.map(|(k, value)| value * f64::from(matrix[k * outputs + column])).sum()
    };
    x.iter().map(|row| (0..outputs).map(|column| term(row, column)).collect()).collect()
}

fn plus(x: &Rows, y: &Rows, factor: f64) -> Rows {
    let sum =
        |(x, y): (&Vec<f64>, &Vec<f64>)| x.iter().zip(y).map(|(x, y)| x + factor * y).collect();
    x.iter().zip(y).map(sum).collect()
}

fn each(x: &Rows, vector: &[f32], op: impl Fn(f64, f64) -> f64) -> Rows {
    let row = |row: &Vec<f64>| {
        row.iter().zip(vector).map(|(value, other)| op(*value, f64::from(*other))).collect()
    };
    x.iter().map(row).collect()
}

fn normalised(x: &Rows) -> Rows {
    let (gamma, beta) = (frozen_values("gamma"), frozen_values("beta"));
    let row = |row: &Vec<f64>| {
        let count = row.len() as f64;
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let root = (variance + f64::from(EPSILON)).sqrt();
        let value = |(index, value): (usize, &f64)| {
            (value - mean) / root * f64::from(gamma[index]) + f64::from(beta[index])
        };
        row.iter().enumerate().map(value).collect()
    };
    x.iter().map(row).collect()
}

/// The error function by its series; beyond 4 it is within 2e-8 of one, and the series cancels.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn active(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// One adapter in the formula: its weight.
type Weighted<'a> = (&'a Adapter, f64);

/// Factors by module, side and size.
type Factors<'a> = dyn Fn(&str, bool, usize) -> Vec<f32> + 'a;

/// What adapters do to the block, as the formulas need it.
struct Plan<'a> {
    lora: Vec<Weighted<'a>>,
    /// The bottlenecks by position, each with the adapters that share it and their slot.
    slots: Vec<Vec<(Weighted<'a>, usize)>>,
    /// The factors of a module, on its input or else its output, of this size.
    ia3: Box<Factors<'a>>,
}

/// The factors of an adapter on this side of a module.
fn factors_of<'a>(adapter: &'a Adapter, module: &str, on_input: bool) -> Option<&'a Tensor> {
    let names = |target: &String| match target.as_str() {
        "@feed_forward_output" => module == "block.outer",
        name => module.ends_with(name),
    };
    let stated = adapter.ia3()?.feed_forward_targets.iter().any(names);
    adapter.tensors.get(&format!("{module}.ia3")).filter(|_| stated == on_input)
}

/// The answer with adapters side by side.
pub fn naive(form: Form, adapters: &[Weighted<'_>]) -> Vec<f64> {
    let most = adapters.iter().map(|(one, _)| one.bottlenecks().count()).max().unwrap_or(0);
    let sharing = |slot: usize| {
        let having = adapters.iter().filter(move |(one, _)| one.bottlenecks().count() > slot);
        having.map(|one| (*one, slot)).collect()
    };
    let ia3 = |module: &str, on_input: bool, size: usize| {
        let mut factors = vec![1.0f64; size];
        for (adapter, weight) in adapters {
            if let Some(tensor) = factors_of(adapter, module, on_input) {
                for (factor, own) in factors.iter_mut().zip(&*tensor.values) {
                    *factor += weight * (f64::from(*own) - 1.0);
                }
            }
        }
        factors.into_iter().map(|factor| factor as f32).collect()
    };
    let slots = (0..most).map(sharing).collect();
    forward(form, &Plan { lora: adapters.to_vec(), slots, ia3: Box::new(ia3) })
}

/// The answer with one adapter on top of the other.
pub fn naive_stack(form: Form, lower: &Adapter, upper: &Adapter) -> Vec<f64> {
    let slots = |adapter| {
        let count = Adapter::bottlenecks(adapter).count();
        (0..count).map(move |slot| vec![((adapter, 1.0), slot)])
    };
    let ia3 = |module: &str, on_input: bool, size: usize| {
        let mut factors = vec![1.0f32; size];
        for adapter in [lower, upper] {
            if let Some(tensor) = factors_of(adapter, module, on_input) {
                factors.iter_mut().zip(&*tensor.values).for_each(|(factor, own)| *factor *= own);
            }
        }
        factors
    };
    forward(
        form,
        &Plan {
            lora: vec![(lower, 1.0), (upper, 1.0)],
            slots: slots(lower).chain(slots(upper)).collect(),
            ia3: Box::new(ia3),
        },
    )
}

fn low_rank(plan: &Plan<'_>, x: &Rows, y: &Rows, module: &str, outputs: usize) -> Rows {
    let mut y = y.clone();
    for (adapter, weight) in &plan.lora {
        let name = format!("{module}.lora_B");
        let Some(up) = adapter.tensors.get(&name) else { continue };
        let down = &adapter.tensors[&format!("{module}.lora_A")];
        let low = times(x, &down.values, down.shape[1]);
        let scale = f64::from(adapter.lora().unwrap().scale_of(module));
        y = plus(&y, &times(&low, &up.values, outputs), weight * scale);
    }
    y
}

fn forward(form: Form, plan: &Plan<'_>) -> Vec<f64> {
    let (inner, outer) = ("block.inner", "block.outer");
    let x = rows(&input(), HIDDEN);
    let begin = if form.block == Block::PreNorm { normalised(&x) } else { x.clone() };
    let multiplied = |x: &Rows, module: &str, on_input: bool| {
        each(x, &(plan.ia3)(module, on_input, x[0].len()), |a, b| a * b)
    };
    let read = multiplied(&begin, inner, true);
    let mid = times(&read, &frozen_values("block.inner.weight"), INNER);
    let mid = each(&mid, &frozen_values("inner_bias"), |a, b| a + b);
    let mid = multiplied(&low_rank(plan, &read, &mid, inner, INNER), inner, false);
    let mid = each(&mid, &[0.0; INNER], f64::max);
    let mid = multiplied(&mid, outer, true);
    let h = times(&mid, &frozen_values("block.outer.weight"), HIDDEN);
    let h = each(&h, &frozen_values("outer_bias"), |a, b| a + b);
    let mut h = multiplied(&low_rank(plan, &mid, &h, outer, HIDDEN), outer, false);
    for sharing in &plan.slots {
        let below = h.clone();
        for ((adapter, weight), slot) in sharing {
            let config = adapter.bottlenecks().nth(*slot).unwrap();
            let sum = plus(&below, &x, 1.0);
            let read = match (config.placement, form.block) {
                (Placement::Sequential, _) => below.clone(),
                (Placement::AfterNorm, Block::PostNorm) => normalised(&sum),
                (Placement::AfterNorm, Block::PreNorm) => sum,
                (Placement::Parallel, _) => begin.clone(),
            };
            let tensor =
                |field: &str| &adapter.tensors[&format!("{outer}.bottleneck.{slot}.{field}")];
            let width = tensor("down.bias").values.len();
            let low = times(&read, &tensor("down.weight").values, width);
            let low =
                each(&low, &tensor("down.bias").values, |a, b| active(a + b, config.activation));
            let up = times(&low, &tensor("up.weight").values, HIDDEN);
            let up = each(&up, &tensor("up.bias").values, |a, b| a + b);
            h = plus(&h, &up, weight * config.scale);
        }
    }
    normalised(&plus(&h, &x, 1.0)).concat()
}
