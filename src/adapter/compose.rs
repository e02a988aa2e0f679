//! Adapters made of several adapters: side by side with weights, or stacked.
//!
//! Both are exact. Low-rank products side by side are one product whose rank is the sum of the
//! ranks: `sum_i w_i s_i A_i B_i = [A_1 A_2 ..] [w_1 s_1 B_1; w_2 s_2 B_2; ..]`. Bottlenecks side
//! by side are one bottleneck whose width is the sum of the widths, because the activation is
//! elementwise: `sum_i w_i s_i up_i(act(down_i(x)))`. A sum of factors has no meaning, so factors
//! side by side are `1 + sum_i w_i (l_i - 1)`, which is `l` for a single adapter of weight 1;
//! stacked factors are multiplied, as two layers in a row would do.

use super::bottleneck::BottleneckConfig;
use super::component::{Component, validate};
use super::concatenate::{self, tensor, unfit};
use super::contents::Adapter;
use super::head::Columns;
use super::kind::Kind;
use super::lora::LoraConfig;
use super::tensor::Tensor;
use super::tensor_id::{BottleneckTensor, HeadName, TensorId};
use crate::error::{Code, Error, Result};
use crate::reading::Reading;
use ndarray::Array1;
use std::collections::{BTreeMap, BTreeSet};

/// Combines adapters side by side, each with its weight, into one adapter.
///
/// Low-rank products may be at different sites. Bottlenecks are joined slot by slot, and those of
/// one slot must have the same activation and placement; an adapter without a bottleneck adds
/// nothing there. A label's column of the head is the weighted mean of the columns of the adapters
/// that have the label.
///
/// # Errors
/// [`Code::ArgumentInvalid`] for no adapters, a weight that is not finite, or head weights whose
/// sum is not above 0; [`Code::AdapterBaseMismatch`] for adapters of different backbones,
/// [`Code::AdapterIdentityMismatch`] for adapters trained with different readings,
/// [`Code::AdapterTensors`] for shapes or tasks that do not fit together or become too wide.
pub fn combine(adapters: &[(&Adapter, f64)]) -> Result<Adapter> {
    let Some((first, _)) = adapters.first() else {
        return Err(Error::new(Code::ArgumentInvalid, "no adapters to combine"));
    };
    for (adapter, weight) in adapters {
        first.check_goes_with(adapter)?;
        if adapter.task != first.task {
            let (expected, found) = (first.task, adapter.task);
            return Err(unfit(format!("adapters of two kinds of answers: {expected}, {found}")));
        }
        if !(*weight as f32).is_finite() {
            let message = format!("a weight: expected a finite number, found {weight}");
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
    }
    let mut result = like(first);
    result.reading = common_reading(adapters.iter().map(|(adapter, _)| *adapter));
    combine_lora(adapters, &mut result)?;
    let slots = adapters.iter().map(|(one, _)| one.bottlenecks().count()).max().unwrap_or(0);
    for slot in 0..slots {
        combine_bottlenecks(adapters, slot, &mut result)?;
    }
    join_ia3(adapters, &mut result, |sum, factor, weight| sum + weight * (factor - 1.0))?;
    for head in HeadName::ALL {
        combine_head(adapters, &mut result, head)?;
    }
    validate(&result.components).map_err(|error| unfit(error.message()))?;
    Ok(result)
}

/// Stacks `upper` on `lower` as one adapter, like a task adapter on a language adapter (MAD-X,
/// Pfeiffer et al., arXiv 2005.00052). The bottlenecks of `upper` read the output of those of
/// `lower`; low-rank products are added, factors are multiplied. The head is that of `upper`.
///
/// # Errors
/// As [`combine`]; [`Code::AdapterTensors`] for more bottlenecks than
/// [`BOTTLENECKS_MAX`](super::BOTTLENECKS_MAX).
pub fn stack(lower: &Adapter, upper: &Adapter) -> Result<Adapter> {
    lower.check_goes_with(upper)?;
    let mut result = like(upper);
    result.reading = common_reading([lower, upper].into_iter());
    result.labels.clone_from(&upper.labels);
    result.tags.clone_from(&upper.tags);
    let both = [(lower, 1.0), (upper, 1.0)];
    combine_lora(&both, &mut result)?;
    let below = lower.bottlenecks().count();
    for (adapter, shift) in [(lower, 0), (upper, below)] {
        let bottlenecks = adapter.bottlenecks().cloned().map(Component::Bottleneck);
        result.components.extend(bottlenecks);
        for (name, tensor) in &adapter.tensors {
            if let Some(TensorId::Bottleneck { module, slot, tensor: field }) =
                TensorId::parse(name)
            {
                let id = TensorId::Bottleneck { module, slot: slot + shift, tensor: field };
                result.tensors.insert(id.to_string(), tensor.clone());
            }
        }
    }
    join_ia3(&both, &mut result, |product, factor, _| product * factor)?;
    for name in HeadName::ALL.into_iter().flat_map(|head| [head.weight(), head.bias()]) {
        let head = upper.tensors.get(name);
        result.tensors.extend(head.map(|tensor| (name.to_owned(), tensor.clone())));
    }
    validate(&result.components).map_err(|error| unfit(error.message()))?;
    Ok(result)
}

/// An adapter without components and heads for the task and the reading of `other`.
fn like(other: &Adapter) -> Adapter {
    let bare = Adapter::headless(other.backbone.clone(), Vec::new(), BTreeMap::new());
    Adapter { task: other.task, scale: other.scale, ..bare }
}

/// The reading that the adapters agree on; `None` when one of them does not state its reading.
fn common_reading<'a>(mut adapters: impl Iterator<Item = &'a Adapter>) -> Option<Reading> {
    let first = adapters.next()?.reading.clone();
    first.filter(|_| adapters.all(|other| other.reading.is_some()))
}

