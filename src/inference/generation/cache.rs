//! The keys and values that a decoder keeps between steps.
//!
//! The values stay in the tensors of ONNX Runtime and are inputs of the next run. Rows are copied
//! only when hypotheses change places or end. The keys and values of the source never change, so
//! they are copied only when the sources of the rows do.

use crate::bundle::{CacheTensor, DecoderInterface};
use crate::error::{Code, Error, Result};
use crate::runtime::Value;

/// The cache of a batch.
pub(super) struct Cache {
    /// The values in the order of the interface.
    values: Vec<Value>,
    rows: usize,
}

impl Cache {
    /// Takes the outputs of the first step, in the order of the interface.
    ///
    /// # Errors
    /// [`Code::GraphUnsupported`] when a tensor does not have the stated layout for `rows` rows.
    pub fn begin(interface: &DecoderInterface, values: Vec<Value>, rows: usize) -> Result<Self> {
        for (tensor, value) in interface.cache.iter().zip(&values) {
            check(tensor, value, rows)?;
        }
        Ok(Self { values, rows })
    }

    /// The cache as inputs of the next run.
    pub fn inputs<'a>(
        &'a self,
        interface: &'a DecoderInterface,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let tensors = interface.cache.iter().zip(&self.values);
        tensors.filter_map(|(tensor, value)| Some((tensor.past.as_deref()?, value)))
    }

    /// Takes the target's outputs of a later step, in the order of the interface.
    ///
    /// # Errors
    /// As [`Cache::begin`].
    pub fn grow(&mut self, interface: &DecoderInterface, values: Vec<Value>) -> Result<()> {
        let of_target = |(_, tensor): &(usize, &CacheTensor)| !tensor.cross;
        let slots = interface.cache.iter().enumerate().filter(of_target);
        for ((position, tensor), value) in slots.zip(values) {
            check(tensor, &value, self.rows)?;
            self.values[position] = value;
        }
        Ok(())
    }

    /// Replaces row `i` by row `from[i]`. `same_sources` states that no row changes its source.
    ///
    /// # Errors
    /// [`Code::Internal`] for a row that does not exist.
    pub fn select(
        &mut self,
        interface: &DecoderInterface,
        from: &[usize],
        same_sources: bool,
    ) -> Result<()> {
        let stays =
            from.len() == self.rows && from.iter().enumerate().all(|(to, from)| to == *from);
        if stays {
            return Ok(());
        }
        for (tensor, value) in interface.cache.iter().zip(&mut self.values) {
            if !(tensor.cross && same_sources) {
                *value = select_rows(value, from)?;
            }
        }
        self.rows = from.len();
        Ok(())
    }
}

/// The rows `from` of a float tensor, in that order.
pub(super) fn select_rows(value: &Value, from: &[usize]) -> Result<Value> {
    let shape = value.shape().iter().map(|&dim| usize::try_from(dim).unwrap_or(0));
    let mut shape: Vec<usize> = shape.collect();
    let row = shape.iter().skip(1).product::<usize>();
    let elements = value.as_f32()?;
    let mut selected = Vec::with_capacity(from.len() * row);
    for &position in from {
        let begin = position.saturating_mul(row);
        let source = elements.get(begin..begin.saturating_add(row)).ok_or_else(|| {
            let message = format!("a cache of {} rows has no row {position}", shape[0]);
            Error::new(Code::Internal, message)
        })?;
        selected.extend_from_slice(source);
    }
    if let Some(first) = shape.first_mut() {
        *first = from.len();
    }
    Value::f32(&shape, selected)
}

/// Checks that a tensor has the layout that the interface states for this many rows.
fn check(tensor: &CacheTensor, value: &Value, rows: usize) -> Result<()> {
    let expected = (Some(rows), Some(tensor.heads), Some(tensor.size));
    let size = |dim: i64| usize::try_from(dim).ok();
    let found = match value.shape() {
        &[batch, heads, _, head] => (size(batch), size(heads), size(head)),
        _ => (None, None, None),
    };
    if found == expected {
        return Ok(());
    }
    let message = format!(
        "the cache {:?} is of another batch or layout: expected [{rows}, {}, length, {}], \
         found {:?}",
        tensor.present,
        tensor.heads,
        tensor.size,
        value.shape()
    );
    Err(Error::new(Code::GraphUnsupported, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface() -> DecoderInterface {
        let tensor = |present: &str, cross| CacheTensor {
            present: present.to_owned(),
            past: Some(format!("past_{present}")),
            cross,
            heads: 1,
            size: 2,
        };
        DecoderInterface {
            input_ids: String::new(),
            logits: String::new(),
            vocabulary: 4,
            cache: vec![tensor("own", false), tensor("cross", true)],
        }
    }

    fn value(rows: usize) -> Value {
        Value::f32(&[rows, 1, 1, 2], (0..2 * rows).map(|n| n as f32).collect()).unwrap()
    }

    #[test]
    fn rows_change_places_and_sources_only_when_told() {
        let interface = interface();
        let mut cache = Cache::begin(&interface, vec![value(3), value(3)], 3).unwrap();
        cache.select(&interface, &[2, 0, 0], true).unwrap();
        let rows: Vec<_> =
            cache.inputs(&interface).map(|(_, value)| value.as_f32().unwrap()).collect();
        assert_eq!(rows[0], [4.0, 5.0, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(rows[1], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_cache_of_another_batch_is_refused() {
        let interface = interface();
        let error = Cache::begin(&interface, vec![value(3), value(2)], 3).err().unwrap();
        assert_eq!(error.code(), Code::GraphUnsupported);
        assert!(error.message().contains("another batch"), "{error}");
        let mut cache = Cache::begin(&interface, vec![value(2), value(2)], 2).unwrap();
        assert!(cache.grow(&interface, vec![value(3)]).is_err());
        assert_eq!(cache.select(&interface, &[5], false).unwrap_err().code(), Code::Internal);
    }
}
