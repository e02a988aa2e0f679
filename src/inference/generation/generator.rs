//! The sessions that generate text, and the runs of each.
//!
//! The encoder reads the sources once. The decoder's first step returns the logits and the keys and
//! values of source and target; the later steps use a smaller graph that takes one token and the
//! cache.

use super::cache::{Cache, select_rows};
use super::search::Search;
use crate::adapter::{Adapter, Component};
use crate::bundle::{Bundle, Decoder, Encoding};
use crate::error::{Code, Error, Result};
use crate::inference::batch;
use crate::inference::session::{AdapterSession, Stage};
use crate::runtime::{Cancel, Engine, SessionOptions, Value};
use crate::sites::Site;
use std::sync::Arc;

/// The sessions of encoder and decoder. Threads can share it.
pub struct Generator {
    pub(super) bundle: Arc<Bundle>,
    pub(super) encoder: AdapterSession,
    pub(super) decoder: AdapterSession,
    pub(super) with_past: Option<AdapterSession>,
}

/// An adapter's tensors as inputs of each session; empty for the bare backbone.
#[derive(Default)]
pub struct StageInputs {
    encoder: Vec<(String, Value)>,
    decoder: Vec<(String, Value)>,
    with_past: Vec<(String, Value)>,
}

/// One batch of sources that runs together.
pub(super) struct Batch<'a> {
    pub adapter: &'a StageInputs,
    pub cancel: Option<&'a Cancel>,
    /// The mask of the sources, `[sources, length]`.
    pub mask: Value,
    /// The hidden states of the sources, `[sources, length, hidden]`.
    pub states: Value,
    pub use_cache: bool,
}

impl Generator {
    /// Opens the sessions with the inputs of `components`.
    ///
    /// # Errors
    /// As [`AdapterSession::open_stage`]; [`Code::GraphUnsupported`] for a bundle without a
    /// decoder.
    pub fn open(
        engine: &Arc<Engine>,
        bundle: &Arc<Bundle>,
        options: &SessionOptions,
        components: &[Component],
    ) -> Result<Self> {
        let decoder = bundle.decoder()?;
        let open =
            |stage| AdapterSession::open_stage(engine, bundle, stage, options.clone(), components);
        Ok(Self {
            bundle: bundle.clone(),
            encoder: open(Stage::Encoder)?,
            decoder: open(Stage::Decoder)?,
            with_past: match decoder.with_past {
                Some(_) => Some(open(Stage::DecoderWithPast)?),
                None => None,
            },
        })
    }

    /// All sites of encoder and decoder.
    pub fn sites(&self) -> &[Site] {
        self.decoder.sites()
    }

    /// Checks an adapter against the backbone and makes its tensors inputs of every session.
    ///
    /// # Errors
    /// As [`AdapterSession::load`].
    pub fn load(&self, adapter: &Adapter) -> Result<StageInputs> {
        Ok(StageInputs {
            encoder: self.encoder.load(adapter)?,
            decoder: self.decoder.load(adapter)?,
            with_past: match &self.with_past {
                Some(later) => later.load(adapter)?,
                None => Vec::new(),
            },
        })
    }

    /// Hidden states and mask of the sources.
    pub(super) fn encode(
        &self,
        sources: &[&[u32]],
        adapter: &StageInputs,
        cancel: Option<&Cancel>,
    ) -> Result<(Value, Value)> {
        let encoding =
            |ids: &&[u32]| Encoding { ids: ids.to_vec(), truncated: false, type_ids: Vec::new() };
        let encodings: Vec<Encoding> = sources.iter().map(encoding).collect();
        let encodings: Vec<&Encoding> = encodings.iter().collect();
        let mut inputs = batch::encode(&self.bundle, &encodings)?;
        let interface = self.bundle.interface();
        let given: Vec<(&str, &Value)> =
            inputs.iter().map(|(name, value)| (*name, value)).collect();
        let mut found =
            self.encoder.run(&with(given, &adapter.encoder), &[&interface.output], cancel)?;
        let mask = inputs.iter().position(|(name, _)| *name == interface.inputs.attention_mask);
        match (found.pop(), mask) {
            (Some(states), Some(mask)) => Ok((states, inputs.swap_remove(mask).1)),
            _ => Err(Error::new(Code::Internal, "the encoder gave no hidden states")),
        }
    }

    /// The first step: logits of the first token for each source, and the cache.
    pub(super) fn begin(
        &self,
        decoder: &Decoder,
        batch: &Batch<'_>,
        sources: usize,
    ) -> Result<(Logits, Option<Cache>)> {
        let interface = &decoder.interface;
        let ids = Value::i64(
            &[sources, 1],
            vec![i64::from(decoder.ids.decoder_start_token_id); sources],
        )?;
        let mut outputs = vec![interface.logits.as_str()];
        if batch.use_cache {
            outputs.extend(interface.cache.iter().map(|tensor| tensor.present.as_str()));
        }
        let mut found = self.decode(decoder, batch, &ids, &batch.states, &batch.mask, &outputs)?;
        let values = found.split_off(1.min(found.len()));
        let cache = match batch.use_cache {
            true => Some(Cache::begin(interface, values, sources)?),
            false => None,
        };
        Ok((Logits::of(found.pop(), sources, 1, interface.vocabulary)?, cache))
    }

