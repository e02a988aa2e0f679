//! Folders of sentence-transformers: what they say about pooling and layers, and what is refused.

use std::fs;
use std::path::Path;

use polygraft::Code;
use polygraft::bundle::{LayerActivation, Modules, NewLayer, Pooling};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

/// A folder with the modules of these types and their configurations.
fn folder(modules: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut listed = Vec::new();
    for (position, (kind, config)) in modules.iter().enumerate() {
        let name = kind.rsplit('.').next().unwrap();
        let path = if position == 0 { String::new() } else { format!("{position}_{name}") };
        let place = folder.path().join(&path);
        fs::create_dir_all(&place).unwrap();
        let file = if position == 0 { "sentence_bert_config.json" } else { "config.json" };
        fs::write(place.join(file), config.to_string()).unwrap();
        listed.push(json!({"idx": position, "name": name, "path": path, "type": kind}));
    }
    write(folder.path(), "modules.json", &json!(listed));
    folder
}

fn write(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).unwrap();
}

fn weights(folder: &Path, dtype: Dtype, rows: usize, columns: usize) {
    let float = |at: usize| at as f32 / 4.0;
    let bytes = |count: usize| -> Vec<u8> {
        match dtype {
            Dtype::BF16 => {
                (0..count).flat_map(|at| float(at).to_le_bytes()[2..].to_vec()).collect()
            }
            _ => (0..count).flat_map(|at| float(at).to_le_bytes()).collect(),
        }
    };
    let (weight, bias) = (bytes(rows * columns), bytes(rows));
    let views = [
        ("linear.weight", TensorView::new(dtype, vec![rows, columns], &weight).unwrap()),
        ("linear.bias", TensorView::new(dtype, vec![rows], &bias).unwrap()),
    ];
    fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
}

const TRANSFORMER: &str = "sentence_transformers.models.Transformer";
const POOLING: &str = "sentence_transformers.models.Pooling";
const DENSE: &str = "sentence_transformers.models.Dense";
const NORMALIZE: &str = "sentence_transformers.models.Normalize";

#[test]
fn every_form_of_a_pooling_is_read() {
    let flags = |name: &str| {
        let mut config = json!({"word_embedding_dimension": 4, "pooling_mode_cls_token": false});
        config[name] = json!(true);
        config
    };
    let named = |name: &str| json!({"embedding_dimension": 4, "pooling_mode": name});
    for (config, expected) in [
        (flags("pooling_mode_cls_token"), Pooling::Cls),
        (flags("pooling_mode_mean_tokens"), Pooling::Mean),
        (flags("pooling_mode_max_tokens"), Pooling::Max),
        (flags("pooling_mode_lasttoken"), Pooling::Last),
        (flags("pooling_mode_weightedmean_tokens"), Pooling::WeightedMean),
        (named("lasttoken"), Pooling::Last),
        (named("weightedmean"), Pooling::WeightedMean),
        (json!({"embedding_dimension": 4, "pooling_mode": ["cls"]}), Pooling::Cls),
        (json!({"embedding_dimension": 4}), Pooling::Mean),
    ] {
        let folder = folder(&[(TRANSFORMER, json!({"max_seq_length": 96})), (POOLING, config)]);
        let found = Modules::read(folder.path()).unwrap();
        assert_eq!((found.pooling, found.tokens_max), (expected, Some(96)));
        assert!(found.layers.is_empty() && found.prompts.is_empty() && found.include_prompt);
        assert_eq!(found.default_prefix(), None);
    }
}

#[test]
fn layers_are_read_in_their_order_with_their_values() {
    let mean = json!({"pooling_mode": "mean"});
    let linear = json!({"activation_function": "torch.nn.modules.linear.Identity"});
    for dtype in [Dtype::F32, Dtype::BF16] {
        let folder = folder(&[
            ("sentence_transformers.base.modules.transformer.Transformer", json!({})),
            ("sentence_transformers.sentence_transformer.modules.pooling.Pooling", mean.clone()),
            ("sentence_transformers.base.modules.dense.Dense", linear.clone()),
            (NORMALIZE, json!({})),
        ]);
        weights(&folder.path().join("2_Dense"), dtype, 3, 4);
        let found = Modules::read(folder.path()).unwrap();
        let values = |count: usize| (0..count).map(|at| at as f32 / 4.0).collect::<Vec<_>>();
        let dense = NewLayer::Dense {
            weight: values(12),
            bias: Some(values(3)),
            outputs: 3,
            activation: LayerActivation::Identity,
        };
        assert_eq!(found.layers, [dense, NewLayer::Normalise]);
        assert_eq!(found.tokens_max, None);
    }
}

#[test]
fn prompts_are_told_and_only_a_default_is_a_prefix() {
    let folder = folder(&[(TRANSFORMER, json!({})), (POOLING, json!({"pooling_mode": "cls"}))]);
    let mut config = json!({"prompts": {"query": "query: ", "document": ""}});
    write(folder.path(), "config_sentence_transformers.json", &config);
    let found = Modules::read(folder.path()).unwrap();
    assert_eq!(found.prompts.len(), 2);
    assert_eq!(found.default_prefix(), None);
    config["default_prompt_name"] = json!("query");
    write(folder.path(), "config_sentence_transformers.json", &config);
    assert_eq!(Modules::read(folder.path()).unwrap().default_prefix(), Some("query: "));
}

