//! From hidden states to the vector of a text: against loops over tokens and dimensions, and
//! gradients against differences.

#[path = "support/differences.rs"]
mod differences;
#[path = "support/engine.rs"]
mod engine;

use differences::{Case, model_bytes, numbers};
use polygraft::adapter::{HEAD_BIAS, HEAD_WEIGHT, HeadName};
use polygraft::bundle::{Inputs, Interface, Layer, LayerActivation, Pooler, Pooling};
use polygraft::graph::{Dim, GraphProto, TensorProto, TensorType, attr, data_type};
use polygraft::inference::heads::{self, LOGITS, POOLED};
use polygraft::runtime::{Session, SessionOptions, Value};

const HIDDEN: usize = 5;
const TEXTS: usize = 4;
const LONGEST: usize = 6;

/// Padding on the right, on the left, on neither side, on both and within.
const MASK: [[i64; LONGEST]; TEXTS] =
    [[1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0]];

/// The opsets at which the nodes have another form, and the newest.
const OPSETS: [i64; 5] = [11, 13, 17, 18, 23];

fn interface(opset: i64) -> Interface {
    Interface {
        inputs: Inputs {
            input_ids: "input_ids".to_owned(),
            attention_mask: "attention_mask".to_owned(),
            token_type_ids: None,
        },
        output: "states".to_owned(),
        hidden: HIDDEN,
        opset,
        embeddings: None,
        positions: None,
        position_rows: None,
        decoder: None,
    }
}

/// Hidden states of which no two are alike.
fn states() -> Vec<f64> {
    numbers(3, TEXTS * LONGEST * HIDDEN, -2.0, 2.0)
}

/// The tokens of a text, in order.
fn tokens(text: usize) -> Vec<Vec<f64>> {
    let states = states();
    let kept = (0..LONGEST).filter(|&at| MASK[text][at] == 1);
    kept.map(|at| (text * LONGEST + at) * HIDDEN)
        .map(|start| states[start..start + HIDDEN].to_vec())
        .collect()
}

/// What a pooling says about the tokens of a text, one dimension after the other.
fn pooled(pooling: Pooling, tokens: &[Vec<f64>], dimension: usize) -> f64 {
    let values = || tokens.iter().map(|token| token[dimension]);
    let count = tokens.len() as f64;
    match pooling {
        Pooling::Mean => values().sum::<f64>() / count,
        Pooling::Cls => tokens[0][dimension],
        Pooling::Last => tokens[tokens.len() - 1][dimension],
        Pooling::Max => values().fold(f64::MIN, f64::max),
        Pooling::WeightedMean => {
            let weighted = values().zip(1..).map(|(value, weight)| value * f64::from(weight));
            weighted.sum::<f64>() / (count * (count + 1.0) / 2.0)
        }
    }
}

/// The texts whose padding a pooling allows: the first token is a text's own only without padding
/// before it.
fn texts(pooling: Pooling) -> Vec<usize> {
    let allowed = |text: &usize| pooling != Pooling::Cls || MASK[*text][0] == 1;
    (0..TEXTS).filter(allowed).collect()
}

/// A pooling and layers after it, and what they make of the tokens of a text.
struct Form {
    pooling: Pooling,
    layers: Vec<Layer>,
}

/// The size of the vector after a dense layer.
const NARROW: usize = 3;

fn weight() -> Vec<f64> {
    numbers(5, NARROW * HIDDEN, -0.8, 0.8)
}

fn bias() -> Vec<f64> {
    numbers(6, NARROW, -0.3, 0.3)
}

fn dense(activation: LayerActivation, with_bias: bool) -> Layer {
    let bias = with_bias.then(|| "bias".to_owned());
    Layer::Dense { weight: "weight".to_owned(), bias, outputs: NARROW, activation }
}

fn forms() -> Vec<Form> {
    let bare = Pooling::ALL.iter().map(|&pooling| Form { pooling, layers: Vec::new() });
    let activated = LayerActivation::ALL.iter().map(|&activation| Form {
        pooling: Pooling::Mean,
        layers: vec![dense(activation, true), Layer::Normalise],
    });
    let more = [
        Form { pooling: Pooling::Last, layers: vec![Layer::Normalise] },
        Form { pooling: Pooling::Max, layers: vec![dense(LayerActivation::Tanh, false)] },
    ];
    bare.chain(activated).chain(more).collect()
}

impl Form {
    fn size(&self) -> usize {
        if self.layers.iter().any(|layer| matches!(layer, Layer::Dense { .. })) {
            NARROW
        } else {
            HIDDEN
        }
    }

    fn pooler(&self) -> Pooler<'_> {
        Pooler { pooling: self.pooling, layers: &self.layers, size: self.size() }
    }

    /// What a head reads: the vector before a division by its length at the end.
    fn read(&self, text: usize) -> Vec<f64> {
        let mut layers = self.layers.clone();
        layers.pop_if(|last| *last == Layer::Normalise);
        Form { pooling: self.pooling, layers }.expected(text)
    }

    /// The vector of a text, by loops.
    fn expected(&self, text: usize) -> Vec<f64> {
        let tokens = tokens(text);
        let mut vector: Vec<f64> =
            (0..HIDDEN).map(|dimension| pooled(self.pooling, &tokens, dimension)).collect();
        for layer in &self.layers {
            vector = match layer {
                Layer::Normalise => {
                    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
                    vector.iter().map(|value| value / length).collect()
                }
                Layer::Dense { bias, activation, .. } => {
                    let rows = weight();
                    let rows = rows.chunks(HIDDEN).zip(self::bias());
                    rows.map(|(row, own)| {
                        let sum: f64 = row.iter().zip(&vector).map(|(a, b)| a * b).sum();
                        activated(*activation, sum + if bias.is_some() { own } else { 0.0 })
                    })
                    .collect()
                }
            };
        }
        vector
    }

    /// Adds the weights that its layers read, and the form itself.
    fn add(&self, graph: &mut GraphProto, opset: i64) {
        for (name, dims, values) in [
            ("weight", vec![NARROW as i64, HIDDEN as i64], weight()),
            ("bias", vec![NARROW as i64], bias()),
        ] {
            graph.initializer.push(TensorProto {
                name: Some(name.to_owned()),
                data_type: Some(data_type::FLOAT),
                dims,
                float_data: values.into_iter().map(|value| value as f32).collect(),
                ..TensorProto::default()
            });
        }
        heads::add(graph, &interface(opset), &self.pooler(), &[HeadName::Labels], true);
    }
}

