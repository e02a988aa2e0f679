//! The sessions of one bundle, and the adapters that are loaded for them.
//!
//! One session serves the bare backbone and every adapter; those of a decoder are opened when a
//! text is first generated.

use super::generation::{GenerateOptions, Generator, StageInputs};
use super::loaded::{AdapterCache, LoadedAdapter};
use super::lower::LowerStates;
use super::request::{RawOutputs, Request, RunOptions};
use super::session::AdapterSession;
use super::{batch, finite, heads};
use crate::adapter::{Adapter, Component, HeadName, LoraConfig};
use crate::bundle::{Bundle, Encoding};
use crate::error::{Code, Error, Result};
use crate::example::TaskKind;
use crate::graph::GraphProto;
use crate::runtime::{Cancel, Engine, Mode, Operators, SessionOptions, Value};
use crate::sites::{Site, find_sites};
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The largest number of tokens in one run, padding included: enough to keep the cores busy, few
/// enough for the activations to stay within tens of megabytes.
const RUN_TOKENS_MAX: usize = 1_024;
/// The largest number of rows in one run.
const RUN_ROWS_MAX: usize = 64;

/// How a predictor is opened.
#[derive(Clone, Debug)]
pub struct PredictorOptions {
    /// How ONNX Runtime holds the weights.
    pub mode: Mode,
    /// Threads of one run; 0 takes all cores.
    pub threads: usize,
    /// Module-name patterns of the sites whose low-rank inputs the session begins with. Inputs for
    /// other sites and kinds are added for the first adapter that needs them.
    pub targets: Vec<String>,
    /// Which operators run, in predictions and in training.
    pub operators: Operators,
}

impl Default for PredictorOptions {
    fn default() -> Self {
        let targets = LoraConfig::default().targets;
        Self { mode: Mode::default(), threads: 0, targets, operators: Operators::default() }
    }
}

/// The session that serves the bare backbone and every adapter. Threads can share it.
pub struct Predictor {
    encoder: AdapterSession,
    /// The options of the sessions, also for those of a decoder that are opened later.
    session: SessionOptions,
    targets: Vec<String>,
    generator: OnceLock<Generator>,
    opening: Mutex<()>,
    cache: AdapterCache,
}

impl Predictor {
    /// Opens the inference session of `bundle`.
    pub fn open(
        engine: &Arc<Engine>,
        bundle: &Arc<Bundle>,
        options: &PredictorOptions,
    ) -> Result<Self> {
        let PredictorOptions { mode, threads, operators, .. } = *options;
        let session = SessionOptions { mode, threads, operators, ..Default::default() };
        let targets = encoder_targets(bundle, &options.targets)?;
        let encoder = with_targets(&targets, |components| {
            AdapterSession::open(engine, bundle, session.clone(), components, add_heads)
        })?;
        Ok(Self {
            encoder,
            session,
            targets: options.targets.clone(),
            generator: OnceLock::new(),
            opening: Mutex::new(()),
            cache: AdapterCache::default(),
        })
    }

    /// Which operators its sessions run.
    pub fn operators(&self) -> Operators {
        self.session.operators
    }

    /// The sessions that generate text, opened on first use.
    ///
    /// # Errors
    /// As [`Generator::open`].
    pub fn generator(&self) -> Result<&Generator> {
        if let Some(generator) = self.generator.get() {
            return Ok(generator);
        }
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have opened them meanwhile.
        if let Some(generator) = self.generator.get() {
            return Ok(generator);
        }
        let (engine, bundle) = (self.engine(), self.bundle());
        let generator = with_targets(&self.targets, |components| {
            Generator::open(engine, bundle, &self.session, components)
        })?;
        Ok(self.generator.get_or_init(|| generator))
    }

    /// The engine that the session lives in.
    pub fn engine(&self) -> &Arc<Engine> {
        self.encoder.engine()
    }

    /// The session from texts to the outputs of heads.
    pub(super) fn encoder(&self) -> &AdapterSession {
        &self.encoder
    }

