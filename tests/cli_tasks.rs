//! The command with every kind of answer: real bundle, real sentences, little training.

#![cfg(feature = "cli")]

mod cli_support;

use cli_support::{Ran, cache, polygraft, run};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A store, and examples for it, in a folder of their own.
struct Place {
    folder: tempfile::TempDir,
    bundle: PathBuf,
}

impl Place {
    fn new(examples: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("examples.jsonl"), examples).unwrap();
        Self { folder, bundle: cache("bundle/e5-small") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command on this store and the bundle.
    fn command(&self, name: &str) -> Command {
        let mut command = polygraft();
        command.args([name, "--json", "--task", "task", "--threads", "2", "--bundle"]);
        command.arg(&self.bundle).arg("--store").arg(self.path("store"));
        command
    }

    fn update(&self, more: &[&str]) -> Ran {
        let mut command = self.command("update");
        command.args(["--new-labels", "--mode", "fast", "--examples"]);
        run(command.arg(self.path("examples.jsonl")).args(more))
    }

    /// The answers to lines of standard input.
    fn predict(&self, more: &[&str], input: &str) -> Vec<Value> {
        let mut command = self.command("predict");
        command.args(["--language", "de"]).args(more).arg("-");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ran: Ran = running.wait_with_output().unwrap().into();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.json_lines()
    }

    fn eval(&self) -> Value {
        let ran = run(self.command("eval").arg("--examples").arg(self.path("examples.jsonl")));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.json()
    }
}

/// Sentences with an intent and slots; words of Japanese are characters.
const SLOTS: [(&str, &[&str], &[&str], &str); 8] = [
    ("de", &["Licht", "in", "der", "Küche", "an"], &["O", "O", "O", "B-area", "O"], "on"),
    ("de", &["Lampe", "im", "Wohnzimmer", "aus"], &["O", "O", "B-area", "O"], "off"),
    ("de", &["Mach", "das", "Bad", "hell"], &["O", "O", "B-area", "O"], "on"),
    (
        "de",
        &["Schalte", "den", "großen", "Flur", "ab"],
        &["O", "O", "B-area", "I-area", "O"],
        "off",
    ),
    ("ja", &["台", "所", "の", "電", "気", "を", "つ", "け", "て"], JA_TAGS, "on"),
    ("ja", &["寝", "室", "の", "電", "気", "を", "消", "し", "て"], JA_TAGS, "off"),
    ("ja", &["居", "間", "の", "電", "気", "を", "つ", "け", "て"], JA_TAGS, "on"),
    ("ja", &["玄", "関", "の", "電", "気", "を", "消", "し", "て"], JA_TAGS, "off"),
];
const JA_TAGS: &[&str] = &["B-area", "I-area", "O", "O", "O", "O", "O", "O", "O"];

/// Several spellings of each sentence, so that some are held out.
fn slots() -> String {
    let mut lines = String::new();
    for more in 0..6 {
        for (lang, words, tags, label) in SLOTS {
            let (mut words, mut tags) = (words.to_vec(), tags.to_vec());
            let number = more.to_string();
            words.push(&number);
            tags.push("O");
            // Japanese as it is written, with a tag for each character.
            let line = match lang {
                "ja" => json!({"lang": lang, "text": words.concat(), "tags": tags, "label": label}),
                _ => json!({"lang": lang, "words": words, "tags": tags, "label": label}),
            };
            lines.push_str(&format!("{line}\n"));
        }
    }
    lines
}

/// What stands between two numbered characters of a text.
fn characters(text: &str, start: &Value, end: &Value) -> String {
    let (start, end) = (start.as_u64().unwrap() as usize, end.as_u64().unwrap() as usize);
    text.chars().skip(start).take(end - start).collect()
}

fn bytes<'a>(text: &'a str, start: &Value, end: &Value) -> &'a str {
    &text[start.as_u64().unwrap() as usize..end.as_u64().unwrap() as usize]
}

