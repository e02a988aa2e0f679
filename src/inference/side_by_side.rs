//! The tensors of several adapters side by side, for a run in which each text has its own adapter.
//!
//! The ranks of their low-rank products are concatenated, `[inputs, ranks]` and `[ranks, outputs]`,
//! and so are the outputs of their heads. An input of the run says which ranks belong to which
//! text; of the logits of a text, the columns of its own adapter are taken. This module must never
//! put other kinds of adapters side by side: their tensors have no ranks.

use super::heads;
use super::proof::differs;
use super::{batch, proof::Proof};
use crate::adapter::{HeadName, Kind, TensorId};
use crate::bundle::{Bundle, Encoding};
use crate::error::Result;
use crate::graph::{Dim, TensorType};
use crate::runtime::{Session, Value};
use std::collections::BTreeMap;
use std::ops::Range;

/// The input of a session that says which ranks belong to which text.
pub(super) const RANKS: &str = "polygraft.ranks";

/// The largest difference, relative to the largest value, that another order of additions explains
/// after a few layers; the tensors of another adapter make a larger one.
const ALIKE_MAX: f32 = 1e-3;

/// Tensors as run inputs, by name.
pub(super) type Tensors = [(String, Value)];

/// The tensors of several adapters, joined as those of one.
pub(super) struct SideBySide {
    pub inputs: Vec<(String, Value)>,
    /// The ranks of each adapter.
    ranks: Vec<Range<usize>>,
    /// The outputs of each adapter's heads, in the order of [`HeadName::ALL`].
    columns: [Vec<Range<usize>>; 2],
}

impl SideBySide {
    /// Puts the tensors of adapters of low-rank products and heads side by side.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`](crate::Code::RuntimeFailed) for tensors that are not float32.
    pub fn new(adapters: &[&Tensors]) -> Result<Self> {
        let widths = |is_counted: &dyn Fn(TensorId<'_>) -> bool| -> Vec<Range<usize>> {
            let width = |tensors: &&Tensors| {
                let own = tensors
                    .iter()
                    .filter(|(name, _)| TensorId::parse(name).is_some_and(is_counted));
                own.map(|(_, value)| extents(value)[1]).max().unwrap_or(0)
            };
            let widths = adapters.iter().map(width);
            let places = widths.scan(0, |end, width| {
                *end += width;
                Some(*end - width..*end)
            });
            places.collect()
        };
        let ranks = widths(&|id| matches!(id, TensorId::LoraA(_)));
        let columns = HeadName::ALL.map(|head| widths(&|id| id == TensorId::HeadWeight(head)));
        let mut found = Self { inputs: Vec::new(), ranks, columns };
        let mut tensors = BTreeMap::<&str, Vec<(usize, &Value)>>::new();
        for (position, adapter) in adapters.iter().enumerate() {
            for (name, value) in *adapter {
                tensors.entry(name).or_default().push((position, value));
            }
        }
        for (name, parts) in tensors {
            if let Some(value) = found.put_together(name, &parts)? {
                found.inputs.push((name.to_owned(), value));
            }
        }
        Ok(found)
    }

    /// One tensor of those that adapters have by this name.
    fn put_together(&self, name: &str, parts: &[(usize, &Value)]) -> Result<Option<Value>> {
        let place = |head: HeadName| &self.columns[usize::from(head == HeadName::Tags)];
        let (places, is_first_axis) = match TensorId::parse(name) {
            Some(TensorId::LoraA(_)) => (&self.ranks, false),
            Some(TensorId::LoraB(_)) => (&self.ranks, true),
            Some(TensorId::HeadWeight(head)) => (place(head), false),
            Some(TensorId::HeadBias(head)) => (place(head), true),
            _ => return Ok(None),
        };
        let whole = places.last().map_or(0, |last| last.end);
        let Some((_, first)) = parts.first() else { return Ok(None) };
        let shape = extents(first);
        // Where an adapter has no product, or one of a lower rank, the values stay zero.
        let [rows, width] = match (is_first_axis, shape.as_slice()) {
            (true, [_]) => [whole, 1],
            (true, _) => [whole, shape[1]],
            (false, _) => [shape[0], whole],
        };
        let mut values = vec![0.0; rows * width];
        for (position, value) in parts {
            let (start, part) = (places[*position].start, value.as_f32()?);
            if is_first_axis {
                values[start * width..][..part.len()].copy_from_slice(part);
                continue;
            }
            let own = extents(value)[1];
            if own > 0 {
                let lines = values.chunks_exact_mut(width).zip(part.chunks_exact(own));
                lines.for_each(|(line, part)| line[start..start + own].copy_from_slice(part));
            }
        }
        let shape = if shape.len() == 1 { vec![rows] } else { vec![rows, width] };
        Value::f32(&shape, values).map(Some)
    }

