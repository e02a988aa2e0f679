//! Opening bundles that are damaged or hostile.

use std::fs;

use polygraft::Code;
use polygraft::bundle::{MANIFEST_FILE, Verify};
use serde_json::{Value, json};

use crate::workshop::{EMBEDDINGS, POSITIONS, Workshop, flip_byte, small_tokenizer};

#[test]
fn a_bundle_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&Workshop::new().create().unwrap());
}

#[test]
fn a_missing_folder_manifest_or_file_is_named() {
    let workshop = Workshop::new();
    assert_eq!(workshop.error(Verify::Quick).code(), Code::NotFound);
    fs::create_dir(workshop.path("bundle")).unwrap();
    assert_eq!(workshop.error(Verify::Quick).code(), Code::BundleManifest);
    fs::remove_dir(workshop.path("bundle")).unwrap();
    let manifest = workshop.create().unwrap().manifest().clone();
    for file in &manifest.files {
        let path = workshop.path("bundle").join(&file.path);
        let aside = workshop.path("aside");
        fs::rename(&path, &aside).unwrap();
        let error = workshop.error(Verify::Quick);
        assert_eq!(error.code(), Code::NotFound, "{error}");
        assert!(error.to_string().contains(&file.path), "{error}");
        fs::rename(&aside, &path).unwrap();
    }
    workshop.open(Verify::Full).unwrap();
}

#[test]
fn truncated_and_grown_files_are_found_quickly() {
    let workshop = Workshop::new();
    let manifest = workshop.create().unwrap().manifest().clone();
    for file in &manifest.files {
        let path = workshop.path("bundle").join(&file.path);
        let good = fs::read(&path).unwrap();
        for bytes in [good[..good.len() - 1].to_vec(), Vec::new(), [&good[..], b"x"].concat()] {
            fs::write(&path, bytes).unwrap();
            let error = workshop.error(Verify::Quick);
            assert_eq!(error.code(), Code::BundleMismatch, "{}: {error}", file.path);
            assert!(error.to_string().contains(&file.path), "{error}");
        }
        fs::write(&path, good).unwrap();
    }
    workshop.open(Verify::Full).unwrap();
}

#[test]
fn a_flipped_byte_is_found_in_every_small_file() {
    let workshop = Workshop::new();
    let manifest = workshop.create().unwrap().manifest().clone();
    for file in &manifest.files {
        let path = workshop.path("bundle").join(&file.path);
        for position in [0, file.size_bytes / 2, file.size_bytes - 1] {
            flip_byte(&path, position);
            for verify in [Verify::Quick, Verify::Full] {
                let error = workshop.error(verify);
                assert_eq!(error.code(), Code::BundleMismatch, "{} {verify:?}", file.path);
            }
            flip_byte(&path, position);
        }
    }
}

/// Sets a field of the manifest.
type Edit = fn(&mut Value);

