//! `polygraft adapter` on a bundle of the tiny backbone: in, into a store, out again.

#![cfg(feature = "cli")]

mod cli_support;
mod exchange_support;

use cli_support::{Ran, polygraft, run};
use exchange_support::Copy;
use serde_json::json;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters").join(name)
}

/// A bundle of the tiny backbone in `folder`.
fn bundle(folder: &Path, pooling: &str) -> PathBuf {
    let out = folder.join(pooling);
    let made = run(polygraft()
        .args(["bundle", "create", "--progress", "none", "--pooling", pooling, "--onnx"])
        .arg(fixture("backbone.onnx"))
        .arg("--tokenizer")
        .arg(fixture("tokenizer.json"))
        .arg("--out")
        .arg(&out));
    assert_eq!(made.code, 0, "{}", made.stderr);
    out
}

fn adapter(command: &str, bundle: &Path, more: &[&str]) -> Ran {
    run(polygraft().args(["adapter", command, "--json", "--bundle"]).arg(bundle).args(more))
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_adapter_of_peft_is_published_predicts_and_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let bundle = bundle(folder.path(), "mean");
    let source = fixture("peft-lora-head");
    let (own, store) = (path("own.safetensors"), path("store"));
    let target = ["--store", &store, "--task", "switch", "--language", "en"];
    let imported = adapter(
        "import",
        &bundle,
        &[&["--from", source.to_str().unwrap(), "--out", &own, "--activate"], &target[..]].concat(),
    );
    assert_eq!(imported.code, 0, "{}{}", imported.stdout, imported.stderr);
    let told = imported.json();
    assert_eq!(told["kinds"], json!(["lora"]));
    assert_eq!(told["labels"], json!(["on", "off", "dim"]));
    assert_eq!((&told["version"], &told["activated"]), (&json!(1), &json!(true)));

    let predicted = run(polygraft()
        .args(["predict", "w1 w2 w3", "--json", "--bundle"])
        .arg(&bundle)
        .args(target));
    assert_eq!(predicted.code, 0, "{}", predicted.stdout);
    let labels = predicted.json()["labels"].clone();
    let names: std::collections::BTreeSet<&str> =
        labels.as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
    assert_eq!(names, ["dim", "off", "on"].into());

    let back = path("back");
    let exported = adapter(
        "export",
        &bundle,
        &[&["--to", "peft", "--encoder", "bert", "--out", &back], &target[..]].concat(),
    );
    assert_eq!(exported.code, 0, "{}", exported.stdout);
    let shown = run(polygraft().args(["adapter", "show", "--json"]).arg(&back)).json();
    let original = run(polygraft().args(["adapter", "show", "--json"]).arg(&source)).json();
    assert_eq!(shown["tensors"], original["tensors"]);
    assert_eq!((&shown["format"], &shown["labels"]), (&json!("peft"), &original["labels"]));

    let graph = path("graph");
    let written = adapter("graph", &bundle, &["--from", &own, "--out", &graph]);
    let inputs = written.json()["inputs"].as_array().unwrap().clone();
    assert!(inputs.contains(&json!("encoder.layer.0.attention.self.query.lora_A")), "{inputs:?}");
    assert!(inputs.contains(&json!("head.weight")), "{inputs:?}");
    assert!(Path::new(&graph).join("model.onnx").exists());
}