/// The modules that have a tensor for which `is_meant` returns true.
fn modules(adapter: &Adapter, is_meant: impl Fn(TensorId<'_>) -> bool) -> BTreeSet<String> {
    let ids = adapter.tensors.keys().filter_map(|name| TensorId::parse(name));
    ids.filter(|id| is_meant(*id)).filter_map(|id| Some(id.module()?.to_owned())).collect()
}

/// Adds the low-rank component: the ranks side by side, scales and weights folded into the second
/// factor.
fn combine_lora(adapters: &[(&Adapter, f64)], result: &mut Adapter) -> Result<()> {
    let mut ranks = BTreeMap::<String, usize>::new();
    let mut targets = Vec::<String>::new();
    for (adapter, _) in adapters {
        let found = adapter.lora().map(|lora| lora.targets.clone()).unwrap_or_default();
        targets.extend(
            found.into_iter().filter(|target| !targets.contains(target)).collect::<Vec<_>>(),
        );
        for module in modules(adapter, |id| id.kind() == Some(Kind::Lora)) {
            ranks.insert(module, 0);
        }
    }
    for (module, rank) in &mut ranks {
        let down_name = TensorId::LoraA(module).to_string();
        let up_name = TensorId::LoraB(module).to_string();
        let (mut downs, mut ups) = (Vec::new(), Vec::new());
        for (adapter, weight) in
            adapters.iter().filter(|(one, _)| one.tensors.contains_key(&down_name))
        {
            let (down, up) = (tensor(adapter, &down_name, 2)?, tensor(adapter, &up_name, 2)?);
            if down.shape[1] != up.shape[0] {
                return Err(unfit(format!("{module}: the two factors are of different ranks")));
            }
            downs.push(down);
            ups.push((up, weight * f64::from(adapter.scale_of(&up_name))));
        }
        let down = concatenate::columns(&down_name, &downs)?;
        *rank = down.shape[1];
        result.tensors.insert(up_name.clone(), concatenate::rows(&up_name, &ups)?);
        result.tensors.insert(down_name, down);
    }
    result.components.extend(LoraConfig::unscaled(&ranks, targets).map(Component::Lora));
    Ok(())
}

/// Adds the bottleneck of one slot: the widths side by side, scales and weights folded into the
/// second layer.
fn combine_bottlenecks(
    adapters: &[(&Adapter, f64)],
    slot: usize,
    result: &mut Adapter,
) -> Result<()> {
    let of = |adapter: &'_ Adapter| adapter.bottlenecks().nth(slot).cloned();
    let having: Vec<(&Adapter, f64, BottleneckConfig)> = adapters
        .iter()
        .filter_map(|(adapter, weight)| Some((*adapter, *weight, of(adapter)?)))
        .collect();
    let Some((_, _, first)) = having.first() else { return Ok(()) };
    let mut config = BottleneckConfig { scale: 1.0, ..first.clone() };
    let mut all = BTreeSet::new();
    for (adapter, _, other) in &having {
        if (other.placement, other.activation) != (first.placement, first.activation) {
            return Err(unfit(format!(
                "bottleneck {slot}: expected {} with {}, found {} with {}",
                first.placement.name(),
                first.activation.name(),
                other.placement.name(),
                other.activation.name()
            )));
        }
        config.attention |= other.attention;
        config.feed_forward |= other.feed_forward;
        let is_meant = |id: TensorId<'_>| match id {
            TensorId::Bottleneck { slot: own, .. } => own == slot,
            _ => false,
        };
        all.extend(modules(adapter, is_meant));
    }
    let mut width = 0;
    for module in &all {
        width = width.max(combine_bottleneck(&having, module, slot, result)?);
    }
    for module in &all {
        config.reduction_factor =
            pad_bottleneck(result, module, slot, width)? as f64 / width.max(1) as f64;
    }
    result.components.push(Component::Bottleneck(config));
    Ok(())
}

