//! Adapter files: what round-trips, what is refused and how it is named.

use polygraft::Code;
use polygraft::adapter::{
    Adapter, BottleneckConfig, Component, HEAD_BIAS, HEAD_WEIGHT, Ia3Config, InputSignature,
    LoraConfig, Placement, Tensor, TensorId, attach,
};
use polygraft::graph::{Model, Weights};
use polygraft::sites::{Role, Site, find_sites};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const HIDDEN: usize = 32;

fn tiny_bert() -> (Model, Weights) {
    let path = "tests/fixtures/tiny-bert-fused-erf/model.onnx";
    let model = Model::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let weights = Weights::map(&model).unwrap();
    (model, weights)
}

fn sites() -> Vec<Site> {
    let (model, weights) = tiny_bert();
    find_sites(model.graph().unwrap(), &weights)
}

fn adapter(sites: &[Site], labels: &[&str]) -> Adapter {
    let lora = LoraConfig { rank: 2, ..LoraConfig::default() };
    let tensor = |shape: &[usize]| Tensor {
        shape: shape.to_vec(),
        values: (0..shape.iter().product()).map(|index: usize| index as f32 * 0.25).collect(),
    };
    let mut tensors = BTreeMap::new();
    for site in lora.select(sites).unwrap() {
        tensors.insert(TensorId::LoraA(&site.module).to_string(), tensor(&[site.inputs, 2]));
        tensors.insert(TensorId::LoraB(&site.module).to_string(), tensor(&[2, site.outputs]));
    }
    tensors.insert(HEAD_WEIGHT.to_owned(), tensor(&[HIDDEN, labels.len()]));
    tensors.insert(HEAD_BIAS.to_owned(), tensor(&[labels.len()]));
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Adapter { labels, ..Adapter::headless("b1".to_owned(), vec![Component::Lora(lora)], tensors) }
}

fn lora_mut(adapter: &mut Adapter) -> &mut LoraConfig {
    let Some(Component::Lora(lora)) = adapter.components.first_mut() else { panic!("no LoRA") };
    lora
}

#[test]
fn sites_are_the_linear_layers_under_their_module_names() {
    let sites = sites();
    let modules: Vec<&str> = sites.iter().map(|site| site.module.as_str()).collect();
    assert_eq!(
        &modules[..6],
        [
            "encoder.layer.0.attention.self.query",
            "encoder.layer.0.attention.self.key",
            "encoder.layer.0.attention.self.value",
            "encoder.layer.0.attention.output.dense",
            "encoder.layer.0.intermediate.dense",
            "encoder.layer.0.output.dense",
        ]
    );
    assert_eq!(sites.len(), 12);
    assert_eq!((sites[4].inputs, sites[4].outputs), (32, 64));
    let chosen = LoraConfig::default();
    assert_eq!(chosen.select(&sites).unwrap().len(), 4);
    assert!(sites[4].matches("intermediate.dense") && !sites[4].matches("mediate.dense"));
    assert!(sites[4].matches("@feed_forward_input") && !sites[5].matches("@feed_forward_input"));
}

#[test]
fn roles_follow_from_the_flow_of_data_in_every_form_of_the_same_encoder() {
    use Role::{AttentionOutput, FeedForwardInput, FeedForwardOutput, Other};
    for form in ["fused-erf", "fused-op", "decomposed-erf", "decomposed-op"] {
        let path = format!("tests/fixtures/tiny-bert-{form}/model.onnx");
        let model = Model::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let weights = Weights::map(&model).unwrap();
        let sites = find_sites(model.graph().unwrap(), &weights);
        let roles: Vec<Role> = sites.iter().map(|site| site.role).collect();
        let layer = [Other, Other, Other, AttentionOutput, FeedForwardInput, FeedForwardOutput];
        assert_eq!(roles, layer.repeat(2), "{form}");
    }
}

#[test]
fn a_target_that_names_nothing_is_refused_with_what_exists() {
    let lora = LoraConfig { targets: vec!["querry".to_owned()], ..LoraConfig::default() };
    let error = lora.select(&sites()).unwrap_err();
    assert_eq!(error.code(), Code::AdapterNoSite);
    assert!(error.to_string().contains("querry"), "{error}");
    assert!(error.to_string().contains("encoder.layer.0.attention.self.query"), "{error}");
}

