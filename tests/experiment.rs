//! `polygraft-experiment` end to end: real bundle, real sentences, three languages, tiny numbers.

mod cli_support;

use cli_support::{Ran, cache, program, run};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LANGUAGES: [&str; 3] = ["de", "en", "fi"];
/// An id is the same in every language and in one split only.
const SPLITS: [(&str, usize, usize); 2] = [("train", 0, 160), ("test", 1_000, 24)];

/// Data with ids, a setting, a cache and an output folder, all in a folder of their own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (split, first_id, count) in SPLITS {
            let target = folder.path().join("data/parallel").join(split);
            fs::create_dir_all(&target).unwrap();
            for language in LANGUAGES {
                let source = cache(&format!("data/intents/{split}/{language}.jsonl"));
                let text = fs::read_to_string(source).expect("the data; `make setup` brings it");
                let lines = text.lines().take(count).enumerate().map(|(index, line)| {
                    let mut line: Value = serde_json::from_str(line).unwrap();
                    line["id"] = json!(first_id + index);
                    format!("{line}\n")
                });
                fs::write(target.join(format!("{language}.jsonl")), lines.collect::<String>())
                    .unwrap();
            }
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn setting(&self, name: &str, stages: &[&str]) -> Value {
        let stage = |language: &&str| {
            let languages = [language];
            json!({"languages": languages, "examples_per_language": 10, "held_out_per_language": 2})
        };
        let setting = json!({
            "name": name,
            "dataset": "tiny",
            "data": "parallel",
            "languages": LANGUAGES,
            "test_examples_per_language": 20,
            "base": {
                "examples_per_language": 24,
                "held_out_per_language": 12,
                "training": {"epochs": 1.0, "learning_rate": 0.001, "batch_size": 8},
            },
            "stages": stages.iter().map(stage).collect::<Vec<_>>(),
            "update": {"epochs": 1.0, "learning_rate": 0.003, "batch_size": 4},
            "rehearsal": {
                "examples_per_language_max": 4,
                "held_out_per_language_max": 20,
                "held_out_percent": 30,
            },
            "seeds": [1, 2],
        });
        fs::write(self.path(&format!("{name}.json")), setting.to_string()).unwrap();
        setting
    }

    fn experiment(&self, name: &str, more: &[&str]) -> Ran {
        let mut command = program(env!("CARGO_BIN_EXE_polygraft-experiment"));
        command.args(["--json", "--threads", "2", "--bundle"]);
        command.arg(cache("bundle/e5-small"));
        for (flag, name) in [("--data", "data"), ("--cache", "cache"), ("--out", "out")] {
            command.arg(flag).arg(self.path(name));
        }
        run(command.arg("--setting").arg(self.path(&format!("{name}.json"))).args(more))
    }

    fn out(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path("out").join(name)).unwrap()).unwrap()
    }
}

fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn scores(value: &Value) -> BTreeMap<String, f64> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The figures of a row, added up anew from the records of single runs.
fn check_row(row: &Value, records: &[&Value]) {
    let mut figures = BTreeMap::<&str, Vec<f64>>::new();
    for record in records {
        let base = scores(&record["base"]);
        let stages = record["stages"].as_array().unwrap();
        let last = scores(&stages.last().unwrap()["scores"]);
        assert_eq!(base.len(), LANGUAGES.len());
        let updated: BTreeSet<&str> = stages
            .iter()
            .flat_map(|stage| stage["updated"].as_array().unwrap())
            .map(|language| language.as_str().unwrap())
            .collect();
        let change = |language: &str| last[language] - base[language];
        let changes: Vec<f64> = LANGUAGES.iter().map(|language| change(language)).collect();
        let gains: Vec<f64> = updated.iter().map(|language| change(language)).collect();
        let losses: Vec<f64> = changes.iter().map(|change| (-change).max(0.0)).collect();
        let share = |better: bool| {
            let count =
                changes.iter().filter(|change| **change != 0.0 && (**change > 0.0) == better);
            count.count() as f64 / LANGUAGES.len() as f64
        };
        let found = [
            ("base_mean", mean(&base.values().copied().collect::<Vec<_>>())),
            ("mean", mean(&last.values().copied().collect::<Vec<_>>())),
            ("improved_share", share(true)),
            ("lost_share", share(false)),
            ("loss_total", losses.iter().sum()),
            ("gain_updated_mean", mean(&gains)),
            ("worst", losses.iter().copied().fold(0.0, f64::max)),
        ];
        for (name, value) in found {
            figures.entry(name).or_default().push(value);
        }
    }
    for (name, values) in figures {
        close(&row[name], mean(&values));
        let squares: f64 = values.iter().map(|value| (value - mean(&values)).powi(2)).sum();
        close(&row[&format!("{name}_sd")], (squares / (values.len() - 1) as f64).sqrt());
    }
}