/// Every place is that of its text, the words are all that is visible, and spans are those that the
/// tags mark.
fn check_places(text: &str, answer: &Value) {
    let tagged = answer["tagged"].as_array().unwrap();
    for one in tagged.iter().chain(answer["spans"].as_array().unwrap()) {
        let own = one["text"].as_str().unwrap();
        assert_eq!(bytes(text, &one["byte_start"], &one["byte_end"]), own);
        assert_eq!(characters(text, &one["char_start"], &one["char_end"]), own);
    }
    let words: String = tagged.iter().map(|word| word["text"].as_str().unwrap()).collect();
    assert_eq!(words, text.split_whitespace().collect::<String>());
    let mut begun = Vec::new();
    let mut before = "O";
    for (position, word) in tagged.iter().enumerate() {
        let tag = word["tag"].as_str().unwrap();
        if let Some(kind) = tag.strip_prefix("I-") {
            assert_eq!(before.get(2..), Some(kind), "{tag} after {before} in {text}");
        }
        if tag.starts_with("B-") {
            begun.push(json!(position));
        }
        before = tag;
    }
    let spans = answer["spans"].as_array().unwrap();
    assert_eq!(spans.iter().map(|span| span["first_word"].clone()).collect::<Vec<_>>(), begun);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn intents_and_slots_are_learnt_together_and_found_in_raw_text() {
    let place = Place::new(&slots());
    let updated = place.update(&["--epochs", "12", "--learning-rate", "0.003"]);
    assert_eq!(updated.code, 0, "{}", updated.stderr);

    let text = "Mach das Licht  in der Küche an!";
    let answers = place.predict(&["--top-k", "1"], &format!("{text}\n台所の電気を消して\n"));
    assert_eq!(answers.len(), 2);
    assert_eq!((&answers[0]["kind"], &answers[0]["text"]), (&json!("label+tags"), &json!(text)));
    assert_eq!(answers[0]["labels"].as_array().unwrap().len(), 1);
    check_places(text, &answers[0]);
    check_places("台所の電気を消して", &answers[1]);
    // Twelve passes over eight sentences are enough for a sentence that is nearly one of them.
    assert_eq!(answers[0]["spans"][0]["text"], "Küche", "{}", answers[0]);
    assert_eq!(answers[1]["spans"][0]["text"], "台所", "{}", answers[1]);

    let words = r#"["Licht", "in", "der", "Küche", "aus"]"#;
    let answer = place.predict(&["--words"], words).remove(0);
    check_places("Licht in der Küche aus", &answer);
    assert_eq!(answer["tagged"].as_array().unwrap().len(), 5);

    check_cut(&place);

    // The metrics follow from the answers to the same examples.
    let examples = place.path("examples.jsonl");
    let predicted = run(place.command("predict").arg("--examples").arg(&examples));
    let measured = place.eval();
    assert_eq!(measured["kind"], "label+tags");
    for language in measured["languages"].as_array().unwrap() {
        check_metrics(language, &predicted.json_lines());
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn spans_of_raw_texts_are_learnt_where_they_stand() {
    let rooms = ["台所", "寝室", "居間", "玄関", "浴室", "書斎"];
    let kinds = [("Küche", 0), ("Bad", 1), ("Flur", 2), ("Keller", 3), ("Büro", 4), ("Hof", 5)];
    let mut lines = String::new();
    for (german, room) in kinds {
        let (room, end) = (rooms[room], 9 + german.len());
        // In bytes, as C counts, and in characters.
        let span = json!({"kind": "area", "byte_start": 9, "byte_end": end});
        let text = format!("Licht im {german}, bitte an!");
        lines.push_str(&json!({"lang": "de", "text": text, "spans": [span]}).to_string());
        let span = json!({"kind": "area", "char_start": 2, "char_end": 4});
        let text = format!("この{room}の電気");
        lines.push_str(&format!("\n{}\n", json!({"lang": "ja", "text": text, "spans": [span]})));
    }
    let place = Place::new(&lines);
    let updated = place.update(&["--epochs", "25", "--learning-rate", "0.003"]);
    assert_eq!(updated.code, 0, "{}", updated.stderr);
    let texts = ["Licht im Saal, bitte an!", "この車庫の電気"];
    let answers = place.predict(&[], &format!("{}\n{}\n", texts[0], texts[1]));
    for ((answer, text), expected) in answers.iter().zip(texts).zip(["Saal", "車庫"]) {
        check_places(text, answer);
        assert_eq!(answer["spans"][0]["text"], expected, "{answer}");
    }
    // An answer is a valid example as it stands.
    let fields = ["lang", "text", "spans"].map(|name| (name.to_owned(), answers[1][name].clone()));
    let line = Value::Object(fields.into_iter().collect());
    fs::write(place.path("answered.jsonl"), line.to_string()).unwrap();
    let measured =
        run(place.command("eval").arg("--examples").arg(place.path("answered.jsonl"))).json();
    assert_eq!(measured["languages"][0]["metrics"]["span_f1"], 1.0, "{measured}");
}

/// More words than the model reads, and a word that is longer, are truncated and marked as such.
fn check_cut(place: &Place) {
    let many: Vec<String> = (0..700).map(|number| format!("w{number}")).collect();
    let long = ["an".repeat(3_000), "aus".to_owned()];
    let input = format!("{}\n{}\n", json!(many), json!(long));
    let answers = place.predict(&["--words"], &input);
    for (answer, count) in answers.iter().zip([700, 2]) {
        assert_eq!(answer["truncated"], true);
        let tagged = answer["tagged"].as_array().unwrap();
        assert_eq!(tagged.len(), count);
        assert_ne!(tagged[0]["tag"], "", "what is read is tagged");
        let last = &tagged[count - 1];
        assert_eq!((&last["tag"], &last["probability"]), (&json!(""), &json!(0.0)));
    }
    let mut too_many = place.command("predict");
    too_many.args(["--language", "de", "--words"]).arg("a ".repeat(9_000));
    let refused = run(&mut too_many);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    let error = refused.json()["error"].to_string();
    assert!(error.contains("expected at most 8192 words, found 9000"), "{error}");
}

/// Counts labels, words and spans anew.
fn check_metrics(language: &Value, lines: &[Value]) {
    let own: Vec<&Value> =
        lines.iter().filter(|line| line["lang"] == language["language"]).collect();
    let (mut labels, mut words, mut words_right) = (0, 0, 0);
    let (mut wanted, mut found, mut both) = (0, 0, 0);
    for line in &own {
        let expected = &line["expected"];
        labels += usize::from(line["labels"][0]["label"] == expected["label"]);
        let tags: Vec<&Value> = expected["tags"].as_array().unwrap().iter().collect();
        let given: Vec<&Value> =
            line["tagged"].as_array().unwrap().iter().map(|word| &word["tag"]).collect();
        words += tags.len();
        words_right += tags.iter().zip(&given).filter(|(tag, given)| tag == given).count();
        let (left, right) = (spans(&tags), spans(&given));
        wanted += left.len();
        found += right.len();
        both += left.intersection(&right).count();
    }
    assert_eq!(language["examples"], own.len());
    let check = |name: &str, part: usize, whole: usize| {
        let (share, figure) = (part as f64 / whole as f64, &language["metrics"][name]);
        assert!((figure.as_f64().unwrap() - share).abs() < 1e-12, "{name}: {figure}, {share}");
    };
    check("label_accuracy", labels, own.len());
    check("word_accuracy", words_right, words);
    check("span_f1", 2 * both, wanted + found);
}

/// Where the spans of valid tags are, with their kinds.
fn spans(tags: &[&Value]) -> BTreeSet<(usize, usize, String)> {
    let tag = |position: usize| tags.get(position).and_then(|tag| tag.as_str()).unwrap_or("O");
    let begins = (0..tags.len()).filter(|&position| tag(position).starts_with("B-"));
    let span = |first: usize| {
        let inside = (first + 1..).take_while(|&position| tag(position).starts_with("I-"));
        (first, inside.last().unwrap_or(first), tag(first)[2..].to_owned())
    };
    begins.map(span).collect()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn pairs_get_numbers_and_texts_get_sets_of_labels() {
    let near = [("Es regnet.", "Es ist nass."), ("Ein Hund läuft.", "Ein Tier rennt.")];
    let far = [("Es regnet.", "Die Bank ist zu."), ("Ein Hund läuft.", "Ich mag Käse.")];
    let mut numbers = String::new();
    for more in 0..8 {
        for (pairs, number) in [(near, 4.5), (far, 0.5)] {
            for (first, second) in pairs {
                let text = format!("{first} {more}");
                let line =
                    json!({"lang": "de", "text": text, "text_pair": second, "number": number});
                numbers.push_str(&format!("{line}\n"));
            }
        }
    }
    let place = Place::new(&numbers);
    assert_eq!(place.update(&["--epochs", "2"]).code, 0);
    let answer = place.predict(&["--pair", "Es ist nass."], "Es regnet.").remove(0);
    assert_eq!((&answer["kind"], &answer["text_pair"]), (&json!("number"), &json!("Es ist nass.")));
    assert!(answer["number"].as_f64().unwrap().is_finite());
    let metrics = place.eval()["metrics_mean"].clone();
    assert!(metrics["mean_error"].as_f64().unwrap() >= 0.0, "{metrics}");
    assert!(metrics["spearman"].as_f64().unwrap().abs() <= 1.0, "{metrics}");

    let mut sets = String::new();
    for more in 0..12 {
        for (text, labels) in [("Endlich Ferien!", vec!["joy", "relief"]), ("Na ja.", vec![])] {
            let line = json!({"lang": "de", "text": format!("{text} {more}"), "labels": labels});
            sets.push_str(&format!("{line}\n"));
        }
    }
    let place = Place::new(&sets);
    assert_eq!(place.update(&["--epochs", "2"]).code, 0);
    let answer = place.predict(&[], "Endlich Ferien!").remove(0);
    let names: BTreeSet<&str> = answer["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|score| score["label"].as_str().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["joy", "relief"]));
    assert!(place.eval()["metrics_mean"]["jaccard"].as_f64().unwrap() <= 1.0);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn texts_are_answered_with_texts() {
    let mut lines = String::new();
    for number in 0..24 {
        let (text, target) = (format!("gehst {number}"), format!("gehen {number}"));
        lines.push_str(&format!("{}\n", json!({"lang": "de", "text": text, "target": target})));
    }
    let mut place = Place::new(&lines);
    place.bundle = place.path("bundle");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sequence/mt5");
    let mut create = polygraft();
    create.args(["bundle", "create", "--json", "--onnx"]).arg(fixture);
    let created = run(create.arg("--out").arg(&place.bundle));
    assert_eq!(created.code, 0, "{}{}", created.stdout, created.stderr);
    let updated = place.update(&["--targets", "q,v", "--epochs", "1", "--batch-size", "4"]);
    assert_eq!(updated.code, 0, "{}{}", updated.stdout, updated.stderr);

    let answer = place.predict(&["--max-new-tokens", "5"], "gehst").remove(0);
    assert_eq!((&answer["kind"], &answer["text"]), (&json!("text"), &json!("gehst")));
    let tokens = answer["tokens"].as_u64().unwrap();
    assert!((1..=5).contains(&tokens), "{answer}");
    assert_eq!(answer["finish_reason"], if tokens == 5 { "length" } else { "end" }, "{answer}");
    assert!(answer["log_probability"].as_f64().unwrap() < 0.0);
    let beams =
        place.predict(&["--max-new-tokens", "5", "--num-beams", "3", "--no-cache"], "gehst");
    assert!(beams[0]["target"].is_string());

    // What is printed as it grows is what is printed at the end.
    let mut stream = polygraft();
    stream.args(["predict", "--task", "task", "--language", "de", "--stream", "--bundle"]);
    stream.arg(&place.bundle).args(["--max-new-tokens", "5", "--store"]).arg(place.path("store"));
    let streamed = run(stream.arg("gehst"));
    assert_eq!(streamed.code, 0, "{}", streamed.stderr);
    let visible = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    assert_eq!(visible(&streamed.stdout), visible(answer["target"].as_str().unwrap()));
    assert!(streamed.stderr.contains(" tokens, log probability "), "{}", streamed.stderr);

    let examples = place.path("examples.jsonl");
    let predicted = run(place.command("predict").arg("--examples").arg(&examples)).json_lines();
    let right = predicted.iter().filter(|line| line["target"] == line["expected"]).count();
    let metrics = place.eval()["metrics_mean"].clone();
    let exact_match = metrics["exact_match"].as_f64().unwrap();
    assert!((exact_match - right as f64 / 24.0).abs() < 1e-12, "{metrics}, {right} right");
    assert!((0.0..=1.0).contains(&metrics["chrf"].as_f64().unwrap()), "{metrics}");
    assert!(metrics["character_error_rate"].as_f64().unwrap() >= 0.0, "{metrics}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn texts_become_vectors_that_mean_something() {
    let embed = |more: &[&str], input: &str| -> Vec<Vec<f64>> {
        let mut command = polygraft();
        command.args(["embed", "--threads", "2", "--language", "de", "--bundle"]);
        command.arg(cache("bundle/e5-small")).args(more).arg("-");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ran: Ran = running.wait_with_output().unwrap().into();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let vector = |line: Value| serde_json::from_value(line["vector"].clone()).unwrap();
        ran.json_lines().into_iter().map(vector).collect()
    };
    let dot = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(l, r)| l * r).sum::<f64>();
    let texts = "Mach bitte das Licht an.\nTurn the light on, please.\nDie Bank hat geschlossen.\n";
    let vectors = embed(&[], texts);
    assert_eq!((vectors.len(), vectors[0].len()), (3, 384));
    assert!(vectors.iter().all(|vector| (dot(vector, vector) - 1.0).abs() < 1e-5));
    let (translation, other) = (dot(&vectors[0], &vectors[1]), dot(&vectors[0], &vectors[2]));
    assert!(translation > other + 0.05, "{translation} and {other}");
    let long = embed(&["--no-normalise"], texts);
    let length = dot(&long[0], &long[0]).sqrt();
    assert!((length - 1.0).abs() > 1e-3);
    assert!((dot(&long[0], &vectors[0]) / length - 1.0).abs() < 1e-5, "the same direction");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_made() {
    let good = r#"{"lang": "de", "words": ["a", "b"], "tags": ["O", "B-x"]}"#;
    let cases = [
        (
            r#"{"lang": "de", "text": "a", "label": "b"}"#,
            "expected a target of token classification, as in",
        ),
        (r#"{"lang": "de", "words": ["a"], "tags": ["O", "O"]}"#, "it has 1 words and 2 tags"),
        (
            r#"{"lang": "de", "words": ["a", "b"], "tags": ["B-x", "I-y"]}"#,
            "tag 2 is \"I-y\" after \"B-x\"",
        ),
        (r#"{"lang": "de", "words": [], "tags": []}"#, "there are no words"),
        (r#"{"lang": "de", "words": ["a", ""], "tags": ["O", "O"]}"#, "word 2 of 2 is empty"),
        (r#"{"lang": "de", "words": ["a"], "tags": [""]}"#, "its tag is empty"),
        (r#"{"lang": "de", "text": "a", "target": ""}"#, "its target text is empty"),
        (r#"{"lang": "de", "text": "a b c", "tags": ["O", "O"]}"#, "it has 3 words and 2 tags"),
        (r#"{"lang": "de", "words": ["a"], "spans": []}"#, "go with one \"text\""),
        (r#"{"lang": "de", "text": "a", "spans": [{"char_start": 0}]}"#, "missing field `kind`"),
        (
            r#"{"lang": "de", "text": "a", "spans": [{"kind": "x", "char_start": 0}]}"#,
            "a span needs \"char_start\" and \"char_end\"",
        ),
        (
            r#"{"lang": "de", "text": "a", "spans": [{"kind":"","char_start":0,"char_end":2}]}"#,
            "expected some of the 1 of the text",
        ),
        (
            r#"{"lang": "de", "text": "ö", "spans": [{"kind":"x","byte_start":0,"byte_end":1}]}"#,
            "span 1 cuts a character at byte 1",
        ),
    ];
    for (line, expected) in cases {
        let place = Place::new(&format!("{good}\n\n{line}\n"));
        let refused = place.update(&[]);
        assert_ne!(refused.code, 0, "{line}");
        let error = refused.json()["error"].to_string();
        let text = error.replace("\\\"", "\"");
        assert!(text.contains(expected) && text.contains("examples.jsonl, line 3"), "{text}");
        assert!(!place.path("store").exists(), "a failed update must not leave a store behind");
    }
}
