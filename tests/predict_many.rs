//! Inputs in many languages in one call: each is answered by the version of its language, with the
//! numbers that a call of its own gives.

mod support;

use polygraft::Code;
use polygraft::adapter::{
    Adapter, BottleneckConfig, Component, HeadName, Ia3Config, LoraConfig, NumberScale, Placement,
    Tensor, tensor_shapes,
};
use polygraft::example::{Input, TaskKind};
use polygraft::inference::{LoadedAdapter, heads};
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions, PredictOptions, Prediction, TaskOutput};
use polygraft::runtime::Operators;
use polygraft::store::{NewVersion, Store};
use std::sync::Arc;
use support::{cache, engine, language, open};

/// The largest difference of two probabilities, or of two numbers.
const TOLERANCE: f32 = 1e-5;

/// Sixty-four registered languages.
const TAGS: [&str; 64] = [
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "br", "bs", "ca", "cs", "cy", "da", "de", "el",
    "en", "eo", "es", "et", "eu", "fa", "fi", "fr", "fy", "ga", "gd", "gl", "gu", "ha", "he", "hi",
    "hr", "hu", "hy", "id", "is", "it", "ja", "jv", "ka", "kk", "km", "kn", "ko", "ku", "ky", "la",
    "lo", "lt", "lv", "mg", "mk", "ml", "mn", "mr", "ms", "my", "ne", "nl", "no", "om", "or", "pa",
];

const TEXTS: [&str; 7] = [
    "turn on the light",
    "ışığı kapat",
    "mach bitte im großen Wohnzimmer alle Lampen aus, sobald es draußen hell wird",
    "打开客厅的灯",
    "an",
    "quelle heure est-il ?",
    "включи музыку на кухне",
];

fn lora(rank: usize, targets: &[&str]) -> Component {
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    Component::Lora(LoraConfig { rank, targets, ..LoraConfig::default() })
}

fn outputs(kind: TaskKind, seed: usize) -> (Vec<String>, Vec<String>) {
    let labels = |count: usize| (0..count).map(|index| format!("label {index}")).collect();
    let tags = ["O", "B-thing", "I-thing", "B-room", "I-room"];
    let tags = |count: usize| tags[..count].iter().map(|tag| (*tag).to_owned()).collect();
    // Versions of one task may know different labels.
    match kind {
        TaskKind::Regression => (labels(1), Vec::new()),
        TaskKind::TokenClassification => (Vec::new(), tags(3 + seed % 3)),
        TaskKind::IntentAndSlots => (labels(2 + seed % 4), tags(3 + seed % 3)),
        _ => (labels(2 + seed % 4), Vec::new()),
    }
}

/// An adapter with random tensors that are large enough to matter.
fn adapter(model: &Model, kind: TaskKind, components: &[Component], seed: usize) -> Adapter {
    let mut random = fastrand::Rng::with_seed(seed as u64);
    let mut tensor = |shape: &[usize], middle: f32| Tensor {
        shape: shape.to_vec(),
        values: (0..shape.iter().product::<usize>())
            .map(|_| middle + 0.2 * (random.f32() - 0.5))
            .collect(),
    };
    let predictor = model.predictor();
    let (bundle, sites) = (predictor.bundle(), predictor.sites(kind).unwrap());
    let shapes = tensor_shapes(components, sites).unwrap();
    let middle = |name: &str| if name.ends_with(".ia3") { 1.0 } else { 0.0 };
    let mut tensors: std::collections::BTreeMap<String, Tensor> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let middle = middle(&name);
            (name, tensor(&shape, middle))
        })
        .collect();
    let (labels, tags) = outputs(kind, seed);
    let hidden = bundle.interface().hidden;
    for (head, count) in [(HeadName::Labels, labels.len()), (HeadName::Tags, tags.len())] {
        if count > 0 {
            tensors.insert(head.weight().to_owned(), tensor(&[hidden, count], 0.0));
            tensors.insert(head.bias().to_owned(), tensor(&[count], 0.0));
        }
    }
    let (backbone, reading) = (bundle.backbone_hash().to_owned(), Some(bundle.reading().clone()));
    Adapter {
        labels,
        tags,
        reading,
        task: kind,
        scale: (kind == TaskKind::Regression)
            .then_some(NumberScale { mean: 3.0, standard_deviation: 2.0 }),
        ..Adapter::headless(backbone, components.to_vec(), tensors)
    }
}

