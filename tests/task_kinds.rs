//! Every kind of answer on the reference backbone: learn, gate, commit, answer, measure.

mod support;

use polygraft::Code;
use polygraft::bundle::{Bundle, Verify};
use polygraft::example::{Example, Input, Number, Target, TextSpan};
use polygraft::model::{Model, PredictOptions, Prediction, Tagging, TaskOutput};
use polygraft::update::UpdateOptions;
use std::ops::ControlFlow;
use std::path::Path;
use support::{language, open, proceed, quick};

/// Learns the examples in a first version and opens the store again.
fn learn(folder: &Path, examples: &[Example], options: UpdateOptions) -> Model {
    let model = open(folder);
    let mut update = model.begin_update("task", options).unwrap();
    for example in examples {
        update.add(example.clone()).unwrap();
    }
    update.run(&mut proceed).unwrap();
    update.commit().unwrap();
    open(folder)
}

/// As many steps as asked for, however few the examples.
fn thorough(steps: usize) -> UpdateOptions {
    UpdateOptions { epochs: 100.0, ..quick(steps) }
}

fn predict(model: &Model, input: impl Into<Input>) -> Prediction {
    model.predict("task", &language("en"), input, &PredictOptions::default()).unwrap()
}

fn tagging(prediction: Prediction) -> Tagging {
    prediction.output.tagging().expect("tags").clone()
}

