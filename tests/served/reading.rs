//! An adapter is served by the bundle that it was trained with, and by no other reading of it.

use std::fs;
use std::path::Path;

use polygraft::adapter::Adapter;
use polygraft::bundle::{Bundle, CreateOptions, Pooling, Verify, create};
use polygraft::example::TaskKind;
use polygraft::model::PredictOptions;
use polygraft::{Code, Error};
use serde_json::{Value, json};

use crate::small::{TASK, bundle, edit_manifest, english, head, open, options, store, tokenizer};

/// The tokenizer with two letters exchanged.
fn permuted() -> Value {
    let mut json = tokenizer();
    json["model"]["vocab"].as_array_mut().unwrap().swap(37, 38);
    json
}

/// Predicts by `adapter` on the bundle in `folder`.
fn predict(folder: &Path, bundle: &Path, adapter: &Adapter) -> Result<f32, Error> {
    let place = tempfile::tempdir_in(folder).unwrap();
    let model = open(bundle, &store(&place.path().join("store"), adapter))?;
    let prediction = model.predict(TASK, &english(), "a b", &PredictOptions::default())?;
    Ok(prediction.output.labels().unwrap()[0].probability)
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn each_setting_that_decides_an_answer_is_bound_to_the_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let trained = bundle(folder);
    let adapter = head(&trained, TaskKind::Classification);
    predict(folder, trained.folder(), &adapter).unwrap();
    let usual = |name: &str| options(folder, name, &tokenizer());
    let others: Vec<(&str, CreateOptions)> = vec![
        ("prefix", CreateOptions { prefix: "b".to_owned(), ..usual("prefix") }),
        ("pooling", CreateOptions { pooling: Pooling::Cls, ..usual("pooling") }),
        ("tokens_max", CreateOptions { tokens_max: Some(31), ..usual("tokens") }),
        ("output", CreateOptions { output: Some("others".to_owned()), ..usual("output") }),
        ("tokenizer", options(folder, "permuted", &permuted())),
    ];
    for (setting, options) in others {
        let other = create(&options, &mut |_| {}).unwrap();
        assert_eq!(other.backbone_hash(), trained.backbone_hash(), "{setting}");
        assert_ne!(other.identity(), trained.identity(), "{setting}");
        let error = predict(folder, other.folder(), &adapter).unwrap_err();
        assert_eq!(error.code(), Code::AdapterIdentityMismatch, "{setting}: {error}");
        let expected = format!("{setting}: trained with ");
        assert!(error.to_string().contains(&expected), "{setting}: {error}");
        assert_eq!(error.to_string().matches("trained with ").count(), 1, "{setting}: {error}");
        // What was trained with that bundle is served by it.
        predict(folder, other.folder(), &head(&other, TaskKind::Classification)).unwrap();
    }
    let again = create(&usual("again"), &mut |_| {}).unwrap();
    predict(folder, again.folder(), &adapter).unwrap();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn an_adapter_that_does_not_say_how_it_reads_is_served_plainly_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = bundle(folder);
    let unknown = Adapter { reading: None, ..head(&plain, TaskKind::Classification) };
    // The file is that of before readings, byte for byte.
    let bytes = unknown.to_bytes().unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("reading"));
    assert_eq!(Adapter::from_bytes(&bytes).unwrap(), unknown);
    predict(folder, plain.folder(), &unknown).unwrap();
    let usual = |name: &str| options(folder, name, &tokenizer());
    for options in [
        CreateOptions { prefix: "b".to_owned(), ..usual("prefix") },
        CreateOptions { pooling: Pooling::Cls, ..usual("pooling") },
    ] {
        let other = create(&options, &mut |_| {}).unwrap();
        let error = predict(folder, other.folder(), &unknown).unwrap_err();
        assert_eq!(error.code(), Code::AdapterIdentityMismatch, "{error}");
        assert!(error.to_string().contains("store adopt"), "{error}");
    }
}