#[test]
fn attaching_adds_two_optional_inputs_a_site_and_keeps_the_outputs() {
    let (mut model, weights) = tiny_bert();
    let all = find_sites(model.graph().unwrap(), &weights);
    let chosen = LoraConfig::default().select(&all).unwrap();
    let before = model.graph().unwrap().clone();
    let signature = InputSignature::of(&[Component::Lora(LoraConfig::default())], &all).unwrap();
    attach(model.graph_mut().unwrap(), &all, &signature, true).unwrap();
    let after = model.graph().unwrap();
    assert_eq!(after.input.len(), before.input.len() + 2 * chosen.len());
    assert_eq!(after.initializer.len(), before.initializer.len() + 2 * chosen.len());
    assert_eq!(after.node.len(), before.node.len() + 3 * chosen.len());
    assert_eq!(after.output, before.output);
    assert!(polygraft::graph::is_topologically_sorted(after));
}

#[test]
fn equal_adapters_give_equal_bytes_and_come_back_whole() {
    let adapter = adapter(&sites(), &["b", "a", "ü"]);
    let bytes = adapter.to_bytes().unwrap();
    assert_eq!(bytes, adapter.clone().to_bytes().unwrap());
    assert_eq!(Adapter::from_bytes(&bytes).unwrap(), adapter);
    adapter.check("b1", &sites(), HIDDEN).unwrap();
}

