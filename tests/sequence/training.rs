//! Learning to answer with texts: the loss and its gradients, and an update from end to end.

use crate::support::{FIXTURES, create, lesson, lesson_adapter};
use crate::{engine, oracle};
use polygraft::Code;
use polygraft::adapter::{Adapter, LoraConfig};
use polygraft::bundle::{Bundle, Encoding};
use polygraft::example::{Example, Input, Target, TaskKind};
use polygraft::language::Language;
use polygraft::model::{
    GenerateOptions, Model, ModelOptions, PredictOptions, Prediction, TaskOutput,
};
use polygraft::report::Decision;
use polygraft::runtime::{Mode, SessionOptions};
use polygraft::store::Store;
use polygraft::task::{Encoded, EncodedTarget, Sample, Task};
use polygraft::update::{MicroBatch, OptimizerOptions, TrainingSession, UpdateOptions};
use safetensors::SafeTensors;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// The rows of an int64 tensor up to their padding.
fn rows(lesson: &SafeTensors<'_>, name: &str, lengths: &[usize]) -> Vec<Vec<u32>> {
    let value = oracle::value(lesson, name);
    let width = value.shape()[1] as usize;
    let all = value.as_i64().unwrap().chunks_exact(width);
    all.zip(lengths)
        .map(|(row, &length)| row[..length].iter().map(|&id| id as u32).collect())
        .collect()
}

/// The batch of a lesson as samples.
fn samples(bundle: &Bundle, lesson: &SafeTensors<'_>) -> Vec<Sample> {
    let mask = oracle::value(lesson, "input/attention_mask");
    let width = mask.shape()[1] as usize;
    let count = |row: &[i64]| row.iter().filter(|&&one| one == 1).count();
    let lengths: Vec<usize> = mask.as_i64().unwrap().chunks_exact(width).map(count).collect();
    let weights = oracle::value(lesson, "weights");
    let width = weights.shape()[1] as usize;
    let count = |row: &[f32]| row.iter().filter(|&&weight| weight > 0.0).count();
    let targets: Vec<usize> = weights.as_f32().unwrap().chunks_exact(width).map(count).collect();
    let sources = rows(lesson, "input/input_ids", &lengths);
    let labels = rows(lesson, "labels", &targets);
    let start = bundle.decoder().unwrap().ids.decoder_start_token_id;
    let sample = |(ids, label): (Vec<u32>, Vec<u32>)| Sample {
        soft: None,
        input: Encoded {
            encoding: Encoding { ids, truncated: false, type_ids: Vec::new() },
            words: Vec::new(),
        },
        target: EncodedTarget::SequenceToSequence([vec![start], label].concat()),
    };
    sources.into_iter().zip(labels).map(sample).collect()
}

