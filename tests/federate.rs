//! Rounds of many devices: what they say, how replies are averaged, and that nothing a device sends
//! changes what another one serves without having passed that one's gate.

#[path = "c/support.rs"]
mod support;

use polygraft::adapter::Adapter;
use polygraft::example::{Example, Target};
use polygraft::federate::{
    self, ApplyOptions, AskOptions, AverageOptions, Averaged, RoundAggregate, RoundMessage,
    RoundReply, RoundTraining,
};
use polygraft::federate::{ReplyOptions, apply, average};
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::runtime::Engine;
use polygraft::store::{ObjectHash, Store};
use polygraft::update::UpdateOptions;
use polygraft::{Code, Result};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

const TASK: &str = "light";

fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

fn examples(tag: &str, range: std::ops::Range<usize>) -> Vec<Example> {
    let example = |number: usize| {
        let text = format!("{} {number}", ["tree", "house"][number % 2]);
        Example::labelled(language(tag), &text, ["on", "off"][number % 2])
    };
    range.map(example).collect()
}

/// A bundle, a server with a first shared adapter, and devices that have the same adapter.
struct Fleet {
    folder: tempfile::TempDir,
    engine: Arc<Engine>,
    server: Model,
}

impl Fleet {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(Some(&support::onnxruntime())).unwrap();
        support::sequence_bundle(folder.path());
        let server = open(&engine, folder.path(), "server");
        let fleet = Self { folder, engine, server };
        teach(&fleet.server, examples("de", 0..40));
        fleet
    }

    /// A device with the server's first adapter, as it would be delivered.
    fn device(&self, name: &str) -> Model {
        let device = open(&self.engine, self.folder.path(), name);
        let base = self.ask(&AskOptions::default()).adapters.into_values().next().unwrap();
        let adapter = Adapter::from_bytes(&base).unwrap();
        let place = (TASK, &Language::shared());
        let options = polygraft::model::ImportOptions::default();
        let (predictor, store) = (device.predictor(), device.store());
        polygraft::update::import(predictor, store, place, (adapter, "delivery"), &options)
            .unwrap();
        device
    }

    fn ask(&self, options: &AskOptions) -> RoundMessage {
        let languages = vec![language("de"), language("tr")];
        let training = RoundTraining { steps_max: 4, ..options.training.clone() };
        let options = AskOptions { languages, training, ..options.clone() };
        RoundMessage::ask(&self.server, TASK, &options).unwrap()
    }

    fn average(&self, message: &[u8], replies: &[Vec<u8>]) -> Averaged {
        let replies: Vec<&[u8]> = replies.iter().map(Vec::as_slice).collect();
        average(self.server.store(), message, &replies, &AverageOptions::default()).unwrap()
    }
}

fn open(engine: &Arc<Engine>, folder: &Path, name: &str) -> Model {
    let store = Arc::new(Store::open(&folder.join(name)).unwrap());
    Model::open(engine, &folder.join("bundle"), &store, &ModelOptions::default()).unwrap()
}

fn teach(model: &Model, examples: Vec<Example>) {
    let mut options = UpdateOptions { steps_max: 3, ..UpdateOptions::default() };
    options.gate.enabled = false;
    options.lora.targets = vec!["q".into(), "v".into()];
    let mut update = model.begin_update(TASK, options).unwrap();
    examples.into_iter().for_each(|example| update.add(example).unwrap());
    update.run(&mut |_| ControlFlow::Continue(())).unwrap();
    update.commit().unwrap();
}

fn reply_with(
    model: &Model,
    message: &[u8],
    new: &[Example],
    how: &ReplyOptions,
) -> Result<RoundReply> {
    RoundReply::make(model, message, new, how, &mut |_| ControlFlow::Continue(()))
}

fn reply(model: &Model, message: &[u8], new: &[Example]) -> RoundReply {
    reply_with(model, message, new, &ReplyOptions::default()).unwrap()
}

/// The version that serves each of some languages.
fn serving(model: &Model) -> Vec<Option<ObjectHash>> {
    let snapshot = model.store().snapshot().unwrap();
    let of = |tag| snapshot.resolve(TASK, &language(tag)).map(|(_, version)| version.hash);
    ["de", "tr", "mul"].map(of).to_vec()
}

