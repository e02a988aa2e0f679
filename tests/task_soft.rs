//! Soft targets on the reference backbone. The gradient of every loss on its head's outputs is the
//! difference between outputs and targets, so a share of the model's own outputs in the targets
//! takes the same share from every gradient, and all of it takes everything.

mod support;

use polygraft::adapter::Adapter;
use polygraft::example::{Example, Input, Number, Target};
use polygraft::inference::{Predictor, RunOptions};
use polygraft::runtime::SessionOptions;
use polygraft::task::{Encoded, Sample, Task};
use polygraft::update::{MicroBatch, TrainingSession};
use std::ops::ControlFlow;
use support::{language, open, proceed, quick};

const TEXTS: [&str; 6] = [
    "turn on the light",
    "switch it off now please",
    "open the blinds of the kitchen",
    "turn off the lamp",
    "close them",
    "lights on in the hall",
];

/// Examples with these targets, one for each text.
fn examples(target: impl Fn(usize, &str) -> Target) -> Vec<Example> {
    let one = |(index, text): (usize, &&str)| {
        let target = target(index, text);
        let input = match target.tags().len() {
            0 => Input::Text((*text).to_owned()),
            _ => Input::Words(text.split(' ').map(str::to_owned).collect()),
        };
        Example { language: language("en"), input, target }
    };
    TEXTS.iter().enumerate().map(one).collect()
}

fn name(index: usize) -> String {
    ["on", "off", "open"][index % 3].to_owned()
}

fn tags(text: &str) -> Vec<String> {
    let tag = |(place, _)| if place == 2 { "B-thing".to_owned() } else { "O".to_owned() };
    text.split(' ').enumerate().map(tag).collect()
}

/// The version that a few steps on the examples give.
fn learn(model: &polygraft::model::Model, task: &str, examples: &[Example]) -> Adapter {
    let mut update = model.begin_update(task, quick(4)).unwrap();
    examples.iter().for_each(|example| update.add(example.clone()).unwrap());
    update.run(&mut proceed).unwrap();
    update.commit().unwrap();
    let store = model.store();
    let versions = store.versions(Some(task)).unwrap();
    Adapter::from_bytes(&store.read_object(&versions[0].hash).unwrap()).unwrap()
}

/// The samples of the examples, with the adapter's own outputs as this share of their targets.
fn samples(
    predictor: &Predictor,
    adapter: &Adapter,
    examples: &[Example],
    share: f32,
) -> Vec<Sample> {
    let (bundle, task) = (predictor.bundle(), Task::of(adapter.task));
    let encode = |example: &Example| task.encode(bundle, &example.input).unwrap();
    let inputs: Vec<Encoded> = examples.iter().map(encode).collect();
    let inputs: Vec<&Encoded> = inputs.iter().collect();
    let encodings: Vec<_> = inputs.iter().map(|input| &input.encoding).collect();
    let loaded = predictor.load(adapter.clone()).unwrap();
    let ignore = &mut |_: usize, _: &str| ControlFlow::Continue(());
    let options = RunOptions::default();
    let raw = predictor.run(&encodings, &loaded, task.request(), &options, ignore).unwrap();
    let soft = task.soft_targets(adapter, &inputs, &raw, share).unwrap();
    let sample = |((input, example), soft): ((&&Encoded, &Example), _)| Sample {
        input: (*input).clone(),
        target: task.target(bundle, adapter, input, &example.target).unwrap(),
        soft: Some(soft),
    };
    inputs.iter().zip(examples).zip(soft).map(sample).collect()
}

fn session(predictor: &Predictor, adapter: &Adapter) -> TrainingSession {
    // Some of the samples run alone, so that the longest of a run differs.
    let limits = MicroBatch { tokens_max: 24, bytes_max: 0, smoothing: 0.0 };
    let (task, options) = (Task::of(adapter.task), SessionOptions::default());
    let (engine, bundle) = (predictor.engine(), predictor.bundle());
    TrainingSession::open(engine, bundle, task, adapter.clone(), options, limits, None).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_share_of_the_models_own_outputs_takes_that_share_of_every_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let sets = [
        ("label", examples(|index, _| Target::Classification(name(index)))),
        ("labels", examples(|index, _| Target::MultiLabel(vec![name(index)]))),
        ("number", examples(|index, _| Target::Regression(Number(index as f64)))),
        ("tags", examples(|_, text| Target::TokenClassification(tags(text)))),
        (
            "both",
            examples(|index, text| Target::IntentAndSlots { label: name(index), tags: tags(text) }),
        ),
    ];
    for (task, examples) in sets {
        let adapter = learn(&model, task, &examples);
        let predictor = model.predictor();
        let session = session(predictor, &adapter);
        let of = |share| {
            let samples = samples(predictor, &adapter, &examples, share);
            let (bundle, samples) = (predictor.bundle(), samples.iter().collect::<Vec<_>>());
            session.gradients(bundle, Task::of(adapter.task), &samples).unwrap().1.concat()
        };
        let plain = of(0.0);
        let largest = plain.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(largest > 1e-3, "{task}: there is something to learn: {largest}");
        for share in [0.25, 1.0] {
            for (plain, mixed) in plain.iter().zip(of(share)) {
                let error = (mixed - (1.0 - share) * plain).abs() / largest;
                assert!(error < 1e-3, "{task}, {share}: {mixed} of {plain}");
            }
        }
    }
}