#[test]
fn files_of_the_first_version_are_read_as_one_lora() {
    let adapter = adapter(&sites(), &["a", "b"]);
    let bytes = adapter.to_bytes().unwrap();
    // The text stands inside the JSON header, so its quotes are escaped there.
    let parts = r#"\"parts\":[{\"kind\":\"lora\","#;
    let old = r#"\"kind\":\"lora\",\"lora\":{"#;
    let (found, close) = (find(&bytes, parts), find(&bytes, "}]"));
    let mut first = bytes[8..found].to_vec();
    first.extend_from_slice(old.as_bytes());
    first.extend_from_slice(&bytes[found + parts.len()..=close]);
    first.extend_from_slice(&bytes[close + 2..]);
    let version = find(&first, r#"\"version\":2"#) + r#"\"version\":"#.len();
    first[version] = b'1';
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let length = length + first.len() as u64 + 8 - bytes.len() as u64;
    let file = [length.to_le_bytes().as_slice(), &first].concat();
    assert_eq!(Adapter::from_bytes(&file).unwrap(), adapter);
    first[version] = b'9';
    let file = [length.to_le_bytes().as_slice(), &first].concat();
    let error = Adapter::from_bytes(&file).unwrap_err();
    assert!(error.to_string().contains("expected 1 to 3, found 9"), "{error}");
}

fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

#[test]
fn patterns_choose_ranks_and_scales_by_module() {
    let lora = LoraConfig {
        rank: 4,
        alpha: 8.0,
        rank_pattern: [("query".to_owned(), 2), ("layer.1.query".to_owned(), 16)].into(),
        alpha_pattern: [("value".to_owned(), 1.0)].into(),
        ..LoraConfig::default()
    };
    lora.validate().unwrap();
    let cases = [
        ("layer.0.query", 2, 4.0),
        ("layer.1.query", 16, 0.5),
        ("layer.0.value", 4, 0.25),
        ("layer.0.key", 4, 2.0),
        // Not the end of the path after a dot.
        ("layer.0.subquery", 4, 2.0),
    ];
    for (module, rank, scale) in cases {
        assert_eq!((lora.rank_of(module), lora.scale_of(module)), (rank, scale), "{module}");
    }
    let none = LoraConfig { rank_pattern: [("key".to_owned(), 0)].into(), ..lora };
    assert!(none.validate().unwrap_err().to_string().contains("rank_pattern[\"key\"]"));
}

#[test]
fn parts_out_of_range_are_named() {
    let bottleneck = BottleneckConfig::default;
    let cases: [(&str, Vec<Component>); 6] = [
        (
            "bottleneck.reduction_factor",
            vec![Component::Bottleneck(BottleneckConfig { reduction_factor: 1e9, ..bottleneck() })],
        ),
        (
            "bottleneck.scale",
            vec![Component::Bottleneck(BottleneckConfig { scale: 1e60, ..bottleneck() })],
        ),
        (
            "beside a feed-forward",
            vec![Component::Bottleneck(BottleneckConfig {
                placement: Placement::Parallel,
                ..bottleneck()
            })],
        ),
        ("at most 4 bottleneck, found 5", vec![Component::Bottleneck(bottleneck()); 5]),
        ("at most 1 lora, found 2", vec![Component::Lora(LoraConfig::default()); 2]),
        (
            "ia3.targets",
            vec![Component::Ia3(Ia3Config { targets: vec![], feed_forward_targets: vec![] })],
        ),
    ];
    for (expected, components) in cases {
        let adapter = Adapter { components, ..adapter(&sites(), &["a", "b"]) };
        let error = Adapter::from_bytes(&adapter.to_bytes().unwrap()).unwrap_err();
        assert_eq!(error.code(), Code::AdapterMalformed);
        assert!(error.to_string().contains(expected), "{expected:?} not in {error}");
    }
}

#[test]
fn another_backbone_is_refused_with_both_hashes() {
    let error = adapter(&sites(), &["a", "b"]).check("b2", &sites(), HIDDEN).unwrap_err();
    assert_eq!(error.code(), Code::AdapterBaseMismatch);
    assert!(error.to_string().contains("b1") && error.to_string().contains("b2"), "{error}");
}

#[test]
fn missing_extra_and_misshapen_tensors_are_each_named() {
    let sites = sites();
    let mut adapter = adapter(&sites, &["a", "b"]);
    let missing = TensorId::LoraA(&sites[0].module).to_string();
    let misshapen = TensorId::LoraB(&sites[2].module).to_string();
    adapter.tensors.remove(&missing);
    adapter.tensors.get_mut(&misshapen).unwrap().shape.reverse();
    let bias = adapter.tensors[HEAD_BIAS].clone();
    adapter.tensors.insert("pooler.lora_A".to_owned(), bias);
    let error = adapter.check("b1", &sites, HIDDEN).unwrap_err();
    assert_eq!(error.code(), Code::AdapterTensors);
    let text = error.to_string();
    for part in [
        format!("{missing} is missing, expected shape [32, 2]"),
        format!("{misshapen} has shape [32, 2], expected [2, 32]"),
        "pooler.lora_A is extra".to_owned(),
    ] {
        assert!(text.contains(&part), "{part:?} not in {text}");
    }
}

#[test]
fn descriptions_out_of_range_are_named() {
    let good = adapter(&sites(), &["a", "b"]);
    type Spoil = fn(&mut Adapter);
    let cases: [(&str, Spoil); 4] = [
        ("lora.rank", |adapter| lora_mut(adapter).rank = 0),
        ("lora.alpha", |adapter| lora_mut(adapter).alpha = -1.0),
        ("labels", |adapter| adapter.labels = vec!["a".to_owned(), "a".to_owned()]),
        ("not a finite number", |adapter| {
            let bias = adapter.tensors.get_mut(HEAD_BIAS).unwrap();
            bias.values = vec![f32::NAN; 2].into();
        }),
    ];
    for (expected, spoil) in cases {
        let mut adapter = good.clone();
        spoil(&mut adapter);
        let error = Adapter::from_bytes(&adapter.to_bytes().unwrap()).unwrap_err();
        assert_eq!(error.code(), Code::AdapterMalformed);
        assert!(error.to_string().contains(expected), "{expected:?} not in {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_bytes_never_panic_and_truncated_ones_are_refused(
        position in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = adapter(&sites()[..3], &["a", "b"]).to_bytes().unwrap();
        let mut flipped = bytes.clone();
        flipped[position.index(bytes.len())] ^= flip;
        let _ = Adapter::from_bytes(&flipped);
        prop_assert!(Adapter::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
    }
}