fn activated(activation: LayerActivation, x: f64) -> f64 {
    let gate = 1.0 / (1.0 + (-x).exp());
    match activation {
        LayerActivation::Identity => x,
        LayerActivation::Tanh => x.tanh(),
        LayerActivation::Relu => x.max(0.0),
        LayerActivation::Gelu => x * normal_below(x),
        LayerActivation::Sigmoid => gate,
        LayerActivation::Silu => x * gate,
    }
}

/// The share of a normal distribution that lies below `x`, by the sum of thin bars from 0 on.
fn normal_below(x: f64) -> f64 {
    const BARS: i32 = 20_000;
    let width = x / f64::from(BARS);
    let bar = |at: i32| (-((f64::from(at) + 0.5) * width).powi(2) / 2.0).exp() * width;
    0.5 + (0..BARS).map(bar).sum::<f64>() / (2.0 * std::f64::consts::PI).sqrt()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn each_form_is_what_loops_over_tokens_and_dimensions_give() {
    let engine = engine::engine();
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    for (opset, form) in OPSETS.iter().flat_map(|opset| forms().into_iter().map(|f| (*opset, f))) {
        let symbol = |name: &str| Dim::Symbol(name.to_owned());
        let shape = vec![symbol("batch"), symbol("sequence")];
        let wide = [shape.clone(), vec![Dim::Known(HIDDEN as i64)]].concat();
        let mut graph = GraphProto {
            name: Some("states".to_owned()),
            input: vec![
                TensorType::new(data_type::INT64, shape).to_value_info("attention_mask"),
                TensorType::new(data_type::FLOAT, wide).to_value_info("states"),
            ],
            ..GraphProto::default()
        };
        form.add(&mut graph, opset);
        let session = Session::open(&engine, &model_bytes(&graph, opset), None, &options).unwrap();
        let values = states().into_iter().map(|value| value as f32).collect();
        let states = Value::f32(&[TEXTS, LONGEST, HIDDEN], values).unwrap();
        let mask = Value::i64(&[TEXTS, LONGEST], MASK.concat()).unwrap();
        // A head that gives what it reads.
        let size = form.size();
        let one = (0..size * size).map(|at| f32::from(u8::from(at % (size + 1) == 0))).collect();
        let weight = Value::f32(&[size, size], one).unwrap();
        let bias = Value::f32(&[size], vec![0.0; size]).unwrap();
        let given = [("attention_mask", &mask), ("states", &states)];
        let head = [(HEAD_WEIGHT, &weight), (HEAD_BIAS, &bias)];
        let given = [&given[..], &head[..]].concat();
        let found = session.run(&given, &[POOLED, LOGITS], None).unwrap();
        for (found, expect) in found.iter().zip([Form::expected, Form::read]) {
            let rows: Vec<&[f32]> = found.as_f32().unwrap().chunks(size).collect();
            assert_eq!(rows.len(), TEXTS);
            for text in texts(form.pooling) {
                for (found, expected) in rows[text].iter().zip(expect(&form, text)) {
                    let what = format!("{:?} of text {text} at opset {opset}", form.pooler());
                    let difference = (f64::from(*found) - expected).abs();
                    assert!(difference < 1e-6, "{what}: {found}, expected {expected}");
                }
            }
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn gradients_of_each_form_are_those_of_differences() {
    for (opset, form) in OPSETS.iter().flat_map(|opset| forms().into_iter().map(|f| (*opset, f))) {
        let mask = MASK.concat().into_iter().map(|one| one as f64).collect();
        let to = vec![attr::int("to", data_type::INT64.into())];
        let case = Case { element: data_type::FLOAT, ..Case::new(opset) };
        let mut case = case
            .wants("states", &[TEXTS, LONGEST, HIDDEN], states())
            .given("kept", &[TEXTS, LONGEST], mask)
            .node("Cast", &["kept"], "attention_mask", to);
        form.add(&mut case.graph, opset);
        case.node("Identity", &[POOLED], "y", vec![]).check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_vector_of_zeros_stays_one_and_passes_no_gradient() {
    let form = Form { pooling: Pooling::Cls, layers: vec![Layer::Normalise] };
    let case = Case { element: data_type::FLOAT, ..Case::new(17) };
    let to = vec![attr::int("to", data_type::INT64.into())];
    let mut case = case
        .given("zeros", &[1, 2, HIDDEN], vec![0.0])
        .given("kept", &[1, 2], vec![1.0])
        .node("Cast", &["kept"], "attention_mask", to)
        .wants("factor", &[1], vec![3.0])
        .node("Mul", &["zeros", "factor"], "states", vec![]);
    form.add(&mut case.graph, 17);
    case.node("Identity", &[POOLED], "y", vec![]).check();
}
