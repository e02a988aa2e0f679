//! What an adapter of another library must not lose is refused by its name, and damaged files are
//! refused without a panic.

mod exchange_support;

use exchange_support::{Copy, Fixture, adapters, fixture_path};
use polygraft::Code;
use polygraft::adapter::{Component, LoraConfig, TensorId};
use polygraft::exchange::{self, Backbone, Format, ReadOptions, WriteOptions};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::OnceLock;

const CONFIG: &str = "adapter_config.json";
const PEFT_TENSORS: &str = "adapter_model.safetensors";

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(Fixture::open)
}

#[test]
fn settings_of_peft_that_have_no_place_here_are_named() {
    let cases = [
        ("use_dora", json!(true), "DoRA"),
        ("alora_invocation_tokens", json!([5, 6]), "aLoRA"),
        ("layer_replication", json!([[0, 2], [0, 2]]), "copied layers"),
        ("lora_bias", json!(true), "bias"),
        ("trainable_token_indices", json!([7]), "tokens"),
        ("megatron_config", json!({"a": 1}), "Megatron"),
        ("target_parameters", json!(["experts.gate"]), "no linear layers"),
        ("use_qalora", json!(true), "QALoRA"),
        ("kasa_config", json!({"beta": 1.0}), "KaSA"),
        ("bias", json!("all"), "expected \"none\""),
        ("bias", json!("lora_only"), "expected \"none\""),
        ("init_lora_weights", json!("pissa"), "path_initial_model_for_weight_conversion"),
        ("init_lora_weights", json!("loftq"), "path_initial_model_for_weight_conversion"),
        ("peft_type", json!("PREFIX_TUNING"), "expected \"LORA\" or \"IA3\""),
        ("peft_type", json!("ADALORA"), "expected \"LORA\" or \"IA3\""),
        ("lora_alpha", json!(0), "found 0"),
        ("alpha_pattern", json!({"query": 2, "self.query": 3}), "found 2 and 3"),
        ("task_type", json!("SEQ_CLS"), "pooler"),
        ("task_type", json!("TOKEN_CLS"), "pooler"),
        ("target_modules", json!("(?!key)query"), "regular expression"),
        ("a_setting_of_next_year", json!(3), "not known"),
    ];
    for (field, value, reason) in cases {
        let copy = Copy::of("peft-lora-head");
        copy.edit(CONFIG, |config| config[field] = value.clone());
        let error = copy.refused(fixture());
        let text = error.to_string();
        assert_eq!(error.code(), Code::AdapterUnsupported, "{field}: {text}");
        assert!(text.contains(field) && text.contains(reason), "{field}: {text}");
    }
}

#[test]
fn a_head_of_a_task_class_needs_a_word_from_the_user() {
    let copy = Copy::of("peft-lora-head");
    copy.edit(CONFIG, |config| {
        config["auto_mapping"] = json!({"base_model_class": "BertForSequenceClassification"});
    });
    let error = copy.refused(fixture());
    assert_eq!(error.code(), Code::AdapterUnsupported);
    assert!(error.to_string().contains("BertForSequenceClassification"), "{error}");
    let options = ReadOptions { head_on_pooled: true, ..ReadOptions::default() };
    let backbone = fixture().backbone("peft-lora-head");
    let read = exchange::read(copy.path(), &backbone, &options).unwrap();
    assert_eq!(read, fixture().read("peft-lora-head"));
}

#[test]
fn messages_are_short_whatever_the_names_are() {
    let copy = Copy::of("peft-lora-head");
    copy.edit_tensors(PEFT_TENSORS, |tensors| {
        let name = format!("base_model.model.{}.lora_A.weight", "x".repeat(1 << 20));
        tensors.insert(name, (vec![1], vec![0; 4]));
    });
    assert!(copy.refused(fixture()).to_string().len() < 4_096);
}

#[test]
fn malformed_settings_of_peft_are_named_with_what_was_found() {
    let cases = [
        ("r", json!("four"), "found \"four\""),
        ("r", json!(5), "expected rank [5.0]"),
        ("use_rslora", json!("yes"), "expected true or false"),
        ("rank_pattern", json!({"query": "two"}), "expected an object of numbers"),
        ("modules_to_save", json!("classifier"), "expected a list of texts"),
        ("target_modules", json!(["query", "value", "key"]), "has no tensors"),
        ("target_modules", json!(["query"]), "leaves it out"),
        ("exclude_modules", json!(["query"]), "leaves it out"),
        ("layers_to_transform", json!([0]), "leaves it out"),
        ("target_modules", Value::Null, "target_modules"),
    ];
    for (field, value, expected) in cases {
        let copy = Copy::of("peft-lora-head");
        copy.edit(CONFIG, |config| config[field] = value.clone());
        let error = copy.refused(fixture());
        let text = error.to_string();
        assert_eq!(error.code(), Code::AdapterMalformed, "{field}: {text}");
        assert!(text.contains(expected), "{field}: {expected:?} is not in {text}");
    }
}