    /// A step over complete targets, without a cache.
    pub(super) fn anew(
        &self,
        decoder: &Decoder,
        batch: &Batch<'_>,
        search: &dyn Search,
    ) -> Result<Logits> {
        let alive = search.alive();
        let length = alive.first().map_or(0, |one| one.ids.len()) + 1;
        let mut ids = Vec::with_capacity(alive.len() * length);
        for one in alive {
            ids.push(i64::from(decoder.ids.decoder_start_token_id));
            ids.extend(one.ids.iter().map(|&id| i64::from(id)));
        }
        let ids = Value::i64(&[alive.len(), length], ids)?;
        let sources: Vec<usize> = alive.iter().map(|one| one.source).collect();
        let states = select_rows(&batch.states, &sources)?;
        let mask = select_mask(&batch.mask, &sources)?;
        let logits = [decoder.interface.logits.as_str()];
        let mut found = self.decode(decoder, batch, &ids, &states, &mask, &logits)?;
        Logits::of(found.pop(), alive.len(), length, decoder.interface.vocabulary)
    }

    /// A run of the decoder over complete targets.
    pub(super) fn decode(
        &self,
        decoder: &Decoder,
        batch: &Batch<'_>,
        ids: &Value,
        states: &Value,
        mask: &Value,
        outputs: &[&str],
    ) -> Result<Vec<Value>> {
        let interface = self.bundle.interface();
        let all = [
            (decoder.interface.input_ids.as_str(), ids),
            (interface.output.as_str(), states),
            (interface.inputs.attention_mask.as_str(), mask),
        ];
        let given = all.into_iter().filter(|(name, _)| self.decoder.takes(name)).collect();
        self.decoder.run(&with(given, &batch.adapter.decoder), outputs, batch.cancel)
    }

    /// A step over the last tokens and the cache, which grows by them.
    pub(super) fn go_on(
        &self,
        decoder: &Decoder,
        batch: &Batch<'_>,
        search: &dyn Search,
        cache: &mut Cache,
    ) -> Result<Logits> {
        let session = self.with_past.as_ref();
        let session =
            session.ok_or_else(|| Error::new(Code::Internal, "no session for a cache"))?;
        let (interface, alive) = (&decoder.interface, search.alive());
        let last = |ids: &[u32]| {
            i64::from(ids.last().copied().unwrap_or(decoder.ids.decoder_start_token_id))
        };
        let ids = alive.iter().map(|one| last(&one.ids)).collect();
        let ids = Value::i64(&[alive.len(), 1], ids)?;
        let sources: Vec<usize> = alive.iter().map(|one| one.source).collect();
        let mask = select_mask(&batch.mask, &sources)?;
        let mask_name = self.bundle.interface().inputs.attention_mask.as_str();
        let mut given: Vec<(&str, &Value)> = vec![(&interface.input_ids, &ids), (mask_name, &mask)];
        given.extend(cache.inputs(interface));
        given.retain(|(name, _)| session.takes(name));
        let of_target = interface.cache.iter().filter(|tensor| !tensor.cross);
        let mut outputs = vec![interface.logits.as_str()];
        outputs.extend(of_target.map(|tensor| tensor.present.as_str()));
        let given = with(given, &batch.adapter.with_past);
        let mut found = session.run(&given, &outputs, batch.cancel)?;
        let values = found.split_off(1.min(found.len()));
        cache.grow(interface, values)?;
        Logits::of(found.pop(), alive.len(), 1, interface.vocabulary)
    }
}

/// Run inputs, followed by the tensors of an adapter.
fn with<'a>(
    mut given: Vec<(&'a str, &'a Value)>,
    tensors: &'a [(String, Value)],
) -> Vec<(&'a str, &'a Value)> {
    given.extend(tensors.iter().map(|(name, value)| (name.as_str(), value)));
    given
}

/// The mask of these sources, `[sources, length]`.
fn select_mask(mask: &Value, sources: &[usize]) -> Result<Value> {
    let length = mask.shape().last().map_or(0, |&length| usize::try_from(length).unwrap_or(0));
    let values = mask.as_i64()?;
    let mut selected = Vec::with_capacity(sources.len() * length);
    for &source in sources {
        let begin = source * length;
        selected.extend_from_slice(values.get(begin..begin + length).unwrap_or_default());
    }
    Value::i64(&[sources.len(), length], selected)
}

/// The logits of a run.
pub(super) struct Logits {
    value: Value,
    /// The number of tokens of each row.
    length: usize,
    vocabulary: usize,
}

impl Logits {
    /// # Errors
    /// [`Code::GraphUnsupported`] when they are not those of `length` tokens in each of `rows`.
    pub fn of(value: Option<Value>, rows: usize, length: usize, vocabulary: usize) -> Result<Self> {
        let expected = [rows, length, vocabulary].map(|size| size as i64);
        match value {
            Some(value) if value.shape() == expected => Ok(Self { value, length, vocabulary }),
            value => {
                let found = value.as_ref().map(Value::shape).unwrap_or_default();
                let message = format!(
                    "the logits have shape {found:?}, expected [{rows}, {length}, {vocabulary}]"
                );
                Err(Error::new(Code::GraphUnsupported, message))
            }
        }
    }

    /// The logits of the last token of a row.
    pub fn last(&self, row: usize) -> Result<&[f32]> {
        let end = (row + 1) * self.length * self.vocabulary;
        let last = self.value.as_f32()?.get(end.saturating_sub(self.vocabulary)..end);
        last.ok_or_else(|| Error::new(Code::Internal, format!("there are no logits of row {row}")))
    }
}
