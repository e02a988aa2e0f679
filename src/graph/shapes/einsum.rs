//! The rule of `Einsum`.

use super::known::{Outputs, Uses};
use crate::graph::attr::attribute_string;
use crate::graph::types::{Dim, TensorType};

pub(super) fn einsum(uses: &Uses) -> Outputs {
    vec![Some(TensorType { data_type: uses.data_type(0), shape: shape(uses) })]
}

/// One axis of the result: a letter, or an axis of the ellipsis, counted from the last.
#[derive(Clone, Copy, PartialEq)]
enum Label {
    Letter(char),
    Dots(usize),
}

fn shape(uses: &Uses) -> Option<Vec<Dim>> {
    let text = attribute_string(uses.node, "equation")?;
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (text.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != uses.node.input.len() {
        return None;
    }
    let mut sizes: Vec<(Label, Dim)> = Vec::new();
    let mut dots_max = 0;
    for (position, term) in terms.iter().enumerate() {
        let dims = uses.shape(position)?;
        let letters = term.replacen("...", "", 1).chars().count();
        let dots = dims.len().checked_sub(letters)?;
        dots_max = dots_max.max(dots);
        let labels = labels(term, dots);
        if labels.len() != dims.len() {
            return None;
        }
        for (label, dim) in labels.into_iter().zip(dims) {
            match sizes.iter_mut().find(|(known, _)| *known == label) {
                None => sizes.push((label, dim.clone())),
                // An axis of size 1 broadcasts to any size, so the other operand determines the
                // size.
                Some((_, known)) if *known == Dim::Known(1) || known.is_unknown() => {
                    *known = dim.clone();
                }
                Some(_) => {}
            }
        }
    }
    let result = match right {
        Some(right) => labels(right, dots_max),
        None => {
            let mut once: Vec<char> = left.chars().filter(char::is_ascii_alphabetic).collect();
            once.retain(|letter| left.matches(*letter).count() == 1);
            once.sort_unstable();
            let letters = once.into_iter().map(Label::Letter);
            (0..dots_max).rev().map(Label::Dots).chain(letters).collect()
        }
    };
    let size = |label: &Label| sizes.iter().find(|(known, _)| known == label);
    result.iter().map(|label| Some(size(label)?.1.clone())).collect()
}

/// The axes of a term whose ellipsis stands for `dots` of them.
fn labels(term: &str, dots: usize) -> Vec<Label> {
    let (before, after) = term.split_once("...").unwrap_or((term, ""));
    let dotted = if term.contains("...") { dots } else { 0 };
    let front = before.chars().map(Label::Letter);
    front
        .chain((0..dotted).rev().map(Label::Dots))
        .chain(after.chars().map(Label::Letter))
        .collect()
}
