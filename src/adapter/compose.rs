//! Adapters made of adapters: side by side with weights, or one on top of another.
//!
//! Both are exact. Low-rank products side by side are one product of the sum of the ranks:
//! `sum_i w_i s_i A_i B_i = [A_1 A_2 ..] [w_1 s_1 B_1; w_2 s_2 B_2; ..]`. Bottlenecks side by side
//! are one bottleneck of the sum of the widths, because the function between the layers works on
//! each value alone: `sum_i w_i s_i up_i(act(down_i(x)))`. Factors have no sum that means
//! something; side by side they are `1 + sum_i w_i (l_i - 1)`, which is each one alone where it
//! stands alone, and on top of each other they are multiplied, which is what two layers would do.

use super::head::{Columns, HeadName};
use super::name::TensorName;
use super::part::{self, Part};
use super::{Adapter, BottleneckConfig, LoraConfig, Tensor};
use crate::error::{Code, Error, Result};
use crate::reading::Reading;
use ndarray::Array1;
use std::collections::{BTreeMap, BTreeSet};

/// The adapters side by side, each with its weight, as one adapter.
///
/// Low-rank products may be on different sites. Bottlenecks are joined slot by slot, and those of
/// one slot have to agree in activation and placement; where an adapter has none, it adds nothing.
/// A label's column of the head is the weighted mean of the columns of those that know it.
///
/// # Errors
/// [`Code::ArgumentInvalid`] for no adapters, a weight that is not finite, or weights of heads that
/// add up to nothing above 0; [`Code::AdapterBaseMismatch`] for adapters of several backbones,
/// [`Code::AdapterIdentityMismatch`] for some that were taught to read texts in several ways;
/// [`Code::AdapterTensors`] for forms that do not go together or become too wide.
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
    combine_ia3(adapters, &mut result)?;
    for head in HeadName::ALL {
        combine_head(adapters, &mut result, head)?;
    }
    part::validate(&result.parts).map_err(|error| unfit(error.message()))?;
    Ok(result)
}

/// `upper` on top of `lower`, as one adapter: a task adapter on a language adapter (MAD-X, Pfeiffer
/// et al., arXiv 2005.00052). The bottlenecks of `upper` read what those of `lower` have made;
/// low-rank products are added up, factors multiplied. The head is that of `upper`.
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
    combine_lora(&[(lower, 1.0), (upper, 1.0)], &mut result)?;
    let below = lower.bottlenecks().count();
    for (adapter, shift) in [(lower, 0), (upper, below)] {
        let bottlenecks = adapter.bottlenecks().cloned().map(Part::Bottleneck);
        result.parts.extend(bottlenecks);
        for (name, tensor) in &adapter.tensors {
            if let TensorName::Bottleneck { module, slot, tensor: field } = TensorName::parse(name)
            {
                let name = bottleneck_name(module, slot + shift, field);
                result.tensors.insert(name, tensor.clone());
            }
        }
    }
    stack_ia3(lower, upper, &mut result)?;
    for name in HeadName::ALL.into_iter().flat_map(|head| [head.weight(), head.bias()]) {
        let head = upper.tensors.get(name);
        result.tensors.extend(head.map(|tensor| (name.to_owned(), tensor.clone())));
    }
    part::validate(&result.parts).map_err(|error| unfit(error.message()))?;
    Ok(result)
}

/// An adapter without parts and heads that answers as `other` does.
fn like(other: &Adapter) -> Adapter {
    let bare = Adapter::headless(other.backbone.clone(), Vec::new(), BTreeMap::new());
    Adapter { task: other.task, scale: other.scale, ..bare }
}

fn unfit(message: impl Into<String>) -> Error {
    Error::new(Code::AdapterTensors, message.into())
}

/// How texts are read by all of several adapters that agree; what one does not say is not known.
fn common_reading<'a>(mut adapters: impl Iterator<Item = &'a Adapter>) -> Option<Reading> {
    let first = adapters.next()?.reading.clone();
    first.filter(|_| adapters.all(|other| other.reading.is_some()))
}

fn bottleneck_name(module: &str, slot: usize, field: &str) -> String {
    format!("{module}.bottleneck.{slot}.{field}")
}

/// A tensor of a part, checked to have as many axes and values as it says.
fn tensor<'a>(adapter: &'a Adapter, name: &str, axes: usize) -> Result<&'a Tensor> {
    let tensor = adapter.tensors.get(name).ok_or_else(|| unfit(format!("{name} is missing")))?;
    let count = tensor.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    if tensor.shape.len() != axes || count != Some(tensor.values.len()) {
        let found = &tensor.shape;
        return Err(unfit(format!("{name}: expected {axes} axes, found the shape {found:?}")));
    }
    Ok(tensor)
}

