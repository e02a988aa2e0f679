//! Patterns: expressions over nodes, matched from the last node back.
//!
//! `Mul(g, Add(Erf(t@Mul(x, #0.7071)), ?c))` matches a product whose operands are, in any order,
//! any value `g` and such a sum. A word names a value; a second mention must be the same value. `#`
//! and a number is a constant near it, `?` and a word any constant of one element. `[..]` after an
//! operator states its permutation or its axes. Additional inputs of a node, such as the sizes of a
//! `Reshape`, are ignored. A pattern must never match on names of a graph.

use crate::graph::{
    GraphProto, Index, NodeProto, Shapes, Weights, attribute_float, attribute_int, attribute_ints,
    attribute_tensor, data_type, inline_bytes,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The relative tolerance for constants; exports in float16 round them.
const CONSTANT_TOLERANCE: f64 = 1e-3;

/// A pattern that was read.
#[derive(Debug)]
pub(super) enum Pattern {
    /// A value by its word.
    Value(&'static str),
    /// A constant near a number.
    Constant(f64),
    /// Any constant of one element, by its word.
    Number(&'static str),
    /// A node, by the word of its first output if it has one.
    Node {
        word: Option<&'static str>,
        operator: &'static str,
        axes: Option<Vec<i64>>,
        inputs: Vec<Pattern>,
    },
}

/// What a pattern matched.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The values by their words.
    pub values: HashMap<&'static str, String>,
    /// The constants by their words.
    pub numbers: HashMap<&'static str, f64>,
    /// The positions of the nodes.
    pub nodes: BTreeSet<usize>,
}

impl Found {
    /// The value of a word of the pattern.
    pub fn value(&self, word: &str) -> &str {
        self.values.get(word).map_or("", String::as_str)
    }

    /// Adds a value; false when the word stands for another one.
    fn bind(&mut self, word: &'static str, value: &str) -> bool {
        self.values.entry(word).or_insert_with(|| value.to_owned()) == value
    }
}

impl Pattern {
    /// Reads a pattern. The texts are constants of this part; one that cannot be read would match
    /// nothing, and stops a build for tests.
    pub fn read(text: &'static str) -> Pattern {
        let mut rest = text;
        let pattern = read(&mut rest);
        match pattern {
            Some(pattern) if rest.trim().is_empty() => pattern,
            _ => {
                debug_assert!(false, "no pattern: {text}");
                Pattern::Constant(f64::NAN)
            }
        }
    }
}

/// The characters of a word or number at the beginning of `rest`.
fn word(rest: &mut &'static str) -> &'static str {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    word
}

/// Removes a character from the beginning of `rest`, after spaces.
fn skip(rest: &mut &'static str, character: char) -> bool {
    match rest.trim_start().strip_prefix(character) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

fn read(rest: &mut &'static str) -> Option<Pattern> {
    if skip(rest, '#') {
        return word(rest).parse().ok().map(Pattern::Constant);
    }
    if skip(rest, '?') {
        return Some(Pattern::Number(word(rest)));
    }
    *rest = rest.trim_start();
    let first = word(rest);
    let (name, operator) = match skip(rest, '@') {
        true => (Some(first), word(rest)),
        false => (None, first),
    };
    let mut axes = None;
    if skip(rest, '[') {
        let (inside, after) = rest.split_once(']')?;
        *rest = after;
        axes = Some(inside.split(',').map(|axis| axis.trim().parse().ok()).collect::<Option<_>>()?);
    }
    if !skip(rest, '(') {
        return Some(Pattern::Value(operator));
    }
    let mut inputs = vec![read(rest)?];
    while skip(rest, ',') {
        inputs.push(read(rest)?);
    }
    skip(rest, ')').then_some(Pattern::Node { word: name, operator, axes, inputs })
}

/// A graph with what is known about it.
pub(super) struct Known<'a> {
    pub graph: &'a GraphProto,
    pub index: Index,
    pub shapes: &'a Shapes,
    weights: Option<&'a Weights>,
    /// The initializers that no input can replace, by position.
    constants: HashMap<&'a str, usize>,
    /// The results of the graph.
    pub outputs: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    pub fn new(
        graph: &'a GraphProto,
        index: Index,
        shapes: &'a Shapes,
        weights: Option<&'a Weights>,
    ) -> Self {
        let inputs: HashSet<&str> = graph.input.iter().map(|info| info.name()).collect();
        let constants = graph.initializer.iter().enumerate();
        let constants = constants.map(|(position, tensor)| (tensor.name(), position));
        let constants = constants.filter(|(name, _)| !inputs.contains(name)).collect();
        let outputs = graph.output.iter().map(|info| info.name()).collect();
        Self { graph, index, shapes, weights, constants, outputs }
    }

    /// Matches a pattern that ends with the node at `position`.
    pub fn find(&self, pattern: &Pattern, position: usize) -> Option<Found> {
        self.continued(pattern, position, &Found::default())
    }

    /// Matches a pattern some of whose words are known.
    pub fn continued(&self, pattern: &Pattern, position: usize, found: &Found) -> Option<Found> {
        let mut found = found.clone();
        self.matches_node(pattern, position, &mut found).then_some(found)
    }

    /// The node that makes a value.
    pub fn producer(&self, value: &str) -> Option<(usize, &'a NodeProto)> {
        let position = self.index.producer(value)?;
        Some((position, &self.graph.node[position]))
    }

    /// Whether nothing but these nodes uses a value.
    pub fn used_only_by(&self, value: &str, nodes: &BTreeSet<usize>) -> bool {
        let consumers = self.index.consumers(value);
        !self.outputs.contains(value) && consumers.iter().all(|user| nodes.contains(user))
    }

    fn matches(&self, pattern: &Pattern, value: &str, found: &mut Found) -> bool {
        match pattern {
            Pattern::Value(word) => !value.is_empty() && found.bind(word, value),
            Pattern::Constant(expected) => self.number(value).is_some_and(|number| {
                (number - expected).abs() <= CONSTANT_TOLERANCE * expected.abs()
            }),
            Pattern::Number(word) => match self.number(value) {
                Some(number) => *found.numbers.entry(word).or_insert(number) == number,
                None => false,
            },
            Pattern::Node { .. } => self
                .index
                .producer(value)
                .is_some_and(|position| self.matches_node(pattern, position, found)),
        }
    }

    fn matches_node(&self, pattern: &Pattern, position: usize, found: &mut Found) -> bool {
        let Pattern::Node { word, operator, axes, inputs } = pattern else { return false };
        let node = &self.graph.node[position];
        let fits = node.op_type() == *operator
            && node.domain().is_empty()
            && node.input.len() >= inputs.len()
            && axes.as_ref().is_none_or(|axes| self.has_axes(node, axes));
        if !fits || word.is_some_and(|word| !found.bind(word, &node.output[0])) {
            return false;
        }
        found.nodes.insert(position);
        let [first, second] = inputs.as_slice() else {
            let pairs = inputs.iter().zip(&node.input);
            return pairs.into_iter().all(|(input, value)| self.matches(input, value, found));
        };
        let orders: &[[usize; 2]] = match *operator {
            "Add" | "Mul" => &[[0, 1], [1, 0]],
            _ => &[[0, 1]],
        };
        orders.iter().any(|[left, right]| {
            let mut attempt = found.clone();
            let matches = self.matches(first, &node.input[*left], &mut attempt)
                && self.matches(second, &node.input[*right], &mut attempt);
            if matches {
                *found = attempt;
            }
            matches
        })
    }

    /// Whether a node permutes, reduces or normalizes these axes and keeps their number.
    fn has_axes(&self, node: &NodeProto, expected: &[i64]) -> bool {
        if node.op_type() == "Transpose" {
            return attribute_ints(node, "perm") == Some(expected);
        }
        let input = node.input.first().map_or("", String::as_str);
        let Some(rank) = self.shapes.rank(input) else { return false };
        let stated = match (node.op_type(), node.input.get(1)) {
            ("Softmax" | "LayerNormalization", _) => {
                Some(vec![attribute_int(node, "axis").unwrap_or(-1)])
            }
            (_, Some(axes)) => self.shapes.constant_ints(axes),
            (_, None) => attribute_ints(node, "axes").map(<[i64]>::to_vec),
        };
        let counted = |axis: &i64| if *axis < 0 { axis + rank as i64 } else { *axis };
        let is_reduction = node.op_type().starts_with("Reduce");
        let keeps = !is_reduction || attribute_int(node, "keepdims").unwrap_or(1) == 1;
        keeps
            && stated
                .is_some_and(|stated| stated.iter().map(counted).eq(expected.iter().map(counted)))
    }

    /// The value of a constant of one element and at most one axis.
    pub fn number(&self, value: &str) -> Option<f64> {
        if self.shapes.rank(value).unwrap_or(0) > 1 {
            return None;
        }
        if let Some(&position) = self.constants.get(value) {
            let tensor = &self.graph.initializer[position];
            return match self.weights.and_then(|weights| weights.get(value)) {
                Some(weight) => one_number(weight.data_type, weight.bytes),
                None => one_number(tensor.data_type(), &inline_bytes(tensor).ok()?),
            };
        }
        let (_, node) = self.producer(value).filter(|(_, node)| node.op_type() == "Constant")?;
        if let Some(value) = attribute_float(node, "value_float") {
            return Some(value.into());
        }
        let tensor = attribute_tensor(node, "value")?;
        one_number(tensor.data_type(), &inline_bytes(tensor).ok()?)
    }
}

/// The number that these bytes are, if they are one.
fn one_number(kind: i32, bytes: &[u8]) -> Option<f64> {
    match kind {
        data_type::FLOAT => Some(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        data_type::DOUBLE => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}