fn trainer(
    bundle: &Bundle,
    adapter: &Adapter,
    tokens_max: usize,
    smoothing: f32,
) -> TrainingSession {
    let limits = MicroBatch { tokens_max, bytes_max: 0, smoothing };
    let task = Task::of(TaskKind::SequenceToSequence);
    let engine = engine::engine();
    let options = SessionOptions { mode: Mode::Lean, threads: 1, ..SessionOptions::default() };
    TrainingSession::open(&engine, bundle, task, adapter.clone(), options, limits, None).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn loss_and_gradients_of_encoder_and_decoder_are_those_of_pytorch() {
    for name in FIXTURES {
        let place = tempfile::tempdir().unwrap();
        let bundle = create(name, place.path());
        let bytes = lesson(name);
        let lesson = SafeTensors::deserialize(&bytes).unwrap();
        let adapter = lesson_adapter(&bundle, &lesson);
        let samples = samples(&bundle, &lesson);
        let samples: Vec<&Sample> = samples.iter().collect();
        let task = Task::of(TaskKind::SequenceToSequence);
        let expected = oracle::value(&lesson, "loss").as_f32().unwrap()[0];
        // All rows in one run, and each in a run of its own: the same sums.
        for tokens_max in [4096, 1] {
            let trainer = trainer(&bundle, &adapter, tokens_max, 0.1);
            let (loss, gradients) = trainer.gradients(&bundle, task, &samples).unwrap();
            assert!((loss - f64::from(expected)).abs() < 1e-5 * loss, "{name}: {loss}, {expected}");
            let count = gradients.len();
            for (tensor, gradient) in adapter.tensors.keys().zip(gradients) {
                let wanted = oracle::value(&lesson, &format!("gradient/{tensor}"));
                let error = oracle::relative_error(&gradient, wanted.as_f32().unwrap());
                assert!(error < 2e-4, "{name}, {tensor}: {error}");
            }
            assert_eq!(count, adapter.tensors.len());
        }
    }
}

const TASK: &str = "switch";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

/// Commands about rooms, answered with what is to be done: two answers that share no letter.
fn commands(tag: &str, rooms: &[&str]) -> Vec<Example> {
    let mut examples = Vec::new();
    for room in rooms {
        for (text, answer) in [
            ("light on in the ROOM", "yes"),
            ("please light on, ROOM", "yes"),
            ("all dark in the ROOM", "no"),
            ("please all dark, ROOM", "no"),
        ] {
            examples.push(Example {
                language: language(tag),
                input: Input::Text(text.replace("ROOM", room)),
                target: Target::SequenceToSequence(answer.to_owned()),
            });
        }
    }
    examples
}

const ROOMS: [&str; 16] = [
    "hall", "attic", "garage", "kitchen", "office", "cellar", "garden", "bathroom", "bedroom",
    "balcony", "nursery", "terrace", "shed", "lobby", "studio", "porch",
];

fn open(place: &Path) -> Model {
    let bundle = place.join("bundle");
    if !bundle.exists() {
        create("mt5", place);
    }
    let store = Arc::new(Store::open(&place.join("store")).unwrap());
    let targets = ["q", "k", "v", "o", "wi_0", "wi_1", "wo", "lm_head"].map(str::to_owned).to_vec();
    let options = ModelOptions { threads: 1, targets, ..ModelOptions::default() };
    Model::open(&engine::engine(), &bundle, &store, &options).unwrap()
}

fn update_options(steps_max: usize) -> UpdateOptions {
    UpdateOptions {
        steps_max,
        epochs: 1000.0,
        threads: 1,
        label_smoothing: 0.05,
        lora: LoraConfig {
            targets: ["q", "k", "v", "o", "wi_0", "wi_1", "wo", "lm_head"]
                .map(str::to_owned)
                .to_vec(),
            ..LoraConfig::default()
        },
        optimizer: OptimizerOptions { learning_rate: 1e-2, ..OptimizerOptions::default() },
        ..UpdateOptions::default()
    }
}

fn text_of(prediction: &Prediction) -> String {
    match &prediction.output {
        TaskOutput::SequenceToSequence(generated) => generated.text.clone(),
        other => panic!("expected a text, found {other:?}"),
    }
}

fn predict(model: &Model, text: &str) -> (String, u32) {
    let options = PredictOptions::default();
    let prediction = model.predict(TASK, &language("en"), text, &options).unwrap();
    (text_of(&prediction), prediction.version)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_update_teaches_texts_measures_them_and_serves_them() {
    let place = tempfile::tempdir().unwrap();
    let model = open(place.path());
    let mut update = model.begin_update(TASK, update_options(120)).unwrap();
    for example in commands("en", &ROOMS) {
        update.add(example).unwrap();
    }
    let report = update.run(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.training.loss_last < 0.5 * report.training.loss_first, "{:?}", report.training);
    let english = report.languages.iter().find(|entry| entry.language == language("en")).unwrap();
    assert_eq!(english.decision, Decision::Activate, "{english:?}");
    update.commit().unwrap();

    // Another process would find the same.
    for model in [model, open(place.path())] {
        assert_eq!(predict(&model, "light on in the wine cellar"), ("yes".to_owned(), 1));
        assert_eq!(predict(&model, "all dark in the wine cellar"), ("no".to_owned(), 1));
        let held_back = commands("en", &["pantry", "stable"]);
        let scores = model.evaluate(TASK, &held_back, &mut |_, _| ControlFlow::Continue(()));
        let scores = scores.unwrap();
        assert_eq!(scores[0].evaluation.metrics[0].name, "chrf");
        assert!(scores[0].evaluation.metrics[0].value > 0.7, "{scores:?}");
    }

    // It is handed out as it grows, also by beams, and stops where it is told to.
    let model = open(place.path());
    let mut heard = String::new();
    let options = PredictOptions::default();
    let text = "all dark in the wine cellar";
    let one = model.generate(TASK, &language("en"), text, &options, &mut |chunk| {
        heard.push_str(chunk);
        ControlFlow::Continue(())
    });
    assert_eq!((heard.as_str(), one.unwrap().version), ("no", 1));
    let generate = GenerateOptions { num_beams: 3, ..GenerateOptions::default() };
    let options = PredictOptions { generate, ..PredictOptions::default() };
    let by_beams = model.predict(TASK, &language("en"), text, &options).unwrap();
    assert_eq!(text_of(&by_beams), "no");

    // A second update that teaches nonsense is kept out by the gate.
    let mut wrong = commands("en", &ROOMS[..8]);
    for example in &mut wrong {
        example.target = Target::SequenceToSequence("zzzz".to_owned());
    }
    let options = UpdateOptions { strategy: "naive".parse().unwrap(), ..update_options(20) };
    let mut update = model.begin_update(TASK, options).unwrap();
    for example in wrong {
        update.add(example).unwrap();
    }
    let report = update.run(&mut |_| ControlFlow::Continue(())).unwrap();
    let english = report.languages.iter().find(|entry| entry.language == language("en")).unwrap();
    assert_eq!(english.decision, Decision::Keep, "{english:?}");
}

#[test]
fn targets_without_tokens_and_too_long_ones_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut options = crate::support::options(crate::support::fixture("mt5"), place.path());
    options.target_tokens_max = Some(8);
    let bundle = polygraft::bundle::create_sequence(&options, &mut |_| {}).unwrap();
    let task = Task::of(TaskKind::SequenceToSequence);
    let bytes = lesson("mt5");
    let adapter = lesson_adapter(&bundle, &SafeTensors::deserialize(&bytes).unwrap());
    let input = task.encode(&bundle, &Input::Text("x".to_owned())).unwrap();
    let target = |text: &str| {
        task.target(&bundle, &adapter, &input, &Target::SequenceToSequence(text.to_owned()))
    };
    // The start, seven bytes, the end.
    let tokens = [vec![0], "1234567".bytes().map(|b| u32::from(b) + 3).collect(), vec![1]].concat();
    assert_eq!(target("1234567").unwrap(), EncodedTarget::SequenceToSequence(tokens));
    assert_eq!(target("12345678").unwrap_err().code(), Code::TaskTooLong);
    assert_eq!(target("").unwrap_err().code(), Code::TaskEmptyText);
    let label = Target::Classification("x".to_owned());
    let error = task.target(&bundle, &adapter, &input, &label).unwrap_err();
    assert_eq!(error.code(), Code::TaskKind);
    let pair = Input::Pair("a".to_owned(), "b".to_owned());
    assert_eq!(task.encode(&bundle, &pair).unwrap_err().code(), Code::TaskKind);

    let empty = Example {
        language: language("en"),
        input: Input::Text("x".to_owned()),
        target: Target::SequenceToSequence(String::new()),
    };
    assert!(empty.check().is_err());
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_encoder_of_a_sequence_bundle_serves_other_answers_too() {
    let place = tempfile::tempdir().unwrap();
    let model = open(place.path());
    let vectors = model.embed(&language("en"), None, &["a".into(), "bb".into()], true).unwrap();
    assert_eq!((vectors.len(), vectors[0].len()), (2, 32));
    let targets = ["q", "v"].map(str::to_owned).to_vec();
    let lora = LoraConfig { targets, ..LoraConfig::default() };
    let options = UpdateOptions { lora, new_labels: true, ..update_options(20) };
    let mut update = model.begin_update("kind", options).unwrap();
    for (index, room) in ROOMS.iter().enumerate() {
        let label = if index % 2 == 0 { "even" } else { "odd" };
        update.add(Example::labelled(language("en"), room, label)).unwrap();
    }
    update.run(&mut |_| ControlFlow::Continue(())).unwrap();
    // Nothing in the decoder is trained for it.
    for (adapter, _) in update.chosen().unwrap() {
        let mut names = adapter.adapter().tensors.keys();
        assert!(names.all(|name| !name.starts_with("decoder.")));
    }
}