#[test]
fn a_limit_of_the_tokenizer_counts_where_there_is_no_other() {
    let folder = folder(&[(TRANSFORMER, json!({})), (POOLING, json!({"pooling_mode": "cls"}))]);
    for (stated, expected) in [(json!(24), Some(24)), (json!(1e30), None), (json!(null), None)] {
        write(folder.path(), "tokenizer_config.json", &json!({"model_max_length": stated}));
        assert_eq!(Modules::read(folder.path()).unwrap().tokens_max, expected);
    }
    write(folder.path(), "tokenizer_config.json", &json!({"model_max_length": 24}));
    write(folder.path(), "sentence_bert_config.json", &json!({"max_seq_length": 12}));
    assert_eq!(Modules::read(folder.path()).unwrap().tokens_max, Some(12));
}

#[test]
fn what_would_change_the_vector_and_is_not_known_is_refused_by_its_name() {
    let mean = || json!({"pooling_mode": "mean"});
    let cases: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (vec![(TRANSFORMER, json!({}))], "Pooling"),
        (vec![("sentence_transformers.models.CLIPModel", json!({}))], "CLIPModel"),
        (vec![(TRANSFORMER, json!({"do_lower_case": true})), (POOLING, mean())], "do_lower_case"),
        (
            vec![(TRANSFORMER, json!({})), (POOLING, json!({"pooling_mode": ["cls", "mean"]}))],
            "\"cls\", \"mean\"",
        ),
        (
            vec![
                (TRANSFORMER, json!({})),
                (POOLING, json!({"pooling_mode_mean_sqrt_len_tokens": true})),
            ],
            "mean_sqrt_len_tokens",
        ),
        (
            vec![
                (TRANSFORMER, json!({})),
                (POOLING, mean()),
                ("sentence_transformers.models.LayerNorm", json!({})),
            ],
            "LayerNorm",
        ),
        (
            vec![
                (TRANSFORMER, json!({})),
                (POOLING, mean()),
                (DENSE, json!({"activation_function": "torch.nn.modules.activation.Mish"})),
            ],
            "Mish",
        ),
        (
            vec![
                (TRANSFORMER, json!({})),
                (POOLING, mean()),
                (DENSE, json!({"use_residual": true})),
            ],
            "use_residual",
        ),
        (
            vec![
                (TRANSFORMER, json!({})),
                (POOLING, mean()),
                (NORMALIZE, json!({"module_input_name": "token_embeddings"})),
            ],
            "token_embeddings",
        ),
    ];
    for (modules, expected) in cases {
        let folder = folder(&modules);
        let error = Modules::read(folder.path()).unwrap_err();
        assert_eq!(error.code(), Code::BundleUnusable, "{error}");
        assert!(error.to_string().contains(expected), "{expected:?} is not in {error}");
    }
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(Modules::read(nothing.path()).unwrap_err().code(), Code::NotFound);
}

#[test]
fn damaged_files_of_a_folder_are_refused() {
    let layered = || {
        let config = json!({"activation_function": "torch.nn.modules.activation.Tanh"});
        let mean = json!({"pooling_mode": "mean"});
        let folder = folder(&[(TRANSFORMER, json!({})), (POOLING, mean), (DENSE, config)]);
        weights(&folder.path().join("2_Dense"), Dtype::F32, 3, 4);
        folder
    };
    Modules::read(layered().path()).unwrap();
    let long = [&(1u64 << 20).to_le_bytes()[..], &b" ".repeat(1 << 20)].concat();
    let cases: [(&str, &[u8]); 8] = [
        ("modules.json", b"{}"),
        ("modules.json", b"["),
        ("modules.json", br#"[{"path":"../x","type":"a.Transformer"}]"#),
        ("1_Pooling/config.json", b"\xff"),
        ("1_Pooling/config.json", &b" ".repeat(2 << 20)),
        ("2_Dense/model.safetensors", b""),
        ("2_Dense/model.safetensors", b"\x02\0\0\0\0\0\0\0{}"),
        ("2_Dense/model.safetensors", &long),
    ];
    for (name, bytes) in cases {
        let folder = layered();
        fs::write(folder.path().join(name), bytes).unwrap();
        let error = Modules::read(folder.path()).unwrap_err();
        assert_eq!(error.code(), Code::BundleUnusable, "{name}: {error}");
        assert!(error.to_string().contains(name.rsplit('/').next().unwrap()), "{name}: {error}");
    }
    let folder = layered();
    let place = folder.path().join("2_Dense");
    fs::rename(place.join("model.safetensors"), place.join("pytorch_model.bin")).unwrap();
    let error = Modules::read(folder.path()).unwrap_err();
    assert!(error.to_string().contains("a pickle"), "{error}");
}