/// Publishes one version a language, in one step.
fn publish(model: &Model, task: &str, versions: Vec<(&str, Adapter)>) {
    let new = |(tag, adapter): (&str, Adapter)| NewVersion {
        language: language(tag),
        bytes: adapter.to_bytes().unwrap().into(),
        activate: true,
        evidence: serde_json::Value::Null,
    };
    let versions: Vec<NewVersion> = versions.into_iter().map(new).collect();
    model.store().publish(task, &versions).unwrap();
}

fn near(found: f32, expected: f32, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= TOLERANCE * expected.abs().max(1.0), "{what}: {found}, expected {expected}");
}

fn assert_same(found: &Prediction, expected: &Prediction, what: &str) {
    assert_eq!((&found.language, found.version), (&expected.language, expected.version), "{what}");
    assert_eq!(found.truncated, expected.truncated, "{what}");
    assert_eq!(found.output.kind(), expected.output.kind(), "{what}");
    if let (Some(found), Some(expected)) = (found.output.labels(), expected.output.labels()) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for one in expected {
            let same = found.iter().find(|other| other.label == one.label).expect(what);
            near(same.probability, one.probability, what);
        }
    }
    if let (Some(found), Some(expected)) = (found.output.tagging(), expected.output.tagging()) {
        assert_eq!(found.words.len(), expected.words.len(), "{what}");
        for (found, expected) in found.words.iter().zip(&expected.words) {
            assert_eq!(found.tag, expected.tag, "{what}");
            near(found.probability, expected.probability, what);
        }
        assert_eq!(found.spans.len(), expected.spans.len(), "{what}");
    }
    if let (TaskOutput::Regression(found), TaskOutput::Regression(expected)) =
        (&found.output, &expected.output)
    {
        near(*found as f32, *expected as f32, what);
    }
}

/// All inputs in one call, and each in a call of its own.
fn check(model: &Model, task: &str, inputs: &[(Language, Input)]) -> Vec<Prediction> {
    let options = PredictOptions::default();
    let found = model.predict_many(task, inputs, &options).unwrap();
    assert_eq!(found.len(), inputs.len());
    for (position, ((language, input), found)) in inputs.iter().zip(&found).enumerate() {
        let alone = model.predict(task, language, input.clone(), &options).unwrap();
        assert_same(found, &alone, &format!("input {position} in {language}"));
    }
    found
}

fn inputs(tags: &[&str], count: usize) -> Vec<(Language, Input)> {
    let one = |index: usize| {
        // Neighbours in the call are in different languages, and of different lengths.
        let text = TEXTS[(index * 3 + index / TEXTS.len()) % TEXTS.len()];
        (language(tags[index % tags.len()]), Input::Text(text.to_owned()))
    };
    (0..count).map(one).collect()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn sixty_four_versions_answer_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let kind = TaskKind::Classification;
    // Different ranks, and products at different layers.
    let components = |seed: usize| match seed % 3 {
        0 => lora(8, &["query", "value"]),
        1 => lora(1 + seed % 5, &["query"]),
        _ => lora(4, &["value"]),
    };
    let versions = TAGS.iter().enumerate();
    let versions =
        versions.map(|(seed, tag)| (*tag, adapter(&model, kind, &[components(seed)], seed)));
    publish(&model, "task", versions.collect());
    let found = check(&model, "task", &inputs(&TAGS, 100));
    for (index, one) in found.iter().enumerate() {
        assert_eq!(one.language, language(TAGS[index % 64]), "each by its own version");
    }
    let options = PredictOptions { top_k: 1, ..PredictOptions::default() };
    let first = model.predict_many("task", &inputs(&TAGS, 3), &options).unwrap();
    assert!(first.iter().all(|one| one.output.labels().unwrap().len() == 1));
}