#[test]
fn malformed_and_hostile_manifests_are_refused() {
    let workshop = Workshop::new();
    workshop.create().unwrap();
    let path = workshop.path("bundle").join(MANIFEST_FILE);
    let good = fs::read(&path).unwrap();
    fs::write(workshop.path("secret"), "secret").unwrap();
    let cases: Vec<(&str, Edit)> = vec![
        ("format", |value| value["format"] = json!("other")),
        ("version", |value| value["version"] = json!(2)),
        ("version", |value| value["version"] = json!("1")),
        ("no backbone", |value| drop(value.as_object_mut().unwrap().remove("backbone"))),
        ("pooling", |value| value["pooling"] = json!("median")),
        ("parent", |value| value["files"][0]["path"] = json!("../secret")),
        ("absolute", |value| value["files"][0]["path"] = json!("/etc/passwd")),
        ("dot", |value| value["files"][0]["path"] = json!("./backbone.onnx")),
        ("slash", |value| value["files"][0]["path"] = json!("backbone.onnx/")),
        ("empty", |value| value["files"][0]["path"] = json!("")),
        ("backslash", |value| value["files"][0]["path"] = json!("..\\secret")),
        ("itself", |value| value["files"][0]["path"] = json!("manifest.json")),
        ("twice", |value| value["files"][1] = value["files"][0].clone()),
        ("unlisted graph", |value| value["backbone"]["graph"] = json!("other.onnx")),
        ("unlisted data", |value| value["backbone"]["data"] = json!(["other.data"])),
        ("data not stated", |value| value["backbone"]["data"] = json!([])),
        ("unlisted tokenizer", |value| value["tokenizer"]["file"] = json!("other.json")),
        ("identity", |value| value["backbone"]["hash"] = json!("0".repeat(64))),
        ("hash", |value| value["files"][0]["blake3"] = json!("xyz")),
        ("size", |value| value["files"][0]["size_bytes"] = json!(-1)),
        ("input", |value| value["backbone"]["inputs"]["input_ids"] = json!("ids")),
        ("hidden", |value| value["backbone"]["hidden"] = json!(1_000_000_000)),
        ("opset", |value| value["backbone"]["opset"] = json!(9)),
        ("no tokens", |value| value["tokens_max"] = json!(0)),
        ("tokens", |value| value["tokens_max"] = json!(POSITIONS + 1)),
        ("prefix", |value| value["prefix"] = json!("x".repeat(POSITIONS))),
        ("files", |value| {
            value["files"] = Value::Array(vec![value["files"][0].clone(); 1_000]);
        }),
    ];
    for (what, edit) in cases {
        workshop.edit_manifest(edit);
        let error = workshop.error(Verify::Quick);
        assert_eq!(error.code(), Code::BundleManifest, "{what}: {error}");
        fs::write(&path, &good).unwrap();
    }
    for bytes in [&b""[..], b"{", b"null", b"\xff\xfe", &vec![b' '; 2 << 20], &good[..50]] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(workshop.error(Verify::Quick).code(), Code::BundleManifest);
    }
    fs::write(&path, &good).unwrap();
    workshop.edit_manifest(|value| value["written_by"] = json!("a later version"));
    workshop.open(Verify::Quick).unwrap();
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_refused() {
    let workshop = Workshop::new();
    workshop.create().unwrap();
    let inside = workshop.path("bundle/tokenizer.json");
    let outside = workshop.path("tokenizer.json");
    assert_eq!(fs::read(&inside).unwrap(), fs::read(&outside).unwrap());
    fs::remove_file(&inside).unwrap();
    std::os::unix::fs::symlink(&outside, &inside).unwrap();
    let error = workshop.error(Verify::Quick);
    assert_eq!(error.code(), Code::BundleManifest, "{error}");
}

#[test]
fn weights_outside_the_listed_data_are_refused() {
    let workshop = Workshop::new();
    workshop.create().unwrap();
    // The identity as docs/formats.md defines it, so that only the missing data is wrong.
    workshop.edit_manifest(|value| {
        value["backbone"]["data"] = json!([]);
        let graph = &value["files"][0];
        assert_eq!(graph["path"], "backbone.onnx");
        let hash = graph["blake3"].as_str().unwrap();
        let text = format!("polygraft-backbone 1\n{hash} {}\n", graph["size_bytes"]);
        value["backbone"]["hash"] = json!(blake3::hash(text.as_bytes()).to_hex().to_string());
    });
    let error = workshop.error(Verify::Quick);
    assert_eq!(error.code(), Code::BundleManifest, "{error}");
    assert!(error.to_string().contains("backbone.onnx.data"), "{error}");
}

/// Writes `bytes` to a file of the bundle and makes the manifest agree.
fn replace_file(workshop: &Workshop, name: &str, bytes: &[u8]) {
    fs::write(workshop.path("bundle").join(name), bytes).unwrap();
    workshop.edit_manifest(|value| {
        let files = value["files"].as_array_mut().unwrap();
        let record = files.iter_mut().find(|file| file["path"] == name).unwrap();
        record["size_bytes"] = json!(bytes.len());
        record["blake3"] = json!(blake3::hash(bytes).to_hex().to_string());
    });
}

#[test]
fn tokenizers_that_do_not_belong_are_refused() {
    let workshop = Workshop::new();
    workshop.create().unwrap();
    let other = small_tokenizer(EMBEDDINGS - 1).to_string();
    replace_file(&workshop, "tokenizer.json", other.as_bytes());
    let error = workshop.error(Verify::Quick);
    assert_eq!(error.code(), Code::BundleTokenizer, "{error}");

    let large = small_tokenizer(EMBEDDINGS + 1).to_string();
    replace_file(&workshop, "tokenizer.json", large.as_bytes());
    let compiled = polygraft::bundle::tokenizer::compile(&large).unwrap().unwrap();
    replace_file(&workshop, "tokenizer.bin", &compiled);
    let error = workshop.error(Verify::Quick);
    assert_eq!(error.code(), Code::BundleTokenizer, "{error}");
    assert!(error.to_string().contains("does not fit"), "{error}");
}
