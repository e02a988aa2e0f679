//! Vectors of bundles that were made of folders of sentence-transformers, against those that
//! sentence-transformers gives. `tests/oracle/embedders/make.py` wrote the folders and the vectors.

mod cli_support;
#[path = "support/engine.rs"]
mod engine;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cli_support::{Ran, polygraft, run};
use polygraft::bundle::{CreateOptions, Modules, create_tried};
use polygraft::example::Input;
use polygraft::inference::TrialRun;
use polygraft::language::Language;
use polygraft::model::{Model, ModelOptions};
use polygraft::store::Store;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/embedders").join(name)
}

/// The largest difference of two entries of a vector.
const TOLERANCE: f64 = 1e-5;

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn vectors_are_those_of_sentence_transformers() {
    let text = fs::read_to_string(fixture("vectors.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let texts = document["texts"].as_array().unwrap();
    let inputs: Vec<Input> = texts.iter().map(|text| text.as_str().unwrap().into()).collect();
    let engine = engine::engine();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
    let vectors = document["vectors"].as_object().unwrap();
    assert_eq!(vectors.len(), 8);
    for (case, expected) in vectors {
        let modules = Modules::read(&fixture(case)).unwrap();
        let options = CreateOptions {
            onnx: fixture("model.onnx"),
            tokenizer: fixture("tokenizer.json"),
            pooling: modules.pooling,
            layers: modules.layers,
            tokens_stated: modules.tokens_max,
            prefix: String::new(),
            tokens_max: None,
            output: None,
            upcast: false,
            out: folder.path().join(case),
            overwrite: false,
        };
        let bundle = create_tried(&options, &TrialRun::new(&engine), &mut |_| {}).unwrap().bundle;
        assert_eq!(bundle.manifest().tokens_max, 24, "{case}");
        let model =
            Model::open(&engine, bundle.folder(), &store, &ModelOptions::default()).unwrap();
        let language = Language::parse("en").unwrap();
        let found = model.embed(&language, None, &inputs, false).unwrap();
        for (text, (found, expected)) in
            texts.iter().zip(found.iter().zip(expected.as_array().unwrap()))
        {
            let expected = expected.as_array().unwrap();
            assert_eq!(found.len(), expected.len(), "{case}");
            for (found, expected) in found.iter().zip(expected) {
                let (found, expected) = (f64::from(*found), expected.as_f64().unwrap());
                let differs = (found - expected).abs() > TOLERANCE;
                assert!(!differs, "{case}: {text}: {found}, expected {expected}");
            }
        }
    }
}

/// A folder as it is published: the encoder as ONNX, the tokenizer, and what says how vectors are
/// made.
fn published(folder: &Path, case: &str) -> PathBuf {
    let place = folder.join(case);
    let copied = |from: PathBuf, to: &str| {
        let to = place.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    copied(fixture("model.onnx"), "onnx/model.onnx");
    copied(fixture("tokenizer.json"), "tokenizer.json");
    for name in ["modules.json", "tokenizer_config.json", "1_Pooling/config.json"] {
        copied(fixture(case).join(name), name);
    }
    place
}

fn create(onnx: &Path, out: &Path, more: &[&str]) -> Ran {
    let mut command = polygraft();
    command.args(["bundle", "create", "--json", "--overwrite", "--progress", "none", "--onnx"]);
    run(command.arg(onnx).arg("--out").arg(out).args(more))
}

fn manifest(bundle: &Path) -> Value {
    serde_json::from_slice(&fs::read(bundle.join("manifest.json")).unwrap()).unwrap()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_published_folder_becomes_a_bundle_and_flags_override_it() {
    let folder = tempfile::tempdir().unwrap();
    let (place, out) = (published(folder.path(), "last"), folder.path().join("bundle"));
    let made = create(&place, &out, &[]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{}", made.stdout);
    let found = manifest(&out);
    assert_eq!((&found["pooling"], &found["tokens_max"]), (&json!("last"), &json!(24)));
    assert_eq!(found["layers"], json!([{"kind": "normalise"}]));
    assert_eq!(found["prefix"], "");

    let made = create(&place, &out, &["--pooling", "max", "--tokens-max", "12", "--normalise"]);
    assert_eq!(made.code, 0, "{}", made.stdout);
    let found = manifest(&out);
    assert_eq!((&found["pooling"], &found["tokens_max"]), (&json!("max"), &json!(12)));
    assert_eq!(found["layers"], json!([{"kind": "normalise"}]), "once is enough");

    let tokenizer = fixture("tokenizer.json");
    let file = ["--tokenizer", tokenizer.to_str().unwrap()];
    let plain = [&file[..], &["--pooling", "mean", "--normalise"]].concat();
    assert_eq!(create(&fixture("model.onnx"), &out, &plain).code, 0);
    assert_eq!(manifest(&out)["layers"], json!([{"kind": "normalise"}]));
    let modules = fixture("narrow");
    let elsewhere = [&file[..], &["--modules", modules.to_str().unwrap()]].concat();
    assert_eq!(create(&fixture("model.onnx"), &out, &elsewhere).code, 0);
    assert_eq!(manifest(&out)["layers"][0]["outputs"], 6);

    fs::remove_file(place.join("onnx/model.onnx")).unwrap();
    let refused = create(&place, &out, &[]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(refused.stdout.contains("--modules"), "{}", refused.stdout);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn prompts_are_printed_and_only_a_default_one_is_the_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let (place, out) = (published(folder.path(), "mean"), folder.path().join("bundle"));
    let prompts = |default: Value| {
        let prompts = json!({"query": "turn ", "document": "the "});
        let config = json!({"prompts": prompts, "default_prompt_name": default});
        fs::write(place.join("config_sentence_transformers.json"), config.to_string()).unwrap();
    };
    prompts(json!(null));
    let made = create(&place, &out, &[]);
    assert!(made.stderr.contains(r#"query "turn ""#), "{}", made.stderr);
    assert!(made.stderr.contains("none of them is the prefix"), "{}", made.stderr);
    assert_eq!(manifest(&out)["prefix"], "");
    prompts(json!("document"));
    let made = create(&place, &out, &[]);
    assert!(made.stderr.contains("that of document"), "{}", made.stderr);
    assert_eq!(manifest(&out)["prefix"], "the ");
    for prefix in ["turn ", ""] {
        assert_eq!(create(&place, &out, &["--prefix", prefix]).code, 0);
        assert_eq!(manifest(&out)["prefix"], prefix);
    }
    let pooling = place.join("1_Pooling/config.json");
    fs::write(pooling, json!({"pooling_mode": "mean", "include_prompt": false}).to_string())
        .unwrap();
    let refused = create(&place, &out, &[]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stdout.contains("include_prompt"), "{}", refused.stdout);
    assert_eq!(create(&place, &out, &["--prefix", ""]).code, 0);
}