/// Otherwise every call above would have runs for each version, with the right answers.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn texts_with_different_adapters_share_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let kind = TaskKind::Classification;
    let predictor = model.predictor();
    let load = |seed: usize| predictor.load(adapter(&model, kind, &[lora(seed, &["query"])], seed));
    let loaded = [load(3).unwrap(), load(5).unwrap()];
    assert!(loaded.iter().all(LoadedAdapter::runs_together));
    let tokenizer = predictor.bundle().tokenizer();
    let texts = TEXTS.map(|text| tokenizer.encode(text, 64).unwrap());
    let (texts, adapters) = (texts.each_ref(), loaded.each_ref());
    let which = [1, 0, 1, 1, 0, 0, 1];
    let found = predictor.run_together(&texts, (&adapters, &which), &[heads::LOGITS], None);
    let found = found.unwrap().expect("a run for both");
    // Three texts with five labels, and four with three.
    assert_eq!([0, 1].map(|at| found[at].values(0).len()), [3 * 5, 4 * 3]);
    let (order, both) = (predictor.batches_together(&texts, (&adapters, &which)), 1);
    assert_eq!(order.len(), both);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_kind_of_task_and_every_kind_of_adapter_may_be_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let bottleneck = Component::Bottleneck(BottleneckConfig {
        reduction_factor: 48.0,
        ..BottleneckConfig::of(Placement::Sequential)
    });
    let ia3 = Component::Ia3(Ia3Config::default());
    let forms = [
        ("de", vec![lora(8, &["query", "value"])]),
        ("en", vec![ia3.clone()]),
        ("tr", vec![lora(3, &["query"]), bottleneck.clone()]),
        ("ja", vec![lora(2, &["value", "output.dense"])]),
        ("mul", vec![bottleneck, ia3]),
        ("fi", vec![lora(4, &["query", "value"])]),
    ];
    // The last one is served by the shared version.
    let tags = ["de", "en", "tr", "ja", "fi", "de", "zxx"];
    for kind in TaskKind::ALL.iter().filter(|kind| !kind.generates_text()) {
        let task = format!("{kind:?}").to_lowercase();
        let versions = forms
            .iter()
            .enumerate()
            .map(|(seed, (tag, components))| (*tag, adapter(&model, *kind, components, seed)));
        publish(&model, &task, versions.collect());
        let found = check(&model, &task, &inputs(&tags, 20));
        assert_eq!(found[6].language, Language::shared());
        assert_eq!(found[6].output.kind(), *kind);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn standard_operators_give_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let options =
        ModelOptions { threads: 2, operators: Operators::Standard, ..ModelOptions::default() };
    let model = Model::open(&engine(), &cache("bundle/e5-small"), &store, &options).unwrap();
    let kind = TaskKind::IntentAndSlots;
    let tags = ["de", "en", "tr"];
    let versions = tags.iter().enumerate();
    let versions =
        versions.map(|(seed, tag)| (*tag, adapter(&model, kind, &[lora(4, &["query"])], seed)));
    publish(&model, "task", versions.collect());
    check(&model, "task", &inputs(&tags, 9));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let kind = TaskKind::Classification;
    publish(&model, "task", vec![("de", adapter(&model, kind, &[lora(2, &["query"])], 1))]);
    let options = PredictOptions::default();
    assert!(model.predict_many("task", &[], &options).unwrap().is_empty());
    let mut asked = inputs(&["de"], 3);
    asked[1].0 = language("ja");
    let error = model.predict_many("task", &asked, &options).unwrap_err();
    assert_eq!(error.code(), Code::StoreNoVersion);
    assert!(error.to_string().contains("ja"), "{error}");
    asked[1] = (language("de"), Input::Words(vec!["Licht".to_owned()]));
    let error = model.predict_many("task", &asked, &options).unwrap_err();
    assert_eq!(error.code(), Code::TaskKind);
    assert!(error.to_string().contains("text 2 of 3"), "{error}");
}

/// A version whose numbers are not finite fails the call by its name, whoever else is in it.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_version_that_gives_no_numbers_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let kind = TaskKind::Classification;
    let good = adapter(&model, kind, &[lora(2, &["query"])], 1);
    let mut bad = adapter(&model, kind, &[lora(2, &["query"])], 2);
    let bias = bad.tensors.get_mut(HeadName::Labels.bias()).unwrap();
    bias.values = vec![f32::MAX; bias.values.len()].into();
    let weight = bad.tensors.get_mut(HeadName::Labels.weight()).unwrap();
    weight.values = vec![f32::MAX; weight.values.len()].into();
    publish(&model, "task", vec![("de", good), ("fi", bad)]);
    let options = PredictOptions::default();
    let error = model.predict_many("task", &inputs(&["de", "fi"], 4), &options).unwrap_err();
    assert_eq!(error.code(), Code::RuntimeNotFinite, "{error}");
    assert!(error.to_string().contains("version 1 of fi"), "{error}");
    check(&model, "task", &inputs(&["de"], 4));
}