/// A reply whose delta of German is replaced, as a malicious device would send it.
fn with_delta(reply: &RoundReply, change: impl Fn(f32) -> f32) -> Vec<u8> {
    let mut reply = reply.clone();
    let bytes = reply.deltas.get_mut(&language("de")).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for chunk in bytes[header..].chunks_exact_mut(4) {
        let value = f32::from_le_bytes(chunk.try_into().unwrap());
        chunk.copy_from_slice(&change(value).to_le_bytes());
    }
    reply.to_bytes().unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_round_goes_around_and_activates_only_what_the_gate_lets_through() {
    let fleet = Fleet::new();
    let message = fleet.ask(&AskOptions::default()).to_bytes().unwrap();
    assert!(RoundMessage::from_bytes(&message).unwrap().to_bytes().unwrap() == message);
    let (one, two) = (fleet.device("one"), fleet.device("two"));
    let before = serving(&one);
    let versions = one.store().versions(None).unwrap();
    let first = reply(&one, &message, &examples("de", 100..130));
    assert_eq!((serving(&one), one.store().versions(None).unwrap()), (before.clone(), versions));
    let entry = &first.languages[&language("de")];
    assert!(entry.examples > 0 && entry.held_out > 0 && entry.norm.unwrap() > 0.0);
    assert!(entry.loss_before.is_some() && entry.accuracy_after.is_some());
    // The same examples from memory alone, and the same seed, give the same reply.
    assert!(reply(&one, &message, &[]) == first);
    let bytes = first.to_bytes().unwrap();
    assert!(RoundReply::from_bytes(&bytes).unwrap() == first);

    let mut mixed = examples("de", 200..220);
    mixed.extend(examples("tr", 0..20));
    let second = reply(&two, &message, &mixed).to_bytes().unwrap();
    let Averaged { aggregate, refused } = fleet.average(&message, &[bytes, second]);
    assert_eq!((refused.len(), aggregate.replies), (0, 2));
    assert_eq!(aggregate.languages[&language("de")].devices, 2);
    assert_eq!(aggregate.languages[&language("tr")].devices, 1);
    let bytes = aggregate.to_bytes().unwrap();
    assert!(RoundAggregate::from_bytes(&bytes).unwrap() == aggregate);
    let described = federate::describe(&bytes).unwrap();
    assert_eq!(described["body"]["languages"]["de"]["devices"], 2);

    // With no tolerance for what so few examples could hide, the device keeps its version; it has
    // nothing held out in Turkish, so it keeps that in any case.
    let strict = ApplyOptions { gate_margin: 0.0, ..ApplyOptions::default() };
    let applied = apply(&one, &bytes, &strict).unwrap();
    assert!(applied.iter().all(|one| !one.version.activated), "{applied:?}");
    assert_eq!(serving(&one), before);
    let lenient = ApplyOptions { gate_margin: 0.9, ..ApplyOptions::default() };
    let applied = apply(&one, &bytes, &lenient).unwrap();
    let activated: Vec<&str> = applied
        .iter()
        .filter(|one| one.version.activated)
        .map(|one| one.language.as_str())
        .collect();
    assert_eq!(activated, ["de"]);
    assert_eq!(serving(&one)[0], Some(aggregate.languages[&language("de")].hash));
    // A device that needs the base versions gets them in the same message.
    let bare = fleet.ask(&AskOptions { with_bases: false, ..AskOptions::default() });
    assert_ne!(bare.bases[&language("de")], aggregate.languages[&language("de")].hash);
    assert_eq!(bare.hash().unwrap(), RoundMessage::from_bytes(&message).unwrap().hash().unwrap());
    // The next round may start from there without carrying it.
    let always = ApplyOptions { activation: "always".to_owned(), ..ApplyOptions::default() };
    apply(&fleet.server, &bytes, &always).unwrap();
    let next = fleet.ask(&AskOptions { with_bases: false, round: 2, ..AskOptions::default() });
    assert_eq!(next.bases[&language("de")], aggregate.languages[&language("de")].hash);
    let next = next.to_bytes().unwrap();
    reply(&one, &next, &[]);
    let error = reply_with(&two, &next, &[], &ReplyOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::RoundMismatch, "{error}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn garbage_changes_neither_the_average_nor_what_a_device_serves() {
    let fleet = Fleet::new();
    let message = fleet.ask(&AskOptions::default()).to_bytes().unwrap();
    let device = fleet.device("one");
    let honest = reply(&device, &message, &examples("de", 100..130));
    let bytes = honest.to_bytes().unwrap();
    let alone = fleet.average(&message, std::slice::from_ref(&bytes)).aggregate;

    let elsewhere = RoundReply { message: ObjectHash::of(b"another"), ..honest.clone() };
    let mut other_base = honest.clone();
    other_base.languages.get_mut(&language("de")).unwrap().base = ObjectHash::of(b"another");
    let mut shorter = honest.clone();
    shorter.deltas.insert(language("de"), Vec::new());
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let garbage = vec![
        bytes.clone(),
        Vec::new(),
        b"nonsense".to_vec(),
        bytes[..bytes.len() - 40].to_vec(),
        flipped,
        elsewhere.to_bytes().unwrap(),
        other_base.to_bytes().unwrap(),
        shorter.to_bytes().unwrap(),
        with_delta(&honest, |_| f32::NAN),
        with_delta(&honest, |_| f32::INFINITY),
        with_delta(&honest, |value| value * 1e6),
        bytes.clone(),
    ];
    let Averaged { aggregate, refused } = fleet.average(&message, &garbage);
    let positions: Vec<usize> = refused.iter().map(|one| one.reply).collect();
    assert_eq!(positions, (1..garbage.len()).collect::<Vec<_>>(), "{refused:?}");
    assert!(aggregate.adapters == alone.adapters);

    // What is poisoned within the norm is averaged, and then meets the gate of the device.
    let steps = RoundTraining { clip_norm: 1_000.0, ..RoundTraining::default() };
    let message = fleet.ask(&AskOptions { training: steps, ..AskOptions::default() });
    let message = message.to_bytes().unwrap();
    let honest = reply(&device, &message, &[]);
    let norm = honest.languages[&language("de")].norm.unwrap();
    let factor = (-900.0 / norm) as f32;
    let poisoned = with_delta(&honest, |value| value * factor);
    let Averaged { aggregate, refused } = fleet.average(&message, &[poisoned]);
    assert!(refused.is_empty(), "{refused:?}");
    let bytes = aggregate.to_bytes().unwrap();
    for model in [&device, &fleet.server] {
        let before = serving(model);
        let applied = apply(model, &bytes, &ApplyOptions::default()).unwrap();
        assert!(!applied[0].version.activated, "{applied:?}");
        assert_eq!(serving(model), before);
    }

    // An aggregate with damaged bytes or of another bundle publishes nothing.
    let versions = device.store().versions(None).unwrap();
    let foreign = RoundAggregate { identity: "another".to_owned(), ..aggregate };
    let error = apply(&device, &foreign.to_bytes().unwrap(), &ApplyOptions::default());
    assert_eq!(error.unwrap_err().code(), Code::RoundMismatch);
    assert!(apply(&device, b"PGROUND\n", &ApplyOptions::default()).is_err());
    assert_eq!(device.store().versions(None).unwrap(), versions);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_near_language_without_devices_gets_a_part_of_what_its_neighbour_learnt() {
    let fleet = Fleet::new();
    let languages = ["de", "nl"].map(language).to_vec();
    let training = RoundTraining { steps_max: 4, ..RoundTraining::default() };
    let options = AskOptions { languages, training, ..AskOptions::default() };
    let message = RoundMessage::ask(&fleet.server, TASK, &options).unwrap().to_bytes().unwrap();
    let sent = reply(&fleet.device("one"), &message, &examples("de", 100..130));
    let sent = sent.to_bytes().unwrap();
    let shared = |sharing: &str| {
        let options = AverageOptions { sharing: sharing.to_owned(), ..AverageOptions::default() };
        average(fleet.server.store(), &message, &[&sent], &options).unwrap().aggregate
    };
    let alone = shared("none");
    assert_eq!(alone.languages.keys().collect::<Vec<_>>(), [&language("de")]);
    let both = shared("uriel");
    assert!(both.adapters[&language("de")] == alone.adapters[&language("de")]);
    let dutch = &both.languages[&language("nl")];
    let share = dutch.shares[&language("de")];
    assert_eq!((dutch.devices, dutch.shares.len()), (0, 1));
    assert!(share > 0.0 && share < 1.0, "{share}");
    assert_ne!(dutch.hash, both.languages[&language("de")].hash);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn deltas_are_clipped_and_noise_needs_a_seed_that_the_device_gives() {
    let fleet = Fleet::new();
    let device = fleet.device("one");
    let training = RoundTraining { clip_norm: 0.01, ..RoundTraining::default() };
    let message = fleet.ask(&AskOptions { training: training.clone(), ..AskOptions::default() });
    let message = message.to_bytes().unwrap();
    let clipped = reply(&device, &message, &examples("de", 100..130));
    let entry = &clipped.languages[&language("de")];
    assert!(entry.norm.unwrap() > 0.01 && entry.norm_clipped == Some(0.01), "{entry:?}");
    assert!(fleet.average(&message, &[clipped.to_bytes().unwrap()]).refused.is_empty());
    let demanding = ReplyOptions { noise_multiplier_min: 0.5, ..ReplyOptions::default() };
    let error = reply_with(&device, &message, &[], &demanding).unwrap_err();
    assert_eq!(error.code(), Code::RoundMismatch);

    let training = RoundTraining { noise_multiplier: 1.0, ..training };
    let message = fleet.ask(&AskOptions { training, ..AskOptions::default() }).to_bytes().unwrap();
    let error = reply_with(&device, &message, &[], &demanding).unwrap_err();
    assert_eq!(error.code(), Code::ArgumentInvalid);
    let seed =
        |digit: &str| ReplyOptions { noise_seed: Some(digit.repeat(64)), ..demanding.clone() };
    let noisy = reply_with(&device, &message, &[], &seed("1")).unwrap();
    let entry = &noisy.languages[&language("de")];
    assert_eq!((entry.norm, entry.loss_before, entry.held_out), (None, None, 0));
    assert!(noisy.deltas != reply_with(&device, &message, &[], &seed("2")).unwrap().deltas);
    assert!(fleet.average(&message, &[noisy.to_bytes().unwrap()]).refused.is_empty());
}

/// The product of a site's two factors, summed in another way than the library does.
fn product(adapter: &Adapter, module: &str) -> Vec<f64> {
    let (down, up) = (
        &adapter.tensors[&format!("{module}.lora_A")],
        &adapter.tensors[&format!("{module}.lora_B")],
    );
    let (rank, outputs) = (up.shape[0], up.shape[1]);
    let mut values = vec![0.0; down.shape[0] * outputs];
    for (at, value) in values.iter_mut().enumerate() {
        let (row, column) = (at / outputs, at % outputs);
        for inner in 0..rank {
            *value += f64::from(down.values[row * rank + inner])
                * f64::from(up.values[inner * outputs + column]);
        }
    }
    values
}

fn distance(one: &[f64], two: &[f64]) -> f64 {
    one.iter().zip(two).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn products_are_averaged_as_products_and_weighted_by_examples() {
    let fleet = Fleet::new();
    let training = |down_frozen| RoundTraining { down_frozen, ..RoundTraining::default() };
    for down_frozen in [false, true] {
        let options = AskOptions { training: training(down_frozen), ..AskOptions::default() };
        let message = fleet.ask(&options);
        let bytes = message.to_bytes().unwrap();
        let hash = message.bases[&language("de")];
        let base = Adapter::from_bytes(&message.adapters[&hash]).unwrap();
        let names = [format!("one {down_frozen}"), format!("two {down_frozen}")];
        let ranges = [100..150, 300..330];
        let replies: Vec<RoundReply> = names
            .iter()
            .zip(ranges)
            .map(|(name, range)| reply(&fleet.device(name), &bytes, &examples("de", range)))
            .collect();
        let sent: Vec<Vec<u8>> = replies.iter().map(|one| one.to_bytes().unwrap()).collect();
        let ends: Vec<(Adapter, f64)> = replies
            .iter()
            .map(|reply| (applied(&base, reply), reply.languages[&language("de")].examples as f64))
            .collect();
        let total: f64 = ends.iter().map(|(_, count)| count).sum();
        let made = |averaging: &str| {
            let options =
                AverageOptions { averaging: averaging.into(), ..AverageOptions::default() };
            let replies: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
            let made = average(fleet.server.store(), &bytes, &replies, &options).unwrap();
            Adapter::from_bytes(&made.aggregate.adapters[&language("de")]).unwrap()
        };
        let (exact, naive) = (made("product"), made("factors"));
        let (mut errors, mut length) = ([0.0, 0.0], 0.0);
        for module in base.tensors.keys().filter_map(|name| name.strip_suffix(".lora_A")) {
            let mut wanted = vec![0.0; product(&base, module).len()];
            for (end, count) in &ends {
                let share = count / total;
                let values = product(end, module);
                wanted.iter_mut().zip(values).for_each(|(sum, value)| *sum += share * value);
            }
            errors[0] += distance(&product(&exact, module), &wanted);
            errors[1] += distance(&product(&naive, module), &wanted);
            length += distance(&product(&base, module), &wanted);
        }
        match down_frozen {
            // The average of the second factors is exact, and nothing else is made.
            true => assert!(errors[0] < 1e-5 * length.max(1.0), "{errors:?} {length}"),
            false => assert!(errors[0] < errors[1], "{errors:?} {length}"),
        }
    }
}

/// The base with the delta of German added.
fn applied(base: &Adapter, reply: &RoundReply) -> Adapter {
    let bytes = &reply.deltas[&language("de")];
    let delta = polygraft::adapter::open_tensors(bytes, 10_000).unwrap();
    let mut result = base.clone();
    for (name, view) in delta.iter() {
        let tensor = result.tensors.get_mut(name).unwrap();
        let chunks = view.data().as_chunks::<4>().0;
        let pairs = tensor.values.iter().zip(chunks);
        tensor.values = pairs.map(|(value, chunk)| value + f32::from_le_bytes(*chunk)).collect();
    }
    result
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_round_asks_for_what_can_be_trained() {
    let fleet = Fleet::new();
    let ask = |tags: &[&str], task: &str, training: RoundTraining| {
        let languages = tags.iter().map(|tag| language(tag)).collect();
        let options = AskOptions { languages, training, ..AskOptions::default() };
        RoundMessage::ask(&fleet.server, task, &options).unwrap_err().code()
    };
    assert_eq!(ask(&[], TASK, RoundTraining::default()), Code::ArgumentInvalid);
    assert_eq!(ask(&["mul"], TASK, RoundTraining::default()), Code::ArgumentInvalid);
    assert_eq!(ask(&["de"], "other", RoundTraining::default()), Code::StoreNoVersion);
    let wild = RoundTraining { clip_norm: f64::NAN, ..RoundTraining::default() };
    assert_eq!(ask(&["de"], TASK, wild), Code::ArgumentInvalid);
    let message = fleet.ask(&AskOptions::default()).to_bytes().unwrap();
    let device = fleet.device("one");
    let error = reply_with(&device, &message, &[], &ReplyOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::UpdateNoExamples);
    let mut strange = examples("de", 0..20);
    strange[3].target = Target::Classification("blink".to_owned());
    let error = reply_with(&device, &message, &strange, &ReplyOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::TaskUnknownLabel);
}

fn small_message() -> Vec<u8> {
    let message = RoundMessage {
        task: TASK.to_owned(),
        round: 1,
        identity: "identity".to_owned(),
        seed: 7,
        bases: BTreeMap::from([(language("de"), ObjectHash::of(b"base"))]),
        training: RoundTraining::default(),
        adapters: BTreeMap::from([(ObjectHash::of(b"base"), Arc::from(&b"base"[..]))]),
    };
    message.to_bytes().unwrap()
}

proptest! {
    #[test]
    fn damaged_bytes_are_an_error_of_the_round(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
        sealed in any::<bool>(),
    ) {
        let mut bytes = small_message();
        let original = bytes.clone();
        for (at, with) in changes {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        bytes.truncate(length.index(bytes.len()) + 1);
        if sealed {
            // Somebody with a purpose sends a hash that fits.
            bytes.truncate(bytes.len().saturating_sub(32));
            let hash = ObjectHash::of(&bytes);
            bytes.extend(hash.as_bytes());
        }
        let outcomes = [
            RoundMessage::from_bytes(&bytes).map(|_| ()),
            RoundReply::from_bytes(&bytes).map(|_| ()),
            RoundAggregate::from_bytes(&bytes).map(|_| ()),
        ];
        for error in outcomes.into_iter().filter_map(Result::err) {
            prop_assert_eq!(error.code(), Code::RoundMalformed);
        }
        if !sealed && bytes != original {
            prop_assert!(RoundMessage::from_bytes(&bytes).is_err());
        }
    }
}
