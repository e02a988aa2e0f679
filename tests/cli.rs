//! The command's contract without a model: help, usage, stores, errors and exit codes.

#![cfg(feature = "cli")]

mod cli_support;

use cli_support::{polygraft, run};
use polygraft::language::Language;
use polygraft::store::{NewVersion, Store};
use polygraft::update::UpdateOptions;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const COMMANDS: [&[&str]; 26] = [
    &["bundle", "create"],
    &["bundle", "verify"],
    &["inspect"],
    &["gradients"],
    &["predict"],
    &["embed"],
    &["update"],
    &["report"],
    &["eval"],
    &["versions"],
    &["activate"],
    &["rollback"],
    &["pin"],
    &["unpin"],
    &["languages"],
    &["doctor"],
    &["store", "adopt"],
    &["store", "statistics"],
    &["store", "remove"],
    &["store", "wipe"],
    &["adapter", "show"],
    &["adapter", "import"],
    &["adapter", "export"],
    &["adapter", "combine"],
    &["adapter", "stack"],
    &["adapter", "graph"],
];

/// A store with two versions of German and one of Finnish, the last of each active.
fn store(folder: &Path) -> Store {
    let store = Store::open(folder).unwrap();
    for (tag, bytes) in [("de", "one"), ("de", "two"), ("fi", "three")] {
        let candidate = NewVersion {
            language: Language::parse(tag).unwrap(),
            bytes: bytes.as_bytes().into(),
            activate: true,
            evidence: json!({}),
        };
        store.publish("intent", &[candidate]).unwrap();
    }
    store
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md")).unwrap()
}

#[test]
fn every_flag_of_every_command_is_documented() {
    let document = document();
    let mut flags = BTreeSet::new();
    for command in COMMANDS {
        let help = run(polygraft().args(command).arg("--help"));
        assert_eq!(help.code, 0, "{}", help.stderr);
        for word in help.stdout.split_whitespace() {
            let flag = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            if flag.starts_with("--") && flag.len() > 2 {
                flags.insert(flag.to_owned());
            }
        }
        let name = command.join(" ");
        assert!(document.contains(&name), "docs/cli.md does not describe {name}");
    }
    assert!(flags.len() > 40, "{flags:?}");
    let missing: Vec<&String> =
        flags.iter().filter(|flag| !document.contains(&format!("`{flag}"))).collect();
    assert!(missing.is_empty(), "docs/cli.md does not describe {missing:?}");
}

#[test]
fn the_documented_defaults_are_those_of_the_library() {
    let options = UpdateOptions::default();
    let (optimizer, lora, gate) = (&options.optimizer, &options.lora, &options.gate);
    let defaults = [
        ("--strategy NAME", format!("`{}`", options.strategy.name())),
        ("--seed N", options.seed.to_string()),
        ("--epochs X", options.epochs.to_string()),
        ("--steps-min N", options.steps_min.to_string()),
        ("--steps-max N", options.steps_max.to_string()),
        ("--batch-size N", options.batch_size.to_string()),
        ("--micro-batch-tokens-max N", options.micro_batch_tokens_max.to_string()),
        ("--lower-states-mb-max N", (options.lower_states_bytes_max >> 20).to_string()),
        ("--rehearsal-ratio X", options.rehearsal_ratio.to_string()),
        ("--distillation X", options.distillation.to_string()),
        ("--learning-rate X", optimizer.learning_rate.to_string()),
        ("--head-rate-factor X", optimizer.head_rate_factor.to_string()),
        ("--beta1 X", optimizer.beta1.to_string()),
        ("--beta2 X", optimizer.beta2.to_string()),
        ("--epsilon X", optimizer.epsilon.to_string()),
        ("--weight-decay X", optimizer.weight_decay.to_string()),
        ("--warmup-fraction X", optimizer.warmup_fraction.to_string()),
        ("--clip-norm X", optimizer.clip_norm.to_string()),
        ("--lora-rank N", lora.rank.to_string()),
        ("--lora-alpha X", lora.alpha.to_string()),
        ("--gate-margin X", gate.margin.to_string()),
        ("--gate-confidence X", gate.confidence.to_string()),
    ];
    let document = document();
    for (flag, value) in defaults {
        let row = format!("| `{flag}` | {value} |");
        assert!(document.contains(&row), "docs/cli.md lacks {row}");
    }
    assert!(!options.new_labels && !lora.rank_stabilized && gate.enabled);
}

