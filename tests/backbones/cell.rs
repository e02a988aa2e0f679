//! One model file with one kind of adapter, compared with PyTorch.

use std::collections::BTreeMap;
use std::path::Path;

use polygraft::adapter::{
    Activation, Adapter, BottleneckConfig, Component, Ia3Config, LoraConfig, Tensor,
};
use polygraft::gradients::Gradients;
use polygraft::graph::{Model, Weights, prepare};
use polygraft::runtime::{Mode, SessionOptions};
use polygraft::sites::{Site, find_sites};
use polygraft::update::{Optimizer, OptimizerOptions, Rule};

use crate::engine;
use crate::oracle::{Oracle, Reference};

/// What `tests/oracle/backbones/adapters.py` uses, too.
const RANK: usize = 4;
const ALPHA: f64 = 8.0;
const REDUCTION_FACTOR: f64 = 4.0;
const LEARNING_RATE: f64 = 1e-3;
const WEIGHT_DECAY: f64 = 0.01;

/// Runs the cell and gives the largest relative error among output, gradients and stepped
/// tensors: of the gradients alone if all is well, and what is wrong otherwise.
pub fn run(model: &Path, oracle: &Oracle, kind: &str, error_max: f64) -> Result<f64, String> {
    let reference = oracle.reference(kind);
    let text = |error: polygraft::Error| error.to_string();
    let mut model = Model::read(model).map_err(text)?;
    let weights = Weights::map(&model).map_err(text)?;
    prepare(&mut model, &weights).map_err(text)?;
    let sites = find_sites(model.graph().map_err(text)?, &weights);
    let names = Names::new(&sites, &reference)?;
    let adapter = adapter(kind, &names, &reference);
    let options = SessionOptions { mode: Mode::Lean, threads: 1, ..SessionOptions::default() };
    let engine = engine::engine();
    let graph = Gradients::open(&engine, &model, &weights, &adapter, &oracle.output, &options);
    let graph = graph.map_err(text)?;
    let tensors = &adapter.tensors;
    let found = graph.run(tensors, &oracle.inputs, &oracle.cotangent).map_err(text)?;
    let counted = oracle.cotangent.as_f32().map_err(text)?;
    let output = found.output.as_f32().map_err(text)?;
    let apart = relative_error(&masked(output, counted), &masked(&reference.output, counted));
    let mut errors = vec![("the output".to_owned(), apart)];
    let mut worst = 0.0f64;
    for (name, expected) in names.renamed(&reference.gradients) {
        let gradient = found.gradients.get(&name).ok_or(format!("{name} has no gradient"))?;
        let error = relative_error(&gradient.values, &expected.values);
        worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
        errors.push((format!("the gradient of {name}"), error));
    }
    let stepped = step(tensors, &found.gradients);
    for (name, expected) in names.renamed(&reference.stepped) {
        let error = relative_error(&stepped[&name], &expected.values);
        errors.push((format!("{name} after a step"), error));
    }
    let wrong = errors.iter().filter(|(_, error)| error.is_nan() || *error > error_max);
    let wrong: Vec<_> =
        wrong.map(|(what, error)| format!("{what} differs by {error:.1e}")).collect();
    match wrong.as_slice() {
        [] => Ok(worst),
        [first, rest @ ..] => Err(format!("{first}, and {} more of {}", rest.len(), errors.len())),
    }
}

/// PyTorch's module names and those of the sites that were found.
struct Names {
    site_of: BTreeMap<String, String>,
}

