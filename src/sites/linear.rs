//! Recognizes linear layers with a frozen weight: the one place that knows their forms.
//!
//! Exporters write a layer as MatMul, Gemm or Einsum, tools fuse or quantise it, and the weight
//! reaches it as an initializer or through operators that only change its form. This module must
//! never look at names.

use crate::graph::{
    GraphProto, Index, NodeProto, Weights, attribute_float, attribute_int, attribute_ints,
    attribute_string, attribute_tensor,
};
use std::collections::{BTreeMap, HashMap};

/// The most operators between an initializer and the layer that uses it.
const STEPS_MAX: usize = 8;

/// A node that multiplies activations `[.., inputs]` by a frozen matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Name of the initializer (or of the constant's value) that holds the weight.
    pub weight: String,
    /// Position of the activations among the node's inputs.
    pub input: usize,
    /// Size of the layer's input.
    pub inputs: usize,
    /// Size of the layer's output.
    pub outputs: usize,
}

/// A graph with its index and the dimensions of its initializers.
pub struct View<'a> {
    pub graph: &'a GraphProto,
    pub index: &'a Index,
    dims: HashMap<&'a str, &'a [i64]>,
}

impl<'a> View<'a> {
    /// A view with the initializers that the graph itself states.
    pub fn new(graph: &'a GraphProto, index: &'a Index) -> Self {
        let tensors = graph.initializer.iter();
        let dims = tensors.map(|tensor| (tensor.name(), tensor.dims.as_slice())).collect();
        Self { graph, index, dims }
    }

    /// A view with the mapped initializers.
    pub fn of_weights(graph: &'a GraphProto, index: &'a Index, weights: &'a Weights) -> Self {
        let dims = weights.iter().map(|weight| (weight.name, weight.dims)).collect();
        Self { graph, index, dims }
    }

    pub fn producer(&self, value: &str) -> Option<&'a NodeProto> {
        self.index.producer(value).map(|position| &self.graph.node[position])
    }

    /// Reads the node as a linear layer; `None` for any other node.
    pub fn linear(&self, node: &'a NodeProto) -> Option<Linear> {
        // A factor that a tool has fused belongs to the operators after the layer.
        if attribute_float(node, "alpha").is_some_and(|alpha| alpha != 1.0) {
            return None;
        }
        let int = |name: &str| attribute_int(node, name).unwrap_or(0) != 0;
        let (input, weight, transposed) = match (node.domain(), node.op_type()) {
            ("" | "ai.onnx", "MatMul") => (0, 1, false),
            // A transposed left operand would turn rows of the batch into columns.
            ("" | "ai.onnx", "Gemm") if !int("transA") => (0, 1, int("transB")),
            ("" | "ai.onnx", "Einsum") => (0, 1, einsum_is_transposed(node)?),
            ("com.microsoft", "DynamicQuantizeMatMul") => (0, 1, false),
            ("com.microsoft", "MatMulNBits") => return self.packed(node),
            ("com.microsoft", "FusedMatMul") if !int("transA") && !int("transBatchA") => {
                (0, 1, int("transB"))
            }
            _ => return None,
        };
        let (weight, dims) = self.frozen(node.input.get(weight)?)?;
        let &[rows, columns] = dims.as_slice() else { return None };
        let (inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
        (inputs > 0 && outputs > 0).then_some(Linear { weight, input, inputs, outputs })
    }

    /// `MatMulNBits`, whose weight is packed and whose attributes state the sizes.
    fn packed(&self, node: &NodeProto) -> Option<Linear> {
        let size = |name: &str| usize::try_from(attribute_int(node, name)?).ok();
        let weight = node.input.get(1).filter(|name| self.dims.contains_key(name.as_str()))?;
        let (inputs, outputs) = (size("K")?, size("N")?);
        let is_layer = inputs > 0 && outputs > 0;
        let weight = weight.clone();
        is_layer.then_some(Linear { weight, input: 0, inputs, outputs })
    }

    /// The initializer that a value comes from, through operators that only change its form, and
    /// the value's dimensions.
    pub fn frozen(&self, value: &'a str) -> Option<(String, Vec<usize>)> {
        let (mut value, mut transposed) = (value, false);
        for _ in 0..STEPS_MAX {
            if let Some(dims) = self.dims.get(value) {
                return Some((value.to_owned(), sizes(dims, transposed)?));
            }
            let node = self.producer(value)?;
            match (node.domain(), node.op_type()) {
                ("" | "ai.onnx", "Constant") => {
                    let dims = &attribute_tensor(node, "value")?.dims;
                    return Some((value.to_owned(), sizes(dims, transposed)?));
                }
                ("" | "ai.onnx", "Transpose") => {
                    if !matches!(attribute_ints(node, "perm"), None | Some([1, 0])) {
                        return None;
                    }
                    transposed = !transposed;
                }
                ("" | "ai.onnx", "Cast" | "Identity" | "DequantizeLinear") => {}
                ("com.microsoft", "DequantizeLinear") => {}
                _ => return None,
            }
            value = node.input.first()?;
        }
        None
    }
}

fn sizes(dims: &[i64], transposed: bool) -> Option<Vec<usize>> {
    let mut sizes: Vec<usize> =
        dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<_>>()?;
    if transposed {
        sizes.reverse();
    }
    Some(sizes)
}

/// Whether the weight of an Einsum such as `bsi,io->bso` is `[outputs, inputs]`; `None` if the
/// Einsum is no linear layer.
fn einsum_is_transposed(node: &NodeProto) -> Option<bool> {
    let equation: String =
        attribute_string(node, "equation")?.chars().filter(|c| !c.is_whitespace()).collect();
    let (operands, result) = equation.split_once("->")?;
    let (left, right) = operands.split_once(',')?;
    let (batch, input) = left.split_at(left.len().checked_sub(1)?);
    let distinct =
        |text: &str| text.chars().all(|c| c.is_ascii_alphabetic() && text.matches(c).count() == 1);
    if batch.is_empty() || right.len() != 2 || !distinct(left) || !distinct(right) {
        return None;
    }
    let output = result.strip_prefix(batch)?;
    if output.len() != 1 || left.contains(output) {
        return None;
    }
    match right.split_at(1) {
        (first, second) if first == input && second == output => Some(false),
        (first, second) if first == output && second == input => Some(true),
        _ => None,
    }
}

/// The linear layers by node.
pub fn linears(view: &View<'_>) -> BTreeMap<usize, Linear> {
    let nodes = view.graph.node.iter().enumerate();
    nodes.filter_map(|(position, node)| Some((position, view.linear(node)?))).collect()
}
