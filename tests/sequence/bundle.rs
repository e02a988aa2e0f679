//! Bundles of an encoder and its decoder: made of Optimum's layout, opened, refused.

use crate::support::{FIXTURES, copy, create, create_of_merged, fixture, lesson, options};
use crate::{engine, oracle};
use polygraft::Code;
use polygraft::bundle::{self, Bundle, FoundIds, Verify};
use polygraft::graph::{Dim, Model, TensorType, data_type};
use polygraft::runtime::{Session, SessionOptions};
use polygraft::sites::{Site, find_sites};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;

fn sites(bundle: &Bundle, model: &Model) -> Vec<Site> {
    find_sites(model.graph().unwrap(), bundle.weights())
}

#[test]
fn a_module_is_the_same_site_in_every_graph() {
    for name in FIXTURES {
        let folder = tempfile::tempdir().unwrap();
        let bundle = create(name, folder.path());
        let all = sites(&bundle, bundle.model());
        let alike = |one: &Site, other: &Site| {
            let form = |site: &Site| (site.module.clone(), site.role, site.inputs, site.outputs);
            form(one) == form(other)
        };
        let graphs = bundle.graphs().unwrap();
        let later = graphs.with_past.as_ref().unwrap();
        let parts = [&graphs.encoder, &graphs.decoder, later].map(|model| sites(&bundle, model));
        for site in parts.iter().flatten() {
            assert!(all.iter().any(|other| alike(site, other)), "{name}: {site:?}");
        }
        assert_eq!(parts[0].len() + parts[1].len(), all.len(), "{name}");
        // Keys and values of the source are made in the first step alone: two a layer.
        assert_eq!(parts[2].len() + 4, parts[1].len(), "{name}");
        // The names are those of the framework's modules.
        let expected = if name == "mt5" {
            ["encoder.block.1.layer.0.SelfAttention.q", "decoder.block.0.layer.1.EncDecAttention.k"]
        } else {
            [
                "model.encoder.layers.1.self_attn.q_proj",
                "model.decoder.layers.0.encoder_attn.k_proj",
            ]
        };
        for module in expected {
            assert!(all.iter().any(|site| site.module == module), "{module}");
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn the_joined_graph_gives_the_logits_of_the_whole_model() {
    for name in FIXTURES {
        let folder = tempfile::tempdir().unwrap();
        for bundle in [create(name, folder.path()), {
            fs::remove_dir_all(folder.path().join("bundle")).unwrap();
            create_of_merged(name, folder.path())
        }] {
            let bytes = lesson(name);
            let lesson = SafeTensors::deserialize(&bytes).unwrap();
            let session = Session::open(
                &engine::engine(),
                &bundle.model().to_bytes(),
                Some(bundle.weights()),
                &SessionOptions { threads: 1, ..SessionOptions::default() },
            );
            let names = ["input_ids", "attention_mask", "decoder_input_ids"];
            let values = names.map(|name| oracle::value(&lesson, &format!("input/{name}")));
            let inputs: Vec<_> = names.into_iter().zip(&values).collect();
            let found = session.unwrap().run(&inputs, &["logits"], None).unwrap().remove(0);
            let expected = oracle::value(&lesson, "logits");
            assert_eq!(found.shape(), expected.shape());
            let error = oracle::relative_error(found.as_f32().unwrap(), expected.as_f32().unwrap());
            assert!(error < 1e-5, "{name}: {error}");
        }
    }
}

#[test]
fn weights_that_graphs_share_lie_once() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = create("mt5", folder.path());
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let exported = size(&fixture("mt5").join("weights.data"));
    // Every tensor begins a page; none of the 33 lies twice.
    let made = size(&folder.path().join("bundle/backbone.onnx.data"));
    assert!(made < exported + 64 * 4096, "{made} bytes of {exported}");
    let opened = Bundle::open(&folder.path().join("bundle"), Verify::Full).unwrap();
    assert_eq!(opened.manifest(), bundle.manifest());
    let interface = opened.interface().decoder.as_ref().unwrap();
    assert_eq!((interface.layers(), interface.vocabulary), (2, 272));
    // The manifest on the disk is the one in memory.
    let text = fs::read(folder.path().join("bundle/manifest.json")).unwrap();
    let manifest: bundle::Manifest = serde_json::from_slice(&text).unwrap();
    assert_eq!(&manifest, bundle.manifest());
}

#[test]
fn bytes_and_pieces_come_back_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = create("mt5", folder.path());
    for text in ["Licht an", "ışığı kapat", "今日は", "tab\there", "naïve 🙂", " "] {
        let ids = bundle.tokenizer().encode(text, 100).unwrap().ids;
        // Bytes follow three special tokens, and the end comes last.
        let bytes: Vec<u32> = text.bytes().map(|byte| u32::from(byte) + 3).chain([1]).collect();
        assert_eq!(ids, bytes, "{text:?}");
        assert_eq!(bundle.tokenizer().decode(&ids).unwrap(), text);
        assert_eq!(
            bundle.tokenizer().encode_plain(text, 100).unwrap().ids,
            bytes[..bytes.len() - 1]
        );
    }
    // Ids without a token, and bytes that are not characters.
    assert_eq!(bundle.tokenizer().decode(&[270, 271, 0, 2]).unwrap(), "");
    assert_eq!(bundle.tokenizer().decode(&[3 + 0xc4]).unwrap(), "\u{fffd}");

    let folder = tempfile::tempdir().unwrap();
    let tokenizer = create("m2m100", folder.path());
    let tokenizer = tokenizer.tokenizer();
    assert!(tokenizer.is_compiled());
    let ids = tokenizer.encode("der zug sch", 100).unwrap().ids;
    assert_eq!(tokenizer.decode(&ids).unwrap(), "der zug sch");
    assert_eq!(tokenizer.decode(&[93, 1, 2]).unwrap(), "");
}

/// Makes a bundle of a changed copy of a fixture and expects it to fail.
fn refused(
    name: &str,
    change: impl FnOnce(&Path),
    set: impl FnOnce(&mut bundle::CreateSequenceOptions),
) -> polygraft::Error {
    let place = tempfile::tempdir().unwrap();
    let folder = copy(name, place.path(), &[]);
    change(&folder);
    let mut options = options(folder, place.path());
    set(&mut options);
    let error = bundle::create_sequence(&options, &mut |_| {}).expect_err("a refusal");
    assert!(!options.out.exists(), "nothing is left behind");
    error
}

fn edit(path: &Path, change: impl FnOnce(&mut polygraft::graph::GraphProto)) {
    let mut model = Model::read(path).unwrap();
    change(model.graph_mut().unwrap());
    let bytes = model.to_bytes();
    drop(model);
    fs::write(path, bytes).unwrap();
}

fn float(name: &str, dims: [i64; 4]) -> polygraft::graph::ValueInfoProto {
    let dim = |size: i64| if size < 0 { Dim::Unknown } else { Dim::Known(size) };
    TensorType::new(data_type::FLOAT, dims.map(dim).to_vec()).to_value_info(name)
}

#[test]
fn a_decoder_without_cross_attention_is_refused() {
    let error = refused(
        "mt5",
        |folder| {
            edit(&folder.join("decoder_model.onnx"), |graph| {
                graph.input.retain(|info| info.name() != "encoder_hidden_states");
            });
        },
        |_| {},
    );
    assert_eq!(error.code(), Code::GraphUnsupported);
    assert!(error.to_string().contains("no cross-attention"), "{error}");
}

#[test]
fn files_of_different_models_are_refused() {
    let with_past_of_another = |folder: &Path| {
        fs::rename(folder.join("weights.data"), folder.join("own.data")).unwrap();
        for entry in ["encoder_model.onnx", "decoder_model.onnx"] {
            edit(&folder.join(entry), |graph| {
                for tensor in &mut graph.initializer {
                    for entry in tensor.external_data.iter_mut().filter(|e| e.key() == "location") {
                        entry.value = Some("own.data".to_owned());
                    }
                }
            });
        }
        for file in ["decoder_with_past_model.onnx", "weights.data"] {
            fs::copy(fixture("m2m100").join(file), folder.join(file)).unwrap();
        }
    };
    let error = refused("mt5", with_past_of_another, |_| {});
    assert_eq!(error.code(), Code::GraphUnsupported);
    assert!(error.to_string().contains("do not belong together"), "{error}");

    let fewer_layers = |folder: &Path| {
        edit(&folder.join("decoder_model.onnx"), |graph| {
            graph.output.retain(|info| !info.name().starts_with("present.1."));
        });
    };
    let error = refused("mt5", fewer_layers, |_| {});
    assert!(error.to_string().contains("a cache of 4 tensors"), "{error}");

    let half_a_layer = |folder: &Path| {
        edit(&folder.join("decoder_model.onnx"), |graph| {
            graph.output.retain(|info| info.name() != "present.1.encoder.value");
        });
    };
    let error = refused("mt5", half_a_layer, |_| {});
    assert!(error.to_string().contains("keys and values"), "{error}");

    let other_heads = |folder: &Path| {
        edit(&folder.join("decoder_with_past_model.onnx"), |graph| {
            let input = graph.input.iter_mut();
            for info in input.filter(|info| info.name() == "past_key_values.0.decoder.key") {
                *info = float("past_key_values.0.decoder.key", [-1, 2, -1, 16]);
            }
        });
    };
    let error = refused("mt5", other_heads, |_| {});
    assert!(error.to_string().contains("2 of size 16"), "{error}");

    let other_size = |folder: &Path| {
        edit(&folder.join("decoder_model.onnx"), |graph| {
            let input = graph.input.iter_mut();
            for info in input.filter(|info| info.name() == "encoder_hidden_states") {
                let dims = vec![Dim::Unknown, Dim::Unknown, Dim::Known(64)];
                *info = TensorType::new(data_type::FLOAT, dims).to_value_info(info.name());
            }
        });
    };
    let error = refused("mt5", other_size, |_| {});
    assert!(error.to_string().contains("size 32, the decoder takes size 64"), "{error}");
}

#[test]
fn special_tokens_must_be_known_and_have_logits() {
    let forget = |folder: &Path| {
        fs::remove_file(folder.join("generation_config.json")).unwrap();
        fs::remove_file(folder.join("config.json")).unwrap();
    };
    let error = refused("mt5", forget, |_| {});
    assert_eq!(error.code(), Code::BundleTokenizer);
    assert!(error.to_string().contains("start token is not known"), "{error}");
    // What the files do not say can be said.
    let place = tempfile::tempdir().unwrap();
    let folder = copy("mt5", place.path(), &["generation_config.json", "config.json"]);
    let ids =
        FoundIds { decoder_start_token_id: Some(0), eos_token_ids: vec![1], ..FoundIds::default() };
    let said = bundle::CreateSequenceOptions { ids, ..options(folder, place.path()) };
    let bundle = bundle::create_sequence(&said, &mut |_| {}).unwrap();
    assert_eq!(bundle.decoder().unwrap().ids.pad_token_id, 1);

    let error = refused("mt5", |_| {}, |options| options.ids.decoder_start_token_id = Some(272));
    assert_eq!(error.code(), Code::BundleTokenizer);
    assert!(error.to_string().contains("start token has id 272"), "{error}");

    let error = refused(
        "m2m100",
        |folder| {
            // A vocabulary that gives more ids than the decoder has logits.
            let text = bundle::tokenizer::byte_tokenizer();
            fs::write(folder.join("tokenizer.json"), text).unwrap();
        },
        |_| {},
    );
    assert_eq!(error.code(), Code::BundleTokenizer);

    let error =
        refused("m2m100", |folder| fs::remove_file(folder.join("tokenizer.json")).unwrap(), |_| {});
    assert_eq!(error.code(), Code::NotFound);
}

#[test]
fn a_damaged_decoder_is_named_and_never_opened() {
    let place = tempfile::tempdir().unwrap();
    let folder = create("mt5", place.path()).folder().to_owned();
    let with_past = folder.join("decoder_with_past.onnx");
    let whole = fs::read(&with_past).unwrap();
    for position in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x20;
        fs::write(&with_past, &bytes).unwrap();
        let error = Bundle::open(&folder, Verify::Quick).unwrap_err();
        assert_eq!(error.code(), Code::BundleMismatch, "byte {position}");
        assert!(error.to_string().contains("decoder_with_past.onnx"), "{error}");
    }
    fs::write(&with_past, &whole).unwrap();

    let path = folder.join("manifest.json");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let with = |pointer: &str, value: serde_json::Value| {
        let mut changed = manifest.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        // As its author would have it; what stands in it is what is wrong.
        changed.as_object_mut().unwrap().remove("blake3");
        let hash = blake3::hash(changed.to_string().as_bytes()).to_hex().to_string();
        changed["blake3"] = hash.into();
        fs::write(&path, changed.to_string()).unwrap();
        Bundle::open(&folder, Verify::Quick).unwrap_err()
    };
    for (pointer, value, code) in [
        ("/decoder/vocabulary", 271.into(), Code::BundleManifest),
        ("/decoder/cache/0/heads", 8.into(), Code::BundleManifest),
        ("/decoder/cache/0/past", "elsewhere".into(), Code::BundleManifest),
        ("/decoder/tokens_max", 0.into(), Code::BundleManifest),
        ("/decoder/ids/ends", serde_json::json!([]), Code::BundleTokenizer),
        ("/decoder/ids/start", 4096.into(), Code::BundleTokenizer),
        ("/decoder/with_past", "../elsewhere.onnx".into(), Code::BundleManifest),
        ("/decoder", serde_json::Value::Null, Code::BundleManifest),
    ] {
        assert_eq!(with(pointer, value).code(), code, "{pointer}");
    }
}

#[test]
fn a_model_without_cache_still_makes_a_bundle() {
    let place = tempfile::tempdir().unwrap();
    let folder =
        copy("mt5", place.path(), &["decoder_with_past_model.onnx", "decoder_model_merged.onnx"]);
    let bundle = bundle::create_sequence(&options(folder, place.path()), &mut |_| {}).unwrap();
    assert!(bundle.graphs().unwrap().with_past.is_none());
    assert_eq!(bundle.decoder().unwrap().with_past, None);
}