    /// The bundle that the session was opened from.
    pub fn bundle(&self) -> &Arc<Bundle> {
        self.encoder.bundle()
    }

    /// All sites for adapters of this kind of task, in graph order: those of encoder and decoder
    /// for a task that generates text, otherwise those of the encoder.
    ///
    /// # Errors
    /// As [`Predictor::generator`].
    pub fn sites(&self, kind: TaskKind) -> Result<&[Site]> {
        match kind.generates_text() {
            true => Ok(self.generator()?.sites()),
            false => Ok(self.encoder.sites()),
        }
    }

    /// The number of inputs with defaults that the session has now.
    pub fn adapter_inputs_count(&self) -> usize {
        self.encoder.adapter_inputs_count()
    }

    /// Checks an adapter against the backbone and makes its tensors run inputs.
    ///
    /// # Errors
    /// As [`AdapterSession::load`]; [`Code::AdapterTensors`] for an adapter without a head.
    pub fn load(&self, adapter: Adapter) -> Result<LoadedAdapter> {
        if adapter.task.generates_text() {
            let (inputs, stages) = (Vec::new(), self.generator()?.load(&adapter)?);
            return Ok(LoadedAdapter { adapter, inputs, stages });
        }
        if adapter.labels.is_empty() && adapter.tags.is_empty() {
            let message = "the adapter has no head, so it predicts nothing";
            return Err(Error::new(Code::AdapterTensors, message));
        }
        let inputs = self.encoder.load(&adapter)?;
        Ok(LoadedAdapter { adapter, inputs, stages: StageInputs::default() })
    }

    /// The loaded adapter with this content hash. If it is not loaded yet, `read` returns its
    /// bytes, which must have this hash.
    pub fn load_cached(
        &self,
        hash: &[u8; 32],
        read: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Arc<LoadedAdapter>> {
        self.cache.get(hash, || self.load(Adapter::from_bytes(&read()?)?))
    }

    /// The positions of the texts that run together: texts of similar length, unless the bundle
    /// says that each runs alone.
    pub fn batches(&self, encodings: &[&Encoding]) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = encodings.iter().map(|encoding| encoding.ids.len()).collect();
        let rows_max = if self.bundle().runs_alone() { 1 } else { RUN_ROWS_MAX };
        batch::by_length(&lengths, rows_max, RUN_TOKENS_MAX)
    }

    /// Runs texts that fit into one run. `on_chunk` receives new text for the input at a position
    /// while texts are generated; see [`Generator::generate`].
    ///
    /// # Errors
    /// The errors of a run and those of [`Generator::generate`].
    pub fn run(
        &self,
        encodings: &[&Encoding],
        adapter: &LoadedAdapter,
        request: Request,
        options: &RunOptions<'_>,
        on_chunk: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
    ) -> Result<RawOutputs> {
        match request {
            Request::Outputs(names) => {
                let (tensors, cancel) = (&adapter.inputs, options.cancel);
                let (session, encoder) = (&self.session, &self.encoder);
                let above = |lower: &LowerStates| {
                    lower.outputs(encoder, session, encodings, tensors, names, cancel)
                };
                let found = match options.lower.map(above).transpose()?.flatten() {
                    Some(found) => rows_of(&found)?,
                    None => self.rows(encodings, tensors, names, cancel)?,
                };
                Ok(RawOutputs::Tensors(found))
            }
            Request::Text => {
                let usual = GenerateOptions::default();
                let generate = options.generate.unwrap_or(&usual);
                let sources: Vec<&[u32]> = encodings.iter().map(|one| one.ids.as_slice()).collect();
                let (stages, cancel) = (&adapter.stages, options.cancel);
                let found =
                    self.generator()?.generate(&sources, stages, generate, cancel, on_chunk)?;
                Ok(RawOutputs::Texts(found))
            }
        }
    }

