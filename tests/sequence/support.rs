//! Bundles of the sequence-to-sequence fixtures, and what PyTorch made of them.

use std::path::{Path, PathBuf};

use polygraft::adapter::{
    Adapter, BottleneckConfig, Component, Ia3Config, LoraConfig, Tensor, tensor_shapes,
};
use polygraft::bundle::{self, Bundle, CreateSequenceOptions, FoundIds, Pooling};
use polygraft::example::TaskKind;
use polygraft::sites::{Site, find_sites};
use safetensors::SafeTensors;

/// The models under `tests/fixtures/sequence`.
pub const FIXTURES: [&str; 4] = ["mt5", "m2m100", "mbart", "marian"];

/// The folder of a model as Optimum writes it.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sequence").join(name)
}

fn oracle_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/sequence").join(name)
}

/// Options for a bundle named `bundle` in the folder `place`.
pub fn options(folder: PathBuf, place: &Path) -> CreateSequenceOptions {
    CreateSequenceOptions {
        folder,
        tokenizer: None,
        pooling: Pooling::Mean,
        prefix: String::new(),
        tokens_max: None,
        target_tokens_max: None,
        ids: FoundIds::default(),
        upcast: false,
        out: place.join("bundle"),
        overwrite: false,
    }
}

/// The bundle of a fixture.
pub fn create(name: &str, place: &Path) -> Bundle {
    bundle::create_sequence(&options(fixture(name), place), &mut |_| {}).expect("a bundle")
}

/// A copy of a fixture's files in `place`, without those that `leave` names.
pub fn copy(name: &str, place: &Path, leave: &[&str]) -> PathBuf {
    let folder = place.join("model");
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !leave.contains(&file.as_str()) {
            std::fs::copy(&path, folder.join(file)).unwrap();
        }
    }
    folder
}

/// The bundle of a fixture, made of its merged decoder.
pub fn create_of_merged(name: &str, place: &Path) -> Bundle {
    let folder = copy(name, place, &["decoder_model.onnx", "decoder_with_past_model.onnx"]);
    bundle::create_sequence(&options(folder, place), &mut |_| {}).expect("a bundle")
}

/// What `transformers` generates.
#[derive(serde::Deserialize)]
pub struct Oracle {
    /// Token ids.
    pub sources: Vec<Vec<u32>>,
    /// The tokens that end a target.
    pub ends: Vec<u32>,
    /// By options.
    pub cases: Vec<Case>,
}

/// What comes out with some options.
#[derive(Debug, serde::Deserialize)]
pub struct Case {
    pub beams: usize,
    pub tokens_max: usize,
    #[serde(default = "one")]
    pub length_penalty: f32,
    #[serde(default)]
    pub tokens_min: usize,
    #[serde(default = "one")]
    pub repetition_penalty: f32,
    #[serde(default)]
    pub no_repeat: usize,
    pub forced_begin: Option<u32>,
    pub outputs: Vec<Vec<u32>>,
    pub scores: Option<Vec<f32>>,
}

fn one() -> f32 {
    1.0
}

impl Oracle {
    pub fn read(name: &str) -> Self {
        serde_json::from_slice(&std::fs::read(oracle_path(&format!("{name}.json"))).unwrap())
            .unwrap()
    }
}

/// The bytes of a lesson in PyTorch.
pub fn lesson(name: &str) -> Vec<u8> {
    std::fs::read(oracle_path(&format!("{name}.safetensors"))).unwrap()
}

/// The adapter of a lesson: rank 4 and scale 2 on every linear layer of encoder and decoder.
pub fn lesson_adapter(bundle: &Bundle, lesson: &SafeTensors<'_>) -> Adapter {
    let sites = find_sites(bundle.model().graph().unwrap(), bundle.weights());
    let targets = sites.iter().map(|site| site.module.clone());
    let targets: Vec<String> = targets.filter(|module| module != "lm_head").collect();
    let names = lesson.names();
    let names = names.iter().filter_map(|name| name.strip_prefix("value/"));
    let tensor = |name: &str| {
        let view = lesson.tensor(&format!("value/{name}")).unwrap();
        Tensor { shape: view.shape().to_vec(), values: crate::oracle::floats(view.data()).into() }
    };
    Adapter {
        backbone: bundle.backbone_hash().to_owned(),
        reading: Some(bundle.reading().clone()),
        components: vec![Component::Lora(LoraConfig {
            rank: 4,
            alpha: 8.0,
            targets,
            ..LoraConfig::default()
        })],
        labels: Vec::new(),
        tags: Vec::new(),
        task: TaskKind::SequenceToSequence,
        scale: None,
        tensors: names.map(|name| (name.to_owned(), tensor(name))).collect(),
    }
}

/// One part of each kind: low-rank products and factors on `modules`, and a bottleneck at the end
/// of every sub-layer.
pub fn components(modules: &[String]) -> Vec<Component> {
    let lora = LoraConfig { rank: 3, alpha: 3.0, targets: modules.to_vec(), ..Default::default() };
    let ia3 = Ia3Config {
        targets: modules.to_vec(),
        feed_forward_targets: vec!["@feed_forward_output".to_owned()],
    };
    vec![
        Component::Lora(lora),
        Component::Ia3(ia3),
        Component::Bottleneck(BottleneckConfig::default()),
    ]
}

/// An adapter of one part with values that depend on `seed`: around 1 for factors, else around 0.
pub fn random(bundle: &Bundle, sites: &[Site], part: Component, seed: u32) -> Adapter {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = move || {
        // xorshift32 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 - 0.5
    };
    let shapes = tensor_shapes(std::slice::from_ref(&part), sites).unwrap();
    let tensors = shapes.into_iter().map(|(name, shape)| {
        let centre = if name.ends_with(".ia3") { 1.0 } else { 0.0 };
        let count = shape.iter().product();
        let values: Vec<f32> =
            std::iter::repeat_with(|| centre + 0.6 * next()).take(count).collect();
        (name, Tensor { shape, values: values.into() })
    });
    let tensors = tensors.collect();
    Adapter {
        backbone: bundle.backbone_hash().to_owned(),
        reading: Some(bundle.reading().clone()),
        components: vec![part],
        labels: Vec::new(),
        tags: Vec::new(),
        task: TaskKind::SequenceToSequence,
        scale: None,
        tensors,
    }
}