#[test]
fn settings_that_say_nothing_are_accepted() {
    let copy = Copy::of("peft-lora-head");
    let values = [json!(null), json!(false), json!(""), json!([]), json!({})];
    copy.edit(CONFIG, |config| {
        for (number, value) in values.into_iter().enumerate() {
            config[format!("setting_of_next_year_{number}")] = value;
        }
        config["fan_in_fan_out"] = json!(true);
        config["loftq_config"] = json!({"loftq_bits": 4});
    });
    let read = copy.read(fixture()).unwrap();
    assert_eq!(read, fixture().read("peft-lora-head"));
}

#[test]
fn tensors_of_peft_that_have_no_place_here_are_named() {
    type Change = fn(&mut std::collections::BTreeMap<String, (Vec<usize>, Vec<u8>)>);
    let cases: [(&str, Change, &str); 7] = [
        (
            "an embedding",
            |tensors| {
                let name = "base_model.model.bert.embeddings.word_embeddings.lora_embedding_A";
                tensors.insert(name.to_owned(), (vec![1], vec![0; 4]));
            },
            "word_embeddings.lora_embedding_A",
        ),
        (
            "a second layer in the head",
            |tensors| {
                let name = "base_model.model.classifier.dense.weight";
                tensors.insert(name.to_owned(), (vec![1], vec![0; 4]));
            },
            "classifier.dense.weight",
        ),
        (
            "a module that the backbone lacks",
            |tensors| {
                let name = "base_model.model.bert.pooler.dense.lora_A.weight";
                tensors.insert(name.to_owned(), (vec![4, 32], vec![0; 4 * 4 * 32]));
            },
            "bert.pooler.dense is no linear layer",
        ),
        (
            "another encoder",
            |tensors| {
                let suffix = "encoder.layer.0.attention.self.key.lora_A.weight";
                let name = format!("base_model.model.decoder.{suffix}");
                tensors.insert(name, (vec![4, 32], vec![0; 4 * 4 * 32]));
            },
            "do not lie in the same encoder",
        ),
        (
            "a lost layer",
            |tensors| tensors.retain(|name, _| !name.contains("layer.1.attention.self.value")),
            "layer.1.attention.self.value has no tensors",
        ),
        (
            "half a layer",
            |tensors| {
                tensors.retain(|name, _| {
                    !name.ends_with("layer.0.attention.self.value.lora_B.weight")
                });
            },
            "lora_B.weight is missing",
        ),
        (
            "no head",
            |tensors| tensors.retain(|name, _| !name.ends_with("classifier.weight")),
            "classifier.bias",
        ),
    ];
    for (what, change, expected) in cases {
        let copy = Copy::of("peft-lora-head");
        copy.edit_tensors(PEFT_TENSORS, change);
        let text = copy.refused(fixture()).to_string();
        assert!(text.contains(expected), "{what}: {expected:?} is not in {text}");
    }
}

#[test]
fn labels_have_to_fit_the_head() {
    let copy = Copy::of("peft-lora-head");
    copy.edit("config.json", |config| config["id2label"] = json!({"0": "a", "1": "b"}));
    assert!(copy.refused(fixture()).to_string().contains("expected 2 outputs (labels), found 3"));
    copy.edit("config.json", |config| config["id2label"] = json!({"0": "a", "2": "b"}));
    assert!(copy.refused(fixture()).to_string().contains("each number from 0 on"));
    copy.edit("config.json", |config| {
        config["id2label"] = json!({"0": "a", "1": "a", "2": "b"});
    });
    assert!(copy.refused(fixture()).to_string().contains("repeated"));
    std::fs::remove_file(copy.path().join("config.json")).unwrap();
    assert!(copy.refused(fixture()).to_string().contains("which labels"));
}

