//! Runs of a generator for a trial: how long a target may be, and whether adapters have an effect.

use super::generator::{Batch, Generator, Logits, StageInputs};
use crate::adapter::Component;
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result};
use crate::runtime::Value;

impl Generator {
    /// The bundle that the sessions were opened from.
    pub(in crate::inference) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Proves that adapters of these components have an effect on every session with their sites.
    ///
    /// # Errors
    /// As [`AdapterSession::prove_for`](crate::inference::session::AdapterSession::prove_for).
    pub(in crate::inference) fn prove_for(&self, parts: &[Component]) -> Result<()> {
        let sessions = [Some(&self.encoder), Some(&self.decoder), self.with_past.as_ref()];
        sessions.into_iter().flatten().try_for_each(|session| session.prove_for(parts))
    }

    /// Runs the decoder over a target of `length` tokens, as a whole and as the last one of as many
    /// steps.
    ///
    /// # Errors
    /// The errors of the runs; [`Code::GraphUnsupported`] for logits of another shape or that are
    /// not finite.
    pub(in crate::inference) fn try_target(&self, source: &[u32], length: usize) -> Result<()> {
        let decoder = self.bundle.decoder()?;
        let interface = &decoder.interface;
        let none = StageInputs::default();
        let (states, mask) = self.encode(&[source], &none, None)?;
        let batch = Batch { adapter: &none, cancel: None, mask, states, use_cache: false };
        let start = i64::from(decoder.ids.decoder_start_token_id);
        let ids = Value::i64(&[1, length], vec![start; length])?;
        let (states, mask) = (&batch.states, &batch.mask);
        let mut found = self.decode(decoder, &batch, &ids, states, mask, &[&interface.logits])?;
        check(Logits::of(found.pop(), 1, length, interface.vocabulary)?.last(0)?)?;
        let Some(session) = &self.with_past else { return Ok(()) };
        let last = Value::i64(&[1, 1], vec![start])?;
        let mut caches = Vec::with_capacity(interface.cache.len());
        for tensor in &interface.cache {
            let Some(past) = &tensor.past else { continue };
            let kept = if tensor.cross { source.len() } else { length.saturating_sub(1) };
            let shape = [1, tensor.heads, kept, tensor.size];
            caches.push((past.as_str(), Value::f32(&shape, vec![0.0; shape.iter().product()])?));
        }
        let mask_name = self.bundle.interface().inputs.attention_mask.as_str();
        let mut given: Vec<(&str, &Value)> = vec![(&interface.input_ids, &last), (mask_name, mask)];
        given.extend(caches.iter().map(|(name, value)| (*name, value)));
        given.retain(|(name, _)| session.takes(name));
        let mut found = session.run(&given, &[&interface.logits], None)?;
        check(Logits::of(found.pop(), 1, 1, interface.vocabulary)?.last(0)?)
    }
}

/// Checks that logits are finite.
fn check(logits: &[f32]) -> Result<()> {
    if logits.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::new(Code::GraphUnsupported, "the logits have values that are no numbers"))
}
