//! Functions of one number beyond the plain ones, and the forms of Gelu that ONNX Runtime fuses.

use crate::differences::{Case, numbers};
use polygraft::graph::{attr, data_type};

/// Ten numbers on both sides of zero and of the bends at -2.5 and 2.5, never close to one.
fn bent() -> Vec<f64> {
    vec![-4.0, -2.7, -2.2, -1.1, -0.3, 0.2, 0.9, 1.6, 2.3, 3.1]
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn functions_of_one_number() {
    Case::new(17).wants("x", &[2, 5], bent()).node("Abs", &["x"], "y", vec![]).check();
    for (op, opset, attributes) in [
        ("Sin", 17, vec![]),
        ("Cos", 17, vec![]),
        ("LeakyRelu", 16, vec![]),
        ("LeakyRelu", 11, vec![attr::float("alpha", 0.25)]),
        ("Elu", 17, vec![]),
        ("Elu", 11, vec![attr::float("alpha", 0.5)]),
        ("HardSigmoid", 17, vec![]),
        ("HardSigmoid", 11, vec![attr::float("alpha", 0.5), attr::float("beta", 0.25)]),
        ("Softplus", 17, vec![]),
        ("Mish", 18, vec![]),
        ("Swish", 24, vec![]),
        ("Swish", 24, vec![attr::float("alpha", 0.5)]),
    ] {
        let mut case = Case::new(opset);
        case.element = data_type::FLOAT;
        case.wants("x", &[2, 5], bent()).node(op, &["x"], "y", attributes).check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn fused_forms_of_gelu() {
    let float = || {
        let mut case = Case::new(17);
        case.element = data_type::FLOAT;
        case.wants("x", &[2, 3, 4], numbers(40, 24, -2.5, 2.5))
    };
    for op in ["BiasGelu", "FastGelu"] {
        float()
            .wants("bias", &[4], numbers(41, 4, -1.0, 1.0))
            .node_of("com.microsoft", op, &["x", "bias"], &["y"], vec![])
            .check();
    }
    float().node_of("com.microsoft", "FastGelu", &["x"], &["y"], vec![]).check();
    float().node_of("com.microsoft", "QuickGelu", &["x"], &["y"], vec![]).check();
    let alpha = vec![attr::float("alpha", 1.0)];
    float().node_of("com.microsoft", "QuickGelu", &["x"], &["y"], alpha).check();
}

/// The forms that exporters write for Gelu by Tanh and for Silu.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn decomposed_activations() {
    let x = || {
        let mut case = Case::new(17);
        case.element = data_type::FLOAT;
        case.wants("x", &[2, 5], bent())
    };
    x().node("Sigmoid", &["x"], "s", vec![]).node("Mul", &["x", "s"], "y", vec![]).check();
    x().number("three", &[], 3.0)
        .number("cube", &[], 0.044_715)
        .number("scale", &[], (2.0 / std::f64::consts::PI).sqrt())
        .number("one", &[], 1.0)
        .number("half", &[], 0.5)
        .node("Pow", &["x", "three"], "p", vec![])
        .node("Mul", &["p", "cube"], "q", vec![])
        .node("Add", &["x", "q"], "r", vec![])
        .node("Mul", &["r", "scale"], "s", vec![])
        .node("Tanh", &["s"], "t", vec![])
        .node("Add", &["t", "one"], "u", vec![])
        .node("Mul", &["x", "half"], "h", vec![])
        .node("Mul", &["h", "u"], "y", vec![])
        .check();
}
