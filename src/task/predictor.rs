//! The inference session of a bundle, and adapters made ready for it.

use super::cache::AdapterCache;
use super::inference::Inference;
use super::sequence::{GenerateOptions, Generated, Generator, StageInputs};
use super::{AnswerOptions, Encoded, Given, Task, batch, finite, heads};
use crate::adapter::{Adapter, Component, HeadName, LoraConfig};
use crate::bundle::{Bundle, Encoding};
use crate::error::{Code, Error, Result};
use crate::example::{Target, TaskKind};
use crate::graph::GraphProto;
use crate::runtime::{Cancel, Engine, Mode, SessionOptions, Value};
use crate::sites::{Site, find_sites};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Tokens of one inference run, padding included: enough to keep the cores busy, small enough for
/// the activations to stay in tens of megabytes.
const RUN_TOKENS_MAX: usize = 1_024;
/// Rows of one inference run.
const RUN_ROWS_MAX: usize = 64;

/// How a predictor is opened.
#[derive(Clone, Debug)]
pub struct PredictorOptions {
    /// How ONNX Runtime holds the weights.
    pub mode: Mode,
    /// Threads of one run; 0 takes all cores.
    pub threads: usize,
    /// Module-name patterns of the sites whose low-rank inputs the session begins with. Those of
    /// other sites and kinds come with the first adapter that needs them.
    pub targets: Vec<String>,
}

impl Default for PredictorOptions {
    fn default() -> Self {
        Self { mode: Mode::default(), threads: 0, targets: LoraConfig::default().targets }
    }
}

/// The one session that serves the bare backbone and every adapter. Shared between threads.
pub struct Predictor {
    inference: Inference,
    /// How the sessions are opened, those of a decoder when the first text is asked for.
    session: SessionOptions,
    targets: Vec<String>,
    generator: OnceLock<Generator>,
    opening: Mutex<()>,
    cache: AdapterCache,
}

/// An adapter whose tensors are ready to be run inputs. Immutable; shared between threads.
pub struct LoadedAdapter {
    adapter: Adapter,
    inputs: Vec<(String, Value)>,
    stages: StageInputs,
}

impl LoadedAdapter {
    /// The adapter as it is stored.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Size of the tensors in bytes.
    pub fn size_bytes(&self) -> usize {
        self.adapter.tensors.values().map(|tensor| size_of_val(&*tensor.values)).sum()
    }
}

impl Predictor {
    /// Builds and opens the inference session of `bundle`.
    pub fn open(
        engine: &Arc<Engine>,
        bundle: &Arc<Bundle>,
        options: &PredictorOptions,
    ) -> Result<Self> {
        let session =
            SessionOptions { mode: options.mode, threads: options.threads, ..Default::default() };
        let targets = encoder_targets(bundle, &options.targets)?;
        let inference = with_targets(&targets, |parts| {
            Inference::open(engine, bundle, session.clone(), parts, add_heads)
        })?;
        Ok(Self {
            inference,
            session,
            targets: options.targets.clone(),
            generator: OnceLock::new(),
            opening: Mutex::new(()),
            cache: AdapterCache::default(),
        })
    }

    /// The sessions that make text, opened when they are first asked for.
    ///
    /// # Errors
    /// As [`Generator::open`].
    pub fn generator(&self) -> Result<&Generator> {
        if let Some(generator) = self.generator.get() {
            return Ok(generator);
        }
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have opened them in the meantime.
        if let Some(generator) = self.generator.get() {
            return Ok(generator);
        }
        let (engine, bundle) = (self.engine(), self.bundle());
        let generator = with_targets(&self.targets, |parts| {
            Generator::open(engine, bundle, &self.session, parts)
        })?;
        Ok(self.generator.get_or_init(|| generator))
    }

    /// The engine that the session lives in.
    pub fn engine(&self) -> &Arc<Engine> {
        self.inference.engine()
    }

    /// The bundle that the session was opened from.
    pub fn bundle(&self) -> &Arc<Bundle> {
        self.inference.bundle()
    }

    /// All sites that adapters for answers of this kind may have, in graph order: of encoder and
    /// decoder for texts, else of the encoder alone.
    ///
    /// # Errors
    /// As [`Predictor::generator`].
    pub fn sites(&self, kind: TaskKind) -> Result<&[Site]> {
        match kind {
            TaskKind::SequenceToSequence => Ok(self.generator()?.sites()),
            _ => Ok(self.inference.sites()),
        }
    }

    /// How many inputs with defaults the session has now.
    pub fn adapter_inputs_count(&self) -> usize {
        self.inference.adapter_inputs_count()
    }

