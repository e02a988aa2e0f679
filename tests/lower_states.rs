//! Hidden states below the lowest adapter: what starts from kept ones gives what the whole graph
//! gives, on small encoders in several forms and in updates of the reference backbone.

mod support;

use polygraft::Code;
use polygraft::adapter::{Adapter, Component, Ia3Config, InputSignature, Kind, LoraConfig, attach};
use polygraft::example::{Example, Target};
use polygraft::graph::{Model as Graph, Shapes, Weights, values_behind};
use polygraft::inference::{LowerStates, Predictor, RunOptions};
use polygraft::model::Model;
use polygraft::report::Report;
use polygraft::runtime::{Mode, SessionOptions, log};
use polygraft::sites::{find_sites, states_below};
use polygraft::task::{Sample, Task};
use polygraft::update::{GateOptions, MicroBatch, Phase, TrainingSession, UpdateOptions};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::{TASK, engine, intents, language, open, proceed, quick};

/// What lies below an adapter in the top layers of a small encoder of two layers: the modules
/// behind the states, and the size of a state.
fn below(form: &str, layers: usize) -> Option<(Vec<String>, usize)> {
    let path = format!("tests/fixtures/tiny-bert-{form}/model.onnx");
    let mut model = Graph::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let weights = Weights::map(&model).unwrap();
    let opset = model.opset("").unwrap();
    let graph = model.graph_mut().unwrap();
    let sites = find_sites(graph, &weights);
    let lora = Component::Lora(LoraConfig::default()).in_top_layers(&sites, layers).unwrap();
    let own_count = graph.input.len();
    attach(graph, &sites, &InputSignature::of(&[lora], &sites).unwrap(), false).unwrap();
    let adapters: HashSet<&str> = graph.input[own_count..].iter().map(|info| info.name()).collect();
    let shapes = Shapes::infer(graph, opset, Some(&weights)).unwrap();
    let output = graph.output[0].name();
    let found = states_below(graph, &weights, &shapes, "input_ids", &adapters, output).unwrap()?;
    let behind = values_behind(graph, &[&found.value]).unwrap();
    assert!(adapters.iter().all(|name| !behind.contains(*name)), "{form}: an adapter is below");
    let sites = find_sites(graph, &weights);
    let is_behind = |node: &usize| behind.contains(&graph.node[*node].output[0]);
    let below = sites.iter().filter(|site| site.nodes.iter().any(is_behind));
    Some((below.map(|site| site.module.clone()).collect(), found.size))
}

#[test]
fn the_whole_lower_layer_lies_below_the_states_in_every_form() {
    for form in ["fused-erf", "fused-op", "decomposed-erf", "decomposed-op"] {
        let (modules, size) = below(form, 1).unwrap_or_else(|| panic!("{form}: no states"));
        assert_eq!(size, 32, "{form}");
        assert_eq!(modules.len(), 6, "{form}: {modules:?}");
        assert!(modules.iter().all(|module| module.starts_with("encoder.layer.0.")), "{form}");
        assert_eq!(below(form, 2), None, "{form}: nothing lies below the lowest layer");
    }
}

/// Trains a version on a few examples.
fn learn(model: &Model, task: &str, examples: &[Example], options: UpdateOptions) -> Report {
    let mut update = model.begin_update(task, options).unwrap();
    examples.iter().for_each(|example| update.add(example.clone()).unwrap());
    update.run(&mut proceed).unwrap();
    update.commit().unwrap()
}

fn adapter(model: &Model, task: &str) -> Adapter {
    let versions = model.store().versions(Some(task)).unwrap();
    Adapter::from_bytes(&model.store().read_object(&versions[0].hash).unwrap()).unwrap()
}

fn lower_states(predictor: &Predictor, adapter: &Adapter) -> Option<LowerStates> {
    let components = [adapter.components.as_slice()];
    predictor.lower_states(&components, (Mode::Lean, 2), 1 << 20, None).unwrap()
}