    /// One run of the encoder over a padded batch with the tensors of an adapter.
    fn rows(
        &self,
        encodings: &[&Encoding],
        tensors: &[(String, Value)],
        outputs: &[&str],
        cancel: Option<&Cancel>,
    ) -> Result<Vec<Vec<f32>>> {
        let batch = batch::encode(self.bundle(), encodings)?;
        let mut values: Vec<(&str, &Value)> = Vec::with_capacity(batch.len() + tensors.len());
        values.extend(batch.iter().map(|(name, value)| (*name, value)));
        values.extend(tensors.iter().map(|(name, value)| (name.as_str(), value)));
        rows_of(&self.encoder.run(&values, outputs, cancel)?)
    }

    /// What keeps hidden states below adapters of these components; see [`LowerStates`]. `threads`
    /// and `mode` are those of the session that computes them.
    ///
    /// # Errors
    /// As [`LowerStates::open`].
    pub fn lower_states(
        &self,
        components: &[&[Component]],
        (mode, threads): (Mode, usize),
        memory_bytes_max: u64,
        file: Option<File>,
    ) -> Result<Option<LowerStates>> {
        let options = SessionOptions { mode, threads, ..self.session.clone() };
        LowerStates::open(&self.encoder, options, components, memory_bytes_max, file)
    }

    /// The vectors of texts, `[texts][size]`, by the bare backbone or with an
    /// adapter.
    ///
    /// # Errors
    /// [`Code::RuntimeNotFinite`] when an output is not finite; the errors of a run.
    pub fn embed(
        &self,
        encodings: &[&Encoding],
        adapter: Option<&LoadedAdapter>,
        cancel: Option<&Cancel>,
    ) -> Result<Vec<Vec<f32>>> {
        let size = self.bundle().pooler().size;
        let tensors = adapter.map_or(&[][..], |adapter| &adapter.inputs);
        let mut vectors = vec![Vec::new(); encodings.len()];
        for indices in self.batches(encodings) {
            let chosen: Vec<&Encoding> = indices.iter().map(|&index| encodings[index]).collect();
            let pooled = self.rows(&chosen, tensors, &[heads::POOLED], cancel)?.concat();
            finite::check("pooled hidden states", &pooled)?;
            for (index, vector) in indices.iter().zip(pooled.chunks_exact(size.max(1))) {
                vectors[*index] = vector.to_vec();
            }
        }
        Ok(vectors)
    }
}

fn rows_of(values: &[Value]) -> Result<Vec<Vec<f32>>> {
    values.iter().map(|value| Ok(value.as_f32()?.to_vec())).collect()
}

/// The patterns that match sites of the encoder. On a backbone with a decoder some patterns may
/// match only sites of the decoder.
fn encoder_targets(bundle: &Bundle, targets: &[String]) -> Result<Vec<String>> {
    if bundle.graphs().is_none() || targets == LoraConfig::default().targets {
        return Ok(targets.to_vec());
    }
    let all = find_sites(bundle.model().graph()?, bundle.weights());
    Component::Lora(LoraConfig { targets: targets.to_vec(), ..LoraConfig::default() })
        .select(&all)?;
    let own = find_sites(bundle.encoder().graph()?, bundle.weights());
    let named = |target: &&String| own.iter().any(|site| site.matches(target));
    Ok(targets.iter().filter(named).cloned().collect())
}

/// Opens sessions that begin with low-rank inputs at `targets`.
fn with_targets<T>(targets: &[String], open: impl Fn(&[Component]) -> Result<T>) -> Result<T> {
    if targets.is_empty() {
        return open(&[]);
    }
    let first = LoraConfig { targets: targets.to_vec(), ..LoraConfig::default() };
    let is_usual = targets == LoraConfig::default().targets;
    match open(&[Component::Lora(first)]) {
        // Not every backbone has the default modules.
        Err(error) if error.code() == Code::AdapterNoSite && is_usual => open(&[]),
        opened => opened,
    }
}

/// Pooling and the heads.
fn add_heads(graph: &mut GraphProto, bundle: &Bundle) {
    heads::add(graph, bundle.interface(), &bundle.pooler(), &HeadName::ALL, true);
}