fn example(input: Input, target: Target) -> Example {
    Example { language: language("en"), input, target }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

const ROOMS: [&str; 12] = [
    "kitchen", "bathroom", "bedroom", "garage", "office", "garden", "hall", "cellar", "balcony",
    "attic", "nursery", "terrace",
];

/// Sentences about lights and blinds in a room, with intent and tags.
fn commands() -> Vec<(&'static str, String, String)> {
    let mut commands = Vec::new();
    for room in ROOMS {
        for (intent, text, tags) in [
            ("on", "turn on the light in the ROOM", "O O O B-thing O O B-room"),
            ("off", "switch off all lights in the ROOM please", "O O O B-thing O O B-room O"),
            ("open", "open the blinds of the ROOM", "O O B-thing O O B-room"),
            ("close", "now close the ROOM window blinds", "O O O B-room B-thing I-thing"),
        ] {
            commands.push((intent, text.replace("ROOM", room), tags.to_owned()));
        }
    }
    commands
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_label_and_tags_come_from_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let examples: Vec<Example> = commands()
        .into_iter()
        .map(|(intent, text, tags)| {
            let answer = Target::IntentAndSlots { label: intent.to_owned(), tags: words(&tags) };
            example(Input::Words(words(&text)), answer)
        })
        .collect();
    let model = learn(folder.path(), &examples, thorough(60));
    let text = "please turn on the  light in the playroom!";
    let output = predict(&model, text).output;
    let TaskOutput::IntentAndSlots(labels, given) = output else { panic!("{output:?}") };
    assert_eq!(labels[0].label, "on");
    let room = given.spans.iter().find(|span| span.kind == "room").expect("a room");
    assert!(text[room.byte_start..room.byte_end].starts_with("playroom"));
    assert_eq!(given.words.len(), 9, "{:?}", given.words);

    // Words of the caller keep their places, in bytes and in characters.
    let split = Input::Words(words("öffne open the blinds of the käfig"));
    let given = tagging(predict(&model, split));
    let last = given.words.last().expect("seven words");
    assert_eq!((last.byte_start, last.byte_end), (30, 36));
    assert_eq!((last.char_start, last.char_end), (29, 34));

    let scores = model.evaluate("task", &examples, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert!(scores[0].evaluation.metrics[0].value > 0.8, "{scores:?}");
    let pair = Input::Pair("a".to_owned(), "b".to_owned());
    let error = model.predict("task", &language("en"), pair, &PredictOptions::default());
    assert_eq!(error.unwrap_err().code(), Code::TaskKind);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn scripts_without_spaces_are_tagged_character_by_character() {
    let folder = tempfile::tempdir().unwrap();
    let mut examples = Vec::new();
    for room in ["客厅", "卧室", "厨房", "书房"] {
        for (before, after) in [("打开", "的灯"), ("关闭", "的灯"), ("请打开", "的窗帘")]
        {
            let text = format!("{before}{room}{after}");
            let bytes = before.len()..before.len() + room.len();
            let span = TextSpan { kind: "room".to_owned(), bytes };
            examples.push(Example::with_spans(language("en"), &text, &[span], None).unwrap());
        }
    }
    let model = learn(folder.path(), &examples, thorough(50));
    let text = "关闭餐厅的灯。";
    let given = tagging(predict(&model, text));
    assert_eq!(given.words.len(), 7);
    assert_eq!((given.words[2].byte_start, given.words[2].char_start), (6, 2));
    let [room] = &given.spans[..] else { panic!("{:?}", given.spans) };
    assert_eq!(&text[room.byte_start..room.byte_end], "餐厅");
    // The caller may hand over the characters, too; then each is tokenized by itself.
    let split = text.chars().map(String::from).collect();
    assert_eq!(tagging(predict(&model, Input::Words(split))).words.len(), 7);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn characters_that_share_a_token_are_one_span_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut examples = Vec::new();
    for room in ["ห้องนอน", "ห้องโถง", "ห้องน้ำ", "ห้องเรียน", "โรงรถ", "ระเบียง"]
    {
        for (before, after) in [("เปิดไฟ", "ครับ"), ("ปิดไฟ", ""), ("ช่วยเปิดไฟ", "หน่อย")]
        {
            let text = format!("{before}{room}{after}");
            let bytes = before.len()..before.len() + room.len();
            let span = TextSpan { kind: "room".to_owned(), bytes };
            examples.push(Example::with_spans(language("th"), &text, &[span], None).unwrap());
        }
    }
    let model = learn(folder.path(), &examples, thorough(60));
    let text = "ปิดไฟห้องนอนหน่อย";
    let options = PredictOptions::default();
    let given = tagging(model.predict("task", &language("th"), text, &options).unwrap());
    let [room] = &given.spans[..] else { panic!("{:?}", given.spans) };
    assert_eq!(&text[room.byte_start..room.byte_end], "ห้องนอน");
    // Every character has a tag, and there are more of them than tokens.
    assert!(given.words.iter().all(|word| word.probability > 0.0), "{:?}", given.words);
    let bundle = Bundle::open(&support::cache("bundle/e5-small"), Verify::Quick).unwrap();
    let tokens = bundle.tokenizer().encode(text, 100).unwrap().ids.len();
    assert!(given.words.len() > tokens, "{} words, {tokens} tokens", given.words.len());
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn what_is_behind_the_model_s_reach_has_no_tag() {
    let folder = tempfile::tempdir().unwrap();
    let examples: Vec<Example> = commands()
        .into_iter()
        .take(12)
        .map(|(_, text, tags)| {
            example(Input::Words(words(&text)), Target::TokenClassification(words(&tags)))
        })
        .collect();
    let model = learn(folder.path(), &examples, quick(2));
    let many = vec!["light".to_owned(); 700];
    let prediction = predict(&model, Input::Words(many));
    assert!(prediction.truncated);
    let given = tagging(prediction);
    assert!(given.words[100].probability > 0.0 && given.words[699].tag.is_empty());
    // One word alone that is longer than the model reads.
    let prediction = predict(&model, Input::Words(vec!["ab1".repeat(2_000)]));
    assert!(prediction.truncated && !tagging(prediction).words[0].tag.is_empty());
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn any_number_of_labels_may_apply() {
    let folder = tempfile::tempdir().unwrap();
    let mut examples = Vec::new();
    for room in ROOMS {
        for (text, labels) in [
            ("turn on the light in the ROOM", vec!["light"]),
            ("how warm is it in the ROOM", vec!["heating"]),
            ("light and heating in the ROOM please", vec!["heating", "light"]),
            ("tell me a story about the ROOM", vec![]),
        ] {
            let labels = labels.into_iter().map(str::to_owned).collect();
            examples.push(example(
                text.replace("ROOM", room).as_str().into(),
                Target::MultiLabel(labels),
            ));
        }
    }
    let model = learn(folder.path(), &examples, thorough(40));
    let applying = |text: &str| -> Vec<String> {
        let mut found: Vec<String> =
            predict(&model, text).output.applying().into_iter().map(str::to_owned).collect();
        found.sort();
        found
    };
    assert_eq!(applying("light and heating in the lounge please"), ["heating", "light"]);
    assert_eq!(applying("tell me a story about the lounge"), Vec::<String>::new());
    assert_eq!(applying("turn on the light in the lounge"), ["light"]);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn pairs_of_texts_are_judged_by_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut examples = Vec::new();
    for (index, room) in ROOMS.iter().enumerate() {
        let other = ROOMS[(index + 5) % ROOMS.len()];
        let first = format!("the {room} is cold");
        for (second, number) in [
            (format!("it is cold in the {room}"), 40.0),
            (format!("the {other} is dark"), 20.0),
            ("a cat sat on a ship".to_owned(), 0.0),
        ] {
            let input = Input::Pair(first.clone(), second);
            examples.push(example(input, Target::Regression(Number(number))));
        }
    }
    let model = learn(folder.path(), &examples, thorough(60));
    let similarity = |second: &str| {
        let input = Input::Pair("the lounge is cold".to_owned(), second.to_owned());
        let output = predict(&model, input).output;
        let TaskOutput::Regression(number) = output else { panic!("{output:?}") };
        number
    };
    let (same, unlike) =
        (similarity("it is cold in the lounge"), similarity("a dog sat on a boat"));
    assert!(same > 25.0 && unlike < 15.0, "{same} {unlike}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn embeddings_of_like_texts_are_near() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(folder.path());
    let texts = ["turn on the light", "Schalte das Licht ein", "The cat sat on a ship"];
    let inputs: Vec<Input> = texts.into_iter().map(Input::from).collect();
    let vectors = model.embed(&language("en"), None, &inputs, true).unwrap();
    let cosine = |a: usize, b: usize| -> f32 {
        vectors[a].iter().zip(&vectors[b]).map(|(left, right)| left * right).sum()
    };
    assert!((cosine(0, 0) - 1.0).abs() < 1e-5);
    assert!(cosine(0, 1) > cosine(0, 2) + 0.05, "{} {}", cosine(0, 1), cosine(0, 2));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn kinds_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let model = learn(folder.path(), &support::intents("en", "train", 0, 40), quick(2));
    let mut update = model.begin_update("task", quick(2)).unwrap();
    let tagged =
        |tags: &str| example(Input::Words(words("a b")), Target::TokenClassification(words(tags)));
    let broken = update.add(tagged("O I-x")).unwrap_err();
    assert_eq!(broken.code(), Code::ArgumentInvalid);
    assert!(broken.to_string().contains("tag 2 is \"I-x\""), "{broken}");
    assert_eq!(update.add(tagged("O")).unwrap_err().code(), Code::ArgumentInvalid);
    update.add(tagged("O B-x")).unwrap();
    let label = Example::labelled(language("en"), "a text", "a label");
    assert_eq!(update.add(label).unwrap_err().code(), Code::TaskKind);
    assert_eq!(update.run(&mut proceed).unwrap_err().code(), Code::TaskKind);
    let empty = example("a".into(), Target::SequenceToSequence("  ".to_owned()));
    let mut texts = model.begin_update("other", quick(2)).unwrap();
    assert_eq!(texts.add(empty).unwrap_err().code(), Code::ArgumentInvalid);
}