fn check_rows(rows: &Value, details: &Value, stages: usize) {
    let runs = details["runs"].as_array().unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len() * 2, runs.len(), "two seeds make a row");
    for row in rows {
        assert_eq!((&row["stages"], &row["seeds"]), (&json!(stages), &json!([1, 2])));
        assert_eq!(row["languages"], LANGUAGES.len());
        let own = |run: &&Value| run["strategy"] == row["strategy"] && run["gate"] == row["gate"];
        let own: Vec<&Value> = runs.iter().filter(own).collect();
        assert_eq!(own.len(), 2);
        check_row(row, &own);
    }
}

/// No id serves two purposes, in whatever language.
fn check_ids(details: &Value, purposes: usize) {
    for seed in details["seeds"].as_array().unwrap() {
        let ids = seed["ids"].as_object().unwrap();
        assert_eq!(ids.len(), purposes, "{:?}", ids.keys());
        let mut seen = BTreeMap::new();
        for (purpose, ids) in ids {
            assert!(!ids.as_array().unwrap().is_empty(), "{purpose}");
            for id in ids.as_array().unwrap() {
                let other = seen.insert(id.as_str().unwrap(), purpose);
                assert_eq!(other, None, "{id} serves {purpose} and {other:?}");
            }
        }
        let tested = ids["test"].as_array().unwrap();
        assert_eq!(tested.len(), SPLITS[1].2, "every id of the test split is set aside");
    }
}

