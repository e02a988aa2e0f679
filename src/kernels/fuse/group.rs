//! A group of nodes and the fused node for it, and what the finders share.

use super::pattern::{Found, Known};
use crate::graph::{AttributeProto, Dim, NodeProto, data_type};
use crate::kernels::{DOMAIN, Operator};
use std::collections::BTreeSet;

/// A fused node and the position of the node that it replaces.
pub(super) struct Group {
    pub position: usize,
    pub node: NodeProto,
}

impl Group {
    /// A node of `operator`; empty names are omitted inputs and outputs.
    pub fn new(
        known: &Known<'_>,
        position: usize,
        operator: &Operator,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Group {
        let names = |names: &[&str]| -> Vec<String> {
            let count = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
            names[..count].iter().map(|&name| name.to_owned()).collect()
        };
        let node = NodeProto {
            name: known.graph.node[position].name.clone(),
            op_type: Some(operator.name.to_owned()),
            domain: Some(DOMAIN.to_owned()),
            input: names(inputs),
            output: names(outputs),
            attribute,
            ..NodeProto::default()
        };
        Group { position, node }
    }
}

impl Known<'_> {
    /// The dimensions of a float32 value of known rank.
    pub fn float(&self, value: &str) -> Option<&[Dim]> {
        self.shapes.data_type(value).filter(|&kind| kind == data_type::FLOAT)?;
        self.shapes.shape(value)
    }

    /// The size of the last axis of a float32 value, if it is a number.
    pub fn width(&self, value: &str) -> Option<i64> {
        self.float(value)?.last()?.known()
    }

    /// Whether a value is a float32 vector of that size.
    pub fn is_vector(&self, value: &str, width: i64) -> bool {
        self.float(value).is_some_and(|shape| *shape == [Dim::Known(width)])
    }

    /// Whether two float32 values have one shape in every run.
    pub fn are_alike(&self, left: &str, right: &str) -> bool {
        let [left, right] = [left, right].map(|value| self.float(value));
        left.is_some() && left == right && left.is_some_and(|dims| !dims.contains(&Dim::Unknown))
    }

    /// The other summand and the bias, if a value is the sum of a vector and another value of its
    /// own shape.
    pub fn biased(&self, value: &str) -> Option<(&str, &str)> {
        let (_, node) = self.producer(value)?;
        let [left, right] = node.input.as_slice() else { return None };
        if node.op_type() != "Add" || !node.domain().is_empty() {
            return None;
        }
        let width = self.width(value)?;
        [(left, right), (right, left)].into_iter().find_map(|(base, bias)| {
            let fits = self.is_vector(bias, width) && self.are_alike(base, value);
            fits.then_some((base.as_str(), bias.as_str()))
        })
    }

    /// The two summands of a value's own shape, if nothing but `users` reads the sum.
    pub fn summands(&self, value: &str, users: &BTreeSet<usize>) -> Option<(usize, [&str; 2])> {
        let (position, node) = self.producer(value)?;
        let [left, right] = node.input.as_slice() else { return None };
        let fits = node.op_type() == "Add"
            && node.domain().is_empty()
            && self.used_only_by(value, users)
            && [left, right].iter().all(|summand| self.are_alike(summand, value));
        fits.then_some((position, [left, right]))
    }

    /// The value of a word, if something other than the matched nodes reads it; empty otherwise.
    pub fn read_elsewhere<'a>(&self, found: &'a Found, word: &str) -> &'a str {
        let value = found.value(word);
        if self.used_only_by(value, &found.nodes) { "" } else { value }
    }
}