#[test]
fn the_exit_codes_are_in_the_help_and_in_the_document() {
    let help = run(polygraft().arg("--help")).stdout;
    for code in ["0", "1", "2", "3", "4", "5", "130"] {
        let line = help.lines().find(|line| line.split_whitespace().next() == Some(code));
        let meaning = line.unwrap_or_else(|| panic!("{code} is not in the help:\n{help}"));
        let meaning = meaning.trim().trim_start_matches(code).trim();
        let row = format!("| {code} | {meaning} |");
        assert!(document().contains(&row), "docs/cli.md lacks {row}");
    }
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let unknown = run(polygraft().args(["predict", "--nonsense"]));
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("--nonsense"), "{}", unknown.stderr);
    assert_eq!(unknown.stdout, "");

    let as_json = run(polygraft().args(["--json", "predict", "--nonsense"]));
    assert_eq!(as_json.code, 2);
    let error = &as_json.json()["error"];
    assert_eq!((&error["name"], &error["code"]), (&json!("argument.invalid"), &json!(12)));

    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let target = ["--task", "intent", "--language", "de_DE", "--store"];
    let tag = run(polygraft().arg("rollback").args(target).arg(folder.path()));
    assert_eq!(tag.code, 2, "{}", tag.stderr);
    assert!(tag.stderr.starts_with("error[language.malformed]: --language: "), "{}", tag.stderr);
    let target = ["--task", "intent", "--language", "German", "--store"];
    let name = run(polygraft().arg("rollback").args(target).arg(folder.path()));
    assert_eq!(name.code, 2, "{}", name.stderr);
    assert!(name.stderr.starts_with("error[language.unknown]: --language: "), "{}", name.stderr);
    assert!(name.stderr.ends_with("did you mean \"de\" (German)?\n"), "{}", name.stderr);
}

/// polygraft 0.1 took every well-formed tag, and its stores must stay of use.
#[test]
fn a_language_that_is_not_registered_is_reached_where_a_store_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let odd = Language::well_formed("German").unwrap();
    let publish = |bytes: &str| {
        let store = Store::open(folder.path()).unwrap();
        let (language, bytes) = (odd.clone(), bytes.as_bytes().into());
        let candidate = NewVersion { language, bytes, activate: true, evidence: json!({}) };
        store.publish("intent", &[candidate]).unwrap();
    };
    publish("one");
    publish("two");
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.language("intent", "GERMAN").unwrap(), odd);
    let code = |task: &str, tag: &str| store.language(task, tag).unwrap_err().code();
    assert_eq!(code("other", "German"), polygraft::Code::LanguageUnknown);
    assert_eq!(code("intent", "english"), polygraft::Code::LanguageUnknown);
    assert_eq!(code("intent", "de_DE"), polygraft::Code::LanguageMalformed);
    assert_eq!(store.language("intent", "de").unwrap().as_str(), "de");

    let target = ["--json", "--task", "intent", "--language", "German", "--store"];
    let back = run(polygraft().arg("rollback").args(target).arg(folder.path())).json();
    assert_eq!((&back["language"], &back["active"]), (&json!("german"), &json!(1)));
}

#[test]
fn versions_are_listed_and_moved() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let german = Language::parse("de").unwrap();
    let active = || store.snapshot().unwrap().active("intent", &german).map(|one| one.number);
    let command = |name: &str, more: &[&str]| {
        let mut command = polygraft();
        command.args([name, "--json", "--task", "intent", "--store"]).arg(folder.path()).args(more);
        run(&mut command)
    };

    let listed = command("versions", &[]).json();
    let listed = listed["versions"].as_array().unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|one| (one["language"].clone(), one["number"].clone(), one["active"].clone()))
        .collect();
    let expected = [("de", 1, false), ("de", 2, true), ("fi", 1, true)]
        .map(|(tag, number, active)| (json!(tag), json!(number), json!(active)));
    assert_eq!(shown, expected);

    let rolled_back = command("rollback", &["--language", "de"]);
    assert_eq!((rolled_back.code, rolled_back.json()["active"].clone()), (0, json!(1)));
    assert_eq!(active(), Some(1));
    assert_eq!(command("activate", &["--language", "de", "--version", "2"]).code, 0);
    assert_eq!(active(), Some(2));

    let pinned = command("pin", &["--language", "de"]).json();
    assert_eq!((&pinned["active"], &pinned["pinned"]), (&json!(2), &json!(true)));
    let refused = command("rollback", &["--language", "de"]);
    assert_eq!((refused.code, &refused.json()["error"]["name"]), (1, &json!("store.pinned")));
    assert_eq!(active(), Some(2));
    let unpinned = command("unpin", &["--language", "de"]).json();
    assert_eq!((&unpinned["active"], &unpinned["pinned"]), (&json!(2), &json!(false)));

    let unknown = command("activate", &["--language", "de", "--version", "9"]);
    assert_eq!((unknown.code, &unknown.json()["error"]["name"]), (1, &json!("store.no_version")));
}

