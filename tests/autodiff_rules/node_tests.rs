//! The ONNX project's own cases of each operator: their inputs and attributes, with the gradient
//! compared with differences (`tests/oracle/onnx_node_tests.py` chose and wrote them).

use std::collections::BTreeSet;
use std::path::Path;

use crate::differences::Case;
use polygraft::Code;
use polygraft::graph::{Model, TensorProto, data_type, inline_bytes};
use safetensors::SafeTensors;

/// Cases of forms that are refused, and a word of the reason.
const REFUSED: &[(&str, &str)] = &[
    ("test_attention_23_fullymasked_qk_matmul_output_mode3_zero", "the scores"),
    ("test_einsum_batch_diagonal", "repeats a label"),
    ("test_gathernd_example_float32", "opset 18 or later"),
    ("test_scatter_elements_with_reduction_max", "\"max\""),
    ("test_scatter_elements_with_reduction_min", "\"min\""),
    ("test_scatter_elements_with_reduction_mul", "\"mul\""),
    ("test_scatternd_max", "\"max\""),
    ("test_scatternd_max_with_element_indices", "\"max\""),
    ("test_scatternd_min", "\"min\""),
    ("test_scatternd_min_with_element_indices", "\"min\""),
    ("test_scatternd_multiply", "\"mul\""),
    ("test_training_dropout", "training mode"),
    ("test_training_dropout_default", "training mode"),
    ("test_training_dropout_default_mask", "training mode"),
    ("test_training_dropout_mask", "training mode"),
];

/// Cases of which differences in float32 say nothing: inputs on a bend, equal extrema, strong
/// curvature, powers at zero, or numbers so large that a step is lost.
const UNTOLD: &[&str] = &[
    "test_elu_example",
    "test_leakyrelu_example",
    "test_log",
    "test_logsoftmax_large_number",
    "test_pow",
    "test_pow_example",
    "test_reduce_min_default_axes_keepdims_example",
    "test_softmax_large_number",
    "test_sqrt",
];

/// Inputs that get no gradient: bounds, a fill value, a probability, an exponent.
const GIVEN: &[(&str, usize)] =
    &[("Clip", 1), ("Clip", 2), ("Pad", 2), ("Dropout", 1), ("Pow", 1), ("Tile", 1)];

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn cases_of_the_onnx_project() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/onnx_node_tests.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut operators = BTreeSet::new();
    let mut compared = 0;
    for (name, view) in file.iter() {
        let model = Model::from_bytes(view.data(), Path::new(".")).unwrap();
        let operator = model.graph().unwrap().node[0].op_type().to_owned();
        let case = case(&model);
        match REFUSED.iter().find(|(refused, _)| *refused == name) {
            Some((_, why)) => {
                let error = case.derive().unwrap_err();
                assert_eq!(error.code(), Code::GraphUnsupported, "{name}: {error}");
                assert!(error.to_string().contains(why), "{name}: {error}");
            }
            None if UNTOLD.contains(&name) => {}
            None => {
                // Shown when the comparison fails.
                println!("{name}");
                case.check();
                compared += 1;
                operators.insert(operator);
            }
        }
    }
    println!("{compared} cases of {} operators", operators.len());
    assert!(compared >= 270 && operators.len() >= 60, "{compared} of {operators:?}");
}

/// The node with its float inputs as inputs whose gradients are compared, the others as constants.
fn case(model: &Model) -> Case {
    let mut case = Case::new(model.opset("").unwrap());
    let graph = model.graph().unwrap();
    let is_float = |tensor: &TensorProto| tensor.data_type() == data_type::FLOAT;
    if graph.initializer.iter().any(is_float) {
        case.element = data_type::FLOAT;
    }
    let mut node = graph.node[0].clone();
    for tensor in &graph.initializer {
        // Some inputs are named `y`, which is the result here.
        let name = format!("input {}", tensor.name());
        let place = node.input.iter().position(|input| input == tensor.name()).unwrap();
        let is_given = GIVEN.contains(&(node.op_type(), place));
        if tensor.data_type() == case.element {
            let shape: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
            case = match is_given {
                true => case.given(&name, &shape, numbers(tensor)),
                false => case.wants(&name, &shape, numbers(tensor)),
            };
        } else {
            case.graph.initializer.push(TensorProto { name: Some(name), ..tensor.clone() });
        }
    }
    for input in node.input.iter_mut().filter(|input| !input.is_empty()) {
        *input = format!("input {input}");
    }
    node.output[0] = "y".to_owned();
    case.graph.node.push(node);
    case
}

fn numbers(tensor: &TensorProto) -> Vec<f64> {
    let bytes = inline_bytes(tensor).unwrap();
    if tensor.data_type() == data_type::FLOAT {
        let chunks = bytes.as_chunks::<4>().0.iter();
        return chunks.map(|chunk| f64::from(f32::from_le_bytes(*chunk))).collect();
    }
    bytes.as_chunks::<8>().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect()
}