    /// Checks an adapter against the backbone and makes its tensors run inputs.
    ///
    /// # Errors
    /// As [`Inference::load`]; [`Code::AdapterTensors`] for an adapter without a head.
    pub fn load(&self, adapter: Adapter) -> Result<LoadedAdapter> {
        if adapter.task == TaskKind::SequenceToSequence {
            let (inputs, stages) = (Vec::new(), self.generator()?.load(&adapter)?);
            return Ok(LoadedAdapter { adapter, inputs, stages });
        }
        if adapter.labels.is_empty() && adapter.tags.is_empty() {
            let message = "the adapter has no head, so it cannot answer";
            return Err(Error::new(Code::AdapterTensors, message));
        }
        let inputs = self.inference.load(&adapter)?;
        Ok(LoadedAdapter { adapter, inputs, stages: StageInputs::default() })
    }

    /// Makes a text of each input; see [`Generator::generate`].
    ///
    /// # Errors
    /// [`Code::TaskKind`] for an adapter of another kind; those of [`Generator::generate`].
    pub fn generate(
        &self,
        inputs: &[&Encoded],
        adapter: &LoadedAdapter,
        options: &GenerateOptions,
        cancel: Option<&Cancel>,
        on_piece: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>> {
        check_kind(TaskKind::SequenceToSequence, adapter)?;
        let sources: Vec<&[u32]> =
            inputs.iter().map(|input| input.encoding.ids.as_slice()).collect();
        self.generator()?.generate(&sources, &adapter.stages, options, cancel, on_piece)
    }

    /// The adapter with this content hash, ready to run. `read` gives its bytes when it is not
    /// loaded yet; they must have this hash.
    pub fn load_cached(
        &self,
        hash: &[u8; 32],
        read: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Arc<LoadedAdapter>> {
        self.cache.get(hash, || self.load(Adapter::from_bytes(&read()?)?))
    }

    /// Answers inputs, in their order. Inputs of similar length run together, unless the bundle
    /// says that each runs alone. `progress` hears after each run how many are done and may break;
    /// then the error is [`Code::Cancelled`].
    ///
    /// # Errors
    /// [`Code::TaskKind`] when the adapter answers with another kind, [`Code::RuntimeNotFinite`]
    /// when the model gives a number that is not finite; whatever a run fails with.
    pub fn answer(
        &self,
        task: &dyn Task,
        inputs: &[Encoded],
        adapter: &LoadedAdapter,
        options: &AnswerOptions<'_>,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Given>> {
        check_kind(task.kind(), adapter)?;
        let mut answers = vec![Given::default(); inputs.len()];
        let mut done = 0;
        for indices in self.batches(inputs) {
            let chosen: Vec<&Encoded> = indices.iter().map(|&index| &inputs[index]).collect();
            let given = task.answer(self, &chosen, adapter, options)?;
            for (index, given) in indices.iter().zip(given) {
                answers[*index] = given;
            }
            done += indices.len();
            if progress(done).is_break() {
                return Err(Error::new(Code::Cancelled, "cancelled by the caller"));
            }
        }
        Ok(answers)
    }

    /// Which inputs run together, by position.
    fn batches(&self, inputs: &[Encoded]) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.encoding.ids.len()).collect();
        let rows_max = if self.bundle().runs_alone() { 1 } else { RUN_ROWS_MAX };
        batch::by_length(&lengths, rows_max, RUN_TOKENS_MAX)
    }

    /// How good the answer to each input is, by [`Task::score`].
    ///
    /// # Errors
    /// As [`Predictor::answer`].
    pub fn scores(
        &self,
        task: &dyn Task,
        inputs: &[Encoded],
        expected: &[Target],
        adapter: &LoadedAdapter,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<f32>> {
        let given = self.answer(task, inputs, adapter, &AnswerOptions::default(), progress)?;
        let score = |(given, expected)| task.score(adapter.adapter(), given, expected);
        Ok(given.iter().zip(expected).map(score).collect())
    }

    /// The pooled hidden states of inputs, `[inputs][hidden]`, by the bare backbone or with an
    /// adapter on it.
    ///
    /// # Errors
    /// [`Code::RuntimeNotFinite`] when the model gives a number that is not finite; whatever a run
    /// fails with.
    pub fn embed(
        &self,
        inputs: &[Encoded],
        adapter: Option<&LoadedAdapter>,
        cancel: Option<&Cancel>,
    ) -> Result<Vec<Vec<f32>>> {
        let hidden = self.bundle().interface().hidden;
        let mut vectors = vec![Vec::new(); inputs.len()];
        for indices in self.batches(inputs) {
            let chosen: Vec<&Encoded> = indices.iter().map(|&index| &inputs[index]).collect();
            let values = adapter.map_or(&[][..], |adapter| &adapter.inputs);
            let [pooled] = run(self, &chosen, values, [heads::POOLED], cancel)?;
            finite::check("pooled hidden states", &pooled)?;
            for (index, vector) in indices.iter().zip(pooled.chunks_exact(hidden.max(1))) {
                vectors[*index] = vector.to_vec();
            }
        }
        Ok(vectors)
    }
}

/// Those of the patterns that name sites of the encoder; of a backbone with a decoder, some may
/// name sites of that alone.
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
        // Not every backbone has the modules that nobody asked for by name.
        Err(error) if error.code() == Code::AdapterNoSite && is_usual => open(&[]),
        opened => opened,
    }
}

