//! Adapters that PEFT and AdapterHub have written compute the same here, and what is written here
//! holds the same tensors again.
//!
//! The fixtures come from `tests/oracle/formats/make_fixtures.py`: the libraries' own files, and
//! what their models compute with them.

mod exchange_support;

use exchange_support::{Copy, Fixture, adapters, assert_close, fixture_path, tensors_of};
use polygraft::adapter::{Adapter, Kind};
use polygraft::exchange::{self, Format, ReadOptions, WriteOptions};
use safetensors::tensor::Dtype;
use std::path::Path;

/// The largest difference that different orders of addition may make.
const TOLERANCE: f32 = 1e-4;

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn adapters_of_other_libraries_compute_the_same_here() {
    let fixture = Fixture::open();
    let bare = fixture.hidden(None);
    assert_close(&bare, &fixture.expected("bare.hidden"), TOLERANCE, "bare");
    for name in adapters() {
        let adapter = fixture.read(name);
        let hidden = fixture.hidden(Some(&adapter));
        let expected = fixture.expected(&format!("{name}.hidden"));
        assert_close(&hidden, &expected, TOLERANCE, name);
        let moved = bare.iter().zip(&hidden).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(moved > 0.05, "{name} changes nothing: {moved}");
        if name.ends_with("-head") || name.starts_with("hub-") {
            assert_eq!(adapter.labels, ["on", "off", "dim"], "{name}");
            let logits = fixture.logits(&adapter, &hidden, name.starts_with("hub-"));
            assert_close(&logits, &fixture.expected(&format!("{name}.logits")), TOLERANCE, name);
        } else {
            assert!(adapter.labels.is_empty(), "{name}");
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn adapterhub_calls_the_modules_of_other_architectures_otherwise() {
    let fixture = Fixture::open_distil();
    for name in ["distil-double-seq-bn-learned", "distil-seq-bn-channel", "distil-lora"] {
        let adapter = fixture.read(name);
        let hidden = fixture.hidden(Some(&adapter));
        let expected = fixture.expected(&format!("{name}.hidden"));
        assert_close(&hidden, &expected, TOLERANCE, name);
        let logits = fixture.logits(&adapter, &hidden, true);
        assert_close(&logits, &fixture.expected(&format!("{name}.logits")), TOLERANCE, name);

        let folder = tempfile::tempdir().unwrap();
        let (path, backbone) = (folder.path().join("out"), fixture.backbone(name));
        let none = WriteOptions::default();
        let written = exchange::write(&adapter, Format::AdapterHub, &path, &backbone, &none);
        let text = written.unwrap_err().to_string();
        assert!(text.contains("no setting of AdapterHub chooses"), "{name}: {text}");
    }
}

#[test]
fn half_precision_is_upcast() {
    let fixture = Fixture::open();
    let exact = fixture.read("peft-lora-layers");
    for dtype in [Dtype::F16, Dtype::BF16] {
        let copy = Copy::of("peft-lora-layers");
        copy.narrow("adapter_model.safetensors", dtype);
        let narrow = copy.read(&fixture).unwrap();
        // Half precision has 11 significant bits, bfloat16 has 8.
        let relative = if dtype == Dtype::F16 { 1.0 / 1024.0 } else { 1.0 / 128.0 };
        for (name, tensor) in &exact.tensors {
            for (found, expected) in narrow.tensors[name].values.iter().zip(&*tensor.values) {
                let difference = (found - expected).abs();
                // What half precision cannot hold as a normal number was made zero.
                let allowed = (expected.abs() * relative).max(6.2e-5);
                assert!(difference <= allowed, "{name}: {found} for {expected}");
            }
        }
        assert_ne!(narrow.tensors, exact.tensors);
    }
}

#[test]
fn what_is_read_and_written_again_has_the_same_tensors() {
    let fixture = Fixture::open();
    let folder = tempfile::tempdir().unwrap();
    for name in adapters() {
        let adapter = fixture.read(name);
        let format = Format::detect(&fixture_path(name)).unwrap();
        let has_head_prefix = !name.starts_with("peft-") || name.ends_with("-head");
        let options = WriteOptions {
            encoder: if has_head_prefix { "bert".to_owned() } else { String::new() },
            name: Some("intent".to_owned()),
            ..WriteOptions::default()
        };
        let written = folder.path().join(name);
        let backbone = fixture.backbone(name);
        exchange::write(&adapter, format, &written, &backbone, &options).unwrap();
        assert_eq!(tensors_of(&written), tensors_of(&fixture_path(name)), "{name}");
        let again = exchange::read(&written, &backbone, &ReadOptions::default()).unwrap();
        assert_eq!(again, adapter, "{name}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_file_of_onnx_runtime_gives_the_inputs_their_values() {
    let fixture = Fixture::open();
    let folder = tempfile::tempdir().unwrap();
    for name in adapters() {
        let adapter = fixture.read(name);
        let path = folder.path().join(format!("{name}.onnx_adapter"));
        let backbone = fixture.backbone(name);
        let none = WriteOptions::default();
        exchange::write(&adapter, Format::OnnxAdapter, &path, &backbone, &none).unwrap();
        assert_eq!(Format::detect(&path).unwrap(), Format::OnnxAdapter);
        let labels = (!adapter.labels.is_empty()).then(|| adapter.labels.clone());
        let options = ReadOptions { labels, ..ReadOptions::default() };
        let again = exchange::read(&path, &backbone, &options);
        if adapter.components[0].kind() == Kind::Lora {
            let again = again.unwrap();
            let (first, second) = (fixture.hidden(Some(&adapter)), fixture.hidden(Some(&again)));
            assert_close(&second, &first, 1e-6, name);
            assert_eq!(again.labels, adapter.labels);
        } else {
            let message = again.unwrap_err().to_string();
            assert!(message.contains("does not say which"), "{name}: {message}");
        }
    }
}

#[test]
fn an_adapter_without_a_head_gets_one_for_given_labels() {
    let fixture = Fixture::open();
    let labels = Some(vec!["yes".to_owned(), "no".to_owned()]);
    let options = ReadOptions { labels, ..ReadOptions::default() };
    let name = "peft-lora-layers";
    let adapter = exchange::read(&fixture_path(name), &fixture.backbone(name), &options).unwrap();
    let head = &adapter.tensors["head.weight"];
    assert_eq!((head.shape.as_slice(), adapter.labels.len()), (&[32, 2][..], 2));
    assert!(head.values.iter().all(|value| *value == 0.0));
}

#[test]
fn an_adapter_in_the_own_format_comes_back_whole() {
    let fixture = Fixture::open();
    let folder = tempfile::tempdir().unwrap();
    let adapter = fixture.read("hub-par-bn");
    let path = folder.path().join("own.safetensors");
    let (backbone, none) = (fixture.backbone("hub-par-bn"), WriteOptions::default());
    exchange::write(&adapter, Format::Own, &path, &backbone, &none).unwrap();
    assert_eq!(Adapter::from_bytes(&std::fs::read(&path).unwrap()).unwrap(), adapter);
    let read = exchange::read(&path, &backbone, &ReadOptions::default()).unwrap();
    assert_eq!(read, adapter);
    let again = exchange::write(&adapter, Format::Own, &path, &backbone, &none).unwrap_err();
    assert!(again.to_string().contains("expected a new path"), "{again}");
}

#[test]
fn every_format_can_be_described_without_a_backbone() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::open();
    let name = "peft-lora-head";
    let file = folder.path().join("a.onnx_adapter");
    let (backbone, none) = (fixture.backbone(name), WriteOptions::default());
    exchange::write(&fixture.read(name), Format::OnnxAdapter, &file, &backbone, &none).unwrap();
    let described = |path: &Path| exchange::describe(path).unwrap();
    let (peft, onnx, hub) =
        (described(&fixture_path(name)), described(&file), described(&fixture_path("hub-lora")));
    assert_eq!([peft.format, onnx.format, hub.format], ["peft", "onnx-adapter", "adapterhub"]);
    // Four LoRAs of rank 4 but one of rank 2, and a head of three outputs.
    let expected = 3 * (2 * 4 * 32) + 2 * 2 * 32 + 3 * 32 + 3;
    assert_eq!([peft.parameters, onnx.parameters], [expected; 2]);
    assert!(peft.settings.contains(&("r".to_owned(), "4".to_owned())));
    assert_eq!(hub.labels.unwrap(), ["on", "off", "dim"]);
}
