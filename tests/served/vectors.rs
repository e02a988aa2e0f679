//! Poolings and the layers after them: in a bundle, in what is served and in what is learnt.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use polygraft::Code;
use polygraft::adapter::{Adapter, HEAD_WEIGHT, LoraConfig};
use polygraft::bundle::{
    Bundle, CreateOptions, LayerActivation, NewLayer, Pooling, Verify, create,
};
use polygraft::example::{Example, Input, TaskKind};
use polygraft::model::{Model, PredictOptions};
use polygraft::store::Store;
use polygraft::update::{GateOptions, OptimizerOptions, UpdateOptions};

use crate::small::{HIDDEN, TASK, bundle, english, head, open, options, tokenizer};

const NARROW: usize = 3;

fn weight() -> Vec<f32> {
    (0..NARROW * HIDDEN).map(|at| 0.5 * (at as f32 * 1.3).cos()).collect()
}

const BIAS: [f32; NARROW] = [0.1, -0.2, 0.3];

fn layers() -> Vec<NewLayer> {
    let dense = NewLayer::Dense {
        weight: weight(),
        bias: Some(BIAS.to_vec()),
        outputs: NARROW,
        activation: LayerActivation::Tanh,
    };
    vec![dense, NewLayer::Normalise]
}

fn layered(folder: &Path, pooling: Pooling) -> Bundle {
    let usual = options(folder, pooling.name(), &tokenizer());
    create(&CreateOptions { pooling, layers: layers(), ..usual }, &mut |_| {}).unwrap()
}

/// The rows that the small encoder gives for a text; that of the begin of a word is zero.
fn states(bundle: &Bundle, text: &str) -> Vec<Vec<f64>> {
    let ids = bundle.tokenizer().encode(text, 32).unwrap().ids;
    let value = |at: usize| f64::from(((at * 7) as f32 * 0.37).sin());
    let row = |id: u32| match id {
        2 => vec![0.0; HIDDEN],
        id => (0..HIDDEN).map(|column| value(id as usize * HIDDEN + column)).collect(),
    };
    ids.into_iter().map(row).collect()
}

fn pooled(pooling: Pooling, states: &[Vec<f64>]) -> Vec<f64> {
    let weights: Vec<f64> = match pooling {
        Pooling::Mean => vec![1.0; states.len()],
        Pooling::WeightedMean => (1..=states.len()).map(|at| at as f64).collect(),
        Pooling::Cls => return states[0].clone(),
        Pooling::Last => return states[states.len() - 1].clone(),
        Pooling::Max => {
            let largest = |at: usize| states.iter().map(|row| row[at]).fold(f64::MIN, f64::max);
            return (0..HIDDEN).map(largest).collect();
        }
    };
    let total: f64 = weights.iter().sum();
    let sum = |at: usize| states.iter().zip(&weights).map(|(row, weight)| row[at] * weight).sum();
    (0..HIDDEN)
        .map(|at| {
            let sum: f64 = sum(at);
            sum / total
        })
        .collect()
}

/// What the layers make of a pooled state.
fn passed(vector: &[f64]) -> Vec<f64> {
    let weight = weight();
    let rows = weight.chunks(HIDDEN).zip(BIAS);
    let dense: Vec<f64> = rows
        .map(|(row, bias)| {
            let sum: f64 = row.iter().zip(vector).map(|(a, b)| f64::from(*a) * b).sum();
            (sum + f64::from(bias)).tanh()
        })
        .collect();
    let length = dense.iter().map(|value| value * value).sum::<f64>().sqrt();
    dense.iter().map(|value| value / length).collect()
}