#[test]
fn a_mistyped_store_is_an_error_and_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("stroe");
    let listed = run(polygraft().args(["versions", "--json", "--store"]).arg(&missing));
    assert_eq!((listed.code, &listed.json()["error"]["name"]), (1, &json!("io.not_found")));
    assert!(!missing.exists());
}

#[test]
fn a_damaged_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let path = folder.path().join("state.json");
    let damaged = fs::read_to_string(&path).unwrap().replace("\"active\": 2", "\"active\": 1");
    fs::write(&path, damaged).unwrap();
    let listed = run(polygraft().args(["versions", "--store"]).arg(folder.path()));
    assert_eq!(listed.code, 3, "{}", listed.stderr);
    assert!(listed.stderr.starts_with("error[store.corrupt]: "), "{}", listed.stderr);
}

#[test]
fn a_malformed_example_is_named_by_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.jsonl");
    fs::write(&path, "{\"lang\": \"de\", \"text\": \"x\", \"label\": \"a\"}\n{\"lang\": \"de\"}\n")
        .unwrap();
    let store = folder.path().join("store");
    let refused = run(polygraft()
        .args(["update", "--json", "--task", "intent", "--bundle", "none", "--store"])
        .arg(&store)
        .arg("--examples")
        .arg(&path));
    assert_eq!(refused.code, 1);
    let error = refused.json()["error"].clone();
    assert_eq!(error["name"], "examples.malformed");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("new.jsonl, line 2: field \"text\" is missing"), "{message}");
    assert!(!store.exists(), "a failed update must not leave a store behind");
}

#[test]
fn options_out_of_range_are_usage_errors() {
    let refused = run(polygraft().args(["update", "--task", "intent", "--bundle", "none"]).args([
        "--store",
        "none",
        "--examples",
        "none",
        "--gate-confidence",
        "1.5",
    ]));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("gate.confidence: expected 0.5 to less than 1, found 1.5"));
    assert!(!Path::new("none").exists());
}

#[test]
fn doctor_says_where_it_looked_for_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("libonnxruntime.so");
    let sick = run(polygraft().args(["doctor", "--json"]).env("ORT_DYLIB_PATH", &nowhere));
    assert_eq!(sick.code, 1);
    let report = sick.json();
    assert_eq!(report["ok"], false);
    let is_runtime = |check: &&Value| check["subject"] == "onnxruntime";
    let check = report["checks"].as_array().unwrap().iter().find(is_runtime).unwrap();
    assert_eq!(check["state"], "wrong");
    let details = check["details"].to_string();
    assert!(details.contains("runtime.not_found"), "{details}");
    assert!(details.contains(nowhere.to_str().unwrap()), "{details}");
}

#[test]
fn languages_are_listed_as_a_table_and_as_json() {
    let listed = run(polygraft().args(["languages", "--json"])).json();
    let listed = listed["languages"].as_array().unwrap().clone();
    let german = json!({"tag": "de", "iso639_3": "deu", "name": "German",
        "family": "Indo-European", "observed": true});
    assert!(listed.contains(&german));
    let table = run(polygraft().arg("languages"));
    assert_eq!((table.code, table.stderr.as_str()), (0, ""));
    assert_eq!(table.stdout.lines().count(), listed.len() + 1);
    let slovak = table.stdout.lines().find(|line| line.starts_with("sk ")).unwrap();
    let words: Vec<&str> = slovak.split_whitespace().collect();
    assert_eq!(words, ["sk", "slk", "Slovak", "Indo-European", "predicted"]);
}

