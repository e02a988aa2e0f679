//! Layers after pooling, in the manifest and in the graph.

use polygraft::Code;
use polygraft::bundle::{Bundle, CreateOptions, Layer, LayerActivation, NewLayer, Verify, create};
use serde_json::{Value, json};

use crate::workshop::{HIDDEN, Workshop};

const NARROW: usize = 2;

fn dense(outputs: usize, inputs: usize) -> NewLayer {
    NewLayer::Dense {
        weight: (0..outputs * inputs).map(|at| at as f32).collect(),
        bias: Some(vec![0.5; outputs]),
        outputs,
        activation: LayerActivation::Gelu,
    }
}

fn made(workshop: &Workshop, layers: Vec<NewLayer>) -> polygraft::Result<Bundle> {
    create(&CreateOptions { layers, ..workshop.options() }, &mut |_| {})
}

#[test]
fn layers_are_stated_and_their_weights_lie_with_the_others() {
    let workshop = Workshop::new();
    let bundle = made(&workshop, vec![dense(NARROW, HIDDEN), NewLayer::Normalise]).unwrap();
    let manifest = bundle.manifest();
    assert_eq!(manifest.version, 2);
    let [Layer::Dense { weight, bias, outputs, activation }, Layer::Normalise] =
        manifest.layers.as_slice()
    else {
        panic!("{:?}", manifest.layers);
    };
    assert_eq!((*outputs, *activation), (NARROW, LayerActivation::Gelu));
    let found = bundle.weights().get(weight).unwrap();
    assert_eq!(found.dims, [NARROW as i64, HIDDEN as i64]);
    let values: Vec<u8> = (0..NARROW * HIDDEN).flat_map(|at| (at as f32).to_le_bytes()).collect();
    assert_eq!(found.bytes, values);
    assert_eq!(bundle.weights().get(bias.as_ref().unwrap()).unwrap().dims, [NARROW as i64]);
    assert_eq!((bundle.pooler().size, bundle.interface().hidden), (NARROW, HIDDEN));

    let other = Workshop::new();
    let plain = other.create().unwrap();
    assert_eq!((plain.manifest().version, plain.pooler().size), (1, HIDDEN));
    let text = std::fs::read_to_string(plain.folder().join("manifest.json")).unwrap();
    assert!(!text.contains("layers"), "bundles without layers are written as ever");
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let workshop = Workshop::new();
    let chain = [dense(NARROW, HIDDEN), dense(HIDDEN, HIDDEN)];
    let short = NewLayer::Dense {
        weight: vec![0.0; 2 * HIDDEN],
        bias: Some(vec![0.0; 3]),
        outputs: 2,
        activation: LayerActivation::Tanh,
    };
    for layers in [
        vec![dense(NARROW, HIDDEN + 1)],
        chain.to_vec(),
        vec![short],
        vec![dense(0, 0)],
        vec![NewLayer::Normalise; 17],
    ] {
        let error = made(&workshop, layers).unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid, "{error}");
    }
}

/// Sets a field of the manifest.
type Edit = fn(&mut Value);

#[test]
fn a_manifest_that_contradicts_the_graph_about_layers_is_refused() {
    let workshop = Workshop::new();
    made(&workshop, vec![dense(NARROW, HIDDEN), NewLayer::Normalise]).unwrap();
    let path = workshop.path("bundle/manifest.json");
    let good = std::fs::read(&path).unwrap();
    let cases: Vec<(&str, Edit)> = vec![
        ("older readers would leave layers out", |value| value["version"] = json!(1)),
        ("no layers", |value| value["layers"] = json!([])),
        ("kind", |value| value["layers"][0]["kind"] = json!("attention")),
        ("activation", |value| value["layers"][0]["activation"] = json!("softmax")),
        ("weight", |value| value["layers"][0]["weight"] = json!("other")),
        ("bias", |value| value["layers"][0]["bias"] = value["layers"][0]["weight"].clone()),
        ("outputs", |value| value["layers"][0]["outputs"] = json!(NARROW + 1)),
        ("twice", |value| value["layers"][1] = value["layers"][0].clone()),
        ("many", |value| value["layers"] = json!(vec![json!({"kind": "normalise"}); 17])),
    ];
    for (what, edit) in cases {
        workshop.edit_manifest(edit);
        let error = workshop.error(Verify::Quick);
        assert_eq!(error.code(), Code::BundleManifest, "{what}: {error}");
        std::fs::write(&path, &good).unwrap();
    }
}