#[test]
fn what_is_wrong_with_an_adapter_is_told_by_name_and_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "mean");
    let out = folder.path().join("own.safetensors");
    let import = |name: &str, more: &[&str]| {
        let source = fixture(name);
        let from = ["--from", source.to_str().unwrap(), "--out", out.to_str().unwrap()];
        adapter("import", &bundle, &[&from[..], more].concat())
    };
    // AdapterHub's head reads the first token, and the bundle takes the mean.
    let refused = import("hub-seq-bn", &[]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert_eq!(refused.json()["error"]["name"], json!("adapter.unsupported"));
    let headless = import("peft-lora-layers", &[]);
    assert_eq!((headless.code, &headless.json()["labels"]), (0, &json!([])));
    let taken = import("peft-lora-layers", &["--labels", "yes,no"]);
    assert_eq!(taken.code, 2, "{}", taken.stdout);
    assert!(taken.json()["error"]["message"].as_str().unwrap().contains("own.safetensors"));

    let store = folder.path().join("store");
    let target = ["--task", "t", "--language", "de", "--store", store.to_str().unwrap()];
    let source = fixture("peft-lora-layers");
    let from = ["--from", source.to_str().unwrap()];
    let refused = adapter("import", &bundle, &[&from[..], &target[..]].concat());
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("no head"));
    let with_labels = [&from[..], &target[..], &["--labels", "yes,no"]].concat();
    let published = adapter("import", &bundle, &with_labels).json();
    assert_eq!((&published["version"], &published["activated"]), (&json!(1), &json!(false)));
    assert_eq!(published["labels"], json!(["yes", "no"]));

    let nowhere = adapter("import", &bundle, &from);
    assert_eq!(nowhere.code, 2, "neither --out nor --store: {}", nowhere.stdout);
    let shown = run(polygraft().args(["adapter", "show"]).arg(fixture("hub-ia3")));
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    let told = |name: &str, value: &str| {
        let mut lines = shown.stdout.lines().map(str::split_whitespace);
        lines.any(|mut line| line.next() == Some(name) && line.eq(value.split(' ')))
    };
    assert!(told("format", "adapterhub"), "{}", shown.stdout);
    assert!(told("labels", "on, off, dim"), "{}", shown.stdout);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn adapters_are_combined_and_stacked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let bundle = bundle(folder.path(), "cls");
    let (lora, houlsby) = (path("lora"), path("houlsby"));
    for (name, out) in [("hub-lora", &lora), ("hub-double-seq-bn", &houlsby)] {
        let source = fixture(name);
        let more = ["--from", source.to_str().unwrap(), "--out", out];
        let imported = adapter("import", &bundle, &more);
        assert_eq!(imported.code, 0, "{}{}", imported.stdout, imported.stderr);
    }
    let compose = |command: &str, arguments: &[&str]| {
        run(polygraft().args(["adapter", command, "--json"]).args(arguments))
    };
    let (sum, stack) = (path("sum"), path("stack"));
    let half = format!("{lora}=0.5");
    let combined = compose("combine", &[&half, &half, "--out", &sum]);
    assert_eq!(combined.code, 0, "{}", combined.stdout);
    assert_eq!(combined.json()["kinds"], json!(["lora"]));
    let stacked = compose("stack", &[&houlsby, &lora, "--out", &stack]);
    assert_eq!(stacked.code, 0, "{}", stacked.stdout);
    assert_eq!(stacked.json()["kinds"], json!(["lora", "bottleneck"]));

    // Two halves of one adapter are the adapter; a bottleneck below changes what it predicts.
    let answer = |own: &str, store: &str| {
        let target = ["--store", store, "--task", "switch", "--language", "en"];
        let published =
            adapter("import", &bundle, &[&["--from", own, "--activate"], &target[..]].concat());
        assert_eq!(published.code, 0, "{}{}", published.stdout, published.stderr);
        let predicted = run(polygraft()
            .args(["predict", "w1 w2 w3", "--json", "--bundle"])
            .arg(&bundle)
            .args(target));
        predicted.json()["labels"][0]["probability"].as_f64().unwrap()
    };
    let alone = answer(&lora, &path("alone"));
    assert!((answer(&sum, &path("halves")) - alone).abs() < 1e-6);
    assert!((answer(&stack, &path("stacked")) - alone).abs() > 1e-4);

    let refused = compose("combine", &[&format!("{lora}=much"), "--out", &path("none")]);
    assert_ne!(refused.code, 0);
    assert!(refused.stdout.contains("expected a number after '='"), "{}", refused.stdout);
}

#[test]
fn notes_tell_what_was_left_out_and_what_was_taken_for_what() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "mean");
    let copy = Copy::of("peft-lora-head");
    copy.edit("adapter_config.json", |config| {
        config["target_modules"].as_array_mut().unwrap().push(json!("pooler.dense"));
    });
    copy.edit_tensors("adapter_model.safetensors", |tensors| {
        for (end, shape) in [("lora_A", [4, 32]), ("lora_B", [32, 4])] {
            let name = format!("base_model.model.bert.pooler.dense.{end}.weight");
            tensors.insert(name, (shape.to_vec(), vec![0; 4 * 4 * 32]));
        }
    });
    let out = folder.path().join("own.safetensors");
    let paths = ["--from", copy.path().to_str().unwrap(), "--out", out.to_str().unwrap()];
    let refused = adapter("import", &bundle, &paths);
    assert_ne!(refused.code, 0);
    assert!(refused.stdout.contains("--head-on-pooled"), "{}", refused.stdout);
    let imported = adapter("import", &bundle, &[&paths[..], &["--head-on-pooled"]].concat());
    assert_eq!(imported.code, 0, "{}{}", imported.stdout, imported.stderr);
    let note = "left out, because the output does not depend on it: bert.pooler.dense";
    assert_eq!(imported.json()["notes"], json!([note]));
    assert!(imported.stderr.contains(&format!("note: {note}")), "{}", imported.stderr);

    // Another name in front is said, and has to be the adapter's.
    std::fs::remove_file(&out).unwrap();
    let said = adapter(
        "import",
        &bundle,
        &[&paths[..], &["--head-on-pooled", "--encoder", "bert"]].concat(),
    );
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    std::fs::remove_file(&out).unwrap();
    let wrong = adapter("import", &bundle, &[&paths[..], &["--encoder", "roberta"]].concat());
    assert!(wrong.stdout.contains("is no linear layer"), "{}", wrong.stdout);
}