/// The files of the finished runs.
fn records(place: &Place) -> Vec<PathBuf> {
    let folder = fs::read_dir(place.path("cache/runs")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_sums_follow_from_the_details_and_finished_runs_are_kept() {
    let place = Place::new();
    place.setting("one", &["de"]);
    let first = place.experiment("one", &["--strategies", "naive,per-language"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let rows = first.json();
    assert_eq!(rows, place.out("cml.json"));
    let named = |row: &Value| (row["strategy"].as_str().unwrap().to_owned(), row["gate"] == true);
    let order: Vec<_> = rows.as_array().unwrap().iter().map(named).collect();
    let expected = [("naive", false), ("naive", true), ("per-language", false)];
    let expected: Vec<_> = expected
        .iter()
        .chain(&[("per-language", true)])
        .map(|(s, g)| ((*s).to_owned(), *g))
        .collect();
    assert_eq!(order, expected);
    let details = place.out("details.json")[0].clone();
    check_rows(&rows, &details, 1);
    check_ids(&details, 5);
    assert!(fs::read_to_string(place.path("out/cml.html")).unwrap().contains("per-language"));

    let kept = records(&place);
    assert_eq!(kept.len(), 8, "two strategies, two gates, two seeds");
    // What a kept record says is believed, so nothing is measured again; and only with --fresh the
    // same numbers come back.
    for path in &kept {
        let mut record: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        record["stages"][0]["scores"]["fi"] = json!(0.5625);
        fs::write(path, record.to_string()).unwrap();
    }
    let again = place.experiment("one", &["--strategies", "naive,per-language"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    let believed = place.out("details.json")[0]["runs"][0].clone();
    assert_eq!(believed["stages"][0]["scores"]["fi"], json!(0.5625));
    let fresh = place.experiment("one", &["--strategies", "naive,per-language", "--fresh"]);
    assert_eq!(fresh.code, 0, "{}", fresh.stderr);
    assert_eq!(fresh.json(), rows, "the same seeds give the same figures");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn stages_build_on_each_other_and_drift_is_told() {
    let place = Place::new();
    place.setting("two", &["de", "fi"]);
    let ran = place.experiment("two", &["--strategies", "uriel", "--gate", "off"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let details = place.out("details.json")[0].clone();
    check_rows(&ran.json(), &details, 2);
    check_ids(&details, 7);
    let stages = details["drift"][0]["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 2);
    let row = ran.json()[0].clone();
    assert_eq!((&stages[1]["stage"], &stages[1]["mean"]), (&json!(2), &row["mean"]));
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn other_kinds_of_answers_have_their_metrics() {
    let place = Place::new();
    let mut setting = place.setting("slots", &["de"]);
    let languages = ["de", "fi"];
    setting["languages"] = json!(languages);
    setting["data"] = json!("words");
    setting["seeds"] = json!([1]);
    // More than there are: every language gives what it has.
    setting["test_examples_per_language"] = json!(1_000);
    setting["fewer_allowed"] = json!(true);
    fs::write(place.path("slots.json"), setting.to_string()).unwrap();
    for (split, _, count) in SPLITS {
        let target = place.path("data/words").join(split);
        fs::create_dir_all(&target).unwrap();
        for language in languages {
            let source = cache(&format!("data/slots/{split}/{language}.jsonl"));
            let text = fs::read_to_string(source).expect("the data; `make setup` brings it");
            let lines: Vec<&str> = text.lines().take(count).collect();
            fs::write(target.join(format!("{language}.jsonl")), lines.join("\n")).unwrap();
        }
    }
    let few = ["--strategies", "naive", "--gate", "off"];
    let ran = place.experiment("slots", &few);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (kept, details) = (records(&place), place.out("details.json"));
    let again = place.experiment("slots", &few);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!((records(&place), place.out("details.json")), (kept, details), "all was kept");
    let row = ran.json()[0].clone();
    assert_eq!(row["kind"], "label+tags");
    let run = place.out("details.json")[0]["runs"][0].clone();
    for name in ["label_accuracy", "span_f1", "word_accuracy"] {
        let mean_of = |metrics: &Value| -> f64 {
            let values = languages.map(|language| metrics[language][name].as_f64().unwrap());
            mean(&values)
        };
        close(&row["metrics"][name]["base_mean"], mean_of(&run["base_metrics"]));
        close(&row["metrics"][name]["mean"], mean_of(&run["stages"][0]["metrics"]));
    }
    assert!(fs::read_to_string(place.path("out/cml.html")).unwrap().contains("span F1"));

    let path = place.path("data/words/test/fi.jsonl");
    let mixed = fs::read_to_string(&path).unwrap()
        + "\n{\"lang\": \"fi\", \"text\": \"x\", \"label\": \"a\"}\n";
    fs::write(&path, mixed).unwrap();
    let refused = place.experiment("slots", &[]);
    let error = refused.json()["error"].to_string();
    assert_eq!(refused.code, 1, "{error}");
    assert!(error.contains("expected a target of intent and slots"), "{error}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn wrong_settings_and_missing_data_are_named() {
    let place = Place::new();
    let mut setting = place.setting("one", &["de"]);
    let save = |setting: &Value| fs::write(place.path("one.json"), setting.to_string()).unwrap();
    setting["epoch"] = json!(3);
    save(&setting);
    let unknown = place.experiment("one", &[]);
    let error = unknown.json()["error"].to_string();
    assert_eq!(unknown.code, 2, "{error}");
    assert!(error.contains("one.json") && error.contains("unknown field `epoch`"), "{error}");

    let mut setting = place.setting("one", &["de"]);
    setting["languages"] = json!(["de", "fi", "sw"]);
    save(&setting);
    let missing = place.experiment("one", &[]);
    let error = missing.json()["error"].to_string();
    assert_eq!(missing.code, 1, "{error}");
    let path = Path::new("parallel/train/sw.jsonl");
    assert!(error.contains(path.to_str().unwrap()) && error.contains("docs/data.md"), "{error}");

    let mut setting = place.setting("one", &["de"]);
    setting["base"]["examples_per_language"] = json!(10_000);
    save(&setting);
    let few = place.experiment("one", &[]);
    let error = few.json()["error"].to_string();
    assert_eq!(few.code, 2, "{error}");
    assert!(error.contains("base, training: expected 10000 examples"), "{error}");
    assert!(!place.path("cache").exists(), "nothing is trained before all is known to be there");
}