impl Names {
    /// Finds for each module of the reference the one site with its path. Exporters put the names
    /// of modules around it in front, or leave out those of the outermost ones.
    fn new(sites: &[Site], reference: &Reference) -> Result<Self, String> {
        let mut site_of = BTreeMap::new();
        for tensor in reference.tensors.keys() {
            let module = module(tensor);
            let same =
                |site: &&Site| ends_with(&site.module, module) || ends_with(module, &site.module);
            let found: Vec<&Site> = sites.iter().filter(same).collect();
            if found.len() > 1 {
                return Err(format!("{} sites for the module {module}", found.len()));
            }
            // Where there is none, polygraft says so when the adapter is attached.
            let name = found.first().map_or(module, |site| site.module.as_str());
            site_of.insert(module.to_owned(), name.to_owned());
        }
        Ok(Self { site_of })
    }

    /// The tensors under the names that they have here.
    fn renamed<'a>(
        &'a self,
        tensors: &'a BTreeMap<String, Tensor>,
    ) -> impl Iterator<Item = (String, &'a Tensor)> {
        tensors.iter().map(|(name, tensor)| {
            let module = module(name);
            (format!("{}{}", self.site_of[module], &name[module.len()..]), tensor)
        })
    }
}

/// The module that an adapter tensor belongs to.
fn module(tensor: &str) -> &str {
    let ends = [".lora_", ".bottleneck.", ".ia3"];
    let end = ends.iter().filter_map(|end| tensor.find(end)).min();
    &tensor[..end.expect("the name of an adapter tensor")]
}

/// Whether `path` is `end` or ends with it at a dot.
fn ends_with(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The adapter of the oracle, with the names of this model.
fn adapter(kind: &str, names: &Names, reference: &Reference) -> Adapter {
    let part = match kind {
        "lora" => Component::Lora(LoraConfig {
            rank: RANK,
            alpha: ALPHA,
            targets: names.site_of.values().cloned().collect(),
            ..LoraConfig::default()
        }),
        "bottleneck" => Component::Bottleneck(BottleneckConfig {
            reduction_factor: REDUCTION_FACTOR,
            activation: Activation::Gelu,
            ..BottleneckConfig::default()
        }),
        "ia3" => Component::Ia3(Ia3Config {
            targets: names.site_of.values().cloned().collect(),
            feed_forward_targets: vec!["@feed_forward_output".to_owned()],
        }),
        _ => panic!("unknown kind {kind}"),
    };
    let tensors = names.renamed(&reference.tensors).map(|(name, tensor)| (name, tensor.clone()));
    Adapter::headless(String::new(), vec![part], tensors.collect())
}

/// The tensors after one step of AdamW.
fn step(
    tensors: &BTreeMap<String, Tensor>,
    gradients: &BTreeMap<String, Tensor>,
) -> BTreeMap<String, Vec<f32>> {
    let options = OptimizerOptions {
        learning_rate: LEARNING_RATE,
        weight_decay: WEIGHT_DECAY,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        warmup_fraction: 0.0,
        clip_norm: 0.0,
        ..OptimizerOptions::default()
    };
    let sizes = tensors.values().map(|tensor| tensor.values.len());
    let mut optimizer = Optimizer::new(options, 1, sizes);
    let mut values: Vec<Vec<f32>> = tensors.values().map(|one| one.values.to_vec()).collect();
    let mut slopes: Vec<Vec<f32>> =
        tensors.keys().map(|name| gradients[name].values.to_vec()).collect();
    let rules = vec![Rule { decays: true, rate_factor: 1.0 }; tensors.len()];
    let mut slices: Vec<&mut [f32]> = values.iter_mut().map(Vec::as_mut_slice).collect();
    optimizer.step(&mut slices, &mut slopes, &rules);
    tensors.keys().cloned().zip(values).collect()
}

/// The values whose weight is not zero: padding does not matter.
fn masked(values: &[f32], weights: &[f32]) -> Vec<f32> {
    assert_eq!(values.len(), weights.len());
    values.iter().zip(weights).filter(|(_, weight)| **weight != 0.0).map(|(v, _)| *v).collect()
}

fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let pairs = found.iter().zip(expected);
    let difference = square(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    (difference / square(&mut expected.iter().map(|&v| f64::from(v)))).sqrt()
}