    /// The value of [`RANKS`] for texts with these adapters.
    pub fn ranks(&self, adapter_of: &[usize]) -> Result<Value> {
        let pair = |position: &usize| {
            let own = &self.ranks[*position];
            [own.start as f32, own.len() as f32]
        };
        Value::f32(&[adapter_of.len(), 2], adapter_of.iter().flat_map(pair).collect())
    }

    /// Selects the values of one adapter's texts from an output: the columns of that adapter, and,
    /// of an output for each token, as many tokens as the longest of these texts has. `lengths` are
    /// those of all texts.
    pub fn own(
        &self,
        output: &str,
        values: &[f32],
        (adapter_of, lengths): (&[usize], &[usize]),
        position: usize,
    ) -> Vec<f32> {
        let own_lengths = adapter_of.iter().zip(lengths).filter(|(of, _)| **of == position);
        let longest = own_lengths.map(|(_, length)| *length).max().unwrap_or(0);
        let columns = &self.columns[usize::from(output == heads::TAG_LOGITS)];
        let width = columns.last().map_or(0, |last| last.end);
        let own = &columns[position];
        let mut found = Vec::new();
        let text_size = values.len() / adapter_of.len().max(1);
        let texts = values.chunks_exact(text_size.max(1)).zip(adapter_of);
        for (text, _) in texts.filter(|(_, of)| **of == position) {
            for line in text.chunks_exact(width.max(1)).take(longest) {
                found.extend_from_slice(&line[own.clone()]);
            }
        }
        found
    }
}

/// The extents of a tensor of one or two axes.
fn extents(value: &Value) -> Vec<usize> {
    value.shape().iter().map(|&extent| usize::try_from(extent).unwrap_or(0)).collect()
}

/// Tests on two short texts whether a session gives each text what its own adapter makes of it. A
/// backbone may have its texts along another axis, or have a product that is not fused.
/// `two_tokens` are different tokens of the tokenizer.
pub(super) fn runs_apart(
    session: &Session,
    bundle: &Bundle,
    proof: &Proof,
    two_tokens: [i64; 2],
) -> Result<bool> {
    if !session.optional_input_names().iter().any(|name| name == RANKS) {
        return Ok(false);
    }
    let [one, other] = two_tokens.map(|id| u32::try_from(id).unwrap_or(0));
    let text = |ids: [u32; 3]| Encoding { ids: ids.into(), truncated: false, type_ids: Vec::new() };
    let texts = [text([one, other, one]), text([other, one, other])];
    let batch = batch::encode(bundle, &[&texts[0], &texts[1]])?;
    let run = |tensors: &Tensors, ranks: Option<&Value>| -> Result<Vec<f32>> {
        let mut inputs: Vec<(&str, &Value)> =
            batch.iter().map(|(name, value)| (*name, value)).collect();
        inputs.extend(tensors.iter().map(|(name, value)| (name.as_str(), value)));
        inputs.extend(ranks.map(|ranks| (RANKS, ranks)));
        let found = session.run(&inputs, &[&bundle.interface().output], None)?;
        found.first().map_or(Ok(Vec::new()), |value| Ok(value.as_f32()?.to_vec()))
    };
    let adapters = [noise(proof, 1)?, noise(proof, 2)?];
    let both = SideBySide::new(&[&adapters[0], &adapters[1]])?;
    let found = run(&both.inputs, Some(&both.ranks(&[0, 1])?))?;
    let alone = [run(&adapters[0], None)?, run(&adapters[1], None)?];
    let half = found.len() / 2;
    let fits = |text: usize, of: usize| {
        let part = text * half..(text + 1) * half;
        let expected = alone[of].get(part.clone());
        expected.is_some_and(|expected| !differs(expected, &found[part], ALIKE_MAX))
    };
    Ok(half > 0 && fits(0, 0) && fits(1, 1) && !fits(0, 1) && !fits(1, 0))
}

/// Low-rank products of random values at all sites of a session.
fn noise(proof: &Proof, rank: usize) -> Result<Vec<(String, Value)>> {
    let mut random = fastrand::Rng::with_seed(rank as u64);
    let products = proof.tensors(Kind::Lora);
    let tensor = |(name, found): (&str, &TensorType)| {
        let extent =
            |dim: &Dim| dim.known().map_or(rank, |size| usize::try_from(size).unwrap_or(0));
        let dims = found.shape.as_deref().unwrap_or_default();
        let shape: Vec<usize> = dims.iter().map(extent).collect();
        let values = std::iter::repeat_with(|| 0.4 * (random.f32() - 0.5));
        let values = values.take(shape.iter().product()).collect();
        Ok((name.to_owned(), Value::f32(&shape, values)?))
    };
    products.map(tensor).collect()
}