/// The modules that have a tensor which `of` recognises.
fn modules(adapter: &Adapter, of: impl Fn(TensorName<'_>) -> Option<&str>) -> BTreeSet<String> {
    let names = adapter.tensors.keys();
    names.filter_map(|name| of(TensorName::parse(name)).map(str::to_owned)).collect()
}

/// Puts matrices `[rows, columns]` side by side.
fn beside(name: &str, parts: &[&Tensor]) -> Result<Tensor> {
    let rows = parts.first().map_or(0, |part| part.shape[0]);
    if let Some(other) = parts.iter().find(|part| part.shape[0] != rows) {
        let found = other.shape[0];
        return Err(unfit(format!("{name}: expected {rows} inputs, found {found}")));
    }
    let columns = parts.iter().map(|part| part.shape[1]).sum();
    let mut values = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for part in parts {
            let width = part.shape[1];
            values.extend_from_slice(&part.values[row * width..(row + 1) * width]);
        }
    }
    Ok(Tensor { shape: vec![rows, columns], values: values.into() })
}

/// Puts matrices `[rows, columns]` below each other, each with a factor.
fn below(name: &str, parts: &[(&Tensor, f64)]) -> Result<Tensor> {
    let columns = parts.first().map_or(0, |(part, _)| part.shape[1]);
    if let Some((other, _)) = parts.iter().find(|(part, _)| part.shape[1] != columns) {
        let found = other.shape[1];
        return Err(unfit(format!("{name}: expected {columns} outputs, found {found}")));
    }
    let rows = parts.iter().map(|(part, _)| part.shape[0]).sum();
    let scaled = |(part, factor): &(&Tensor, f64)| {
        let factor = *factor;
        let values = part.values.iter().map(move |value| (f64::from(*value) * factor) as f32);
        values.collect::<Vec<_>>()
    };
    let values: Vec<f32> = parts.iter().flat_map(scaled).collect();
    Ok(Tensor { shape: vec![rows, columns], values: values.into() })
}

/// Adds the low-rank part: ranks side by side, scales and weights in the second factor.
fn combine_lora(adapters: &[(&Adapter, f64)], result: &mut Adapter) -> Result<()> {
    let mut ranks = BTreeMap::<String, usize>::new();
    let mut targets = Vec::<String>::new();
    for (adapter, _) in adapters {
        let found = adapter.lora().map(|lora| lora.targets.clone()).unwrap_or_default();
        targets.extend(
            found.into_iter().filter(|target| !targets.contains(target)).collect::<Vec<_>>(),
        );
        for module in modules(adapter, |name| name.lora_module()) {
            ranks.insert(module, 0);
        }
    }
    for (module, rank) in &mut ranks {
        let (down_name, up_name) = (format!("{module}.lora_A"), format!("{module}.lora_B"));
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
        let down = beside(&down_name, &downs)?;
        *rank = down.shape[1];
        result.tensors.insert(up_name.clone(), below(&up_name, &ups)?);
        result.tensors.insert(down_name, down);
    }
    if let Some(&rank) = ranks.values().max() {
        // A scale of one everywhere: the numerator is the rank.
        let other = ranks.iter().filter(|(_, own)| **own != rank);
        let rank_pattern: BTreeMap<String, usize> =
            other.map(|(module, own)| (module.clone(), *own)).collect();
        let alphas = rank_pattern.iter().map(|(module, own)| (module.clone(), *own as f64));
        let alpha_pattern = alphas.collect();
        result.parts.push(Part::Lora(LoraConfig {
            rank,
            alpha: rank as f64,
            rank_stabilized: false,
            targets,
            rank_pattern,
            alpha_pattern,
        }));
    }
    Ok(())
}

/// Adds the bottleneck of one slot: widths side by side, scales and weights in the second layer.
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
        all.extend(modules(adapter, |name| name.bottleneck_module(slot)));
    }
    let mut width = 0;
    for module in &all {
        width = width.max(combine_bottleneck(&having, module, slot, result)?);
    }
    for module in &all {
        config.reduction_factor = widen(result, module, slot, width)? as f64 / width.max(1) as f64;
    }
    result.parts.push(Part::Bottleneck(config));
    Ok(())
}