/// Joins the bottlenecks of one sub-layer and returns the width.
fn combine_bottleneck(
    having: &[(&Adapter, f64, BottleneckConfig)],
    module: &str,
    slot: usize,
    result: &mut Adapter,
) -> Result<usize> {
    let names = bottleneck_names(module, slot);
    let [down_name, down_bias_name, up_name, up_bias_name] = &names;
    let (mut downs, mut ups) = (Vec::new(), Vec::new());
    let (mut down_bias, mut up_bias) = (Vec::new(), Vec::<f64>::new());
    for (adapter, weight, config) in having {
        if !adapter.tensors.contains_key(down_name) {
            continue;
        }
        let factor = weight * config.scale;
        let down = tensor(adapter, down_name, 2)?;
        let up = tensor(adapter, up_name, 2)?;
        let b_down = tensor(adapter, down_bias_name, 1)?;
        let b_up = tensor(adapter, up_bias_name, 1)?;
        let [hidden, width] = [down.shape[0], down.shape[1]];
        if up.shape != [width, hidden] || b_down.shape != [width] || b_up.shape != [hidden] {
            return Err(unfit(format!("{module}: the tensors of bottleneck {slot} do not fit")));
        }
        downs.push(down);
        ups.push((up, factor));
        down_bias.extend_from_slice(&b_down.values);
        up_bias.resize(hidden, 0.0);
        for (sum, value) in up_bias.iter_mut().zip(&*b_up.values) {
            *sum += factor * f64::from(*value);
        }
    }
    let width = down_bias.len();
    let up_bias = up_bias.into_iter().map(|value| value as f32).collect();
    let joined = [
        concatenate::columns(down_name, &downs)?,
        Tensor::of_values(down_bias),
        concatenate::rows(up_name, &ups)?,
        Tensor::of_values(up_bias),
    ];
    result.tensors.extend(names.into_iter().zip(joined));
    Ok(width)
}