/// Refuses an adapter that answers with another kind than the task.
fn check_kind(expected: TaskKind, adapter: &LoadedAdapter) -> Result<()> {
    let found = adapter.adapter().task;
    if expected == found {
        return Ok(());
    }
    let message = format!("expected an adapter that answers with {expected}, found {found}");
    Err(Error::new(Code::TaskKind, message))
}

/// One run of the encoder over a padded batch with an adapter; the values of each output.
pub(super) fn run_encoder<const N: usize>(
    predictor: &Predictor,
    inputs: &[&Encoded],
    adapter: &LoadedAdapter,
    outputs: [&str; N],
    cancel: Option<&Cancel>,
) -> Result<[Vec<f32>; N]> {
    run(predictor, inputs, &adapter.inputs, outputs, cancel)
}

fn run<const N: usize>(
    predictor: &Predictor,
    inputs: &[&Encoded],
    tensors: &[(String, Value)],
    outputs: [&str; N],
    cancel: Option<&Cancel>,
) -> Result<[Vec<f32>; N]> {
    let encodings: Vec<&Encoding> = inputs.iter().map(|input| &input.encoding).collect();
    let batch = encode_batch(predictor.bundle(), &encodings)?;
    let mut values: Vec<(&str, &Value)> = Vec::with_capacity(batch.len() + tensors.len());
    values.extend(batch.iter().map(|(name, value)| (*name, value)));
    values.extend(tensors.iter().map(|(name, value)| (name.as_str(), value)));
    let given = predictor.inference.run(&values, &outputs, cancel)?;
    let mut found = std::array::from_fn(|_| Vec::new());
    for (slot, value) in found.iter_mut().zip(&given) {
        *slot = value.as_f32()?.to_vec();
    }
    Ok(found)
}

/// Pooling and the heads.
fn add_heads(graph: &mut GraphProto, bundle: &Bundle) -> Result<()> {
    heads::add(graph, bundle.interface(), bundle.manifest().pooling, &HeadName::ALL, true)
}

/// The padded int64 inputs `[texts, longest]` that the backbone declares.
pub fn encode_batch<'a>(bundle: &'a Bundle, texts: &[&Encoding]) -> Result<Vec<(&'a str, Value)>> {
    let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
    let size = texts.len() * longest;
    let mut ids = Vec::with_capacity(size);
    let mut mask = Vec::with_capacity(size);
    for text in texts {
        let padding = longest - text.ids.len();
        ids.extend(text.ids.iter().map(|&id| i64::from(id)));
        ids.extend(std::iter::repeat_n(i64::from(bundle.tokenizer().pad_id()), padding));
        mask.extend(std::iter::repeat_n(1, text.ids.len()));
        mask.extend(std::iter::repeat_n(0, padding));
    }
    let shape = [texts.len(), longest];
    let names = &bundle.interface().inputs;
    let mut inputs = vec![
        (names.input_ids.as_str(), Value::i64(&shape, ids)?),
        (names.attention_mask.as_str(), Value::i64(&shape, mask)?),
    ];
    if let Some(name) = &names.token_type_ids {
        inputs.push((name, Value::i64(&shape, type_ids(texts, longest))?));
    }
    Ok(inputs)
}

/// Which text of a pair each token belongs to; 0 for padding.
fn type_ids(texts: &[&Encoding], longest: usize) -> Vec<i64> {
    let mut kinds = vec![0; texts.len() * longest];
    for (row, text) in kinds.chunks_exact_mut(longest.max(1)).zip(texts) {
        row.iter_mut().zip(&text.type_ids).for_each(|(slot, kind)| *slot = i64::from(*kind));
    }
    kinds
}
