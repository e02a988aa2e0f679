//! Every kind of adapter, trained by an update and served by one open model, on the real bundle.

mod support;

use polygraft::adapter::{Adapter, BottleneckConfig, HEAD_BIAS, Kind, Placement};
use polygraft::example::Example;
use polygraft::model::{Model, PredictOptions};
use polygraft::report::{CandidateKind, Report};
use polygraft::update::{GateOptions, StrategyKind, UpdateOptions};
use std::path::Path;
use support::{inputs, intents, language, open, proceed, quick};

/// One task per kind, so that one store holds them all.
fn task(kind: Kind) -> &'static str {
    match kind {
        Kind::Lora => "intent-lora",
        Kind::Bottleneck => "intent-bottleneck",
        Kind::Ia3 => "intent-ia3",
    }
}

fn options(kind: Kind, steps_max: usize) -> UpdateOptions {
    UpdateOptions {
        kind,
        bottleneck: BottleneckConfig {
            reduction_factor: 24.0,
            ..BottleneckConfig::of(Placement::AfterNorm)
        },
        gate: GateOptions { enabled: false, ..GateOptions::default() },
        ..quick(steps_max)
    }
}

fn update(model: &Model, kind: Kind, examples: &[Example], options: UpdateOptions) -> Report {
    let mut update = model.begin_update(task(kind), options).unwrap();
    for example in examples {
        update.add(example.clone()).unwrap();
    }
    update.run(&mut proceed).unwrap();
    update.commit().unwrap()
}

fn answers(model: &Model, kind: Kind) -> Vec<(String, f32)> {
    let texts = intents("de", "test", 0, 4);
    let options = PredictOptions { top_k: 3, ..PredictOptions::default() };
    let predictions =
        model.predict_batch(task(kind), &language("de"), &inputs(&texts), &options).unwrap();
    let labels = predictions.iter().flat_map(|prediction| prediction.output.labels().unwrap());
    labels.map(|score| (score.label.clone(), score.probability)).collect()
}

fn close(found: &[(String, f32)], expected: &[(String, f32)]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.0, expected.0);
        assert!((found.1 - expected.1).abs() < 1e-5, "{found:?} {expected:?}");
    }
}

/// The active adapter of German.
fn active(model: &Model, kind: Kind) -> Adapter {
    let store = model.store();
    let versions = store.versions(Some(task(kind))).unwrap();
    let own = versions.iter().rfind(|version| version.language == language("de")).unwrap();
    Adapter::from_bytes(&store.read_object(&own.hash).unwrap()).unwrap()
}

fn train_all(folder: &Path) -> Vec<(Kind, Vec<(String, f32)>)> {
    let model = open(folder);
    let (first, second) = (
        [intents("en", "train", 0, 60), intents("de", "train", 0, 60)].concat(),
        [intents("fi", "train", 60, 30), intents("de", "train", 60, 30)].concat(),
    );
    let mut expected = Vec::new();
    // Query and value of 12 layers with two tensors each, and two heads: there are no other inputs.
    let mut inputs = model.predictor().adapter_inputs_count();
    assert_eq!(inputs, 2 * 12 * 2 + 2 * 2);
    for kind in Kind::ALL {
        let report = update(&model, *kind, &first, options(*kind, 10));
        let training = &report.training;
        assert!(training.loss_last < training.loss_first, "{kind:?} {training:?}");
        let before = active(&model, *kind);
        assert_eq!(before.components.len(), 1);
        assert_eq!(before.components[0].kind(), *kind);
        // The second update continues the adapter that is there, whatever kind the options state.
        let strategy = StrategyKind::Uriel;
        let update_options = UpdateOptions { strategy, ..options(Kind::Lora, 4) };
        let report = update(&model, *kind, &second, update_options);
        let kinds: Vec<CandidateKind> = report
            .languages
            .iter()
            .flat_map(|entry| entry.candidates.iter().map(|candidate| candidate.kind))
            .collect();
        assert!(kinds.contains(&CandidateKind::Shared), "{kinds:?}");
        let after = active(&model, *kind);
        assert_eq!(after.components, before.components);
        let moved = |name: &String| after.tensors[name].values != before.tensors[name].values;
        let still: Vec<&String> = before.tensors.keys().filter(|name| !moved(name)).collect();
        assert!(still.is_empty(), "{kind:?}: {still:?}");
        assert!(after.tensors[HEAD_BIAS].values.iter().all(|value| value.is_finite()));
        expected.push((*kind, answers(&model, *kind)));
        // Low-rank adapters were served from the start; each other kind brought its own inputs.
        let now = model.predictor().adapter_inputs_count();
        assert_eq!(now > inputs, *kind != Kind::Lora, "{kind:?}: {inputs} {now}");
        inputs = now;
    }
    // In the session with everything, in any order.
    for (kind, expected) in expected.iter().rev().chain(&expected) {
        close(&answers(&model, *kind), expected);
    }
    expected
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_kind_is_trained_and_swapped_in_one_open_model() {
    let folder = tempfile::tempdir().unwrap();
    let expected = train_all(folder.path());
    // Each alone, in a model that has seen no other kind.
    for (kind, expected) in &expected {
        let fresh = open(folder.path());
        close(&answers(&fresh, *kind), expected);
    }
    // From one kind to the other in a model that begins with neither.
    let swapping = open(folder.path());
    let begun = swapping.predictor().adapter_inputs_count();
    for (kind, expected) in &expected {
        close(&answers(&swapping, *kind), expected);
    }
    assert!(swapping.predictor().adapter_inputs_count() > begun);
    // All at once, while the session grows under them.
    let growing = open(folder.path());
    std::thread::scope(|scope| {
        for (kind, expected) in &expected {
            let model = &growing;
            scope.spawn(move || {
                for _ in 0..3 {
                    close(&answers(model, *kind), expected);
                }
            });
        }
    });
}