/// Pads a bottleneck with units that add nothing, because every activation is 0 at 0. Returns the
/// hidden size.
fn pad_bottleneck(result: &mut Adapter, module: &str, slot: usize, width: usize) -> Result<usize> {
    let [down_name, bias_name, up_name, _] = bottleneck_names(module, slot);
    let down = tensor(result, &down_name, 2)?.clone();
    let up = tensor(result, &up_name, 2)?.clone();
    let mut bias = tensor(result, &bias_name, 1)?.values.to_vec();
    let (hidden, more) = (down.shape[0], width - bias.len());
    if more > 0 {
        let down = concatenate::columns(module, &[&down, &Tensor::zeros(&[hidden, more])])?;
        let zeros = Tensor::zeros(&[more, hidden]);
        let up = concatenate::rows(module, &[(&up, 1.0), (&zeros, 1.0)])?;
        bias.resize(width, 0.0);
        let padded = [(down_name, down), (up_name, up), (bias_name, Tensor::of_values(bias))];
        result.tensors.extend(padded);
    }
    Ok(hidden)
}

/// The names of a bottleneck's tensors, in the order of [`BottleneckTensor::ALL`].
fn bottleneck_names(module: &str, slot: usize) -> [String; 4] {
    use BottleneckTensor::{DownBias, DownWeight, UpBias, UpWeight};
    [DownWeight, DownBias, UpWeight, UpBias]
        .map(|tensor| TensorId::Bottleneck { module, slot, tensor }.to_string())
}

/// Adds the factors of all adapters. Each starts at 1; `join` receives the value so far, a factor
/// and the weight of its adapter.
fn join_ia3(
    adapters: &[(&Adapter, f64)],
    result: &mut Adapter,
    join: impl Fn(f64, f64, f64) -> f64,
) -> Result<()> {
    let mut joined = BTreeMap::<String, Vec<f64>>::new();
    for (adapter, weight) in adapters.iter().filter(|(adapter, _)| adapter.ia3().is_some()) {
        add_ia3_config(adapter, result)?;
        for module in modules(adapter, |id| matches!(id, TensorId::Ia3(_, None))) {
            let name = TensorId::Ia3(&module, None).to_string();
            let factors = tensor(adapter, &name, 1)?;
            let size = factors.values.len();
            let values = joined.entry(name.clone()).or_insert_with(|| vec![1.0; size]);
            if values.len() != size {
                let expected = values.len();
                return Err(unfit(format!("{name}: expected {expected} factors, found {size}")));
            }
            for (value, factor) in values.iter_mut().zip(&*factors.values) {
                *value = join(*value, f64::from(*factor), *weight);
            }
        }
    }
    for (name, values) in joined {
        let values = values.into_iter().map(|value| value as f32).collect();
        result.tensors.insert(name, Tensor::of_values(values));
    }
    Ok(())
}

/// Takes over the settings of the factors. Several adapters must have the same settings, because
/// the names of sites alone do not tell which side of a layer is multiplied.
fn add_ia3_config(adapter: &Adapter, result: &mut Adapter) -> Result<()> {
    match (adapter.ia3(), result.ia3()) {
        (Some(own), Some(other)) if own != other => {
            Err(unfit("factors of different targets cannot be put together"))
        }
        (Some(own), None) => {
            result.components.push(Component::Ia3(own.clone()));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Adds the weighted means of a head's columns.
fn combine_head(adapters: &[(&Adapter, f64)], result: &mut Adapter, name: HeadName) -> Result<()> {
    let mut labels = Vec::<String>::new();
    let mut sums = BTreeMap::<String, (Array1<f64>, f64)>::new();
    for (adapter, weight) in adapters {
        let head = Columns::of(adapter, name)?;
        for label in head.labels {
            let Some(column) = head.by_label.get(&label) else { continue };
            let (sum, total) = sums.entry(label.clone()).or_insert_with(|| {
                labels.push(label.clone());
                (Array1::zeros(column.len()), 0.0)
            });
            if sum.len() != column.len() {
                return Err(unfit(format!("the heads of {label:?} are of different sizes")));
            }
            *total += weight;
            sum.scaled_add(*weight, &column.mapv(f64::from));
        }
    }
    let mut head = Columns { labels, ..Columns::empty(name) };
    for (label, (sum, total)) in sums {
        if total <= 0.0 {
            let message =
                format!("the weights of {label:?} add up to {total}, expected more than 0");
            return Err(Error::new(Code::ArgumentInvalid, message));
        }
        head.by_label.insert(label, sum.mapv(|value| (value / total) as f32));
    }
    head.write(result)
}