#[test]
fn a_language_is_explained_with_its_neighbours_and_who_serves_it() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let explain = |tag: &str, more: &[&str]| {
        run(polygraft().args(["languages", "--explain", tag]).args(more))
    };
    let inside = ["--task", "intent", "--store", folder.path().to_str().unwrap()];

    let alone = explain("LB-lu", &["--json", "--count", "3"]).json();
    assert_eq!(alone["language"], json!("lb-LU"));
    assert_eq!(alone["typology"]["iso639_3"], json!("ltz"));
    assert_eq!(alone["fallbacks"], json!(["lb-LU", "lb", "mul"]));
    assert_eq!(alone["chain"], json!(null));
    let nearest = alone["nearest"].as_array().unwrap();
    assert_eq!(nearest.len(), 3);
    assert!(nearest.iter().any(|near| near["language"] == json!("de")), "{nearest:?}");
    let genetic = explain("frr", &["--json", "--distance", "genetic", "--count", "500"]).json();
    let all = genetic["nearest"].as_array().unwrap();
    let danish = all.iter().find(|near| near["language"] == json!("da")).unwrap();
    assert!((danish["distance"].as_f64().unwrap() - 0.625).abs() < 0.002, "{danish}");

    let served = explain("lb", &[&inside[..], &["--json"]].concat()).json();
    let taken: Vec<&Value> = served["chain"].as_array().unwrap().iter().collect();
    assert_eq!(taken[1]["kind"], json!("nearest"));
    assert_eq!((&taken[1]["version"], &taken[1]["taken"]), (&json!(2), &json!(true)));
    let text = explain("lb", &inside);
    let line = text.stdout.lines().find(|line| line.starts_with("nearest  ")).unwrap();
    assert!(line.contains("de") && line.ends_with("serves"), "{}", text.stdout);

    let far = explain("ja", &inside);
    assert_eq!((far.code, far.stderr.as_str()), (0, ""));
    assert!(far.stdout.contains("too far") && far.stdout.ends_with("no version serves it\n"));
    let ghotuo = explain("aaa", &[]).stdout;
    assert!(ghotuo.contains("Ghotuo\n") && ghotuo.contains("  typology   none"), "{ghotuo}");
    let hebrew = explain("iw", &[]).stdout;
    assert!(hebrew.contains("  prefer     he, "), "{hebrew}");
    assert_eq!(explain("iw", &["--json"]).json()["replacement"], json!("he"));
    assert_eq!(explain("German", &[]).code, 2);
    for tag in ["und", "mul", "x-own", "tlh", "zxx-Latn"] {
        for more in [&[][..], &["--json"], &inside] {
            let odd = explain(tag, more);
            assert_eq!((odd.code, odd.stderr.as_str()), (0, ""), "{tag}");
        }
    }
}

#[test]
fn wrong_arguments_of_languages_are_usage_errors() {
    let codes = [
        &["--explain", "de_CH"][..],
        &["--explain", "de", "--distance", "far"],
        &["--explain", "de", "--store", "s"],
        &["--distance", "genetic"],
        &["--explain", "de", "--count", "-1"],
    ]
    .map(|args| run(polygraft().arg("languages").args(args)).code);
    assert_eq!(codes, [2; 5]);
}

/// A linear layer, then an operator without a derivative, then another layer.
fn stopped_model(folder: &Path) -> std::path::PathBuf {
    use polygraft::graph::{Builder, Dim, GraphProto, Model, ModelProto, OperatorSetIdProto};
    use polygraft::graph::{TensorType, data_type};
    let mut graph = GraphProto { name: Some("stopped".to_owned()), ..GraphProto::default() };
    let input = TensorType::new(data_type::FLOAT, vec![Dim::Symbol("n".into()), Dim::Known(4)]);
    graph.input.push(input.to_value_info("x"));
    graph.output.push(input.to_value_info("y"));
    let mut builder = Builder::new(&mut graph, "layer/");
    let weight = builder.constant(data_type::FLOAT, &[4, 4], vec![0; 64]);
    let below = builder.node("MatMul", &["x", &weight], vec![]);
    let stop = builder.node("Floor", &[&below], vec![]);
    builder.node_named("Exp", "", &[&stop], &["y"], vec![]);
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    let proto = ModelProto {
        ir_version: Some(8),
        opset_import: vec![opset],
        graph: Some(graph),
        ..ModelProto::default()
    };
    let path = folder.join("stopped.onnx");
    fs::write(&path, Model::new(proto, folder).unwrap().to_bytes()).unwrap();
    path
}

#[test]
fn inspect_says_what_stops_training() {
    let folder = tempfile::tempdir().unwrap();
    let inspect = |path: &Path, more: &[&str]| run(polygraft().arg("inspect").arg(path).args(more));
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bert-fused-op/model.onnx");
    let text = inspect(&fixture, &[]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""));
    let line = "trainable  yes: gradients of last_hidden_state reach the adapter sites";
    assert!(text.stdout.contains(line), "{}", text.stdout);
    let json = inspect(&fixture, &["--json"]).json();
    assert_eq!(json["training"]["trainable"], json!(true));
    assert_eq!(json["training"]["obstacles"], json!([]));

    let path = stopped_model(folder.path());
    let text = inspect(&path, &[]).stdout;
    let line = "trainable  no: node \"layer/Floor\" (operator Floor, domain ai.onnx, opset 17)";
    assert!(text.contains(line), "{text}");
    let training = &inspect(&path, &["--json"]).json()["training"];
    assert_eq!((&training["trainable"], &training["sites"]), (&json!(false), &json!(1)));
    let obstacle = &training["obstacles"][0];
    assert_eq!((&obstacle["operator"], &obstacle["opset"]), (&json!("Floor"), &json!(17)));
    assert!(!obstacle["reason"].as_str().unwrap().is_empty());
    assert!(!obstacle["advice"].as_str().unwrap().is_empty());
}