#[test]
fn an_edited_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let made = bundle(folder.path());
    let path = made.folder().join("manifest.json");
    let good = fs::read_to_string(&path).unwrap();
    let value: Value = serde_json::from_str(&good).unwrap();
    let keys = value.as_object().unwrap().keys().cloned();
    let keys: Vec<String> = keys.filter(|key| key != "blake3").collect();
    let refused = |what: &str| {
        for verify in [Verify::Quick, Verify::Remembered, Verify::Full] {
            let error = Bundle::open(made.folder(), verify).unwrap_err();
            assert_eq!(error.code(), Code::BundleMismatch, "{what}: {error}");
            assert!(error.to_string().contains("manifest.json"), "{what}: {error}");
        }
    };
    for key in keys.iter().filter(|key| !["format", "version"].contains(&key.as_str())) {
        edit_manifest(made.folder(), false, |value| {
            drop(value.as_object_mut().unwrap().remove(key));
        });
        refused(&format!("without {key}"));
        fs::write(&path, &good).unwrap();
    }
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 5] = [
        ("prefix", |value| value["prefix"] = json!("passage: ")),
        ("pooling", |value| value["pooling"] = json!("cls")),
        ("tokens_max", |value| value["tokens_max"] = json!(8)),
        ("a field more", |value| value["more"] = json!(1)),
        ("the hash", |value| value["blake3"] = json!("0".repeat(64))),
    ];
    for (what, edit) in edits {
        edit_manifest(made.folder(), false, edit);
        refused(what);
        fs::write(&path, &good).unwrap();
    }
    // White space and the order of keys say nothing.
    fs::write(&path, value.to_string()).unwrap();
    Bundle::open(made.folder(), Verify::Full).unwrap();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_manifest_of_before_it_stated_its_hash_opens() {
    let folder = tempfile::tempdir().unwrap();
    let made = bundle(folder.path());
    assert!(made.manifest().blake3.is_some());
    edit_manifest(made.folder(), false, |value| {
        drop(value.as_object_mut().unwrap().remove("blake3"));
    });
    let opened = Bundle::open(made.folder(), Verify::Full).unwrap();
    assert_eq!(opened.manifest().blake3, None);
    // Nothing else about the bundle has changed, so it still serves its adapters.
    assert_eq!(opened.identity(), made.identity());
    predict(folder.path(), opened.folder(), &head(&made, TaskKind::Classification)).unwrap();
    edit_manifest(made.folder(), false, |value| value["prefix"] = json!("passage: "));
    let error =
        predict(folder.path(), made.folder(), &head(&made, TaskKind::Classification)).unwrap_err();
    assert_eq!(error.code(), Code::AdapterIdentityMismatch, "{error}");
}

#[test]
fn a_file_that_contradicts_its_identity_is_malformed() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = head(&bundle(folder.path()), TaskKind::Classification);
    let bytes = adapter.to_bytes().unwrap();
    assert_eq!(Adapter::from_bytes(&bytes).unwrap(), adapter);
    let text = r#"\"pooling\":\"mean\""#;
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    let mut other = bytes.clone();
    other[at + text.len() - 6..at + text.len() - 2].copy_from_slice(b"clsx");
    let error = Adapter::from_bytes(&other).unwrap_err();
    assert_eq!(error.code(), Code::AdapterMalformed);
    assert!(error.to_string().contains("identity"), "{error}");
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn versions_of_an_old_store_are_adopted_once_by_who_knows() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        CreateOptions { prefix: "b".to_owned(), ..options(folder.path(), "bundle", &tokenizer()) };
    let bundle = create(&options, &mut |_| {}).unwrap();
    let adapter = head(&bundle, TaskKind::Classification);
    let expected = predict(folder.path(), bundle.folder(), &adapter).unwrap();
    let unknown = Adapter { reading: None, ..adapter };
    let store = store(&folder.path().join("store"), &unknown);
    let model = open(bundle.folder(), &store).unwrap();
    let ask = || model.predict(TASK, &english(), "a b", &PredictOptions::default());
    store.pin(TASK, &english()).unwrap();
    assert_eq!(model.adopt().unwrap()[0].to, None, "a pinned language stays as it is");
    assert_eq!(ask().unwrap_err().code(), Code::AdapterIdentityMismatch);
    store.unpin(TASK, &english()).unwrap();
    let adopted = model.adopt().unwrap();
    assert_eq!(adopted.len(), 1);
    assert_eq!((adopted[0].from, adopted[0].to), (1, Some(2)));
    let given = ask().unwrap();
    assert_eq!((given.version, given.output.labels().unwrap()[0].probability), (2, expected));
    assert!(model.adopt().unwrap().is_empty());
    // The old version is still there, and still refused.
    store.activate(TASK, &[(english(), 1)]).unwrap();
    assert_eq!(ask().unwrap_err().code(), Code::AdapterIdentityMismatch);
    assert_eq!(model.adopt().unwrap()[0].to, Some(3));
    ask().unwrap();
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_version_of_another_backbone_is_not_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let foreign = Adapter {
        reading: None,
        backbone: "0".repeat(64),
        ..head(&bundle, TaskKind::Classification)
    };
    let store = store(&folder.path().join("store"), &foreign);
    let model = open(bundle.folder(), &store).unwrap();
    assert_eq!(model.adopt().unwrap_err().code(), Code::AdapterBaseMismatch);
    assert_eq!(store.versions(None).unwrap().len(), 1);
}