fn model(folder: &Path, bundle: &Bundle) -> Model {
    let store = Arc::new(Store::open(&folder.join(bundle.manifest().pooling.name())).unwrap());
    open(bundle.folder(), &store).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn vectors_are_those_of_loops_whatever_runs_together() {
    let folder = tempfile::tempdir().unwrap();
    let texts = ["a", "a b c d", "c b", "e f g h i j k l m"];
    let inputs: Vec<Input> = texts.iter().map(|text| (*text).into()).collect();
    for &pooling in Pooling::ALL {
        let bundle = layered(folder.path(), pooling);
        assert_eq!(bundle.pooler().size, NARROW);
        let stores = tempfile::tempdir().unwrap();
        let model = model(stores.path(), &bundle);
        let found = model.embed(&english(), None, &inputs, false).unwrap();
        for (text, found) in texts.iter().zip(&found) {
            let expected = passed(&pooled(pooling, &states(&bundle, text)));
            assert_eq!(found.len(), NARROW);
            for (found, expected) in found.iter().zip(&expected) {
                let difference = (f64::from(*found) - expected).abs();
                assert!(difference < 1e-5, "{pooling} {text}: {found}, expected {expected}");
            }
        }
        // Scaling to length 1 is nothing new for a vector of that length.
        let scaled = model.embed(&english(), None, &inputs, true).unwrap();
        for (one, other) in scaled.concat().iter().zip(found.concat()) {
            assert!((one - other).abs() < 1e-6, "{one} {other}");
        }
    }
}

/// Texts whose last letter decides.
fn examples() -> Vec<Example> {
    let letters: Vec<char> = ('a'..='v').collect();
    let text = |at: usize, last: char| {
        let letter = |at: usize| letters[at % letters.len()];
        format!("{} {} {last}", letter(at), letter(at * 5 + 3))
    };
    let both = |at: usize| [(text(at, 'a'), "on"), (text(at, 'b'), "off")];
    let pairs = (0..22).flat_map(both);
    pairs.map(|(text, label)| Example::labelled(english(), &text, label)).collect()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_update_learns_through_every_pooling_and_its_layers() {
    let folder = tempfile::tempdir().unwrap();
    for &pooling in Pooling::ALL {
        let bundle = layered(folder.path(), pooling);
        let stores = tempfile::tempdir().unwrap();
        let model = model(stores.path(), &bundle);
        let options = UpdateOptions {
            gate: GateOptions { enabled: false, ..GateOptions::default() },
            lora: LoraConfig { targets: vec!["query".to_owned()], ..LoraConfig::default() },
            steps_max: 60,
            threads: 1,
            new_labels: true,
            optimizer: OptimizerOptions { learning_rate: 0.02, ..OptimizerOptions::default() },
            ..UpdateOptions::default()
        };
        let mut update = model.begin_update(TASK, options).unwrap();
        for example in examples() {
            update.add(example).unwrap();
        }
        update.run(&mut |_| ControlFlow::Continue(())).unwrap();
        let training = update.commit().unwrap().training;
        // The first token only says that a word begins.
        let learns = training.loss_last < training.loss_first;
        assert!(learns || pooling == Pooling::Cls, "{pooling}: {training:?}");
        let versions = model.store().versions(None).unwrap();
        let adapter =
            Adapter::from_bytes(&model.store().read_object(&versions[0].hash).unwrap()).unwrap();
        assert_eq!(adapter.tensors[HEAD_WEIGHT].shape, [NARROW, 2]);
        assert_eq!(adapter.reading.as_ref(), Some(bundle.reading()));
        // The last token is the letter that decides.
        if pooling == Pooling::Last {
            for (text, label) in [("c e a", "on"), ("c e b", "off")] {
                let usual = PredictOptions::default();
                let found = model.predict(TASK, &english(), text, &usual).unwrap();
                assert_eq!(found.output.labels().unwrap()[0].label, label, "{text}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn layers_belong_to_the_identity_and_tags_read_hidden_states() {
    let folder = tempfile::tempdir().unwrap();
    let plain = bundle(folder.path());
    let layered = layered(folder.path(), Pooling::Mean);
    assert_ne!(plain.backbone_hash(), layered.backbone_hash());
    let normalised = CreateOptions {
        layers: vec![NewLayer::Normalise],
        ..options(folder.path(), "normalised", &tokenizer())
    };
    let normalised = create(&normalised, &mut |_| {}).unwrap();
    assert_eq!(plain.backbone_hash(), normalised.backbone_hash());
    assert_ne!(plain.identity(), normalised.identity());
    assert_eq!(normalised.reading().layers.as_deref(), Some("normalise"));
    assert_eq!(layered.reading().layers.as_deref(), Some("dense 3 tanh, normalise"));
    let again = Bundle::open(layered.folder(), Verify::Full).unwrap();
    assert_eq!(again.identity(), layered.identity());

    let serve = |bundle: &Bundle, adapter: &Adapter| {
        let place = tempfile::tempdir().unwrap();
        let store = crate::small::store(place.path(), adapter);
        let model = open(bundle.folder(), &store)?;
        model.predict(TASK, &english(), "a b", &PredictOptions::default())
    };
    let own = head(&plain, TaskKind::Classification);
    serve(&plain, &own).unwrap();
    let error = serve(&normalised, &own).unwrap_err();
    assert_eq!(error.code(), Code::AdapterIdentityMismatch, "{error}");
    assert!(error.to_string().contains("layers: trained with none, the bundle has"), "{error}");
    // A head over the whole input reads the vector, one over tokens their states.
    let wide = Adapter { backbone: layered.backbone_hash().to_owned(), ..own };
    assert_eq!(serve(&layered, &wide).unwrap_err().code(), Code::AdapterTensors);
    serve(&layered, &head(&layered, TaskKind::TokenClassification)).unwrap();
}