/// Joins the bottlenecks of one sub-layer; gives the width.
fn combine_bottleneck(
    having: &[(&Adapter, f64, BottleneckConfig)],
    module: &str,
    slot: usize,
    result: &mut Adapter,
) -> Result<usize> {
    let name = |field: &str| bottleneck_name(module, slot, field);
    let (mut downs, mut ups) = (Vec::new(), Vec::new());
    let (mut down_bias, mut up_bias) = (Vec::new(), Vec::<f64>::new());
    for (adapter, weight, config) in having {
        if !adapter.tensors.contains_key(&name("down.weight")) {
            continue;
        }
        let factor = weight * config.scale;
        let down = tensor(adapter, &name("down.weight"), 2)?;
        let up = tensor(adapter, &name("up.weight"), 2)?;
        let (b_down, b_up) =
            (tensor(adapter, &name("down.bias"), 1)?, tensor(adapter, &name("up.bias"), 1)?);
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
    let vector = |values: Vec<f32>| Tensor { shape: vec![values.len()], values: values.into() };
    let up_bias = up_bias.into_iter().map(|value| value as f32).collect();
    result.tensors.insert(name("down.weight"), beside(&name("down.weight"), &downs)?);
    result.tensors.insert(name("down.bias"), vector(down_bias));
    result.tensors.insert(name("up.weight"), below(&name("up.weight"), &ups)?);
    result.tensors.insert(name("up.bias"), vector(up_bias));
    Ok(width)
}

/// Widens a bottleneck by units that add nothing, because every function here is 0 at 0; gives the
/// size of its hidden states.
fn widen(result: &mut Adapter, module: &str, slot: usize, width: usize) -> Result<usize> {
    let name = |field: &str| bottleneck_name(module, slot, field);
    let zeros = |shape: [usize; 2]| Tensor {
        shape: shape.to_vec(),
        values: vec![0.0; shape[0] * shape[1]].into(),
    };
    let down = tensor(result, &name("down.weight"), 2)?.clone();
    let up = tensor(result, &name("up.weight"), 2)?.clone();
    let mut bias = tensor(result, &name("down.bias"), 1)?.values.to_vec();
    let (hidden, more) = (down.shape[0], width - bias.len());
    if more > 0 {
        let down = beside(module, &[&down, &zeros([hidden, more])])?;
        let up = below(module, &[(&up, 1.0), (&zeros([more, hidden]), 1.0)])?;
        bias.resize(width, 0.0);
        result.tensors.insert(name("down.weight"), down);
        result.tensors.insert(name("up.weight"), up);
        let bias = Tensor { shape: vec![width], values: bias.into() };
        result.tensors.insert(name("down.bias"), bias);
    }
    Ok(hidden)
}

/// Adds the factors side by side: `1 + sum of weight * (factor - 1)`.
fn combine_ia3(adapters: &[(&Adapter, f64)], result: &mut Adapter) -> Result<()> {
    let having: Vec<_> = adapters.iter().filter(|(adapter, _)| adapter.ia3().is_some()).collect();
    let mut sums = BTreeMap::<String, Vec<f64>>::new();
    for (adapter, weight) in &having {
        add_ia3_config(adapter, result)?;
        for module in modules(adapter, |name| name.ia3_module()) {
            let name = format!("{module}.ia3");
            let factors = tensor(adapter, &name, 1)?;
            let size = factors.values.len();
            let sum = sums.entry(name.clone()).or_insert_with(|| vec![1.0; size]);
            if sum.len() != size {
                let expected = sum.len();
                return Err(unfit(format!("{name}: expected {expected} factors, found {size}")));
            }
            for (sum, factor) in sum.iter_mut().zip(&*factors.values) {
                *sum += weight * (f64::from(*factor) - 1.0);
            }
        }
    }
    write_factors(sums, result);
    Ok(())
}

/// Adds the factors on top of each other: their products.
fn stack_ia3(lower: &Adapter, upper: &Adapter, result: &mut Adapter) -> Result<()> {
    let mut products = BTreeMap::<String, Vec<f64>>::new();
    for adapter in [lower, upper].into_iter().filter(|adapter| adapter.ia3().is_some()) {
        add_ia3_config(adapter, result)?;
        for module in modules(adapter, |name| name.ia3_module()) {
            let name = format!("{module}.ia3");
            let factors = tensor(adapter, &name, 1)?;
            let size = factors.values.len();
            let product = products.entry(name.clone()).or_insert_with(|| vec![1.0; size]);
            if product.len() != size {
                let expected = product.len();
                return Err(unfit(format!("{name}: expected {expected} factors, found {size}")));
            }
            for (product, factor) in product.iter_mut().zip(&*factors.values) {
                *product *= f64::from(*factor);
            }
        }
    }
    write_factors(products, result);
    Ok(())
}

fn write_factors(factors: BTreeMap<String, Vec<f64>>, result: &mut Adapter) {
    for (name, values) in factors {
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        result.tensors.insert(name, Tensor { shape: vec![values.len()], values: values.into() });
    }
}

/// Takes the settings of the factors over; those of several adapters have to be the same, because
/// the names of sites alone do not say which side of a layer is meant.
fn add_ia3_config(adapter: &Adapter, result: &mut Adapter) -> Result<()> {
    match (adapter.ia3(), result.ia3()) {
        (Some(own), Some(other)) if own != other => {
            Err(unfit("factors of different targets cannot be put together"))
        }
        (Some(own), None) => {
            result.parts.push(Part::Ia3(own.clone()));
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