#[test]
fn pickles_are_refused_with_what_to_do() {
    let cases = [
        ("peft-lora-head", PEFT_TENSORS, "adapter_model.bin"),
        ("hub-seq-bn", "adapter.safetensors", "pytorch_adapter.bin"),
        ("hub-seq-bn", "model_head.safetensors", "pytorch_model_head.bin"),
    ];
    for (name, tensors, pickle) in cases {
        let copy = Copy::of(name);
        std::fs::rename(copy.path().join(tensors), copy.path().join(pickle)).unwrap();
        let error = copy.refused(fixture());
        assert_eq!(error.code(), Code::AdapterUnsupported);
        let text = error.to_string();
        assert!(text.contains(pickle) && text.contains("use_safetensors=True"), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.pt");
    std::fs::write(&path, b"PK\x03\x04 and more of a zip file").unwrap();
    assert!(Format::detect(&path).unwrap_err().to_string().contains("pickle"));
}

#[test]
fn settings_of_adapterhub_that_have_no_place_here_are_named() {
    let cases = [
        ("inv_adapter", json!("nice"), "invertible"),
        ("phm_layer", json!(true), "Compacter"),
        ("ln_after", json!(true), "norms inside"),
        ("ln_before", json!(true), "norms inside"),
        ("use_gating", json!(true), "gates"),
        ("cross_adapter", json!(true), "cross-attention"),
        ("non_linearity", json!("leakyrelu"), "expected \"relu\""),
        ("non_linearity", json!("gelu_new"), "expected \"relu\""),
        ("original_ln_after", json!(false), "expected true"),
        ("residual_before_ln", json!("post_add"), "residual"),
        ("residual_before_ln", json!(false), "residual"),
        ("reduction_factor", json!(5), "reduction_factor"),
        ("architecture", json!("prefix_tuning"), "prefix_tuning"),
        ("architecture", json!("union"), "union"),
        ("architecture", json!("mtl_lora"), "mtl_lora"),
        ("a_setting_of_next_year", json!("on"), "not known"),
    ];
    for (field, value, reason) in cases {
        let copy = Copy::of("hub-seq-bn");
        copy.edit(CONFIG, |config| config["config"][field] = value.clone());
        let error = copy.refused(fixture());
        let text = error.to_string();
        assert_eq!(error.code(), Code::AdapterUnsupported, "{field}: {text}");
        assert!(text.contains(field) && text.contains(reason), "{field}: {text}");
    }
    for (field, value) in [("use_dora", json!(true)), ("vera_d", json!(0.1))] {
        let copy = Copy::of("hub-lora");
        copy.edit(CONFIG, |config| config["config"][field] = value.clone());
        let text = copy.refused(fixture()).to_string();
        assert!(text.contains(field), "{text}");
    }
}

#[test]
fn what_stands_around_an_adapter_of_adapterhub_is_checked() {
    let spoilt = |name: &str, file: &str, change: fn(&mut Value)| {
        let copy = Copy::of(name);
        copy.edit(file, change);
        copy.refused(fixture()).to_string()
    };
    let head = "head_config.json";
    for (text, expected) in [
        (spoilt("hub-seq-bn", CONFIG, |config| config["version"] = json!("3.2.1")), "version"),
        (spoilt("hub-seq-bn", CONFIG, |config| config["hidden_size"] = json!(64)), "hidden_size"),
        (
            spoilt("hub-par-bn", CONFIG, |config| config["model_type"] = json!("gpt2")),
            "is_parallel",
        ),
        (spoilt("hub-seq-bn", head, |config| config["config"]["layers"] = json!(2)), "layers"),
        (
            spoilt("hub-seq-bn", head, |config| config["config"]["use_pooler"] = json!(true)),
            "use_pooler",
        ),
        (
            spoilt("hub-seq-bn", head, |config| config["config"]["head_type"] = json!("tagging")),
            "head_type",
        ),
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    let copy = Copy::of("hub-seq-bn");
    std::fs::write(copy.path().join("adapter_fusion_config.json"), "{}").unwrap();
    assert!(copy.refused(fixture()).to_string().contains("AdapterFusion"));

    let mean = Backbone { first_token: false, ..fixture().backbone("hub-seq-bn") };
    let path = fixture_path("hub-seq-bn");
    let error = exchange::read(&path, &mean, &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("first token"), "{error}");
}

#[test]
fn before_1_1_adapterhub_trained_without_the_scale() {
    let copy = Copy::of("hub-lora");
    copy.edit(CONFIG, |config| config["version"] = json!("adapters.1.0.1"));
    let adapter = copy.read(fixture()).unwrap();
    let Component::Lora(lora) = &adapter.components[0] else { panic!("a LoRA") };
    assert_eq!((lora.rank, lora.alpha), (4, 4.0));
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, format: Format| {
        let adapter = fixture().read(name);
        let (path, backbone) = (folder.path().join("out"), fixture().backbone(name));
        let error = exchange::write(&adapter, format, &path, &backbone, &WriteOptions::default());
        assert!(!path.exists(), "{name}");
        error.unwrap_err().to_string()
    };
    let text = refused("hub-seq-bn", Format::Peft);
    assert!(text.contains("no bottleneck"), "{text}");
    let text = refused("peft-ia3-head", Format::AdapterHub);
    assert!(text.contains("outputs, not inputs"), "{text}");
    let text = refused("peft-lora-head", Format::AdapterHub);
    assert!(text.contains("ranks and scales by module"), "{text}");
}

#[test]
fn spoilt_files_of_onnx_runtime_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx_adapter");
    let (backbone, none) = (fixture().backbone("peft-lora-layers"), WriteOptions::default());
    let adapter = fixture().read("peft-lora-layers");
    exchange::write(&adapter, Format::OnnxAdapter, &path, &backbone, &none).unwrap();
    let good = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = exchange::read(&path, &backbone, &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("a.onnx_adapter"), "{error}");
        error.to_string()
    };
    let patched = |find: &[u8], replace: &[u8]| {
        let at = good.windows(find.len()).position(|window| window == find).unwrap();
        let mut bytes = good.clone();
        bytes[at..at + replace.len()].copy_from_slice(replace);
        bytes
    };
    // The root table comes first: distance to its field list, then format_version.
    let root = u32::from_le_bytes(good[..4].try_into().unwrap()) as usize;
    let mut version = good.clone();
    version[root + 4] = 9;
    assert!(refused(&version).contains("format_version: expected 1, found 9"));
    let text = refused(&patched(b"encoder.layer.1", b"encoder.layer.9"));
    assert!(text.contains("layer.9"), "{text}");
    assert!(refused(&good[..good.len() - 40]).contains("outside the file"));
    // The list of parameters follows the root table: its length, then an offset to each. The second
    // one now leads to the first parameter.
    let list = root + 20;
    let first = u32::from_le_bytes(good[list + 4..list + 8].try_into().unwrap());
    let mut twice = good.clone();
    twice[list + 8..list + 12].copy_from_slice(&(first - 4).to_le_bytes());
    assert!(refused(&twice).contains("is there twice"));
    assert!(refused(&patched(b"TORT", b"TORX")).contains("expected safetensors"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_never_panic_and_are_named(
        name in prop::sample::select(adapters().to_vec()),
        file in any::<prop::sample::Index>(),
        position in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<bool>(),
    ) {
        let copy = Copy::of(name);
        let files = copy.files();
        let path = &files[file.index(files.len())];
        let mut bytes = std::fs::read(path).unwrap();
        let at = position.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        let whole = std::fs::read(path).unwrap();
        std::fs::write(path, bytes).unwrap();
        match copy.read(fixture()) {
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains(copy.path().to_str().unwrap()), "{}", text);
            }
            // Only the line feed at the end of JSON can be spared.
            Ok(_) => prop_assert!(!cut || whole[at..].iter().all(u8::is_ascii_whitespace)),
        }
    }

    #[test]
    fn damaged_files_of_onnx_runtime_never_panic(
        position in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<bool>(),
    ) {
        static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
        let backbone = fixture().backbone("peft-rslora-regex");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.onnx_adapter");
        let good = GOOD.get_or_init(|| {
            let adapter = fixture().read("peft-rslora-regex");
            let none = WriteOptions::default();
            exchange::write(&adapter, Format::OnnxAdapter, &path, &backbone, &none).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            bytes
        });
        let mut bytes = good.clone();
        let at = position.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = value;
        }
        std::fs::write(&path, &bytes).unwrap();
        let read = exchange::read(&path, &backbone, &ReadOptions::default());
        // The last bytes may be padding, which nothing points at.
        prop_assert!(!cut || read.is_err() || at + 8 > good.len());
        if let Err(error) = read {
            prop_assert!(error.to_string().contains("a.onnx_adapter"), "{}", error);
        }
    }
}

#[test]
fn several_kinds_in_one_adapter_are_refused_by_other_formats() {
    let name = "peft-ia3-head";
    let mut adapter = fixture().read(name);
    let backbone = fixture().backbone(name);
    let lora = LoraConfig { rank: 1, ..LoraConfig::default() };
    for site in lora.select(backbone.sites).unwrap() {
        let tensor = |shape: &[usize]| polygraft::adapter::Tensor {
            shape: shape.to_vec(),
            values: vec![0.5; shape.iter().product()].into(),
        };
        adapter
            .tensors
            .insert(TensorId::LoraA(&site.module).to_string(), tensor(&[site.inputs, 1]));
        adapter
            .tensors
            .insert(TensorId::LoraB(&site.module).to_string(), tensor(&[1, site.outputs]));
    }
    adapter.components.push(Component::Lora(lora));
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Peft, Format::AdapterHub] {
        let path = folder.path().join(format.name());
        let written = exchange::write(&adapter, format, &path, &backbone, &WriteOptions::default());
        let text = written.unwrap_err().to_string();
        assert!(text.contains("2 components"), "{text}");
    }
}