fn session(
    predictor: &Predictor,
    adapter: &Adapter,
    lower: Option<Arc<LowerStates>>,
) -> TrainingSession {
    let limits = MicroBatch { tokens_max: 48, bytes_max: 0, smoothing: 0.0 };
    let (task, options) = (Task::of(adapter.task), SessionOptions::default());
    let (engine, bundle) = (predictor.engine(), predictor.bundle());
    TrainingSession::open(engine, bundle, task, adapter.clone(), options, limits, lower).unwrap()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// Whether two lists of numbers agree within a part of the largest.
fn agree(found: &[f32], expected: &[f32], part: f32) -> bool {
    let most = part * largest(expected);
    let mut pairs = found.iter().zip(expected);
    found.len() == expected.len() && pairs.all(|(one, other)| (one - other).abs() <= most)
}

/// Intents with a tag on each word that begins in upper case.
fn tagged(count: usize) -> Vec<Example> {
    let of = |example: Example| {
        let polygraft::example::Input::Text(text) = &example.input else { panic!("no text") };
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let tag = |word: &String| {
            let is_name = word.starts_with(char::is_uppercase);
            if is_name { "B-name".to_owned() } else { "O".to_owned() }
        };
        let (label, tags) = (example.target.labels()[0].clone(), words.iter().map(tag).collect());
        let input = polygraft::example::Input::Words(words);
        Example { input, target: Target::IntentAndSlots { label, tags }, ..example }
    };
    intents("de", "train", 0, count).into_iter().map(of).collect()
}

/// Batches of any composition: neighbours and padding change nothing, whether states are computed
/// or kept.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn losses_gradients_and_outputs_are_those_of_the_whole_graph() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let factors = UpdateOptions { kind: Kind::Ia3, ia3: Ia3Config::default(), ..quick(3) };
    let sets = [
        ("labels", intents("de", "train", 0, 40), quick(3)),
        ("both", tagged(40), quick(3)),
        ("factors", intents("fi", "train", 0, 40), factors),
    ];
    for (task_name, examples, options) in sets {
        learn(&model, task_name, &examples, UpdateOptions { layers_top: 3, ..options });
        let adapter = adapter(&model, task_name);
        let modules = adapter.tensors.keys().filter(|name| name.contains("encoder.layer."));
        let tops = ["layer.9.", "layer.10.", "layer.11."];
        let is_top = |name: &String| tops.iter().any(|top| name.contains(top));
        assert!(modules.clone().count() > 0 && modules.clone().all(is_top), "{task_name}");

        let (predictor, task) = (model.predictor(), Task::of(adapter.task));
        let bundle = predictor.bundle();
        let lower = Arc::new(lower_states(predictor, &adapter).unwrap());
        let whole = session(predictor, &adapter, None);
        let upper = session(predictor, &adapter, Some(lower.clone()));
        assert!(upper.lower().is_some() && whole.lower().is_none());
        let loaded = predictor.load(adapter.clone()).unwrap();
        let sample = |example: &Example| {
            let input = task.encode(bundle, &example.input).unwrap();
            let target = task.target(bundle, &adapter, &input, &example.target).unwrap();
            Sample { input, target, soft: None }
        };
        let samples: Vec<Sample> = examples.iter().map(sample).collect();
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..6 {
            let count = random.usize(1..9);
            let chosen: Vec<&Sample> =
                (0..count).map(|_| &samples[random.usize(..samples.len())]).collect();
            let (expected, gradients) = whole.gradients(bundle, task, &chosen).unwrap();
            let (loss, found) = upper.gradients(bundle, task, &chosen).unwrap();
            assert!((loss - expected).abs() < 1e-5, "{task_name} {round}: {loss}, {expected}");
            assert!(expected > 1e-3, "there is something to learn: {expected}");
            let (found, gradients) = (found.concat(), gradients.concat());
            assert!(agree(&found, &gradients, 1e-3), "{task_name} {round}: gradients");

            let encodings: Vec<_> = chosen.iter().map(|one| &one.input.encoding).collect();
            let run = |lower| {
                let options = RunOptions { lower, ..RunOptions::default() };
                let ignore = &mut |_: usize, _: &str| ControlFlow::Continue(());
                predictor.run(&encodings, &loaded, task.request(), &options, ignore).unwrap()
            };
            let (expected, found) = (run(None), run(Some(&*lower)));
            assert!(agree(found.values(0), expected.values(0), 1e-4), "{task_name} {round}");
        }
        assert!(lower.kept().texts > 3 && lower.kept().memory_bytes > 0, "{:?}", lower.kept());
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_adapter_below_the_states_runs_through_all_layers() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let examples = intents("de", "train", 0, 30);
    learn(&model, "top", &examples, UpdateOptions { layers_top: 2, ..quick(2) });
    learn(&model, "all", &examples, quick(2));
    let predictor = model.predictor();
    assert!(lower_states(predictor, &adapter(&model, "all")).is_none());
    let lower = lower_states(predictor, &adapter(&model, "top")).unwrap();
    let all = predictor.load(adapter(&model, "all")).unwrap();
    let task = Task::of(all.adapter().task);
    let input = task.encode(predictor.bundle(), &examples[0].input).unwrap();
    let run = |lower| {
        let options = RunOptions { lower, ..RunOptions::default() };
        let ignore = &mut |_: usize, _: &str| ControlFlow::Continue(());
        let request = task.request();
        predictor.run(&[&input.encoding], &all, request, &options, ignore).unwrap()
    };
    assert_eq!(run(Some(&lower)).values(0), run(None).values(0));
    assert_eq!(lower.kept().texts, 0);
    let lower = Some(Arc::new(lower));
    assert!(session(predictor, &adapter(&model, "all"), lower).lower().is_none());
}

/// An update of two languages on a version of three, and the line that it logs.
fn two_updates(options: &UpdateOptions) -> (Vec<String>, Report, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let of = |skip, count| {
        ["en", "de", "fi"].iter().flat_map(move |tag| intents(tag, "train", skip, count))
    };
    let base = UpdateOptions { steps_max: 6, ..options.clone() };
    learn(&model, TASK, &of(0, 40).collect::<Vec<_>>(), base);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = lines.clone();
    let listen = move |message: &log::Message<'_>| {
        if message.text.starts_with("kept the hidden states") {
            heard.lock().unwrap().push(message.text.to_owned());
        }
    };
    let listener = engine().listen(log::Severity::Info, listen).unwrap();
    let new: Vec<Example> = of(40, 24).filter(|one| one.language != language("en")).collect();
    let report = learn(&model, TASK, &new, options.clone());
    drop(listener);
    let work = std::fs::read_dir(folder.path().join("work")).unwrap();
    assert_eq!(work.count(), 0, "the work area is empty again");
    let versions = model.store().versions(Some(TASK)).unwrap();
    let line = lines.lock().unwrap().last().cloned();
    (versions.iter().map(|version| version.hash.to_string()).collect(), report, line)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_update_is_the_same_with_kept_states_in_memory_in_a_file_and_without() {
    let gate = GateOptions { enabled: false, ..GateOptions::default() };
    let memory = UpdateOptions { layers_top: 3, gate, seed: 5, ..quick(8) };
    let (versions, report, line) = two_updates(&memory);
    let line = line.expect("the update says what it kept");
    assert!(line.ends_with(" bytes in memory, 0 in a file"), "{line}");
    assert_eq!(two_updates(&memory).0, versions, "the same seed gives the same bytes");

    let file = UpdateOptions { lower_states_bytes_max: 1, ..memory.clone() };
    let (in_file, _, line) = two_updates(&file);
    assert!(line.as_ref().is_some_and(|line| line.contains(" 0 bytes in memory")), "{line:?}");
    assert_eq!(in_file, versions);

    let (_, plain, line) = two_updates(&UpdateOptions { lower_states_bytes_max: 0, ..memory });
    assert_eq!(line, None);
    let losses = |report: &Report| [report.training.loss_first, report.training.loss_last];
    for (kept, whole) in losses(&report).iter().zip(losses(&plain)) {
        assert!((kept - whole).abs() < 1e-4, "{kept}, {whole}");
    }
    for (kept, whole) in report.languages.iter().zip(&plain.languages) {
        assert_eq!((&kept.language, kept.before), (&whole.language, whole.before));
        assert_eq!((kept.after, kept.chosen), (whole.after, whole.chosen), "{}", kept.language);
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_update_that_was_stopped_goes_on_to_the_same_bytes() {
    let options = UpdateOptions { layers_top: 3, checkpoint_steps: 1, seed: 2, ..quick(8) };
    let run = |stops: bool| {
        let folder = tempfile::tempdir().unwrap();
        let model = open(folder.path());
        let begin = || {
            let mut update = model.begin_update(TASK, options.clone()).unwrap();
            intents("de", "train", 0, 60).into_iter().for_each(|one| update.add(one).unwrap());
            update
        };
        if stops {
            let stop = &mut |progress: &polygraft::update::Progress| match progress.phase {
                Phase::Train if progress.step >= 3 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            };
            assert_eq!(begin().run(stop).unwrap_err().code(), Code::Cancelled);
        }
        let mut update = begin();
        update.run(&mut proceed).unwrap();
        update.commit().unwrap();
        adapter(&model, TASK).to_bytes().unwrap()
    };
    assert!(run(true) == run(false));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_has_no_layers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let refused = |options: UpdateOptions| {
        let mut update = model.begin_update(TASK, options).unwrap();
        intents("de", "train", 0, 30).into_iter().for_each(|one| update.add(one).unwrap());
        let error = update.run(&mut proceed).unwrap_err();
        assert_eq!(error.code(), Code::ArgumentInvalid, "{error}");
        assert!(error.message().contains("layers_top"), "{error}");
    };
    refused(UpdateOptions { layers_top: 2, kind: Kind::Bottleneck, ..quick(2) });
}
